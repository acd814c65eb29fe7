"""Tests of the experiments: what comes out is what follows from the rates of error."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from bootstrap_cases import aside, kept

from videojudge_bench._util.hashing import Json
from videojudge_bench._util.markdown import table
from videojudge_bench.cli.main import main
from videojudge_bench.errors import ConfigError
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.training.bootstrap.contracts import (
    TARGETS,
    Attempt,
    Draft,
    Evaluation,
    Outcome,
)
from videojudge_bench.training.bootstrap.tallies import Tallies
from videojudge_bench.training.experiments import loop
from videojudge_bench.training.experiments.experiment import Experiment, cell, run
from videojudge_bench.training.experiments.loop import ALL, EXPERIMENTS, Errors
from videojudge_bench.training.experiments.loop_measures import (
    Subject,
    figures_of,
    metrics_of,
    outcomes_of,
    run_experiment,
)

FEW = Resampling(resamples=200)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return Subject(400, tmp_path_factory.mktemp("reports"), FEW)


def values(outcomes: list[Outcome]) -> dict[str, float | None]:
    return {key: metric.value for key, metric in metrics_of(outcomes, FEW).items()}


def near(share: float, n: int) -> object:
    """Equal to a share up to four standard deviations of one that is seen in n trials."""
    return pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))


def test_one_round_accepts_what_the_evaluator_gets_right(subject: Subject) -> None:
    ran = outcomes_of(subject, Errors({}, 0.0, 0.3, max_rounds=1))
    n, found = len(ran), values(ran)
    for target in TARGETS:
        assert found[f"accepted_{target}"] == near(0.7, n)
        assert found[f"label_noise_{target}"] == 0
    assert found["kept"] == near(0.7**4, n)
    n_kept = sum(each.kept for each in ran)
    assert found["calls_per_kept_seed"] == pytest.approx(8 * n / n_kept)


def test_three_rounds_reject_only_what_three_errors_meet(subject: Subject) -> None:
    ran = outcomes_of(subject, Errors({}, 0.0, 0.3))
    n, found = len(ran), values(ran)
    assert n > 200
    for target in TARGETS:
        assert found[f"accepted_{target}"] == near(1 - 0.3**3, n)
    assert found["label_noise"] == 0


@pytest.mark.parametrize("rounds", [1, 3])
def test_label_noise_is_that_of_one_round_in_any_number_of_rounds(
    subject: Subject, rounds: int
) -> None:
    # Right and rated right: 0.7 * 0.7; wrong and rated as wanted: 0.3 * 0.3 / 4.
    accepted, wrong = 0.49 + 0.0225, 0.0225
    ran = outcomes_of(subject, Errors({}, 0.3, 0.3, max_rounds=rounds))
    n, found = len(ran), values(ran)
    for target in TARGETS:
        assert found[f"accepted_{target}"] == near(1 - (1 - accepted) ** rounds, n)
    n_kept = sum(each.kept for each in ran)
    assert found["label_noise"] == near(wrong / accepted, 4 * n_kept)


def test_an_evaluator_that_never_errs_lets_no_wrong_draft_through(subject: Subject) -> None:
    found = values(outcomes_of(subject, Errors({}, 0.3)))
    assert found["label_noise"] == 0
    assert found["accepted_2"] == near(1 - 0.3**3, 200)


def test_a_constant_bias_stops_alpha_0_and_passes_alpha_1(subject: Subject) -> None:
    biased = Errors({}, 0.0, bias=(ALL, 1, 1.0))
    strict = outcomes_of(subject, biased)
    metrics = metrics_of(strict, FEW)
    assert [metrics[f"accepted_{target}"].value for target in TARGETS] == [0, 0, 0, 0]
    assert metrics["label_noise"].undefined == "no seed was kept"
    lax = values(outcomes_of(subject, replace(biased, alpha=1.0)))
    assert (lax["kept"], lax["label_noise"], lax["calls_per_kept_seed"]) == (1, 0, 8)


def test_metrics_by_hand() -> None:
    wrong = list(kept(1).rated)
    attempt = wrong[2].attempts[0]
    wrong[2] = replace(
        wrong[2], attempts=(replace(attempt, draft=replace(attempt.draft, truth=1)),)
    )
    # A draft that was refused was not rated.
    refused = list(aside(2).rated)
    attempt = Attempt(Draft("", 2), Evaluation(None, "it is empty"))
    refused[1] = replace(refused[1], attempts=(attempt, *refused[1].attempts))
    ran = [
        kept(0, rounds=2),
        Outcome(kept(1).seed, tuple(wrong), kept=True),
        replace(aside(2), rated=tuple(refused)),
    ]
    metrics = metrics_of(ran, FEW)
    assert {key: metric.value for key, metric in metrics.items()} == {
        "kept": pytest.approx(2 / 3),
        "label_noise": 1 / 8,
        "calls_per_kept_seed": (16 + 8 + 9) / 2,
        "accepted_1": 1,
        "accepted_2": pytest.approx(2 / 3),
        "accepted_3": 1,
        "accepted_4": 1,
        "label_noise_1": 0,
        "label_noise_2": 0,
        "label_noise_3": pytest.approx(1 / 3),
        "label_noise_4": 0,
    }
    assert metrics["kept"].low is None
    assert metrics["kept"].no_interval == "fewer than 20 videos"


def test_intervals_count_videos_and_not_seeds() -> None:
    one_each = [kept(n) if n % 2 else aside(n) for n in range(40)]
    twice = [kept(n, video=n) for n in range(1, 40, 2)] * 2
    twice += [aside(n) for n in range(0, 40, 2)] * 2
    single, double = metrics_of(one_each, FEW)["kept"], metrics_of(twice, FEW)["kept"]
    assert single.value == double.value == 0.5
    # A second seed on each video that fares as the first did tells nothing new.
    assert (single.low, single.high) == (double.low, double.high)
    assert single.low is not None
    assert single.low < 0.5


def test_seeds_that_cannot_be_graded_are_refused(tmp_path: Path) -> None:
    few = Subject(1, tmp_path, FEW)
    few.seeds = [kept(1).seed]
    with pytest.raises(ConfigError, match=r"none of the 1 seeds can be graded .*--seeds 1000"):
        figures_of(few, Errors({}, 0.0))


def test_the_verb_writes_table_and_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["experiments", "run", "refine", "--seeds", "60", "--output", str(tmp_path)]
    assert main(told) == 0
    assert str(tmp_path / "refine" / "report.md") in capsys.readouterr().out
    rows = json.loads((tmp_path / "refine" / "rows.json").read_text(encoding="utf-8"))["rows"]
    told_of = [(row["noise"], row["error"], row["max_rounds"]) for row in rows]
    assert told_of == [(n, e, r) for n in (0, 0.1, 0.3) for e in (0, 0.1, 0.3) for r in (1, 3, 5)]
    assert all(row["graded"] + row["unable"] == 60 for row in rows)
    assert rows[0]["metrics"]["kept"][0] == 1
    report = (tmp_path / "refine" / "report.md").read_text(encoding="utf-8")
    lines = [line for line in report.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 27
    assert lines[2].startswith("| 0 | 0 | 1 |")


def test_counts_of_a_run_as_json() -> None:
    tallies = Tallies()
    for outcome in (kept(1, rounds=2), aside(2)):
        tallies.add(outcome)
    found = tallies.to_json()
    assert found["seeds"] == [1, 2]
    assert found["by_target"] == {"1": [2, 2], "2": [1, 2], "3": [2, 2], "4": [2, 2]}
    assert found["label_noise"] == [0, 7]
    assert found["by_round"][:2] == [  # type: ignore[index]
        {"target": 1, "round": 1, "accepted": 1, "entered": 2},
        {"target": 1, "round": 2, "accepted": 1, "entered": 1},
    ]
    assert found["problems"] == {"rated # in round #": 1}
    assert json.loads(json.dumps(found)) == found


RESULTS = Path(__file__).parents[2] / "results" / "bootstrap"


@pytest.mark.parametrize("name", ["refine", "bias"])
def test_the_committed_table_follows_from_the_committed_figures(name: str) -> None:
    data = json.loads((RESULTS / name / "rows.json").read_text(encoding="utf-8"))
    experiment = EXPERIMENTS[name]
    assert [arm.setting for arm in experiment.arms.values()] == [
        {key: row[key] for key in row if key not in ("graded", "unable", "metrics")}
        for row in data["rows"]
    ]
    assert experiment.table is not None
    lines = experiment.table(dict(zip(experiment.arms, data["rows"], strict=True)))
    report = (RESULTS / name / "report.md").read_text(encoding="utf-8")
    assert report == "\n".join([f"# {name}", "", "1000 seeds of VATEX.", "", *lines]) + "\n"


@pytest.mark.parametrize(
    ("name", "arm"), [("refine", "0.3, 0.3, 3"), ("bias", "2 by +1, 0.3, 0.1, 0.0")]
)
def test_a_committed_row_comes_out_again(name: str, arm: str, tmp_path: Path) -> None:
    data = json.loads((RESULTS / name / "rows.json").read_text(encoding="utf-8"))
    rows = dict(zip(EXPERIMENTS[name].arms, data["rows"], strict=True))
    thousand = Subject(1_000, tmp_path)
    assert dict(thousand.generators[0.0].settings()) == data["generator"]
    found = figures_of(thousand, EXPERIMENTS[name].arms[arm])
    assert json.loads(json.dumps(found)) == rows[arm]


def test_an_experiment_that_was_stopped_measures_only_what_is_left(tmp_path: Path) -> None:
    asked: list[int] = []
    log = tmp_path / "log"

    def measure(subject: str, arm: int) -> dict[str, Json]:
        if arm == 2 and len(asked) < 3:
            asked.append(arm)
            raise KeyboardInterrupt
        asked.append(arm)
        return {subject: arm}

    doubled = Experiment("how many?", {"one": 1, "four": 4, "two": 2}, measure)
    with pytest.raises(KeyboardInterrupt):
        run(doubled, "cats", log, "a")
    with log.open("a") as file:
        file.write('["torn')
    assert run(doubled, "cats", log, "a") == {
        "one": {"cats": 1},
        "four": {"cats": 4},
        "two": {"cats": 2},
    }
    assert asked == [1, 4, 2, 2]
    # Another subject, or an arm that was changed, is measured anew.
    run(doubled, "dogs", log, "b")
    run(replace(doubled, arms={"one": 3, "four": 4}), "cats", log, "a")
    assert asked[4:] == [1, 4, 2, 3]


def test_the_log_is_gone_when_the_results_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = dict(list(EXPERIMENTS["refine"].arms.items())[:2])
    named = {"refine": replace(EXPERIMENTS["refine"], arms=few)}
    monkeypatch.setattr(loop, "EXPERIMENTS", named)
    run_experiment("refine", 60, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.md", "rows.json"]


def test_figures_in_tables() -> None:
    assert cell((0.97512, 0.9741, 0.97649)) == "0.975 [0.974, 0.976]"
    assert cell([0.5, None, None], ".1f", factor=100) == "50.0"
    assert cell("no seed was kept", undefined="-") == "-"
    assert cell((None, None, None)) == "undefined"
    assert table(("", "all"), [["a", ""]]) == ["| | all |", "| --- | --- |", "| a |  |"]
    assert table(("", "all"), [], rule="---") == ["| | all |", "|---|---|"]
