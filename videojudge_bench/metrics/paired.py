"""The interval of a difference between two judges, on what both judged and parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.metrics import rating_statistics as stats
from videojudge_bench.metrics.bootstrap import (
    Floats,
    Resampling,
    Statistic,
    bootstrap,
    codes,
    estimate,
    means,
    percentile_interval,
)
from videojudge_bench.metrics.card import FEWEST_VIDEOS
from videojudge_bench.metrics.compare import UNIT_VALUES, joint_units, rated_by_both
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement


def difference_interval(
    gold_set: GoldSet,
    a: Mapping[str, Judgement],
    b: Mapping[str, Judgement],
    *,
    statistic: str,
    part: str = "all",
    resampling: Resampling,
) -> tuple[float, float] | None:
    """Return the 95 % interval of one statistic; see `difference_intervals`."""
    known = difference_intervals(
        gold_set, a, b, statistics=(statistic,), part=part, resampling=resampling
    )
    return known[statistic]


def difference_intervals(
    gold_set: GoldSet,
    a: Mapping[str, Judgement],
    b: Mapping[str, Judgement],
    *,
    statistics: Sequence[str],
    part: str = "all",
    resampling: Resampling,
) -> dict[str, tuple[float, float] | None]:
    """Return 95 % intervals of statistics of `a` minus those of `b`, by resampling videos.

    Both judges get the same resamples of the videos on which both have verdicts, so that items that
    are hard for both do not widen the interval. Resamples in which either is undefined are dropped.
    None with fewer than 20 such videos, or where no resample is left. Raises as `joint_units`.
    """
    units, starts = joint_units(gold_set, a, b, part)
    n_videos = len(starts)
    if n_videos < FEWEST_VIDEOS:
        return dict.fromkeys(statistics)
    differences: dict[str, Floats] = {}
    videos = codes(np.array([unit.video_id for unit in units]))
    for statistic in statistics:
        if statistic in differences:
            continue
        if statistic in UNIT_VALUES:
            value = UNIT_VALUES[statistic]
            gains = [value(unit.examples, unit.a) - value(unit.examples, unit.b) for unit in units]
            gain = means({statistic: np.array(gains)}, videos, n_videos)
            differences |= bootstrap([gain], n_videos, resampling)
            continue
        # One seed and one number of videos give both the same resamples.
        of_a, of_b = (
            bootstrap(rated_statistics(rated, statistic, gold_set.info.scale), n_videos, resampling)
            for rated in rated_by_both(units)
        )
        differences |= {key: of_a[key] - of_b[key] for key in of_a}
    return {key: percentile_interval(differences[key]) for key in statistics}


def statistic_of(
    gold_set: GoldSet, judgements: Mapping[str, Judgement], *, statistic: str, part: str = "all"
) -> float:
    """Return a statistic of one judge, NaN where it is undefined; raises as `joint_units`."""
    units, starts = joint_units(gold_set, judgements, judgements, part)
    if statistic in UNIT_VALUES:
        return float(np.mean([UNIT_VALUES[statistic](unit.examples, unit.a) for unit in units]))
    rated, _ = rated_by_both(units)
    return estimate(rated_statistics(rated, statistic, gold_set.info.scale), len(starts))[statistic]


def rated_statistics(rated: stats.Rated, statistic: str, scale: RatingScale) -> list[Statistic]:
    """Return the smallest set of statistics that has the requested one."""
    if statistic in ("tau_b_within", "acc_eq"):
        return stats.inside_groups(rated)
    if statistic.startswith("emscore_"):
        return stats.emscore(rated)[:1]
    if statistic in ("mae", "rmse"):
        return stats.errors(rated, scale)
    return [stats.correlations(rated)]
