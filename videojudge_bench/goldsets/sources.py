"""Rows of anyone's data, read as a stream.

A source is a file (JSON Lines, JSON, CSV, TSV, Parquet; text ones also as `.gz`), a folder of such
files, or `hf:OWNER/NAME[@REVISION][:[CONFIG/]SPLIT]`, a data set of the Hugging Face hub or a local
folder in its layout. A row that is no JSON object has one column, `_value`. Besides its columns a
row has `_row`, its number from 1, and one of a file `_file`: `path` (inside the folder), `stem`,
`folder` and `parts` of the path.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Union

from videojudge_bench.errors import ConfigError, DataError, UnknownNameError
from videojudge_bench.goldsets.jsonl import MAX_LINE_BYTES

if TYPE_CHECKING:
    from datasets import IterableDataset

VALUE, ROW, FILE = "_value", "_row", "_file"
OURS = frozenset({ROW, FILE})
"""Columns that are not of the source."""

HUB = "hf:"

_HUB_FORM = re.compile(
    r"(?P<path>[^@:]+)(@(?P<revision>[^:]+))?(:((?P<config>[^/]+)/)?(?P<split>.+))?"
)
_BATCH_ROWS = 64

Select = Callable[[Collection[str]], Union[list[str], None]]
"""Returns those of a table's columns that are read, None for all; raises for unknown ones."""


@dataclass(frozen=True)
class RawRow:
    """One row: its number from 1, its columns or why there are none, and its file in a folder."""

    number: int
    values: Mapping[str, object]
    problem: str = ""
    file: str = ""

    @property
    def place(self) -> str:
        """File and number of the row, for messages."""
        return f"{self.file} row {self.number}".strip()

    def with_ours(self, path: Path | None, *, named: bool = False) -> RawRow:
        """Return the row with the columns `_row` and `_file`."""
        ours: dict[str, object] = {ROW: self.number}
        if path is not None:
            ours[FILE] = {
                "path": path.as_posix(),
                "stem": path.stem,
                "folder": path.parent.name,
                "parts": list(path.parts),
            }
        file = path.as_posix() if path is not None and named else ""
        return replace(self, values={**self.values, **ours}, file=file)


def rows(source: str, select: Select, pattern: str | None = None) -> Iterator[RawRow]:
    """Yield the rows of a source in its order.

    Args:
        source: a file, a folder, or a data set of the hub.
        select: chooses the columns that are read of a table.
        pattern: of the files of a folder, such as `**/*_feedback.json`; by default all that can be
            read.

    Raises:
        ConfigError: there is no such source, or it is of another kind; `select` may raise, too.
        DataError: a file cannot be read.
    """
    if source.startswith(HUB):
        yield from (row.with_ours(None) for row in _hub_rows(source, select))
        return
    path = Path(source)
    if path.is_dir():
        yield from _folder_rows(path, select, pattern)
        return
    if not path.is_file():
        raise ConfigError(
            f"no file {source!r}; give a file or a folder of your ratings, or hf:OWNER/NAME"
        )
    for row in _file_rows(path, select):
        yield row.with_ours(Path(path.name))


def columns_of(source: str) -> list[str]:
    """Return the columns of the first row of a source; raises as `rows`."""
    first = next(rows(source, lambda _: None), RawRow(0, {}))
    return [name for name in first.values if name not in OURS]


def _folder_rows(folder: Path, select: Select, pattern: str | None) -> Iterator[RawRow]:
    paths = sorted(path for path in folder.glob(pattern or "**/*") if path.is_file())
    paths = [path for path in paths if pattern or _kind(path) is not None]
    if not paths:
        suffixes = ", ".join(_READERS)
        raise ConfigError(
            f"{folder}: no file matches {pattern!r} (`files` of the mapping)"
            if pattern
            else f"{folder}: there is no file that can be read ({suffixes})"
        )
    for path in paths:
        inside = path.relative_to(folder)
        for row in _file_rows(path, select):
            yield row.with_ours(inside, named=True)


def _kind(path: Path) -> str | None:
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    return suffix if suffix in _READERS else None


def _file_rows(path: Path, select: Select) -> Iterator[RawRow]:
    kind = _kind(path)
    if kind is None:
        raise ConfigError(
            f"{path}: expected one of {', '.join(_READERS)}, got {path.suffix or 'no suffix'!r}"
        )
    try:
        yield from _READERS[kind](path, select)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problem = f"the compressed data end or break ({error}); get the file again"
        raise DataError(problem, path=path) from error
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 ({error}); save it as UTF-8"
        raise DataError(problem, path=path) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", path=path) from error


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _columns(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {VALUE: value}


def _json_lines(path: Path, _: Select) -> Iterator[RawRow]:
    with _opened(path) as file:
        number = 0
        while raw := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(raw) > MAX_LINE_BYTES:
                problem = f"longer than {MAX_LINE_BYTES} bytes; expected one JSON object per line"
                raise DataError(problem, path=path, line=number)
            if raw.strip():
                yield _json_row(raw.removeprefix(b"\xef\xbb\xbf"), number)


def _json_row(raw: bytes, number: int) -> RawRow:
    try:
        return RawRow(number, _columns(json.loads(raw)))
    except (ValueError, RecursionError) as error:  # the last: lists too deep
        return RawRow(number, {}, f"not JSON ({error})")


def _json(path: Path, select: Select) -> Iterator[RawRow]:
    """Yield the members of one list, one object, or the lines of JSON Lines under another name."""
    with _opened(path) as file:
        head = file.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"["):
        yield from _json_list(path)
        return
    first, line_end, rest = head.partition(b"\n")
    if line_end and rest.strip() and not _json_row(first, 1).problem:
        yield from _json_lines(path, select)
        return
    with _opened(path) as file:
        yield _json_row(file.read().removeprefix(b"\xef\xbb\xbf"), 1)


def _json_list(path: Path) -> Iterator[RawRow]:
    import ijson

    try:
        with _opened(path) as file:
            for number, value in enumerate(ijson.items(file, "item", use_float=True), start=1):
                yield RawRow(number, _columns(value))
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise DataError(f"not a JSON list ({error})", path=path) from error


def _csv(path: Path, select: Select) -> Iterator[RawRow]:
    # The limit is of the process; one cell of a longer text is no reason to refuse a file.
    csv.field_size_limit(MAX_LINE_BYTES)
    with _opened(path) as raw:
        lines = (
            line.decode("utf-8-sig" if number == 0 else "utf-8") for number, line in enumerate(raw)
        )
        yield from _csv_rows(path, lines, select)


def _csv_rows(path: Path, lines: Iterator[str], select: Select) -> Iterator[RawRow]:
    header = next(lines, "")
    # Spreadsheets of many countries separate by semicolons.
    reader = csv.reader(chain([header], lines), delimiter=max(",;\t", key=header.count))
    try:
        names = next(reader, [])
        if not any(names):
            raise DataError("the first line has no names of columns", path=path, line=1)
        if twice := [name for name in names if names.count(name) > 1]:
            raise DataError(f"two columns are called {twice[0]!r}; rename one", path=path, line=1)
        select(names)
        for number, cells in enumerate(filter(None, reader), start=1):
            problem = ""
            if len(cells) != len(names):
                problem = f"found {len(cells)} cells, and the first line has {len(names)}"
            yield RawRow(number, dict(zip(names, cells, strict=False)), problem)
    except csv.Error as error:
        raise DataError(f"not CSV ({error})", path=path, line=reader.line_num + 1) from error


def _parquet(path: Path, select: Select) -> Iterator[RawRow]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        # Buffered, pages are decoded as they are needed: a row group may be as large as the file.
        with ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            columns = select(file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False):
                for values in batch.to_pylist():
                    number += 1
                    yield RawRow(number, values)
    except ArrowException as error:
        raise DataError(f"not Parquet, or broken ({error})", path=path) from error


_READERS: Mapping[str, Callable[[Path, Select], Iterator[RawRow]]] = {
    ".jsonl": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
}


def _hub_rows(source: str, select: Select) -> Iterator[RawRow]:
    try:
        data = _split(source)
        names = data.column_names
        columns = None if names is None else select(names)
        if columns is not None:
            data = data.select_columns(columns)
        if data.features is not None:
            # Videos and images stay what the file holds; only their paths are of use here.
            data = data.decode(False)
        for number, values in enumerate(data, start=1):
            yield RawRow(number, values)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{source} cannot be read: {error}") from error


def _split(source: str) -> IterableDataset:
    from datasets import load_dataset

    text = source.removeprefix(HUB)
    if text and Path(text).is_dir():
        parts: dict[str, str | None] = {"path": text}
    elif match := _HUB_FORM.fullmatch(text):
        parts = match.groupdict()
    else:
        raise ConfigError(f"expected hf:OWNER/NAME[@REVISION][:[CONFIG/]SPLIT], got {source!r}")
    config, revision, split = (parts.get(name) for name in ("config", "revision", "split"))
    splits = load_dataset(parts["path"], config, revision=revision, streaming=True)
    if split is None and len(splits) == 1:
        split = next(iter(splits))
    if split is None:
        raise ConfigError(
            f"{source}: expected a split, such as {source}:{next(iter(splits))}; there are "
            f"{', '.join(splits)}"
        )
    if split not in splits:
        raise UnknownNameError(f"split of {parts['path']}", split, splits)
    return splits[split]
