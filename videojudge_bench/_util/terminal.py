"""Text for the terminal: lines, warnings, tables and JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

# C0 and C1 but tab and line feed, then what turns the direction of writing.
_COMMANDS = (*range(9), *range(11, 32), *range(127, 160))
_TURNS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_AS_WRITTEN = {code: f"\\u{code:04x}" for code in (*_COMMANDS, *_TURNS)}


@dataclass
class Settings:
    """Settings of the command that runs; `quiet` leaves out progress and notes."""

    quiet: bool = False


settings = Settings()


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


def note(*lines: str) -> None:
    """Print lines that are no results, unless the command is quiet."""
    if not settings.quiet:
        say(lines)


def say_json(value: object) -> None:
    """Print a value as indented JSON."""
    say([json.dumps(value, indent=1, ensure_ascii=False)])


def warn(text: str, *, program: str = "videojudge") -> None:
    """Print a line on stderr, if it can be written to."""
    with suppress(OSError):
        sys.stderr.write(f"{program}: {printable(text)}\n")
        sys.stderr.flush()


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """Print a table.

    In a pipe lines are not folded, so that grep and awk work, unless COLUMNS is set.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def shown(cell: str) -> Text:
        return Text(printable(cell))  # of a str, rich would obey [red] and :smile:

    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 400
    heading = shown(title) if title else None
    grid = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD)
    for name in head:
        grid.add_column(shown(name))
    for row in rows:
        grid.add_row(*map(shown, row))
    Console(width=width, highlight=False).print(grid)


def show(rows: Sequence[Mapping[str, object]], *, as_json: bool, title: str = "") -> None:
    """Print rows of the same keys as a table, or as JSON; a table has fractions in 3 decimals."""
    if as_json:
        say_json(list(map(dict, rows)))
        return
    cells = ([_cell(value) for value in row.values()] for row in rows)
    table(tuple(rows[0]) if rows else (), cells, title=title)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)
