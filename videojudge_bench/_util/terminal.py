"""Text for the terminal: lines, warnings, tables and JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

# C0 and C1 but tab and line feed, then what turns the direction of writing.
_COMMANDS = (*range(9), *range(11, 32), *range(127, 160))
_TURNS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_AS_WRITTEN = {code: f"\\u{code:04x}" for code in (*_COMMANDS, *_TURNS)}

_FEWEST_COLUMNS = 4


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


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", fold: bool = False
) -> None:
    """Print a table, as wide as the terminal or COLUMNS.

    Where it is too wide, the last columns are left out, down to four, and a line says which; with
    `fold` cells are folded instead. In a pipe without COLUMNS nothing is cut, so that grep and awk
    work.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def text(cell: str) -> Text:
        return Text(printable(cell))  # of a str, rich would obey [red] and :smile:

    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 400
    console = Console(width=width, highlight=False)
    lines = [[text(cell) for cell in row] for row in (head, *rows)]
    widths = [max(cell.cell_len for cell in column) + 2 for column in zip(*lines, strict=True)]
    kept = len(widths)
    while not fold and kept > _FEWEST_COLUMNS and sum(widths[:kept]) + 2 > console.width:
        kept -= 1
    heading = text(title) if title else None
    grid = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD)
    for cell in lines[0][:kept]:
        grid.add_column(cell)
    for line in lines[1:]:
        grid.add_row(*line[:kept])
    console.print(grid)
    if kept < len(widths):
        note(f"Left out, for want of room: {', '.join(head[kept:])}; COLUMNS=200 shows them.")


def show(
    rows: Sequence[Mapping[str, object]], *, as_json: bool, title: str = "", fold: bool = False
) -> None:
    """Print rows of the same keys as a table, or as JSON; a table has fractions in 3 decimals."""
    if as_json:
        say_json(list(map(dict, rows)))
        return
    cells = ([_cell(value) for value in row.values()] for row in rows)
    table(tuple(rows[0]) if rows else (), cells, title=title, fold=fold)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)
