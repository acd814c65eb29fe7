"""Content hashes of video files, remembered: a file that has not changed is read once."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from videojudge_bench._util.hashing import file_hash

HASHES_FILE = "hashes.jsonl"
MAX_LINES = 100_000
YOUNG_NS = 2_000_000_000
"""A file system may count in steps of two seconds: two changes within one look like one."""

State = tuple[int, int, int, int]
"""Inode, size, modification time and change time; a copy may keep the modification time of what it
replaces, and the change time is its own."""


class ContentHashes:
    """SHA-256 of files by path, inode, size, modification and change time, kept in a file.

    Any number of processes may append to it; what one of them does not know it works out anew.

    Args:
        path: of the file; made when missing. Where it cannot be written, hashes are kept in memory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[State, str]] | None = None
        self._lock = threading.Lock()

    def of(self, path: Path) -> str:
        """Return the SHA-256 (64 hex digits) of a file's bytes.

        A file that changed less than two seconds ago is hashed again next time.

        Raises:
            OSError: it cannot be read.
        """
        status = path.stat()
        state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        is_young = time.time_ns() - status.st_ctime_ns < YOUNG_NS
        name = os.path.abspath(path)  # noqa: PTH100 - resolve() asks for every folder on the way
        known = self._known_hashes().get(name)
        if known is not None and known[0] == state:
            return known[1]
        content = file_hash(path)
        if not is_young:
            self._remember(name, state, content)
        return content

    def _known_hashes(self) -> dict[str, tuple[State, str]]:
        with self._lock:
            if self._known is None:
                self._known = self._read()
            return self._known

    def _read(self) -> dict[str, tuple[State, str]]:
        hashes: dict[str, tuple[State, str]] = {}
        with suppress(OSError):
            lines = self._path.read_bytes().splitlines()
            if len(lines) > MAX_LINES:  # hashes are found again: one read of a file each
                self._path.unlink()
                return hashes
            for line in lines:
                with suppress(ValueError, TypeError):  # two processes may have written at once
                    name, state, content = json.loads(line)
                    hashes[name] = (tuple(state), content)
        return hashes

    def _remember(self, name: str, state: State, content: str) -> None:
        self._known_hashes()[name] = (state, content)
        line = json.dumps([name, state, content]).encode() + b"\n"
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(file, line)
            finally:
                os.close(file)


@cache
def content_hashes(folder: Path) -> ContentHashes:
    """Return the hashes that are kept in a folder; the same object to everyone in a process."""
    return ContentHashes(folder / HASHES_FILE)
