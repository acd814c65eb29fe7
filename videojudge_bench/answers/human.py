"""Human ratings of some of the answers: read, and matched to their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Annotated, NamedTuple, cast

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, model_validator

from videojudge_bench.answers.reading import MOST_LINE_BYTES, Unit
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets import jsonl, schema
from videojudge_bench.items import Item
from videojudge_bench.scale import RatingScale

ANNOTATORS, ROUND, PROBABILITY = "annotators", "pick_round", "pick_probability"
"""Labels of a row: who gave its ratings, in their order, and how the answer was drawn."""

_RULE = (
    "an answer has one line with the ratings of all its raters, or lines that name their "
    f"annotators (labels: {ANNOTATORS}); remove one"
)


class Pick(NamedTuple):
    """The round in which an answer was drawn, from 1, and its probability in that round."""

    round: int
    probability: float


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
    labels: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_an_answer(self) -> HumanRow:
        if self.id is None and self.content is None:
            raise ValueError(
                "which answer is it? Give its id, or video_id, instruction, response (and system)"
            )
        names = self.annotators
        if names and (len(names) != len(self.ratings) or len({*names}) < len(names)):
            raise ValueError(
                f"labels.{ANNOTATORS}: expected {len(self.ratings)} different names with commas "
                f"between them, one a rating, got {self.labels[ANNOTATORS]!r}"
            )
        if self.pick is not None and not (self.pick.round >= 1 and 0 < self.pick.probability <= 1):
            raise ValueError(
                f"labels: expected {ROUND} from 1 and {PROBABILITY} above 0, at most 1, got "
                f"{self.labels[ROUND]} and {self.labels[PROBABILITY]}"
            )
        return self

    @property
    def annotators(self) -> tuple[str, ...]:
        """Names of those who gave the ratings, in their order; empty where they are not named."""
        names = str(self.labels.get(ANNOTATORS, "")).split(",")
        return tuple(filter(None, map(str.strip, names)))

    @property
    def pick(self) -> Pick | None:
        """Round and probability with which `videojudge label` drew the answer."""
        if ROUND not in self.labels or PROBABILITY not in self.labels:
            return None
        return Pick(int(str(self.labels[ROUND])), float(str(self.labels[PROBABILITY])))

    @property
    def content(self) -> tuple[str, str, str] | None:
        """Video, instruction and response; None where one is not given."""
        video_id = self.video_id or self.video
        if video_id is None or self.instruction is None or self.response is None:
            return None
        return video_id, self.instruction, self.response

    @property
    def name(self) -> tuple[str | None, ...]:
        """Key of the answers that the row is about."""
        return (self.id,) if self.id is not None else (*(self.content or ()), self.system)


@dataclass(frozen=True)
class HumanRatings:
    """Human ratings by the id of the answer.

    Attributes:
        means: mean ratings.
        unmatched: rows about no answer here.
        picks: how answers were drawn, of those whose rows say so.
        ratings: by annotator, of the answers whose rows name theirs.
        replaced: ratings in the place of which a later, other one of the same annotator counts.
    """

    means: Mapping[str, float]
    unmatched: int
    picks: Mapping[str, Pick] = field(default_factory=dict)
    ratings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    replaced: int = 0


def read_human(
    path: Path, units: Sequence[Unit], scale: RatingScale, *, earlier: HumanRatings | None = None
) -> HumanRatings:
    """Return the ratings in a JSON Lines file that are about the given answers.

    A row without `system` is about that answer of every system: it is the same text. Rows about one
    answer by different annotators are put together; of two ratings by one the last counts.

    Args:
        path: the file.
        units: single answers.
        scale: of the ratings.
        earlier: the ratings in files before this one.

    Raises:
        ConfigError: no such file, or the units are pairs.
        DataError: with file, line and field: a malformed row, a rating off the scale, an answer
            that is rated in two rows without annotators, or no row about any of the answers.
    """
    if not path.is_file():
        raise ConfigError(f"no file {str(path)!r}; give a JSON Lines file of human ratings")
    if len(units[0].systems) > 1:
        raise ConfigError(
            f"{path.name} has ratings of single answers, which do not say who wins a pair; leave "
            "--gold-subset out, or judge single answers"
        )
    named = _by_name(units)
    collected = _Collected.of(earlier or HumanRatings({}, 0))
    n_matched = 0
    for line, row in jsonl.numbered_rows(path, HumanRow, unique=(), most_bytes=MOST_LINE_BYTES):
        if problem := schema.off_scale(row.ratings, scale, "people used (--gold-scale LOW-HIGH)"):
            raise DataError(problem, path=path, line=line, field="ratings")
        unit_ids = named.get(row.name, [])
        collected.unmatched += not unit_ids
        n_matched += len(unit_ids)
        for unit_id in unit_ids:
            if unit_id in collected.means and not (row.annotators and unit_id in collected.ratings):
                raise DataError(f"the answer is rated in two lines; {_RULE}", path=path, line=line)
            collected.add(unit_id, row)
    if not n_matched:
        raise DataError(
            f"none of its {collected.unmatched} rows is about one of the {len(units)} answers: "
            "ids, or video_id, instruction, response and system, must be the same in both files",
            path=path,
        )
    return HumanRatings(**vars(collected))


@dataclass
class _Collected:
    """Ratings while they are read; see `HumanRatings`."""

    means: dict[str, float]
    unmatched: int
    picks: dict[str, Pick]
    ratings: dict[str, dict[str, float]]
    replaced: int

    @classmethod
    def of(cls, earlier: HumanRatings) -> _Collected:
        ratings = {unit_id: dict(given) for unit_id, given in earlier.ratings.items()}
        picks, means = dict(earlier.picks), dict(earlier.means)
        return cls(means, earlier.unmatched, picks, ratings, earlier.replaced)

    def add(self, unit_id: str, row: HumanRow) -> None:
        self.means[unit_id] = fmean(row.ratings)
        if row.annotators:
            by_name = self.ratings.setdefault(unit_id, {})
            given = dict(zip(row.annotators, row.ratings, strict=True))
            self.replaced += sum(
                by_name.get(name, rating) != rating for name, rating in given.items()
            )
            by_name.update(given)
            self.means[unit_id] = fmean(by_name.values())
        if row.pick is not None:
            self.picks[unit_id] = min(row.pick, self.picks.get(unit_id, row.pick))


def _by_name(units: Sequence[Unit]) -> dict[tuple[str | None, ...], list[str]]:
    """The ids of the answers that a row of a name is about."""
    named: dict[tuple[str | None, ...], list[str]] = {}
    for unit in units:
        item = cast(Item, unit.item)
        content = (item.video_id, item.instruction, item.response)
        for name in ((unit.id,), (*content, unit.systems[0]), (*content, None)):
            named.setdefault(name, []).append(unit.id)
    return named
