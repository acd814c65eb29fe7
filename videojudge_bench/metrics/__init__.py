"""Statistics of judgements against gold: `Measurement` turns judgements into a score card.

`by_label` gives a card for each value of a label, `by_system` the means of each answering system.
"""

from __future__ import annotations

from videojudge_bench.metrics.by_criterion import by_criterion, criterion_numbers
from videojudge_bench.metrics.card import Metric, ScoreCard, undefined_card
from videojudge_bench.metrics.grouping import SystemMeans, by_label, by_system
from videojudge_bench.metrics.humans import agreement, human_cards
from videojudge_bench.metrics.keys import all_keys, higher_is_better, metric_keys, primary_key
from videojudge_bench.metrics.scoring import METRIC_VERSION, Measurement

__all__ = [
    "METRIC_VERSION",
    "Measurement",
    "Metric",
    "ScoreCard",
    "SystemMeans",
    "agreement",
    "all_keys",
    "by_criterion",
    "by_label",
    "by_system",
    "criterion_numbers",
    "higher_is_better",
    "human_cards",
    "metric_keys",
    "primary_key",
    "undefined_card",
]
