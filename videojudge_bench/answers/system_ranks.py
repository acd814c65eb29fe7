"""The order of systems under several judges, out of their files of verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
from pydantic import BaseModel, FiniteFloat, model_validator

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets.jsonl import numbered_rows
from videojudge_bench.metrics.bootstrap import (
    Floats,
    Resampling,
    percentile_interval,
    ratio,
    resampled_weights,
)
from videojudge_bench.metrics.card import FEWEST_VIDEOS

HOLDS, SAME, DIFFER, TIED = (
    "holds under all", "same order, not separated by all", "judges disagree", "tied for one",
)  # fmt: skip

_DECIMALS = 9  # differences of means below are rounding errors
_LINE_BYTES = 64 << 20


class _Line(BaseModel):
    """A line of `videojudge judge`: an answer with its score, or two with a preference."""

    video_id: str
    system: str | None = None
    score: FiniteFloat | None = None
    system_a: str | None = None
    system_b: str | None = None
    p_a: FiniteFloat | None = None

    @model_validator(mode="after")
    def _names_systems(self) -> _Line:
        if not (self.system or (self.system_a and self.system_b)):
            raise ValueError("expected the field system, or system_a and system_b")
        return self

    def values(self) -> list[tuple[str, float | None]]:
        """Return each system with its score, or its share of a win; None without a verdict."""
        if self.system:
            return [(self.system, self.score)]
        other = None if self.p_a is None else 1 - self.p_a
        return [(self.system_a or "", self.p_a), (self.system_b or "", other)]


@dataclass(frozen=True)
class Verdicts:
    """One judge's verdicts: system, video and score of each; `missing` counts those without."""

    name: str
    rows: tuple[tuple[str, str, float], ...]
    missing: int


def read_verdicts(path: Path) -> Verdicts:
    """Return the verdicts of a file that `videojudge judge` wrote.

    Raises:
        DataError: a line is no verdict or names no system, or no line has a verdict.
    """
    lines = numbered_rows(path, _Line, unique=(), most_bytes=_LINE_BYTES)
    values = [(line.video_id, *value) for _, line in lines for value in line.values()]
    rows = tuple((system, video, score) for video, system, score in values if score is not None)
    if not rows:
        raise DataError("expected verdicts, got none; no answer was judged", path=path)
    name = path.name.removesuffix(".gz").removesuffix(".jsonl")
    return Verdicts(name, rows, len(values) - len(rows))


class SystemRanks:
    """Systems under several judges.

    Args:
        judges: two or more; equal names are numbered.
        resampling: of the videos of all judges together.

    Raises:
        ConfigError: fewer than two judges, or fewer than two systems in all of them.
    """

    def __init__(self, judges: Sequence[Verdicts], resampling: Resampling | None = None) -> None:
        if len(judges) < 2:
            raise ConfigError(f"expected two files of verdicts or more, got {len(judges)}")
        self.judges, self.names = judges, _distinct([judge.name for judge in judges])
        self.systems = sorted({system for judge in judges for system, _, _ in judge.rows})
        self.videos = sorted({video for judge in judges for _, video, _ in judge.rows})
        self._resampling = resampling or Resampling()
        self._sums = [self._sums_of(judge) for judge in judges]
        self.means = np.array([_means(np.ones((1, len(self.videos))), s)[0] for s in self._sums])
        self.shared = np.flatnonzero(~np.isnan(self.means).any(axis=0))
        if len(self.shared) < 2:
            raise ConfigError(
                "expected two systems or more with verdicts in every file, got "
                f"{len(self.shared)} of {', '.join(self.systems)}; systems match by their name"
            )

    def to_json(self) -> dict[str, Json]:
        """Return systems, agreement of judges, and conclusions."""
        return {
            "judges": [
                {"name": name, "verdicts": len(judge.rows), "missing": judge.missing}
                for name, judge in zip(self.names, self.judges, strict=True)
            ],
            "videos": len(self.videos),
            "resamples": self._resampling.resamples if self._has_intervals else 0,
            "systems": [*self.system_rows()],
            "agreement": [*self.agreement_rows()],
            "conclusions": [*self.conclusion_rows()],
        }

    def system_rows(self) -> list[dict[str, Json]]:
        """Return mean and rank of each system under each judge, and the span of its ranks.

        Ranks are among the systems that all judges have; another system has None.
        """
        ranks = np.full(self.means.shape, np.nan)
        kept = np.round(self.means[:, self.shared], _DECIMALS)
        ranks[:, self.shared] = 1 + (kept[:, None, :] > kept[:, :, None]).sum(axis=2)
        rows = list[dict[str, Json]]()
        for k, system in enumerate(self.systems):
            row: dict[str, Json] = {"system": system}
            for name, mean, rank in zip(self.names, self.means[:, k], ranks[:, k], strict=True):
                row |= {f"{name} mean": _or_none(mean), f"{name} rank": _whole(rank)}
            rows.append({**row, "shift": _whole(np.ptp(ranks[:, k]))})
        first = np.nan_to_num(ranks[0], nan=np.inf)
        return [rows[k] for k in np.argsort(first, kind="stable")]

    def agreement_rows(self) -> list[dict[str, Json]]:
        """Return Kendall's tau-b of the systems' means under every two judges, with intervals."""
        rows = list[dict[str, Json]]()
        for a, b in combinations(range(len(self.names)), 2):
            signs = [np.sign(self._differences[k]) for k in (a, b)]
            drawn = [np.sign(each) for each in (self._drawn[a], self._drawn[b])]
            low, high = self._interval(_tau_b(*drawn))
            tau = _or_none(float(_tau_b(*(each[None] for each in signs))[0]))
            names: dict[str, Json] = {"a": self.names[a], "b": self.names[b]}
            rows.append({**names, "tau_b": tau, "low": low, "high": high})
        return rows

    def conclusion_rows(self) -> list[dict[str, Json]]:
        """Return for every two systems the difference under each judge, and what holds.

        A difference is separated where its 95 % interval leaves 0 out.
        """
        rows = list[dict[str, Json]]()
        for place, (first, second) in enumerate(self._pairs):
            row: dict[str, Json] = {
                "system_a": self.systems[first],
                "system_b": self.systems[second],
            }
            signs, separated = [], []
            for name, values, drawn in zip(self.names, self._differences, self._drawn, strict=True):
                low, high = self._interval(drawn[:, place])
                row |= {name: float(values[place]), f"{name} low": low, f"{name} high": high}
                signs.append(np.sign(values[place]))
                separated.append(low is not None and high is not None and low * high > 0)
            rows.append({**row, "conclusion": _conclusion(signs, separated)})
        return rows

    @property
    def _has_intervals(self) -> bool:
        return len(self.videos) >= FEWEST_VIDEOS

    @cached_property
    def _pairs(self) -> list[tuple[int, int]]:
        best_first = sorted(self.shared.tolist(), key=lambda k: -self.means[0, k])
        return list(combinations(best_first, 2))

    @cached_property
    def _differences(self) -> Floats:
        """Shape (judges, pairs)."""
        return np.array([self._of_pairs(means[None])[0] for means in self.means])

    @cached_property
    def _drawn(self) -> list[Floats]:
        """The differences in each resample, one array (resamples, pairs) for each judge."""
        if not self._has_intervals:
            return [np.empty((0, len(self._pairs))) for _ in self.judges]
        blocks = [
            [self._of_pairs(_means(weights, sums)) for sums in self._sums]
            for weights in resampled_weights(len(self.videos), self._resampling)
        ]
        return [np.concatenate(of_judge) for of_judge in zip(*blocks, strict=True)]

    def _of_pairs(self, means: Floats) -> Floats:
        first, second = np.array(self._pairs).T
        return np.round(means[:, first] - means[:, second], _DECIMALS)

    def _sums_of(self, judge: Verdicts) -> Floats:
        """Return sums and counts by video and system, shape (2, videos, systems)."""
        place_of_video = {video: k for k, video in enumerate(self.videos)}
        place_of_system = {system: k for k, system in enumerate(self.systems)}
        sums = np.zeros((2, len(self.videos), len(self.systems)))
        for system, video, score in judge.rows:
            sums[:, place_of_video[video], place_of_system[system]] += (score, 1)
        return sums

    def _interval(self, values: Floats) -> tuple[float | None, float | None]:
        return percentile_interval(values) or (None, None)


def _means(weights: Floats, sums: Floats) -> Floats:
    return ratio(weights @ sums[0], weights @ sums[1])


def _tau_b(a: Floats, b: Floats) -> Floats:
    """Return tau-b from signs of differences, both (resamples, pairs); NaN where all are tied."""
    sizes = np.sqrt((a != 0).sum(axis=1) * (b != 0).sum(axis=1)).astype(np.float64)
    return ratio((a * b).sum(axis=1), sizes)


def _conclusion(signs: Sequence[float], separated: Sequence[bool]) -> str:
    if 0 in signs:
        return TIED
    if len(set(signs)) > 1:
        return DIFFER
    return HOLDS if all(separated) else SAME


def _distinct(names: Sequence[str]) -> list[str]:
    return [
        name if names.count(name) == 1 else f"{name} ({1 + list(names[:k]).count(name)})"
        for k, name in enumerate(names)
    ]


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _whole(value: float) -> int | None:
    return None if np.isnan(value) else int(value)
