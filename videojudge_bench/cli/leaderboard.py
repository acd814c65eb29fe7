"""The verb `videojudge leaderboard by`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.terminal import Verbs, say, table

if TYPE_CHECKING:
    from videojudge_bench.leaderboard.groups import GroupRow
    from videojudge_bench.leaderboard.opening import OpenRun


def add_by(verbs: Verbs, results: Path) -> None:
    """Add `by` to the verbs of `leaderboard`; `results` is the folder of the results."""
    by = verbs.add_parser(
        "by",
        help="the same numbers per group of items: by question type, topic, duration, system",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Shows every run once per value of a label, with intervals. A label is any of\n"
        "the gold set's own (the field 'labels' of its rows), or one of these, which mean the\n"
        "same on every set:\n\n"
        "  temporal   order: questions that need the order of events; other: the rest\n"
        "  topic, duration, source, system (who answered: also means and ranks)\n\n"
        "  videojudge leaderboard by temporal\n"
        "  videojudge leaderboard by kind runs/mine --output kinds.csv",
    )
    by.add_argument("label", metavar="LABEL", help="what to group by")
    by.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="journals or other folders with runs; default: those of the leaderboard",
    )
    by.add_argument("--set", metavar="NAME", help="only runs on this gold set")
    by.add_argument(
        "--resamples",
        type=int,
        default=1000,
        metavar="N",
        help="of videos, for the intervals; default: %(default)s",
    )
    by.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="all numbers, as .csv or .json"
    )
    by.add_argument("--results", type=Path, default=argparse.SUPPRESS, help=f"default: {results}")
    by.set_defaults(verb=_by)


def _by(arguments: argparse.Namespace) -> int:
    from videojudge_bench._util import tabular
    from videojudge_bench.leaderboard.groups import SYSTEM, group_rows, with_label

    output: Path | None = arguments.output
    if output is not None:
        tabular.check_output(output)
    runs = with_label(_runs(arguments), arguments.label)
    rows: list[GroupRow] = []
    for _, members in groupby(runs, key=lambda run: (run.info.name, run.info.data)):
        group = list(members)
        found = group_rows(group, arguments.label, resamples=arguments.resamples)
        _print_groups(found, arguments.label)
        if arguments.label == SYSTEM and group[0].info.systems:
            _print_systems(group, arguments.resamples)
        rows += found
    say([f"Brackets hold 95 % intervals from {arguments.resamples:,} resamples of videos."])
    if output is not None:
        tabular.write_rows([row.to_json() for row in rows], output)
        say([f"wrote {output}"])
    return 0


def _runs(arguments: argparse.Namespace) -> list[OpenRun]:
    from videojudge_bench.errors import ConfigError, UnknownNameError
    from videojudge_bench.leaderboard.opening import open_runs

    if arguments.resamples < 1:
        raise ConfigError(f"--resamples {arguments.resamples}: at least 1 is needed")
    folders = arguments.runs or [arguments.results / "runs"]
    runs = [run for folder in folders for run in open_runs(folder)]
    if arguments.set is None:
        return runs
    kept = [run for run in runs if run.info.name == arguments.set]
    if not kept:
        raise UnknownNameError("set with a run", arguments.set, {run.info.name for run in runs})
    return kept


def _print_groups(rows: Sequence[GroupRow], label: str) -> None:
    from videojudge_bench.leaderboard.groups import FEW
    from videojudge_bench.leaderboard.tables import columns_of, title_of

    info = rows[0].run.info
    columns = [key for key in columns_of(info) if key in rows[0].card.metrics]
    cells = [row.cells(columns) for row in rows]
    table(
        (label, "judge", "refs", "n", "videos", *columns, "coverage"),
        cells,
        title=f"{title_of(info)}; by {label}",
    )
    if any(cell.endswith(" *") for line in cells for cell in line):
        say([FEW])


def _print_systems(runs: Sequence[OpenRun], resamples: int) -> None:
    from videojudge_bench import metrics
    from videojudge_bench.leaderboard.groups import system_cells

    lines = [
        system_cells(means, run)
        for run in runs
        for means in metrics.by_system(
            run.gold_set, run.judgements, part=run.found.part, resamples=resamples
        )
    ]
    head = ("judge", "refs", "system", "n", "mean gold", "mean of judge", "gold rank", "judge rank")
    table(head, lines, title="The answering systems, best gold first")
