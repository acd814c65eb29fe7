from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from videojudge_bench.metrics.bootstrap import Floats, Ints, codes
from videojudge_bench.metrics.rank import (
    MOST_CELLS,
    SortedAgreement,
    TableAgreement,
    rank_agreement,
)

# (levels of x, levels of y): heavy ties, few ties, none, a constant
SHAPES = [(5, 5), (2, 3), (60, 5), (7, 200), (10**6, 10**6), (1, 4), (4, 1)]


def sample(levels_x: int, levels_y: int, seed: int = 0) -> tuple[Floats, Floats, Ints, Floats]:
    """Return x, three columns, clusters and weights (all ones, then resamples of 12 clusters)."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, levels_x, 70).astype(np.float64)
    noisy = x[:, None] * levels_y / levels_x + rng.normal(0, levels_y / 3, (70, 3))
    ys = np.clip(np.floor(noisy), 0, levels_y - 1)
    weights = rng.multinomial(12, np.full(12, 1 / 12), size=12).astype(np.float64)
    return x, ys, rng.integers(0, 12, 70), np.vstack([np.ones((1, 12)), weights])


def scipys(x: Floats, ys: Floats, clusters: Ints, weights: Floats) -> tuple[Floats, Floats]:
    """Return tau-b and rho of the items written out as often as their cluster counts."""
    tau, rho = np.empty((len(weights), 3)), np.empty((len(weights), 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of constant input and returns NaN
        for row, weight in enumerate(weights):
            items = np.repeat(np.arange(len(x)), weight[clusters].astype(int))
            for column in range(3):
                tau[row, column] = kendalltau(x[items], ys[items, column]).statistic
                rho[row, column] = spearmanr(x[items], ys[items, column]).statistic
    return tau, rho


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", ["tables", "sorted"])
def test_every_resample_equals_scipy_on_the_items_written_out(
    shape: tuple[int, int], way: str
) -> None:
    x, ys, clusters, weights = sample(*shape)
    ranked = [codes(y) for y in ys.T]
    if way == "tables":
        tau, rho = TableAgreement(codes(x), ranked, clusters, 12)(weights)
    else:
        tau, rho = SortedAgreement(codes(x), ranked, clusters)(weights)
    expected_tau, expected_rho = scipys(x, ys, clusters, weights)
    np.testing.assert_array_equal(tau, expected_tau)  # to the last bit
    np.testing.assert_allclose(rho, expected_rho, rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_both_ways_agree_to_the_last_bit(shape: tuple[int, int]) -> None:
    x, ys, clusters, weights = sample(*shape, seed=1)
    ranked = [codes(y) for y in ys.T]
    by_table = TableAgreement(codes(x), ranked, clusters, 12)(weights)
    by_sorting = SortedAgreement(codes(x), ranked, clusters)(weights)
    for one, other in zip(by_table, by_sorting, strict=True):
        np.testing.assert_array_equal(one, other)


def test_ties_by_hand() -> None:
    # x = 1 1 2 3, y = 1 2 2 1. Pairs: (1,2) tied in x, (1,3) concordant, (1,4) tied in y,
    # (2,3) tied in y, (2,4) discordant, (3,4) discordant: C - D = -1, of 6 pairs 1 is tied in x
    # and 2 in y: tau-b = -1 / sqrt(5 * 4).
    # Midranks x: 1.5 1.5 3 4, y: 1.5 3.5 3.5 1.5; deviations x: -1 -1 .5 1.5, y: -1 1 1 -1:
    # products 1 - 1 + .5 - 1.5 = -1, squares 4.5 and 4: rho = -1 / sqrt(18).
    agreement = rank_agreement(
        np.array([1.0, 1, 2, 3]), np.array([[1.0], [2], [2], [1]]), np.zeros(4, np.int64), 1
    )
    tau, rho = agreement(np.ones((1, 1)))
    assert tau[0, 0] == pytest.approx(-1 / np.sqrt(20), abs=1e-15)
    assert rho[0, 0] == pytest.approx(-1 / np.sqrt(18), abs=1e-15)


def test_many_levels_are_sorted_and_few_are_counted_in_tables() -> None:
    few, many = np.arange(10.0), np.arange(float(MOST_CELLS))
    clusters = np.zeros(len(many), np.int64)
    assert isinstance(rank_agreement(few, few[:, None], clusters[:10], 1), TableAgreement)
    assert isinstance(rank_agreement(many, many[:, None], clusters, 1), SortedAgreement)


def test_nothing_to_rank_is_undefined() -> None:
    none = rank_agreement(np.empty(0), np.empty((0, 2)), np.empty(0, np.int64), 3)
    tau, rho = none(np.ones((2, 3)))
    assert tau.shape == rho.shape == (2, 2)
    assert np.isnan(tau).all()
    assert np.isnan(rho).all()


SCORES = st.lists(st.tuples(st.integers(-20, 20), st.integers(1, 5)), min_size=2, max_size=40).map(
    lambda pairs: np.array(pairs, dtype=np.float64)
)


@settings(max_examples=60)
@given(SCORES)
def test_order_and_monotone_rescaling_do_not_matter(pairs: Floats) -> None:
    x, y = pairs.T
    clusters = np.arange(len(x))
    ones = np.ones((1, len(x)))
    expected = rank_agreement(x, y[:, None], clusters, len(x))(ones)
    shuffled = np.random.default_rng(len(x)).permutation(len(x))
    permuted = rank_agreement(x[shuffled], y[shuffled, None], clusters, len(x))(ones)
    rescaled = rank_agreement(np.exp(x / 5) - 3, y[:, None], clusters, len(x))(ones)
    reversed_ = rank_agreement(-x, y[:, None], clusters, len(x))(ones)
    for statistic in range(2):
        np.testing.assert_array_equal(permuted[statistic], expected[statistic])
        np.testing.assert_array_equal(rescaled[statistic], expected[statistic])
        np.testing.assert_array_equal(reversed_[statistic], -expected[statistic])


@settings(max_examples=40)
@given(SCORES, st.integers(2, 4))
def test_a_weight_is_as_many_copies(pairs: Floats, copies: int) -> None:
    x, y = pairs.T
    clusters = np.arange(len(x))
    weighted = rank_agreement(x, y[:, None], clusters, len(x))(np.full((1, len(x)), float(copies)))
    written_out = rank_agreement(
        np.tile(x, copies), np.tile(y, copies)[:, None], np.tile(clusters, copies), len(x)
    )(np.ones((1, len(x))))
    for one, other in zip(weighted, written_out, strict=True):
        np.testing.assert_array_equal(one, other)
