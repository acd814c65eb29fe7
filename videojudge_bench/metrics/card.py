"""A score card: the numbers of one judge on one gold set, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.metrics.bootstrap import (
    Floats,
    Resampling,
    Statistic,
    bootstrap,
    codes,
    estimate,
    means,
    percentile_interval,
    wilson_interval,
)
from videojudge_bench.metrics.keys import KEYS, Key, keys_of

FEWEST_VIDEOS = 20
TOO_FEW_VIDEOS = f"fewer than {FEWEST_VIDEOS} videos"
SHARES = frozenset(name for name, key in KEYS.items() if key.share)


@dataclass(frozen=True)
class Metric:
    """A number with the ends of its 95 % interval, or the reason why it is undefined.

    Attributes:
        value: None exactly where `undefined` gives a reason; never NaN.
        no_interval: why there is a value and no interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    undefined: str = ""
    no_interval: str = ""

    def cells(self) -> dict[str, str | float]:
        """Return value and interval as the cells of a table, or why one of them is missing."""
        if self.value is None:
            return {"value": f"undefined ({self.undefined})", "95 % interval": ""}
        interval = f"none ({self.no_interval})"
        if self.low is not None and self.high is not None:
            interval = f"{self.low:.3f} to {self.high:.3f}"
        return {"value": self.value, "95 % interval": interval}

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined ({self.undefined})"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class ScoreCard:
    """The numbers of one judge on one gold set.

    Items are what is asked: responses of rated and option sets, pairs (both orders) of pair sets.

    Attributes:
        metrics: all value keys of the gold set in display order, with their `_all` twins.
        n: items asked, of the part (`all` or `test`).
        n_parsed: items with a verdict.
        n_missing_video: items that could not be judged because their video is not there.
        n_left_out: questions without their correct option, without distractors or with an unparsed
            option; pairs asked in one order only, or whose gold is a tie. 0 of rated sets.
        coverage: n_parsed / (n - n_missing_video), 0..1; None where that is 0 / 0.
        confusion: gold level x predicted level, both rounded half up, worst level first; None off
            the rating scale and for other shapes.
    """

    metrics: Mapping[str, Metric]
    n: int = 0
    n_parsed: int = 0
    n_missing_video: int = 0
    n_left_out: int = 0
    coverage: float | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    part: str = "all"

    def flat(self) -> dict[str, float | int | str]:
        """Return the card under exactly the keys of `all_keys`.

        What is undefined is text: `undefined (constant judge)`.
        """
        flat: dict[str, float | int | str] = {}
        for name, metric in self.metrics.items():
            flat[name] = _number(metric.value, metric.undefined)
            if name in KEYS and KEYS[name].interval:
                why = metric.undefined or metric.no_interval
                flat[f"{name}_low"] = _number(metric.low, why)
                flat[f"{name}_high"] = _number(metric.high, why)
        nothing = "video missing for every item" if self.n_missing_video else "nothing to judge"
        return {
            **flat,
            "n": self.n,
            "n_parsed": self.n_parsed,
            "n_missing_video": self.n_missing_video,
            "n_left_out": self.n_left_out,
            "coverage": _number(self.coverage, nothing),
        }

    def numbers(self) -> dict[str, float | int | str]:
        """Return `flat` to six decimals: what is beyond differs between processors."""
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in self.flat().items()}


def coverage(n: int, n_parsed: int, n_missing_video: int) -> float | None:
    """Return parsed / (asked - video missing), 0..1; None when nothing could be judged."""
    return n_parsed / (n - n_missing_video) if n > n_missing_video else None


def undefined_card(info: GoldSetInfo, reason: str) -> ScoreCard:
    """Return a card on which every metric is undefined, for a gold set that gives no numbers."""
    return ScoreCard(assemble(info, {}, {}, lambda _: reason))


def assemble(
    info: GoldSetInfo,
    values: Mapping[str, Metric],
    imputed: Mapping[str, Metric],
    why: Callable[[Key], str],
) -> dict[str, Metric]:
    """Return all metrics of a gold set in display order.

    `imputed`, with Unparsed imputed, become the `_all` twins of `values`; `why` returns the reason
    for a key that is missing.
    """
    metrics: dict[str, Metric] = {}
    for key in keys_of(info):
        metrics[key.name] = values.get(key.name) or Metric(None, undefined=why(key))
        if key.imputed:
            twin = imputed.get(key.name) or Metric(None, undefined=why(key))
            metrics[f"{key.name}_all"] = replace(twin, low=None, high=None, no_interval="")
    return metrics


def measure(
    statistics: Sequence[Statistic],
    n_videos: int,
    why: Callable[[str], str],
    resampling: Resampling | None,
    *,
    shares: Collection[str] = SHARES,
) -> dict[str, Metric]:
    """Return each key's value, with its 95 % percentile interval over resampled videos.

    A resample in which a statistic is undefined is dropped for that statistic, so its interval is
    conditional on being defined. Fewer than 20 videos that contribute: no interval. A share that
    is 0 or 1 is so in every resample; its interval is Wilson's, with the videos as trials, because
    the items of one video are not independent.

    Args:
        statistics: functions of weights of shape (resamples, n_videos).
        n_videos: number of videos.
        why: returns the reason for a key that is undefined.
        resampling: None for no intervals.
        shares: the keys that are shares, 0..1.
    """
    values = estimate(statistics, n_videos)
    metrics = {
        key: Metric(None, undefined=why(key)) if math.isnan(value) else Metric(value)
        for key, value in values.items()
    }
    if resampling is None:
        return metrics
    if n_videos < FEWEST_VIDEOS:
        return {key: replace(m, no_interval=TOO_FEW_VIDEOS) for key, m in metrics.items()}
    resampled = bootstrap(statistics, n_videos, resampling)
    n_clusters = {key: n for s in statistics for key, n in s.n_clusters.items()}
    return {
        k: _with_interval(m, n_clusters[k], resampled[k], is_share=k in shares)
        for k, m in metrics.items()
    }


def measure_means(
    columns: Mapping[str, Floats],
    videos: NDArray[np.generic],
    why: Callable[[str], str],
    resampling: Resampling | None,
    *,
    shares: Collection[str] = SHARES,
) -> dict[str, Metric]:
    """Return the means over items, each in one of `videos` (items,); see `means` and `measure`."""
    clusters = codes(videos)
    n_videos = int(clusters.max()) + 1
    return measure([means(columns, clusters, n_videos)], n_videos, why, resampling, shares=shares)


def _with_interval(metric: Metric, n_videos: int, resampled: Floats, *, is_share: bool) -> Metric:
    if metric.value is None:
        return metric
    if n_videos < FEWEST_VIDEOS:
        return replace(metric, no_interval=TOO_FEW_VIDEOS)
    interval = percentile_interval(resampled)
    if is_share and metric.value in (0.0, 1.0):
        interval = wilson_interval(metric.value, n_videos)
    if interval is None:
        return replace(metric, no_interval="undefined in every resample")
    return replace(metric, low=interval[0], high=interval[1])


def _number(value: float | None, why: str) -> float | str:
    return value if value is not None else f"undefined ({why})"
