"""The commands that write: each with its input, and with what it must have written in the end."""

from __future__ import annotations

import gzip
import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import models
import talk

from videojudge_bench import goldsets, registry
from videojudge_bench._util import files
from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.cli.main import main
from videojudge_bench.errors import ConfigError, VideoJudgeError
from videojudge_bench.judges import minilm
from videojudge_bench.run import describe
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.training.bootstrap import overlap, run_folder, seeds
from videojudge_bench.training.bootstrap.options import load_options
from videojudge_bench.training.bootstrap.run import run_bootstrap

run_folder.SHARD_SEEDS = 12  # several shards of few seeds; in this process alone

_HEAVY = ("numpy", "scipy.stats", "pandas", "pyarrow.parquet", "rich.console", "rich.table",
          "sklearn.isotonic", "sklearn.linear_model", "sklearn.feature_extraction.text",
          "sklearn.model_selection", "sklearn.pipeline", "pycocoevalcap.bleu.bleu", "yaml",
          "videojudge_bench.analysis.calibration", "videojudge_bench.analysis.sweep",
          "videojudge_bench.goldsets.verify",
          "videojudge_bench.leaderboard.tables", "videojudge_bench.training.bootstrap.run",
          "videojudge_bench.training.bootstrap.run", "videojudge_bench.run.describe",
          "videojudge_bench.analysis.rubric_specificity",
          "videojudge_bench.analysis.rubric_human_eval",
          "videojudge_bench.training.experiments.loop_measures", "videojudge_bench.judges.metrics",
          "videojudge_bench.judges.baselines")  # fmt: skip

VIDEOS, SEEDS = 60, 40
LEVELS = {5: "all of it", 3: "half of it", 1: "nothing at all"}
SET, RUNS = "torture", "runs"
SAMPLES = Path(__file__).parents[2] / "tasks" / "sample"
_NOT_COMPARED = ("*.lock", models.CALLS, ".lock")
_LEFT_OVER = ("*.part", "*.old")


@dataclass(frozen=True)
class Case:
    """A command, and what it leaves.

    Attributes:
        name: in the report.
        work: the command; it runs in its folder.
        needs: the cases whose results it starts from.
        in_flight: how many replies may be on their way at once, from the model or to the disk; 0
            where no model is asked.
        done_before: what a second run says, where it refuses to do again what is done; its results
            must be whole all the same.
    """

    name: str
    work: Callable[[], int]
    needs: tuple[str, ...] = ()
    in_flight: int = 0
    done_before: str = ""


def _verb(*words: str) -> Callable[[], int]:
    return lambda: main(words)


def _judge() -> int:
    """The runner, as `lmms_eval`'s model calls it: journal, judgements, and what comes back."""
    built = registry.build("models:Asker", {})
    gold_set = goldsets.load(SET)
    run = Run(built, gold_set, RunOptions(journal=Path(RUNS)))
    try:
        made = run.judge(list(gold_set.by_id))
    except VideoJudgeError as error:  # as `lmms_eval` says it
        sys.stderr.write(f"error: {error}\n")
        return 1
    lines = [json.dumps(judgement.to_json()) + "\n" for judgement in made.values()]
    files.write_whole(Path("judgements.jsonl"), "".join(lines))
    return 0


def _bootstrap_loop() -> int:
    """The loop alone, without rows and report."""
    try:
        result = run_bootstrap(load_options("recipe.yaml", []), Path("made"))
    except VideoJudgeError as error:  # as `videojudge bootstrap` says it
        sys.stderr.write(f"error: {error}\n")
        return 1
    return int(result.tally.failed > 0)


_ADD = ("data", "add", "input/rows.jsonl", "--name", SET, "--title", "made for the fault suite")
_SWEEP = ("sweep", "--judge", "random", "--gold-set", SET, "--vary", "seed=1,2")
_THERE = "there is a set 'torture'; give --overwrite"
_WRITTEN = "is there; give another name, or --overwrite to replace it"

CASES = (
    Case("data add", _verb(*_ADD), done_before=_THERE),
    Case("data add --overwrite", _verb(*_ADD, "--overwrite"), ("data add",)),
    Case("data prepare", _verb("data", "prepare", "llava", "--release", "input/llava.jsonl")),
    Case("runner", _judge, ("data add",), len(LEVELS) * (2 * models.AT_ONCE + 1)),
    Case("sweep", _verb(*_SWEEP, "--journal", "swept", "-o", "sweep.csv"), ("data add",)),
    Case("calibrate", _verb("calibrate", RUNS, "-o", "map.json"), ("runner",)),
    Case("leaderboard add", _verb("leaderboard", "add", RUNS), ("runner",)),
    Case("leaderboard", _verb("leaderboard"), ("leaderboard add",)),
    Case(
        "describe",
        _verb("describe", "--videos", "videos", "-o", "told.jsonl", "--engine", "models:Talker"),
        in_flight=2 * describe.AT_ONCE + 1,
    ),
    Case(
        "rubrics extract",
        _verb("rubrics", "extract", RUNS, "-o", "rubrics.jsonl"),
        ("runner",),
        done_before=_WRITTEN,
    ),
    Case(
        "rubrics export",
        _verb("rubrics", "export", "a.jsonl", "b.jsonl", "-o", "sheet.csv", "--key", "key.json"),
        done_before=_WRITTEN,
    ),
    Case("bootstrap loop", _bootstrap_loop, in_flight=models.AT_ONCE),
    Case(
        "bootstrap",
        _verb("bootstrap", "--recipe", "recipe.yaml", "-o", "made"),
        in_flight=models.AT_ONCE,
    ),
    Case(
        "experiments",
        _verb("experiments", "run", "bias", "-o", "measured", "--seeds", "40"),
    ),
)
BY_NAME = {case.name: case for case in CASES}


def import_all() -> None:
    """Import and load what the commands do, once for all children."""
    for name in _HEAVY:
        importlib.import_module(name)
    for name in ("vatex", "nextqa"):
        goldsets.load(name)
    known = overlap.gold_videos()
    vars(seeds)["gold_videos"] = lambda: (
        known
    )  # all sets of the package: none is added by `bootstrap`
    vars(minilm)["load_minilm"] = _no_weights


def _no_weights(*_: object) -> tuple[object, object]:
    """As where the weights are not installed: a network would take most of the time."""
    raise ConfigError("no weights")


def write_inputs(folder: Path) -> None:
    """Write what all commands read."""
    inputs = folder / "input"
    inputs.mkdir(parents=True)
    rows = [
        {
            "video_id": f"video{number:02}",
            "instruction": "What happens?",
            "response": f"{text}, in video {number}",
            "references": ["all of it"],
            "ratings": [level - int(level > 1 and unit_interval(f"{number}/{level}") < 0.3)],
        }
        for number in range(VIDEOS)
        for level, text in LEVELS.items()
    ]
    _write_lines(inputs / "rows.jsonl", rows)
    shutil.copy(SAMPLES / "llava.jsonl", inputs)
    (folder / "videos").mkdir()
    for number in range(12):
        (folder / "videos" / f"v{number}.mp4").touch()
    for name in "ab":
        texts = [
            {"video_id": f"v{n}", "instruction": "Do.", "rubric": f"{name} {n}: all"}
            for n in range(30)
        ]
        _write_lines(folder / f"{name}.jsonl", texts)
    talk.write_seeds(inputs / "seeds.jsonl", SEEDS)
    role = {"kind": "prompted", "engine": "talk:TalkEngine", "log": models.CALLS}
    recipe = {"seeds": {"sources": ["jsonl=input/seeds.jsonl"]}, "generator": role,
              "evaluator": role, "concurrency": models.AT_ONCE}  # fmt: skip
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    server = {"kind": "prompted", "engine": "openai"}
    recipe |= {"generator": server, "evaluator": server}
    (folder / "server.yaml").write_text(json.dumps(recipe), encoding="utf-8")


def _write_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def results_in(folder: Path) -> dict[str, object]:
    """Return all that a command has written, by path: bytes, or the lines of a journal as a set.

    A journal's lines come in the order of the replies. Locks, and the log of the engine that we
    brought, are no results; what is left of unfinished work is counted by `left_over`.
    """
    found: dict[str, object] = {}
    for path in _files(folder):
        name = str(path.relative_to(folder))
        content: object = path.read_bytes()
        if "judgements-" in name or "/journal/" in name or name == "told.jsonl":
            content = sorted(path.read_bytes().splitlines())
        elif path.suffix == ".gz":
            content = gzip.decompress(path.read_bytes())
        found[name] = content
    return found


def left_over(folder: Path) -> list[str]:
    """Return the files that unfinished work has left behind."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*")
        if path.is_file() and _is_left_over(path.relative_to(folder))
    )  # fmt: skip


def _is_left_over(path: Path) -> bool:
    if path.suffix == ".lock" or path.name == ".lock":
        return False
    hidden = any(part.startswith(".") for part in path.parts)
    return hidden or any(path.match(pattern) for pattern in _LEFT_OVER)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or any(path.match(pattern) for pattern in _NOT_COMPARED):
            continue
        if not _is_left_over(path.relative_to(folder)):
            yield path
