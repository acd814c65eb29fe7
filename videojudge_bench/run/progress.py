"""Progress in the terminal: count, coverage, speed and cost."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass
class Tally:
    """Progress of a run."""

    done: int = 0
    parsed: int = 0
    cost: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def coverage(self) -> str:
        """Share of judgements with a verdict, as a percentage."""
        return f"{100 * self.parsed / self.done:.1f} %" if self.done else "-"

    @property
    def rate(self) -> str:
        """Judgements a second since the start; a minute where they are slow."""
        a_second = self.done / max(time.monotonic() - self.started, 1e-9)
        return f"{a_second:.1f}/s" if a_second >= 1 else f"{60 * a_second:.1f}/min"

    @property
    def spent(self) -> str:
        """Return their cost, in the unit of the engine's prices; empty without prices."""
        return f"cost {self.cost:.4f}" if self.cost else ""


class Advance(Protocol):
    """Called after each judgement."""

    def __call__(self, *, parsed: bool, cost: float = 0.0) -> None:
        """Count one judgement and what it cost."""


@contextmanager
def progress_line(title: str, *, total: int, done: int) -> Iterator[Advance]:
    """Yield a function to call after each judgement; shows nothing when stderr is no terminal.

    `done` of the `total` were in the journal already.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    tally = Tally()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[tally].rate}"),
        TextColumn("coverage {task.fields[tally].coverage}"),
        TextColumn("{task.fields[tally].spent}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True
    ) as live:
        line = live.add_task(title, total=total, completed=done, tally=tally)

        def advance(*, parsed: bool, cost: float = 0.0) -> None:
            tally.done += 1
            tally.parsed += parsed
            tally.cost += cost
            live.update(line, advance=1)

        yield advance
