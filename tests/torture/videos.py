"""Videos that are broken, odd or no videos: each gives frames or says why not, in bounded time."""

from __future__ import annotations

import os
import random
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import clips

from videojudge_bench.errors import VideoError
from videojudge_bench.video import FramePolicy, load_frames
from videojudge_bench.video.pool import POOL

FRAMES, ERROR, EITHER = "frames", "an error", "frames or an error"
LIMIT_SECONDS = 60.0
SAMPLES = Path(__file__).parents[2] / "tasks" / "sample" / "videos"
POLICY = FramePolicy(max_frames=8, fps=None, min_pixels=0, max_pixels=28 * 28 * 100)

_LAVFI = ("-f", "lavfi", "-i")
_CODED = ("cfr.mp4", "vfr.mp4", "vp9.webm", "vp8.webm", "av1.mp4", "hevc.mp4", "ten_bit.mp4",
          "b_frames.avi", "program.mpg", "stream.ts", "flash.flv", "raw.h264", "edit.mp4",
          "late.mp4", "turned90.mp4", "both.mp4", "refresh.mkv")  # fmt: skip
_SHORT = ("cfr.mp4", "edit.mp4", "turned90.mp4", "b_frames.avi")


@dataclass(frozen=True)
class Odd:
    """A path, and what is to come of it."""

    path: Path
    expected: str


@dataclass
class VideoTally:
    """What became of the videos."""

    tried: int = 0
    frames: int = 0
    errors: int = 0
    slowest_seconds: float = 0.0
    said: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


def odd_videos(folder: Path, *, short: bool) -> Iterator[Odd]:
    """Make the files and yield them."""
    make = clips.Maker(folder)
    for name in _SHORT if short else _CODED:
        yield Odd(make(name), FRAMES)
    yield from _made(folder)
    yield from _damaged(make)
    for path, _ in clips.broken_files(folder):
        yield Odd(path, ERROR)
    yield from _no_files(folder)
    for sample in sorted(SAMPLES.iterdir())[: 1 if short else None]:
        yield Odd(sample, FRAMES)


def _made(folder: Path) -> Iterator[Odd]:
    """Sound videos of unusual kinds."""
    kinds: dict[str, tuple[str, ...]] = {
        "one_frame.mp4": ("testsrc2=size=64x64:rate=1:duration=1", *clips.X264),
        "odd_size.mp4": ("testsrc2=size=63x41:rate=5:duration=2", "-c:v", "mpeg4"),
        "tiny.mp4": ("testsrc2=size=2x2:rate=5:duration=2", "-c:v", "mpeg4"),
        "huge.mp4": ("color=size=7680x4320:rate=1:duration=2", *clips.X264),
        "thread.mkv": ("color=size=4096x16:rate=5:duration=2", *clips.X264),
        "moving.gif": ("testsrc2=size=64x64:rate=5:duration=2",),
        "fast.mp4": ("testsrc2=size=64x64:rate=240:duration=2", *clips.X264),
        "slow.mkv": ("testsrc2=size=64x64:rate=1/60:duration=600", *clips.X264),
        "grey.mkv": ("testsrc2=size=64x64:rate=5:duration=2", "-c:v", "ffv1",
                     "-pix_fmt", "gray16le"),
        "clear.webm": ("testsrc2=size=64x64:rate=5:duration=2", "-c:v", "libvpx-vp9",
                       "-pix_fmt", "yuva420p"),
    }  # fmt: skip
    for name, (source, *options) in kinds.items():
        clips.ffmpeg(*_LAVFI, source, *options, folder / name)
        yield Odd(folder / name, EITHER if name in {"thread.mkv", "tiny.mp4"} else FRAMES)


def _damaged(make: clips.Maker) -> Iterator[Odd]:
    """Videos that were cut off, or whose bytes were changed."""
    draw = random.Random(3)

    def noise(data: bytearray) -> bytes:
        for _ in range(len(data) // 200):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        return bytes(data)

    def hole(data: bytearray) -> bytes:
        data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
        return bytes(data)

    def twice(data: bytearray) -> bytes:
        return bytes(data + data)

    changes: dict[str, tuple[str, Callable[[bytearray], bytes], str]] = {
        "half.mp4": ("cfr.mp4", clips.cut(0.5), ERROR),  # its index was at the end
        "half.avi": ("b_frames.avi", clips.cut(0.5), FRAMES),
        "almost.mp4": ("cfr.mp4", clips.cut(0.99), ERROR),
        "hundred.mp4": ("cfr.mp4", lambda data: bytes(data[:100]), ERROR),
        "one_byte.mp4": ("cfr.mp4", lambda data: bytes(data[:1]), ERROR),
        "flipped.mp4": ("cfr.mp4", clips.flipped_bits(5), FRAMES),
        "noise_all_over.mp4": ("cfr.mp4", noise, EITHER),
        "noise_all_over.avi": ("b_frames.avi", noise, EITHER),
        "hole.mp4": ("cfr.mp4", hole, EITHER),
        "twice.mp4": ("cfr.mp4", twice, FRAMES),
        "wrong_extension.webm": ("cfr.mp4", bytes, FRAMES),
        "no_extension": ("cfr.mp4", bytes, FRAMES),
        "a video: 100% 'odd' #1?.mp4": ("cfr.mp4", bytes, FRAMES),
    }
    for name, (source, damage, expected) in changes.items():
        yield Odd(make.damaged(name, source, damage), expected)


def _no_files(folder: Path) -> Iterator[Odd]:
    """What a path may lead to, other than a file."""
    yield Odd(folder / "missing.mp4", ERROR)
    (folder / "folder.mp4").mkdir()
    yield Odd(folder / "folder.mp4", ERROR)
    os.mkfifo(folder / "pipe.mp4")
    yield Odd(folder / "pipe.mp4", ERROR)
    with suppress(OSError), socket.socket(socket.AF_UNIX) as server:  # long paths are refused
        server.bind(str(folder / "socket.mp4"))
    yield Odd(folder / "socket.mp4", ERROR)
    (folder / "round.mp4").symlink_to(folder / "round.mp4")
    yield Odd(folder / "round.mp4", ERROR)
    (folder / "dangling.mp4").symlink_to(folder / "nowhere.mp4")
    yield Odd(folder / "dangling.mp4", ERROR)
    (folder / "linked.mp4").symlink_to(folder / "cfr.mp4")
    yield Odd(folder / "linked.mp4", FRAMES)
    yield Odd(Path("/dev/zero"), ERROR)
    shutil.copy(folder / "cfr.mp4", folder / "locked.mp4")
    (folder / "locked.mp4").chmod(0)
    yield Odd(folder / "locked.mp4", FRAMES if os.access(folder / "locked.mp4", os.R_OK) else ERROR)
    (folder / "sparse.mp4").touch()
    os.truncate(folder / "sparse.mp4", 1 << 33)
    yield Odd(folder / "sparse.mp4", ERROR)


def look_at_all(folder: Path, *, short: bool) -> VideoTally:
    """Load frames of every odd video, in the decoding process."""
    tally = VideoTally()
    for odd in odd_videos(folder, short=short):
        _look(odd, tally)
    POOL.close()
    return tally


def _look(odd: Odd, tally: VideoTally) -> None:
    started = time.monotonic()
    came, said = FRAMES, ""
    try:
        batch = load_frames(odd.path, POLICY, timeout_seconds=LIMIT_SECONDS)
        assert batch.frames.ndim == 4, batch.frames.shape
        tally.frames += 1
    except VideoError as error:
        came, said = ERROR, str(error).replace(f"{odd.path.parent}/", "")
        tally.errors += 1
    seconds = time.monotonic() - started
    tally.tried += 1
    tally.slowest_seconds = max(tally.slowest_seconds, round(seconds, 1))
    tally.said[odd.path.name] = said or f"{len(batch.frames)} frames, coverage {batch.coverage:.2f}"
    if odd.expected not in {came, EITHER}:
        tally.lost.append(f"{odd.path.name}: gave {came} ({said}), {odd.expected} was expected")
    if "crashed" in said or seconds >= LIMIT_SECONDS:
        tally.lost.append(f"{odd.path.name}: {said}")
