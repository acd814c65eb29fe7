"""The same statistics per criterion, of a judge and a gold set that both rate by criteria."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean

from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import RatingGold
from videojudge_bench.metrics.card import ScoreCard
from videojudge_bench.metrics.scoring import Measurement
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

SHOWN = ("spearman", "kendall_tau_b")
"""Statistics of a criterion among the numbers of a run: scales may differ, so ranks alone."""


def by_criterion(
    measurement: Measurement, judgements: Mapping[str, Judgement], *, resamples: int = 10_000
) -> dict[str, ScoreCard]:
    """Return a score card for each criterion that judge and gold share, by its name.

    It is made as that of the whole set is, of the judge's verdicts on the criterion against the
    mean gold rating on it, over the items with such gold. The scales of both may differ: metrics
    that need one scale are undefined. Empty where judge or gold has no criteria. Raises as
    `Measurement.card`.
    """
    names = dict.fromkeys(name for j in judgements.values() for name in j.criteria)
    cards: dict[str, ScoreCard] = {}
    for name in names:
        gold_set = _gold_set(measurement.gold_set, name)
        if gold_set is None:
            continue
        verdicts = {i: _verdict(j, name) for i, j in judgements.items() if i in gold_set.by_id}
        if verdicts:
            one = replace(measurement, gold_set=gold_set, on_scale=False)
            cards[name] = one.card(verdicts, resamples=resamples)
    return cards


def criterion_numbers(
    measurement: Measurement, judgements: Mapping[str, Judgement], *, resamples: int = 10_000
) -> dict[str, float | int | str]:
    """Return the numbers `criterion.<name>.spearman` and so on, with their intervals and `n`."""
    cards = by_criterion(measurement, judgements, resamples=resamples)
    shown = (*(f"{key}{end}" for key in SHOWN for end in ("", "_low", "_high")), "n", "coverage")
    return {
        f"criterion.{name}.{key}": numbers[key]
        for name, card in cards.items()
        for numbers in (card.numbers(),)
        for key in shown
    }


def _gold_set(gold_set: GoldSet, name: str) -> GoldSet | None:
    """Return the examples with gold on a criterion, its mean as their only rating."""
    examples = tuple(
        replace(example, gold=RatingGold((fmean(example.gold.criteria[name]),)))
        for example in gold_set.examples
        if isinstance(example.gold, RatingGold) and name in example.gold.criteria
    )
    if not examples:
        return None
    ratings = [e.gold.mean for e in examples if isinstance(e.gold, RatingGold)]
    low = math.floor(min(ratings))
    scale = RatingScale(low, max(low + 1, math.ceil(max(ratings))))
    return GoldSet(replace(gold_set.info, scale=scale, recipe=None), examples)


def _verdict(judgement: Judgement, name: str) -> Judgement:
    value = judgement.criteria.get(name)
    if value is not None:
        return Judgement(judgement.item_id, Rating(value))
    # Without a video there is none either: that is counted apart.
    why = judgement.verdict
    reason = why if isinstance(why, Unparsed) else Unparsed(f"criterion {name}: no verdict")
    return Judgement(judgement.item_id, reason)
