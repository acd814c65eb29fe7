"""A run whose every input can be changed, to see what its key and its signature heed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, Item, RatingGold, Subtitle
from videojudge_bench.prompts import PROMPTS_FOLDER
from videojudge_bench.run.plan import Plan, RunOptions

ITEM = "v0/a"

JUDGE = """
from videojudge_bench import Judge, PromptedJudge, Rating

class Sees(PromptedJudge):
    requires = frozenset({"video"})
    prompts = {"rate": "own.jinja"}

class Counts(Judge):
    scale = None

    def rate(self, item):
        return Rating(len(item.response))
"""
ENGINE = """
from videojudge_bench import Reply

class Echo:
    capabilities = frozenset({"video", "logprobs"})

    def __init__(self, *, tone: str = "plain") -> None:
        self.tone = tone

    async def complete(self, group, deliver):
        for number in range(len(group.continuations)):
            await deliver(number, Reply("<score>3</score>"))

    def settings(self):
        return {"tone": self.tone}

    def close(self):
        pass

class Other(Echo):
    pass
"""
SERVED: dict[str, Scalar] = {"base_url": "http://127.0.0.1:9/v1", "model": "m"}
SMALL: dict[str, Scalar] = {"max_frames": 4, "max_pixels": 6272, "min_pixels": 3136}


INFO = GoldSetInfo("bench", "bench", "human", "ratings", "", "", "")


@dataclass
class Bench:
    """A judge, a set and everything around them, below one folder.

    Attributes:
        folder: of everything.
        tiny: a folder with a tiny Qwen2.5-VL.
        encoder: a folder with a tiny encoder of sentences.
        reader: version of the reader of replies; None is that of the judge.
    """

    folder: Path
    tiny: Path
    encoder: Path
    judge: str = ""
    options: dict[str, Scalar] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    info: GoldSetInfo = INFO
    run: RunOptions = field(default_factory=RunOptions)
    reader: int | None = None

    def __post_init__(self) -> None:
        for name, text in (("judge.py", JUDGE), ("engine.py", ENGINE)):
            self.write(name, text)
        self.write("own.jinja", (PROMPTS_FOLDER / "rate.jinja").read_text("utf-8"))
        for video in ("v0", "v1", "v2"):
            self.write(f"videos/{video}.mp4", f"the content of {video}")
            item = Item(f"{video}/a", video, "do", "a cat", ("cat", "a cat"), "It sleeps.")
            item = replace(item, subtitles=(Subtitle(0.0, 1.0, "miaow"),))
            self.examples.append(Example(item, RatingGold((3.0,)), unit=video))
        self.run = RunOptions(1, self.folder / "videos", self.folder / "journal")
        if not self.judge:
            self.judge, self.options = f"{self.folder}/judge.py:Sees", {"engine": self.echo}

    @property
    def echo(self) -> str:
        """An engine of the user's own."""
        return f"{self.folder}/engine.py:Echo"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def add(self, name: str, text: str) -> None:
        """Append to a file."""
        self.write(name, (self.folder / name).read_text("utf-8") + text)

    def copy(self, source: Path, name: str) -> Path:
        return Path(shutil.copytree(source, self.folder / name))

    def change_item(self, **changes: object) -> None:
        first = self.examples[0]
        item = replace(first.item, **changes)  # type: ignore[arg-type]
        self.examples[0] = replace(first, item=item)

    def change_example(self, **changes: object) -> None:
        self.examples[0] = replace(self.examples[0], **changes)  # type: ignore[arg-type]

    def change_run(self, **changes: object) -> None:
        self.run = replace(self.run, **changes)  # type: ignore[arg-type]

    def describe(self, text: str) -> None:
        """Give a file of descriptions."""
        row = {"video_id": "v0", "description": text, "made_by": "somebody"}
        self.change_run(descriptions=self.write("described.jsonl", json.dumps(row) + "\n"))

    def identity(self) -> tuple[str, str]:
        """Return the key of the first item, and the signature of its number."""
        built = registry.build(self.judge, self.options)
        built.judge.reader_version = self.reader or built.judge.reader_version
        try:
            plan = Plan(built, GoldSet(self.info, tuple(self.examples)), self.run)
            first = self.examples[0].item.id
            return plan.key(plan.item(first)), str(plan.signature([first]))
        finally:
            built.judge.close()


@dataclass(frozen=True)
class Input:
    """An input of a run, and whether key and signature must change with it.

    Attributes:
        name: what is changed.
        change: changes it.
        key: whether the verdict may be another one.
        signature: whether the number is to be told apart.
        start: makes the bench that is changed from an empty one; None: the user's own judge.
    """

    name: str
    change: Callable[[Bench], object]
    key: bool
    signature: bool
    start: Callable[[Bench], object] | None = None

    def __str__(self) -> str:
        return self.name


def judged_by(judge: str, **options: Scalar) -> Callable[[Bench], None]:
    """Return a start with another judge."""

    def start(bench: Bench) -> None:
        bench.judge, bench.options = judge, dict(options)

    return start


def checkpoint(bench: Bench) -> None:
    """Judge with a copy of the tiny model."""
    bench.judge = "videojudge"
    bench.options = {"pretrained": str(bench.copy(bench.tiny, "model")), **SMALL}


def adapted(bench: Bench) -> None:
    """Judge with the tiny model and an adapter."""
    checkpoint(bench)
    bench.write("lora/adapter_config.json", "{}")
    bench.write("lora/adapter_model.bin", "weights")
    bench.options["adapter"] = f"{bench.folder}/lora"


def embedding(bench: Bench) -> None:
    """Judge with the tiny encoder."""
    bench.judge = "minilm"
    bench.options = {"model": str(bench.copy(bench.encoder, "encoder"))}


def own_files(**files: str) -> Callable[[Bench], None]:
    """Return a start with files as options of the user's own judge."""

    def start(bench: Bench) -> None:
        for option, text in files.items():
            bench.options[option] = str(bench.write(f"{option}.own", text))

    return start


TEXT = judged_by("openai", **SERVED, video="none")
DESCRIBED = judged_by("openai", **SERVED, video="description")
SERVES = judged_by("openai", **SERVED)
SHUFFLED = judged_by("openai", **SERVED, video="shuffled")
METRIC = judged_by("bleu1")
FITTED = judged_by("cider")
