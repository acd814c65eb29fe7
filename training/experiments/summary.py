"""Writes down what came out of a loop: tables by kind of question, and plots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from videojudge_bench import goldsets
from videojudge_bench._util import charts
from videojudge_bench._util.charts import Bar
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench._util.markdown import table
from videojudge_bench.metrics import Measurement
from videojudge_bench.training.experiments.experiment import cell
from videojudge_bench.training.experiments.world_measures import (
    ALL,
    ByKind,
    differences,
    judged,
    numbers,
    points_of_words,
    rounded,
)
from videojudge_bench.training.small_world.loop import (
    GOLD_SET,
    LoopFolder,
    judges_of,
    own_home,
)
from videojudge_bench.training.small_world.world import KINDS

_WHAT = (
    "Their colours, shapes and counts go together as in no video of the training. A working scale "
    "model, and no claim about real video. Intervals are 95 %, by resampling videos."
)
_TITLES = {
    "spearman": "Spearman with the rating that is deserved",
    "mae": "Mean absolute error, in points of the scale",
    "acc_eq": "Pairwise accuracy inside a question, with ties",
    "coverage": "Share of the responses that got a verdict",
    "differences": "Does it look? Spearman of the trained judge less another's, where both gave a "
    "verdict",
}
_LESS = ("blind", "shuffled")
_PLACES = ("first", "second", "third", "fourth")
_PICTURES = ("![Spearman](spearman.svg)", "", "![Confusion](confusion.svg)")


def summarise(loop: LoopFolder, output: Path) -> Path:
    """Write `README.md`, `numbers.json` and plots of a finished loop; return the first."""
    with own_home(loop):
        gold_set = goldsets.load(GOLD_SET)
        verdicts = {
            name: judged(gold_set, options, loop.journal)
            for name, options in judges_of(loop).items()
        }
        trained = verdicts["trained"]
        tables: dict[str, Mapping[str, ByKind]] = {
            key: {name: numbers(gold_set, j, key) for name, j in verdicts.items()}
            for key in ("spearman", "mae", "acc_eq", "coverage")
        }
        tables["differences"] = {
            f"trained less {name}": differences(gold_set, trained, verdicts[name], "spearman")
            for name in _LESS
        }
        words = points_of_words(gold_set, trained)
        confusion = Measurement(gold_set).card(trained, resamples=1).confusion or ()
    output.mkdir(parents=True, exist_ok=True)
    found: dict[str, Json] = {
        "items": len(gold_set.examples),
        **{key: rounded(of_judges) for key, of_judges in tables.items()},
        "points_of_words": {
            kind: None if points is None else [round(p, 3) for p in points]
            for kind, points in words.items()
        },
        "confusion": [list(row) for row in confusion],
    }
    write_whole(output / "numbers.json", json.dumps(found, indent=1) + "\n")
    _draw(output, tables["spearman"], confusion)
    page = output / "README.md"
    lines = [*_lines(len(gold_set.examples), tables), *_words(words), *_PICTURES]
    write_whole(page, "\n".join(lines) + "\n")
    return page


def _draw(
    output: Path, judges: Mapping[str, ByKind], confusion: tuple[tuple[int, ...], ...]
) -> None:
    bars = [
        Bar(f"{name}, {kind}", row[kind][0] or 0.0, row[kind][1], row[kind][2], "judge")
        for kind in (ALL, *KINDS)
        for name, row in judges.items()
    ]
    levels = [str(level) for level in range(1, len(confusion) + 1)]
    made = {
        "spearman": charts.intervals(bars, "Spearman with the truth, held-out videos"),
        "confusion": charts.heat(confusion, levels, levels, labels=("deserved", "said")),
    }
    for name, chart in made.items():
        write_whole(output / f"{name}.svg", charts.document(chart))


def _lines(items: int, tables: Mapping[str, Mapping[str, ByKind]]) -> Iterator[str]:
    yield "# A judge of the small world"
    yield from ("", f"{items:,} responses to questions about held-out videos. {_WHAT}", "")
    kinds = (ALL, *KINDS)
    for key, judges in tables.items():
        rows = [[name, *(cell(row[kind]) for kind in kinds)] for name, row in judges.items()]
        yield from (f"## {_TITLES[key]}", "", *table(("", *kinds), rows), "")


def _words(words: Mapping[str, tuple[float, ...] | None]) -> Iterator[str]:
    yield from (
        "## Does it check every word? Points by which each right word raises the verdict",
        "",
        "About 1 where a word is checked as it should be, and 0 where it is not (least squares).",
        "",
    )
    unknown = ["unknown"] * len(_PLACES)
    rows = [
        [kind, *(unknown if points is None else [f"{p:.2f}" for p in points])]
        for kind, points in words.items()
    ]
    yield from (*table(("", *_PLACES), rows), "")
