"""Rows of numbers as a file: CSV or JSON, by the name of the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError

OUTPUTS = (".csv", ".json")


def check_output(path: Path) -> None:
    """Check that `write_rows` can write a file, before hours of work.

    Raises:
        ConfigError: it ends neither in .csv nor in .json, or its folder does not exist.
    """
    if path.suffix not in OUTPUTS:
        raise ConfigError(f"--output {path}: the name must end in {' or '.join(OUTPUTS)}")
    if not path.parent.is_dir():
        raise ConfigError(f"--output {path}: there is no folder {path.parent}")


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
