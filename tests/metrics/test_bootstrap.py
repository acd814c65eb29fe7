from __future__ import annotations

import numpy as np
import pytest

from videojudge_bench.metrics.bootstrap import (
    Floats,
    Resampling,
    Statistic,
    bootstrap,
    cluster_sums,
    codes,
    estimate,
    is_constant,
    means,
    percentile_interval,
    ratio,
    resampled_weights,
    round_half_up,
    wilson_interval,
)


def test_weights_count_how_often_each_cluster_is_drawn() -> None:
    (weights,) = resampled_weights(7, Resampling(resamples=40, seed=3))
    draws = np.random.default_rng(3).integers(0, 7, size=(40, 7))
    expected = [[np.sum(row == cluster) for cluster in range(7)] for row in draws]
    np.testing.assert_array_equal(weights, expected)
    assert weights.dtype == np.float64


def test_weights_come_in_blocks_and_depend_on_the_seed_alone() -> None:
    blocks = list(resampled_weights(4, Resampling(resamples=1_203, seed=0)))
    assert [block.shape for block in blocks] == [(500, 4), (500, 4), (203, 4)]
    weights = np.concatenate(blocks)
    np.testing.assert_array_equal(weights.sum(axis=1), 4)
    again = np.concatenate(list(resampled_weights(4, Resampling(resamples=1_203, seed=0))))
    np.testing.assert_array_equal(weights, again)
    other = np.concatenate(list(resampled_weights(4, Resampling(resamples=1_203, seed=1))))
    assert not np.array_equal(weights, other)


def test_the_estimate_counts_every_cluster_once_and_all_keys_share_the_resamples() -> None:
    def first(weights: Floats) -> dict[str, Floats]:
        return {"first": weights[:, 0], "all": weights.sum(axis=1)}

    def rest(weights: Floats) -> dict[str, Floats]:
        return {"rest": weights[:, 1:].sum(axis=1)}

    statistics = [Statistic(first, {"first": 1, "all": 3}), Statistic(rest, {"rest": 2})]
    assert estimate(statistics, 3) == {"first": 1.0, "all": 3.0, "rest": 2.0}
    resampled = bootstrap(statistics, 3, Resampling(resamples=600, seed=0))
    assert resampled["first"].shape == (600,)
    np.testing.assert_array_equal(resampled["first"] + resampled["rest"], resampled["all"])


def test_percentile_interval_drops_undefined_resamples() -> None:
    # 0, 1, … 100: the q-th percentile is q itself
    values = np.arange(101.0)
    assert percentile_interval(values) == (2.5, 97.5)
    assert percentile_interval(np.append(values, [np.nan] * 50)) == (2.5, 97.5)
    assert percentile_interval(np.array([np.nan, np.nan])) is None


@pytest.mark.parametrize(("share", "expected"), [(1.0, (0.83887, 1.0)), (0.0, (0.0, 0.16113))])
def test_wilson_interval_at_the_ends(share: float, expected: tuple[float, float]) -> None:
    # at p = 1 Wilson's ends are n / (n + z^2) and 1; z = 1.959964, n = 20: 20 / 23.84146 = 0.83887
    assert wilson_interval(share, 20) == pytest.approx(expected, abs=1e-5)


def test_means_leave_out_nan_and_count_contributing_clusters() -> None:
    clusters = np.array([0, 0, 1, 2])
    values = {"a": np.array([1.0, 3.0, 5.0, np.nan]), "b": np.array([np.nan, np.nan, 1.0, 1.0])}
    statistic = means(values, clusters, 4)
    assert statistic.n_clusters == {"a": 2, "b": 2}
    # a: cluster 0 twice, cluster 1 once: (1 + 3 + 1 + 3 + 5) / 5; b: cluster 0 has nothing
    found = statistic.evaluate(np.array([[2.0, 1.0, 0.0, 1.0], [3.0, 0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(found["a"], [13 / 5, 2.0])
    np.testing.assert_array_equal(found["b"], [1.0, np.nan])


def test_cluster_sums_add_columns_per_cluster() -> None:
    columns = [np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 1.0])]
    sums = cluster_sums(columns, np.array([2, 0, 2]), 3)
    np.testing.assert_array_equal(sums, [[2.0, 1.0], [0.0, 0.0], [5.0, 2.0]])


def test_ratio_is_undefined_without_a_denominator() -> None:
    np.testing.assert_array_equal(
        ratio(np.array([1.0, 1.0, 0.0]), np.array([4.0, 0.0, 0.0])), [0.25, np.nan, np.nan]
    )


def test_halves_are_rounded_upwards() -> None:
    values = np.array([0.5, 1.5, 2.5, -0.5, 2.49])
    np.testing.assert_array_equal(round_half_up(values), [1.0, 2.0, 3.0, 0.0, 2.0])


def test_codes_rank_distinct_values() -> None:
    np.testing.assert_array_equal(codes(np.array([2.5, -1.0, 2.5, 9.0])), [1, 0, 1, 2])
    np.testing.assert_array_equal(codes(np.array(["b", "a", "b"])), [1, 0, 1])
    assert codes(np.empty(0)).shape == (0,)


@pytest.mark.parametrize(
    ("values", "expected"), [([], True), ([1.0], True), ([0.1, 0.1], True), ([0.1, 0.2], False)]
)
def test_constant(values: list[float], expected: bool) -> None:
    assert is_constant(np.array(values)) is expected
