"""The rating scale: one object serves prompts, parsers and statistics."""

from __future__ import annotations

import re
from dataclasses import dataclass

from videojudge_bench.errors import ConfigError

_SCALE = re.compile(r"(-?\d+)-(-?\d+)")


@dataclass(frozen=True)
class RatingScale:
    """A scale of whole-number ratings from `low` (worst) to `high` (best), both included.

    Raises:
        ValueError: when `low` is not below `high`.
    """

    low: int = 1
    high: int = 5

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"a rating scale needs low < high, got {self.low} and {self.high}")

    @property
    def values(self) -> tuple[int, ...]:
        """All whole-number ratings, worst first."""
        return tuple(range(self.low, self.high + 1))

    @property
    def middle(self) -> float:
        """The point halfway between the ends."""
        return (self.low + self.high) / 2

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def clip(self, value: float) -> float:
        """Return `value` moved to the nearest end when it lies outside the scale."""
        return min(max(value, float(self.low)), float(self.high))

    def farthest_from(self, value: float) -> int:
        """Return the end of the scale farthest from `value`; the low end when both are as far."""
        return self.low if value >= self.middle else self.high

    def __str__(self) -> str:
        return f"{self.low}-{self.high}"


def read_scale(text: str) -> RatingScale:
    """Return the scale of a text such as `1-5`, `0-100` or `-2-2`, or raise ConfigError."""
    match = _SCALE.fullmatch(text)
    if match is None or int(match[1]) >= int(match[2]):
        raise ConfigError(
            f"the scale {text!r} is not LOW-HIGH in whole numbers, LOW below HIGH, such as 1-5"
        )
    return RatingScale(int(match[1]), int(match[2]))
