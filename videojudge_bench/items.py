"""Items and pairs, which a judge is shown, and examples, which only scoring is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from videojudge_bench._util.hashing import Json, content_hash, unit_interval


@dataclass(frozen=True, slots=True)
class Subtitle:
    """Speech in a part of a video; times in seconds from the start of the video file."""

    start_seconds: float
    end_seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """One response to one instruction about one video. Never carries gold.

    Attributes:
        id: unique in its gold set; says nothing about the gold rating.
        video_id: names the video; items of one video are one cluster in the statistics.
        instruction: what the answerer was asked.
        response: the answer to judge.
        references: known good answers, as many as the run was told to show.
        description: dense text description of the video, where known.
        video: the video file, where it was found.
        subtitles: what is said, in the order of time, where known.
    """

    id: str
    video_id: str
    instruction: str
    response: str
    references: tuple[str, ...] = ()
    description: str | None = None
    video: Path | None = None
    subtitles: tuple[Subtitle, ...] = ()

    @property
    def group(self) -> tuple[str, str]:
        """Video and instruction: items that share both share a prompt prefix."""
        return (self.video_id, self.instruction)

    def content(self) -> dict[str, Json]:
        """Return all that can change a verdict, the video file apart."""
        return {"response": self.response, **_shared_content(self)}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two responses to one instruction about one video, in the order they are shown.

    Attributes are those of `Item`, with `first` and `second` in the place of `response`.
    """

    id: str
    video_id: str
    instruction: str
    first: str
    second: str
    references: tuple[str, ...] = ()
    description: str | None = None
    video: Path | None = None
    subtitles: tuple[Subtitle, ...] = ()

    @property
    def group(self) -> tuple[str, str]:
        """Video and instruction: pairs that share both share a prompt prefix."""
        return (self.video_id, self.instruction)

    def content(self) -> dict[str, Json]:
        """Return all that can change a verdict, the video file apart."""
        return {"first": self.first, "second": self.second, **_shared_content(self)}

    def sides(self) -> tuple[Item, Item]:
        """Return the two responses as items, for judges that rate one response at a time."""
        first, second = (
            Item(
                id=f"{self.id}#{side}",
                video_id=self.video_id,
                instruction=self.instruction,
                response=response,
                references=self.references,
                description=self.description,
                subtitles=self.subtitles,
                video=self.video,
            )
            for side, response in (("first", self.first), ("second", self.second))
        )
        return first, second


def _shared_content(item: Item | Pair) -> dict[str, Json]:
    subtitles: list[Json] = [[s.start_seconds, s.end_seconds, s.text] for s in item.subtitles]
    return {
        "id": item.id,
        "video_id": item.video_id,
        "instruction": item.instruction,
        "references": list(item.references),
        "description": item.description,
        **({"subtitles": subtitles} if subtitles else {}),
    }


@dataclass(frozen=True, slots=True)
class RatingGold:
    """Ratings of one response, one number per annotator, on the gold set's scale.

    `criteria` are further ratings, by the name of a criterion and on its scale (yes is 1, no is 0).
    """

    ratings: tuple[float, ...]
    criteria: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)

    @property
    def mean(self) -> float:
        """Mean over the raters."""
        return sum(self.ratings) / len(self.ratings)

    def to_json(self) -> Json:
        """Return the ratings: a list; an object where there are some by criteria."""
        ratings: list[Json] = list(self.ratings)
        if not self.criteria:
            return ratings
        return {"ratings": ratings, "criteria": {n: list(r) for n, r in self.criteria.items()}}

    def __str__(self) -> str:
        return " ".join(f"{rating:g}" for rating in self.ratings)


@dataclass(frozen=True, slots=True)
class OptionGold:
    """Gold of an option: whether the response is the correct one of its question."""

    correct: bool

    def to_json(self) -> Json:
        """Return true or false."""
        return self.correct

    def __str__(self) -> str:
        return "correct" if self.correct else "distractor"


@dataclass(frozen=True, slots=True)
class PreferenceGold:
    """Gold of a pair: 1.0 where the first response is better, 0.0 where the second is."""

    p_first: float

    def to_json(self) -> Json:
        """Return the probability that the first is better."""
        return self.p_first

    def __str__(self) -> str:
        return "first" if self.p_first > 0.5 else "second"


@dataclass(frozen=True, slots=True)
class NoGold:
    """Absence of gold: an answer to be judged, not a measure of the judge."""

    def to_json(self) -> Json:
        """Return null."""
        return None

    def __str__(self) -> str:
        return "none"


Gold = Union[RatingGold, OptionGold, PreferenceGold, NoGold]


@dataclass(frozen=True, slots=True)
class Example:
    """An item or pair with its gold.

    Attributes:
        item: what the judge sees.
        gold: what the judge never sees.
        unit: what scoring joins on: the question of an option, the pair behind the two orders,
            the group of a rated response.
        system: the answering system, where known.
        labels: properties to group or to filter by, such as a question type.
    """

    item: Item | Pair
    gold: Gold
    unit: str
    system: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> dict[str, Json]:
        """Return item, gold, unit and system: what a gold set's content hash is made from."""
        system: dict[str, Json] = {} if self.system is None else {"system": self.system}
        return {**self.item.content(), "gold": self.gold.to_json(), "unit": self.unit, **system}


def part_of(video_id: str) -> str:
    """Return `dev` or `test`: every video of every gold set is in one half, by a hash of its id.

    What is fitted (calibration, tie thresholds, the level of a constant) is fitted on `dev` and
    reported on `test`.
    """
    return "dev" if unit_interval("part", video_id) < 0.5 else "test"


def opaque_id(video_id: str, *parts: str) -> str:
    """Return an item id that names the video and hides all else (order, system, rating)."""
    return f"{video_id}/{content_hash(list(parts))[:10]}"
