"""Gold sets that hold a seed's video, matched by the video's origin, not by its file.

A YouTube video is known by its id, whatever the file's name and the part shown: ActivityNet's
`v_<id>`, VATEX's and Kinetics' `<id>_<start>_<end>`, a bare `<id>`. VidOR's videos (NExT-QA) and
other stock are known by their number, and all else by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from videojudge_bench import goldsets
from videojudge_bench.errors import NoDataError
from videojudge_bench.goldsets import jsonl

_YOUTUBE = re.compile(r"(?:v_)?(?P<id>[\w-]{11})(?P<times>(?:_\d+(?:\.\d+)?){0,2})", re.ASCII)
_NUMBER = re.compile(r"\d{7,}")
_FRAGMENT = "#t="
"""Begins the times of a part of a file: https://www.w3.org/TR/media-frags/."""


def canonical_id(name: str, clip: tuple[float, float] | None = None) -> str:
    """Return the id of a video in the form of its origin.

    Args:
        name: its file, with folders or without, or an id.
        clip: begin and end of the part that is meant, in seconds; None: all of the file.

    Returns:
        `<YouTube id>`, with the times that the name has (`_<start>_<end>`); else the path without
        extension (VidOR: the number). For a part of a file, `#t=<start>,<end>` follows.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.suffix.lower().lstrip(".") in jsonl.VIDEO_EXTENSIONS:
        path = path.with_suffix("")
    if (match := _youtube(path.name)) is not None:
        known = f"{match['id']}{match['times']}"
    else:
        # Folders tell `a/001` from `b/001`; a number of VidOR's is enough by itself.
        known = path.name if _NUMBER.fullmatch(path.name) else str(path)
    return known if clip is None else f"{known}{_FRAGMENT}{clip[0]:g},{clip[1]:g}"


def whole_file(video_id: str) -> str:
    """Return the id of the whole file for that of a part."""
    return video_id.partition(_FRAGMENT)[0]


def origin(video_id: str) -> str:
    """Return a name that all parts of one video share."""
    name = PurePosixPath(whole_file(video_id)).name
    match = _youtube(name)
    return name if match is None else f"youtube {match['id']}"


def _youtube(stem: str) -> re.Match[str] | None:
    """The parts of a name that is made from a YouTube id."""
    match = _YOUTUBE.fullmatch(stem)
    if match is None or _NUMBER.fullmatch(stem):  # VidOR's numbers may have 11 digits
        return None
    # `two_kittens_1` is no clip of a video `two_kittens`: ids are drawn from 64 characters, and
    # one in ten thousand is of small letters alone.
    is_drawn = bool(re.search(r"[A-Z0-9]", match["id"]))
    return match if is_drawn or match["times"].count("_") != 1 else None


@dataclass(frozen=True)
class GoldVideos:
    """The videos of all gold sets on this machine.

    Attributes:
        sets_by_origin: names of the sets that hold a video, by `origin`.
        files: by set, its videos' files in its folder (None where unknown), by id.
        absent: sets without data here, sorted: their videos are unknown.
    """

    sets_by_origin: Mapping[str, frozenset[str]]
    files: Mapping[str, Mapping[str, str | None]]
    folders: Mapping[str, Path]
    absent: tuple[str, ...]

    def sets_with(self, video_id: str) -> frozenset[str]:
        """Return the names of the sets that hold a video, or another part of it."""
        return self.sets_by_origin.get(origin(video_id), frozenset())


def gold_videos() -> GoldVideos:
    """Return the videos of the gold sets of this package, of others, and of the user's own.

    Raises:
        DataError: a set is damaged, so that it cannot be kept out of the seeds.
        ConfigError: a package that offers one cannot be imported.
    """
    sets: dict[str, set[str]] = {}
    videos: dict[str, Mapping[str, str | None]] = {}
    folders: dict[str, Path] = {}
    absent: list[str] = []
    for name in goldsets.names():
        try:
            gold = goldsets.load(name)
        except NoDataError:
            absent.append(name)
            continue
        ids = dict.fromkeys(example.item.video_id for example in gold.examples)
        videos[name] = {video_id: gold.video_files.get(video_id) for video_id in ids}
        for video_id, file in videos[name].items():
            for known in (video_id, file or video_id):
                sets.setdefault(origin(canonical_id(known)), set()).add(name)
        if gold.videos is not None:
            folders[name] = gold.videos
    by_origin = {known: frozenset(names) for known, names in sets.items()}
    return GoldVideos(by_origin, videos, folders, tuple(absent))
