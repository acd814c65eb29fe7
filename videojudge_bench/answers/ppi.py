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

Rated answers that were drawn with unequal probabilities have weights (active statistical inference,
Zrnic and Candès 2024, arXiv 2403.03208): both means of rated answers are weighted, and the
covariance by the square of the weight, since that is how an answer's error enters the variance.
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
        weights: of the rated answers, such as `design_weights`, shape (answers,); None: all equal.
    """

    judge: Floats
    human: Floats
    clusters: Ints
    weights: Floats | None = None

    @property
    def is_rated(self) -> Bools:
        """Selection of the answers with human ratings."""
        return ~np.isnan(self.human)

    def sums(self, n_clusters: int) -> Floats:
        """Return the sums that `_corrected` needs, per cluster: (n_clusters, 7 or 11)."""
        judge = self.judge
        columns = [np.ones_like(judge), judge, judge**2, *self._moments(1.0)]
        if self.weights is not None:
            columns[3:] = [*self._moments(self.weights), *self._moments(self.weights**2)]
        return cluster_sums(columns, self.clusters, n_clusters)

    def residuals(self) -> Floats:
        """Return human - lambda x judge, less its weighted mean; 0 for answers without ratings."""
        sums = self.sums(int(self.clusters.max()) + 1).sum(axis=0, keepdims=True)
        human_mean, judge_mean, _, power = (part[0] for part in _parts(sums))
        errors = self.human - human_mean - power * (self.judge - judge_mean)
        return np.where(self.is_rated, errors, 0.0)

    def _moments(self, weights: Floats | float) -> list[Floats]:
        rated = self.is_rated * weights
        human = np.where(self.is_rated, self.human, 0.0)
        return [rated, human * rated, self.judge * rated, human * self.judge * rated]


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


def design_weights(rounds: Ints, probabilities: Floats, n_answers: int) -> Floats:
    """Return the weights of the rated answers of one system, drawn in one or several rounds.

    Each round draws among the answers without a label, and gives an unbiased total: the labels of
    earlier rounds as they are, plus each of its own divided by its probability (Des Raj 1956). Of
    these totals the mean is taken, weighted by n / (N (N - n)), with n of N answers drawn: the
    inverse of the variance for equal probabilities. A round may use all earlier labels to choose.

    Args:
        rounds: in which each answer was drawn, shape (answers,).
        probabilities: of being drawn in that round, above 0 and at most 1, shape (answers,).
        n_answers: of the system, rated or not.
    """
    _, place, counts = np.unique(rounds, return_inverse=True, return_counts=True)
    left = n_answers - np.cumsum(counts)
    share = counts / ((left + counts) * np.maximum(left, _TINY))
    share = share / max(share.sum(), _TINY)
    later = 1 - np.cumsum(share)
    return np.asarray(share[place] / probabilities + later[place], dtype=np.float64)


def _corrected(sums: Floats) -> Floats:
    """From weighted sums (resamples, 7 or 11) to the estimate (resamples,)."""
    human_mean, judge_mean, mean, power = _parts(sums)
    return human_mean + power * (mean - judge_mean)


def _parts(sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the rated answers' human and judge means, the judge's mean of all, and lambda."""
    n, judge, squares, *moments = sums.T
    rated, humans, judges, _ = moments[:4]
    mean = ratio(judge, n)
    of, human, of_judge, products = moments[-4:]
    covariance = ratio(products, of) - ratio(human, of) * ratio(of_judge, of)
    spread = ratio(squares - n * mean**2, n - 1)
    power = ratio(covariance, np.where(spread > _TINY, spread, 0.0))
    return ratio(humans, rated), ratio(judges, rated), mean, np.nan_to_num(power)


_TINY = 1e-12
"""A variance below this is what rounding leaves of equal scores: there is nothing to tune by."""


def filled(scores: Sequence[float | None]) -> Floats:
    """Return scores with the mean of the others in the place of None; 0 where there is none."""
    values = np.array([np.nan if score is None else score for score in scores], dtype=np.float64)
    missing = np.isnan(values)
    mean = 0.0 if missing.all() else float(values[~missing].mean())
    return np.where(missing, mean, values)
