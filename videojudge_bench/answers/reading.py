"""Answers to judge, of a file, list or DataFrame, as units of one verdict each.

A row is one answer (`response`) or two against each other (`response_a`, `response_b`), in the
schema of ratings and pairs without their gold: see `videojudge_bench.goldsets.schema`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union, cast

from pydantic import ValidationError, model_validator

from videojudge_bench._util.hashing import content_hash
from videojudge_bench.errors import ConfigError, DataError, UnknownNameError
from videojudge_bench.goldsets import jsonl, schema
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, Item, NoGold, Pair, opaque_id

if TYPE_CHECKING:
    import pandas as pd

MOST_LINE_BYTES = 64 << 20
"""A runaway answer may have megabytes; a file without line breaks is still refused."""

MOST_ANSWER_BYTES = 1 << 20
"""No model reads more; a longer answer is recorded as such, and the others are judged."""

ALL = "all"

_RULE = "no two answers may have the same id, or without ids all the same; remove one, or give ids"

Source: TypeAlias = "Union[str, Path, Sequence[Mapping[str, object]], pd.DataFrame]"


class AnswerRow(schema.BaseRow):
    """One answer of a system, or two against each other."""

    video_id: schema.Text = ""
    response: str | None = None
    system: schema.Text | None = None
    response_a: str | None = None
    response_b: str | None = None
    system_a: schema.Text | None = None
    system_b: schema.Text | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> AnswerRow:
        if problem := _problem_of(self):
            raise ValueError(problem)
        # A row that names a file needs no other name for its video.
        return self if self.video_id else self.model_copy(update={"video_id": self.video})

    @property
    def texts(self) -> tuple[str, ...]:
        """The answer, or the two of a pair."""
        return tuple(
            text for text in (self.response, self.response_a, self.response_b) if text is not None
        )

    @property
    def is_pair(self) -> bool:
        """True if the row holds two answers."""
        return self.response is None

    @property
    def systems(self) -> tuple[str | None, ...]:
        """System of each of `texts`."""
        return (self.system_a, self.system_b) if self.is_pair else (self.system,)

    @property
    def name(self) -> str:
        """The row's id, or one made from its content."""
        return self.id or opaque_id(self.video_id, self.identity)

    def _judged(self) -> list[str]:
        return [*self.texts, *(system or "" for system in self.systems)]


@dataclass(frozen=True)
class Answers:
    """Answers to be judged: rows of one kind, in the order given; `path` is None for a list."""

    name: str
    rows: tuple[AnswerRow, ...]
    path: Path | None

    @property
    def systems(self) -> list[str]:
        """The systems that answered, in the order of their first answer."""
        named = (system for row in self.rows for system in row.systems if system)
        return list(dict.fromkeys(named))

    @property
    def folder(self) -> Path | None:
        """Folder of the files that rows name in `video`, unless a folder is given."""
        named = any(row.video for row in self.rows)
        return self.path.parent if named and self.path is not None else None


@dataclass(frozen=True)
class Unit:
    """One line of the output: an answer, or two answers against each other.

    Attributes:
        id: the user's, or a hash of the content.
        examples: the answer; of a pair both orders, `/ab` first.
        systems: that answered; "" where they are not named.
        answers: ids of the two answers that were paired, where they were single ones in the file.
        refused: why the judge is not asked; "" when it is.
        identical: the two answers are the same text: a tie, and the judge is not asked.
    """

    id: str
    examples: tuple[Example, ...]
    systems: tuple[str, ...]
    answers: tuple[str, ...] = ()
    refused: str = ""
    identical: bool = False

    @property
    def item(self) -> Item | Pair:
        """Item that is judged; of a pair in the order a, b."""
        return self.examples[0].item

    @property
    def item_ids(self) -> tuple[str, ...]:
        """Ids of the items that the judge is to be asked."""
        asked = not self.refused and not self.identical
        return tuple(example.item.id for example in self.examples) if asked else ()


def read_answers(source: Source, *, repeats: bool = False) -> Answers:
    """Return the answers in a JSON Lines file (`.gz`: compressed), a list of them or a DataFrame.

    Args:
        source: of the answers.
        repeats: whether a row may repeat an earlier one.

    Raises:
        ConfigError: there is no such file, or a DataFrame lacks columns.
        DataError: with file, line and field, when a row is malformed, repeats an earlier one or is
            of another kind than the first, when only some rows name a system, or when two name
            different files of one video.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.is_file():
            raise ConfigError(f"no file {str(path)!r}; give a JSON Lines file of answers")
        name = path.name
        numbered = jsonl.numbered_rows(
            path,
            AnswerRow,
            unique=() if repeats else ("identity",),
            field="id",
            rule=_RULE,
            most_bytes=MOST_LINE_BYTES,
        )
    else:
        rows = _rows_of_frame(source) if hasattr(source, "to_json") else source
        path, name, numbered = None, "answers", _rows_of_list(rows, repeats=repeats)
    files: dict[str, str] = {}
    kept: list[AnswerRow] = []
    for line, row in numbered:
        problem = schema.other_file(row, files) or _problem_among(row, kept[0] if kept else row)
        if problem is not None:
            raise DataError(problem[1], path=path or name, line=line, field=problem[0])
        kept.append(row)
    if not kept:
        raise DataError("there is no answer; give at least one", path=name)
    return Answers(name, tuple(kept), path)


def units_of(answers: Answers, versus: str | None) -> tuple[Unit, ...]:
    """Return what is to be judged, in the order of the answers.

    Args:
        answers: read from a file.
        versus: None judges every row as it is. A system's name pairs each other system's answer
            with that system's answer to the same video and instruction; `all` pairs all systems.

    Raises:
        ConfigError: `versus` for rows that are pairs or name no systems, or no two answers belong
            together.
        UnknownNameError: there is no such system.
    """
    cache: schema.Subtitles = {}
    if answers.rows[0].is_pair:
        if versus is not None:
            raise ConfigError(
                f"--versus {versus}: the rows of {answers.name} are pairs already; leave it out"
            )
        return tuple(_pair_unit(row, cache) for row in answers.rows)
    single = [_single_unit(row, cache) for row in answers.rows]
    return tuple(single) if versus is None else _paired(answers, single, versus)


def gold_set_of(answers: Answers, units: Sequence[Unit]) -> GoldSet:
    """Return units as the runner takes them: a set without gold."""
    pairs = isinstance(units[0].item, Pair)
    info = GoldSetInfo(
        name="answers",
        title=answers.name,
        kind="none",
        shape="pairs" if pairs else "ratings",
        licence="not stated",
        source=answers.name,
        how_to_get="",
        systems=not pairs and bool(answers.systems),
    )
    files = {row.video_id: row.video for row in answers.rows if row.video}
    examples = tuple(example for unit in units for example in unit.examples)
    return GoldSet(info, examples, video_files=files)


def _rows_of_list(
    source: Sequence[Mapping[str, object]], *, repeats: bool
) -> Iterator[tuple[int, AnswerRow]]:
    """Yield the rows of a list, checked as those of a file, with their numbers from 1."""
    path, seen = Path("answers"), dict[str, int]()
    for number, given in enumerate(source, start=1):
        try:
            line = json.dumps(given)
        except (TypeError, ValueError) as error:
            raise DataError(f"not JSON ({error})", path=path, line=number) from error
        try:
            row = AnswerRow.model_validate_json(line)
        except ValidationError as error:
            raise jsonl.data_error(error, path, number) from error
        if (earlier := seen.setdefault(row.identity, number)) != number and not repeats:
            problem = f"duplicate of line {earlier} ({row.identity!r}); {_RULE}"
            raise DataError(problem, path=path, line=number, field="id")
        yield number, row


def _rows_of_frame(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return the rows of a DataFrame; a missing value (NaN, None) is a field that is not given."""
    named = {str(column) for column in frame.columns}
    answer = {"response_a", "response_b"} if "response_a" in named else {"response"}
    missing = sorted({"instruction", *answer} - named)
    missing += [] if named & {"video_id", "video"} else ["video_id"]
    if missing:
        raise ConfigError(
            f"expected a DataFrame with the columns video_id, instruction and response; "
            f"{', '.join(missing)} missing, got {', '.join(sorted(named)) or 'no column'}. "
            "Rename columns with `frame.rename(columns={...})`"
        )
    rows = json.loads(frame.to_json(orient="records", date_format="iso"))
    return [
        {name: _as_text(name, cell) for name, cell in row.items() if cell is not None}
        for row in rows
    ]


def _as_text(name: str, cell: object) -> object:
    """Return a cell of a DataFrame; pandas reads a column of names such as `7` as numbers."""
    is_name = name in ("id", "video_id", "system", "system_a", "system_b")
    return str(cell) if is_name and isinstance(cell, int) else cell


def _problem_of(row: AnswerRow) -> str:
    """Return the problem of a row in itself; "" without one."""
    pair = (row.response_a, row.response_b)
    if not row.video_id and not row.video:
        return "which video? Give video_id, or in video the path of its file"
    if row.response is None and None in pair:
        return "there is no answer; give response, or response_a and response_b"
    if row.response is not None and pair != (None, None):
        return "a row has response, or response_a and response_b; make two rows of it"
    if (row.system_a, row.system_b) != (None, None) and row.system_a == row.system_b:
        return "system_a and system_b are the same; a system cannot meet itself"
    others = (row.system,) if row.is_pair else (row.system_a, row.system_b)
    if others != (None,) * len(others):
        return "response goes with system, response_a and response_b with system_a and system_b"
    return ""


def _problem_among(row: AnswerRow, first: AnswerRow) -> tuple[str, str] | None:
    """Return the field and the problem of a row that does not match the first one, or None."""
    if row.is_pair != first.is_pair:
        kinds = ("a single answer", "a pair (response_a, response_b)")
        problem = (
            f"{kinds[row.is_pair]}, and the first row is {kinds[first.is_pair]}; a file holds rows "
            "of one kind, so make two files of it"
        )
        return "response_a" if row.is_pair else "response", problem
    if len({system is not None for system in (*first.systems, *row.systems)}) > 1:
        field = "system_a, system_b" if row.is_pair else "system"
        return field, "only some answers name their system; name it in all or in none"
    return None


def _single_unit(row: AnswerRow, cache: schema.Subtitles) -> Unit:
    name = row.name
    (response,) = row.texts
    item = Item(id=name, response=response, **schema.shared_parts(row, cache))
    unit = f"{row.video_id}/{content_hash(row.instruction)[:10]}"
    example = Example(item, NoGold(), unit, row.system, row.labels)
    return Unit(name, (example,), (row.system or "",), refused=_too_long(response))


def _pair_unit(row: AnswerRow, cache: schema.Subtitles) -> Unit:
    first, second = row.texts
    pair = Pair(id=row.name, first=first, second=second, **schema.shared_parts(row, cache))
    return _unit_of_pair(pair, (row.system_a or "a", row.system_b or "b"), (), row.labels)


def _unit_of_pair(
    pair: Pair, systems: tuple[str, str], answers: tuple[str, ...], labels: Mapping[str, str]
) -> Unit:
    there = replace(pair, id=f"{pair.id}/ab")
    back = replace(pair, id=f"{pair.id}/ba", first=pair.second, second=pair.first)
    return Unit(
        pair.id,
        tuple(Example(item, NoGold(), unit=pair.id, labels=labels) for item in (there, back)),
        systems,
        answers,
        refused=_too_long(pair.first) or _too_long(pair.second),
        identical=pair.first == pair.second,
    )


def _paired(answers: Answers, single: Sequence[Unit], versus: str) -> tuple[Unit, ...]:
    systems = answers.systems
    if not systems:
        raise ConfigError(f"--versus {versus}: the answers of {answers.name} name no `system`")
    if versus not in (ALL, *systems):
        raise UnknownNameError("system", versus, [*systems, ALL])
    asked: dict[tuple[str, str], dict[str, list[Unit]]] = {}
    for unit in single:
        by_system = asked.setdefault(unit.item.group, {})
        by_system.setdefault(unit.systems[0], []).append(unit)
    couples = list(combinations(systems, 2))
    if versus != ALL:
        couples = [(system, versus) for system in systems if system != versus]
    pairs = tuple(
        pair_of(one, two)
        for by_system in asked.values()
        for a, b in couples
        for one, two in product(by_system.get(a, ()), by_system.get(b, ()))
    )
    if not pairs:
        raise ConfigError(
            f"--versus {versus}: no two of the systems {', '.join(systems)} answered the same "
            "instruction about the same video, so there is nothing to compare"
        )
    return pairs


def pair_of(one: Unit, two: Unit) -> Unit:
    """Return the pair of two single answers to one question."""
    a, b = cast(Item, one.item), cast(Item, two.item)
    pair = Pair(
        id=opaque_id(a.video_id, one.id, two.id),
        video_id=a.video_id,
        instruction=a.instruction,
        first=a.response,
        second=b.response,
        references=a.references or b.references,
        description=a.description or b.description,
        subtitles=a.subtitles or b.subtitles,
    )
    systems = (one.systems[0], two.systems[0])
    return _unit_of_pair(pair, systems, (one.id, two.id), one.examples[0].labels)


def _too_long(response: str) -> str:
    size = len(response.encode("utf-8", "surrogatepass"))
    if size <= MOST_ANSWER_BYTES:
        return ""
    return f"answer too long: {size} bytes; answers of up to {MOST_ANSWER_BYTES} bytes are judged"
