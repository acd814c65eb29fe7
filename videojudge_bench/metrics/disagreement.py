"""Distance of a judge from gold on single items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, OptionGold, PreferenceGold, RatingGold
from videojudge_bench.metrics.asked import asked
from videojudge_bench.metrics.bootstrap import Floats
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Verdict

_DECIMALS = 9  # differences below are rounding errors of a mean of ratings

_Answers = Sequence[tuple[Example, Verdict]]


def disagreements(
    gold_set: GoldSet, judgements: Mapping[str, Judgement], *, on_scale: bool
) -> dict[str, float]:
    """Return how far each verdict is from gold, by item id; 0 is agreement. Unparsed have none.

    Ratings: |rating - mean gold| in points of the scale; off the scale the difference between the
    shares of items that the judge and gold place below the item (ties half), 0..1. Options: of a
    distractor 1 where it is rated above the correct option, 1/2 level with it, else 0; of the
    correct option the mean over its distractors. Pairs: |p - gold|, 0..1.

    Raises:
        ConfigError: judgements of another set.
    """
    parsed = [a for a in asked(gold_set, judgements).answers if not isinstance(a[1], Unparsed)]
    if gold_set.info.shape == "ratings":
        return _of_ratings(parsed, on_scale=on_scale)
    return _of_options(parsed) if gold_set.info.shape == "options" else _of_pairs(parsed)


@dataclass(frozen=True)
class Flip:
    """An item on which the distances `a` and `b` of two judges from gold differ."""

    item_id: str
    a: float
    b: float

    @property
    def gain(self) -> float:
        """Advantage of the second judge in distance from gold; negative if the first is nearer."""
        return self.a - self.b


def flips(a: Mapping[str, float], b: Mapping[str, float]) -> list[Flip]:
    """Return the items that both judged on which their disagreements differ, most first."""
    both = [Flip(item_id, a[item_id], b[item_id]) for item_id in a.keys() & b.keys()]
    differing = [flip for flip in both if round(flip.gain, _DECIMALS) != 0]
    return sorted(differing, key=lambda flip: (-abs(flip.gain), flip.item_id))


def _of_ratings(parsed: _Answers, *, on_scale: bool) -> dict[str, float]:
    if not parsed:
        return {}
    scores = np.array([cast(Rating, verdict).value for _, verdict in parsed])
    gold = np.array([cast(RatingGold, example.gold).mean for example, _ in parsed])
    if not on_scale:
        scores, gold = share_below(scores), share_below(np.round(gold, _DECIMALS))
    far = np.abs(np.round(scores - gold, _DECIMALS))
    ids = (example.item.id for example, _ in parsed)
    return dict(zip(ids, far.tolist(), strict=True))


def share_below(values: Floats) -> Floats:
    """Return the share of values below each one, ties half; shape as given, within 0..1."""
    from scipy.stats import rankdata

    return np.asarray((rankdata(values) - 0.5) / len(values), dtype=np.float64)


def _of_options(parsed: _Answers) -> dict[str, float]:
    questions: dict[str, list[tuple[Example, float]]] = {}
    for example, verdict in parsed:
        questions.setdefault(example.unit, []).append((example, cast(Rating, verdict).value))
    distances: dict[str, float] = {}
    for options in questions.values():
        right = [o for o in options if cast(OptionGold, o[0].gold).correct]
        wrong = [o for o in options if not cast(OptionGold, o[0].gold).correct]
        if not right or not wrong:
            continue
        correct, score = right[0]
        lost = {e.item.id: 1.0 if s > score else 0.5 * (s == score) for e, s in wrong}
        distances |= {**lost, correct.item.id: sum(lost.values()) / len(lost)}
    return distances


def _of_pairs(parsed: _Answers) -> dict[str, float]:
    return {
        example.item.id: abs(
            cast(Preference, verdict).p_first - cast(PreferenceGold, example.gold).p_first
        )
        for example, verdict in parsed
    }
