"""Decoding in processes that are kept, and killed when a file takes too long."""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from videojudge_bench.errors import ConfigError, VideoError
from videojudge_bench.video.batch import FrameFacts
from videojudge_bench.video.container import StreamFacts
from videojudge_bench.video.decoding import decode
from videojudge_bench.video.policy import FramePolicy

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 60.0
"""How long a video may take, beside `TIMEOUT_PER_FRAME_SECONDS` for each frame in the file."""

TIMEOUT_PER_FRAME_SECONDS = 0.05
"""Six times what a frame of 720p takes on one slow core. By frames, for they are in the file: a
damaged header may declare years."""

START_SECONDS = 120.0
STDERR_CHARACTERS = 600

_LEAVE_OUT = "Get the file anew or convert it (ffmpeg -i IN OUT.mp4), or leave the video out"


def decode_to_file(
    path: Path, policy: FramePolicy, target: Path, *, timeout_seconds: float | None
) -> FrameFacts:
    """Decode the frames that a policy asks for into a .npy file, (T, height, width, 3) uint8.

    An existing file is replaced; when this raises, its content is undefined. For the time limit see
    `load_frames`.

    Raises:
        VideoError: no frame could be decoded, the file took too long, or its decoder crashed.
        ConfigError: the policy's decoder cannot be used here, the target cannot be written, or no
            process can be started.
    """
    if timeout_seconds is None:
        facts = decode(path, policy, target)
    elif timeout_seconds > 0:
        request = {"policy": asdict(policy), "target": str(target.absolute())}
        fields = _facts(path, target, _ask(path, request, timeout_seconds))
        facts = FrameFacts(**{**fields, "times_seconds": tuple(fields["times_seconds"])})
    else:
        raise ConfigError(
            f"timeout_seconds={timeout_seconds}: expected a number above 0, or none for no limit"
        )
    if facts.bridged_seconds:
        logger.warning(
            "%s: its clock jumps by %.1f s in all, which are left out: frames follow one another",
            path, facts.bridged_seconds,
        )  # fmt: skip
    return facts


def look_into(path: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> StreamFacts:
    """Return what a file says of its video, read in a process; raises as `decode_to_file`."""
    return StreamFacts(**_facts(path, path, _ask(path, {}, timeout_seconds)))


def _ask(path: Path, request: Mapping[str, object], timeout_seconds: float) -> dict[str, Any]:
    """Return the answer of a worker; a worker that failed is not used again."""
    worker = POOL.take()
    sound = False
    try:
        reply = worker.ask(path, request, timeout_seconds)
        sound = True
    finally:
        if sound:
            POOL.give_back(worker)
        else:
            worker.kill()
    return reply


def _facts(path: Path, target: Path, reply: dict[str, Any]) -> dict[str, Any]:
    if "facts" in reply:
        facts: dict[str, Any] = reply["facts"]
        return facts
    if reply["error"] == "config":
        raise ConfigError(reply["problem"])
    if reply["error"] == "video":
        raise VideoError(path, reply["problem"], fix=reply["fix"])
    raise ConfigError(
        f"the frames of {path} cannot be written to {target.parent} ({reply['problem']}): make "
        "room there, or name another folder (VIDEOJUDGE_FRAMES=DIR for frames that are kept)"
    )


class Worker:
    """One process that decodes; the first request waits until it has started."""

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 # closed with the process
        # The parent's own search path: this package may be on it by no installation.
        start = "import sys; sys.path[:] = sys.argv[1:]; from videojudge_bench.video import worker"
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{start}; worker.main()", *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._ready = False
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True if the process runs."""
        return self._process.poll() is None

    def ask(
        self, path: Path, frames: Mapping[str, object], timeout_seconds: float
    ) -> dict[str, Any]:
        """Return the answer for one video; after an error the process is not to be used again.

        Raises:
            VideoError: no answer came in time, or the process died.
            ConfigError: the process could not start.
        """
        if not self._ready:
            if self._line(START_SECONDS) is None:
                raise ConfigError(f"the decoding process did not start: {self._last_words()}")
            self._ready = True
        request = {
            "path": str(path.absolute()),
            **frames,
            "limit_seconds": timeout_seconds,
            "limit_per_frame_seconds": TIMEOUT_PER_FRAME_SECONDS,
        }
        started, limit = time.monotonic(), timeout_seconds
        self._send(json.dumps(request).encode() + b"\n")
        while True:
            reply = self._line(started + limit - time.monotonic())
            if reply is None:
                raise self._failed(path, limit)
            if "frames" not in reply:
                return reply
            limit += TIMEOUT_PER_FRAME_SECONDS * reply["frames"]

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()
        self._process.wait()
        self.forget()

    def forget(self) -> None:
        """Close this side's files; the process, unless it hangs, ends by itself."""
        for file in (self._process.stdin, self._log):
            if file is not None:
                with suppress(OSError):  # the process that would read the rest has ended
                    file.close()

    def _send(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it died: the answer says so, with its last words
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(b"")

    def _line(self, seconds: float) -> dict[str, Any] | None:
        """The next line as JSON; None when none came in time or none will."""
        try:
            line = self._lines.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        reply: dict[str, Any] | None = json.loads(line) if line else None
        return reply

    def _failed(self, path: Path, limit_seconds: float) -> VideoError:
        try:
            # Its end of the pipe is closed a moment before the process is gone.
            code = self._process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            problem = f"decoding took more than {limit_seconds:.3g} s and was stopped"
            return VideoError(path, problem, fix=f"{_LEAVE_OUT}, or give it more timeout_seconds")
        end = f"signal {-code}" if code < 0 else f"exit status {code}"
        problem = f"the decoding process crashed on it ({end}{self._last_words(': ')})"
        return VideoError(path, problem, fix=_LEAVE_OUT)

    def _last_words(self, before: str = "") -> str:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - STDERR_CHARACTERS))
        words = self._log.read().decode("utf-8", "replace").strip()
        return before + words if words else ""


class Pool:
    """Workers without work; every thread that asks gets one of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        if hasattr(os, "register_at_fork"):
            # A forked child has the same pipes: two processes would read each other's answers.
            os.register_at_fork(after_in_child=self._start_anew)

    def take(self) -> Worker:
        """Return a worker that runs, an idle one if there is one."""
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
                worker.forget()
        return Worker()

    def give_back(self, worker: Worker) -> None:
        """Keep a worker for the next one that asks."""
        with self._lock:
            self._idle.append(worker)

    def close(self) -> None:
        """End all workers that are idle."""
        with self._lock:
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.kill()

    def _start_anew(self) -> None:
        self._lock, self._idle = threading.Lock(), []


POOL = Pool()
"""This process's workers. They end with it."""

atexit.register(POOL.close)
