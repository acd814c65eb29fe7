"""The journal: every judgement is on disk before the next one is asked for.

A journal is a folder. Each process appends to a file of its own, `judgements-<rank>.jsonl`, under a
lock, and reads the files of all; so a run goes on after `kill -9`, and with another number of
processes. Lines go to the operating system one by one (nothing is lost when the process dies) and
to the disk in batches (at most a second's worth is lost when the machine dies).
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from videojudge_bench._util.files import cannot_write, write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import JournalBusyError
from videojudge_bench.verdicts import Judgement

logger = logging.getLogger(__name__)

RUN_FILE = "run.json"
SYNC_EVERY_LINES = 256
SYNC_EVERY_SECONDS = 1.0


class Journal:
    """Appends judgements under a key and gives back those that are already there.

    Use it as a context manager: entering takes the lock and repairs a last line that was cut by a
    crash; leaving writes everything to disk.

    Args:
        folder: made when missing.
        rank: of this process; names its file.

    Raises:
        JournalBusyError: on entering, when another process writes the same file.
        RunStoppedError: on entering, when the folder may not be written to.
    """

    def __init__(self, folder: Path, *, rank: int = 0) -> None:
        self.folder = folder
        self._path = folder / f"judgements-{rank}.jsonl"
        self._file = -1
        self._unsynced = 0
        self._synced_at = 0.0

    def __enter__(self) -> Journal:
        self._lock = FileLock(self._path.with_suffix(".lock"))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise JournalBusyError(
                f"another process is writing {self._path}. Wait for it, or give this run a "
                "journal of its own with journal=DIR"
            ) from error
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        try:
            cut_torn_line(self._path)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            self._lock.release()
            raise cannot_write(self._path, error) from error
        self._synced_at = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            os.fsync(self._file)
        except OSError as failed:
            raise cannot_write(self._path, failed) from failed
        finally:
            os.close(self._file)
            self._lock.release()

    def append(self, key: str, judgement: Judgement) -> None:
        """Record one judgement under its key.

        Raises:
            RunStoppedError: the disk is full. Half a line is cut off by whoever enters next.
        """
        line = json.dumps({"key": key, **judgement.to_json()}, ensure_ascii=False) + "\n"
        try:
            _write_all(self._file, line.encode("utf-8", "surrogatepass"))
            self._sync_now_and_then()
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def _sync_now_and_then(self) -> None:
        self._unsynced += 1
        now = time.monotonic()
        if self._unsynced >= SYNC_EVERY_LINES or now - self._synced_at >= SYNC_EVERY_SECONDS:
            os.fsync(self._file)
            self._unsynced, self._synced_at = 0, now

    def write_run(self, facts: Mapping[str, Json]) -> None:
        """Write `run.json`: what this journal is a journal of. Replaced as a whole."""
        text = json.dumps(facts, indent=1) + "\n"
        try:
            write_whole(self.folder / RUN_FILE, text)
        except OSError as error:
            raise cannot_write(self.folder / RUN_FILE, error) from error


def read_journal(folder: Path) -> dict[str, Judgement]:
    """Return all judgements of a journal by key; a later line replaces an earlier one.

    A line that cannot be read (a crash, a damaged disk) is left out and said in the log: its item
    is judged again. A failed judgement never replaces one that came through.
    """
    found: dict[str, Judgement] = {}
    for path in sorted(folder.glob("judgements-*.jsonl")):
        for key, judgement in _lines(path):
            if key not in found or found[key].failed or not judgement.failed:
                found[key] = judgement
    return found


def _lines(path: Path) -> Iterator[tuple[str, Judgement]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                data = json.loads(line)
                key = data.pop("key")
                if not isinstance(key, str):
                    raise TypeError(f"a key is text, found {key!r}")
                judgement = Judgement.from_json(data)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                logger.warning("%s, line %d left out: %s", path, number, error)
                continue
            yield key, judgement


def cut_torn_line(path: Path) -> None:
    """Cut the last line off when a crash left it without its end."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            start = max(0, end - (1 << 16))
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end != size:
            logger.warning(
                "%s: cut %d bytes of a line that a crash left unfinished", path, size - end
            )
            file.truncate(end)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
