"""Decoded frames on disk: a video is decoded once per policy, whatever the number of judges.

An entry is two files, `<key>.npy` (the frames, uint8) and `<key>.json` (what is known of them). The
.json is written last and removed first, both by renaming or unlinking whole files: where it exists,
the entry is complete, and an array that is mapped stays readable after its file is gone (POSIX).
The key is made from the video's content, the policy and the decoder's version, so a moved or
renamed video keeps its entry and a changed one gets another.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench.errors import ConfigError, VideoError
from videojudge_bench.video.batch import FrameBatch
from videojudge_bench.video.content import content_hashes
from videojudge_bench.video.decoding import decoder_version
from videojudge_bench.video.policy import FramePolicy
from videojudge_bench.video.pool import TIMEOUT_SECONDS, decode_to_file

if TYPE_CHECKING:
    from videojudge_bench.video.batch import Pixels

logger = logging.getLogger(__name__)

FORMAT = 2
"""In every key: a change of how frames are chosen or stored makes old entries unreachable."""

FOLDER_VARIABLE = "VIDEOJUDGE_FRAMES"
SIZE_VARIABLE = "VIDEOJUDGE_FRAMES_GB"
DEFAULT_GB = 20.0
LOCKS = 64
LOCK_SECONDS = 1800.0


class FrameStore:
    """Frames kept in a folder that any number of processes may use at once.

    Args:
        folder: made when missing; None is `default_frame_folder()`.
        max_bytes: of frames in it; past that, the entries not used for the longest time go. Each
            process may add 1 % more before it looks, as listing every entry after every video
            would cost more than decoding. None is what `VIDEOJUDGE_FRAMES_GB` says in gigabytes,
            or 20.

    Raises:
        ConfigError: `max_bytes` is not above 0.
    """

    def __init__(self, folder: Path | None = None, *, max_bytes: int | None = None) -> None:
        if max_bytes is not None and max_bytes <= 0:
            raise ConfigError(f"max_bytes={max_bytes}: expected a number of bytes above 0")
        self.folder = folder or default_frame_folder()
        self.max_bytes = max_bytes or _default_max_bytes()
        self._entries, self._hashes = self.folder / "entries", content_hashes(self.folder)
        self._parts, self._locks = self.folder / "parts", self.folder / "locks"
        self._bytes_to_evict = 0
        """Bytes that may be added until entries are listed again."""

    def load(
        self, path: Path, policy: FramePolicy, *, timeout_seconds: float | None = TIMEOUT_SECONDS
    ) -> FrameBatch:
        """Return the frames of a video, decoding it when they are not here; memory-mapped.

        Of several processes that want the same frames one decodes and the others wait. A video
        whose decoding fails leaves nothing behind and is tried again next time.

        Raises:
            VideoError: as `load_frames`, or another process has not finished with this video.
            ConfigError: as `load_frames`, or the folder cannot be written to.
        """
        try:
            key = self.key(path, policy)
            batch = self._read(key)
            if batch is None:
                with self._locked(path, key):
                    batch = self._read(key) or self._decode(key, path, policy, timeout_seconds)
                self._bytes_to_evict -= batch.frames.nbytes
                if self._bytes_to_evict < 0:
                    self.evict()
        except OSError as error:
            raise ConfigError(
                f"frames cannot be kept in {self.folder} ({error.strerror or error}): make room "
                f"there, or name another folder ({FOLDER_VARIABLE}=DIR)"
            ) from error
        return batch

    def key(self, path: Path, policy: FramePolicy) -> str:
        """Return the name of a video's entry, 64 hex digits; raises as `load`."""
        version = decoder_version(path, policy)
        parts: dict[str, Json] = {
            "format": FORMAT,
            "video": self._hashes.of(path),
            "decoder": version,
            "policy": dict(policy.settings()),
        }
        return content_hash(parts)

    @property
    def size_bytes(self) -> int:
        """Size of the stored frames in bytes."""
        return sum(size for _, size, _ in self._by_last_use())

    def evict(self) -> None:
        """Remove what is over the limit, the longest unused first, and what crashes left behind."""
        self._make_folders()
        with self._evict_lock():
            entries = self._by_last_use()
            total = sum(size for _, size, _ in entries)
            # The newest stays, even if it alone is over the limit: it was just requested.
            for _, size, key in entries[:-1]:
                if total <= self.max_bytes:
                    break
                self._remove(key)
                total -= size
            self._sweep()
        self._bytes_to_evict = self.max_bytes // 100

    def _read(self, key: str) -> FrameBatch | None:
        import numpy as np

        facts_file = self._entries / f"{key}.json"
        try:
            facts: dict[str, Any] = json.loads(facts_file.read_text(encoding="utf-8"))
            frames: Pixels = np.load(self._entries / f"{key}.npy", mmap_mode="r")
            batch = FrameBatch(
                **{**facts, "times_seconds": tuple(facts["times_seconds"])}, frames=frames
            )
            if len(frames) != len(batch.times_seconds):
                raise ValueError(f"{len(frames)} frames, {len(batch.times_seconds)} times")
            with suppress(PermissionError):  # another user's entry serves as well
                os.utime(facts_file)  # last use; the system's own access times are often off
        except FileNotFoundError:
            return None  # not here, or evicted between two of these lines
        except (ValueError, TypeError, KeyError, EOFError) as error:
            logger.warning("%s is damaged (%s); it is made anew", facts_file, error)
            return None
        return batch

    def _decode(
        self, key: str, path: Path, policy: FramePolicy, timeout_seconds: float | None
    ) -> FrameBatch:
        # A name of our own: the worker of a process that was killed may still write to its part.
        part = self._parts / f"{key}.{os.getpid()}.npy"
        try:
            facts = decode_to_file(path, policy, part, timeout_seconds=timeout_seconds)
            if self.key(path, policy) != key:
                raise VideoError(path, "it was replaced while it was decoded", fix="Run again")
            with part.open("rb+") as file:  # no name may outlive a power cut without its content
                os.fsync(file.fileno())
            write_whole(self._parts / f"{key}.json", json.dumps(asdict(facts)))
            with self._evict_lock():  # no eviction before it is mapped here
                part.replace(self._entries / f"{key}.npy")
                (self._parts / f"{key}.json").replace(self._entries / f"{key}.json")
                batch = self._read(key)
        finally:
            part.unlink(missing_ok=True)
        if batch is None:
            fix = "Let nothing else remove files there, or give the store another folder"
            raise VideoError(path, f"its frames were gone at once from {self.folder}", fix=fix)
        return batch

    @contextmanager
    def _locked(self, path: Path, key: str) -> Iterator[None]:
        """Hold the lock of a key; a few locks serve all keys, for they are never removed."""
        self._make_folders()
        try:
            held = FileLock(self._lock_of(key)).acquire(LOCK_SECONDS)
        except Timeout as error:
            problem = f"another process has been at it for {LOCK_SECONDS:.0f} s"
            fix = f"Look for a process that hangs and holds {self._lock_of(key)}"
            raise VideoError(path, problem, fix=fix) from error
        with held:
            yield

    def _make_folders(self) -> None:
        for folder in (self._entries, self._parts, self._locks):
            folder.mkdir(parents=True, exist_ok=True)

    def _evict_lock(self) -> FileLock:
        """Held for milliseconds: while entries are removed, or one is published."""
        return FileLock(self._locks / "evict", timeout=LOCK_SECONDS)

    def _lock_of(self, key: str) -> Path:
        return self._locks / f"{int(key.lstrip('.')[:4], 16) % LOCKS:02d}"

    def _by_last_use(self) -> list[tuple[int, int, str]]:
        """Last use, bytes and key of every entry, the longest unused first."""
        entries: list[tuple[int, int, str]] = []
        with suppress(FileNotFoundError), os.scandir(self._entries) as files:
            for file in files:
                if not file.name.endswith(".npy"):
                    continue
                frames = Path(file.path)
                with suppress(FileNotFoundError):
                    size, used = frames.stat().st_size, frames.stat().st_mtime_ns
                    with suppress(FileNotFoundError):  # without it: a crash between two renames
                        used = frames.with_suffix(".json").stat().st_mtime_ns
                    entries.append((used, size, frames.stem))
        return sorted(entries)

    def _remove(self, key: str) -> None:
        for suffix in (".json", ".npy"):
            # Windows does not remove a file that is mapped: it goes when nobody reads it.
            with suppress(FileNotFoundError, PermissionError):
                (self._entries / f"{key}{suffix}").unlink()

    def _sweep(self) -> None:
        """Remove parts of processes that have ended: the locks of their keys are free."""
        for part in list(self._parts.iterdir()):
            with suppress(Timeout), FileLock(self._lock_of(part.name), timeout=0):
                part.unlink(missing_ok=True)


def default_frame_folder() -> Path:
    """Return the folder that `VIDEOJUDGE_FRAMES` names, or one under the user's cache folder.

    The cache folder is `XDG_CACHE_HOME`, or else `.cache` in the home folder.
    """
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "videojudge_bench" / "frames"


def _default_max_bytes() -> int:
    text = os.environ.get(SIZE_VARIABLE) or str(DEFAULT_GB)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = math.nan
    if not 0 < gigabytes < math.inf:
        raise ConfigError(f"{SIZE_VARIABLE}={text}: expected a number of gigabytes above 0")
    return max(1, int(gigabytes * 1e9))
