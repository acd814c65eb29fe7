"""Findings of a check: plain values for a terminal and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from videojudge_bench._util.options import Scalar

Status = Literal["ok", "note", "broken"]  # `note`: absent or scarce, and not needed


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    Attributes:
        status: only `broken` makes the command fail.
        found: state of the thing, and why it does not work.
        values: the numbers behind `found`, by name.
    """

    name: str
    status: Status
    found: str
    fix: str = ""
    values: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """Findings that belong together."""

    name: str
    title: str
    findings: Sequence[Finding]

    @property
    def is_usable(self) -> bool:
        """True if nothing is broken."""
        return all(finding.status != "broken" for finding in self.findings)


def gigabytes(count_bytes: float) -> str:
    """Return a number of bytes for people, in GB of 10^9."""
    return f"{count_bytes / 1e9:.1f} GB"
