"""The verbs of `videojudge leaderboard`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.files import check_output
from videojudge_bench._util.terminal import Verbs, add_verb, say, table, warn
from videojudge_bench.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from videojudge_bench.leaderboard.groups import GroupRow
    from videojudge_bench.leaderboard.importing import FoundRun
    from videojudge_bench.leaderboard.opening import OpenRun
    from videojudge_bench.leaderboard.rows import Row

RESULTS = Path("results")

_BY = """\
Shows every run once per value of a label, with intervals. A label is any of the gold set's own (the
field 'labels' of its rows), or one of these, which mean the same on every set:

  temporal   order: questions that need the order of events; other: the rest
  topic, duration, source, system (who answered: also means and ranks)

  videojudge leaderboard by temporal
  videojudge leaderboard by kind runs/mine --output kinds.csv"""


def add_leaderboard(verbs: Verbs) -> None:
    """Add `leaderboard` and its verbs to a parser's verbs."""
    board = add_verb(
        verbs,
        "leaderboard",
        _leaderboard,
        "build the leaderboard, or add a run to it",
        "Without a verb: builds leaderboard.md, .csv and .json from the stored runs, and "
        "index.html, a page to look at.",
    )
    what = f"folder of the results; default: {RESULTS}"
    board.add_argument("--results", type=Path, default=RESULTS, help=what)
    parts = board.add_subparsers(title="verbs", metavar="VERB")
    add = add_verb(
        parts,
        "add",
        _leaderboard_add,
        "add a run: a journal, or what lmms_eval --log_samples wrote",
        "Works out every number anew from the verdicts, and keeps run.json and the "
        "gzipped ids and verdicts (no texts) under RESULTS/runs/<set>/<judge>/.",
    )
    add.add_argument("run", type=Path, metavar="RUN", help="a folder; all runs in it are added")
    add.add_argument("--name", help="name of the judge in the tables; needs a folder with one run")
    add.flag("--replace", "replace runs of the same name")
    what = "the same numbers per group of items: by question type, topic, duration, system"
    by = add_verb(parts, "by", _by, what, _BY)
    by.add_argument("label", metavar="LABEL", help="what to group by")
    what = "journals or other folders with runs; default: those of the leaderboard"
    by.add_argument("runs", nargs="*", type=Path, metavar="RUN", help=what)
    by.add_argument("--set", metavar="NAME", help="only runs on this gold set")
    by.number("--resamples", "of videos, for the intervals", default=1000)
    by.path("-o --output", "FILE", "all numbers, as .csv or .json")
    for part in (add, by):
        # No default of its own: it would replace what was given before the verb.
        shown = f"default: {RESULTS}"
        part.add_argument("--results", type=Path, default=argparse.SUPPRESS, help=shown)


def _leaderboard(arguments: argparse.Namespace) -> int:
    from videojudge_bench.leaderboard import importing, rows, stored, tables
    from videojudge_bench.leaderboard.paired_tests import read_tests
    from videojudge_bench.report import making, page

    results: Path = arguments.results
    runs = stored.read_all(results / "runs")
    if not runs:
        raise ConfigError(
            f"{results / 'runs'} has no runs; add one: videojudge leaderboard add RUN"
        )
    for run in [run for run in runs if not importing.check_numbers(run)]:
        warn(
            f"warning: {run.gold_set}/{run.folder_name} is self-reported: the set "
            f"{run.gold_set} (data: {run.info.data}) is not on this machine, so its numbers were "
            "not worked out again and it has no rank"
        )
    board = rows.build(
        runs,
        published=rows.read_published(results / "published" / "figures.json"),
        known_tests=read_tests(results / tables.TESTS),
    )
    written = [*tables.write_tables(board, results), results / making.INDEX]
    page.write(making.board_page(board), written[-1])
    for group in tables.by_table(board.rows):
        _print_table(group)
    say(f"wrote {path}" for path in written)
    return 0


def _print_table(rows: Sequence[Row]) -> None:
    from videojudge_bench.leaderboard.tables import cells, columns_of, title_of

    columns, title = columns_of(rows[0].info), title_of(rows[0].info)
    if rows[0].is_sample:
        title += "; a sample, gold written by a model, not ranked"
    table(("rank", "judge", "refs", *columns), [cells(r, columns) for r in rows], title=title)


def _leaderboard_add(arguments: argparse.Namespace) -> int:
    from videojudge_bench.leaderboard import importing, stored

    found = importing.find_runs(arguments.run)
    if arguments.name and len(found) > 1:
        names = ", ".join(f"{run.name} on {run.gold_set}" for run in found)
        raise ConfigError(f"--name needs a folder with one run; {arguments.run} holds {names}")
    folder = arguments.results / "runs"
    for run in found:
        name = arguments.name or run.name
        _refuse_another(folder, run, name, replace=arguments.replace)
        say([f"{name} on {run.gold_set}: working out the numbers …"])
        kept = importing.to_stored(run, name=name)
        say([f"wrote {stored.write_run(kept, folder)}"])
        if len(kept.served) > 1:
            changes = ", then ".join(map(_said, kept.served))
            say([f"the server behind {name} changed during the run: {changes}"])
    return 0


def _said(statement: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in statement.items()) or "nothing of itself"


def _refuse_another(folder: Path, run: FoundRun, name: str, *, replace: bool) -> None:
    """Refuse to replace a run that was made in another way under the same name."""
    from videojudge_bench.leaderboard import stored

    there = folder / run.gold_set / run.folder_name(name)
    if replace or not (there / stored.RUN_FILE).exists():
        return
    other = stored.read_run(there)
    problem = ""
    if dict(other.signature.judge) != dict(run.judge):
        problem = "a run with another signature"
    elif len(other.verdicts) > len(run.judgements):
        problem = f"{len(other.verdicts)} verdicts, and this run has {len(run.judgements)}"
    if problem:
        raise ConfigError(
            f"{there} holds {problem}. Give this one a name of its own with --name, or replace "
            "that one with --replace"
        )


def _by(arguments: argparse.Namespace) -> int:
    from videojudge_bench._util import tabular
    from videojudge_bench.leaderboard.groups import SYSTEM, group_rows, with_label

    output: Path | None = arguments.output
    if output is not None:
        check_output(output, *tabular.OUTPUTS)
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
