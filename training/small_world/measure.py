"""What came out in the small world: every judge by kind of question, and does it look?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from videojudge_bench import registry
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.hashing import Json
from videojudge_bench.metrics import by_label, score
from videojudge_bench.metrics.card import Metric, ScoreCard
from videojudge_bench.metrics.paired import difference_interval
from videojudge_bench.runner import Run, RunOptions
from videojudge_bench.signature import Scalar
from videojudge_bench.statistics import Resampling
from videojudge_bench.verdicts import Judgement

KIND = "kind"
ALL = "all"

Judgements = Mapping[str, Judgement]


@dataclass(frozen=True)
class Number:
    """A value with its 95 % interval; None where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @staticmethod
    def of(metric: Metric) -> Number:
        """Return what a metric says."""
        return Number(metric.value, metric.low, metric.high)

    def to_json(self) -> list[Json]:
        """Return value, low and high, to four decimals."""
        return [None if v is None else round(v, 4) for v in (self.value, self.low, self.high)]

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def judged(gold_set: GoldSet, options: Mapping[str, Scalar], journal: Path) -> dict[str, Judgement]:
    """Return a judge's verdicts on a set, from the journal where they are there.

    Args:
        gold_set: the set.
        options: `judge` and its options.
        journal: the folder of journals.
    """
    own = {name: value for name, value in options.items() if name != "judge"}
    built = registry.build(str(options["judge"]), own)
    try:
        return Run(built, gold_set, RunOptions(journal=journal)).judge(list(gold_set.by_id))
    finally:
        built.judge.close()


def numbers(
    gold_set: GoldSet, judgements: Judgements, key: str, *, resamples: int = 2_000
) -> dict[str, Number]:
    """Return a statistic of all items and by kind of question."""
    whole = score(gold_set, judgements, on_scale=True, resamples=resamples)
    cards: dict[str, ScoreCard] = {
        ALL: whole,
        **by_label(gold_set, judgements, KIND, on_scale=True, resamples=resamples),
    }
    return {kind: Number.of(card.metrics[key]) for kind, card in cards.items()}


def differences(
    gold_set: GoldSet, a: Judgements, b: Judgements, key: str, *, resamples: int = 2_000
) -> dict[str, Number]:
    """Return a statistic of `a` less that of `b`, paired by video, of all items and by kind."""
    found: dict[str, Number] = {}
    of_a, of_b = (numbers(gold_set, j, key, resamples=1) for j in (a, b))
    for kind in of_a:
        ids = {
            item_id
            for item_id, example in gold_set.by_id.items()
            if kind in (ALL, example.labels.get(KIND))
        }
        left, right = ({i: j for i, j in judgements.items() if i in ids} for judgements in (a, b))
        one, other = of_a[kind].value, of_b[kind].value
        if one is None or other is None:
            found[kind] = Number(None)
            continue
        interval = difference_interval(
            gold_set, left, right, statistic=key, resampling=Resampling(resamples)
        )
        low, high = interval or (None, None)
        found[kind] = Number(one - other, low, high)
    return found
