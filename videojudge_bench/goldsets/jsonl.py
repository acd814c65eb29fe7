"""Reader of JSON Lines, validated line by line; errors name file, line and field."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from videojudge_bench._util.files import packaged
from videojudge_bench.errors import ConfigError, DataError, NoDataError
from videojudge_bench.goldsets.base import GoldSetInfo

VIDEO_EXTENSIONS = ("mp4", "webm", "mkv", "avi", "mov", "m4v", "flv")
"""Kinds of video file, in order of preference where a video has several files."""

MAX_LINE_BYTES = 1 << 20
"""A longer line is refused: a row has a few kilobytes, so such a file is no JSON lines."""

_ONE_OBJECT = "the file needs one JSON object per line"

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)
"""The configuration of every row type: no unknown field, and "5" is no number."""

RowT = TypeVar("RowT", bound=BaseModel)
ContentT = TypeVar("ContentT")


def packaged_file(info: GoldSetInfo, file_name: str) -> Path:
    """Return the path of a data file of the package; raises NoDataError if it is missing."""
    path = packaged("tasks.data") / file_name
    if not path.is_file():
        raise NoDataError(info.name, info.how_to_get)
    return path


def read_rows(path: Path, row_type: type[RowT], *, unique: Sequence[str]) -> Iterator[RowT]:
    """Yield rows as `numbered_rows`, without the numbers."""
    return (row for _, row in numbered_rows(path, row_type, unique=unique))


def numbered_rows(
    path: Path,
    row_type: type[RowT],
    *,
    unique: Sequence[str],
    field: str | None = None,
    rule: str | None = None,
    most_bytes: int = MAX_LINE_BYTES,
) -> Iterator[tuple[int, RowT]]:
    """Yield line number (from 1) and row of a JSON Lines file (`.gz`: compressed), in its order.

    The file is read as a stream: one line is in memory at a time, and a hash of every earlier one.

    Args:
        path: the file.
        row_type: of the rows; its configuration is `STRICT`.
        unique: attributes in all of which no two rows may agree; empty: rows may be repeated.
        field: the field that the error of a repeated row names; by default the last of `unique`.
        rule: the requirement in that error; by default that the fields `unique` differ.
        most_bytes: of a line.

    Raises:
        DataError: with file, line (from 1) and field, when the file cannot be read, is empty, cut
            off, not UTF-8 or begins with a byte order mark, or when a row is not JSON, lacks a
            field, has an unknown one, has a value that is not allowed, or repeats an earlier row.
    """
    # Hashes, not the keys themselves: a file may have millions of rows.
    seen: set[int] = set()
    for number, line in _lines(path, most_bytes):
        row = _parse(line, row_type, path, number)
        if not unique:
            yield number, row
            continue
        key = _key(row, unique)
        if (
            hash(key) in seen
            and (earlier := _line_of(key, path, row_type, unique, most_bytes)) < number
        ):
            rule = rule or f"no two lines may have the same {' and '.join(unique)}, remove one"
            raise DataError(
                f"duplicate of line {earlier} ({', '.join(map(repr, key))}); {rule}",
                path=path,
                line=number,
                field=field or unique[-1],
            )
        seen.add(hash(key))
        yield number, row


def _key(row: BaseModel, unique: Sequence[str]) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in unique)


def _line_of(
    key: tuple[object, ...],
    path: Path,
    row_type: type[RowT],
    unique: Sequence[str],
    most_bytes: int,
) -> int:
    """Return the first line with this key; two keys may share their hash, so it is searched."""
    return next(
        number
        for number, line in _lines(path, most_bytes)
        if _key(_parse(line, row_type, path, number), unique) == key
    )


def first_line(path: Path) -> str:
    """Return the first line of a JSON Lines file; raises DataError as `numbered_rows`."""
    return next(_lines(path, MAX_LINE_BYTES))[1]


def read_object(path: Path, object_type: type[RowT]) -> RowT:
    """Return the one JSON object of a file, checked; raises as `read_json`."""
    return read_json(path, TypeAdapter(object_type))


def read_json(path: Path, content: TypeAdapter[ContentT]) -> ContentT:
    """Return the content of a JSON file, checked; raises DataError with file and field."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from error
    _refuse_mark(raw, path)
    try:
        return content.validate_json(raw)
    except ValidationError as error:
        raise data_error(error, path, None) from error


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a gzip file whose bytes depend on `lines` alone (no name, no time)."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file,
    ):
        file.writelines(f"{line}\n".encode() for line in lines)


def find_videos(folder: Path) -> dict[str, Path]:
    """Return the videos directly in a folder as `<video id>.<ext>`, by video id; links count.

    Of several files of one video the first in the order of `VIDEO_EXTENSIONS` is taken. Raises
    ConfigError where there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"the video folder {str(folder)!r} does not exist or is no folder; give the folder in "
            f"which the files <video id>.<ext> lie (ext: {', '.join(VIDEO_EXTENSIONS)})"
        )
    ranks = {f".{extension}": rank for rank, extension in enumerate(VIDEO_EXTENSIONS)}
    paths = [p for p in folder.iterdir() if p.suffix.lower() in ranks and p.is_file()]
    paths.sort(key=lambda p: (p.stem, ranks[p.suffix.lower()], p.name), reverse=True)
    return {path.stem: path for path in paths}


def _lines(path: Path, most_bytes: int) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            while raw := file.readline(most_bytes + 1):
                number += 1
                if len(raw) > most_bytes:
                    problem = f"longer than {most_bytes} bytes; {_ONE_OBJECT}"
                    raise DataError(problem, path=path, line=number)
                yield number, _decode(raw, path, number)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"the compressed data end or break after this line ({error}); get the file again",
            path=path,
            line=number,
        ) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from error
    if number == 0:
        raise DataError("the file is empty; it needs one JSON object per line", path=path)


def _decode(raw: bytes, path: Path, number: int) -> str:
    if number == 1:
        _refuse_mark(raw, path)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        at = error.start
        problem = f"byte {at + 1} of the line (0x{raw[at]:02x}) is not UTF-8; save it as UTF-8"
        raise DataError(problem, path=path, line=number) from error


def _refuse_mark(raw: bytes, path: Path) -> None:
    if raw.startswith(b"\xef\xbb\xbf"):
        problem = "begins with a byte order mark; save it as UTF-8 without one"
        raise DataError(problem, path=path, line=1)


def data_error(
    error: ValidationError,
    path: Path,
    line: int | None,
    names: Mapping[str, str] = MappingProxyType({}),
    *,
    within: str = "",
    known: Iterable[str] = (),
) -> DataError:
    """Return an error of pydantic as an error with file, line and field.

    Args:
        error: of pydantic.
        path: the file.
        line: of the row, from 1.
        names: the file's names for fields that have other names in our types.
        known: the fields of a row, to suggest one for a misspelt field.
        within: the place of the row in a file that is not read by lines; put before the field.
    """
    errors = error.errors(include_url=False)
    # A misspelt field is both unknown and missing; the unknown one names what is in the file.
    near = {place: name for place, e in enumerate(errors) if (name := _nearest(e, [*known]))}
    if len({*near.values()}) < len(near):
        near = {}  # two for one: the row is of another kind
    place = next(iter(near), 0)
    first, more = errors[place], len(errors) - 1
    problem = _problem(first) + (f". Did you mean {near[place]!r}?" if near else "")
    if more:
        problem += f" (and {more} more in this {'line' if line is not None else 'file'})"
    place_in_row = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"])
    name = place_in_row.removeprefix(".")
    field = ".".join(filter(None, (within, names.get(name, name)))) or None
    return DataError(problem, path=path, line=line, field=field)


def _parse(line: str, row_type: type[RowT], path: Path, number: int | None) -> RowT:
    if number is not None and not line.strip():
        raise DataError("an empty line; remove it", path=path, line=number)
    try:
        return row_type.model_validate_json(line)
    except ValidationError as error:
        raise data_error(error, path, number, known=row_type.model_fields) from error


def _nearest(error: ErrorDetails, known: Sequence[str]) -> str:
    """Return the field that an unknown one is a misspelling of; empty where there is none."""
    if error["type"] != "extra_forbidden" or len(error["loc"]) != 1:
        return ""
    return next(iter(get_close_matches(str(error["loc"][0]), known, n=1, cutoff=0.7)), "")


def _problem(error: ErrorDetails) -> str:
    if error["type"] == "json_invalid":
        return f"not a JSON object ({error['msg']})"
    if error["type"] == "missing":
        return "the field is missing"
    if error["type"] == "extra_forbidden":
        return "the field is unknown; remove it or correct its name"
    got = repr(error["input"])
    got = got if len(got) <= 60 else f"{got[:57]}..."
    return f"{error['msg'].removeprefix('Value error, ')}; found {got}"
