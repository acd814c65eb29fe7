"""The JSON Lines schema of ratings, options and pairs with gold.

`videojudge data add` and `videojudge data prepare` read it; samples and prepared sets are kept in
it. A file holds rows of one kind, told apart by their fields.

All rows: `video_id`, `instruction`; optional: `id`, `video` (the file's path inside the folder of
videos; `<video_id>.<extension>` by default), `references` (list), `description`, `subtitles` (list
of `{"start_seconds", "end_seconds", "text"}`), `labels` (texts by name, to group and filter by).

- ratings: `response`, `ratings` (one number a rater), optional `system` (who answered) and
  `criteria` (further ratings by criterion: `{"accuracy": [4, 5]}`; yes is 1, no is 0).
- options: `options` (two or more), `correct` (index of the correct one, from 0).
- pairs: `response_a`, `response_b`, `preferences` (`a`, `b` or `tie`, one a rater).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Literal, TypedDict, Union

from pydantic import BaseModel, Field, FiniteFloat, ValidationInfo, field_validator

from videojudge_bench._util.hashing import content_hash
from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import jsonl
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo, Shape
from videojudge_bench.items import (
    Example,
    Item,
    OptionGold,
    Pair,
    PreferenceGold,
    RatingGold,
    Subtitle,
    opaque_id,
)
from videojudge_bench.scale import RatingScale

Text = Annotated[str, Field(min_length=1)]

_UNIQUE = (
    "no two lines may have the same id, or without an id the same video_id, instruction and "
    "answers (in ratings also system); remove one, or give each an id"
)

_MAX_NAME_BYTES = 255
"""The limit of file systems."""

OUR_LABELS = frozenset({"row", "option"})
"""Labels that rows get here: their own id, and the index of an option."""

_P_A = {"a": 1.0, "tie": 0.5, "b": 0.0}


class SubtitleRow(BaseModel):
    """Speech in a part of a video; times in seconds from the start of the file."""

    model_config = jsonl.STRICT

    start_seconds: FiniteFloat
    end_seconds: FiniteFloat
    text: str


class BaseRow(BaseModel, ABC):
    """Fields that rows of all kinds have."""

    model_config = jsonl.STRICT

    id: Text | None = None
    video_id: Text
    video: Text | None = None
    instruction: Text
    references: tuple[Text, ...] = ()
    description: Text | None = None
    subtitles: tuple[SubtitleRow, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("labels")
    @classmethod
    def _not_our_names(cls, labels: dict[str, str]) -> dict[str, str]:
        if taken := OUR_LABELS & labels.keys():
            raise ValueError(f"the label {min(taken)!r} is one of ours; give it another name")
        return labels

    @field_validator("video")
    @classmethod
    def _inside_the_folder(cls, path: str | None) -> str | None:
        return path if path is None else inside_its_folder(path)

    @property
    def identity(self) -> str:
        """Key that must be unique in a file: the id, or the judged content without one."""
        return self.id or content_hash([self.video_id, self.instruction, *self._judged()])[:16]

    @abstractmethod
    def _judged(self) -> list[str]:
        """Return the answers in a canonical order, and their systems; never gold."""


class RatingRow(BaseRow):
    """One response with its ratings."""

    response: str
    ratings: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]
    system: Text | None = None
    criteria: dict[Text, Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )

    def _judged(self) -> list[str]:
        return [self.response, self.system or ""]

    def examples(self, cache: Subtitles) -> Iterator[Example]:
        """Yield the one example."""
        item = Item(
            id=opaque_id(self.video_id, self.instruction, self.response, self.identity),
            response=self.response,
            **shared_parts(self, cache),
        )
        yield Example(
            item,
            RatingGold(self.ratings, self.criteria),
            unit=f"{self.video_id}/{content_hash(self.instruction)[:10]}",
            system=self.system,
            labels=_labels(self),
        )


class OptionRow(BaseRow):
    """One question with its options."""

    options: Annotated[tuple[Text, ...], Field(min_length=2)]
    correct: Annotated[int, Field(ge=0)]

    @field_validator("correct")
    @classmethod
    def _is_one_option(cls, correct: int, info: ValidationInfo) -> int:
        options: tuple[str, ...] = info.data.get("options", ())  # none where they are invalid
        if options and correct >= len(options):
            allowed = f"0 to {len(options) - 1} are allowed"
            raise ValueError(f"there are {len(options)} options: {allowed}")
        if options and options.count(options[correct]) > 1:
            raise ValueError("the correct option stands there twice; only one may be correct")
        return correct

    def _judged(self) -> list[str]:
        return sorted(self.options)

    def examples(self, cache: Subtitles) -> Iterator[Example]:
        """Yield one example per option, ordered by item id, which hides the order."""
        unit = f"{self.video_id}/{self.identity}"
        examples: list[Example] = []
        for index, text in enumerate(self.options):
            earlier = self.options[:index].count(text)
            item = Item(
                id=opaque_id(self.video_id, self.identity, text, str(earlier)),
                response=text,
                **shared_parts(self, cache),
            )
            labels = {**_labels(self), "option": str(index)}
            gold = OptionGold(index == self.correct)
            examples.append(Example(item, gold, unit=unit, labels=labels))
        yield from sorted(examples, key=lambda example: example.item.id)


class PairRow(BaseRow):
    """Two responses with the preferences of their raters."""

    response_a: str
    response_b: str
    preferences: Annotated[tuple[Literal["a", "b", "tie"], ...], Field(min_length=1)]

    @field_validator("response_b")
    @classmethod
    def _is_another(cls, response: str, info: ValidationInfo) -> str:
        if response == info.data.get("response_a"):
            raise ValueError("response_a and response_b are the same text")
        return response

    def _judged(self) -> list[str]:
        return sorted((self.response_a, self.response_b))

    def examples(self, cache: Subtitles) -> Iterator[Example]:
        """Yield the two orders. Which response is shown first in `/ab` says nothing about gold."""
        p_first = sum(_P_A[preference] for preference in self.preferences) / len(self.preferences)
        first, second = sorted(
            (self.response_a, self.response_b), key=lambda text: content_hash([self.video_id, text])
        )
        if first != self.response_a:
            p_first = 1 - p_first
        name = opaque_id(self.video_id, self.instruction, first, second, self.identity)
        orders = (("ab", first, second, p_first), ("ba", second, first, 1 - p_first))
        for order, one, two, gold in orders:
            item = Pair(id=f"{name}/{order}", first=one, second=two, **shared_parts(self, cache))
            yield Example(item, PreferenceGold(gold), unit=name, labels=_labels(self))


Row = Union[RatingRow, OptionRow, PairRow]
Subtitles = dict[tuple[SubtitleRow, ...], tuple[Subtitle, ...]]
"""Subtitles by their rows: the questions of one video share them in memory."""

ROW_TYPES: dict[Shape, type[Row]] = {"ratings": RatingRow, "options": OptionRow, "pairs": PairRow}
_FIELD_OF_SHAPE = {"ratings": "response", "options": "options", "pairs": "response_a"}
_NEEDED = {
    "ratings": "video_id, instruction, response and ratings",
    "options": "video_id, instruction, options and correct",
    "pairs": "video_id, instruction, response_a, response_b and preferences",
}


class Shared(TypedDict):
    """Fields that an item or a pair takes from its row unchanged."""

    video_id: str
    instruction: str
    references: tuple[str, ...]
    description: str | None
    subtitles: tuple[Subtitle, ...]


def shape_of(path: Path) -> Shape:
    """Return the kind of the rows of a file by the fields of the first; raises DataError."""
    line = jsonl.first_line(path)
    try:
        first = json.loads(line)
    except (ValueError, RecursionError) as error:  # the last: lists too deep
        raise DataError(f"not a JSON object ({error})", path=path, line=1) from error
    names = list(first) if isinstance(first, dict) else []
    for shape, field in _FIELD_OF_SHAPE.items():
        if field in names:
            return shape  # type: ignore[return-value]
    raise DataError(
        f"cannot tell what the rows are: found the fields {', '.join(names) or 'of no object'}; "
        + "; ".join(f"{shape} need {fields}" for shape, fields in _NEEDED.items()),
        path=path,
        line=1,
    )


def checked_rows(path: Path, shape: Shape, scale: RatingScale) -> Iterator[Row]:
    """Yield the rows of a file (`.gz`: compressed), one in memory at a time.

    Raises:
        DataError: with file, line and field, when a row is malformed, repeats an earlier one, has a
            rating off the scale or another number of raters than the first, when only some rows
            name a system, or when two name different files of one video.
    """
    first: Row | None = None
    files: dict[str, str] = {}
    for line, row in jsonl.numbered_rows(
        path, ROW_TYPES[shape], unique=("identity",), field="id", rule=_UNIQUE
    ):
        first = first or row
        fault = problem_among(row, first, scale) or other_file(row, files)
        if fault is not None:
            field, problem = fault
            raise DataError(problem, path=path, line=line, field=field)
        yield row


def gold_set(rows: Iterable[Row], info: GoldSetInfo, videos: Path | None) -> GoldSet:
    """Return the gold set of rows; raises DataError as `GoldSet` and `other_file`."""
    cache: Subtitles = {}
    examples: list[Example] = []
    files: dict[str, str] = {}
    for row in rows:
        examples += row.examples(cache)
        if (problem := other_file(row, files)) is not None:
            raise DataError(problem[1], path=info.task, field=problem[0])
    return GoldSet(info, tuple(examples), videos, files)


def inside_its_folder(path: str) -> str:
    """Return a path that, joined to a folder, names a file in it; else raise ValueError."""
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    leaves = posix.is_absolute() or windows.drive or windows.root or ".." in posix.parts
    if leaves or "\\" in path or "\0" in path:
        raise ValueError(
            "a path inside its folder is needed, with forward slashes, not absolute and without .."
        )
    if any(len(part.encode()) > _MAX_NAME_BYTES for part in posix.parts):
        raise ValueError(f"a name in the path is longer than {_MAX_NAME_BYTES} bytes")
    return path


def other_file(row: BaseRow, files: dict[str, str]) -> tuple[str, str] | None:
    """Return the field `video` and the problem where it differs from that of an earlier row."""
    if row.video is None or files.setdefault(row.video_id, row.video) == row.video:
        return None
    return "video", (
        f"video {row.video_id!r} is {files[row.video_id]!r} in one row and {row.video!r} in "
        "another; a video has one file"
    )


def off_scale(ratings: Sequence[float], scale: RatingScale, used: str) -> str:
    """Return the problem of ratings off a scale; `used` says which scale to give. Empty: none."""
    off = ", ".join(f"{rating:g}" for rating in ratings if rating not in scale)
    fix = f"correct the rating, or give the scale that {used}"
    return f"found {off}, outside the scale {scale}; {fix}" if off else ""


def problem_among(row: Row, first: Row, scale: RatingScale) -> tuple[str, str] | None:
    """Return the field that does not match the scale or the first row and the problem, or None."""
    if not (isinstance(row, RatingRow) and isinstance(first, RatingRow)):
        return None
    if problem := off_scale(row.ratings, scale, "the raters used"):
        return "ratings", problem
    if len(row.ratings) != len(first.ratings):
        return "ratings", (
            f"found {len(row.ratings)} ratings, and the first row has {len(first.ratings)}; every "
            "row needs one from each rater, in the same order"
        )
    if (row.system is None) != (first.system is None):
        return "system", "only some rows name the answering system; name it in all or in none"
    return None


def shared_parts(row: BaseRow, cache: Subtitles) -> Shared:
    """Return the fields that an item or a pair takes from its row unchanged."""
    if row.subtitles not in cache:
        cache[row.subtitles] = tuple(
            Subtitle(s.start_seconds, s.end_seconds, s.text) for s in row.subtitles
        )
    return {
        "video_id": row.video_id,
        "instruction": row.instruction,
        "references": row.references,
        "description": row.description,
        "subtitles": cache[row.subtitles],
    }


def _labels(row: BaseRow) -> dict[str, str]:
    return dict(row.labels) if row.id is None else {"row": row.id, **row.labels}
