"""The verbs `videojudge calibrate` and `videojudge sweep`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.files import check_output
from videojudge_bench._util.options import options_of_words, without_secrets
from videojudge_bench._util.terminal import Verbs, add_verb, say, table, warn
from videojudge_bench.cli._run_options import add_run_options, run_options

if TYPE_CHECKING:
    from videojudge_bench.analysis.calibration import Calibration
    from videojudge_bench.analysis.sweep import Cell, SweepPlan, SweepRow
    from videojudge_bench.metrics import Metric

EXIT_FAILED = 1

_CALIBRATE = """\
Fits a map from a run's scores to gold ratings on the dev half of the videos, and shows the errors
of raw and mapped scores on the test half, with 95 % intervals by resampling videos. Scores on no
scale (ROUGE, a cosine) get one. Judge a whole rated set first; samples have no dev half:

  lmms_eval --model videojudge --model_args judge=rouge_l,journal=runs \\
    --tasks videojudge_vatex
  videojudge calibrate runs/vatex --output map.json"""

_SWEEP = """\
Runs every combination of the values, each with a journal of its own: the same command goes on where
it was stopped. All options and values are checked before the first run.

  videojudge sweep --judge qwen2_5_vl --set llava,vcg pretrained=DIR \\
    --vary max_frames=30,60,120,180 --vary score=text,expected --output frames.csv
  videojudge sweep --judge rouge_l --set vatex --vary references=1,3,9 --dry-run"""


def add_measure(verbs: Verbs) -> None:
    """Add `calibrate` and `sweep` to a parser's verbs."""
    calibrate = add_verb(
        verbs,
        "calibrate",
        _calibrate,
        "fit a judge's scores to the rating scale, on dev videos alone",
        _CALIBRATE,
    )
    calibrate.add_argument("run", type=Path, metavar="RUN", help="folder with one run's journal")
    calibrate.add_argument(
        "--method",
        choices=("isotonic", "affine"),
        default="isotonic",
        help="any map that never falls, or a straight line clipped to the scale; "
        "default: %(default)s",
    )
    calibrate.path("-o --output", "FILE", "write the map as JSON")
    what = "run a judge under a grid of settings, and compare them in one table"
    sweep = add_verb(verbs, "sweep", _sweep, what, _SWEEP)
    sweep.add_argument("--judge", required=True, help="a name or module:Class")
    sweep.add_argument("--set", required=True, metavar="NAME[,NAME]", help="gold sets")
    sweep.add_argument(
        "--vary",
        action="append",
        required=True,
        metavar="option=value,value",
        help="an option of the judge, or references; may be given several times",
    )
    add_run_options(sweep, references="0, 1, … or all, for every run")
    sweep.number("--limit", "the first N items of every set")
    sweep.path("-o --output", "FILE", "all numbers, as .csv or .json")
    sweep.flag("--dry-run", "print the runs, and judge nothing")
    sweep.words("option=value", "options of the judge that stay the same; write them together")


def _calibrate(arguments: argparse.Namespace) -> int:
    from videojudge_bench.analysis.calibration import MEASURED, calibrate
    from videojudge_bench.leaderboard.opening import open_run

    output: Path | None = arguments.output
    if output is not None:
        check_output(output)
    run = open_run(arguments.run).found
    found = calibrate(run, arguments.method)
    table(
        ("on test videos", "raw", "calibrated"),
        [(key, _metric(found.raw[key]), _metric(found.calibrated[key])) for key in MEASURED],
        title=_title_of(found),
    )
    say(_notes(found))
    if output is not None:
        found.write(output)
        say([f"wrote {output}"])
    return 0


def _title_of(found: Calibration) -> str:
    run = found.run
    shown = f"{run.references} reference{'' if run.references == 1 else 's'}"
    return f"{run.name} on videojudge_{run.gold_set}, {shown}"


def _notes(found: Calibration) -> list[str]:
    dev, test = (
        f"{len(part.examples)} items of {part.n_videos} videos" for part in (found.dev, found.test)
    )
    return [
        f"{found.score_map}",
        f"Fitted on dev ({dev}), measured on test ({test}).",
        "Brackets hold 95 % intervals from resamples of videos.",
        "Rank statistics (tau, rho, pairwise accuracies) stay those of the raw scores.",
    ]


def _metric(metric: Metric) -> str:
    return f"{metric} (no interval: {metric.no_interval})" if metric.no_interval else str(metric)


def _sweep(arguments: argparse.Namespace) -> int:
    from videojudge_bench._util import tabular
    from videojudge_bench.analysis import sweep

    output: Path | None = arguments.output
    if output is not None:
        check_output(output, *tabular.OUTPUTS)
    plan = _plan(arguments)
    cells = sweep.prepare(plan)
    title = f"{plan.judge} on {', '.join(f'videojudge_{name}' for name in plan.sets)}"
    if plan.limit is not None:
        title += f", the first {plan.limit} items of each set"
    if arguments.dry_run:
        _print_plan(cells, title)
        return 0
    rows = sweep.run_sweep(cells, told=_tell)
    _print_rows(rows, title)
    if output is not None:
        sweep.write(rows, output)
        say([f"wrote {output}"])
    return EXIT_FAILED if any(row.failed for row in rows) else 0


def _plan(arguments: argparse.Namespace) -> SweepPlan:
    from videojudge_bench.analysis.sweep import SweepPlan, read_vary

    return SweepPlan(
        judge=arguments.judge,
        sets=[name.strip() for name in arguments.set.split(",")],
        vary=read_vary(arguments.vary),
        options=options_of_words(arguments.options),
        run=run_options(arguments),
        limit=arguments.limit,
    )


def _print_plan(cells: Sequence[Cell], title: str) -> None:
    waiting = [cell.waiting() for cell in cells]
    table(
        ("set", *cells[0].settings, "items", "judge calls", ""),
        [
            (
                cell.run.gold_set.info.name,
                *_values(cell),
                str(len(cell.item_ids)),
                str(calls),
                f"not applicable: {cell.run.refusal}" if cell.run.refusal else "",
            )
            for cell, calls in zip(cells, waiting, strict=True)
        ],
        title=title,
    )
    say([f"{len(cells)} runs, {sum(waiting)} judge calls; what the journals have is not asked."])


def _tell(row: SweepRow) -> None:
    """Say at once why a run has no numbers: the table comes at the end of hours."""
    if row.problem:
        settings = ",".join(f"{k}={v}" for k, v in without_secrets(row.cell.settings).items())
        warn(f"{row.info.task}, {settings}: {row.problem}")


def _print_rows(rows: Sequence[SweepRow], title: str) -> None:
    costs = [_costs(row) for row in rows]
    shown = [name for name in costs[0] if any(cost[name] for cost in costs)]
    table(
        ("set", *rows[0].cell.settings, "statistic", "value", "coverage", "n", *shown),
        [
            (row.info.name, *_values(row.cell), *_results(row), *(cost[name] for name in shown))
            for row, cost in zip(rows, costs, strict=True)
        ],
        title=title,
    )
    say(["Brackets hold 95 % intervals from resamples of videos; all numbers: --output FILE.csv"])


def _results(row: SweepRow) -> tuple[str, str, str, str]:
    from videojudge_bench import metrics

    key = metrics.primary_key(row.info)
    if row.problem:
        what = "failed" if row.failed else "not applicable"
        return key, f"{what}: {row.problem.removeprefix('not applicable: ')}", "", ""
    value, low, high, coverage = (
        row.numbers[name] for name in (key, f"{key}_low", f"{key}_high", "coverage")
    )
    text = _three_places(value)
    if isinstance(low, float) and isinstance(high, float):
        text += f" [{low:.3f}, {high:.3f}]"
    elif isinstance(value, float):
        text += f" (interval {low})"
    return key, text, _three_places(coverage), str(row.numbers["n"])


def _costs(row: SweepRow) -> dict[str, str]:
    """What a run cost, as text; empty where it is not known."""
    used = row.usage
    return {
        "tokens in": str(used.input_tokens or ""),
        "tokens out": str(used.output_tokens or ""),
        "seconds": f"{used.seconds:.1f}" if used.seconds else "",
        "cost": f"{used.cost:.4f}" if used.cost else "",
    }


def _values(cell: Cell) -> list[str]:
    return [str(value) for value in without_secrets(cell.settings).values()]


def _three_places(value: float | int | str | None) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
