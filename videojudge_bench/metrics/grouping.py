"""The same statistics per group: by a label of the examples, and by answering system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.labels import groups_of
from videojudge_bench.items import Example, RatingGold
from videojudge_bench.metrics.asked import asked
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.metrics.card import Metric, ScoreCard, measure_means
from videojudge_bench.metrics.scoring import Measurement
from videojudge_bench.verdicts import Judgement, Rating

_DECIMALS = 9  # differences of means below are rounding errors


def by_label(
    measurement: Measurement,
    judgements: Mapping[str, Judgement],
    label: str,
    *,
    resamples: int = 10_000,
) -> dict[str, ScoreCard]:
    """Return a score card for each value of a label, made as that of the whole set is.

    `by_label(measurement, judgements, "kind")["order"].metrics["spearman"].value` is a number, `.n`
    its number of items. Every group is scored as if nothing else had been asked; a group of fewer
    than 20 videos has values and no intervals, and one without judgements has no card. A question
    of an option set is left out (`n_left_out`) where the label tells its options apart.

    The label is one of the examples, or `system`, `source`, `topic`, `duration`, `temporal`
    (`goldsets.labels`); examples without it are the group `(none)`. Raises as
    `goldsets.labels.groups_of` and `Measurement.card`.
    """
    gold_set = measurement.gold_set
    asked(gold_set, judgements)  # a judgement of another set would be in no group, unseen
    cards: dict[str, ScoreCard] = {}
    for value, item_ids in groups_of(gold_set, label).items():
        group = {i: judgement for i, judgement in judgements.items() if i in item_ids}
        if group:
            cards[value] = measurement.card(group, resamples=resamples)
    return cards


@dataclass(frozen=True)
class SystemMeans:
    """Mean ratings of one answering system by annotators and by a judge.

    Both are about its `n` responses with a verdict. A rank is 1 + the number of systems with a
    higher mean.
    """

    system: str
    n: int
    gold: Metric
    judge: Metric
    gold_rank: int
    judge_rank: int


def by_system(
    gold_set: GoldSet,
    judgements: Mapping[str, Judgement],
    *,
    part: str = "all",
    resamples: int = 10_000,
) -> list[SystemMeans]:
    """Return the means and ranks of the answering systems, best gold first.

    `system_accuracy` of a score card is the share of pairs of systems that both rankings order
    alike. Responses without a verdict are left out of both means. Intervals are 95 %, by resampling
    videos; a system with fewer than 20 videos has none.

    Raises:
        ConfigError: the set does not name the systems, or no response has a verdict; else as
            `Measurement.card`.
    """
    if not gold_set.info.systems:
        raise ConfigError(
            f"{gold_set.info.task} does not name the answering systems; give every row of your set "
            "the field 'system'"
        )
    rated = [
        (example, verdict.value)
        for example, verdict in asked(gold_set, judgements).only(part).answers
        if isinstance(verdict, Rating)
    ]
    if not rated:
        raise ConfigError(f"{gold_set.info.task}: no response has a verdict, so no system is rated")
    systems = _means([e for e, _ in rated], [v for _, v in rated], Resampling(resamples))
    return sorted(systems, key=lambda means: (means.gold_rank, means.system))


def _means(
    examples: Sequence[Example], scores: Sequence[float], resampling: Resampling
) -> list[SystemMeans]:
    systems = np.array([e.system or "" for e in examples])
    names = np.unique(systems)
    videos = np.array([e.item.video_id for e in examples])
    gold = np.array([cast(RatingGold, e.gold).mean for e in examples])
    columns = {
        f"{who}{number}": np.where(systems == name, values, np.nan)
        for number, name in enumerate(names)
        for who, values in (("gold", gold), ("judge", np.array(scores)))
    }
    metrics = measure_means(columns, videos, str, resampling, shares=())
    ranks = {
        who: _ranks([metrics[f"{who}{k}"] for k in range(len(names))]) for who in ("gold", "judge")
    }
    return [
        SystemMeans(
            system=str(name),
            n=int(np.sum(systems == name)),
            gold=metrics[f"gold{k}"],
            judge=metrics[f"judge{k}"],
            gold_rank=ranks["gold"][k],
            judge_rank=ranks["judge"][k],
        )
        for k, name in enumerate(names)
    ]


def _ranks(metrics: Sequence[Metric]) -> list[int]:
    values = [round(cast(float, metric.value), _DECIMALS) for metric in metrics]
    return [1 + sum(other > value for other in values) for value in values]
