"""Failures of a run: how many items, why, and whether they are too many to trust its numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.verdicts import MISSING_VIDEO, Judgement, Unparsed

MAX_FAILURES = 0.05
"""Share of failed items above which a command ends with exit status 1."""

# An item that lacks what the judge requires was not asked about.
_NOT_ASKED = (MISSING_VIDEO, "description missing")


@dataclass(frozen=True)
class Failures:
    """Items on which a judge raised an exception, or its engine gave an error.

    Replies that could not be read are none, nor are items without their video or description: the
    judge was not `asked` about those. `first` is the reason of the first failure.
    """

    n: int = 0
    asked: int = 0
    first: str = ""

    @classmethod
    def of(cls, judgements: Iterable[Judgement]) -> Failures:
        """Return the failures among judgements."""
        asked, reasons = 0, list[str]()
        for judgement in judgements:
            reason = judgement.verdict.reason if isinstance(judgement.verdict, Unparsed) else ""
            if judgement.failed and reason.startswith(_NOT_ASKED):
                continue
            asked += 1
            if judgement.failed:
                reasons.append(reason)
        return cls(len(reasons), asked, next(iter(reasons), ""))

    def __add__(self, other: Failures) -> Failures:
        first = self.first or other.first
        return Failures(self.n + other.n, self.asked + other.asked, first)

    def exceed(self, limit: float) -> bool:
        """Return whether more than this share of the items failed."""
        return self.n > limit * self.asked

    def __str__(self) -> str:
        return f"{self.n} of {self.asked} items failed; the first: {self.first}"


def checked_limit(value: Scalar) -> float:
    """Return an allowed share of failures; raise ConfigError unless it is from 0 to 1."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ConfigError(f"max_failures={value!r}: expected a share from 0 to 1, such as 0.05")
