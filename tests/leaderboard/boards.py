"""A rated set that is large enough for intervals and ranks, in one form or two, and runs on it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from registered import registered

from videojudge_bench import goldsets
from videojudge_bench._util.hashing import unit_interval
from videojudge_bench._util.options import Scalar
from videojudge_bench.goldsets.base import GoldKind, GoldSet, GoldSetInfo
from videojudge_bench.goldsets.released import ReleasedSet
from videojudge_bench.items import Example, Item, RatingGold
from videojudge_bench.leaderboard.importing import FoundRun, to_stored
from videojudge_bench.leaderboard.stored import Part, StoredRun
from videojudge_bench.verdicts import Judgement, Rating, Unparsed, Verdict

VIDEOS = 40
RESPONSES = ("all of it", "half of it", "nothing at all")
RESAMPLES = 200
TWO_FORMS = "twoforms"

Rate = Callable[[Example], Verdict]


def board_set(
    *, name: str = "tinyboard", kind: GoldKind = "human", videos: int = VIDEOS
) -> GoldSet:
    """Return a set of videos with three responses each, rated about 5, 3 and 1 by one person."""
    examples = []
    for number in range(videos):
        video = f"video{number:02}"
        for response, level in zip(RESPONSES, (5, 3, 1), strict=True):
            item = Item(f"{video}/{level}", video, "What happens?", response, ("all of it",))
            rating = level - (unit_interval(item.id) < 0.3) if level > 1 else 1
            examples.append(Example(item, RatingGold((float(rating),)), unit=video))
    info = GoldSetInfo(
        name=name,
        title=f"{name}, made for tests",
        kind=kind,
        shape="ratings",
        licence="CC0-1.0",
        source="tests/leaderboard/boards.py",
        how_to_get="it is made by the tests",
    )
    return GoldSet(info, tuple(examples))


def write_rows(path: Path, *, videos: int = VIDEOS, prefix: str = "video") -> Path:
    """Write the rows of such a set as a user would bring them, and return the file."""
    rows = [
        {
            "video_id": e.item.video_id.replace("video", prefix),
            "instruction": e.item.instruction,
            "response": e.item.response,
            "ratings": list(e.gold.ratings),
        }
        for e in board_set(videos=videos).examples
        if isinstance(e.item, Item) and isinstance(e.gold, RatingGold)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@contextmanager
def two_forms(folder: Path, *, videos: int = 20) -> Iterator[ReleasedSet]:
    """Make a set known that has a sample, and full data once they are prepared."""
    info = board_set(name=TWO_FORMS).info
    sample = write_rows(folder / "sample.jsonl", videos=videos, prefix="clip")
    form = ReleasedSet(info, sample_file=str(sample))
    with registered(form.sample):
        vars(sys.modules[f"gold_set_{TWO_FORMS}"]).update(SET=form)
        goldsets._BUILT_IN[TWO_FORMS] += ":SET"
        goldsets.load.cache_clear()
        yield form


def perfect(example: Example) -> Verdict:
    """Give the gold rating."""
    assert isinstance(example.gold, RatingGold)
    return Rating(example.gold.mean)


def nearly_perfect(example: Example) -> Verdict:
    """Give the gold rating, and one item a wrong one."""
    return Rating(4.0) if example.item.id == "video00/1" else perfect(example)


def noise(example: Example) -> Verdict:
    """Give a rating that has nothing to do with the response."""
    return Rating(float(1 + int(5 * unit_interval("noise", example.item.id))))


def other_noise(example: Example) -> Verdict:
    """Give another rating that has nothing to do with the response."""
    return Rating(float(1 + int(5 * unit_interval("other noise", example.item.id))))


def constant(_: Example) -> Verdict:
    """Give everything the same rating."""
    return Rating(3.0)


def often_unparsed(example: Example) -> Verdict:
    """Give every ninth item no rating."""
    is_lost = example.item.id.endswith("/3") and int(example.item.video_id[-2:]) % 3 == 0
    return Unparsed("no idea") if is_lost else perfect(example)


def found(
    gold_set: GoldSet,
    rate: Rate,
    *,
    references: int = 0,
    part: Part = "all",
    limit: int | None = None,
    options: Mapping[str, Scalar] | None = None,
) -> FoundRun:
    """Return a run of a judge that is named after its function."""
    name = rate.__name__
    examples = gold_set.examples[:limit]
    return FoundRun(
        name=name,
        gold_set=gold_set.info.name,
        data=gold_set.info.data,
        references=references,
        part=part,
        on_scale=True,
        judge={"judge": name, **(options or {})},
        judgements={e.item.id: Judgement(e.item.id, rate(e)) for e in examples},
    )


def stored(
    gold_set: GoldSet,
    rate: Rate,
    *,
    name: str | None = None,
    references: int = 0,
    part: Part = "all",
    limit: int | None = None,
    options: Mapping[str, Scalar] | None = None,
) -> StoredRun:
    """Return such a run with its numbers; the set must be registered."""
    run = found(gold_set, rate, references=references, part=part, limit=limit, options=options)
    return to_stored(run, name=name, resamples=RESAMPLES)
