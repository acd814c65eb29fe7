"""Scores from a file, for judges that are not written in Python."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO, cast

from videojudge_bench._util.hashing import file_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench._util.tabular import as_written
from videojudge_bench.errors import ConfigError, DataError, UnknownNameError
from videojudge_bench.items import Item
from videojudge_bench.judge import Judge
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Rating, Unparsed

ID_COLUMN = "id"


class Precomputed(Judge):
    """Reads the score of each item from a table.

    On pairs the two responses are looked up as `<pair id>#first` and `<pair id>#second`.

    Args:
        scores: a CSV file, or a `.csv.gz`, with a column `id` (`videojudge data ids NAME` writes
            them) and a column of numbers. An empty cell is a missing score.
        column: the column of numbers; higher is better.
        on_scale: whether the numbers are ratings from 1 to 5; otherwise they only rank.
        overlap: gold sets whose videos or texts the scores were trained on, with + between; on
            these the row is not ranked.

    Raises:
        ConfigError: when there is no such file, no such column, or no such gold set.
        DataError: when the file is no CSV, has no column `id`, names an item twice, or holds
            something that is not a finite number (with `on_scale`: one from 1 to 5).
    """

    scale: RatingScale | None = None
    unsigned = frozenset({"overlap"})

    def __init__(
        self, scores: str, column: str = "score", on_scale: bool = False, overlap: str = ""
    ) -> None:
        from videojudge_bench import goldsets  # `judges list` need not wait for pydantic

        if on_scale:
            self.scale = RatingScale(1, 5)
        self._overlap = overlap
        for name in overlap.split("+") if overlap else ():
            goldsets.info(name)
        self._path = Path(scores).expanduser()
        if not self._path.is_file():
            raise ConfigError(
                f"scores={scores!r}: there is no such file. Give the path of a CSV file with the "
                f"columns {ID_COLUMN!r} and {column!r}."
            )
        self._scores = _read_scores(self._path, column, self.scale)

    def rate(self, item: Item) -> Rating | Unparsed:
        """Return the file's number for the item; `Unparsed` when it has none."""
        score = self._scores.get(item.id)
        return Unparsed(f"no score in {self._path.name}") if score is None else Rating(score)

    def settings(self) -> Mapping[str, Scalar]:
        """Return the hash of the file's bytes in the place of its path, its name, the overlap."""
        return {
            "scores": f"sha256:{file_hash(self._path)[:12]}",
            "file": self._path.name,
            **({"overlap": self._overlap} if self._overlap else {}),
        }


def _read_scores(path: Path, column: str, scale: RatingScale | None) -> dict[str, float | None]:
    scores: dict[str, float | None] = {}
    lines: dict[str, int] = {}
    rows = _rows(path)
    _, header = next(rows, (1, []))
    id_at, score_at = _columns(path, header, column)
    for line, row in rows:
        if len(row) != len(header):
            problem = f"{len(row)} cells, but the header has {len(header)}"
            raise DataError(problem, path=path, line=line)
        item_id = as_written(row[id_at].strip())
        if not item_id:
            raise DataError("the id is empty", path=path, line=line, field=ID_COLUMN)
        if item_id in lines:
            problem = f"the id {item_id!r} was on line {lines[item_id]} before; give each id once"
            raise DataError(problem, path=path, line=line, field=ID_COLUMN)
        lines[item_id] = line
        try:
            scores[item_id] = _number(row[score_at], scale)
        except ValueError as error:
            raise DataError(str(error), path=path, line=line, field=column) from error
    return scores


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the number of the line it begins on."""
    try:
        with _open_text(path) as file:
            reader = csv.reader(file, strict=True)
            line = 1
            for row in reader:
                if row:
                    yield line, row
                line = reader.line_num + 1
    except (csv.Error, UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"not a CSV file in UTF-8 that can be read: {error}", path=path) from error


def _open_text(path: Path) -> TextIO:
    # Spreadsheets write a byte order mark, which would become part of the first column's name.
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _columns(path: Path, header: list[str], column: str) -> tuple[int, int]:
    """Return where the ids and the numbers are in a row."""
    names = [name.strip() for name in header]
    if ID_COLUMN not in names:
        listed = ", ".join(names) or "none"
        problem = f"no column {ID_COLUMN!r}; columns found: {listed}. It names the items."
        raise DataError(problem, path=path, line=1)
    if column not in names:
        raise UnknownNameError("column", column, names, hint=f"Set column=NAME. File: {path}.")
    for name in (ID_COLUMN, column):
        if names.count(name) > 1:
            raise DataError(f"{names.count(name)} columns are called {name!r}", path=path, line=1)
    return names.index(ID_COLUMN), names.index(column)


def _number(cell: str, scale: RatingScale | None) -> float | None:
    """Return the number of a cell, None when it is empty; ValueError says what is wrong with it."""
    text = cell.strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number; leave the cell empty for no score")
    if scale is not None and value not in scale:
        raise ValueError(f"{text} is outside the scale {scale}; scores off it need on_scale=false")
    return value
