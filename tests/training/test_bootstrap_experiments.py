"""Tests of the experiments: what comes out is what follows from the rates of error."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from bootstrap_cases import aside, kept

from videojudge_bench.cli.main import main
from videojudge_bench.errors import ConfigError
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.training.bootstrap.contracts import TARGETS, Outcome, Seed
from videojudge_bench.training.bootstrap.experiments import (
    Drafts,
    Ran,
    metrics_of,
    refine,
    run,
)
from videojudge_bench.training.bootstrap.experiments_cli import tallies_to_json
from videojudge_bench.training.bootstrap.known_error import BiasedEvaluator, TruthEvaluator
from videojudge_bench.training.bootstrap.loop import Rules
from videojudge_bench.training.bootstrap.options import load_options
from videojudge_bench.training.bootstrap.perturb import Perturb
from videojudge_bench.training.bootstrap.seeds import collect_seeds
from videojudge_bench.training.bootstrap.tallies import Tallies

FEW = Resampling(resamples=200)


@pytest.fixture(scope="module")
def seeds() -> list[Seed]:
    return list(collect_seeds(load_options("embedded", ["seeds.n=400"]).seeds).seeds)


@pytest.fixture(scope="module")
def right(seeds: list[Seed]) -> Drafts:
    """Drafts that deserve what was asked for."""
    return Drafts(Perturb(seeds))


@pytest.fixture(scope="module")
def noisy(seeds: list[Seed]) -> Drafts:
    """Drafts of which three in ten deserve another rating."""
    return Drafts(Perturb(seeds, noise=0.3))


def graded(ran: list[Ran]) -> list[Ran]:
    return [each for each in ran if not each.unable]


def values(ran: list[Ran]) -> dict[str, float | None]:
    return {key: metric.value for key, metric in metrics_of(graded(ran), FEW).items()}


def near(share: float, n: int) -> object:
    """Equal to a share up to four standard deviations of one that is seen in n trials."""
    return pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))


def test_one_round_accepts_what_the_evaluator_gets_right(seeds: list[Seed], right: Drafts) -> None:
    ran = run(seeds, right, TruthEvaluator(0.3), Rules(max_rounds=1))
    n, found = len(graded(ran)), values(ran)
    for target in TARGETS:
        assert found[f"accepted_{target}"] == near(0.7, n)
        assert found[f"label_noise_{target}"] == 0
    assert found["kept"] == near(0.7**4, n)
    n_kept = sum(each.outcome.kept for each in ran)
    assert found["calls_per_kept_seed"] == pytest.approx(8 * n / n_kept)


def test_three_rounds_reject_only_what_three_errors_meet(seeds: list[Seed], right: Drafts) -> None:
    ran = run(seeds, right, TruthEvaluator(0.3), Rules(max_rounds=3))
    n, found = len(graded(ran)), values(ran)
    assert n > 200
    for target in TARGETS:
        assert found[f"accepted_{target}"] == near(1 - 0.3**3, n)
    assert found["label_noise"] == 0


@pytest.mark.parametrize("rounds", [1, 3])
def test_label_noise_is_that_of_one_round_in_any_number_of_rounds(
    seeds: list[Seed], noisy: Drafts, rounds: int
) -> None:
    # Right and rated right: 0.7 * 0.7; wrong and rated as wanted: 0.3 * 0.3 / 4.
    accepted, wrong = 0.49 + 0.0225, 0.0225
    ran = run(seeds, noisy, TruthEvaluator(0.3), Rules(max_rounds=rounds))
    n, found = len(graded(ran)), values(ran)
    for target in TARGETS:
        assert found[f"accepted_{target}"] == near(1 - (1 - accepted) ** rounds, n)
    n_kept = sum(each.outcome.kept for each in graded(ran))
    assert found["label_noise"] == near(wrong / accepted, 4 * n_kept)


def test_an_evaluator_that_never_errs_lets_no_wrong_draft_through(
    seeds: list[Seed], noisy: Drafts
) -> None:
    found = values(run(seeds, noisy, TruthEvaluator(), Rules(max_rounds=3)))
    assert found["label_noise"] == 0
    assert found["accepted_2"] == near(1 - 0.3**3, 200)


def test_a_constant_bias_stops_alpha_0_and_passes_alpha_1(seeds: list[Seed], right: Drafts) -> None:
    biased = BiasedEvaluator(TruthEvaluator(), {1, 2, 3, 4, 5}, shift=1, rate=1.0)
    strict = graded(run(seeds, right, biased, Rules(alpha=0)))
    metrics = metrics_of(strict, FEW)
    assert [metrics[f"accepted_{target}"].value for target in TARGETS] == [0, 0, 0, 0]
    assert metrics["label_noise"].undefined == "no seed was kept"
    lax = values(run(seeds, right, biased, Rules(alpha=1)))
    assert (lax["kept"], lax["label_noise"], lax["calls_per_kept_seed"]) == (1, 0, 8)


def test_metrics_by_hand() -> None:
    wrong = list(kept(1).rated)
    attempt = wrong[2].attempts[0]
    wrong[2] = replace(
        wrong[2], attempts=(replace(attempt, draft=replace(attempt.draft, truth=1)),)
    )
    ran = [
        Ran(kept(0), 8, unable=False),
        Ran(Outcome(kept(1).seed, tuple(wrong), kept=True), 10, unable=False),
        Ran(aside(2), 12, unable=False),
    ]
    metrics = metrics_of(ran, FEW)
    assert {key: metric.value for key, metric in metrics.items()} == {
        "kept": pytest.approx(2 / 3),
        "label_noise": 1 / 8,
        "calls_per_kept_seed": 15,
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
    one_each = [Ran(kept(n) if n % 2 else aside(n), 8, unable=False) for n in range(40)]
    twice = [Ran(kept(n, video=n), 8, unable=False) for n in range(1, 40, 2)] * 2
    twice += [Ran(aside(n), 8, unable=False) for n in range(0, 40, 2)] * 2
    single, double = metrics_of(one_each, FEW)["kept"], metrics_of(twice, FEW)["kept"]
    assert single.value == double.value == 0.5
    # A second seed on each video that fares as the first did tells nothing new.
    assert (single.low, single.high) == (double.low, double.high)
    assert single.low is not None
    assert single.low < 0.5


def test_seeds_that_cannot_be_graded_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"none of the 1 seeds can be graded .*--seeds 1000"):
        next(refine([kept(1).seed], FEW))


def test_the_verb_writes_table_and_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["bootstrap-experiment", "refine", "--seeds", "60", "--output", str(tmp_path)]
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
    found = tallies_to_json(tallies)
    assert found["seeds"] == [1, 2]
    assert found["by_target"] == {"1": [2, 2], "2": [1, 2], "3": [2, 2], "4": [2, 2]}
    assert found["label_noise"] == [0, 7]
    assert found["by_round"][:2] == [  # type: ignore[index]
        {"target": 1, "round": 1, "accepted": 1, "entered": 2},
        {"target": 1, "round": 2, "accepted": 1, "entered": 1},
    ]
    assert found["problems"] == {"rated # in round #": 1}
    assert json.loads(json.dumps(found)) == found
