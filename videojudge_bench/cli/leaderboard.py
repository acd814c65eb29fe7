"""The verbs of `videojudge leaderboard`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from videojudge_bench._util.command import new_app, opened_output
from videojudge_bench._util.terminal import note, say_json, table, warn
from videojudge_bench.cli._options import GoldSetName, Json, Output, Overwrite
from videojudge_bench.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from videojudge_bench.leaderboard.groups import GroupRow
    from videojudge_bench.leaderboard.opening import OpenRun

app = new_app("leaderboard", "Build the leaderboard, add runs to it, or group its numbers.")

Results = Annotated[Path, Parameter(help="folder of the results")]
RESULTS = Path("results")


@app.default
def build(*, results: Results = RESULTS, json: Json = False) -> None:
    """Build leaderboard.md, .csv, .json and index.html from the stored runs."""
    from videojudge_bench.leaderboard import tables
    from videojudge_bench.report.making import build_pages

    built = build_pages(results)
    for warning in built.warnings:
        warn(f"warning: {warning}")
    if json:
        say_json([row.to_json() for row in built.board.rows])
        return
    for group in tables.by_table(built.board.rows):
        title, head, cells = tables.text_table(group)
        table(head, cells, title=title)
    note(*(f"wrote {path}" for path in built.written))


@app.command
def add(
    run: Path,
    /,
    *,
    name: str | None = None,
    overwrite: Overwrite = False,
    results: Results = RESULTS,
) -> None:
    """Add a run: a journal, or the folder of lmms_eval --log_samples.

    Works out every number anew from the verdicts, and keeps run.json and the gzipped ids and
    verdicts (no texts) under RESULTS/runs/<set>/<judge>/.

    Args:
        run: a folder; all runs in it are added
        name: of the judge in the tables; needs a folder with one run
    """
    from videojudge_bench.leaderboard import importing, stored

    runs = importing.find_runs(run)
    if name and len(runs) > 1:
        names = ", ".join(f"{each.name} on {each.gold_set}" for each in runs)
        raise ConfigError(f"--name needs a folder with one run; {run} holds {names}")
    for each in runs:
        title = name or each.name
        if not overwrite:
            importing.check_no_other(results / "runs", each, title)
        note(f"{title} on {each.gold_set}: working out the numbers …")
        kept = importing.to_stored(each, name=title)
        note(f"wrote {stored.write_run(kept, results / 'runs')}")
        if len(kept.served) > 1:
            statements = (" ".join(f"{k}={v}" for k, v in facts.items()) for facts in kept.served)
            changes = ", then ".join(text or "no statement" for text in statements)
            warn(f"the server behind {title} changed during the run: {changes}")


@app.command
def by(
    label: str,
    /,
    *runs: Path,
    gold_set: GoldSetName | None = None,
    resamples: int = 1000,
    output: Output | None = None,
    results: Results = RESULTS,
    json: Json = False,
) -> None:
    """Show the numbers per group of items, such as question type or system.

    Shows every run once per value of a label, with intervals. A label is any of the gold set's own
    (the field 'labels' of its rows), or one of these, which mean the same on every set:

      temporal   order: questions that need the order of events; other: the rest
      topic, duration, source, system (who answered: also means and ranks)

      videojudge leaderboard by temporal
      videojudge leaderboard by kind runs/mine --output kinds.csv

    Args:
        label: the label to group by
        runs: journals or other folders with runs; default: those of the leaderboard
        gold_set: only runs on this gold set
        resamples: of videos, for the intervals
        output: all numbers, as .csv or .json; - for CSV on standard output
    """
    from videojudge_bench._util import tabular
    from videojudge_bench.leaderboard.groups import FEW, group_rows, text_tables, with_label

    if resamples < 1:
        raise ConfigError(f"--resamples: expected 1 or more, got {resamples}")
    rows: list[GroupRow] = []
    with opened_output(output, *tabular.OUTPUTS) as target:
        opened = with_label(_opened(runs or (results / "runs",), gold_set), label)
        for _, members in groupby(opened, key=lambda run: (run.info.name, run.info.data)):
            group = list(members)
            of_group = group_rows(group, label, resamples=resamples)
            rows += of_group
            for title, head, cells in () if json else text_tables(group, of_group, resamples):
                table(head, cells, title=title)
        if json:
            say_json([row.to_json() for row in rows])
        else:
            note(f"Brackets hold 95 % intervals from {resamples:,} resamples of videos.", FEW)
        if target is not None:
            tabular.write_rows([row.to_json() for row in rows], target)
            note(f"wrote {output}")


def _opened(folders: Sequence[Path], gold_set: str | None) -> list[OpenRun]:
    from videojudge_bench.leaderboard.opening import open_runs

    runs = [run for folder in folders for run in open_runs(folder)]
    kept = [run for run in runs if gold_set in (None, run.info.name)]
    if not kept:
        raise UnknownNameError("set with a run", str(gold_set), {run.info.name for run in runs})
    return kept
