"""The leaderboard of a page: cards with its headline, and a table and a plot for each gold set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from videojudge_bench import metrics
from videojudge_bench._util.charts import Bar, intervals
from videojudge_bench.leaderboard.rows import Board, Row
from videojudge_bench.leaderboard.stored import interval_of, number_of
from videojudge_bench.leaderboard.tables import by_table, columns_of, title_of

_BASELINES = frozenset({"judge:random", "judge:longest", "judge:constant"})
_RATER = "human_rater"
_MEANINGS = {
    "acc_eq": "pairwise accuracy within a video that credits ties (Deutsch et al. 2023)",
    "accuracy": "share of pairs in which the judge prefers the better answer; half for a tie",
    "both_orders_correct": "share of pairs judged correctly in both orders",
    "coverage": "share of items with a verdict",
    "emscore_rho": "Spearman's rho with each annotator, averaged (EMScore's recipe)",
    "emscore_tau_b": "Kendall's tau-b with each annotator, averaged (EMScore's recipe)",
    "emscore_tau_b_without_0": "emscore_tau_b without the candidate that people wrote",
    "kendall_tau_b": "Kendall's tau-b with the mean of the annotators",
    "order_consistency": "share of pairs whose verdict does not change with the order",
    "psup": "share of wrong options scored below the correct one; half for a tie",
    "psup_strict": "share of wrong options scored below the correct one",
    "rmse": "root mean squared error, in points of the rating scale",
    "spearman": "Spearman's rho with the mean of the annotators",
    "tau_b_within": "Kendall's tau-b within a video, averaged over videos",
    "tie_rate": "share of wrong options scored as the correct one",
    "top1": "share of questions whose correct option has the highest score",
}


@dataclass(frozen=True)
class Card:
    """A headline: a figure with its title, its interval, and what it means."""

    title: str
    figure: str
    interval: str
    text: str


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
        role: `judge`, `baseline`, `human` or `published`.
    """

    rank: str
    opens: bool
    judge: str
    role: str
    note: str
    references: str
    cells: Sequence[Cell]
    signature: str


@dataclass(frozen=True)
class Block:
    """Rows of a table with one number of references, or those of the annotators."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Standing:
    """The table of one form of a gold set; `columns` are names and meanings of its metrics."""

    name: str
    title: str
    about: str
    columns: Sequence[tuple[str, str]]
    blocks: Sequence[Block]
    sources: Sequence[str]
    plot: Markup
    primary: str
    is_sample: bool


def standings_of(board: Board) -> list[Standing]:
    """Return a table for each form of a gold set, gold by people first and samples last."""
    return [_standing(rows) for rows in by_table(board.rows)]


def headline_of(board: Board) -> tuple[str, list[Card]]:
    """Return title and cards of the first full gold set: the best judge of each block, people."""
    tables = [rows for rows in by_table(board.rows) if not rows[0].is_sample]
    if not tables:
        return "", []
    info = tables[0][0].info
    primary = metrics.primary_key(info)
    ranked = [row for row in tables[0] if row.rank is not None]
    judges = [row for row in ranked if not _is_baseline(row)]
    best = [next(block) for _, block in groupby(judges, key=lambda row: row.references)]
    cards = [_best_card(row, ranked, primary) for row in best[:2]]
    return f"{info.title}. {_MEANINGS[primary]}", [*cards, *ceiling_of(tables[0])]


def ceiling_of(rows: Sequence[Row]) -> list[Card]:
    """Return the card of the annotators of a table, where there are several."""
    human = [row for row in rows if row.judge == _RATER]
    title = "People: one annotator against another"
    return [_card(row, metrics.primary_key(row.info), title, _CEILING) for row in human]


def figure_of(row: Row) -> Card:
    """Return the card of a judge's primary metric."""
    primary = metrics.primary_key(row.info)
    why = str(row.numbers.get(primary)) if number_of(row.numbers, primary) is None else ""
    text = why or f"{_MEANINGS[primary]}, {_references(row.references)}"
    return _card(row, primary, f"{row.judge}: {primary}", text)


_CEILING = "A judge at this figure agrees with people as much as they do with each other."


def _best_card(row: Row, ranked: Sequence[Row], primary: str) -> Card:
    others = [r for r in ranked if r.measurement == row.measurement and r is not row]
    above = [r.judge for r in others if (r.rank or 0) < (row.rank or 0)]
    beside = [r.judge for r in others if r.rank == row.rank]
    text = "Significantly above all others." if others else "The only one with a rank."
    if above or beside:
        how = "Significantly below" if above else "Not told apart from"
        text = f"{how} {' and '.join(above or beside)}."
    return _card(row, primary, f"Best judge, {_references(row.references)}: {row.judge}", text)


def _card(row: Row, primary: str, title: str, text: str) -> Card:
    cell = _cell(row, primary)
    return Card(title, cell.text, cell.interval, text)


def _standing(rows: Sequence[Row]) -> Standing:
    info = rows[0].info
    columns, primary = columns_of(info), metrics.primary_key(info)
    about = f"Gold: {info.kind}. Ranked by {primary}: {_MEANINGS[primary]}."
    if rows[0].is_sample:
        about = f"A sample, gold written by a model: not ranked. Ordered by {primary}."
    bars = [bar for row in rows if (bar := _bar(row, primary)) is not None]
    ceiling = next((number_of(row.numbers, primary) for row in rows if row.judge == _RATER), None)
    return Standing(
        name=f"{info.name}-{info.data}",
        title=title_of(info),
        about=about,
        columns=[(key, _MEANINGS[key]) for key in columns],
        blocks=[
            Block(title, [*_lines(list(block), columns)])
            for title, block in groupby(rows, key=_block_title)
        ],
        sources=sorted({row.source for row in rows if row.source}),
        plot=intervals(bars, primary, guide=ceiling) if bars else Markup(),
        primary=primary,
        is_sample=rows[0].is_sample,
    )


def _block_title(row: Row) -> str:
    return "people" if row.role == "human" else _references(row.references)


def _references(count: int) -> str:
    return {0: "no reference", 1: "1 reference"}.get(count, f"{count} references")


def _lines(rows: Sequence[Row], columns: Sequence[str]) -> list[Line]:
    return [_line(row, columns, above) for row, above in zip(rows, (None, *rows), strict=False)]


def _line(row: Row, columns: Sequence[str], above: Row | None) -> Line:
    marks = {"published": " †"}.get(row.role, " (test half)" if row.part == "test" else "")
    return Line(
        rank="" if row.rank is None else str(row.rank),
        opens=above is not None and row.rank != above.rank,
        judge=f"{row.judge}{marks}",
        role="baseline" if _is_baseline(row) else row.role,
        note="" if row.role == "published" else row.unranked,
        references="" if row.role == "human" else str(row.references),
        cells=[_cell(row, key) for key in columns],
        signature=row.signature,
    )


def _is_baseline(row: Row) -> bool:
    return bool(_BASELINES.intersection(row.signature.replace("||", "|").split("|")))


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
    role = "baseline" if _is_baseline(row) else row.role
    return Bar(f"{row.judge}{suffix}", value, low, high, role)
