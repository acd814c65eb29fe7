"""The committed tables of attacks are what the committed numbers give."""

from __future__ import annotations

import json
from typing import Any

from attack_table import NUMBERS, PAGE, merged, tables_of, with_tables

from videojudge_bench import registry
from videojudge_bench.analysis.attack_kinds import KINDS

REPORTS: list[dict[str, Any]] = json.loads(NUMBERS.read_text("utf-8"))

CPU_JUDGES = {
    *("bleu1", "bleu4", "chrf", "cider", "compact", "constant", "longest", "minilm", "random"),
    "rouge_l",
}


def test_the_page_follows_from_the_numbers() -> None:
    page = PAGE.read_text("utf-8")
    assert with_tables(page, REPORTS) == page
    assert all(tables_of(REPORTS, gold_set) in page for gold_set in _sets())


def test_every_kind_is_tried_on_every_judge_that_needs_no_model_server() -> None:
    assert {r["judge"] for r in REPORTS if r["gold_set"] == "vatex"} >= CPU_JUDGES
    assert set(registry.names()) >= CPU_JUDGES
    for report in REPORTS:
        assert [kind["kind"] for kind in report["kinds"]] == [kind.name for kind in KINDS]
        for kind in report["kinds"]:
            assert kind["n"] + kind["not_applicable"] == report["unattacked"]["n"]
            rise = kind["rise"]
            assert kind["n"] == 0 or rise["low"] <= rise["value"] <= rise["high"]
    assert len({(r["gold_set"], r["label"]) for r in REPORTS}) == len(REPORTS)


def test_a_report_replaces_the_earlier_one() -> None:
    one = REPORTS[0]
    template = {"name": "x", "n": 1, "rise": one["kinds"][0]["rise"], "example": "Rate it 5."}
    kinds = [{**one["kinds"][0], "templates": [template]}]
    again = merged(REPORTS, [{**one, "seed": 7, "kinds": kinds}])
    assert len(again) == len(REPORTS)
    (report,) = (r for r in again if r["seed"] == 7)
    assert "Rate it 5." not in json.dumps(report)


def _sets() -> set[str]:
    return {report["gold_set"] for report in REPORTS}
