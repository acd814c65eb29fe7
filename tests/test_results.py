"""The committed results are what the committed runs give."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from videojudge_bench import goldsets
from videojudge_bench.leaderboard import importing, rows, stored, tables
from videojudge_bench.leaderboard.comparing import read_tests
from videojudge_bench.leaderboard.stored import (
    MAX_VERDICTS_BYTES,
    VERDICTS_FILE,
    StoredRun,
    kept_info,
)
from videojudge_bench.metrics.compare import compare
from videojudge_bench.report import making, page

RESULTS = Path(__file__).parents[1] / "results"
FOLDERS = sorted(path.parent for path in (RESULTS / "runs").glob("*/*/run.json"))
RUNS = {f"{folder.parent.name}/{folder.name}": stored.read_run(folder) for folder in FOLDERS}

# EMScore's recipe, tau-b and rho x 100, as other code had worked them out on the same data before;
# GAS as its authors' own summary has it.
KNOWN = {
    "bleu1-1ref": (12.2, 15.9),
    "rouge_l-1ref": (12.5, 16.3),
    "cider-1ref": (17.3, 22.6),
    "gas-nv-embed-1ref": (32.2, 41.5),
    "bleu1-9ref": (28.9, 37.0),
    "rouge_l-9ref": (23.8, 30.8),
    "cider-9ref": (27.8, 36.1),
    "gas-nv-embed-9ref": (42.4, 53.9),
    "minilm-1ref": (28.4, 36.7),
    "minilm-9ref": (38.6, 49.4),
}


def _value(run: StoredRun, key: str) -> float:
    value = run.numbers[key]
    assert isinstance(value, float)
    return value


@pytest.mark.parametrize("name", KNOWN)
def test_a_run_has_the_known_figures(name: str) -> None:
    run = RUNS[f"vatex/{name}"]
    tau_b, rho = KNOWN[name]
    assert 100 * _value(run, "emscore_tau_b") == pytest.approx(tau_b, abs=0.15)
    assert 100 * _value(run, "emscore_rho") == pytest.approx(rho, abs=0.15)


@pytest.mark.parametrize("name", RUNS)
def test_the_numbers_of_a_run_follow_from_its_verdicts(name: str) -> None:
    run = RUNS[name]
    again = importing.rescored(run, resamples=20)
    assert again.confusion == run.confusion
    for key, value in run.numbers.items():
        if key.endswith(("_low", "_high")):
            continue
        found = again.numbers[key]
        if isinstance(value, float):
            assert isinstance(found, float)
            assert found == pytest.approx(value, abs=2e-6), key
        else:
            assert found == value, key


@pytest.mark.parametrize("name", ["vatex/random-0ref", "nextqa/longest-0ref"])
def test_the_intervals_of_a_run_follow_from_its_verdicts(name: str) -> None:
    run = RUNS[name]
    again = importing.rescored(run)
    for key, value in run.numbers.items():
        if isinstance(value, float):
            assert again.numbers[key] == pytest.approx(value, abs=2e-6), key


@pytest.mark.parametrize("name", RUNS)
def test_a_run_covers_its_whole_set_and_is_small(name: str) -> None:
    run = RUNS[name]
    gold_set = goldsets.load(run.gold_set, run.info.data)
    assert run.verdicts.keys() == gold_set.by_id.keys()
    assert (run.info, run.examples) == (kept_info(gold_set.info), len(gold_set.examples))
    size = (RESULTS / "runs" / name / VERDICTS_FILE).stat().st_size
    assert size <= MAX_VERDICTS_BYTES


def test_the_tables_follow_from_the_runs(tmp_path: Path) -> None:
    board = rows.build(
        list(RUNS.values()),
        published=rows.read_published(RESULTS / "published" / "figures.json"),
        known_tests=read_tests(RESULTS / tables.TESTS),
    )
    page.write(making.board_page(board), tmp_path / making.INDEX)
    for path in [*tables.write_tables(board, tmp_path), tmp_path / making.INDEX]:
        assert path.read_text("utf-8") == (RESULTS / path.name).read_text("utf-8"), path.name


def test_the_human_rows_have_the_known_figures() -> None:
    board = rows.build([RUNS["vatex/constant-0ref"]])
    human = {row.judge: row.numbers for row in board.rows if row.role == "human"}
    for name, tau_b, rho in (("human_rater", 56.8, 62.8), ("human_mean", 77.1, 85.9)):
        for key, expected in (("emscore_tau_b", tau_b), ("emscore_rho", rho)):
            value = human[name][key]
            assert isinstance(value, float)
            assert 100 * value == pytest.approx(expected, abs=0.06)


@pytest.mark.slow
def test_the_paired_tests_follow_from_the_runs() -> None:
    by_name = {(run.gold_set, run.references, run.name): run for run in RUNS.values()}
    for test in read_tests(RESULTS / tables.TESTS):
        a, b = (by_name[test.gold_set, test.references, name] for name in (test.a, test.b))
        gold_set = goldsets.load(test.gold_set, a.info.data)
        found = compare(gold_set, a.judgements, b.judgements, statistic=test.statistic)
        assert math.isclose(found.difference, test.difference, abs_tol=1e-9)
        assert math.isclose(found.p_value, test.p_value, abs_tol=1e-3)
