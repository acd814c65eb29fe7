from __future__ import annotations

import math
import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from videojudge_bench.metrics.bootstrap import Floats
from videojudge_bench.metrics.within import Within


def within(scores: list[float], gold: list[float], groups: list[int]) -> Within:
    codes = np.array(groups, dtype=np.int64)
    return Within.of(np.array(scores, dtype=float), np.array(gold, dtype=float), codes, codes)


def naive_acc_eq(scores: Floats, gold: Floats, epsilon: float) -> float:
    """Return (concordant + tied in both) / all pairs, NaN without pairs."""
    right = []
    for i, j in combinations(range(len(scores)), 2):
        difference = scores[i] - scores[j]
        judge = 0 if abs(difference) <= epsilon else math.copysign(1, difference)
        truth = np.sign(gold[i] - gold[j])
        right.append(judge == truth)
    return sum(right) / len(right) if right else math.nan


def test_by_hand() -> None:
    # Gold 1 2 2, scores 3 3 5. Pairs: (1,2) tied by the judge only: wrong; (1,3) concordant: right;
    # (2,3) tied in gold only: wrong. acc_eq = 1/3; C - D = 1, untied in x 2, in y 2: tau-b = 1/2.
    # With epsilon 2 all pairs are tied: only (2,3) is right.
    pairs = within([3, 3, 5], [1, 2, 2], [0, 0, 0])
    assert pairs.acc_eq()[0] == pytest.approx(1 / 3)
    assert pairs.tau_b()[0] == pytest.approx(1 / 2)
    assert pairs.acc_eq(2.0)[0] == pytest.approx(1 / 3)
    assert pairs.gold_tied.tolist() == [False, False, True]
    assert pairs.judge_tied.tolist() == [True, False, False]


def test_undefined_groups() -> None:
    # group 0 has one item, group 1 tied gold, group 2 tied scores, group 3 both differ
    pairs = within([1, 1, 2, 4, 4, 1, 2], [1, 3, 3, 1, 2, 1, 2], [0, 1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(pairs.tau_b(), [np.nan, np.nan, np.nan, 1.0])
    np.testing.assert_array_equal(pairs.acc_eq(), [np.nan, 0.0, 0.0, 1.0])


def test_no_item_has_no_pair() -> None:
    pairs = within([], [], [])
    assert pairs.tau_b().shape == pairs.acc_eq().shape == pairs.gap.shape == (0,)
    assert pairs.best_epsilon() is None
    assert within([1, 2], [1, 2], [0, 1]).best_epsilon() is None


@pytest.mark.parametrize("levels", [3, 1000])
def test_groups_equal_scipy_and_a_naive_count(levels: int) -> None:
    rng = np.random.default_rng(levels)
    scores = rng.integers(0, levels, 90).astype(float)
    gold = rng.integers(1, 6, 90).astype(float)
    groups = rng.integers(0, 25, 90)  # groups of different sizes, some of one item, some missing
    pairs = Within.of(scores, gold, groups, groups)
    tau, acc, loose = pairs.tau_b(), pairs.acc_eq(), pairs.acc_eq(levels / 10)
    for group in range(groups.max() + 1):
        x, y = scores[groups == group], gold[groups == group]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy warns of constant input and returns NaN
            expected = kendalltau(x, y).statistic if len(x) > 1 else math.nan
        np.testing.assert_allclose(tau[group], expected, atol=1e-15)
        np.testing.assert_allclose(acc[group], naive_acc_eq(x, y, 0), atol=1e-15)
        np.testing.assert_allclose(loose[group], naive_acc_eq(x, y, levels / 10), atol=1e-15)


def test_best_epsilon_by_hand() -> None:
    # Gold 1 1 3, scores 1.0 1.2 3.0. epsilon 0 wrongly splits the first two: 2/3; 0.2 ties them and
    # gets all right; 1.8 and 2.0 tie pairs that differ.
    assert within([1.0, 1.2, 3.0], [1, 1, 3], [0, 0, 0]).best_epsilon() == pytest.approx(0.2)
    # nothing to gain: a judge without errors, the smallest epsilon wins
    assert within([1, 2, 2], [1, 2, 2], [0, 0, 0]).best_epsilon() == 0.0


def test_equal_steps_are_equal_differences() -> None:
    # 0.3 - 0.2 and 0.2 - 0.1 differ in the last bit; both are one step
    pairs = within([0.1, 0.2, 0.3], [2, 2, 2], [0, 0, 0])
    assert pairs.acc_eq(0.1)[0] == pytest.approx(2 / 3)
    assert pairs.acc_eq(0.2 - 0.1)[0] == pairs.acc_eq(0.3 - 0.2)[0]


ITEMS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 4), st.integers(0, 4)), min_size=1, max_size=25
)


@settings(max_examples=60)
@given(ITEMS)
def test_best_epsilon_equals_a_naive_search(items: list[tuple[int, int, int]]) -> None:
    scores, gold = ([float(item[k]) for item in items] for k in (0, 1))
    groups = np.unique([item[2] for item in items], return_inverse=True)[1].tolist()
    pairs = within(scores, gold, groups)

    def mean(epsilon: float) -> float:
        values = [
            naive_acc_eq(
                np.array([s for s, g in zip(scores, groups, strict=True) if g == group]),
                np.array([y for y, g in zip(gold, groups, strict=True) if g == group]),
                epsilon,
            )
            for group in range(max(groups) + 1)
        ]
        return float(np.nanmean(values)) if not np.all(np.isnan(values)) else math.nan

    candidates = sorted({0.0, *pairs.gap.tolist()})
    if math.isnan(mean(0.0)):
        assert pairs.best_epsilon() is None
    else:
        best = max(round(mean(candidate), 10) for candidate in candidates)
        expected = next(c for c in candidates if round(mean(c), 10) == best)
        assert pairs.best_epsilon() == expected
