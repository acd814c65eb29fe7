"""Policy of what a model is shown beside the response: the video, its description, a rubric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.hashing import others_by_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.criteria import Criterion, overall_criterion
from videojudge_bench.errors import ConfigError
from videojudge_bench.judge import Need
from videojudge_bench.prompted.config import (
    DESCRIPTION,
    MODEL,
    NO_RUBRIC,
    SHUFFLED,
    VIDEO_NEEDS,
    WRITE,
    PromptedConfig,
)
from videojudge_bench.prompted.templates import AnyItem
from videojudge_bench.scale import RatingScale

if TYPE_CHECKING:
    from videojudge_bench.prompts import criteria_book, rubric_book

ALL = "all"
"""The video and the description, as far as they are known and the engine takes them."""


class InputPolicy:
    """Policy of what a model is shown of an item, beside instruction, references and response.

    It knows what the item is judged by, too: a rubric, criteria.

    A judge whose class requires video is shown frames by default, any other all that is known.

    Attributes:
        video: what is shown of the video: `all`, or as the option of that name.
        requires: what an item must have.

    Raises:
        DataError: the file of rubrics or of criteria is malformed.
    """

    def __init__(self, config: PromptedConfig, requires: frozenset[Need]) -> None:
        self.video = config.video or ("frames" if "video" in requires else ALL)
        self.requires = requires
        if config.video is not None:  # the user's choice replaces what the class requires
            self.requires = requires - {"video", "description"} | VIDEO_NEEDS[config.video]
        self._book: rubric_book.RubricBook | None = None
        if config.rubric_file is not None:
            from videojudge_bench.prompts.rubric_book import RubricBook

            self._book = RubricBook(config.rubric_file)
        self._criteria: criteria_book.CriteriaBook | None = None
        self._overall = config.overall
        if config.criteria is not None:
            from videojudge_bench.prompts.criteria_book import CriteriaBook

            self._criteria = CriteriaBook(Path(config.criteria))
        self._swaps, self._writes = config.swap_rubrics, config.rubric == WRITE
        self._swapped, self._others = dict[tuple[str, str], str](), dict[str, Path]()

    def check_engine(self, judge: str, takes_video: bool) -> None:
        """Raise ConfigError if a video is shown and the engine takes text alone."""
        if "video" in self.requires and not takes_video:
            raise ConfigError(
                f"judge {judge} takes video input, but its engine takes text alone here; choose a "
                "model that takes videos, or give video=description or video=none"
            )

    @property
    def learns_from_set(self) -> bool:
        """True if videos or rubrics are swapped between items."""
        return self._swaps or self.video == SHUFFLED

    def fit(self, items: Sequence[AnyItem]) -> None:
        """Assign another video, and another rubric, to each item, where the options ask for it."""
        if self.video == SHUFFLED:
            files = {item.video_id: item.video for item in items if item.video is not None}
            # Of several ids of one file, one counts: each would else be "another video".
            id_of = {files[video_id]: video_id for video_id in sorted(files)}
            other = others_by_hash(list(id_of.values()), what="video=shuffled", of="videos")
            self._others = {i: files[other[id_of[path]]] for i, path in files.items()}
        if self._book is not None and self._swaps:
            self._swapped = self._book.swapped([item.group for item in items])

    def missing(self, item: AnyItem) -> str:
        """Return what an item lacks that the options ask for, "" when it has everything."""
        if self.video == SHUFFLED and item.video_id not in self._others:
            return f"video=shuffled: `fit` was shown no file of video {item.video_id!r}"
        if self._book is not None and not self.rubric(item):
            return f"no rubric for its instruction in {self._book.path.name}"
        return "" if self._criteria is None else self._criteria.missing(item.group)

    def rubric(self, item: AnyItem) -> str:
        """Return the rubric to judge an item by, "" when there is none."""
        if self._book is None:
            return ""
        rubric_of = self._swapped.get if self._swaps else self._book.rubric
        return rubric_of(item.group) or ""

    def slots(self, item: AnyItem, scale: RatingScale) -> tuple[Criterion, ...]:
        """Return what a reply about an item rates, the overall rating last; empty: one rating."""
        criteria = () if self._criteria is None else self._criteria.of(item.group)
        has_overall = criteria and self._overall == MODEL
        return (*criteria, overall_criterion(scale)) if has_overall else criteria

    def visible(self, item: AnyItem, *, takes_video: bool) -> AnyItem:
        """Return an item with what the model may know of its video."""
        video = item.video
        if self.video == SHUFFLED:
            video = self._others.get(item.video_id, video)
        if self.video in (DESCRIPTION, "none") or not takes_video:
            video = None
        described = item.description if self.video in (ALL, DESCRIPTION) else None
        return replace(item, video=video, description=described)

    def settings(self) -> dict[str, Scalar]:
        """Return what is shown of the video, and by which rubric or criteria the model judges."""
        rubric = WRITE if self._writes else NO_RUBRIC
        if self._book is not None:
            rubric = f"sha256:{self._book.sha}"
        criteria: dict[str, Scalar] = {}
        if self._criteria is not None:
            criteria = {"criteria": f"sha256:{self._criteria.sha}", "overall": self._overall}
        return {"rubric": rubric, "video": self.video, **criteria}
