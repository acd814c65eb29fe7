"""The page of a comparison of two judges on the same items."""

from __future__ import annotations

from collections.abc import Sequence

from videojudge_bench.report.page import Fact, Page, Table
from videojudge_bench.version import __version__

Rows = Sequence[tuple[str, ...]]


def parity_page(
    gold_set: str,
    judges: tuple[str, str],
    facts: Rows,
    findings: Rows,
    items: tuple[Sequence[str], Rows],
    *,
    notes: Sequence[str],
) -> Page:
    """Return the page.

    Args:
        gold_set: name of the set whose items were judged.
        judges: the names of both.
        facts: of each judge: name, of the first, of the second.
        findings: what about, and the finding; the last is the result.
        items: names of the columns, and a row for each item.
        notes: how to read it.
    """
    *found, (_, result) = findings
    head, rows = items
    return Page(
        title=f"{judges[0]} and {judges[1]} on videojudge_{gold_set}",
        lead=f"{result[:1].upper()}{result[1:]}.",
        runs=[f"{letter}: {name}" for letter, name in zip("AB", judges, strict=True)],
        facts=[Fact(name, values) for name, *values in facts],
        tables=[
            Table("The comparison", ("of both", "finding"), found),
            Table("Items, those that differ first", head, rows),
        ],
        notes=[*notes, f"Made by videojudge-bench {__version__}."],
    )
