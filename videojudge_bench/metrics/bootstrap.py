"""Weighted statistics over clusters, and their bootstrap.

A statistic is a function of weights: how often each cluster (video) counts. With all weights 1 it
is the estimate; with the counts of a resample it is that resample's value. One code path gives
both, and work that does not depend on the weights is done once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_BLOCK = 500  # resamples at a time: 12 MB of weights for 3,000 videos


@dataclass(frozen=True)
class Statistic:
    """Named numbers as a function of how often each cluster counts.

    Attributes:
        evaluate: takes weights, float64 whole numbers of shape (resamples, clusters), and returns
            for each key float64 of shape (resamples,), NaN where it is undefined.
        n_clusters: for each key, how many clusters contribute to it.
    """

    evaluate: Callable[[Floats], dict[str, Floats]]
    n_clusters: Mapping[str, int]


@dataclass(frozen=True)
class Resampling:
    """Number of resamples of an interval, and the seed of their draws."""

    resamples: int = 10_000
    seed: int = 0


def estimate(statistics: Sequence[Statistic], n_clusters: int) -> dict[str, float]:
    """Return each key's value with every cluster counted once; NaN where it is undefined."""
    ones = np.ones((1, n_clusters))
    return {k: float(v[0]) for s in statistics for k, v in s.evaluate(ones).items()}


def bootstrap(
    statistics: Sequence[Statistic], n_clusters: int, resampling: Resampling
) -> dict[str, Floats]:
    """Return each key's value in every resample of the clusters: float64 (resamples,).

    NaN where a key is undefined. All keys see the same resamples, which the seed determines.
    """
    blocks: dict[str, list[Floats]] = {}
    for weights in resampled_weights(n_clusters, resampling):
        for statistic in statistics:
            for key, values in statistic.evaluate(weights).items():
                blocks.setdefault(key, []).append(values)
    return {key: np.concatenate(values) for key, values in blocks.items()}


def resampled_weights(n_clusters: int, resampling: Resampling) -> Iterator[Floats]:
    """Yield blocks of weights: how often each cluster is drawn, with replacement, per resample.

    Blocks are float64 whole numbers, shape (up to 500, n_clusters); every row sums to `n_clusters`.
    Index draws and a count are six times faster than numpy's multinomial.
    """
    rng = np.random.default_rng(resampling.seed)
    for start in range(0, resampling.resamples, _BLOCK):
        size = min(_BLOCK, resampling.resamples - start)
        draws = rng.integers(0, n_clusters, size=(size, n_clusters))
        draws += n_clusters * np.arange(size)[:, None]
        counts = np.bincount(draws.ravel(), minlength=size * n_clusters)
        yield counts.reshape(size, n_clusters).astype(np.float64)


def percentile_interval(values: Floats) -> tuple[float, float] | None:
    """Return the 2.5th and 97.5th percentile, or None when no value is left.

    NaN are dropped: the interval is conditional on the statistic being defined.
    """
    defined = values[~np.isnan(values)]
    if defined.size == 0:
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share (0..1) seen in `n` independent units."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(share * n, n, alpha=0.05, method="wilson")
    return float(low), float(high)


def means(values: Mapping[str, Floats], clusters: Ints, n_clusters: int) -> Statistic:
    """Return the weighted means of values of units, each unit in one cluster.

    Args:
        values: for each key float64 of shape (units,); a NaN leaves the unit out of that key.
        clusters: shape (units,), the cluster of each unit, 0..n_clusters-1.
        n_clusters: number of clusters; some may have no unit.
    """
    kept = [~np.isnan(value) for value in values.values()]
    totals = [np.where(k, value, 0.0) for k, value in zip(kept, values.values(), strict=True)]
    sums = cluster_sums([*totals, *(k.astype(np.float64) for k in kept)], clusters, n_clusters)

    def evaluate(weights: Floats) -> dict[str, Floats]:
        total, count = np.split(weights @ sums, 2, axis=1)
        return dict(zip(values, ratio(total, count).T, strict=True))

    contributing = np.count_nonzero(sums[:, len(values) :], axis=0)
    return Statistic(evaluate, {k: int(n) for k, n in zip(values, contributing, strict=True)})


def cluster_sums(columns: Sequence[Floats], clusters: Ints, n_clusters: int) -> Floats:
    """Return the sums of item columns per cluster, float64 of shape (n_clusters, columns).

    `weights @ cluster_sums(...)` then gives the weighted sums over all items.
    """
    return np.column_stack([np.bincount(clusters, c, minlength=n_clusters) for c in columns])


def ratio(above: Floats, below: Floats) -> Floats:
    """Return `above / below`, NaN where `below` is not positive; shapes as they broadcast."""
    shape = np.broadcast_shapes(above.shape, below.shape)
    result = np.full(shape, np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result


def round_half_up(values: Floats) -> Floats:
    """Return the nearest whole numbers as float64, halves towards plus infinity."""
    return np.asarray(np.floor(values + 0.5), dtype=np.float64)


def codes(values: NDArray[np.generic]) -> Ints:
    """Return the rank of each value among the distinct ones, from 0; equal values share it."""
    _, inverse = np.unique(values, return_inverse=True)
    return np.asarray(inverse, dtype=np.int64).reshape(values.shape)


def is_constant(values: Floats) -> bool:
    """Return whether all values are equal; true of none or one."""
    return values.size == 0 or bool(np.all(values == values.flat[0]))
