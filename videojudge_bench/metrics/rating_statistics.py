"""Statistics of rated items as functions of the weights of videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import cast

import numpy as np

from videojudge_bench.items import Example, RatingGold
from videojudge_bench.metrics.bootstrap import (
    Bools,
    Floats,
    Ints,
    Statistic,
    cluster_sums,
    codes,
    is_constant,
    means,
    ratio,
    round_half_up,
)
from videojudge_bench.metrics.keys import SYSTEM_ACCURACY
from videojudge_bench.metrics.rank import rank_agreement
from videojudge_bench.metrics.within import Within
from videojudge_bench.scale import RatingScale

EMSCORE_DECIMALS = 4
_DECIMALS = 9  # differences below are rounding errors of a mean of ratings
_NO_VARIANCE = 1e-12  # of standardised values: rounding errors


@dataclass(frozen=True)
class Rated:
    """Items with a score and gold, as arrays with one entry an item.

    Attributes:
        raters: shape (items, raters).
        gold: mean over the raters.
        videos: codes 0..n_videos-1.
        groups: codes 0..n_groups-1.
        systems: codes 0..n_systems-1 of the answering systems; items without one share a code.
        candidate_0: whether the item is VATEX-EVAL's candidate 0.
    """

    scores: Floats
    raters: Floats
    gold: Floats
    videos: Ints
    groups: Ints
    systems: Ints
    candidate_0: Bools

    @classmethod
    def of(cls, examples: Sequence[Example], scores: Sequence[float]) -> Rated:
        """Return the arrays of examples with rating gold; all empty when there is none."""
        if not examples:
            none, code, no = np.empty(0), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool)
            return cls(none, np.empty((0, 1)), none, code, code, code, no)
        raters = np.array([cast(RatingGold, e.gold).ratings for e in examples], dtype=np.float64)
        return cls(
            scores=np.array(scores, dtype=np.float64),
            raters=raters,
            gold=raters.mean(axis=1),
            videos=codes(np.array([e.item.video_id for e in examples])),
            groups=codes(np.array([e.unit for e in examples])),
            systems=codes(np.array([e.system or "" for e in examples])),
            candidate_0=np.array([e.labels.get("candidate") == "0" for e in examples]),
        )

    @property
    def n_videos(self) -> int:
        """Number of distinct videos."""
        return int(self.videos.max(initial=-1)) + 1

    @property
    def n_systems(self) -> int:
        """Number of distinct answering systems; items without one count as one more."""
        return int(self.systems.max(initial=-1)) + 1

    @property
    def gold_levels(self) -> Floats:
        """Gold without the rounding errors of the mean, so that equal sums of ratings are tied."""
        return np.round(self.gold, _DECIMALS)

    @cached_property
    def within(self) -> Within:
        """The pairs of items inside groups."""
        return Within.of(self.scores, self.gold_levels, self.groups, self.videos)

    def without_0(self) -> Rated:
        """Return the items that are not candidate 0; the codes of the videos stay."""
        return Rated(*(getattr(self, field.name)[~self.candidate_0] for field in fields(self)))


def emscore(rated: Rated) -> list[Statistic]:
    """Return the correlations of EMScore's recipe, with and without candidate 0.

    Scores rounded to 4 decimals, tau-b and Spearman's rho over all candidates against each rater
    column, averaged (Shi et al. 2022, `compute_correlation_uniquehuman`). Undefined where the
    scores or any rater's column are constant.
    """
    return [
        rater_correlations(
            part,
            np.round(part.scores, EMSCORE_DECIMALS),
            (f"emscore_tau_b{suffix}", f"emscore_rho{suffix}"),
            rated.n_videos,
        )
        for part, suffix in ((rated, ""), (rated.without_0(), "_without_0"))
    ]


def rater_correlations(
    rated: Rated, scores: Floats, names: tuple[str, str], n_videos: int
) -> Statistic:
    """Return tau-b and Spearman's rho of scores with each rater column, averaged over raters."""
    agreement = rank_agreement(scores, rated.raters, rated.videos, n_videos)

    def evaluate(weights: Floats) -> dict[str, Floats]:
        return {n: v.mean(axis=1) for n, v in zip(names, agreement(weights), strict=True)}

    return Statistic(evaluate, dict.fromkeys(names, np.unique(rated.videos).size))


def correlations(rated: Rated) -> Statistic:
    """Return pearson, spearman and kendall_tau_b of scores and mean gold over all items.

    Undefined where either is constant.
    """
    agreement = rank_agreement(
        rated.scores, rated.gold_levels[:, None], rated.videos, rated.n_videos
    )
    x, y = (
        _standardised(rated.scores),
        _standardised(_without_noise(rated.gold - rated.gold.mean())),
    )
    sums = cluster_sums([np.ones(len(x)), x, y, x * x, y * y, x * y], rated.videos, rated.n_videos)

    def evaluate(weights: Floats) -> dict[str, Floats]:
        tau, rho = agreement(weights)
        n, *moments = (weights @ sums).T
        mean_x, mean_y, xx, yy, xy = (ratio(m, n) for m in moments)
        pearson = _pearson(xy - mean_x * mean_y, xx - mean_x**2, yy - mean_y**2)
        return {"pearson": pearson, "spearman": rho[:, 0], "kendall_tau_b": tau[:, 0]}

    return Statistic(
        evaluate, dict.fromkeys(("pearson", "spearman", "kendall_tau_b"), rated.n_videos)
    )


def _without_noise(differences: Floats) -> Floats:
    """Return differences of means, with 0 for those that rounding made; NaN stays."""
    return np.where(np.abs(differences) < 10.0**-_DECIMALS, 0.0, differences)


def _standardised(values: Floats) -> Floats:
    if is_constant(values):
        return np.zeros(len(values))
    centred = values - values.mean()
    centred /= np.abs(centred).max()  # the squares of tiny differences would vanish
    return np.asarray(centred / centred.std(), dtype=np.float64)


def _pearson(covariance: Floats, variance_x: Floats, variance_y: Floats) -> Floats:
    """Return Pearson's r; NaN where a variance is 0 up to rounding (1 over the whole sample)."""
    defined = (variance_x > _NO_VARIANCE) & (variance_y > _NO_VARIANCE)
    r = np.full(covariance.shape, np.nan)
    r[defined] = covariance[defined] / np.sqrt(variance_x[defined] * variance_y[defined])
    return np.asarray(np.clip(r, -1.0, 1.0), dtype=np.float64)


def errors(rated: Rated, scale: RatingScale) -> list[Statistic]:
    """Return rmse, calibration_error, qwk, mae, bias, over2 and under2, for scores on the scale.

    `calibration_error`: in bins [.5, 1.5), … of the score, the sum over bins of
    n_b/n |mean score - mean gold|, in score points; scores beyond the ends join the end bins.
    """
    error = rated.scores - rated.gold
    whole = np.round(error, _DECIMALS)  # 5 - 3 is 2 however the raters' mean of 3 was rounded
    values = {
        "mae": np.abs(error),
        "bias": error,
        "over2": (whole >= 2).astype(np.float64),
        "under2": (whole <= -2).astype(np.float64),
    }
    rounded = rounded_to(scale, rated.scores)
    in_bins = [np.where(rounded == level, error, 0.0) for level in scale.values]
    sums = cluster_sums([np.ones(len(error)), error**2, *in_bins], rated.videos, rated.n_videos)

    def evaluate(weights: Floats) -> dict[str, Floats]:
        n, square, *bins = (weights @ sums).T
        return {
            "rmse": np.sqrt(ratio(square, n)),
            "calibration_error": ratio(np.abs(np.stack(bins)).sum(axis=0), n),
        }

    return [
        Statistic(evaluate, dict.fromkeys(("rmse", "calibration_error"), rated.n_videos)),
        quadratic_kappa(rounded, rounded_to(scale, rated.raters), rated.videos, rated.n_videos),
        means(values, rated.videos, rated.n_videos),
    ]


def quadratic_kappa(scores: Floats, raters: Floats, videos: Ints, n_videos: int) -> Statistic:
    """Return qwk: Cohen's kappa with quadratic weights against each rater, averaged over raters.

    kappa = 1 - n sum (a - b)^2 / sum_ij (a_i - b_j)^2, which needs moments only (whole numbers,
    exact). Undefined where the scores or any rater's ratings are constant: it is then 0 whatever
    the constant, or 0 / 0. Whole numbers: `scores` (items,), `raters` (items, raters), and `videos`
    (items,), codes.
    """
    n_raters = raters.shape[1]
    columns = [np.ones(len(scores)), scores, scores**2]
    columns += [m for b in raters.T for m in (b, b**2, (scores - b) ** 2)]
    sums = cluster_sums(columns, videos, n_videos)

    def evaluate(weights: Floats) -> dict[str, Floats]:
        n, a, aa, *rest = (weights @ sums).T
        b, bb, observed = (np.stack(rest[start::3]) for start in range(3))
        expected = n * aa + n * bb - 2 * a * b
        varies = (n * aa > a**2) & (n * bb > b**2)
        kappa = 1 - ratio(n * observed, np.where(varies, expected, 0.0))
        return {"qwk": kappa.sum(axis=0) / n_raters}

    return Statistic(evaluate, {"qwk": n_videos})


def inside_groups(rated: Rated) -> list[Statistic]:
    """Return tau_b_within and acc_eq (means over groups) and the tie rates (shares of pairs)."""
    within = rated.within
    by_group = {"tau_b_within": within.tau_b(), "acc_eq": within.acc_eq()}
    by_pair = {
        "tie_rate_gold": within.gold_tied.astype(np.float64),
        "tie_rate_judge": within.judge_tied.astype(np.float64),
    }
    return [
        means(by_group, within.group_video, rated.n_videos),
        means(by_pair, within.pair_video, rated.n_videos),
    ]


def calibrated_accuracy(rated: Rated, epsilon: float) -> Statistic:
    """Return acc_eq_cal: acc_eq where scores that differ by at most `epsilon` are tied."""
    values = {"acc_eq_cal": rated.within.acc_eq(epsilon)}
    return means(values, rated.within.group_video, rated.n_videos)


def system_accuracy(rated: Rated) -> Statistic:
    """Return system_accuracy: the share of pairs of systems that scores order as gold does, 0..1.

    A system is ranked by the mean over its items, of scores and of gold. Pairs whose gold means are
    equal are left out; equal means of scores count 1/2. Undefined where gold separates no pair, so
    also with fewer than 2 systems, and where the scores are constant. Scores on any linear scale
    give the same. In a resample without any item of a system, its pairs are left out; the systems
    themselves are not resampled. Pairwise accuracy of system rankings of Kocmi et al. 2021, "To
    Ship or Not to Ship" (WMT); with the half for ties it is (1 + Somers' D) / 2.
    """
    first, second = np.triu_indices(rated.n_systems, 1)
    sums = _system_sums(rated)

    def evaluate(weights: Floats) -> dict[str, Floats]:
        n, judge, gold, squares = np.split(weights @ sums, 4, axis=1)
        items = n.sum(axis=1)
        variance = ratio(squares.sum(axis=1), items) - ratio(judge.sum(axis=1), items) ** 2
        judge, gold = ratio(judge, n), ratio(gold, n)
        orders = np.sign(_without_noise(judge[:, first] - judge[:, second]))
        gold_orders = np.sign(_without_noise(gold[:, first] - gold[:, second]))
        separated = np.abs(gold_orders) == 1  # neither a tie nor NaN
        right = np.where(separated, (1 + orders * gold_orders) / 2, 0.0).sum(axis=1)
        accuracy = ratio(right, separated.sum(axis=1).astype(np.float64))
        return {SYSTEM_ACCURACY: np.where(variance > _NO_VARIANCE, accuracy, np.nan)}

    return Statistic(evaluate, {SYSTEM_ACCURACY: rated.n_videos})


def _system_sums(rated: Rated) -> Floats:
    """Return items, scores, gold and squared scores of each system, summed per video.

    Shape (videos, 4 * systems), with standardised scores, whose scale is that of the noise.
    """
    x = _standardised(rated.scores)
    is_of = [rated.systems == system for system in range(rated.n_systems)]
    columns = [
        np.where(of, v, 0.0) for v in (np.ones(len(x)), x, rated.gold, x * x) for of in is_of
    ]
    return cluster_sums(columns, rated.videos, rated.n_videos)


def skill(rated: Rated, constant: float) -> Statistic:
    """Return skill: 1 - MSE / MSE of always answering `constant`; at most 1.

    Undefined where the constant is never wrong.
    """
    squares = [(rated.scores - rated.gold) ** 2, _without_noise(constant - rated.gold) ** 2]
    sums = cluster_sums(squares, rated.videos, rated.n_videos)

    def evaluate(weights: Floats) -> dict[str, Floats]:
        judge, always = (weights @ sums).T
        return {"skill": 1 - ratio(judge, always)}

    return Statistic(evaluate, {"skill": rated.n_videos})


def confusion(rated: Rated, scale: RatingScale) -> tuple[tuple[int, ...], ...]:
    """Return counts by gold level (rows) and predicted level, both rounded half up and clipped."""
    size = len(scale.values)
    gold, predicted = (rounded_to(scale, v) - scale.low for v in (rated.gold, rated.scores))
    cells = np.bincount((gold * size + predicted).astype(np.int64), minlength=size * size)
    return tuple(tuple(int(n) for n in row) for row in cells.reshape(size, size))


def rounded_to(scale: RatingScale, values: Floats) -> Floats:
    """Return the nearest values of the scale as float64, halves upwards; shape as given."""
    return np.clip(round_half_up(values), scale.low, scale.high)
