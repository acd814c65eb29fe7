"""Declaration and run of an experiment: a question, its arms, measures and a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, Union

from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench.version import __version__

SubjectT = TypeVar("SubjectT")
ArmT = TypeVar("ArmT")

Figure = Union[Sequence[Union[float, None]], str]
"""Value and both ends of its 95 % interval, None where there is none; or why it is undefined."""

Figures = Mapping[str, Json]
"""What is measured of an arm, by name: figures, counts, or groups of them."""


@dataclass(frozen=True)
class Experiment(Generic[SubjectT, ArmT]):
    """A question and the arms, by name, that answer it.

    Attributes:
        measure: returns the figures of one arm on a subject (seeds, a trained judge).
        table: returns lines of Markdown with the figures of all arms, by name; None where measuring
            writes a report of its own.
        chart: returns an SVG file with the figures of one arm.
    """

    question: str
    arms: Mapping[str, ArmT]
    measure: Callable[[SubjectT, ArmT], Figures]
    table: Callable[[Mapping[str, Figures]], Iterable[str]] | None = None
    chart: Callable[[Figures], str] | None = None


def run(
    experiment: Experiment[SubjectT, ArmT], subject: SubjectT, log: Path, identity: Json
) -> dict[str, Figures]:
    """Return the figures of all arms by name; those in the log are not measured again.

    The log gets a line for each measured arm, and the caller removes it with the results written.
    `identity` is what the figures depend on beside the arm.
    """
    from videojudge_bench.run.journal import cut_torn_line

    cut_torn_line(log)
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    known: dict[str, Figures] = dict(map(json.loads, lines))
    figures: dict[str, Figures] = {}
    for name, arm in experiment.arms.items():
        key = content_hash([__version__, identity, name, repr(arm)])
        if key not in known:
            known[key] = experiment.measure(subject, arm)
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, known[key]]) + "\n")
        figures[name] = known[key]
    return figures


def cell(
    figure: Figure, form: str = ".3f", *, factor: int = 1, undefined: str = "undefined"
) -> str:
    """Return a figure as the cell of a table, with its interval if any: `0.975 [0.974, 0.976]`.

    `factor` 100 shows a share as a percentage.
    """
    value, low, high = (None, None, None) if isinstance(figure, str) else figure
    if value is None:
        return undefined
    text = f"{factor * value:{form}}"
    if low is None or high is None:
        return text
    return f"{text} [{factor * low:{form}}, {factor * high:{form}}]"
