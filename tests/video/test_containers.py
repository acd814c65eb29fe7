"""Files with a clock that jumps, with pictures that are cut, and pictures that are no video."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from clips import FPS, HEIGHT, WIDTH, Maker, ffmpeg, numbers_of
from PIL import Image
from video_fixtures import broken_folder, clip_maker, no_process_left

from videojudge_bench.errors import VideoError
from videojudge_bench.video import FramePolicy, load_frames
from videojudge_bench.video.container import read_index

__all__ = ["broken_folder", "clip_maker", "no_process_left"]

PART = 75
"""Frames of a part, at 25 a second."""


def stream(clip: Path, folder: Path, *starts: float) -> Path:
    """Recordings of three seconds that begin at these times, copied one behind another."""
    parts = []
    for number, start in enumerate(starts):
        part = folder / f"part{number}.ts"
        offset = ("-output_ts_offset", str(start))
        ffmpeg("-i", clip, "-c", "copy", "-frames:v", str(PART), *offset, part)
        parts.append(part.read_bytes())
    path = folder / "joined.ts"
    path.write_bytes(b"".join(parts))
    return path


def times_of_ffmpeg(path: Path) -> list[float]:
    """When ffmpeg shows the frames of a file."""
    lines = ffmpeg("-i", path, "-an", "-fps_mode", "passthrough", "-f", "framecrc", "-").decode()
    (base,) = [line.split()[2] for line in lines.splitlines() if line.startswith("#tb 0:")]
    over, under = map(int, base.split("/"))
    ticks = [int(line.split(",")[2]) for line in lines.splitlines() if line[0] != "#"]
    return [(tick - ticks[0]) * over / under for tick in ticks]


@pytest.mark.parametrize(
    ("starts", "seconds"),
    [
        ((0, 503), 6.0),  # as if five minutes had been cut out
        ((0, 15, 503), 9.0),
        ((503, 0), 6.0),  # the clock begins anew
        ((0, 8), 11.0),  # a pause of 5 s is one: ffmpeg bridges from 10 s on
    ],
)
def test_jumps_of_a_transport_streams_clock_are_bridged_as_ffmpeg_does(
    clips: Maker,
    tmp_path: Path,
    starts: tuple[float, ...],
    seconds: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = stream(clips("cfr.mp4"), tmp_path, *starts)
    index = read_index(path)
    assert index.clock.available == len(index.clock.times_seconds) == PART * len(starts)
    assert index.clock.duration_seconds == pytest.approx(seconds, abs=0.1)
    expected = times_of_ffmpeg(path)
    assert index.clock.times_seconds == pytest.approx(expected, abs=1.5 / FPS)
    with caplog.at_level(logging.WARNING):
        batch = load_frames(path, FramePolicy(max_frames=6, fps=None, min_pixels=0))
    assert batch.coverage == 1
    wanted = [round(time * FPS) for time in batch.times_seconds]
    if seconds < 10:
        assert numbers_of(batch.frames) == [place % PART for place in wanted]
    assert (batch.bridged_seconds > 0) is (seconds < 10)
    assert ("joined.ts: its clock jumps by" in caplog.text) is (seconds < 10)


def test_a_pause_in_another_container_stays(clips: Maker, tmp_path: Path) -> None:
    """An MP4 says for how long each picture is shown."""
    path = tmp_path / "slides.mp4"
    still = ("-vf", "select='lt(n,2)',setpts=N*30/TB", "-fps_mode", "passthrough")
    ffmpeg("-i", clips("cfr.mp4"), *still, "-c:v", "mpeg4", path)
    index = read_index(path)
    assert index.clock.times_seconds == (0.0, 30.0)
    assert index.bridged_seconds == 0


@pytest.mark.parametrize("left", [2, 6, 10, 18])
def test_pictures_are_cut_on_all_sides_as_ffmpeg_does(
    clips: Maker, tmp_path: Path, left: int
) -> None:
    path, right, top, bottom = tmp_path / "cut.mp4", 4, 2, 6
    cut = f"h264_metadata=crop_left={left}:crop_right={right}:crop_top={top}:crop_bottom={bottom}"
    ffmpeg("-i", clips("cfr.mp4"), "-c", "copy", "-bsf:v", cut, path)
    height, width = HEIGHT - top - bottom, WIDTH - left - right
    raw = ffmpeg("-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    expected = np.frombuffer(raw, np.uint8).reshape(height, width, 3)
    policy = FramePolicy(max_frames=2, fps=None, min_pixels=0, factor=2)
    first = load_frames(path, policy).frames[0]
    assert first.shape == (height, width, 3)
    assert np.abs(first.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("name", "animated", "found"),
    [
        ("a.webp", True, "no video but an animated WebP picture, which is not read"),
        ("a.webp", False, "no video but a WebP picture"),
        ("a.png", True, "no video but an animated PNG picture, which is not read"),
        ("a.png", False, "no video but a PNG picture"),
    ],
)
def test_pictures_are_no_videos(tmp_path: Path, name: str, animated: bool, found: str) -> None:
    shades = [Image.new("RGB", (32, 32), (40 * n, 0, 0)) for n in range(3)]
    path = tmp_path / name
    if animated:
        shades[0].save(path, save_all=True, append_images=shades[1:], duration=100)
    else:
        shades[0].save(path)
    path = path.rename(tmp_path / "video.mp4")
    with pytest.raises(VideoError) as caught:
        load_frames(path)
    assert caught.value.problem == found
    assert caught.value.fix.startswith("Convert it" if animated else "Get the file anew")
