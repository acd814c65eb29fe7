"""Human agreement: the rows with which a judge's row is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import RatingGold
from videojudge_bench.metrics import rating_statistics as stats
from videojudge_bench.metrics.bootstrap import Floats, Resampling, Statistic
from videojudge_bench.metrics.card import ScoreCard, assemble, measure
from videojudge_bench.metrics.rating_statistics import Rated

_SAME_TARGET = "the raters are the gold"


def human_cards(gold_set: GoldSet) -> dict[str, ScoreCard]:
    """Return the cards of the raters themselves; empty for sets without two raters.

    `human_rater`: one rater against another, averaged over all pairs of raters. `human_mean`: the
    raters' mean against each of the raters, averaged; it contains its own target, so it is an upper
    reference. Both have what is defined per rater column (`emscore_*` where the set has that
    recipe, else `spearman` and `kendall_tau_b`; and `qwk`), over the whole set, with intervals; a
    rater column is a position, not a person. Everything else is undefined: there the mean of the
    raters is the gold. One rater is a noisier target than the mean that judges are measured
    against, so a judge's correlation may well be above `human_rater`.
    """
    if gold_set.info.shape != "ratings" or _n_raters(gold_set) < 2:
        return {}
    examples = sorted(gold_set.examples, key=lambda e: (e.item.video_id, e.item.id))
    rated = Rated.of(examples, [cast(RatingGold, e.gold).mean for e in examples])
    columns = range(rated.raters.shape[1])
    against_others = [
        replace(rated, scores=rated.raters[:, one], raters=rated.raters[:, one + 1 :])
        for one in columns[:-1]
    ]
    return {
        "human_rater": _card(gold_set.info, against_others),
        "human_mean": _card(gold_set.info, [rated]),
    }


def agreement(gold_set: GoldSet) -> dict[str, float]:
    """Return how far raters agree: `krippendorff_alpha_ordinal`, at most 1, 0 by chance.

    Empty where it is undefined: fewer than two raters, or all ratings equal.
    """
    if gold_set.info.shape != "ratings" or _n_raters(gold_set) < 2:
        return {}
    raters = Rated.of(gold_set.examples, [0.0] * len(gold_set.examples)).raters
    if np.ptp(raters) == 0:
        return {}
    import krippendorff

    alpha = krippendorff.alpha(reliability_data=raters.T, level_of_measurement="ordinal")
    return {"krippendorff_alpha_ordinal": float(alpha)}


def _n_raters(gold_set: GoldSet) -> int:
    return len(cast(RatingGold, gold_set.examples[0].gold).ratings)


def _card(info: GoldSetInfo, comparisons: Sequence[Rated]) -> ScoreCard:
    """Return the card of scores against rater columns; every column weighs the same."""
    per_comparison = [_per_rater(info, rated) for rated in comparisons]
    n_columns = [rated.raters.shape[1] for rated in comparisons]
    statistics = [_average(same, n_columns) for same in zip(*per_comparison, strict=True)]
    rated = comparisons[0]
    values = measure(statistics, rated.n_videos, lambda _: "constant rater", Resampling())
    n = len(rated.gold)
    return ScoreCard(
        assemble(info, values, values, lambda _: _SAME_TARGET), n=n, n_parsed=n, coverage=1.0
    )


def _per_rater(info: GoldSetInfo, rated: Rated) -> list[Statistic]:
    scores, raters = (stats.rounded_to(info.scale, v) for v in (rated.scores, rated.raters))
    kappa = stats.quadratic_kappa(scores, raters, rated.videos, rated.n_videos)
    if info.recipe == "emscore":
        return [*stats.emscore(rated), kappa]
    names = ("kendall_tau_b", "spearman")
    return [stats.rater_correlations(rated, rated.scores, names, rated.n_videos), kappa]


def _average(same: Sequence[Statistic], n_columns: Sequence[int]) -> Statistic:
    """Return the mean of statistics that are themselves means over as many columns."""

    def evaluate(weights: Floats) -> dict[str, Floats]:
        values = [statistic.evaluate(weights) for statistic in same]
        return {
            key: np.average([v[key] for v in values], axis=0, weights=n_columns)
            for key in values[0]
        }

    return Statistic(evaluate, same[0].n_clusters)
