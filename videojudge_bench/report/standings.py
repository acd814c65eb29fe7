"""The leaderboard of a page: a table and a plot for each form of a gold set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from videojudge_bench import metrics
from videojudge_bench._util.charts import Bar, intervals
from videojudge_bench.leaderboard.rows import Board, Row
from videojudge_bench.leaderboard.stored import interval_of, number_of
from videojudge_bench.leaderboard.tables import by_table, columns_of, title_of


@dataclass(frozen=True)
class Cell:
    """A number in a table: its text, its interval, its sort key, and why it is missing."""

    text: str
    interval: str
    sort: str
    why: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a table.

    Attributes:
        rank: the rank cluster, or empty.
        opens: whether it is the first of its cluster.
        begins: whether the row above has another role or another number of references.
        role: `judge`, `human` or `published`.
    """

    rank: str
    opens: bool
    begins: bool
    judge: str
    role: str
    note: str
    references: str
    cells: Sequence[Cell]
    signature: str


@dataclass(frozen=True)
class Standing:
    """The table of one form of a gold set."""

    name: str
    title: str
    about: str
    columns: Sequence[str]
    lines: Sequence[Line]
    sources: Sequence[str]
    plot: Markup
    primary: str


def standings_of(board: Board) -> list[Standing]:
    """Return a table for each form of a gold set, samples last."""
    return [_standing(rows) for rows in by_table(board.rows)]


def _standing(rows: Sequence[Row]) -> Standing:
    info = rows[0].info
    columns, primary = columns_of(info), metrics.primary_key(info)
    about = f"Gold: {info.kind}. Ranked by {primary}."
    if rows[0].is_sample:
        about = f"A sample, gold written by a model: not ranked. Ordered by {primary}."
    lines = [_line(row, columns, above) for row, above in zip(rows, (None, *rows), strict=False)]
    sources = sorted({row.source for row in rows if row.source})
    name = f"{info.name}-{info.data}"
    bars = [bar for row in rows if (bar := _bar(row, primary)) is not None]
    plot = intervals(bars, primary) if bars else Markup()
    return Standing(name, title_of(info), about, columns, lines, sources, plot, primary)


def _line(row: Row, columns: Sequence[str], above: Row | None) -> Line:
    marks = {"published": " †"}.get(row.role, " (test half)" if row.part == "test" else "")
    begins = above is not None and (above.role, above.references) != (row.role, row.references)
    return Line(
        rank="" if row.rank is None else str(row.rank),
        opens=above is not None and row.rank != above.rank and not begins,
        begins=begins,
        judge=f"{row.judge}{marks}",
        role=row.role,
        note="" if row.role == "published" else row.unranked,
        references="" if row.role == "human" else str(row.references),
        cells=[_cell(row, key) for key in columns],
        signature=row.signature,
    )


def _cell(row: Row, key: str) -> Cell:
    value, interval = number_of(row.numbers, key), interval_of(row.numbers, key)
    if value is None:
        why = row.numbers.get(key)
        return Cell("" if why is None else "–", "", "", why=str(why or ""))
    interval_text = "" if interval is None else "{:.3f} to {:.3f}".format(*interval)
    return Cell(f"{value:.3f}", interval_text, f"{value:.6f}")


def _bar(row: Row, key: str) -> Bar | None:
    value = number_of(row.numbers, key)
    if value is None:
        return None
    low, high = interval_of(row.numbers, key) or (None, None)
    suffix = "" if row.role == "human" else f" · {row.references} ref"
    return Bar(f"{row.judge}{suffix}", value, low, high, row.role)
