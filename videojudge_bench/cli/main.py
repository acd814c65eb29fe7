"""The command `videojudge`: thin verbs over the package."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.files import NO_ROOM, cannot_write
from videojudge_bench._util.terminal import Parser, Verbs, say, table, warn
from videojudge_bench.cli.analysis import add_measure
from videojudge_bench.cli.data import add_data
from videojudge_bench.cli.describe import add_describe
from videojudge_bench.cli.doctor import add_doctor
from videojudge_bench.cli.judge import add_judge
from videojudge_bench.cli.judges import add_judges
from videojudge_bench.cli.leaderboard import add_by
from videojudge_bench.cli.report import add_look
from videojudge_bench.cli.rubrics import add_rubrics
from videojudge_bench.errors import ConfigError, RunStoppedError, VideoJudgeError
from videojudge_bench.training.bootstrap.cli import add_bootstrap
from videojudge_bench.training.experiments.cli import add_experiments
from videojudge_bench.training.sft.cli import add_train
from videojudge_bench.version import __version__

if TYPE_CHECKING:
    from videojudge_bench.leaderboard.importing import FoundRun
    from videojudge_bench.leaderboard.rows import Row

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

RESULTS = Path("results")

Verb = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return its exit status: 0 done, 1 found a failure, 2 used wrongly."""
    arguments = _parser().parse_args(argv)
    verb: Verb = arguments.verb
    try:
        return verb(arguments)
    except RunStoppedError as error:
        warn(f"error: {error}")
        return EXIT_FAILED
    except VideoJudgeError as error:
        warn(f"error: {error}")
        return EXIT_USAGE
    except KeyboardInterrupt:
        warn("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough.
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        warn(f"error: {cannot_write(error.filename or 'a file', error)}")
        return EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="videojudge",
        description="Measure, compare and train judges of video understanding. "
        "To score answers: videojudge judge answers.jsonl --judge NAME -o verdicts.jsonl. "
        "To run a judge on gold sets: lmms_eval --model videojudge "
        "--model_args judge=NAME --tasks 'videojudge_*'",
    )
    parser.add_argument("--version", action="version", version=f"videojudge-bench {__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    add_judge(verbs)
    add_doctor(verbs)
    add_judges(verbs)
    add_data(verbs)
    add_describe(verbs)
    add_rubrics(verbs)
    add_measure(verbs)
    add_bootstrap(verbs)
    add_experiments(verbs)
    add_train(verbs)
    _add_leaderboard(verbs)
    add_look(verbs)
    path = verbs.add_parser(
        "tasks-path",
        help="print the folder of our task files",
        description='For hosts that need it: lmms_eval --include_path "$(videojudge tasks-path)"',
    )
    path.set_defaults(verb=_tasks_path)
    return parser


def _add_leaderboard(verbs: Verbs) -> None:
    board = verbs.add_parser(
        "leaderboard",
        help="build the leaderboard, or add a run to it",
        description="Without a verb: builds leaderboard.md, .csv and .json from the stored runs, "
        "and index.html, a page to look at.",
    )
    board.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the results; default: %(default)s"
    )
    board.set_defaults(verb=_leaderboard)
    parts = board.add_subparsers(title="verbs", metavar="VERB")
    add = parts.add_parser(
        "add",
        help="add a run: a journal, or what lmms_eval --log_samples wrote",
        description="Works out every number anew from the verdicts, and keeps run.json and the "
        "gzipped ids and verdicts (no texts) under RESULTS/runs/<set>/<judge>/.",
    )
    add.add_argument("run", type=Path, metavar="RUN", help="a folder; all runs in it are added")
    add.add_argument("--name", help="name of the judge in the tables; needs a folder with one run")
    add.add_argument("--replace", action="store_true", help="replace runs of the same name")
    # No default of its own: it would replace what was given before the verb.
    add.add_argument("--results", type=Path, default=argparse.SUPPRESS, help=f"default: {RESULTS}")
    add.set_defaults(verb=_leaderboard_add)
    add_by(parts, RESULTS)


def _tasks_path(_: argparse.Namespace) -> int:
    from videojudge_bench.harness.plugin import task_folders

    say(str(folder) for folder in task_folders())
    return 0


def _leaderboard(arguments: argparse.Namespace) -> int:
    from videojudge_bench.leaderboard import importing, rows, stored, tables
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
        known_tests=rows.read_tests(results / tables.TESTS),
    )
    written = [*tables.write_tables(board, results), results / making.INDEX]
    page.write(making.board_page(board), written[-1])
    for group in tables.by_table(board.rows):
        _leaderboard_table(group)
    say(f"wrote {path}" for path in written)
    return 0


def _leaderboard_table(rows: Sequence[Row]) -> None:
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
    return 0


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
