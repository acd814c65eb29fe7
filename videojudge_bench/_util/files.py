"""Atomic file writes, the folders of the package's data, and messages for system errors."""

from __future__ import annotations

import errno
import os
from importlib.resources import files
from pathlib import Path

from videojudge_bench.errors import ConfigError, RunStoppedError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that go away when there is room again."""

_ADVICE = {
    NO_ROOM: "Make room",
    (errno.EACCES, errno.EPERM, errno.EROFS): "Make it writable, or name another place",
    (errno.ENOTDIR, errno.EISDIR, errno.ENOENT): "Name another place",
    (errno.EBADF,): "Start the command with its streams open (no `>&-`)",
    (errno.EIO,): "Look at the disk",
    (errno.ENAMETOOLONG,): "Choose a shorter name",
}


def packaged(package: str) -> Path:
    """Return the folder of one of our packages with data, such as `tasks.sample`."""
    return Path(str(files(f"videojudge_bench.{package}")))


def check_output(path: Path, *suffixes: str, option: str = "--output") -> None:
    """Check that a file can be written, before hours of work.

    Raises:
        ConfigError: its name ends in none of `suffixes`, where some are given; its folder does not
            exist or may not be written to; or it is a folder itself. `option` is what named it.
    """
    problem = ""
    if path.is_dir():
        problem = "expected a file, got a folder; name a file in it"
    elif suffixes and path.suffix not in suffixes:
        problem = f"the name must end in {' or '.join(suffixes)}"
    elif not path.parent.is_dir():
        problem = f"there is no folder {path.parent}; make it first"
    elif not os.access(path.parent, os.W_OK):
        problem = "you may not write there; name another folder, or make this one writable"
    if problem:
        raise ConfigError(f"{option} {path}: {problem}")


def write_whole(path: Path, content: str | bytes, *, sync: bool = False) -> None:
    """Write a file, text as UTF-8, under a temporary name and rename it: no reader sees half of it.

    Each process has a temporary name of its own, so that two may write the same file. With `sync`
    the content is on the disk before the file gets its name, so it survives a machine that dies.

    Raises:
        OSError: it cannot be written; an earlier file of that name is left as it was.
    """
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def cannot_write(path: Path | str, error: OSError) -> RunStoppedError:
    """Return what to tell a user: the cause, and what helps against it."""
    advice = advice_on(error)
    again = f"{advice}, and run" if advice else "Run"
    return RunStoppedError(
        f"{path} cannot be written ({error.strerror}). {again} the same command again: what was "
        "recorded is kept, and is not asked for again"
    )


def advice_on(error: OSError) -> str:
    """Return what helps against an error of the system; empty where that is not known."""
    return next((advice for numbers, advice in _ADVICE.items() if error.errno in numbers), "")


def system_error(error: OSError) -> str:
    """Return an error of the system as a sentence: the file, the cause, what helps."""
    where = "" if error.filename is None else f"{error.filename}: "
    advice = advice_on(error)
    return f"{where}{error.strerror or error}" + (f". {advice}" if advice else "")
