"""End of an evaluation: a short table of each task, its headline, and the next command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from videojudge_bench._util.terminal import say
from videojudge_bench.harness.plugin import PREFIX

ALL_METRICS = "VIDEOJUDGE_METRICS"
"""Environment variable; `all` keeps every row of the host's table."""

_COUNTS = ("n", "coverage", "n_missing_video")

MakeTable = Callable[..., str]
AddSink = Callable[..., int]


@dataclass(frozen=True)
class Finished:
    """A task of which all items are scored: its headline, and the folder of its journal."""

    headline: str
    journal: Path | None


finished: list[Finished] = []
"""Tasks of the current evaluation, in their order."""


def shortened(make_table: MakeTable) -> MakeTable:
    """Return the host's function for tables with the main rows of our tasks alone.

    `VIDEOJUDGE_METRICS=all` keeps all rows; the results file has them always.
    """

    def table(results: Mapping[str, Mapping[str, Mapping[str, object]]], *more: str) -> str:
        if os.environ.get(ALL_METRICS) == "all":
            return make_table(results, *more)
        key = more[0] if more else "results"
        tasks = {name: _main_rows(name, rows) for name, rows in results[key].items()}
        return make_table({**results, key: tasks}, *more)

    return table


def plain_when_piped(add: AddSink) -> AddSink:
    """Return the host's function that adds a log, without colours where stdout is no terminal."""

    def plain(sink: object, **options: object) -> int:
        piped = not sys.stdout.isatty()
        if piped and sink is sys.stdout:
            options["colorize"] = False
        return add(sink, **options)

    return plain


def say_next() -> None:
    """Print the headline of each task, the folder of its journal, and what to do with it."""
    if not finished:
        return
    say(task.headline for task in finished)
    journals = [str(task.journal) for task in finished if task.journal is not None]
    say(f"journal: {journal}" for journal in journals)
    if journals:
        say([f"next: videojudge leaderboard add {journals[0]}"])


def _main_rows(task: str, rows: Mapping[str, object]) -> dict[str, object]:
    """Return the rows of a task that its leaderboard shows, the primary one with its bounds."""
    from videojudge_bench import goldsets, metrics
    from videojudge_bench.leaderboard.tables import columns_of

    name = task.removeprefix(f"{PREFIX}_")
    if name == task or name not in goldsets.names():
        return dict(rows)
    info = goldsets.info(name)
    primary = metrics.primary_key(info)
    main = {primary, f"{primary}_low", f"{primary}_high", f"{primary}_all", *_COUNTS, "alias"}
    main.update(columns_of(info))
    return {key: value for key, value in rows.items() if _metric(key) in main}


def _metric(key: str) -> str:
    """Name of the metric in a key of the host, such as `spearman_stderr,none`."""
    return key.partition(",")[0].replace("_stderr", "")
