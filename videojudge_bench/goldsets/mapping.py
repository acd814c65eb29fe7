"""Rows of a foreign source made into rows of our schema, by a mapping."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError

from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets import map_file, schema
from videojudge_bench.goldsets.expressions import EVALUATION_ERRORS, Row
from videojudge_bench.goldsets.map_file import MapFile, Reader
from videojudge_bench.goldsets.map_values import (
    BadRowError,
    members_of,
    number_of,
    text_of,
    texts_of,
)
from videojudge_bench.goldsets.sources import OURS, VALUE, RawRow
from videojudge_bench.scale import RatingScale

_TEXTS = (
    *("id", "video_id", "video", "instruction", "response", "system"),
    *("response_a", "response_b", "description"),
)
_MAY_BE_EMPTY = ("response", "response_a", "response_b")
_MAY_LACK = ("id", "video", "system", "description")


def load(name: str, scale: RatingScale | None = None) -> RowMap:
    """Return a mapping of this package by name, or one in a file; raises as `map_file.load`.

    `scale` replaces that of the mapping; without either it is 1-5.
    """
    path, file = map_file.load(name)
    of_file = file.scale if scale is None else (scale, scale)
    return RowMap(str(path), file, of_file or (RatingScale(), RatingScale()))


@dataclass(frozen=True)
class RowMap:
    """A mapping that was read from a file.

    Attributes:
        name: of the file, for messages.
        scales: of the ratings in the source, and in the rows.
    """

    name: str
    file: MapFile
    scales: tuple[RatingScale, RatingScale]

    @cached_property
    def readers(self) -> dict[str, Reader]:
        """Readers of single fields, those of labels and criteria as `labels.topic`."""
        readers: dict[str, Reader] = {}
        for name in MapFile.model_fields:
            value = getattr(self.file, name)
            if isinstance(value, Reader):
                readers[name] = value
            elif name in ("labels", "criteria"):
                readers |= {f"{name}.{key}": reader for key, reader in value.items()}
        readers |= {f"drop[{n}]": reader for n, reader in enumerate(self.file.drop)}
        return readers

    def select(self, names: Collection[str]) -> list[str] | None:
        """Return the columns that are read of a table; None: all. Raises as `check_columns`."""
        if self.file.explode:
            return None  # the columns of members are known only with the rows
        self.check_columns(names)
        kept: set[str] = set()
        for reader in self.readers.values():
            for each in reader.expressions:
                columns = each.columns({*names, *OURS})
                if columns is None:
                    return None
                kept |= columns
        return [name for name in names if name in kept] or None

    def check_columns(self, names: Collection[str]) -> None:
        """Raise ConfigError with every field that reads a column which is not among these."""
        known = {*names, *OURS}
        problems = [
            f"{field}: {problem}"
            for field, reader in [*self.readers.items(), *self._explodes()]
            for each in reader.expressions
            if (problem := each.problem(known))
        ]
        if problems:
            raise ConfigError.all_of(self.name, problems)

    def _explodes(self) -> list[tuple[str, Reader]]:
        return [(f"explode.{name}", reader) for name, reader in self.file.explode.items()]

    def parts(self, raw: RawRow) -> Iterator[tuple[str, Row]]:
        """Yield the rows that `explode` makes of one; raises BadRowError where it cannot."""
        parts: Iterator[tuple[str, Row]] = iter([(raw.place, raw.values)])
        for name, reader in self.file.explode.items():
            parts = _exploded(parts, name, reader)
        return parts

    def is_dropped(self, row: Row) -> bool:
        """Return whether an expression of `drop` is true: not null, empty or false."""
        return any(
            value is not None and value is not False and value not in ("", [], {})
            for value in (
                _read(self.readers, f"drop[{n}]", row) for n in range(len(self.file.drop))
            )
        )

    def annotator(self, row: Row) -> str | None:
        """Return the name of a row's annotator, None where no column names them."""
        if self.file.annotator is None:
            return None
        name = text_of("annotator", _read(self.readers, "annotator", row))
        if not name:
            raise BadRowError("annotator", "nothing there")
        return name

    def row(self, row: Row) -> schema.Row:
        """Return a row of our schema; raises BadRowError with the field and the problem."""
        fields = {**self._texts(row), **self._gold(row)}
        try:
            return schema.ROW_TYPES[self.file.shape].model_validate_json(json.dumps(fields))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            problem = first["msg"].removeprefix("Value error, ")
            raise BadRowError(field, problem, first["input"]) from error

    def _texts(self, row: Row) -> dict[str, object]:
        fields: dict[str, object] = {}
        for name in _TEXTS:
            if name in self.readers:
                text = text_of(name, _read(self.readers, name, row))
                if text or (text is not None and name in _MAY_BE_EMPTY):
                    fields[name] = text
                elif name not in _MAY_LACK:
                    raise BadRowError(name, "nothing there")
        if "video_id" not in self.readers:
            path = str(fields.get("video", ""))
            fields["video_id"] = path.removesuffix(Path(path).suffix)
        if "references" in self.readers:
            texts = texts_of("references", _read(self.readers, "references", row))
            fields["references"] = [text for text in texts if text]
        labels = {
            key: value
            for key in self.file.labels
            if (value := _label(f"labels.{key}", self.readers, row))
        }
        return {**fields, "labels": labels}

    def _gold(self, row: Row) -> dict[str, object]:
        if self.file.shape == "pairs":
            texts = texts_of("preferences", _read(self.readers, "preferences", row))
            return {"preferences": [text for text in texts if text]}
        if self.file.shape == "options":
            return _options(self.readers, row)
        ratings = [_rescaled(number, self.scales) for number in self._numbers("ratings", row)]
        criteria = {key: self._numbers(f"criteria.{key}", row) for key in self.file.criteria}
        if self.file.average:
            ratings = [fmean(ratings)]
            criteria = {key: [fmean(numbers)] for key, numbers in criteria.items()}
        return {"ratings": ratings, "criteria": criteria}

    def _numbers(self, field: str, row: Row) -> list[float]:
        values = members_of(_read(self.readers, field, row))
        given = [number for value in values if (number := number_of(field, value)) is not None]
        if not given:
            raise BadRowError(field, "nothing there")
        return given


def _rescaled(number: float, scales: tuple[RatingScale, RatingScale]) -> float:
    source, target = scales
    if number not in source:
        problem = f"outside the scale {source}; correct it, or give the `scale` that was used"
        raise BadRowError("ratings", problem, number)
    if source == target:
        return number
    share = (number - source.low) / (source.high - source.low)
    return round(target.low + share * (target.high - target.low), 9)


def _read(readers: Mapping[str, Reader], field: str, row: Row) -> object:
    try:
        return readers[field].read(row)
    except BadRowError as error:
        error.field = field
        raise
    except EVALUATION_ERRORS as error:
        problem = f"the expression fails: {str(error).splitlines()[0]}"
        raise BadRowError(field, problem) from error


def _label(field: str, readers: Mapping[str, Reader], row: Row) -> str | None:
    value = _read(readers, field, row)
    return str(value).lower() if isinstance(value, bool) else text_of(field, value)


def _options(readers: Mapping[str, Reader], row: Row) -> dict[str, object]:
    options = texts_of("options", _read(readers, "options", row))
    if "answer" not in readers:
        given = text_of("correct", _read(readers, "correct", row)) or ""
        letter = len(given) == 1 and given.isascii() and given.isalpha()
        if not letter and not given.isdecimal():
            raise BadRowError("correct", "expected an index from 0, or a letter", given)
        return {"options": options, "correct": ord(given.upper()) - 65 if letter else int(given)}
    answer = text_of("answer", _read(readers, "answer", row))
    if answer not in options:
        raise BadRowError("answer", "expected one of the options", answer)
    return {"options": options, "correct": options.index(answer)}


def _exploded(
    parts: Iterator[tuple[str, Row]], name: str, reader: Reader
) -> Iterator[tuple[str, Row]]:
    for place, row in parts:
        field = f"explode.{name}"
        value = _read({field: reader}, field, row)
        if isinstance(value, dict):
            members: Sequence[tuple[object, object]] = [
                (key, member) for key, member in value.items() if key not in OURS
            ]
        elif isinstance(value, list):
            members = [*enumerate(value)]
        else:
            raise BadRowError(field, "expected a list or an object", value)
        rest = _rest(row, reader)
        for key, member in members:
            own = member if isinstance(member, dict) else {}
            yield f"{place}[{key}]", {**rest, **own, VALUE: member, name: key}


def _rest(row: Row, reader: Reader) -> Row:
    """Return the columns of a row that its parts keep: not the one that is taken apart."""
    texts = {each.text for each in reader.expressions}
    return {
        name: row[name] for name in row if name not in texts and (name in OURS or "@" not in texts)
    }
