"""Verdicts of judges, and the judgements that record how they came about."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from videojudge_bench._util.hashing import Json

FIRST, SECOND, TIE = "first", "second", "tie"


@dataclass(frozen=True, slots=True)
class Rating:
    """A number for one response, higher is better; on the judge's scale where it has one.

    Raises:
        ValueError: when the value is not a finite number.
    """

    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a rating must be a finite number, got {self.value!r}")
        # A judge may compute with another kind of number, which JSON does not know.
        object.__setattr__(self, "value", float(self.value))


@dataclass(frozen=True, slots=True)
class Preference:
    """Preference for the first of two responses over the second.

    Attributes:
        p_first: 1.0 for the first, 0.0 for the second, 0.5 for a tie; a probability where the
            judge gives one.

    Raises:
        ValueError: when `p_first` lies outside 0..1.
    """

    p_first: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.p_first <= 1.0:
            raise ValueError(f"a preference must lie in 0..1, got {self.p_first!r}")
        object.__setattr__(self, "p_first", float(self.p_first))

    @property
    def choice(self) -> str:
        """`first`, `second` or `tie`."""
        if self.p_first == 0.5:
            return TIE
        return FIRST if self.p_first > 0.5 else SECOND


@dataclass(frozen=True, slots=True)
class Unparsed:
    """No verdict, and why. Never replaced by a default score."""

    reason: str


Verdict = Union[Rating, Preference, Unparsed]

MISSING_VIDEO = "video missing"
"""How the reason of an `Unparsed` begins when a judge that sees had no video to look at."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage and cost of one judgement.

    Attributes:
        input_tokens: of the prompt.
        output_tokens: of the reply.
        seconds: of the engine's time.
        cost: money, in the unit of the prices that the engine was given; 0 without prices.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.seconds + other.seconds,
            self.cost + other.cost,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its provenance: what the journal stores and what scoring reads.

    Attributes:
        item_id: the item or pair that was judged.
        verdict: what was decided.
        reply: the raw text that a model wrote; empty for judges that write none.
        probabilities: probability of each value of the scale or of each label, when known.
        usage: what it cost.
        failed: the judge broke on this item (its verdict is `Unparsed`); tried again on resume.
        samples: the judgements of single replies, where several were put together.
        criteria: the verdict of each criterion by its name, on its scale (yes is 1, no is 0); None
            where there is none. Empty for a judge without criteria.
    """

    item_id: str
    verdict: Verdict
    reply: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    usage: Usage = Usage()
    failed: bool = False
    samples: tuple[Judgement, ...] = field(default=(), compare=False)
    criteria: Mapping[str, float | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Return the judgement as a JSON object; empty parts are left out."""
        data: dict[str, Json] = {"id": self.item_id, **_verdict_to_json(self.verdict)}
        if self.criteria:
            data["criteria"] = dict(self.criteria)
        if self.reply:
            data["reply"] = self.reply
        if self.probabilities:
            data["probabilities"] = dict(self.probabilities)
        if self.usage != Usage():
            used = self.usage
            numbers: list[Json] = [used.input_tokens, used.output_tokens, used.seconds]
            data["usage"] = [*numbers, used.cost] if used.cost else numbers
        if self.failed:
            data["failed"] = True
        if self.samples:
            data["samples"] = [sample.to_json() for sample in self.samples]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Judgement:
        """Return the judgement that `to_json` wrote.

        Raises:
            ValueError: when a part is missing or of the wrong kind.
        """
        try:
            usage = data.get("usage")
            return cls(
                item_id=_text(data["id"]),
                verdict=_verdict_from_json(data),
                reply=_text(data.get("reply", "")),
                probabilities={k: float(v) for k, v in _table(data.get("probabilities", {}))},
                usage=_usage(usage) if usage is not None else Usage(),
                failed=bool(data.get("failed", False)),
                samples=tuple(map(cls.from_json, _objects(data.get("samples", [])))),
                criteria=criteria_from_json(data.get("criteria", {})),
            )
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"not a judgement: {error}") from error


def criteria_from_json(data: object) -> dict[str, float | None]:
    """Return the verdicts of criteria as JSON has them; raises TypeError or ValueError."""
    rated = _table(data)
    return {name: None if v is None else Rating(float(v)).value for name, v in rated}


def _verdict_to_json(verdict: Verdict) -> dict[str, Json]:
    if isinstance(verdict, Rating):
        return {"rating": verdict.value}
    if isinstance(verdict, Preference):
        return {"p_first": verdict.p_first}
    return {"unparsed": verdict.reason}


def _verdict_from_json(data: Mapping[str, object]) -> Verdict:
    keys = [key for key in ("rating", "p_first", "unparsed") if key in data]
    if len(keys) != 1:
        raise ValueError(f"expected one of rating, p_first, unparsed, got {keys}")
    value = data[keys[0]]
    if keys[0] == "unparsed":
        return Unparsed(_text(value))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{keys[0]} must be a number, got {value!r}")
    return Rating(float(value)) if keys[0] == "rating" else Preference(float(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def _objects(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise TypeError(f"expected a list of objects, got {value!r}")
    return value


def _table(value: object) -> list[tuple[str, float]]:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected an object, got {value!r}")
    return list(value.items())


def _usage(value: object) -> Usage:
    if not isinstance(value, (list, tuple)) or len(value) not in (3, 4):
        raise TypeError(f"expected [input tokens, output tokens, seconds, cost], got {value!r}")
    return Usage(int(value[0]), int(value[1]), float(value[2]), *map(float, value[3:]))
