"""CSV sheets that annotators fill in: written, and read again as spreadsheets save them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from videojudge_bench._util import tabular
from videojudge_bench._util.files import advice_on, write_whole
from videojudge_bench._util.hashing import content_hash
from videojudge_bench.errors import ConfigError, DataError

_DELIMITERS = ",;\t"  # a spreadsheet saves with that of its user's country
_MARK = "\ufeff"  # spreadsheets recognise UTF-8 by it


def write_sheet(sheet: Path, text: str, key: Path, key_text: str, *, overwrite: bool) -> None:
    """Write a sheet, and the key that its annotators must not see; see `write_new`."""
    if sheet.resolve() == key.resolve():
        raise ConfigError(f"sheet and key are both {key}; give the key another name")
    write_new({sheet: _MARK + text, key: key_text}, overwrite=overwrite)


def write_new(texts: Mapping[Path, str], *, overwrite: bool) -> None:
    """Write new files; a sheet that annotators have filled in is not replaced by accident.

    Raises:
        ConfigError: one of them exists with other content, and `overwrite` is not given.
        DataError: a file cannot be written.
    """
    for path, text in texts.items():
        if not overwrite and path.exists() and path.read_bytes() != text.encode():
            raise ConfigError(f"{path} is there; give another name, or --overwrite to replace it")
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode())  # lines end as they do in the text
        except OSError as error:
            problem = f"cannot be written ({error.strerror}). {advice_on(error)}".rstrip(". ")
            raise DataError(problem, path=path) from error


def read_sheet(sheet: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line on which each row begins, and the row; empty lines are skipped.

    Each of `columns` must be there once, in any order; there may be others.

    Raises:
        DataError: the file cannot be read, is no CSV, or lacks a column.
    """
    try:
        text = sheet.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error}); save it as CSV, UTF-8", path=sheet) from error
    head = text.partition("\n")[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=head.count), strict=True
    )
    line = 1
    try:
        names = [name.strip() for name in next(reader, [])]
        for name in columns:
            if names.count(name) != 1:
                header = ", ".join(filter(None, names)) or "nothing"
                problem = f"the column must be there once; the first line has {header}"
                raise DataError(problem, path=sheet, line=1, field=name)
        line = reader.line_num + 1
        for cells in reader:
            if any(cells):
                padded = [*cells, *[""] * (len(names) - len(cells))]
                texts = map(tabular.as_written, padded)
                yield line, dict(zip(names, texts, strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        problem = f"not CSV ({error}); save the sheet as CSV"
        raise DataError(problem, path=sheet, line=line) from error


def filled_rows(
    sheet: Path, columns: Sequence[str], texts: Sequence[str], key: Mapping[str, str]
) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Yield line, id and cells of each row of a filled sheet; see `read_sheet`.

    Rows may have been sorted or removed since the sheet was written.

    Args:
        sheet: a CSV file.
        columns: of the sheet, `id` among them.
        texts: the columns that annotators read.
        key: by id, the `texts_hash` of the texts in these columns.

    Raises:
        DataError: as `read_sheet`; an id is unknown or stands there twice; or a text is not the one
            that was written under its id. With file, line and field.
    """
    seen: dict[str, int] = {}
    for line, row in read_sheet(sheet, columns):
        row_id, field, problem = row["id"].strip(), "id", ""
        if row_id not in key:
            ids = list(key)
            known = f"{ids[0]} to {ids[-1]}" if len(ids) > 1 else ids[0]
            problem = f"unknown id {row_id!r}; the key knows {known}"
        elif row_id in seen:
            problem = f"{row_id!r} stands in line {seen[row_id]} too; remove one of the two"
        elif texts_hash([row[name] for name in texts]) != key[row_id]:
            field = texts[0]
            problem = (
                f"the texts of row {row_id!r} are not those that the key was written with: it "
                "belongs to another sheet, or a text was edited"
            )
        if problem:
            raise DataError(problem, path=sheet, line=line, field=field)
        seen[row_id] = line
        yield line, row_id, row


def texts_hash(texts: Sequence[str]) -> str:
    """Return a hash that survives a spreadsheet: line ends, space at the ends, a text's mark."""
    return content_hash([" ".join(text.lstrip("'").split()) for text in texts])[:16]
