"""Prediction-powered inference: by hand, against ppi-python, and whether its intervals cover."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from videojudge_bench.answers.ppi import (
    Rated,
    corrected_means,
    design_weights,
    difference_key,
    filled,
)
from videojudge_bench.answers.summary import FEWEST_RATED
from videojudge_bench.metrics.bootstrap import (
    Floats,
    Resampling,
    bootstrap,
    estimate,
    means,
    percentile_interval,
)

NAN = float("nan")
HUMAN = [5.0, 4, 3, 1, 2, 4, 5, 2]
JUDGE = [4.0, 4, 3, 2, 3, 3, 4, 1]
UNRATED = [3.0, 4, 2, 5, 1, 3, 4, 2, 3, 3, 5, 4]


def rated(human: list[float], judge: list[float], unrated: list[float]) -> Rated:
    """Every answer is about a video of its own; the unrated ones come last."""
    scores = np.array(judge + unrated)
    known = np.array(human + [NAN] * len(unrated))
    return Rated(scores, known, np.arange(len(scores)))


def corrected(answers: Rated) -> float:
    n = int(answers.clusters.max()) + 1
    return estimate([corrected_means({"x": answers}, n)], n)["x"]


def test_the_formula_by_hand() -> None:
    # Judge: 2 and 4 where people said 1 and 3, and 4, 2 elsewhere. All: mean 3, variance
    # (1 + 1 + 1 + 1) / 3 = 4/3. Rated: human mean 2, judge mean 3, covariance
    # ((1 - 2)(2 - 3) + (3 - 2)(4 - 3)) / 2 = 1, so lambda is 3/4 and 2 + 3/4 (3 - 3) = 2.
    assert corrected(rated([1, 3], [2, 4], [4, 2])) == pytest.approx(2.0)
    # Now 5 and 5 elsewhere. All: mean 4, variance (4 + 0 + 1 + 1) / 3 = 2, so lambda is 1/2 and
    # 2 + 1/2 (4 - 3) = 2.5.
    assert corrected(rated([1, 3], [2, 4], [5, 5])) == pytest.approx(2.5)


def test_ppi_python_gives_the_same() -> None:
    # ppi_mean_pointestimate of ppi-python 0.2.3 with lam=None, on these very numbers.
    assert corrected(rated(HUMAN, JUDGE, UNRATED)) == pytest.approx(3.38060081, abs=1e-8)


def test_a_judge_that_is_off_by_a_constant_is_put_right() -> None:
    # Human is judge - 1 everywhere and lambda is near 1: mean of judge over all, less 1.
    rng = np.random.default_rng(0)
    judge = rng.normal(3, 1, 4000)
    human = np.where(np.arange(4000) < 2000, judge - 1, NAN)
    answers = Rated(judge, human, np.arange(4000))
    assert corrected(answers) == pytest.approx(judge.mean() - 1, abs=2e-3)
    assert abs(corrected(answers) - np.nanmean(human)) > 1e-3


def test_a_constant_judge_leaves_the_human_mean() -> None:
    assert corrected(rated([1, 4], [3, 3], [3, 3, 3])) == 2.5


def test_another_scale_changes_nothing() -> None:
    other = [100 * score - 7 for score in JUDGE]
    unrated = [100 * score - 7 for score in UNRATED]
    assert corrected(rated(HUMAN, other, unrated)) == pytest.approx(3.38060081, abs=1e-8)


def test_without_a_rating_there_is_no_estimate() -> None:
    assert np.isnan(corrected(rated([], [], UNRATED)))


def test_differences_and_what_their_intervals_hang_on() -> None:
    x, y = rated(HUMAN, JUDGE, UNRATED), rated([1, 3], [2, 4], [5, 5])
    statistic = corrected_means({"x": x, "y": y}, 20)
    key = difference_key("x", "y")
    assert statistic.n_clusters == {"x": 8, "y": 2, key: 2}
    assert estimate([statistic], 20)[key] == pytest.approx(0.88060081, abs=1e-8)


def test_filled() -> None:
    assert filled([1.0, None, 3.0]).tolist() == [1, 2, 3]
    assert filled([None]).tolist() == [0]


def _simulated(rng: np.random.Generator, videos: int, labelled: int) -> Rated:
    """Three answers a video; the truth is 3, the judge 0.7 too kind and right to 0.5."""
    clusters = np.repeat(np.arange(videos), 3)
    truth = 3 + rng.normal(0, 0.7, videos)[clusters] + rng.normal(0, 0.5, 3 * videos)
    judge = truth + 0.7 + rng.normal(0, 0.3, videos)[clusters] + rng.normal(0, 0.4, 3 * videos)
    return Rated(judge, np.where(clusters < labelled, truth, NAN), clusters)


def _width(interval: tuple[float, float] | None) -> float:
    assert interval is not None
    return interval[1] - interval[0]


def test_intervals_by_video_cover_the_truth_and_are_narrower_than_without_the_judge() -> None:
    rng, videos, runs = np.random.default_rng(1), 200, 300
    covered, raw, ours, human_only = 0, 0, list[float](), list[float]()
    for run in range(runs):
        answers = _simulated(rng, videos, labelled=50)
        columns: dict[str, Floats] = {"human": answers.human, "judge": answers.judge}
        statistics = [
            corrected_means({"x": answers}, videos),
            means(columns, answers.clusters, videos),
        ]
        found = bootstrap(statistics, videos, Resampling(400, seed=run))
        intervals = {key: percentile_interval(values) for key, values in found.items()}
        low, high = intervals["x"] or (NAN, NAN)
        covered += low <= 3 <= high
        low, high = intervals["judge"] or (NAN, NAN)
        raw += low <= 3 <= high
        ours.append(_width(intervals["x"]))
        human_only.append(_width(intervals["human"]))
    assert 0.91 <= covered / runs <= 0.98
    assert raw == 0, "the raw judge is wrong by 0.7 and sure of it"
    assert np.mean(ours) < 0.75 * np.mean(human_only)


def error_ratio(correlation: float, n_rated: int, draws: int = 1000) -> float:
    """Root mean squared error of the corrected mean, as a share of the human mean's alone."""
    rng, n = np.random.default_rng(n_rated), 200
    errors = np.empty((draws, 2))
    for draw in range(draws):
        truth, noise = rng.normal(size=(2, n))
        human = np.clip(np.rint(3.4 + 1.1 * truth), 1, 5)
        mixed = correlation * truth + np.sqrt(1 - correlation**2) * noise
        chosen = rng.permutation(n)[:n_rated]
        known = np.full(n, NAN)
        known[chosen] = human[chosen]
        judge = np.clip(np.rint(3.6 + mixed), 1, 5)
        found = corrected(Rated(judge, known, np.arange(n)))
        errors[draw] = found - human.mean(), human[chosen].mean() - human.mean()
    corrected_error, human_error = np.sqrt((errors**2).mean(axis=0))
    return float(corrected_error / human_error)


def test_from_how_many_ratings_on_the_correction_helps() -> None:
    """Below, a judge that people do not agree with makes the mean worse, and few gain."""
    assert error_ratio(0.0, 2) > 1.05
    assert error_ratio(0.4, 2) > 1.02
    assert error_ratio(0.0, FEWEST_RATED) < 1.07
    assert error_ratio(0.6, FEWEST_RATED) < 0.95
    assert error_ratio(0.8, FEWEST_RATED) < 0.85


def test_equal_weights_change_nothing() -> None:
    answers = rated(HUMAN, JUDGE, UNRATED)
    weighted = replace(answers, weights=np.full(len(answers.judge), 2.5))
    assert corrected(weighted) == pytest.approx(corrected(answers), abs=1e-12)


def test_weights_by_hand() -> None:
    # A judge that tells nothing leaves the weighted mean: (3 x 1 + 1 x 5) / 4.
    answers = rated([1, 5], [3, 3], [3, 3])
    assert corrected(replace(answers, weights=np.array([3.0, 1, 0, 0]))) == 2.0
    # Human means 2 and judge means 3.5 by weights 3, 1. Squares 9 and 1: human 1.4, judge 3.2,
    # covariance (9 x 1 x 3 + 5 x 5) / 10 - 1.4 x 3.2 = 0.72. Judges 3, 5, 4, 4: mean 4, variance
    # 2 / 3, so lambda is 1.08, and 2 + 1.08 x (4 - 3.5) = 2.54.
    answers = rated([1, 5], [3, 5], [4, 4])
    assert corrected(replace(answers, weights=np.array([3.0, 1, 0, 0]))) == pytest.approx(2.54)


def test_weights_of_rounds_by_hand() -> None:
    one = design_weights(np.array([1, 1]), np.array([0.5, 0.25]), 10)
    assert one.tolist() == [2, 4]
    # Round 1: 1 of 4, 1 / (4 x 3); round 2: 1 of 3, 1 / (3 x 2). Shares 1/3 and 2/3. Every answer
    # has the weight that drawing 2 of 4 at once would give: 4/3 + 2/3 = 2, and 2/3 x 3 = 2.
    two = design_weights(np.array([1, 2]), np.array([0.25, 1 / 3]), 4)
    assert two.tolist() == pytest.approx([2, 2])
    # The last round had all that was left: it is the truth.
    assert design_weights(np.array([1, 2]), np.array([0.5, 1.0]), 2).tolist() == pytest.approx(
        [1, 1]
    )
