"""Writes down what came out of a loop: a table by kind of question, and plots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from videojudge_bench import goldsets
from videojudge_bench._util import plots
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench.metrics import Measurement
from videojudge_bench.training.small_world.loop import (
    GOLD_SET,
    LoopFolder,
    judges_of,
    own_home,
)
from videojudge_bench.training.small_world.measure import (
    ALL,
    Number,
    coverages,
    differences,
    judged,
    numbers,
    points_of_words,
)
from videojudge_bench.training.small_world.world import KINDS

Table = Mapping[str, Mapping[str, Number]]

_WHAT = (
    "Their colours, shapes and counts go together as in no video of the training. A working scale "
    "model, and no claim about real video. Intervals are 95 %, by resampling videos."
)
_KEYS = ("spearman", "mae", "acc_eq")
_LESS = ("blind", "shuffled")
_PICTURES = ("![Spearman](spearman.svg)", "", "![Confusion](confusion.svg)")


def summarise(loop: LoopFolder, output: Path) -> Path:
    """Write `README.md`, `numbers.json` and plots of a finished loop; return the first.

    Args:
        loop: whose verdicts are in its journal; those that are missing are asked for.
        output: a folder.
    """
    with own_home(loop):
        gold_set = goldsets.load(GOLD_SET)
        verdicts = {
            name: judged(gold_set, options, loop.journal)
            for name, options in judges_of(loop).items()
        }
        tables: dict[str, Table] = {
            key: {name: numbers(gold_set, j, key) for name, j in verdicts.items()} for key in _KEYS
        }
        less: Table = {
            f"trained less {name}": differences(
                gold_set, verdicts["trained"], verdicts[name], "spearman"
            )
            for name in _LESS
        }
        tables["coverage"] = {name: coverages(gold_set, j) for name, j in verdicts.items()}
        words = points_of_words(gold_set, verdicts["trained"])
        card = Measurement(gold_set).card(verdicts["trained"], resamples=1)
    output.mkdir(parents=True, exist_ok=True)
    found: dict[str, Json] = {
        "items": len(gold_set.examples),
        **{key: _plain(table) for key, table in tables.items()},
        "differences": _plain(less),
        "points_of_words": {
            kind: None if points is None else [round(p, 3) for p in points]
            for kind, points in words.items()
        },
        "confusion": [list(row) for row in card.confusion or ()],
    }
    write_whole(output / "numbers.json", json.dumps(found, indent=1) + "\n")
    _draw(output, tables["spearman"], card.confusion or ())
    page = output / "README.md"
    lines = [*_lines(len(gold_set.examples), tables, less), *_words(words), *_PICTURES]
    write_whole(page, "\n".join(lines) + "\n")
    return page


def _plain(table: Table) -> dict[str, Json]:
    return {
        name: {kind: number.to_json() for kind, number in row.items()}
        for name, row in table.items()
    }


def _draw(output: Path, table: Table, confusion: object) -> None:
    values = {
        kind: {name: round(row[kind].value or 0.0, 3) for name, row in table.items()}
        for kind in (ALL, *KINDS)
    }
    svg = plots.bars(values, label="Spearman with the truth, held-out videos")
    (output / "spearman.svg").write_text(svg, encoding="utf-8")
    if isinstance(confusion, (list, tuple)):
        cells = {
            (gold, str(said)): int(count)
            for gold, row in enumerate(confusion, start=1)
            for said, count in enumerate(row, start=1)
        }
        svg = plots.heat(cells, labels=("what the judge says", "what the response deserves"))
        (output / "confusion.svg").write_text(svg, encoding="utf-8")


def _lines(items: int, tables: Mapping[str, Table], less: Table) -> Iterator[str]:
    yield from (
        "# A judge of the small world",
        "",
        f"{items:,} responses to questions about held-out videos. {_WHAT}",
        "",
    )
    titles = {
        "spearman": "Spearman with the rating that is deserved",
        "mae": "Mean absolute error, in points of the scale",
        "acc_eq": "Pairwise accuracy inside a question, with ties",
        "coverage": "Share of the responses that got a verdict",
    }
    for key, table in tables.items():
        yield from _table(titles[key], table)
    yield from _table(
        "Does it look? Spearman of the trained judge less another's, where both gave a verdict",
        less,
    )


def _words(words: Mapping[str, tuple[float, ...] | None]) -> Iterator[str]:
    places = ("first", "second", "third", "fourth")
    yield from (
        "## Does it check every word? Points by which each right word raises the verdict",
        "",
        "About 1 where a word is checked as it should be, and 0 where it is not (least squares).",
        "",
        f"| | {' | '.join(places)} |",
        "| --- " * (1 + len(places)) + "|",
    )
    for kind, points in words.items():
        cells = ["unknown"] * len(places) if points is None else [f"{p:.2f}" for p in points]
        yield f"| {kind} | {' | '.join(cells)} |"
    yield ""


def _table(title: str, table: Table) -> Iterator[str]:
    kinds = (ALL, *KINDS)
    yield from (f"## {title}", "", f"| | {' | '.join(kinds)} |", "| --- " * (1 + len(kinds)) + "|")
    for name, row in table.items():
        yield f"| {name} | {' | '.join(str(row[kind]) for kind in kinds)} |"
    yield ""
