"""Lists in JSON files of any size, read a row at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, TypeVar

from pydantic import BaseModel, ValidationError

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import jsonl

CHUNK_CHARACTERS = 1 << 20

MAX_ROW_CHARACTERS = 1 << 22
"""A longer row is refused: rows have kilobytes, so what goes on so long has lost its end."""

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n]*")

RowT = TypeVar("RowT", bound=BaseModel)


def stream_list(path: Path, row_type: type[RowT]) -> Iterator[tuple[str, RowT]]:
    """Yield place (`[0]`, `[1]`, …) and row of each object of a JSON file that is a list.

    A part of the file is in memory at a time: one megabyte, or as much as the longest row.

    Raises:
        DataError: with file, line (from 1) and field (`[17].q`), when the file cannot be read, is
            not UTF-8, is no list or an empty one, breaks off, or when a row is not what it should
            be.
    """
    try:
        with path.open(encoding="utf-8") as file:
            yield from _List(path, file).rows(row_type)
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 ({error.reason}); save it as UTF-8", path=path) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from error


class _List:
    """A window on the text of a file that moves on with the rows."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path, self._file = path, file
        self._text, self._at, self._line = "", 0, 1

    def rows(self, row_type: type[RowT]) -> Iterator[tuple[str, RowT]]:
        if self._next() != "[":
            found = repr(self._text[self._at : self._at + 20])
            raise self._error(f"the file must be a JSON list; it begins with {found}")
        self._move(1)
        if self._next() == "]":
            raise self._error("the list is empty; it needs at least one row")
        number, more = 0, True
        while more:
            place = f"[{number}]"
            self._next()
            row = self._value(place)
            try:
                yield place, row_type.model_validate_json(row)
            except ValidationError as error:
                raise jsonl.data_error(error, self._path, self._line, within=place) from error
            self._move(len(row))
            number += 1
            ending = self._next()
            if ending not in (",", "]"):
                raise self._error("not JSON (expecting ',' or ']')", place)
            more = ending == ","
            self._move(1)
        if self._next():
            raise self._error("something follows the end of the list; remove it")

    def _value(self, place: str) -> str:
        """The text of the value that begins here."""
        while True:
            try:
                _, end = _DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                # It may only end beyond the window.
                if len(self._text) - self._at < MAX_ROW_CHARACTERS and self._read():
                    continue
                # Its own message counts lines and characters from where the window begins.
                reason = error.msg if isinstance(error, json.JSONDecodeError) else error
                raise self._error(f"not JSON ({reason})", place) from error
            return self._text[self._at : end]

    def _next(self) -> str:
        """Skip white space; return the character there, "" at the end of the file."""
        while True:
            found = _BLANK.match(self._text, self._at)
            assert found, "the pattern matches nothing too"
            self._move(found.end() - self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def _read(self) -> bool:
        chunk = self._file.read(CHUNK_CHARACTERS)
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)

    def _move(self, characters: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + characters)
        self._at += characters

    def _error(self, problem: str, place: str | None = None) -> DataError:
        return DataError(problem, path=self._path, line=self._line, field=place)
