"""Measures of judges in the small world: by kind of question, and with and without the video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Union

from videojudge_bench import registry
from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import Scalar
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item, RatingGold
from videojudge_bench.metrics import Measurement, by_label
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.metrics.card import Metric
from videojudge_bench.metrics.paired import difference_interval
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.training.small_world.world import BEST, KINDS
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

KIND = "kind"
ALL = "all"

_ENOUGH = 10
"""Responses, to fit four words and what a wholly wrong one gets."""

Judgements = Mapping[str, Judgement]


Number = Sequence[Union[float, None]]
"""Value, low and high; None where they are undefined."""

ByKind = Mapping[str, Number]
"""Numbers of all items and by kind of question, or by the rating that is deserved."""


def rounded(made: Mapping[str, ByKind]) -> dict[str, dict[str, list[Json]]]:
    """Return numbers to four decimals, as files have them."""
    return {
        name: {
            key: [None if part is None else round(part, 4) for part in number]
            for key, number in row.items()
        }
        for name, row in made.items()
    }


def judged(gold_set: GoldSet, options: Mapping[str, Scalar], journal: Path) -> dict[str, Judgement]:
    """Return a judge's verdicts on a set, from the journal where they are there."""
    own = {name: value for name, value in options.items() if name != "judge"}
    built = registry.build(str(options["judge"]), own)
    try:
        return Run(built, gold_set, RunOptions(journal=journal)).judge(list(gold_set.by_id))
    finally:
        built.judge.close()


def numbers(
    gold_set: GoldSet, judgements: Judgements, key: str, *, resamples: int = 2_000
) -> dict[str, Number]:
    """Return a metric, or `coverage`, of all items and by kind of question."""
    drawn = 1 if key == "coverage" else resamples
    measurement = Measurement(gold_set)
    kinds = by_label(measurement, judgements, KIND, resamples=drawn)
    cards = {ALL: measurement.card(judgements, resamples=drawn), **kinds}
    if key == "coverage":
        return {kind: (card.coverage, None, None) for kind, card in cards.items()}
    return {kind: _number_of(card.metrics[key]) for kind, card in cards.items()}


def errors_by_rating(
    gold_set: GoldSet, judgements: Judgements, *, resamples: int = 2_000
) -> dict[str, Number]:
    """Return by deserved rating how far above it the verdicts are on average, points of the scale.

    A judge in doubt stays near the middle, so all of them are above at 1 and below at 5.
    """
    found: dict[str, Number] = {}
    for rating in gold_set.info.scale.values:
        of_it = {i: j for i, j in judgements.items() if _deserved(gold_set, i) == rating}
        card = Measurement(gold_set).card(of_it, resamples=resamples)
        found[f"{rating:g}"] = _number_of(card.metrics["bias"])
    return found


def points_of_words(
    gold_set: GoldSet, judgements: Judgements
) -> dict[str, tuple[float, ...] | None]:
    """Return by kind of question by how many points each right word raises the verdict.

    By least squares of the verdicts on which of a response's four words are right, first to last.
    A judge that checks all of them gives about 1 to each, and 0 to one that it does not check. None
    where fewer than ten responses have a verdict.

    Args:
        gold_set: of this world; a question's right answer is its response that deserves a 5.
        judgements: ratings; others are left out.
    """
    import numpy as np

    asked = {item_id: _item(gold_set, item_id) for item_id in gold_set.by_id}
    right = {
        (item.video_id, item.instruction): item.response.split()
        for item_id, item in asked.items()
        if _deserved(gold_set, item_id) == BEST
    }
    found: dict[str, tuple[float, ...] | None] = {}
    for kind in KINDS:
        rows, values = [], []
        for item_id, judgement in judgements.items():
            item, verdict = asked[item_id], judgement.verdict
            if gold_set.by_id[item_id].labels.get(KIND) == kind and isinstance(verdict, Rating):
                words = zip(
                    right[item.video_id, item.instruction], item.response.split(), strict=True
                )
                rows.append([1.0, *(float(a == b) for a, b in words)])
                values.append(verdict.value)
        if len(rows) < _ENOUGH:
            found[kind] = None
            continue
        fitted = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
        found[kind] = tuple(float(points) for points in fitted[1:])
    return found


def differences(
    gold_set: GoldSet, a: Judgements, b: Judgements, key: str, *, resamples: int = 2_000
) -> dict[str, Number]:
    """Return a statistic of `a` less that of `b`, paired by video, of all items and by kind.

    Both on the items on which both have a verdict, so that it need not be the difference of what
    `numbers` says of each.
    """
    both = [i for i in a if i in b and not _is_unparsed(a[i]) and not _is_unparsed(b[i])]
    measurement = Measurement(gold_set)
    found: dict[str, Number] = dict.fromkeys((ALL, *KINDS), (None, None, None))
    for kind in found:
        ids = [i for i in both if kind in (ALL, gold_set.by_id[i].labels.get(KIND))]
        one, other = ({i: of[i] for i in ids} for of in (a, b))
        cards = [measurement.card(j, resamples=1) for j in (one, other) if ids]
        values = [v for card in cards if (v := card.metrics[key].value) is not None]
        if len(values) == 2:
            interval = difference_interval(
                gold_set, one, other, statistic=key, resampling=Resampling(resamples)
            )
            low, high = interval or (None, None)
            found[kind] = (values[0] - values[1], low, high)
    return found


def _number_of(metric: Metric) -> Number:
    return (metric.value, metric.low, metric.high)


def _is_unparsed(judgement: Judgement) -> bool:
    return isinstance(judgement.verdict, Unparsed)


def _item(gold_set: GoldSet, item_id: str) -> Item:
    item = gold_set.by_id[item_id].item
    assert isinstance(item, Item), "responses are rated here"
    return item


def _deserved(gold_set: GoldSet, item_id: str) -> float:
    gold = gold_set.by_id[item_id].gold
    assert isinstance(gold, RatingGold), "what is deserved is a rating here"
    return gold.mean
