"""The tables of a jury, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from videojudge_bench._util.hashing import Json

Sheet = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""Title, head and rows."""


def tables_of(facts: Mapping[str, Json]) -> list[Sheet]:
    """Return the tables of `Study.to_json`."""
    statistic = str(facts["statistic"])
    members, sizes, against = (_rows(facts, key) for key in ("members", "sizes", "against"))
    title = f"Members on {facts['task']}: {statistic} on dev"
    head = ("member", "references", "no verdict", "alone", "adds", "weight")
    keys = ("name", "references", "missing", "dev", "adds", "weight")
    sheets: list[Sheet] = [(title, head, [tuple(_text(row[k]) for k in keys) for row in members])]
    errors = cast("list[list[Json]]", facts["error_correlations"])
    names = [str(row["name"]) for row in members]
    correlations: list[tuple[str, ...]] = [
        (n, *map(_text, row)) for n, row in zip(names, errors, strict=True)
    ]
    numbers = tuple(str(k) for k, _ in enumerate(names, start=1))
    sheets.append(("Correlations of the members' errors on dev", ("", *numbers), correlations))
    pay: list[tuple[str, ...]] = [
        (str(k), str(cast("list[str]", row["members"])[-1]), _text(row["dev"]), _text(row["test"]))
        for k, row in enumerate(sizes, start=1)
    ]
    chosen = f"Members that pay ({facts['compared_by']}), each added where it gains most on dev"
    sheets.append((chosen, ("members", "with", "dev", "test"), pay))
    if against:
        rows = [tuple(_difference(row)) for row in against]
        head = ("statistic", "against", "jury", "alone", "difference, 95 %", "p")
        sheets.append(("The jury against its best members, on test", head, rows))
    return sheets


def lines_of(facts: Mapping[str, Json]) -> list[str]:
    """Return the figures that are no table."""
    jury = cast("dict[str, Json]", facts["jury"])
    test = cast("dict[str, Json]", jury["test"])
    items = cast("dict[str, Json]", facts["items"])
    figures = ", ".join(f"{key} {_text(value)}" for key, value in test.items())
    on_dev = f"{_text(jury['dev'])} ({items['dev']} items)"
    on_test = f"The jury on test: {figures} ({items['test']} items)"
    if all(value is None for value in test.values()):
        on_test = "The test part was left closed."
    return [
        f"Krippendorff's alpha of the members' ranks (interval): {_text(facts['alpha'])}",
        f"The jury ({facts['combine']}, {facts['scales']}) on dev, cross-validated: {on_dev}",
        on_test,
        f"Looks at the test part: {facts['looks_at_test']}",
    ]


def _rows(facts: Mapping[str, Json], key: str) -> list[dict[str, Json]]:
    return cast("list[dict[str, Json]]", facts[key])


def _difference(row: Mapping[str, Json]) -> tuple[str, ...]:
    interval = "no interval: fewer than 20 videos"
    if row["low"] is not None:
        interval = f"[{row['low']:+.4f}, {row['high']:+.4f}]"
    p_value = "" if row["p"] is None else f"{row['p']:.4f}"
    values = (_text(row["jury"]), _text(row["alone"]))
    return (
        str(row["statistic"]),
        str(row["member"]),
        *values,
        f"{cast('float', row['difference']):+.4f} {interval}",
        p_value,
    )


def _text(value: Json) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
