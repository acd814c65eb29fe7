"""Prediction-powered inference: many judge scores, corrected by a few human ratings.

A judge errs, and it may err more for one system than for another. Where people have rated some of
a system's answers, chosen at random, the mean human rating of all of them is estimated by

    mean of judge, all answers  +  mean of (human - judge), rated answers      (lambda = 1)

(Angelopoulos et al. 2023, arXiv 2301.09633), power-tuned as in PPI++ (arXiv 2311.01453):

    mean of human, rated  +  lambda x (mean of judge, all - mean of judge, rated),
    lambda = cov(human, judge; rated) / var(judge; all)

PPI++ takes the mean over the N unrated answers and not over all n + N, and its best lambda is
smaller by N / (n + N): the estimate is the same. A lambda estimated per system is right for a
judge on any scale, and a useless judge gets a lambda near 0, which leaves the human mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from videojudge_bench.metrics.bootstrap import Bools, Floats, Ints, Statistic, cluster_sums, ratio


@dataclass(frozen=True)
class Rated:
    """The answers of one system.

    Attributes:
        judge: the judge's scores, shape (answers,), no NaN. Any function of an answer will do, so
            one without a verdict may have the mean of the others.
        human: the mean human ratings, shape (answers,), NaN for answers without one.
        clusters: the video of each answer, 0..n_clusters-1, shape (answers,).
    """

    judge: Floats
    human: Floats
    clusters: Ints

    @property
    def is_rated(self) -> Bools:
        """Selection of the answers with human ratings."""
        return ~np.isnan(self.human)

    def sums(self, n_clusters: int) -> Floats:
        """Return the sums that `_corrected` needs, per cluster: (n_clusters, 7)."""
        rated = self.is_rated.astype(np.float64)
        human = np.where(self.is_rated, self.human, 0.0)
        judge = self.judge
        columns = [
            np.ones_like(judge), judge, judge**2,
            rated, human, rated * judge, human * judge,
        ]  # fmt: skip
        return cluster_sums(columns, self.clusters, n_clusters)


def corrected_means(systems: Mapping[str, Rated], n_clusters: int) -> Statistic:
    """Return the corrected mean of each system, and the difference of each two.

    The keys are the systems' names and `difference_key` of every two, in order. Undefined (NaN) for
    a system without a rated answer. `n_clusters` of a key counts the videos with a rated answer, on
    which its interval depends.
    """
    sums = {name: rated.sums(n_clusters) for name, rated in systems.items()}
    counts = {
        name: len(np.unique(rated.clusters[rated.is_rated])) for name, rated in systems.items()
    }
    couples = list(combinations(systems, 2))

    def evaluate(weights: Floats) -> dict[str, Floats]:
        values = {name: _corrected(weights @ columns) for name, columns in sums.items()}
        return {**values, **{difference_key(a, b): values[a] - values[b] for a, b in couples}}

    between = {difference_key(a, b): min(counts[a], counts[b]) for a, b in couples}
    return Statistic(evaluate, {**counts, **between})


def difference_key(a: str, b: str) -> str:
    """Return the key of the difference between two systems, first minus second."""
    return f"{a}\x1f{b}"


def _corrected(sums: Floats) -> Floats:
    """From weighted sums (resamples, 7) to the estimate (resamples,)."""
    n, judge, squares, rated, human, judge_rated, products = sums.T
    mean = ratio(judge, n)
    human_mean, judge_mean = ratio(human, rated), ratio(judge_rated, rated)
    covariance = ratio(products, rated) - human_mean * judge_mean
    spread = ratio(squares - n * mean**2, n - 1)
    power = ratio(covariance, np.where(spread > _TINY, spread, 0.0))
    return human_mean + np.nan_to_num(power) * (mean - judge_mean)


_TINY = 1e-12
"""A variance below this is what rounding leaves of equal scores: there is nothing to tune by."""


def filled(scores: Sequence[float | None]) -> Floats:
    """Return scores with the mean of the others in the place of None; 0 where there is none."""
    values = np.array([np.nan if score is None else score for score in scores], dtype=np.float64)
    missing = np.isnan(values)
    mean = 0.0 if missing.all() else float(values[~missing].mean())
    return np.where(missing, mean, values)
