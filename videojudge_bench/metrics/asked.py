"""Examples with the verdicts of a judge, and the worst case of its missing verdicts.

`count_against` is adversarial imputation for the `_all` figures, not a bound on any statistic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
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


def check_part(info: GoldSetInfo, part: str) -> None:
    """Raise ConfigError for an unknown part, or one that the gold set does not have."""
    if part not in PARTS:
        raise UnknownNameError("part", part, PARTS)
    if part != "all" and not info.has_dev:
        raise ConfigError(
            f"{info.task}: part {part!r} was asked, but {info.data} has no parts; use part 'all'"
        )


@dataclass(frozen=True)
class Asked:
    """Examples with their verdicts, by video and then by id: no result depends on their order."""

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
        """Number of examples whose video is missing."""
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
    """Return whether there is no verdict because the video is missing."""
    return isinstance(verdict, Unparsed) and verdict.reason.startswith(MISSING_VIDEO)


def score_ends(
    scores: Collection[float], scale: RatingScale, *, on_scale: bool
) -> tuple[float, float] | None:
    """Return the ends of the scale, or the lowest and highest of ordinal scores, None without."""
    if on_scale:
        return float(scale.low), float(scale.high)
    return (min(scores), max(scores)) if scores else None


def worst_ratings(
    answers: Asked, scale: RatingScale, ends: tuple[float, float] | None
) -> dict[str, Verdict]:
    """Return by item id, for every Unparsed, the rating of the end that is farthest from gold.

    Empty without ends; items whose video is missing are left out.
    """
    if ends is None:
        return {}
    low, high = ends
    return {
        example.item.id: Rating(low if scale.farthest_from(gold.mean) == scale.low else high)
        for example, verdict in answers.answers
        if _unread(verdict) and isinstance(gold := example.gold, RatingGold)
    }


def count_against(
    gold_set: GoldSet, judgements: Mapping[str, Judgement], *, on_scale: bool
) -> dict[str, Judgement]:
    """Return the judgements with every Unparsed replaced: the end of the scale farthest from gold,
    a question or a pair that is lost. Items without a video stay as they are.
    """  # noqa: D205
    answers, scale = asked(gold_set, judgements), gold_set.info.scale
    if gold_set.info.shape == "ratings":
        scores = [verdict.value for _, verdict in answers.answers if isinstance(verdict, Rating)]
        ends = score_ends(scores, scale, on_scale=on_scale) if scores else None
        worst = worst_ratings(answers, scale, ends)
    else:
        worst = _lost_units(answers)
    return {i: Judgement(i, worst.get(i, j.verdict)) for i, j in judgements.items()}


def _lost_units(answers: Asked) -> dict[str, Verdict]:
    units: dict[str, list[tuple[Example, Verdict]]] = {}
    for example, verdict in answers.answers:
        units.setdefault(example.unit, []).append((example, verdict))
    lost = [members for members in units.values() if _is_lost([v for _, v in members])]
    return {e.item.id: _lost(e) for members in lost for e, _ in members}


def _is_lost(verdicts: Sequence[Verdict]) -> bool:
    return any(map(_unread, verdicts)) and not any(map(is_missing_video, verdicts))


def _lost(example: Example) -> Verdict:
    """Return the verdict of a judge that prefers every distractor, or the other response."""
    if isinstance(example.gold, OptionGold):
        return Rating(0.0 if example.gold.correct else 1.0)
    return Preference(1.0 - cast("PreferenceGold", example.gold).p_first)


def _unread(verdict: Verdict) -> bool:
    return isinstance(verdict, Unparsed) and not is_missing_video(verdict)
