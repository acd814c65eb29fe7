"""Commands on cyclopts: their help, how they run, and how a mistake of the user is reported."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, TypeVar, Union, cast

from cyclopts import App, CoercionError, CycloptsError, Parameter, UnusedCliTokensError

from videojudge_bench._util.files import NO_ROOM, cannot_write, check_output, system_error
from videojudge_bench._util.streams import prepare_streams, settle_streams, use_current_folder
from videojudge_bench._util.terminal import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    settings,
    warn,
)
from videojudge_bench.errors import RunStoppedError, VideoJudgeError

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel, InlineText
    from rich.console import Console, ConsoleOptions

PathOrNone = TypeVar("PathOrNone", bound=Union[Path, None])

STREAM = Path("<standard stream>")
"""The path that verbs get for `-`, standard input or output."""

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
"""An option without a value."""


class _Help:
    """Help whose prose is as wide as the terminal; indented lines stay as they are written.

    The consoles that it is called with are not used: they keep the width of an earlier help.
    """

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        from cyclopts.help import DefaultFormatter

        for entry in panel.entries:
            _join_lines(entry.description)
        fresh = _console()
        DefaultFormatter()(fresh, fresh.options, panel)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: object) -> None:
        from cyclopts.help import DefaultFormatter

        fresh = _console()
        DefaultFormatter().render_usage(fresh, fresh.options, usage)

    def render_description(
        self, console: Console, options: ConsoleOptions, description: InlineText
    ) -> None:
        _join_lines(description)
        _console().print(description)


def _console() -> Console:
    from rich.console import Console

    return Console()


def _join_lines(text: InlineText) -> None:
    from rich.text import Text

    inner = getattr(text, "primary_renderable", None)
    if isinstance(inner, Text):
        joined = _LINE_END_IN_PROSE.sub(r"\1 ", inner.plain)
        text.primary_renderable = Text(joined)


_LINE_END_IN_PROSE = re.compile(r"(?m)^(\S.*)\n(?=\S)")
_KINDS = {int: "a whole number", float: "a number"}


def new_app(name: str, text: str, *, version: str = "") -> App:
    """Return a command, or a group of verbs, with its help text."""
    return App(
        name=name,
        help=text,
        help_format="plaintext",
        help_formatter=_Help(),
        version=version,
        version_flags=["--version"] if version else [],
        default_parameter=Parameter(negative=""),
    )


def run(app: App, arguments: Sequence[str] | None = None, *, program: str = "videojudge") -> int:
    """Run a command; return its exit status: 0 done, 1 found a failure, 2 used wrongly."""
    prepare_streams()
    settings.quiet = False
    words = sys.argv[1:] if arguments is None else arguments
    try:
        use_current_folder()
        status = call(app, [_stream_for_dash(word) for word in words])
        sys.stdout.flush()
    except CycloptsError as error:
        status, problem = EXIT_USAGE, f"error: {_sentence(error)}"
    except VideoJudgeError as error:
        status = EXIT_FAILED if isinstance(error, RunStoppedError) else EXIT_USAGE
        problem = f"error: {error}"
    except KeyboardInterrupt:
        status, problem = EXIT_INTERRUPTED, "interrupted"
    except BrokenPipeError:  # the reader of a pipe (head, less) has ended
        status, problem = 0, ""
    except OSError as error:
        is_full = error.errno in NO_ROOM
        sentence = cannot_write(error.filename or "a file", error) if is_full else None
        status, problem = EXIT_FAILED, f"error: {sentence or system_error(error)}"
    else:
        problem = ""
    if problem:
        warn(problem, program=program)
    settle_streams()
    return status


def call(app: App, words: Sequence[str]) -> int:
    """Call the verb that is asked for; without one the help is shown, and the status is 2."""
    verb, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    status = verb(*bound.args, **bound.kwargs)
    is_help = verb.__name__ == "help_print" and not {"--help", "-h"} & {*words}
    return EXIT_USAGE if is_help else status if isinstance(status, int) else 0


def _stream_for_dash(word: str) -> str:
    """Return a word that the parser takes for a value where the user wrote `-`."""
    if word == "-":
        return str(STREAM)
    return f"{word[:-1]}{STREAM}" if word.startswith("-") and word.endswith("=-") else word


def _sentence(error: CycloptsError) -> str:
    """Return what is wrong with the words of a command line."""
    if isinstance(error, CoercionError) and error.token and error.target_type in _KINDS:
        name = error.token.keyword or (error.argument.name if error.argument else "")
        return f"{name}: expected {_KINDS[error.target_type]}, got {error.token.value!r}"
    if isinstance(error, UnusedCliTokensError):
        given = error.unused_tokens or [""]
        verbs = [name for name in error.app or () if not name.startswith("-")]
        if len(given) == 1 and (near := get_close_matches(given[0], verbs, n=1)):
            return f'Unknown command "{given[0]}". Did you mean "{near[0]}"?'
        return f"expected no more arguments, got {' '.join(given)!r}"
    error.verbose = False
    return str(error)


@contextmanager
def opened_input(path: Path) -> Iterator[Path]:
    """Yield a path to read: of standard input, a copy of it."""
    if path != STREAM:
        yield path
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin.jsonl"
        copy.write_bytes(sys.stdin.buffer.read())
        yield copy


def opened_output(
    path: PathOrNone, *suffixes: str, any_name: bool = False
) -> AbstractContextManager[PathOrNone]:
    """Return a context with the path to write: None where none is given.

    For `-` that is a copy that goes to standard output at the end, in the format of the first of
    `suffixes`; what is printed meanwhile goes to standard error. With `any_name` the name of a file
    is not checked.

    Raises:
        ConfigError: the file has another suffix, or cannot be written.
    """
    if path == STREAM:
        return cast(AbstractContextManager[PathOrNone], _standard_output(suffixes[0]))
    if path is not None and not any_name:
        check_output(path, *suffixes)
    return nullcontext(path)


@contextmanager
def _standard_output(suffix: str) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        copy = Path(folder) / f"stdout{suffix}"
        try:
            with redirect_stdout(sys.stderr):
                yield copy
        finally:
            if copy.exists():
                sys.stdout.write(copy.read_text(encoding="utf-8"))
                sys.stdout.flush()
