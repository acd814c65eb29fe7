"""One short string that says how a number was made.

It has two halves. Two rows can be compared when their measurement halves are equal (same examples,
same references shown, same statistics); the judge halves say in what the judges differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from videojudge_bench._util.hashing import content_hash
from videojudge_bench._util.options import Scalar


@dataclass(frozen=True)
class Signature:
    """Provenance of a number: the measurement and the judge, each as ordered key-value parts."""

    measurement: Mapping[str, Scalar]
    judge: Mapping[str, Scalar]

    @property
    def measurement_text(self) -> str:
        """The half that must be equal for two rows to be compared."""
        return render(self.measurement)

    @property
    def judge_text(self) -> str:
        """The half that may differ between rows."""
        return render(self.judge)

    def __str__(self) -> str:
        return f"{self.measurement_text}||{self.judge_text}"


def render(parts: Mapping[str, Scalar]) -> str:
    """Return `key:value|key:value`, in the order of `parts`; text is kept to one line."""
    return "|".join(f"{key}:{_text(value)}" for key, value in parts.items())


def short_hash(parts: Mapping[str, Scalar]) -> str:
    """Return 12 hex digits that change when any part changes; the order does not matter."""
    return content_hash(dict(parts))[:12]


def _text(value: Scalar) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return repr(value)
    return " ".join(str(value).replace("|", "/").splitlines())
