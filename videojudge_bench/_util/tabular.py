"""Rows of numbers as a file: CSV or JSON, by the name of the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json

OUTPUTS = (".csv", ".json")
"""Endings of the files that `write_rows` writes."""


def write_rows(rows: Sequence[Mapping[str, Json]], path: Path) -> None:
    """Write flat objects: a CSV line or a JSON object for each; a CSV has the columns of all."""
    if path.suffix == ".json":
        text = json.dumps(list(rows), ensure_ascii=False, indent=1) + "\n"
    else:
        names = dict.fromkeys(name for row in rows for name in row)
        sheet = io.StringIO()
        writer = csv.DictWriter(sheet, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = sheet.getvalue()
    write_whole(path, text)
