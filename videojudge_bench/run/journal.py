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
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from videojudge_bench._util.files import cannot_write, write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import JournalBusyError
from videojudge_bench.verdicts import Judgement

logger = logging.getLogger(__name__)

RUN_FILE = "run.json"
SERVED = "served"
"""The field of `run.json` with the statements of servers about themselves."""

SYNC_EVERY_LINES = 256
SYNC_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Record:
    """A judgement in a journal.

    Attributes:
        judgement: the judgement.
        reader: version of what read its replies; 0 for a judge that reads none.
        at: when it replaced that of the same item under another key (a video that was replaced),
            in seconds since 1970; 0 of one that replaced none.
    """

    judgement: Judgement
    reader: int = 0
    at: int = 0


class Journal:
    """Appends judgements under a key and gives back those that are already there.

    Use it as a context manager: entering takes the lock and repairs a last line that a crash cut;
    leaving writes everything to disk. `rank`, of this process, names its file; `reader` is the
    version of what reads the replies.

    Attributes:
        records: what is in it, by key.

    Raises:
        JournalBusyError: on entering, when another process writes the same file.
        RunStoppedError: on entering, when the folder may not be written to.
    """

    records: Mapping[str, Record]

    def __init__(self, folder: Path, *, rank: int = 0, reader: int = 0) -> None:
        self.folder, self._reader = folder, reader
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
        with ExitStack() as undo:
            undo.callback(self._lock.release)
            try:
                cut_torn_line(self._path)
                self._read()
                self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            except OSError as error:
                raise cannot_write(self._path, error) from error
            undo.pop_all()
        self._synced_at = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.fsync(self._file)
        except OSError as failed:
            raise cannot_write(self._path, failed) from failed
        finally:
            os.close(self._file)
            self._lock.release()

    def keep(self, key: str, judgement: Judgement) -> None:
        """Record one judgement, unless it is what the journal says of its item already."""
        if self._last.get(judgement.item_id) == key:
            there = self.records[key]
            if (there.judgement, there.reader) == (judgement, self._reader):
                return
        self.append(key, judgement)

    def append(self, key: str, judgement: Judgement) -> None:
        """Record one judgement under its key.

        Raises:
            RunStoppedError: the disk is full. The next run cuts off the incomplete line.
        """
        record = Record(judgement, self._reader, self._replaces(key, judgement.item_id))
        numbers = {"reader": record.reader, "at": record.at}
        fields = {name: number for name, number in numbers.items() if number}
        line = json.dumps({"key": key, **fields, **judgement.to_json()}, ensure_ascii=False) + "\n"
        try:
            _write_all(self._file, line.encode("utf-8", "surrogatepass"))
            self._sync_now_and_then()
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._note(key, record)

    def _read(self) -> None:
        """Take over what the journal holds."""
        self.records = self._by_key = read_records(self.folder)
        self._last = _last_keys(self.records)

    def _note(self, key: str, record: Record) -> None:
        """Take over what was just written."""
        _add(self._by_key, key, record)
        self._last[record.judgement.item_id] = key

    def _replaces(self, key: str, item_id: str) -> int:
        """Return the time of a replacement, later than that of what is replaced; 0 for none."""
        last = self._last.get(item_id)
        if last is None:
            return 0
        earlier = self.records[last].at
        return earlier if last == key else max(earlier + 1, int(time.time()))

    def _sync_now_and_then(self) -> None:
        self._unsynced += 1
        now = time.monotonic()
        if self._unsynced >= SYNC_EVERY_LINES or now - self._synced_at >= SYNC_EVERY_SECONDS:
            os.fsync(self._file)
            self._unsynced, self._synced_at = 0, now

    def servers(self) -> list[Mapping[str, str]]:
        """Return what `run.json` says that servers said of themselves; empty without it."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            statements = json.loads((self.folder / RUN_FILE).read_text("utf-8"))[SERVED]
            return [{str(name): str(value) for name, value in each.items()} for each in statements]
        return []

    def write_run(self, facts: Mapping[str, Json]) -> None:
        """Write `run.json`: what this journal is a journal of. Replaced as a whole."""
        text = json.dumps(facts, indent=1) + "\n"
        try:
            write_whole(self.folder / RUN_FILE, text)
        except OSError as error:
            raise cannot_write(self.folder / RUN_FILE, error) from error


def read_records(folder: Path) -> dict[str, Record]:
    """Return all that a journal holds by key; a later line replaces an earlier one.

    A line that cannot be read (a crash, a damaged disk) is left out and said in the log: its item
    is judged again. A failed judgement never replaces one that came through.
    """
    records: dict[str, Record] = {}
    for path in sorted(folder.glob("judgements-*.jsonl")):
        for _, key, record in lines_of(path):
            _add(records, key, record)
    return records


def read_journal(folder: Path) -> dict[str, Judgement]:
    """Return the judgements of a journal by key; see `read_records`."""
    return {key: record.judgement for key, record in read_records(folder).items()}


def last_judgements(folder: Path) -> dict[str, Judgement]:
    """Return the last judgement of each item by the item's id.

    What an older reader made of replies is left out, and said in the log.
    """
    records = read_records(folder)
    newest = max((record.reader for record in records.values()), default=0)
    kept = {key: record for key, record in records.items() if record.reader == newest}
    if len(kept) < len(records):
        logger.warning(
            "%s: %d judgements left out, which an older version read from their replies; the same "
            "run reads them anew",
            folder, len(records) - len(kept),
        )  # fmt: skip
    return {item_id: kept[key].judgement for item_id, key in _last_keys(kept).items()}


def _last_keys(records: Mapping[str, Record]) -> dict[str, str]:
    """The key of the last judgement of each item; of two alike, one that came through."""
    keys: dict[str, str] = {}
    for key, record in sorted(records.items(), key=lambda r: (r[1].at, not r[1].judgement.failed)):
        keys[record.judgement.item_id] = key
    return keys


def _add(records: dict[str, Record], key: str, record: Record) -> None:
    there = records.get(key)
    if there is None or there.judgement.failed or not record.judgement.failed:
        records[key] = record


def lines_of(path: Path) -> Iterator[tuple[int, str, Record]]:
    """Yield the byte at which each line begins that can be read, its key and its record."""
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield start, *record_of(line)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                logger.warning("%s, line %d left out: %s", path, number, error)
            start += len(line)


def record_of(line: bytes) -> tuple[str, Record]:
    """Return the key and the record of a line."""
    data = json.loads(line)
    key = data.pop("key")
    if not isinstance(key, str):
        raise TypeError(f"expected a string as key, got {key!r}")
    reader, at = int(data.get("reader", 0)), int(data.get("at", 0))
    return key, Record(Judgement.from_json(data), reader, at)


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
