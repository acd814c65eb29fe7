"""What the commands of this package have in common: how they are parsed and what they print."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn, TypeAlias

from videojudge_bench.errors import unknown_name

Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"


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


def say(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """Print a table; lines are not folded in a pipe, so that grep and awk work."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    width = None if sys.stdout.isatty() else 400
    made = Table(*head, title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for row in rows:
        made.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console(width=width, highlight=False).print(made)
