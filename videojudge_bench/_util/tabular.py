"""Tables as files, CSV or JSON; in CSV no text is a formula to a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json

OUTPUTS = (".csv", ".json")
"""Endings of the files that `write_rows` writes."""

# OWASP, CSV Injection: these begin a formula. A mark before one is itself marked, so that taking
# one mark off gives back what was written.
_FORMULA = re.compile(r"'*(\s*[=+\-@]|[\t\r])")
_MARKED = re.compile(r"'+(\s*[=+\-@]|[\t\r])")


def inert(cell: object) -> object:
    """Return a cell for CSV: a text that a spreadsheet would compute begins with `'`."""
    is_formula = isinstance(cell, str) and _FORMULA.match(cell)
    return f"'{cell}" if is_formula else cell


def as_written(cell: str) -> str:
    """Return the text that `inert` made a cell of."""
    return cell[1:] if _MARKED.match(cell) else cell


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]], *, line_end: str = "\n") -> str:
    """Return a table as CSV; every text in it is inert."""
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator=line_end)
    writer.writerows([inert(cell) for cell in row] for row in (head, *rows))
    return sheet.getvalue()


def write_rows(rows: Sequence[Mapping[str, Json]], path: Path) -> None:
    """Write flat objects: a CSV line or a JSON object for each; a CSV has the columns of all."""
    if path.suffix == ".json":
        text = json.dumps(list(rows), ensure_ascii=False, indent=1) + "\n"
    else:
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = csv_text(names, ([row.get(name, "") for name in names] for row in rows))
    write_whole(path, text)
