"""Items as a run shows them: with the first n references, the video file and a description."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Union

from pydantic import BaseModel

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.jsonl import STRICT, find_videos, read_rows
from videojudge_bench.items import Item, Pair

logger = logging.getLogger(__name__)

References = Union[int, Literal["all"]]


class DescriptionRow(BaseModel):
    """One line of a file of descriptions."""

    model_config = STRICT

    video_id: str
    description: str
    made_by: str = ""


def read_rows_of(path: Path) -> Iterator[DescriptionRow]:
    """Yield the rows `{"video_id", "description", "made_by"}` of a JSON Lines file.

    Raises DataError for a missing or invalid file, or one that describes a video twice.
    """
    return read_rows(path, DescriptionRow, unique=("video_id",))


def read_descriptions(path: Path) -> dict[str, str]:
    """Return the descriptions in a file by video id; raises as `read_rows_of`."""
    return {row.video_id: row.description for row in read_rows_of(path)}


@dataclass(frozen=True)
class ItemView:
    """The items of a gold set, without gold, as a judge sees them."""

    gold_set: GoldSet
    references: int
    videos: Mapping[str, Path] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)

    def item(self, item_id: str) -> Item | Pair:
        """Return one item; raises KeyError for an id that is not in the set."""
        item = self.gold_set.by_id[item_id].item
        return replace(
            item,
            references=item.references[: self.references],
            video=self.videos.get(item.video_id),
            description=self.descriptions.get(item.video_id, item.description),
        )


def view_of(
    gold_set: GoldSet,
    references: References,
    videos: Path | None,
    descriptions: Path | None = None,
) -> ItemView:
    """Return the view of a set.

    Args:
        gold_set: the set.
        references: a number from 0 up, or `all`; more than there are means all.
        videos: folder with the video files, named as the set names them or else
            `<video id>.<extension>`; files that it lacks are taken from the set's own folder.
        descriptions: a file of `videojudge describe`; a video that it lacks keeps the set's own
            description, and one that the set lacks is left out.

    Raises:
        ConfigError: `references` is neither, or the folder does not exist.
        DataError: the file of descriptions is missing or malformed.
    """
    asked, most = checked_references(references), gold_set.max_references
    n_references = most if asked == "all" else min(asked, most)
    files = _videos_of(gold_set, warn=videos is None)
    if videos is not None:
        files |= find_videos(videos) | _named_files(gold_set, videos)
    described = {} if descriptions is None else read_descriptions(descriptions)
    known = {example.item.video_id for example in gold_set.examples}
    own = {video_id: text for video_id, text in described.items() if video_id in known}
    return ItemView(gold_set, n_references, files, own)


def _videos_of(gold_set: GoldSet, *, warn: bool) -> dict[str, Path]:
    """The videos in the set's own folder; none when it has been moved."""
    folder = gold_set.videos
    if folder is None:
        return {}
    if not folder.is_dir():
        if warn:
            logger.warning(
                "%s: the folder of its videos, %s, is gone; give videos=DIR",
                gold_set.info.task, folder,
            )  # fmt: skip
        return {}
    return find_videos(folder) | _named_files(gold_set, folder)


def _named_files(gold_set: GoldSet, folder: Path) -> dict[str, Path]:
    named = {video_id: folder / name for video_id, name in gold_set.video_files.items()}
    return {video_id: path for video_id, path in named.items() if path.is_file()}


def checked_references(asked: Scalar) -> References:
    """Return `asked` if it is a whole number from 0 up or `all`; else raise ConfigError."""
    if asked == "all":
        return "all"
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0:
        return asked
    raise ConfigError(f"references={asked!r}: allowed are 0, 1, 2, … and all")
