"""A live line in the terminal: how many are done, how many could be read, how long it takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol


@dataclass
class Tally:
    """What a run has done so far."""

    done: int = 0
    parsed: int = 0

    @property
    def coverage(self) -> str:
        """Share of judgements with a verdict, as a percentage."""
        return f"{100 * self.parsed / self.done:.1f} %" if self.done else "-"


class Advance(Protocol):
    """Called after each judgement."""

    def __call__(self, *, parsed: bool) -> None:
        """Count one judgement."""


@contextmanager
def progress_line(title: str, *, total: int, done: int) -> Iterator[Advance]:
    """Yield a function to call after each judgement; shows nothing when stderr is no terminal.

    Args:
        title: what runs.
        total: number of judgements in all.
        done: how many the journal already had.
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
        TextColumn("coverage {task.fields[coverage]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True
    ) as live:
        line = live.add_task(title, total=total, completed=done, coverage=tally.coverage)

        def advance(*, parsed: bool) -> None:
            tally.done += 1
            tally.parsed += parsed
            live.update(line, advance=1, coverage=tally.coverage)

        yield advance
