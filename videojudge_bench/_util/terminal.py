"""What the commands of this package have in common: how they are parsed and what they print."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeAlias

from videojudge_bench.errors import unknown_name

Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"
Verb: TypeAlias = Callable[[argparse.Namespace], int]

# C0 and C1 but tab and line feed, then what turns the direction of writing.
_COMMANDS = (*range(9), *range(11, 32), *range(127, 160))
_TURNS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_AS_WRITTEN = {code: f"\\u{code:04x}" for code in (*_COMMANDS, *_TURNS)}


class Parser(argparse.ArgumentParser):
    """An argument parser that says what was meant, with the kinds of options that verbs have."""

    def path(self, names: str, metavar: str, what: str, *, required: bool = False) -> None:
        """Add an option that is a path; `names` are separated by a space."""
        self.add_argument(*names.split(), type=Path, metavar=metavar, help=what, required=required)

    def number(self, name: str, what: str, *, default: int | None = None) -> None:
        """Add an option that is a whole number; the help says its default where it has one."""
        shown = what if default is None else f"{what}; default: {default}"
        self.add_argument(name, type=int, default=default, metavar="N", help=shown)

    def flag(self, name: str, what: str) -> None:
        """Add an option without a value."""
        self.add_argument(name, action="store_true", help=what)

    def words(self, metavar: str, what: str, *, name: str = "options") -> None:
        """Add positional words, any number of them."""
        self.add_argument(name, nargs="*", metavar=metavar, help=what)

    def error(self, message: str) -> NoReturn:
        """End the command: exit status 2, usage and message on stderr."""
        action = next((a for a in self._actions if isinstance(a.choices, dict)), None)
        if action is not None and f"argument {action.metavar}: invalid choice: " in message:
            name = message.partition("invalid choice: '")[2].partition("'")[0]
            what = {"SET": "gold set"}.get(str(action.metavar), "verb")
            message = unknown_name(what, name, list(action.choices or ()))
        super().error(message)

    def _print_message(self, message: str, file: object = None) -> None:
        """Print help, version or usage; argparse would keep silent about a write that fails."""
        is_error = file is sys.stderr
        if is_error:
            sys.stderr.write(message)
            sys.stderr.flush()
        else:
            say([message.removesuffix("\n")])


def add_verb(verbs: Verbs, name: str, run: Verb, what: str, description: str) -> Parser:
    """Add a verb and return its parser."""
    verb = _parser(verbs, name, what, description)
    verb.set_defaults(verb=run)
    return verb


def add_group(verbs: Verbs, name: str, what: str, description: str) -> Verbs:
    """Add a verb that has verbs of its own, and return these."""
    group = _parser(verbs, name, what, description)
    return group.add_subparsers(title="verbs", required=True, metavar="VERB")


def _parser(verbs: Verbs, name: str, what: str, description: str) -> Parser:
    form = argparse.HelpFormatter
    if "\n" in description:
        form = argparse.RawDescriptionHelpFormatter
    return verbs.add_parser(name, help=what, description=description, formatter_class=form)


def printable(text: str) -> str:
    r"""Return a text that a terminal shows and does not obey: control characters as `\u001b`.

    That is how JSON writes them, so that JSON stays what it was.
    """
    return text.translate(_AS_WRITTEN)


def say(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.flush()


def warn(text: str, *, program: str = "videojudge") -> None:
    """Print a line on stderr, if it can be written to."""
    with suppress(OSError):
        sys.stderr.write(f"{program}: {printable(text)}\n")
        sys.stderr.flush()


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """Print a table; lines are not folded in a pipe, so that grep and awk work."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def shown(cell: str) -> Text:
        return Text(printable(cell))  # of a str, rich would obey [red] and :smile:

    width = None if sys.stdout.isatty() else 400
    heading = shown(title) if title else None
    made = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD)
    for name in head:
        made.add_column(shown(name))
    for row in rows:
        made.add_row(*map(shown, row))
    Console(width=width, highlight=False).print(made)
