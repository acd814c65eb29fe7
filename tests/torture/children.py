"""Runs a command in a fork of this process, where everything is imported, and ends it at a point.

A fork takes milliseconds and an import seconds: so a hundred kills take a minute. This process
starts no thread of its own, and all work is done in children.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

Work = Callable[[], int]
Disturb = Callable[[], None]

HANGS_AFTER_SECONDS = 120.0

_CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"})
_WRITING = os.O_WRONLY | os.O_RDWR
_STATUS = 250  # how a child says that its command broke with a traceback


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        code: its exit status, negative for a signal.
        said: what it wrote to stdout and stderr.
        seconds: how long it took.
        hung: it was ended because it took too long.
    """

    code: int
    said: str
    seconds: float
    hung: bool = False

    @property
    def killed(self) -> bool:
        """Whether we ended it."""
        return self.code in {-signal.SIGKILL, -signal.SIGXFSZ}

    @property
    def broke(self) -> bool:
        """Whether it ended in a way that no user should see."""
        return self.hung or self.code == _STATUS or "Traceback (most recent call" in self.said

    @property
    def last_words(self) -> str:
        """The last line that it wrote."""
        return (self.said.strip().splitlines() or ["nothing"])[-1]


class Child:
    """A command that runs in a folder, in a process of its own.

    Args:
        work: the command; gives its exit status.
        folder: where it runs; the user's data and caches are kept there too.
        disturb: called first, in the child.
    """

    def __init__(self, work: Work, folder: Path, disturb: Disturb = lambda: None) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._started = time.monotonic()
        self._pipe, there = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._pipe)
            _be_child(work, folder, disturb, there)
        os.close(there)

    def end(self, *, kill_after_seconds: float | None = None) -> Ended:
        """Wait for it, or kill it after so many seconds."""
        said: list[bytes] = []
        limit = HANGS_AFTER_SECONDS if kill_after_seconds is None else kill_after_seconds
        until, hung = self._started + limit, False
        while True:
            left = until - time.monotonic()
            ready, _, _ = select.select([self._pipe], [], [], max(0.0, left))
            if not ready:
                hung = kill_after_seconds is None
                os.kill(self.pid, signal.SIGKILL)
                break
            piece = os.read(self._pipe, 1 << 16)
            if not piece:
                break
            said.append(piece)
        os.close(self._pipe)
        _, status = os.waitpid(self.pid, 0)
        text = b"".join(said).decode("utf-8", "replace")
        seconds = time.monotonic() - self._started
        return Ended(os.waitstatus_to_exitcode(status), text, seconds, hung)


def run(work: Work, folder: Path, disturb: Disturb = lambda: None) -> Ended:
    """Run a command to its end."""
    return Child(work, folder, disturb).end()


def _be_child(work: Work, folder: Path, disturb: Disturb, pipe: int) -> NoReturn:
    code = _STATUS
    try:
        os.dup2(pipe, 1)
        os.dup2(pipe, 2)
        os.close(pipe)
        # Whoever runs us, a test runner say, may have put files of its own in their places.
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
        os.chdir(folder)
        os.environ.update(XDG_DATA_HOME=str(folder / "home"), XDG_CACHE_HOME=str(folder / "cache"))
        disturb()
        code = work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - it becomes what the child says
        traceback.print_exc()
    finally:
        # The parent's own clean-up is none of the child's business.
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def count_operations(into: Path) -> Disturb:
    """Write down, at the end of every operation, how many there were."""

    def disturb() -> None:
        file = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        write = os.write

        def note(number: int, _: Callable[[], None]) -> None:
            os.lseek(file, 0, os.SEEK_SET)
            write(file, b"%d" % number)

        _watch(note)

    return disturb


def kill_at_operation(wanted: int) -> Disturb:
    """Kill the child at the n-th thing that it does to a file; half of a line is written first."""

    def note(number: int, half: Callable[[], None]) -> None:
        if number >= wanted:
            half()
            os.kill(os.getpid(), signal.SIGKILL)

    return lambda: _watch(note)


def _watch(note: Callable[[int, Callable[[], None]], None]) -> None:
    """Have `note` called before each change of a file, with its number from 1.

    The system's own hook sees files that are opened to write, renamed, removed and cut, and
    folders that are made and removed, whoever does it; writes and syncs of `os` are patched.
    """
    number = 0
    write, sync = os.write, os.fsync

    def count(half: Callable[[], None] = lambda: None) -> None:
        nonlocal number
        number += 1
        note(number, half)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        opens = event == "open" and len(arguments) == 3 and arguments[2] & _WRITING
        if event in _CHANGES or (opens and not isinstance(arguments[0], int)):
            count()

    def counted_write(file: int, data: bytes) -> int:
        def half() -> None:
            write(file, data[: len(data) // 2])

        count(half)
        return write(file, data)

    def counted_sync(file: int) -> None:
        count()
        sync(file)

    os.write, os.fsync = counted_write, counted_sync  # type: ignore[assignment]
    sys.addaudithook(hook)


def kill_in_write(byte: int) -> Disturb:
    """Let the system kill the child where a file grows beyond so many bytes: it is torn there."""

    def disturb() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (byte, byte))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return disturb


def small_files(byte: int) -> Disturb:
    """Let every write fail that makes a file larger than so many bytes, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (byte, byte))


def jumping_clocks(seed: int) -> Disturb:
    """Let the time of day jump back and forth by years, and other clocks forward by minutes."""

    def disturb() -> None:
        import random

        draw, day, steady = random.Random(seed), time.time, time.monotonic
        offset = 0.0

        def jumping_day() -> float:
            return day() + draw.uniform(-1e8, 1e8)

        def jumping_steady() -> float:
            nonlocal offset
            if draw.random() < 0.05:
                offset += draw.uniform(0, 600)
            return steady() + offset

        time.time, time.monotonic = jumping_day, jumping_steady

    return disturb
