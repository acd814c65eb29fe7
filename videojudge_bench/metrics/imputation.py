"""Verdicts that count every reply that could not be read against the judge.

This is the worst case for a judge, made for the `_all` figures; it is adversarial imputation, not a
bound on any statistic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, OptionGold, PreferenceGold, RatingGold
from videojudge_bench.metrics.asked import Asked, asked, is_missing_video
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Verdict

Ends = tuple[float, float]


def worst_rating(gold_mean: float, scale: RatingScale, ends: Ends) -> float:
    """Return the end that is farthest from gold.

    Args:
        gold_mean: mean gold rating.
        scale: of the gold.
        ends: lowest and highest number that the judge gives: the scale's ends, or what it was seen
            to give when its numbers only rank.
    """
    return ends[0] if scale.farthest_from(gold_mean) == scale.low else ends[1]


def count_against(
    gold_set: GoldSet, judgements: Mapping[str, Judgement], *, on_scale: bool
) -> dict[str, Judgement]:
    """Return the judgements with every Unparsed replaced: the end of the scale farthest from gold,
    a question or a pair that is lost. Items without a video stay as they are.
    """  # noqa: D205
    answers = asked(gold_set, judgements)
    if gold_set.info.shape == "ratings":
        worst = _worst_ratings(answers, gold_set.info.scale, on_scale=on_scale)
    else:
        worst = _lost_units(answers)
    return {i: Judgement(i, worst.get(i, j.verdict)) for i, j in judgements.items()}


def _worst_ratings(answers: Asked, scale: RatingScale, *, on_scale: bool) -> dict[str, Verdict]:
    seen = [verdict.value for _, verdict in answers.answers if isinstance(verdict, Rating)]
    if not seen:
        return {}
    ends = (float(scale.low), float(scale.high)) if on_scale else (min(seen), max(seen))
    return {
        example.item.id: Rating(worst_rating(cast("RatingGold", example.gold).mean, scale, ends))
        for example, verdict in answers.answers
        if _unread(verdict)
    }


def _lost_units(answers: Asked) -> dict[str, Verdict]:
    units: dict[str, list[tuple[Example, Verdict]]] = {}
    for example, verdict in answers.answers:
        units.setdefault(example.unit, []).append((example, verdict))
    lost = [members for members in units.values() if _is_lost([v for _, v in members])]
    return {e.item.id: _lost(e) for members in lost for e, _ in members}


def _is_lost(verdicts: Sequence[Verdict]) -> bool:
    return any(map(_unread, verdicts)) and not any(map(is_missing_video, verdicts))


def _lost(example: Example) -> Verdict:
    """The verdict of a judge that takes every distractor, or the other response."""
    if isinstance(example.gold, OptionGold):
        return Rating(0.0 if example.gold.correct else 1.0)
    return Preference(1.0 - cast("PreferenceGold", example.gold).p_first)


def _unread(verdict: Verdict) -> bool:
    return isinstance(verdict, Unparsed) and not is_missing_video(verdict)
