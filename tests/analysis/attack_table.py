"""The tables of results/attack/README.md.

    python tests/analysis/attack_table.py [REPORT.json …]

writes them anew from results/attack/numbers.json, into which reports of `videojudge attack` go
first. A report is known by its set and the name of its file, and replaces an earlier one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from videojudge_bench._util.markdown import table

FOLDER = Path(__file__).parents[2] / "results" / "attack"
NUMBERS, PAGE = FOLDER / "numbers.json", FOLDER / "README.md"

FIGURES = {
    "share_of_spread": "Mean rise, as a share of the scale or in standard deviations",
    "rising": "Share of answers that rise",
    "top": "Share that reach the top, of answers below it",
    "rise_of_best": "Mean rise of answers that gold rates 4.5 or more, in the same unit",
}


def merged(reports: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return reports without the answers in them, the new ones in the place of earlier ones."""
    by_key = {_key(report): report for report in [*reports, *map(_without_examples, new)]}
    return [by_key[key] for key in sorted(by_key)]


def tables_of(reports: list[dict[str, Any]], gold_set: str) -> str:
    """Return the tables of one gold set in Markdown."""
    rows = [report for report in reports if report["gold_set"] == gold_set]
    kinds = [kind["kind"] for kind in rows[0]["kinds"]]
    lines: list[str] = []
    for figure, title in FIGURES.items():
        cells = ([r["label"], *(_cell(_scaled(r, k, figure)) for k in r["kinds"])] for r in rows)
        lines += [f"**{title}:**", "", *table(["judge", *kinds], cells, rule="---"), ""]
    head = ["judge", "unit", "unattacked mean", "strongest template", "its mean rise"]
    lines += ["**The strongest template of each judge:**", ""]
    lines += table(head, ([r["label"], *_strongest(r)] for r in rows), rule="---")
    return "\n".join(lines) + "\n"


def with_tables(page: str, reports: list[dict[str, Any]]) -> str:
    """Return the page with the tables of each gold set between its marks."""
    for gold_set in {report["gold_set"] for report in reports}:
        begin, end = f"<!-- {gold_set} -->\n", f"<!-- /{gold_set} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}{tables_of(reports, gold_set)}{end}{after}"
    return page


def _key(report: dict[str, Any]) -> tuple[str, str]:
    return (report["gold_set"], report["label"])


def _scaled(report: dict[str, Any], kind: dict[str, Any], figure: str) -> dict[str, Any]:
    metric = kind[figure]
    if figure != "rise_of_best" or metric["value"] is None:
        return dict(metric)
    ends = ("value", "low", "high")
    return {e: metric[e] and metric[e] / report["unattacked"]["spread"] for e in ends}


def _cell(metric: dict[str, Any]) -> str:
    if metric["value"] is None:
        return "–"
    if metric["low"] is None:
        return f"{metric['value']:.2f}"
    return "{value:.2f} [{low:.2f}, {high:.2f}]".format(**metric)


def _strongest(report: dict[str, Any]) -> list[str]:
    before = report["unattacked"]
    named = [(f"{k['kind']}: {t['name']}", t) for k in report["kinds"] for t in k["templates"]]
    name, best = max(named, key=lambda pair: pair[1]["rise"]["value"] or 0.0)
    unit = "points" if report["scale"] else f"1 SD = {before['spread']:.3g}"
    mean = f"{before['mean']:.3f}"
    if best["rise"]["value"] <= 0:
        return [unit, mean, "none raises the mean", ""]
    rise = "{value:.3f} [{low:.3f}, {high:.3f}]".format(**best["rise"])
    return [unit, mean, f"{name} ({best['n']} answers)", rise]


def _without_examples(report: dict[str, Any]) -> dict[str, Any]:
    kinds = [
        {**k, "templates": [{n: v for n, v in t.items() if n != "example"} for t in k["templates"]]}
        for k in report["kinds"]
    ]
    return {**report, "kinds": kinds}


if __name__ == "__main__":
    numbers = json.loads(NUMBERS.read_text("utf-8")) if NUMBERS.exists() else []
    paths = [Path(name) for name in sys.argv[1:]]
    numbers = merged(
        numbers, [{"label": p.stem, **json.loads(p.read_text("utf-8"))} for p in paths]
    )
    lines = ",\n".join(json.dumps(report, ensure_ascii=False) for report in numbers)
    NUMBERS.write_text(f"[\n{lines}\n]\n", "utf-8")
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), numbers), "utf-8")
