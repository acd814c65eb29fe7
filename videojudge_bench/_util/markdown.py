"""Texts of others in Markdown: shown as they are, never obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from videojudge_bench._util.terminal import printable

_MARKS = re.compile(r"[\\`*\[\]|~]")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def inert(text: str) -> str:
    """Return a text for a cell, a heading or a point of a list: no markup, link, image or HTML."""
    line = printable(" ".join(text.split()))
    return _MARKS.sub(r"\\\g<0>", line).translate(_ENTITIES)


def code(text: str) -> str:
    """Return a text as a span of code that it cannot end (CommonMark 0.31, 6.1)."""
    line = printable(" ".join(text.split()))
    runs = {len(run) for run in re.findall("`+", line)}
    fence = "`" * next(n for n in range(1, len(runs) + 2) if n not in runs)
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, rule: str = " --- ") -> list[str]:
    """Return the lines of a table; the cells are Markdown already."""
    return [
        "|" + "".join(f" {name} |" if name else " |" for name in head),
        f"|{'|'.join(rule for _ in head)}|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
