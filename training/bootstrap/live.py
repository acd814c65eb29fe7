"""Progress of a long run: a live line in a terminal, a line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from videojudge_bench.training.bootstrap.executors import Tally

EVERY_SECONDS = 60.0


@contextmanager
def progress(title: str) -> Iterator[Callable[[Tally, int], None]]:
    """Yield a function to call with the tally so far, and the number of seeds."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    lines = _Lines(title)
    with Progress(
        *columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True
    ) as live:
        line = live.add_task(title, total=None, counts="")

        def show(tally: Tally, seeds: int) -> None:
            if live.disable:
                lines.show(tally, seeds)
            else:
                live.update(line, total=seeds, completed=tally.seeds, counts=counts_of(tally))

        yield show


def counts_of(tally: Tally) -> str:
    """Return the counts beside the number of seeds."""
    parts = [f"kept {share(tally)}", f"{tally.requests:,} replies"]
    if tally.failed:
        parts.append(f"{tally.failed} failed")
    if tally.cost:
        parts.append(f"cost {tally.cost:.2f}")
    return ", ".join(parts)


def share(tally: Tally) -> str:
    """Return the share of seeds that are kept, as a percentage."""
    return f"{100 * tally.kept / tally.seeds:.1f} %" if tally.seeds else "-"


class _Lines:
    """Writes a line now and then, with the time that is left at the rate of this run."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun: tuple[float, int] | None = None
        self._shown_at = 0.0

    def show(self, tally: Tally, seeds: int) -> None:
        now = time.monotonic()
        if self._begun is None:
            self._begun, self._shown_at = (now, tally.seeds), now
        if now - self._shown_at < EVERY_SECONDS:
            return
        self._shown_at = now
        done, passed = tally.seeds - self._begun[1], now - self._begun[0]
        left = f"{passed / done * (seeds - tally.seeds) / 60:.0f} min left" if done else "…"
        counts = f"{tally.seeds} of {seeds} seeds, {counts_of(tally)}"
        sys.stderr.write(f"videojudge: {self._title}: {counts}, {left}\n")
        sys.stderr.flush()
