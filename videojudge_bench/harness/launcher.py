"""The command `lmms_eval`: lmms-eval's own command line, with seven differences.

- It checks the names of our tasks and judges before anything heavy is loaded, and suggests the
  nearest; a mistake of the user prints no traceback.
- When all requested tasks are ours it does not index the host's 1,900 task files.
- It exits non-zero when the evaluation failed, or the judge failed on too many items; lmms-eval
  always exits 0.
- Its table has the main rows of our tasks; headlines and the next command stand below.
- Its log has no colours where standard output is no terminal.
- Ctrl-C ends it without a traceback; the journal has the judgements so far.
- lmms-eval prints and stores the model arguments: keys and passwords among those of model
  `videojudge` are taken out first, and reach the model through `secrets`.
"""

from __future__ import annotations

import argparse
import atexit
import fnmatch
import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from videojudge_bench import goldsets, registry
from videojudge_bench._util.options import (
    Scalar,
    parse_judge,
    parse_list,
    parse_options,
    scalar,
    secret_names,
)
from videojudge_bench._util.streams import is_open, prepare_streams, use_current_folder
from videojudge_bench._util.terminal import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, warn
from videojudge_bench.errors import ConfigError, NoDataError, UnknownNameError, VideoJudgeError
from videojudge_bench.goldsets.jsonl import find_videos
from videojudge_bench.harness import ending, plugin
from videojudge_bench.harness.host_names import check_names

MODEL = "videojudge"
OWN_MODEL_ARGUMENTS = frozenset(
    {"judge", "references", "videos", "journal", "descriptions", "max_failures"}
)

secrets: dict[str, Scalar] = {}
"""Model arguments of the current evaluation that must not be logged or stored."""


@dataclass(frozen=True)
class ItemFailures:
    """Failures of the judge on the items of a task."""

    task: str
    message: str
    too_many: bool


item_failures: list[ItemFailures] = []
"""Of the current evaluation, by task; repeated at its end."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run lmms-eval; return 0 on success, 1 when the evaluation failed, 2 on a usage error."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    prepare_streams()
    try:
        use_current_folder()
        if not is_open(sys.stdout):
            raise ConfigError(
                "standard output is closed, and the results go there; redirect it, for example to "
                "/dev/null, and give --output_path"
            )
        asked = _asked(arguments)
        check_names(arguments, asked.model)
        check(asked)
        return _run(arguments, asked)
    except VideoJudgeError as error:
        warn(f"error: {error}", program="lmms_eval")
        return EXIT_USAGE
    except KeyboardInterrupt:
        warn("interrupted; run the same command again to go on", program="lmms_eval")
        return EXIT_INTERRUPTED


def check(asked: argparse.Namespace) -> None:
    """Check what can be checked before anything heavy is loaded.

    Raises:
        UnknownNameError: a task `videojudge…` or a judge that does not exist.
        NoDataError: no requested task has data on this machine.
        DataError: a gold set that is requested by name is damaged.
        ConfigError: model arguments that the judge does not have, or a missing folder of videos.
    """
    if asked.model and not (asked.tasks or asked.config):
        raise ConfigError("--tasks is missing: give for example --tasks 'videojudge_*'")
    known = plugin.our_task_names()
    for pattern in _patterns(asked):
        ours = pattern.startswith(plugin.PREFIX) and asked.include_path is None
        if ours and not fnmatch.filter(known, pattern):
            raise UnknownNameError("task", pattern, known)
    _refuse_nothing_but_missing_data(_patterns(asked))
    if asked.model == MODEL and asked.use_cache:
        raise ConfigError(
            "--use_cache is not needed with --model videojudge: its journal keeps every judgement "
            "at once, and knows when an item or an option has changed; leave it out"
        )
    if asked.model == MODEL and asked.config is None:
        _check_model_arguments(asked.model_args or "")


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in ("model", "tasks", "model_args", "include_path", "config", "use_cache"):
        parser.add_argument(f"--{flag}")
    known, _ = parser.parse_known_args([a for a in arguments if a != "eval"])
    return known


def _patterns(asked: argparse.Namespace) -> list[str]:
    return [pattern for pattern in (asked.tasks or "").split(",") if pattern]


def _refuse_nothing_but_missing_data(patterns: Sequence[str]) -> None:
    """Raise NoDataError when every task is requested by its name and none has data.

    By a wildcard or among others, such a task is `undefined (no data …)`. Damaged sets raise too.
    """
    missing: list[NoDataError] = []
    for pattern in patterns:
        name = pattern.removeprefix(f"{plugin.PREFIX}_")
        if name != pattern and name in goldsets.names():
            try:
                goldsets.load(name)  # cached for the task
            except NoDataError as error:
                missing.append(error)
    if missing and len(missing) == len(patterns):
        raise missing[0]


def _check_model_arguments(text: str) -> None:
    given = parse_options(text)
    if "judge" not in given:
        raise ConfigError(
            "--model videojudge needs --model_args judge=NAME[,option=value…]; "
            f"judges: {', '.join(registry.names())}, or module:Class for your own"
        )
    if "videos" in given:
        find_videos(Path(given["videos"]).expanduser())
    registry.check_options(
        given["judge"],
        [key for key in given if key not in OWN_MODEL_ARGUMENTS],
        engine=given.get("engine"),
        also_allowed=OWN_MODEL_ARGUMENTS,
    )
    for member in parse_list(given.get("members", "")) if given["judge"] == "jury" else ():
        name, options = parse_judge(member)
        registry.check_options(name, options, engine=options.get("engine"))


def _run(arguments: Sequence[str], asked: argparse.Namespace) -> int:
    failures: list[str] = []
    sys.argv = ["lmms_eval", *arguments]
    # Imported objects stay to the end: without the garbage collector's walks over a million of them
    # a short run takes a second less.
    gc.disable()
    # Importing this much of the host loads its models, and with them our entry point's hook.
    import lmms_eval.__main__ as host
    import lmms_eval.tasks as host_tasks
    from lmms_eval.cli.dispatch import main as host_main

    gc.freeze()
    atexit.register(gc.unfreeze)  # libraries report what is left at the end as a leak
    gc.enable()
    patterns = _patterns(asked)
    ours_only = (
        bool(patterns)
        and all(pattern.startswith(plugin.PREFIX) for pattern in patterns)
        and asked.config is None
    )
    plugin.add_our_tasks(host_tasks, ours_only=ours_only)
    _hook(host, failures)
    item_failures.clear()
    ending.finished.clear()
    host_main()
    ending.say_next()
    too_many = _say_item_failures()
    return EXIT_FAILED if failures or too_many else 0


def _say_item_failures() -> bool:
    """Repeat on how many items the judge failed; return whether on too many."""
    for failures in item_failures:
        warn(f"{failures.task}: {failures.message}", program="lmms_eval")
    too_many = [failures.task for failures in item_failures if failures.too_many]
    if too_many:
        warn(
            f"error: more failures than max_failures allows in {', '.join(too_many)}; the same "
            "command asks for the failed items again",
            program="lmms_eval",
        )
    return bool(too_many)


def take_secrets(arguments: argparse.Namespace) -> dict[str, Scalar]:
    """Remove secrets from the arguments of model `videojudge`, and return them.

    Addresses with a user or password are removed whole.
    """
    if arguments.model != MODEL or not isinstance(arguments.model_args, str):
        return {}
    options = parse_options(arguments.model_args)
    names = secret_names(options)
    if names:
        left = (f"{name}={value}" for name, value in options.items() if name not in names)
        arguments.model_args = ",".join(left)
    return {name: scalar(options[name]) for name in names}


def _hook(host: ModuleType, failures: list[str]) -> None:
    """Take secrets out of model arguments before the host uses them, and record failures.

    The command line's arguments are parsed early, and go into names of runs; a configuration file's
    come with each evaluation. The host swallows the exception of an evaluation that fails; an error
    of ours ends the process at once, so that the host prints no traceback for it.
    """
    parse: Callable[[], tuple[object, argparse.Namespace]] = host.parse_eval_args
    evaluate: Callable[[argparse.Namespace], object] = host.cli_evaluate_single
    given: dict[str, Scalar] = {}

    def parsed() -> tuple[object, argparse.Namespace]:
        parser, arguments = parse()
        given.update(take_secrets(arguments))
        return parser, arguments

    def watched(arguments: argparse.Namespace) -> object:
        failures.append(str(arguments.tasks))
        started = time.time()
        secrets.clear()
        try:
            secrets.update({**given, **take_secrets(arguments)})
            result = evaluate(arguments)
            _check_written(arguments, result, started)
        except VideoJudgeError as error:
            warn(f"error: {error}", program="lmms_eval")
            raise SystemExit(EXIT_FAILED) from error
        failures.pop()
        return result

    host.eval_logger.add = ending.plain_when_piped(host.eval_logger.add)
    host.make_table = ending.shortened(host.make_table)  # type: ignore[attr-defined]
    host.parse_eval_args = parsed  # type: ignore[attr-defined]
    host.cli_evaluate_single = watched  # type: ignore[attr-defined]


def _check_written(arguments: argparse.Namespace, result: object, started: float) -> None:
    """Raise if the results are not in the requested folder; the host only logs that."""
    on_main_rank = isinstance(result, tuple) and result[0] is not None
    if not (on_main_rank and arguments.output_path):
        return
    # File systems keep time with less precision than the clock.
    files = Path(arguments.output_path).rglob("*_results.json")
    if not any(path.stat().st_mtime >= started - 2 for path in files):
        raise VideoJudgeError(f"the results could not be written to {arguments.output_path}")
