"""Files with a clock that jumps, with pictures that are cut, and pictures that are no video."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from clips import FPS, HEIGHT, WIDTH, X264, X265, Maker, ffmpeg, numbers_of, reading
from encoders import encoded
from PIL import Image
from video_fixtures import broken_folder, clip_maker, no_process_left

from videojudge_bench.errors import VideoError
from videojudge_bench.video import FramePolicy, load_frames
from videojudge_bench.video.container import read_index
from videojudge_bench.video.sampling import choose

__all__ = ["broken_folder", "clip_maker", "no_process_left"]

PART = 75
"""Frames of a part, at 25 a second."""


ENCODINGS = {
    "B-frames": ("-an", *X264),
    "no B-frames": ("-an", *X264, "-bf", "0"),
    "cut within a group": ("-an", *X264, "-x264-params", "b-pyramid=none:b-adapt=0"),
    "HEVC": ("-an", *X265, "-pix_fmt", "yuv420p"),
    "MPEG-2": ("-an", *encoded("mpeg2video", "-bf", "2", "-g", "24", "-q:v", "2")),
    "program stream": ("-an", *encoded("mpeg2video", "-g", "24", "-q:v", "2"), "-bf", "0"),
    "sound": (*X264, "-bf", "0", "-c:a", "mp2", "-shortest"),
}


def stream(clips: Maker, folder: Path, encoding: str, starts: Sequence[float]) -> Path:
    """Recordings of three seconds that begin at these times, copied one behind another."""
    suffix = "mpg" if encoding == "program stream" else "ts"
    whole = clips.folder / f"{encoding}.{suffix}"
    if not whole.exists():
        sound = ("-f", "lavfi", "-i", "sine=duration=5")
        ffmpeg("-i", clips("cfr.mp4"), *sound, "-t", "5", *ENCODINGS[encoding], whole)
    part, path = folder / f"part.{suffix}", folder / f"joined.{suffix}"
    for start in starts:
        offset = ("-output_ts_offset", str(start))
        ffmpeg("-i", whole, "-c", "copy", "-frames:v", str(PART), *offset, part)
        with path.open("ab") as file:
            file.write(part.read_bytes())
    return path


@pytest.mark.parametrize(
    ("encoding", "starts"),
    [
        *((encoding, (0, 15, 503)) for encoding in ENCODINGS),  # as if minutes had been cut out
        ("no B-frames", (503, 0)),  # the clock begins anew
        ("cut within a group", (600, 540, 560, 545)),  # forward and back
        ("no B-frames", (600, 540, 560, 545)),
        ("program stream", (600, 540, 560, 545)),
        ("sound", (100, 90, 95)),
        ("no B-frames", (0, 2)),  # the second begins before the first ends
        ("B-frames", (5, 5)),
        ("cut within a group", (0, 3.02)),  # no jump, and frames that overlap
        ("no B-frames", (0, 8)),  # a pause of 5 s is one: ffmpeg bridges from 10 s on
    ],
)
def test_jumps_of_a_transport_streams_clock_are_bridged_as_ffmpeg_does(
    clips: Maker,
    tmp_path: Path,
    encoding: str,
    starts: tuple[float, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = stream(clips, tmp_path, encoding, starts)
    index, expected = read_index(path), reading(path)
    assert index.clock.available == len(index.clock.times_seconds) == PART * len(starts)
    assert index.clock.times_seconds == pytest.approx(expected.times, abs=2.5 / 90_000)
    end = expected.times[-1] + 1 / FPS
    assert index.clock.duration_seconds == pytest.approx(end, abs=2.5 / 90_000)
    with caplog.at_level(logging.WARNING):
        policy = FramePolicy(max_frames=6, fps=None, min_pixels=0)
        batch = load_frames(path, policy, timeout_seconds=None)
    assert batch.coverage == 1
    chosen = choose(index.clock, max_frames=6, fps=None)
    assert numbers_of(batch.frames) == numbers_of(expected.frames[chosen])
    jumps = starts not in [(0, 8), (0, 3.02)]
    assert (batch.bridged_seconds > 0) is jumps
    assert (f"{path.name}: its clock jumps by" in caplog.text) is jumps


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
