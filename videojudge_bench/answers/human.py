"""Human ratings of some of the answers: read, and matched to their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, cast

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from videojudge_bench.answers.reading import MOST_LINE_BYTES, Unit
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets import jsonl, schema
from videojudge_bench.items import Item
from videojudge_bench.scale import RatingScale

_RULE = "an answer has one line with the ratings of all its raters; remove one"


class HumanRow(BaseModel):
    """Human ratings of one answer, named by its id or by all of its content.

    Other fields of a row of answers are ignored.
    """

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    id: schema.Text | None = None
    video_id: schema.Text | None = None
    video: schema.Text | None = None
    instruction: schema.Text | None = None
    response: str | None = None
    system: schema.Text | None = None
    ratings: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_an_answer(self) -> HumanRow:
        if self.id is None and self.content is None:
            raise ValueError(
                "which answer is it? Give its id, or video_id, instruction, response (and system)"
            )
        return self

    @property
    def content(self) -> tuple[str, str, str] | None:
        """Video, instruction and response; None where one is not given."""
        video_id = self.video_id or self.video
        if video_id is None or self.instruction is None or self.response is None:
            return None
        return video_id, self.instruction, self.response

    @property
    def name(self) -> tuple[str | None, ...]:
        """Key that must be unique among rows."""
        return (self.id,) if self.id is not None else (*(self.content or ()), self.system)


@dataclass(frozen=True)
class HumanRatings:
    """Mean human rating by the id of the answer, and how many rows were about no answer here."""

    means: Mapping[str, float]
    unmatched: int


def read_human(path: Path, units: Sequence[Unit], scale: RatingScale) -> HumanRatings:
    """Return the ratings in a JSON Lines file that are about the given answers.

    A row without `system` is about that answer of every system: it is the same text.

    Raises:
        ConfigError: no such file, or the units are pairs.
        DataError: with file, line and field: a malformed row, a rating off the scale, an answer
            that is rated in two rows, or no row about any of the answers.
    """
    if not path.is_file():
        raise ConfigError(f"no file {str(path)!r}; give a JSON Lines file of human ratings")
    if len(units[0].systems) > 1:
        raise ConfigError(
            f"{path.name} has ratings of single answers, which do not say who wins a pair; leave "
            "--gold-subset out, or judge single answers"
        )
    named = _by_name(units)
    means: dict[str, float] = {}
    unmatched = 0
    for line, row in jsonl.numbered_rows(
        path, HumanRow, unique=("name",), rule=_RULE, most_bytes=MOST_LINE_BYTES
    ):
        if problem := schema.off_scale(row.ratings, scale, "people used (--gold-scale LOW-HIGH)"):
            raise DataError(problem, path=path, line=line, field="ratings")
        unit_ids = named.get(row.name, [])
        unmatched += not unit_ids
        for unit_id in unit_ids:
            if unit_id in means:
                raise DataError(f"the answer is rated in two lines; {_RULE}", path=path, line=line)
            means[unit_id] = fmean(row.ratings)
    if not means:
        raise DataError(
            f"none of its {unmatched} rows is about one of the {len(units)} answers: ids, or "
            "video_id, instruction, response and system, must be the same in both files",
            path=path,
        )
    return HumanRatings(means, unmatched)


def _by_name(units: Sequence[Unit]) -> dict[tuple[str | None, ...], list[str]]:
    """The ids of the answers that a row of a name is about."""
    named: dict[tuple[str | None, ...], list[str]] = {}
    for unit in units:
        item = cast(Item, unit.item)
        content = (item.video_id, item.instruction, item.response)
        for name in ((unit.id,), (*content, unit.systems[0]), (*content, None)):
            named.setdefault(name, []).append(unit.id)
    return named
