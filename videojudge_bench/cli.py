"""The command `videojudge`: thin verbs over the package."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from videojudge_bench import registry
from videojudge_bench.errors import ConfigError, VideoJudgeError, unknown_name
from videojudge_bench.options import scalar
from videojudge_bench.version import __version__

if TYPE_CHECKING:
    from videojudge_bench.leaderboard.importing import FoundRun
    from videojudge_bench.leaderboard.rows import Row
    from videojudge_bench.signature import Scalar

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

RESULTS = Path("results")

Verbs: TypeAlias = "argparse._SubParsersAction[_Parser]"
Verb = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return its exit status: 0 done, 1 found a failure, 2 used wrongly."""
    arguments = _parser().parse_args(argv)
    verb: Verb = arguments.verb
    try:
        return verb(arguments)
    except VideoJudgeError as error:
        sys.stderr.write(f"videojudge: error: {error}\n")
        return EXIT_USAGE
    except KeyboardInterrupt:
        sys.stderr.write("videojudge: interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough.
        sys.stderr.close()
        return 0


class _Parser(argparse.ArgumentParser):
    """An argument parser that says what was meant."""

    def error(self, message: str) -> NoReturn:
        if "invalid choice: " in message:
            name = message.partition("invalid choice: '")[2].partition("'")[0]
            action = next(a for a in self._actions if isinstance(a.choices, dict))
            message = unknown_name("verb", name, list(action.choices or ()))
        super().error(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="videojudge",
        description="Measure, compare and train judges of video understanding. "
        "To run a judge on gold sets: lmms_eval --model videojudge "
        "--model_args judge=NAME --tasks 'videojudge_*'",
    )
    parser.add_argument("--version", action="version", version=f"videojudge-bench {__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    _add_judges(verbs)
    _add_data(verbs)
    _add_leaderboard(verbs)
    path = verbs.add_parser(
        "tasks-path",
        help="print the folder of our task files",
        description='For hosts that need it: lmms_eval --include_path "$(videojudge tasks-path)"',
    )
    path.set_defaults(verb=_tasks_path)
    return parser


def _add_judges(verbs: Verbs) -> None:
    judges = verbs.add_parser(
        "judges",
        help="list the judges, or check one of your own",
        description="Without arguments: what judges there are, what each requires and which "
        "options it has. With --check: run the contract of a judge on a few built-in items, "
        "without any data: verdict types, determinism, independence of order, A/B swap.",
    )
    judges.add_argument("--check", metavar="JUDGE", help="a name or module:Class")
    judges.add_argument(
        "options", nargs="*", metavar="option=value", help="options of the judge to check"
    )
    judges.set_defaults(verb=_judges)


def _add_data(verbs: Verbs) -> None:
    data = verbs.add_parser(
        "data",
        help="list, prepare and verify the gold sets",
        description="Gold sets: what there is, what is on this machine, and how to get the rest.",
    )
    parts = data.add_subparsers(title="verbs", required=True, metavar="VERB")
    parts.add_parser("list", help="list the gold sets").set_defaults(verb=_data_list)
    verify = parts.add_parser("verify", help="count and hash a gold set, and compare")
    verify.add_argument("name", nargs="?", help="a gold set; all of them by default")
    verify.set_defaults(verb=_data_verify)
    ids = parts.add_parser(
        "ids",
        help="print item ids beside the public keys of a set, as CSV",
        description="Joins your own scores to our item ids: the file that judge=precomputed reads "
        "has a column `id`.",
    )
    ids.add_argument("name", help="a gold set")
    ids.set_defaults(verb=_data_ids)
    prepare = parts.add_parser("prepare", help="make a set from its public release")
    sets = prepare.add_subparsers(title="gold sets", required=True, metavar="SET")
    vatex = sets.add_parser("vatex", help="from EMScore's own pickle files")
    vatex.add_argument("--emscore", type=Path, required=True, metavar="DIR", help="their folder")
    vatex.add_argument(
        "--output", type=Path, default=Path("vatex_eval.jsonl.gz"), help="default: %(default)s"
    )
    vatex.add_argument("--force", action="store_true", help="replace the output file")
    vatex.set_defaults(verb=_data_prepare_vatex)


def _add_leaderboard(verbs: Verbs) -> None:
    board = verbs.add_parser(
        "leaderboard",
        help="build the leaderboard, or add a run to it",
        description="Without a verb: builds leaderboard.md, .csv and .json from the stored runs.",
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


def _judges(arguments: argparse.Namespace) -> int:
    if arguments.check is None:
        rows = [_judge_row(name, target) for name, target in registry.names().items()]
        _table(("judge", "requires", "ratings", "options"), rows)
        return 0
    from videojudge_bench.check_judge import check

    results = check(arguments.check, _options(arguments.options))
    _table(
        ("", "check", "detail"),
        [("ok" if r.passed else "FAILED", r.name, r.detail) for r in results],
    )
    return 0 if all(result.passed for result in results) else EXIT_FAILED


def _judge_row(name: str, target: str) -> tuple[str, str, str, str]:
    try:
        cls = registry.judge_class(name)
    except ConfigError as error:
        return (name, "", "", f"cannot be loaded: {error}")
    shown = [
        f"{option}" if parameter.default is parameter.empty else f"{option}={parameter.default}"
        for option, parameter in registry.options_of(cls).items()
    ]
    scale = f"{cls.scale}" if cls.scale is not None else "only rank"
    return (name, " ".join(sorted(cls.requires)) or "nothing", scale, " ".join(shown))


def _options(texts: Iterable[str]) -> dict[str, Scalar]:
    """Read `option=value` as lmms-eval reads model arguments."""
    options: dict[str, Scalar] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"{text!r} is not option=value")
        options[key] = scalar(value)
    return options


def _data_list(_: argparse.Namespace) -> int:
    from videojudge_bench.data_cli import list_sets

    rows = list_sets()
    _table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    return 0


def _data_verify(arguments: argparse.Namespace) -> int:
    from videojudge_bench import goldsets
    from videojudge_bench.data_cli import verify

    for name in [arguments.name] if arguments.name else goldsets.names():
        _print(verify(name))
    return 0


def _data_ids(arguments: argparse.Namespace) -> int:
    from videojudge_bench.data_cli import ids

    _print(ids(arguments.name))
    return 0


def _data_prepare_vatex(arguments: argparse.Namespace) -> int:
    from videojudge_bench.data_cli import prepare_vatex

    _print(prepare_vatex(arguments.emscore, arguments.output, force=arguments.force))
    return 0


def _tasks_path(_: argparse.Namespace) -> int:
    from videojudge_bench.harness.plugin import task_folders

    _print(str(folder) for folder in task_folders())
    return 0


def _leaderboard(arguments: argparse.Namespace) -> int:
    from videojudge_bench.leaderboard import importing, rows, stored, tables

    results: Path = arguments.results
    runs = stored.read_all(results / "runs")
    if not runs:
        raise ConfigError(
            f"{results / 'runs'} has no runs; add one: videojudge leaderboard add RUN"
        )
    for run in runs:
        importing.check_numbers(run)
    board = rows.build(
        runs,
        published=rows.read_published(results / "published" / "figures.json"),
        known_tests=rows.read_tests(results / tables.TESTS),
    )
    written = tables.write_tables(board, results)
    for name in sorted({row.gold_set for row in board.rows}):
        _leaderboard_table([row for row in board.rows if row.gold_set == name])
    _print(f"wrote {path}" for path in written)
    return 0


def _leaderboard_table(rows: Sequence[Row]) -> None:
    from videojudge_bench import goldsets
    from videojudge_bench.leaderboard.tables import cells, columns_of

    info = goldsets.info(rows[0].gold_set)
    columns = columns_of(info)
    title = f"{info.task}: {info.title}"
    _table(("rank", "judge", "refs", *columns), [cells(r, columns) for r in rows], title=title)


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
        _print([f"{name} on {run.gold_set}: working out the numbers …"])
        kept = importing.to_stored(run, name=name)
        _print([f"wrote {stored.write_run(kept, folder)}"])
    return 0


def _refuse_another(folder: Path, run: FoundRun, name: str, *, replace: bool) -> None:
    """Refuse to replace a run that was made in another way under the same name."""
    from videojudge_bench.leaderboard import stored

    there = folder / run.gold_set / stored.folder_name(name, run.references)
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


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    # A pipe has no width: lines are not folded there, so that grep and awk work.
    width = None if sys.stdout.isatty() else 400
    table = Table(*head, title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console(width=width, highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
