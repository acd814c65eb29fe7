"""Sets that a user added or prepared: kept in the user's data folder, one folder a set.

`<data folder>/videojudge_bench/goldsets/<name>/` holds `set.json` and `rows.jsonl.gz`, the rows in
the schema of `schema.py`. The data folder is `XDG_DATA_HOME`, by default `~/.local/share`. Videos
stay where they are; only their folder is written down.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock, Timeout
from pydantic import AfterValidator, BaseModel

from videojudge_bench.errors import ConfigError, DataError, JournalBusyError
from videojudge_bench.goldsets import jsonl, schema
from videojudge_bench.goldsets.base import GoldKind, GoldSet, GoldSetInfo, Shape
from videojudge_bench.scale import RatingScale

INFO_FILE, ROWS_FILE = "set.json", "rows.jsonl.gz"

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""Form of a set's name, which becomes the name of a task, a folder and a file."""


def _whole_scale(ends: tuple[int, int]) -> tuple[int, int]:
    RatingScale(*ends)
    return ends


ScaleEnds = Annotated[tuple[int, int], AfterValidator(_whole_scale)]
"""A scale as files have it: its lowest and its highest rating."""


class _InfoFile(BaseModel):
    model_config = jsonl.STRICT

    format: Literal[1]
    name: str
    title: str
    kind: GoldKind
    shape: Shape
    licence: str
    source: str
    scale: ScaleEnds
    data: str
    systems: bool
    videos: str | None


@dataclass(frozen=True)
class StoredSet:
    """A set in the store."""

    info: GoldSetInfo
    videos: Path | None


def root() -> Path:
    """Return the folder of the store; it need not exist."""
    data = os.environ.get("XDG_DATA_HOME")
    home = Path(data) if data else Path.home() / ".local" / "share"
    return home / "videojudge_bench" / "goldsets"


def names() -> list[str]:
    """Return the names of all sets in the store, sorted; other folders are ignored."""
    paths = root().glob(f"*/{INFO_FILE}")
    return sorted(path.parent.name for path in paths if NAME.fullmatch(path.parent.name))


def contains(name: str) -> bool:
    """Return whether a set of this name is in the store."""
    return bool(NAME.fullmatch(name)) and (root() / name / INFO_FILE).is_file()


def read(name: str) -> StoredSet:
    """Return the facts about a set; raises DataError where `set.json` is missing or invalid."""
    path = root() / name / INFO_FILE
    kept = jsonl.read_object(path, _InfoFile)
    if kept.name != name:
        problem = f"the set is called {kept.name!r}, and its folder {name!r}; add it again"
        raise DataError(problem, path=path, field="name")
    info = GoldSetInfo(
        **kept.model_dump(exclude={"format", "scale", "videos"}),
        how_to_get=f"add it again: videojudge data add FILE.jsonl --name {name} --overwrite",
        scale=RatingScale(*kept.scale),
    )
    return StoredSet(info, Path(kept.videos) if kept.videos else None)


def load(name: str) -> GoldSet:
    """Return a set; raises DataError where a file of it is missing or invalid."""
    kept = read(name)
    rows = schema.checked_rows(root() / name / ROWS_FILE, kept.info.shape, kept.info.scale)
    return schema.gold_set(rows, kept.info, kept.videos)


def write(info: GoldSetInfo, rows: Iterable[schema.Row], videos: Path | None) -> Path:
    """Write a set atomically, replacing one of the same name, and return its folder.

    Raises:
        ConfigError: the folder of videos does not exist.
        DataError: a row is too long to be read again.
        JournalBusyError: another process writes the set.
    """
    if videos is not None and not videos.is_dir():
        raise ConfigError(f"the folder of videos {str(videos)!r} does not exist or is no folder")
    folder = root() / info.name
    with _work_folder(info.name) as work:
        new = work / "new"
        new.mkdir()
        jsonl.write_lines(new / ROWS_FILE, map(line_of, rows))
        (new / INFO_FILE).write_text(_info_file(info, videos), encoding="utf-8")
        _move_away(folder, work)
        new.rename(folder)
    return folder


def remove(name: str) -> bool:
    """Remove a set from the store, the videos stay; return whether there was one."""
    if is_there := contains(name):
        with _work_folder(name) as work:
            _move_away(root() / name, work)
    return is_there


@contextmanager
def _work_folder(name: str) -> Iterator[Path]:
    """Yield an empty folder beside a set, for one process at a time, or raise JournalBusyError.

    The remains of a killed process are removed.
    """
    root().mkdir(parents=True, exist_ok=True)
    work = root() / f".{name}"
    # Beside the store, which holds nothing but sets; a lock outlives its set.
    lock = FileLock(root().with_name(f".{root().name}.{name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise JournalBusyError(
            f"another process is writing the set {name!r} in {root()}; run this again when it is "
            "done"
        ) from error
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        lock.release()


def _move_away(folder: Path, work: Path) -> None:
    """Move an earlier set to the folder that is deleted, so that no reader sees half of it."""
    if folder.exists() or folder.is_symlink():
        folder.rename(work / "old")


def line_of(row: schema.Row) -> str:
    """Return a row as JSON; raises DataError where it is too long to be read again."""
    line = row.model_dump_json(exclude_defaults=True)
    if len(line.encode()) >= jsonl.MAX_LINE_BYTES:
        raise DataError(
            f"a row of the video {row.video_id!r} is longer than {jsonl.MAX_LINE_BYTES} bytes; "
            "shorten its texts or subtitles",
            path=ROWS_FILE,
        )
    return line


def _info_file(info: GoldSetInfo, videos: Path | None) -> str:
    facts = {name: getattr(info, name) for name in _InfoFile.model_fields if hasattr(info, name)}
    facts |= {"format": 1, "scale": (info.scale.low, info.scale.high)}
    kept = _InfoFile(**facts, videos=None if videos is None else str(videos.resolve()))
    return kept.model_dump_json(indent=1) + "\n"
