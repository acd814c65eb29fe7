"""Decoding of every video of a folder as by a judge, in parallel, and a list of the problems."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from videojudge_bench.doctor.findings import Finding, Section
from videojudge_bench.doctor.machine import cpu_cores
from videojudge_bench.errors import ConfigError, VideoError
from videojudge_bench.goldsets.jsonl import VIDEO_EXTENSIONS
from videojudge_bench.run.progress import progress_line
from videojudge_bench.video import FramePolicy, load_frames
from videojudge_bench.video.container import GET_ANOTHER
from videojudge_bench.video.pool import look_into

POLICY = FramePolicy(min_pixels=0, max_pixels=16 * 28 * 28)
"""The frames of a judge's default, but small: only decoding is tested."""

State = Literal["sound", "damaged", "broken"]
"""`damaged`: some of the frames that a judge asks for are missing."""


_ACCESS = "Give yourself the right to read it (chmod u+rx), or leave it out"


@dataclass(frozen=True)
class ScannedVideo:
    """Result of one file.

    Attributes:
        file: path inside the folder.
        coverage: decoded by requested frames; 0 of a broken one.
        codec: by FFmpeg's name; None where the file does not open.
        duration_seconds: by its header where it was cut off; None where the file does not open.
    """

    file: str
    state: State
    found: str = ""
    fix: str = ""
    coverage: float = 0.0
    codec: str | None = None
    duration_seconds: float | None = None


@dataclass(frozen=True)
class Scan:
    """Result of a folder."""

    folder: Path
    videos: Sequence[ScannedVideo] = field(default_factory=tuple)
    others: int = 0

    @property
    def problems(self) -> list[ScannedVideo]:
        """Those that are not sound."""
        return [video for video in self.videos if video.state != "sound"]

    def section(self) -> Section:
        """Return the summary."""
        name, states = str(self.folder), Counter(video.state for video in self.videos)
        values = {state: states[state] for state in ("sound", "damaged", "broken")}
        others = f"other files, not looked at: {self.others}"
        if not self.videos:
            text = f"no video in it ({', '.join(VIDEO_EXTENSIONS)}); {others}"
            fix = "Name the folder in which the videos lie"
            return Section("scan", "Scanned", [Finding(name, "broken", text, fix, values)])
        hours = sum(video.duration_seconds or 0.0 for video in self.videos) / 3600
        codecs = Counter(video.codec for video in self.videos if video.codec is not None)
        counts = ", ".join(f"{count} {codec}" for codec, count in codecs.most_common())
        parts = [f"{states['sound']} of {len(self.videos)} videos are sound"]
        if self.problems:
            parts.append(f"{states['damaged']} damaged, {states['broken']} broken")
        parts += [f"{hours:.2f} hours", counts or "no codec known", others]
        fix = "What is wrong with each stands below" if self.problems else ""
        status: Literal["ok", "broken"] = "broken" if self.problems else "ok"
        return Section("scan", "Scanned", [Finding(name, status, "; ".join(parts), fix, values)])


def check_scan(folder: Path | None, jobs: int | None) -> None:
    """Check folder and `jobs` before anything that takes long.

    Raises:
        ConfigError: there is no such folder, it cannot be read, or `jobs` is below 1.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs {jobs}: expected a number from 1 up")
    if folder is not None and not (folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)):
        raise ConfigError(
            f"the folder of videos {str(folder)!r} does not exist, is no folder or cannot be "
            "read; give the folder in which the videos lie"
        )


def scan_folder(folder: Path, jobs: int | None = None) -> Scan:
    """Return the result of every video in a folder and those below it, `jobs` at once.

    Each is decoded in a process with a time limit. By default there is one job a CPU core.

    Raises:
        ConfigError: as `check_scan`, no process can be started, or there is no room for frames.
    """
    check_scan(folder, jobs)
    files, others, unread = _files(folder)
    threads = ThreadPoolExecutor(jobs or cpu_cores(), "videojudge-doctor")
    videos: list[ScannedVideo] = []
    try:
        with progress_line("scanning", total=len(files), done=0) as advance:
            for video in threads.map(lambda path: _scanned(folder, path), files):
                videos.append(video)
                advance(parsed=video.state == "sound")
    finally:
        threads.shutdown(cancel_futures=True)
    return Scan(folder, (*videos, *unread), others)


def _files(folder: Path) -> tuple[list[Path], int, list[ScannedVideo]]:
    """Return files with an extension of videos, the number of others, and unreadable folders."""
    paths: list[Path] = []
    unread: list[ScannedVideo] = []
    others = 0

    def note(error: OSError) -> None:
        file = _printable(folder, Path(error.filename))
        unread.append(ScannedVideo(file, "broken", f"cannot be read ({error.strerror})", _ACCESS))

    for here, folders, files in os.walk(folder, onerror=note):
        for name in (*folders, *files):
            if Path(name).suffix.lower().lstrip(".") in VIDEO_EXTENSIONS:
                paths.append(Path(here) / name)
            else:
                others += name in files
    return sorted(paths), others, unread


def _printable(folder: Path, path: Path) -> str:
    # A name that is no UTF-8 could not be printed.
    return os.fsencode(path.relative_to(folder)).decode("utf-8", "replace")


def _scanned(folder: Path, path: Path) -> ScannedVideo:
    file = _printable(folder, path)
    codec: str | None = None
    duration: float | None = None
    try:
        stream = look_into(path)
        codec, duration = stream.codec, stream.duration_seconds
        coverage = load_frames(path, POLICY).coverage
    except VideoError as error:
        return ScannedVideo(file, "broken", error.problem, error.fix, 0.0, codec, duration)
    if coverage == 1:
        return ScannedVideo(file, "sound", "", "", coverage, codec, duration)
    text = f"{100 * coverage:.0f} % of the frames can be decoded; the file is damaged or cut off"
    return ScannedVideo(file, "damaged", text, GET_ANOTHER, coverage, codec, duration)
