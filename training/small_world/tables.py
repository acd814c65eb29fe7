"""The numbers of experiments as tables to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from videojudge_bench._util.hashing import Json
from videojudge_bench.training.small_world.measure import ALL, Number
from videojudge_bench.training.small_world.world import KINDS

METRICS: Mapping[str, str] = {
    "spearman": "Spearman with what is deserved",
    "accuracy": "Share of pairs whose better response is named, both orders of each",
}
BIAS = "bias"
"""Of a view: by deserved rating, how far above it the verdicts are."""

_KINDS = (ALL, *KINDS)
_RATINGS = tuple("12345")

View = Mapping[str, Mapping[str, list[float | None]]]


def tables_of(found: Mapping[str, Json]) -> str:
    """Return a page of Markdown: for each experiment its views on every loop, and what they differ.

    Args:
        found: what `experiments.run_experiments` writes into `numbers.json`: by
            `experiment/loop`, then by view and figure, each a value and its interval.
    """
    by_name: dict[str, dict[str, Mapping[str, View]]] = {}
    for key, views in found.items():
        name, _, loop = key.partition("/")
        by_name.setdefault(name, {})[loop] = cast("Mapping[str, View]", views)
    lines = [
        "# Experiments in the small world",
        "",
        "The numbers of `numbers.json`, as `… small_world experiments` writes them. Brackets hold",
        "95 % intervals by resampling videos.",
        "",
    ]
    for name, loops in by_name.items():
        lines += [f"## {name}", "", *_experiment(loops)]
    return "\n".join(lines).rstrip() + "\n"


def _experiment(loops: Mapping[str, Mapping[str, View]]) -> Iterator[str]:
    for metric, title in METRICS.items():
        rows = _rows(loops, metric)
        if rows:
            yield from _table(title, rows, _KINDS)
    differences = sorted({m for views in loops.values() for v in views.values() for m in v})
    for metric in differences:
        if metric.startswith("less "):
            title = f"{metric[0].upper()}{metric[1:]}, where both gave a verdict"
            yield from _table(title, _rows(loops, metric), _KINDS)
    if rows := _rows(loops, BIAS):
        yield from _table("Points of the scale above what is deserved, by that", rows, _RATINGS)


def _rows(
    loops: Mapping[str, Mapping[str, View]], metric: str
) -> dict[str, Mapping[str, list[float | None]]]:
    names = dict.fromkeys(name for views in loops.values() for name in views)
    return {
        f"{name}, {loop}": views[name][metric]
        for name in names
        for loop, views in loops.items()
        if metric in views.get(name, {})
    }


def _table(
    title: str, rows: Mapping[str, Mapping[str, list[float | None]]], columns: tuple[str, ...]
) -> Iterator[str]:
    yield from (f"{title}:", "", f"| | {' | '.join(columns)} |")
    yield f"|---{'|---' * len(columns)}|"
    for name, values in rows.items():
        cells = (str(Number(*values[c])) if c in values else "" for c in columns)
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
