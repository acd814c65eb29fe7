"""What the commands of this package have in common: how they are parsed and what they print."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn, TypeAlias

from videojudge_bench.errors import unknown_name

Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"

# C0 and C1 but tab and line feed, then what turns the direction of writing.
_COMMANDS = (*range(9), *range(11, 32), *range(127, 160))
_TURNS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_AS_WRITTEN = {code: f"\\u{code:04x}" for code in (*_COMMANDS, *_TURNS)}


class Parser(argparse.ArgumentParser):
    """An argument parser that says what was meant."""

    def error(self, message: str) -> NoReturn:
        """End the command: exit status 2, usage and message on stderr."""
        action = next((a for a in self._actions if isinstance(a.choices, dict)), None)
        if action is not None and f"argument {action.metavar}: invalid choice: " in message:
            name = message.partition("invalid choice: '")[2].partition("'")[0]
            what = {"SET": "gold set"}.get(str(action.metavar), "verb")
            message = unknown_name(what, name, list(action.choices or ()))
        super().error(message)


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
    """Print a line on stderr."""
    sys.stderr.write(f"{program}: {printable(text)}\n")


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
