"""Criteria: questions about a response that one call answers, each with a verdict of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from videojudge_bench.scale import RatingScale

YES_NO = RatingScale(0, 1)
OVERALL = "overall"
"""Name of the slot in which a model writes the overall rating; no criterion has it."""


@dataclass(frozen=True)
class Criterion:
    """One question about a response.

    Attributes:
        name: of the slot in a reply, and in results.
        weight: in the overall score, from 0 up.
        scale: of its ratings; on `YES_NO`, 0 is no and 1 is yes.
    """

    name: str
    question: str
    weight: float = 1.0
    scale: RatingScale = RatingScale(1, 5)

    @property
    def yes_no(self) -> bool:
        """True if it is answered by yes or no."""
        return self.scale == YES_NO and self.name != OVERALL

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that a slot may hold, worst first, one for each value of the scale."""
        return ("no", "yes") if self.yes_no else tuple(map(str, self.scale.values))

    def key(self, choice: str) -> str:
        """Return the name of a choice's probability among those of all slots of a reply."""
        return f"{self.name}={choice}"


def overall_criterion(scale: RatingScale) -> Criterion:
    """Return what a model is asked for where it gives the overall rating itself."""
    return Criterion(OVERALL, "All in all, how good is the answer?", 0.0, scale)


def weighted(
    criteria: Sequence[Criterion], values: Mapping[str, float], scale: RatingScale
) -> float:
    """Return the weighted mean of the criteria, each from 0 to 1 on its scale, on `scale`.

    Criteria of weight 0 need no value.
    """
    counted = [c for c in criteria if c.weight]
    shares = [(values[c.name] - c.scale.low) / (c.scale.high - c.scale.low) for c in counted]
    largest = max(c.weight for c in counted)  # so that no sum of weights is infinite
    weights = [c.weight / largest for c in counted]
    mean = sum(w * share for w, share in zip(weights, shares, strict=True)) / sum(weights)
    # Equal means must be equal numbers, in whichever order they were summed.
    return scale.clip(round(scale.low + mean * (scale.high - scale.low), 9))
