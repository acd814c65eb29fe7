"""Descriptions of videos in a file: what judges of text read in the place of frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from videojudge_bench.goldsets.jsonl import STRICT, read_rows


class DescriptionRow(BaseModel):
    """One line of a file of descriptions.

    Attributes:
        video_id: names the video.
        description: what it shows, in words.
        made_by: prompt, model and frames that made it, as a signature; empty when unknown.
    """

    model_config = STRICT

    video_id: str
    description: str
    made_by: str = ""


def read_rows_of(path: Path) -> Iterator[DescriptionRow]:
    """Yield the rows of a JSON Lines file of `{"video_id", "description", "made_by"}`.

    Raises:
        DataError: the file is missing, empty or malformed, or describes a video twice.
    """
    return read_rows(path, DescriptionRow, unique=("video_id",))


def read_descriptions(path: Path) -> dict[str, str]:
    """Return the descriptions in a file by video id; raises as `read_rows_of`."""
    return {row.video_id: row.description for row in read_rows_of(path)}
