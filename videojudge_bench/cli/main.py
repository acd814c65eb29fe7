"""The command `videojudge`: thin verbs over the package."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from videojudge_bench._util.files import NO_ROOM, cannot_write, system_error
from videojudge_bench._util.streams import check_current_folder, prepare_streams, settle_streams
from videojudge_bench._util.terminal import Parser, Verb, add_verb, say, warn
from videojudge_bench.cli.analysis import add_measure
from videojudge_bench.cli.data import add_data
from videojudge_bench.cli.describe import add_describe
from videojudge_bench.cli.doctor import add_doctor
from videojudge_bench.cli.judge import add_judge
from videojudge_bench.cli.judges import add_judges
from videojudge_bench.cli.leaderboard import add_leaderboard
from videojudge_bench.cli.parity import add_parity
from videojudge_bench.cli.report import add_look
from videojudge_bench.cli.rubrics import add_rubrics
from videojudge_bench.cli.serve import add_serve
from videojudge_bench.errors import RunStoppedError, VideoJudgeError
from videojudge_bench.training.bootstrap.cli import add_bootstrap
from videojudge_bench.training.experiments.cli import add_experiments
from videojudge_bench.training.sft.cli import add_train
from videojudge_bench.version import __version__

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return its exit status: 0 done, 1 found a failure, 2 used wrongly."""
    prepare_streams()
    try:
        check_current_folder()
        arguments = _parser().parse_args(argv)
        verb: Verb = arguments.verb
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
    except BrokenPipeError:  # the reader of a pipe (head, less) has seen enough
        return 0
    except OSError as error:
        is_full = error.errno in NO_ROOM
        problem = cannot_write(error.filename or "a file", error) if is_full else None
        warn(f"error: {problem or system_error(error)}")
        return EXIT_FAILED
    finally:
        settle_streams()


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
    add_serve(verbs)
    add_doctor(verbs)
    add_judges(verbs)
    add_data(verbs)
    add_describe(verbs)
    add_rubrics(verbs)
    add_measure(verbs)
    add_parity(verbs)
    add_bootstrap(verbs)
    add_experiments(verbs)
    add_train(verbs)
    add_leaderboard(verbs)
    add_look(verbs)
    what = 'For hosts that need it: lmms_eval --include_path "$(videojudge tasks-path)"'
    add_verb(verbs, "tasks-path", _tasks_path, "print the folder of our task files", what)
    return parser


def _tasks_path(_: argparse.Namespace) -> int:
    from videojudge_bench.harness.plugin import task_folders

    say(str(folder) for folder in task_folders())
    return 0
