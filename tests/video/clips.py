"""Clips whose every frame shows its number, made by ffmpeg, and ffmpeg's own reading of them.

Most are encoded where the tests run. Those that tests damage are committed in `fixtures/`, for what
a flipped byte or a cut does depends on every byte that the encoder wrote. `Maker` made them with
imageio-ffmpeg 0.8.1 (ffmpeg 9.0.2): `make = Maker(FIXTURES)`, and `make(name)` for each name there.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
from encoders import encoded

from videojudge_bench.video.policy import FramePolicy

Pixels = npt.NDArray[np.uint8]

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
WIDTH, HEIGHT, FRAMES, FPS = 160, 96, 300, 25
BITS, BAR = 10, 32
"""The number in binary, most significant bit first, in blocks across the topmost 32 rows."""

FIXTURES = Path(__file__).parent / "fixtures"

# A keyframe every 24 frames and nowhere else, whatever the encoder takes for a change of scene.
X264 = encoded("libx264", "-preset", "veryfast", "-g", "24", "-bf", "3", "-sc_threshold", "0",
               "-pix_fmt", "yuv420p")  # fmt: skip
X265 = encoded("libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params",
               "log-level=error:keyint=24:bframes=3:pools=1:frame-threads=1")  # fmt: skip


def ffmpeg(*arguments: str | Path, stdin: bytes | None = None) -> bytes:
    """Run ffmpeg and return what it writes to its standard output."""
    command = [FFMPEG, "-v", "error", "-y", *(() if stdin else ("-nostdin",)), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def picture(number: int) -> Pixels:
    """One frame: the bar code, and below it a ramp that moves to the right, in colours."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    block = WIDTH // BITS
    for bit in range(BITS):
        if number >> (BITS - 1 - bit) & 1:
            frame[:BAR, bit * block : (bit + 1) * block] = 255
    ramp = (np.arange(WIDTH) * 2 - number * 3) % 256
    frame[BAR:, :, 0] = 60 + ramp // 4
    frame[BAR:, :, 1] = 200 - ramp // 2
    frame[BAR:, :, 2] = np.linspace(40, 220, HEIGHT - BAR).astype(np.uint8)[:, None]
    return frame


def number_of(frame: Pixels) -> int:
    """The number that a frame shows, whatever its size."""
    height, width, _ = frame.shape
    row = frame[height // 6].mean(axis=1)
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    return int("".join("1" if value > 128 else "0" for value in row[centres]), 2)


def numbers_of(frames: Pixels) -> list[int]:
    """The numbers that frames show."""
    return [number_of(frame) for frame in frames]


@cache
def raw_pictures() -> bytes:
    """All frames as ffmpeg's raw video takes them."""
    return b"".join(picture(number).tobytes() for number in range(FRAMES))


class Clip(NamedTuple):
    """How a clip is made: from the pictures, or from another clip."""

    name: str
    options: tuple[str, ...]
    source: str | None = None
    before: tuple[str, ...] = ()


VFR = "setpts='(N*40+if(gt(N,60),(N-60)*55,0)+if(gt(N,200),(N-200)*311,0))/1000/TB'"

CLIPS = (
    Clip("cfr.mp4", X264),
    Clip("vfr.mp4", ("-vf", f"settb=1/1000,{VFR}", "-fps_mode", "passthrough",
                     "-enc_time_base", "1/1000", *X264)),
    Clip("vp9.webm", encoded("libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "24")),
    Clip("vp8.webm", encoded("libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-g", "24",
                             "-deadline", "good", "-cpu-used", "5", "-b:v", "400k")),
    Clip("av1.mp4", encoded("libsvtav1", "-preset", "12", "-g", "24", "-pix_fmt", "yuv420p",
                           "-svtav1-params", "lp=1")),
    Clip("hevc.mp4", (*X265, "-pix_fmt", "yuv420p")),
    Clip("ten_bit.mp4", (*X265, "-pix_fmt", "yuv420p10le")),
    Clip("open_gop.mkv", (*X264, "-x264opts", "open-gop=1")),
    Clip("refresh.mkv", (*X264, "-intra-refresh", "1")),
    Clip("bt709.mp4", ("-vf", "scale=out_color_matrix=bt709", *X264, "-colorspace", "bt709")),
    Clip("full_range.mp4", ("-vf", "scale=out_range=pc", *X264, "-color_range", "pc")),
    Clip("edit.mp4", ("-c", "copy"), "cfr.mp4", ("-ss", "1.3")),
    Clip("late.mp4", ("-c", "copy"), "cfr.mp4", ("-itsoffset", "2.5")),
    Clip("stream.ts", ("-c", "copy", "-pat_period", "5", "-sdt_period", "5"), "cfr.mp4"),
    Clip("program.mpg", encoded("mpeg2video", "-bf", "2", "-g", "24", "-q:v", "2")),
    Clip("flash.flv", ("-c", "copy"), "cfr.mp4"),
    Clip("b_frames.avi", encoded("mpeg4", "-bf", "2", "-g", "24", "-q:v", "2")),
    Clip("raw.h264", ("-c", "copy"), "cfr.mp4"),
    Clip("fast.mp4", ("-c", "copy", "-movflags", "+faststart"), "cfr.mp4"),
    *(Clip(f"turned{turn}.mp4", ("-c", "copy"), "cfr.mp4", ("-display_rotation", str(turn)))
      for turn in (90, 180, 270)),
    Clip("mirrored.mp4", ("-c", "copy"), "cfr.mp4", ("-display_hflip",)),
    Clip("flipped.mp4", ("-c", "copy"), "cfr.mp4", ("-display_vflip",)),
    Clip("both.mp4", ("-c", "copy"), "cfr.mp4", ("-display_rotation", "90", "-display_hflip")),
)  # fmt: skip
NAMES = tuple(clip.name for clip in CLIPS)


class Maker:
    """Makes clips in a folder, each when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._clips = {clip.name: clip for clip in CLIPS}

    def __call__(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            clip = self._clips[name]
            if clip.source is not None:
                ffmpeg(*clip.before, "-i", self(clip.source), *clip.options, path)
            else:
                raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}")
                source = (*raw, "-r", str(FPS), "-i", "-")
                ffmpeg(*source, *clip.options, path, stdin=raw_pictures())
        return path

    def damaged(self, name: str, fixture: str, damage: Callable[[bytearray], bytes]) -> Path:
        """A committed clip whose bytes were changed."""
        path = self.folder / name
        path.write_bytes(damage(bytearray((FIXTURES / fixture).read_bytes())))
        return path


def flipped_bits(seed: int) -> Callable[[bytearray], bytes]:
    """Damage twelve bytes in the second half of the pictures' data."""

    def damage(data: bytearray) -> bytes:
        dice = random.Random(seed)
        begin = data.find(b"mdat")
        for _ in range(12):
            data[dice.randrange(begin + (len(data) - begin) // 2, len(data))] ^= 0xFF
        return bytes(data)

    return damage


def cut(part: float) -> Callable[[bytearray], bytes]:
    """Keep this part of a file's bytes."""
    return lambda data: bytes(data[: int(len(data) * part)])


def late_frame(data: bytearray) -> bytes:
    """Put one frame of a transport stream three hours later: one bit of its presentation time."""
    header = -1
    for _ in range(60):
        header = data.index(b"\x00\x00\x01\xe0", header + 1)
    assert data[header + 7] & 0x80, "the packet states a presentation time"
    data[header + 9] ^= 0x02
    return bytes(data)


class Reading(NamedTuple):
    """What ffmpeg itself shows: frames and when, in seconds from the first."""

    frames: Pixels
    times: list[float]


def reading(path: Path) -> Reading:
    """Return all frames of a video as ffmpeg shows them, upright, edit lists respected."""
    passthrough = ("-an", "-sn", "-fps_mode", "passthrough", "-enc_time_base", "demux")
    # One thread: how damage is patched up depends on how far the other threads are.
    sizes = (
        ffmpeg("-threads", "1", "-i", path, *passthrough, "-f", "framecrc", "-")
        .decode()
        .splitlines()
    )
    base = next(line.split()[-1] for line in sizes if line.startswith("#tb"))
    size = next(line.split()[-1] for line in sizes if line.startswith("#dimensions"))
    ticks = [int(line.split(",")[2]) for line in sizes if not line.startswith("#")]
    numerator, denominator = map(int, base.split("/"))
    width, height = map(int, size.split("x"))
    raw = ffmpeg(
        "-threads", "1", "-i", path, *passthrough, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"
    )
    frames = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    return Reading(frames, [(tick - ticks[0]) * numerator / denominator for tick in ticks])


def every_frame(size: tuple[int, int] = (HEIGHT, WIDTH)) -> FramePolicy:
    """A policy for all frames of a clip, as large as they are (a multiple of 2 pixels)."""
    pixels = size[0] * size[1]
    return FramePolicy(max_frames=100_000, fps=None, min_pixels=pixels, max_pixels=pixels, factor=2)


def spread(count: int) -> FramePolicy:
    """A policy for some frames of a clip, as large as they are."""
    pixels = HEIGHT * WIDTH
    return FramePolicy(max_frames=count, fps=None, min_pixels=pixels, max_pixels=pixels, factor=2)


def broken_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that hold no video, and what the error says of each."""
    contents = {
        "empty.mp4": (b"", "the file is empty (0 bytes)"),
        "zeros.mp4": (bytes(5000), "the file begins with zeros (an unfinished download)"),
        "noise.mp4": (random.Random(1).randbytes(5000), "no video that can be opened"),
        "page.mp4": (b"<!DOCTYPE html><title>404</title>", "no video but a web page or XML"),
        "pointer.mp4": (b"version https://git-lfs.github.com/spec/v1\n", "no video but a Git LFS"),
        "playlist.mp4": (b"#EXTM3U\n#EXTINF:1,\ncfr.mp4\n", "no video but a playlist"),
    }
    for name, (content, found) in contents.items():
        (folder / name).write_bytes(content)
        yield folder / name, found
    still = ("-f", "lavfi", "-i", "testsrc2=duration=1:rate=1", "-frames:v", "1")
    ffmpeg(*still, "-f", "image2", "-c:v", "png", folder / "png.mp4")
    yield folder / "png.mp4", "no video but a PNG picture"
    sound = ("-f", "lavfi", "-i", "sine=duration=1")
    ffmpeg(*sound, "-c:a", "aac", folder / "audio.mp4")
    yield folder / "audio.mp4", "no video stream (the file holds audio)"
    ffmpeg(*sound, "-i", folder / "png.mp4", "-map", "0", "-map", "1", "-c:v", "png",
           "-disposition:v", "attached_pic", folder / "cover.mp4")  # fmt: skip
    yield folder / "cover.mp4", "no video stream (the file holds audio, video, a cover picture)"
