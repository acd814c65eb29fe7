"""The examples that a judge was asked about, with its verdicts; and the worst case for a judge.

`count_against` is adversarial imputation for the `_all` figures, not a bound on any statistic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, OptionGold, PreferenceGold, RatingGold, part_of
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import (
    MISSING_VIDEO,
    Judgement,
    Preference,
    Rating,
    Unparsed,
    Verdict,
)

PARTS = ("all", "test")


@dataclass(frozen=True)
class Asked:
    """Examples with their verdicts, by video and then by id, so that no result hangs on order."""

    answers: tuple[tuple[Example, Verdict], ...]

    def only(self, part: str) -> Asked:
        """Return those of `dev` or `test` videos; `all` keeps all."""
        if part == "all":
            return self
        return Asked(tuple(a for a in self.answers if part_of(a[0].item.video_id) == part))

    @property
    def n_parsed(self) -> int:
        """Number of examples with a verdict."""
        return sum(not isinstance(verdict, Unparsed) for _, verdict in self.answers)

    @property
    def n_missing_video(self) -> int:
        """Number of examples that had no video to look at."""
        return sum(is_missing_video(verdict) for _, verdict in self.answers)

    def why_nothing(self) -> str:
        """Return why there is no parsed verdict."""
        if not self.answers:
            return "no judgements"
        if self.n_missing_video == len(self.answers):
            return "video missing for every item"
        return "no parsed verdict"


def asked(gold_set: GoldSet, judgements: Mapping[str, Judgement]) -> Asked:
    """Return the examples that were asked, with their verdicts.

    Raises:
        ConfigError: on judgements of items that the gold set does not have, or with a verdict that
            its shape cannot use (a preference about a single response).
    """
    unknown = [item_id for item_id in judgements if item_id not in gold_set.by_id]
    if unknown:
        raise ConfigError(
            f"{gold_set.info.task}: {len(unknown)} judgements are of items that the set does not "
            f"have, such as {unknown[0]!r}. They belong to another set or version; judge again."
        )
    verdict_type = Preference if gold_set.info.shape == "pairs" else Rating
    answers = []
    for item_id, judgement in judgements.items():
        verdict = judgement.verdict
        if not isinstance(verdict, (verdict_type, Unparsed)):
            raise ConfigError(
                f"{gold_set.info.task}: item {item_id!r} was judged with a "
                f"{type(verdict).__name__}; {gold_set.info.shape} need a {verdict_type.__name__}"
            )
        answers.append((gold_set.by_id[item_id], verdict))
    return Asked(tuple(sorted(answers, key=lambda a: (a[0].item.video_id, a[0].item.id))))


def is_missing_video(verdict: Verdict) -> bool:
    """Return whether there is no verdict because there was no video to look at."""
    return isinstance(verdict, Unparsed) and verdict.reason.startswith(MISSING_VIDEO)


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
