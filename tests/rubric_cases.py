"""Sets that rubrics are about, files of rubrics, and runs of judges that write or read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from fake_engine import FakeEngine, Replies

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import PromptGroup, Reply
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo, Shape
from videojudge_bench.items import Example, Item, Pair, PreferenceGold, RatingGold
from videojudge_bench.prompts.rubric_book import RubricBook
from videojudge_bench.run.runner import Run, RunOptions

JUDGE = "videojudge_bench.prompted:PromptedJudge"
INSTRUCTION = "What happens?"
SCENES = tuple(
    f"a {colour} {animal} {verb}"
    for colour in ("red", "blue", "green", "white", "black")
    for animal, verb in (("fox", "runs"), ("owl", "sleeps"), ("cat", "eats"), ("dog", "swims"))
)
BADLY = "nothing can be seen"

Group = tuple[str, str]


class Heedful(FakeEngine):
    """Answers what its rubric tells it to: `give 3`, `take B`."""

    async def same(self, group: PromptGroup) -> Replies:
        told = re.search(r"(?:give|take) (\w)", group.prefix.text)
        assert told is not None
        tag = "score" if told[1].isdigit() else "answer"
        return [Reply(f"<{tag}>{told[1]}</{tag}>") for _ in group.continuations]


def info(name: str, shape: Shape = "ratings") -> GoldSetInfo:
    return GoldSetInfo(
        name=name,
        title=f"{name}, made for tests",
        kind="human",
        shape=shape,
        licence="CC0-1.0",
        source="tests/rubric_cases.py",
        how_to_get="it is made by the tests",
    )


def rated(texts: Iterable[str]) -> GoldSet:
    """Return a set of a video for each text, which is the better one of two responses."""
    examples = []
    for number, text in enumerate(texts):
        video = f"v{number:03}"
        for response, rating in ((text, 5.0), (BADLY, 1.0 + number % 3)):
            item = Item(f"{video}/{rating:g}", video, INSTRUCTION, response)
            examples.append(Example(item, RatingGold((rating,)), unit=video))
    return GoldSet(info("scenes"), tuple(examples))


def paired(texts: Iterable[str]) -> GoldSet:
    """Return the same as pairs in both orders, the text the better response."""
    examples = []
    for number, text in enumerate(texts):
        video = f"v{number:03}"
        for order, first, second in (("ab", text, BADLY), ("ba", BADLY, text)):
            pair = Pair(f"{video}/{order}", video, INSTRUCTION, first, second)
            gold = PreferenceGold(float(order == "ab"))
            examples.append(Example(pair, gold, unit=video))
    return GoldSet(info("scene_pairs", "pairs"), tuple(examples))


def rubric_file(path: Path, rubrics: Mapping[Group, str]) -> Path:
    """Write a file of rubrics and return its path."""
    rows = [
        {"video_id": video_id, "instruction": instruction, "rubric": rubric}
        for (video_id, instruction), rubric in rubrics.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def book(path: Path, texts: Iterable[str]) -> RubricBook:
    """Return a book with a rubric for each video of `rated` or `paired`."""
    return RubricBook(numbered(path, texts))


def numbered(path: Path, texts: Iterable[str]) -> Path:
    """Write a rubric for each video of `rated` or `paired`, and return the file."""
    return rubric_file(path, {(f"v{n:03}", INSTRUCTION): text for n, text in enumerate(texts)})


def judged(gold_set: GoldSet, journals: Path, **options: Scalar) -> Path:
    """Run a prompted judge on a whole set and return the folder of its journal."""
    run = Run(registry.build(JUDGE, options), gold_set, RunOptions(journal=journals))
    run.judge(list(gold_set.by_id))
    return run.folder


def scripted(path: Path, replies: Mapping[str, str]) -> str:
    """Write a file of scripted replies and return its path."""
    rows = [{"id": item_id, "reply": reply} for item_id, reply in replies.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def autoeval_file(path: Path) -> Path:
    """Write a file in the schema of AutoEval-Video, of a question for each scene."""
    lines = []
    for number, scene in enumerate(SCENES):
        question = f"What happens, {number}?"
        rule = (
            f"[Video Description]: One sees {scene} at dusk.\n[Video Question]: {question}\n"
            "Is the [Answer to be judged] right? By these rules:\n"
            f"1. A right answer says that there is {scene}.\n2. Every word is spelled rightly.\n"
            "[Answer to be judged]:\n[Form of the Result]:\n1 if right and 0 if wrong."
        )
        lines.append(
            {
                "ID": number,
                "Question": question,
                "Rule": rule,
                "Dimension": "Made up",
                "Video URL": f"https://www.youtube.com/watch?v=abcdefgh{number:03}",
                "Theme": "Made up",
                "Start time": "0:00:01",
                "End time": "0:00:09",
            }
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
