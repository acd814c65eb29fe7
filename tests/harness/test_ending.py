"""End of an evaluation: rows of the host's table, headlines and the next command."""

from __future__ import annotations

from pathlib import Path

import pytest
from lmms_eval.utils import make_table

from videojudge_bench import goldsets, metrics
from videojudge_bench.harness import ending


def results(*names: str) -> dict[str, dict[str, dict[str, object]]]:
    """Results of the host with every metric of some tasks."""
    values: dict[str, dict[str, object]] = {}
    for name in names:
        keys = metrics.all_keys(goldsets.info(name))
        values[f"videojudge_{name}"] = {
            "alias": f"videojudge_{name}",
            **{f"{key},none": 0.5 for key in keys},
            **{f"{key}_stderr,none": "N/A" for key in keys},
        }
    values["mme"] = {"alias": "mme", "mme_score,none": 1.0, "mme_score_stderr,none": "N/A"}
    return {"results": values, "n-shot": {}, "higher_is_better": {}}


@pytest.mark.parametrize("name", ["vatex", "llava", "nextqa", "pairwise"])
def test_the_table_has_at_most_20_rows_a_task_and_the_primary_metric(name: str) -> None:
    lines = ending.shortened(make_table)(results(name)).splitlines()
    rows = [line.split("|")[4].strip() for line in lines[2:]]
    ours = rows[: rows.index("mme_score")]
    primary = metrics.primary_key(goldsets.info(name))
    assert len(ours) <= 20
    assert {primary, f"{primary}_low", f"{primary}_high", "coverage", "n"} <= set(ours)


def test_all_rows_are_kept_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ending.ALL_METRICS, "all")
    lines = ending.shortened(make_table)(results("vatex")).splitlines()
    assert len(lines) > 60
    assert ending.shortened(make_table)(results("vatex")) == make_table(results("vatex"))


def test_headlines_and_the_next_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = [
        ending.Finished("videojudge_llava: spearman 0.5", Path("j/llava")),
        ending.Finished("videojudge_vcg: not applicable: no references", None),
    ]
    monkeypatch.setattr(ending, "finished", done)
    ending.say_next()
    assert capsys.readouterr().out.splitlines() == [
        "videojudge_llava: spearman 0.5",
        "videojudge_vcg: not applicable: no references",
        "journal: j/llava",
        "next: videojudge leaderboard add j/llava",
    ]
    monkeypatch.setattr(ending, "finished", [])
    ending.say_next()
    assert capsys.readouterr().out == ""
