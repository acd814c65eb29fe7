"""Lists in JSON files of any size, read a row at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import ijson
from pydantic import BaseModel, ValidationError

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import jsonl

CHUNK_BYTES = 1 << 16

RowT = TypeVar("RowT", bound=BaseModel)


def stream_list(path: Path, row_type: type[RowT]) -> Iterator[RowT]:
    """Yield the rows of a JSON file that is a list; one row and one chunk are in memory at a time.

    Raises:
        DataError: with file and place (`[17].q`), when the file cannot be read, is not UTF-8, is
            no list or an empty one, breaks off, or when a row is not what it should be.
    """
    number = -1
    try:
        with path.open("rb") as file:
            start = file.read(CHUNK_BYTES).lstrip()[:20]
            if not start.startswith(b"["):
                found = start.decode(errors="replace")
                raise DataError(f"expected a JSON list, got a file with {found!r}", path=path)
            file.seek(0)
            rows = ijson.items(file, "item", buf_size=CHUNK_BYTES, use_float=True)
            for number, row in enumerate(rows):
                yield _checked(row, row_type, path, number)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from error
    except (ijson.JSONError, UnicodeDecodeError) as error:
        problem = f"not JSON in UTF-8 ({_reason(error)}); get the file again"
        raise DataError(problem, path=path, field=f"[{number + 1}]") from error
    if number < 0:
        raise DataError("expected a list with at least one row, got an empty one", path=path)


def _checked(row: object, row_type: type[RowT], path: Path, number: int) -> RowT:
    try:
        # From JSON, where lists may be tuples: our types take nothing else for something else.
        return row_type.model_validate_json(json.dumps(row))
    except ValidationError as error:
        raise jsonl.data_error(error, path, None, within=f"[{number}]") from error


def _reason(error: Exception) -> str:
    """The message of yajl or of ijson's own parser, and the text beside which it was found."""
    said = error.args[0]
    lines = (said.decode(errors="replace") if isinstance(said, bytes) else str(error)).splitlines()
    return ", near ".join(line.strip() for line in lines[:2] if line.strip())
