"""Output folders that one run at a time writes to, and that hold no other files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError, DataError, JournalBusyError


@contextmanager
def owned(path: Path, mark: str, whose: str) -> Iterator[None]:
    """Make a folder if it is missing, and keep other runs from writing to it.

    Every folder of its kind has the file `mark`; messages name the kind, `whose`.

    Raises:
        JournalBusyError: another run writes to it.
        ConfigError: it cannot be made, or holds files and no `mark`.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be made ({error.strerror})") from error
    lock = FileLock(path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise JournalBusyError(
            f"another run is writing {path}. Wait for it, or give another folder"
        ) from error
    try:
        names = sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
        if names and mark not in names:
            raise ConfigError(
                f"{path} holds {', '.join(names[:3])}{' …' * (len(names) > 3)} and no {mark}, so "
                f"it is no {whose}'s. Give an empty folder, or a new one"
            )
        yield
    finally:
        lock.release()


def read_facts(path: Path) -> dict[str, Json]:
    """Return the JSON object in a file.

    Raises:
        DataError: it is malformed.
    """
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"not JSON ({error})", path=path) from error
    if not isinstance(value, dict):
        raise DataError("expected a JSON object", path=path)
    return value


def refuse_change(
    folder: Path, earlier: Mapping[str, Json], new: Mapping[str, Json], *, part: str = ""
) -> None:
    """Raise ConfigError, which names what differs, if a run was begun with other values."""
    changed = [
        f"{part}{key} was {earlier.get(key)!r} and is {new.get(key)!r}"
        for key in sorted({*earlier, *new})
        if earlier.get(key) != new.get(key)
    ]
    if changed:
        raise ConfigError.all_of(
            f"{folder} was begun with other values; give those, or another folder", changed
        )
