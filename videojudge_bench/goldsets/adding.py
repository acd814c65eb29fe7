"""Gold sets out of a user's file of ratings, options or pairs: added and removed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from videojudge_bench import goldsets
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets import jsonl, schema, store
from videojudge_bench.goldsets.base import GoldKind, GoldSetInfo
from videojudge_bench.scale import RatingScale

_SCALE = re.compile(r"(-?\d+)-(-?\d+)")


@dataclass(frozen=True)
class Request:
    """Options for adding a gold set.

    Attributes:
        file: JSON Lines in the schema of `videojudge_bench.goldsets.schema`; `.gz`: compressed.
        name: of the set; its task is `videojudge_<name>`.
        kind: where the gold comes from; by default annotators, and `options` for options.
    """

    file: Path
    name: str
    videos: Path | None = None
    scale: RatingScale = RatingScale()
    kind: GoldKind | None = None
    title: str | None = None
    licence: str = "not stated"
    overwrite: bool = False


@dataclass(frozen=True)
class Added:
    """Result of adding a gold set."""

    info: GoldSetInfo
    rows: int
    raters: int
    videos: dict[str, bool]
    folder: Path

    def lines(self) -> list[str]:
        """Return a summary of the set, where it is kept, and the next command."""
        info = self.info
        what = f"{_count(self.rows, 'row')} of {info.shape}"
        if info.shape == "ratings":
            what += f" by {_count(self.raters, 'rater')} on the scale {info.scale}"
        lost = [video_id for video_id, is_there in self.videos.items() if not is_there]
        n_files = len(self.videos) - len(lost)
        there = f"{_count(len(self.videos), 'video')}, files of {n_files} of them found"
        lines = [f"{info.task}: {what}; {there}"]
        if lost:
            lines.append(f"no file of {', '.join(lost[:5])}{', …' if len(lost) > 5 else ''}")
        command = "lmms_eval --model videojudge --model_args judge=random"
        return [
            *lines,
            f"kept in {self.folder}; remove it with: videojudge data remove {info.name}",
            f"try it: {command} --tasks {info.task} --output_path out",
        ]


def add(request: Request) -> Added:
    """Check a file and keep it as a gold set.

    Raises:
        ConfigError: the name is invalid or taken, or the folder of videos does not exist.
        DataError: with file, line and field: a row is invalid.
    """
    _check_name(request.name, overwrite=request.overwrite)
    if not request.file.is_file():
        raise ConfigError(f"no file {str(request.file)!r}; give a JSON Lines file of your ratings")
    shape = schema.shape_of(request.file)
    rows, files = 0, dict[str, Union[str, None]]()
    # A file may be too large to be kept in memory: it is read as a stream, and again to be stored.
    for row in schema.checked_rows(request.file, shape, request.scale):
        rows += 1
        files[row.video_id] = files.get(row.video_id) or row.video
    last = row if isinstance(row, schema.RatingRow) else None
    info = GoldSetInfo(
        name=request.name,
        title=request.title or request.file.name,
        kind=request.kind or ("options" if shape == "options" else "human"),
        shape=shape,
        licence=request.licence,
        source=f"added from {request.file.name}",
        how_to_get="",
        scale=request.scale,
        systems=last is not None and last.system is not None,
    )
    again = schema.checked_rows(request.file, shape, request.scale)
    folder = store.write(info, again, request.videos)
    goldsets.load.cache_clear()
    raters = 0 if last is None else len(last.ratings)
    return Added(info, rows, raters, _files_present(files, request.videos), folder)


def remove(name: str) -> str:
    """Remove a set that was added or prepared, but not its videos; return a line for the user.

    Raises UnknownNameError where there is none.
    """
    if not store.remove(name):
        raise UnknownNameError(
            "added or prepared set", name, store.names(), hint="See `videojudge data list`."
        )
    goldsets.load.cache_clear()
    if name in goldsets.names():
        return f"removed what was prepared of {name}; the task serves what the package has"
    return f"removed {name}; there is no task videojudge_{name} any more"


def read_scale(text: str) -> RatingScale:
    """Return the scale of a text such as `1-5`, `0-100` or `-2-2`, or raise ConfigError."""
    match = _SCALE.fullmatch(text)
    if match is None or int(match[1]) >= int(match[2]):
        raise ConfigError(
            f"the scale {text!r} is not LOW-HIGH in whole numbers, LOW below HIGH, such as 1-5"
        )
    return RatingScale(int(match[1]), int(match[2]))


def _check_name(name: str, *, overwrite: bool) -> None:
    if not store.NAME.fullmatch(name):
        raise ConfigError(
            f"the name {name!r} cannot be that of a task: it needs a lower-case letter first, then "
            "lower-case letters, digits and _, 64 at most"
        )
    if store.contains(name) and name in goldsets.extra_names():
        if not overwrite:
            raise ConfigError(f"there is a set {name!r}; give --overwrite, or another --name")
    elif name in goldsets.names():
        raise ConfigError(
            f"the name {name!r} is taken by the task videojudge_{name}; choose another --name"
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _files_present(files: dict[str, str | None], folder: Path | None) -> dict[str, bool]:
    there = jsonl.find_videos(folder) if folder else {}
    return {
        video_id: video_id in there or bool(folder and named and (folder / named).is_file())
        for video_id, named in files.items()
    }
