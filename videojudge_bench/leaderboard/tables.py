"""The leaderboard as files: Markdown to read, CSV and JSON to work with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench import metrics
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.markdown import code, inert
from videojudge_bench._util.tabular import csv_text
from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.leaderboard.rows import Board, Row
from videojudge_bench.leaderboard.stored import interval_of, number_of

if TYPE_CHECKING:
    import pandas

MARKDOWN, CSV, JSON = "leaderboard.md", "leaderboard.csv", "leaderboard.json"
TESTS = "comparisons.json"

_COLUMNS = {
    "ratings": ("spearman", "kendall_tau_b", "tau_b_within", "acc_eq", "rmse", "coverage"),
    "options": ("psup", "psup_strict", "top1", "tie_rate", "coverage"),
    "pairs": ("accuracy", "both_orders_correct", "order_consistency", "coverage"),
}
_EMSCORE_COLUMNS = (
    "emscore_tau_b",
    "emscore_rho",
    "emscore_tau_b_without_0",
    "tau_b_within",
    "acc_eq",
    "rmse",
    "coverage",
)
_KINDS = ("human", "options", "constructed", "model")
_INTRODUCTION = """\
# Leaderboard

Made by `make leaderboard` from the runs in `runs/`; not edited by hand. Every number is worked out
from stored verdicts, but for rows marked ‡. Brackets hold 95 % intervals from 10,000 resamples of
videos; they leave out the variance of decoding and of training. A judge opens a new rank when it is
significantly below every judge of the rank above (paired permutation test, Holm over all pairs of
the set, p < 0.05). Rows are ranked only among rows with the same measurement: same items, same
references. Nothing is averaged across sets.
"""
_SAMPLES = """\
## Samples

Gold written by a model, to try things out: nothing here is ranked, and nothing here belongs beside
the tables above.
"""
_SELF_REPORTED = (
    "‡ Self-reported: the set is not on this machine, so its numbers were not worked out again."
)


def write_tables(board: Board, folder: Path) -> list[Path]:
    """Write the tables to a folder and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    table = frame(board.rows)
    texts = {
        MARKDOWN: markdown(board),
        CSV: csv_text(list(table.columns), table.itertuples(index=False)),
        JSON: _dump([row.to_json() for row in board.rows]),
        TESTS: _dump([test.to_json() for test in board.tests]),
    }
    for name, text in texts.items():
        write_whole(folder / name, text)
    return [folder / name for name in texts]


def markdown(board: Board) -> str:
    """Return the board as Markdown: one table a form of a gold set, those of samples last."""
    tables = by_table(board.rows)
    ours = [_section(rows) for rows in tables if not rows[0].is_sample]
    samples = [_section(rows) for rows in tables if rows[0].is_sample]
    return "\n".join([_INTRODUCTION, *ours, *([_SAMPLES, *samples] if samples else ())])


def by_table(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the rows of each table, gold by people first and samples last.

    In a table annotators are first, then the rows with the most references.
    """
    tables = [sorted(group, key=_block) for _, group in groupby(rows, key=lambda row: row.table)]

    def order(table: list[Row]) -> tuple[bool, int, str]:
        return (table[0].is_sample, _KINDS.index(table[0].info.kind), table[0].info.name)

    return sorted(tables, key=order)


def _block(row: Row) -> tuple[bool, int, bool]:
    return (row.role != "human", -row.references, row.role != "judge")


def title_of(info: GoldSetInfo) -> str:
    """Return the title of a table: the task, what it is, and which form if not the full set."""
    form = "" if info.data == "full" else f" ({info.data})"
    return f"{info.task}{form}: {info.title}"


def frame(rows: Iterable[Row]) -> pandas.DataFrame:
    """Return the rows as a table: one line a row and metric, numbers and texts as they are."""
    import pandas

    lines = [
        {
            "gold_set": row.info.name,
            "data": row.info.data,
            "judge": row.judge,
            "role": row.role,
            "references": row.references,
            "part": row.part,
            "rank": row.rank,
            "verified": row.verified,
            "metric": key,
            "value": value,
            "low": row.numbers.get(f"{key}_low"),
            "high": row.numbers.get(f"{key}_high"),
        }
        for row in rows
        for key, value in row.numbers.items()
        if not key.endswith(("_low", "_high"))
    ]
    table: pandas.DataFrame = pandas.DataFrame(lines, dtype=object)
    return table


def columns_of(info: GoldSetInfo) -> tuple[str, ...]:
    """Return the metrics that a table of this set shows, the primary one first."""
    return _EMSCORE_COLUMNS if info.recipe == "emscore" else _COLUMNS[info.shape]


def cells(row: Row, columns: Sequence[str]) -> list[str]:
    """Return a row's cells as text: rank, judge, references, then the metrics."""
    rank = "–" if row.rank is None else str(row.rank)
    judge = {"judge": row.judge, "human": f"*{row.judge}*"}.get(row.role, f"{row.judge} †")
    if row.self_reported:
        judge += " ‡"
    if row.part == "test":
        judge += " (test half)"
    references = "" if row.role == "human" else str(row.references)
    return [rank, judge, references, *(_cell(row, key) for key in columns)]


def text_table(rows: Sequence[Row]) -> tuple[str, tuple[str, ...], list[list[str]]]:
    """Return title, head and cells of the table of a set, for the terminal."""
    info = rows[0].info
    columns, title = columns_of(info), title_of(info)
    if rows[0].is_sample:
        title += "; a sample, gold written by a model, not ranked"
    return title, ("rank", "judge", "refs", *columns), [cells(row, columns) for row in rows]


def _section(rows: Sequence[Row]) -> str:
    rows = [replace(row, judge=inert(row.judge)) for row in rows]
    info = rows[0].info
    columns = columns_of(info)
    level, ranked = ("###", "Not ranked; ordered") if rows[0].is_sample else ("##", "Ranked")
    lines = [
        f"{level} {inert(title_of(info))}",
        "",
        f"Gold: {info.kind}. {ranked} by `{metrics.primary_key(info)}`.",
        "",
        _line(["rank", "judge", "refs", *columns]),
        _line(["---:", "---", "---:", *("---:" for _ in columns)]),
        *(_line(cells(row, columns)) for row in rows),
        "",
        *_notes(rows),
    ]
    return "\n".join(lines)


def _notes(rows: Sequence[Row]) -> list[str]:
    lines: list[str] = []
    if any(r.self_reported for r in rows):
        lines += [_SELF_REPORTED, ""]
    unranked = [r for r in rows if r.role == "judge" and r.unranked]
    if unranked and not rows[0].is_sample:  # of samples all are, and the heading says why
        lines += ["Without a rank:", ""]
        lines += [f"- {r.judge} ({r.references} references): {inert(r.unranked)}" for r in unranked]
        lines.append("")
    published = [r for r in rows if r.role == "published"]
    if published:
        lines += ["† Published elsewhere, not recomputed here, never ranked:", ""]
        lines += [f"- {inert(source)}" for source in sorted({r.source for r in published})]
        lines.append("")
    lines += ["<details><summary>Signatures</summary>", ""]
    lines += [f"- {r.judge}: {code(r.signature)}" for r in rows if r.signature]
    return [*lines, "", "</details>", ""]


def _cell(row: Row, key: str) -> str:
    value, interval = number_of(row.numbers, key), interval_of(row.numbers, key)
    if value is None:
        return "" if row.numbers.get(key) is None else "undefined"
    brackets = "" if interval is None else " [{:.3f}, {:.3f}]".format(*interval)
    return f"{value:.3f}{brackets}"


def _line(parts: Iterable[str]) -> str:
    return "| " + " | ".join(parts) + " |"


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
