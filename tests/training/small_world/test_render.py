"""What a judge sees of a small world's videos: read back from mp4, the truth is in the pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from encoders import added

from videojudge_bench.training.small_world import render as renderer
from videojudge_bench.training.small_world.render import (
    CORNERS,
    LOOKS,
    SIDE,
    TILE,
    frames_of,
    render,
    write_video,
)
from videojudge_bench.training.small_world.world import COLOURS, VALUES, Scene, scene_of
from videojudge_bench.video import FramePolicy, load_frames

POLICY = FramePolicy(max_frames=60, min_pixels=0, max_pixels=SIDE * SIDE)

# Three of each domain and part, found again below by what is in their pixels.
VIDEOS = [
    f"{name}-{number:05d}"
    for name in ("train", "validation", "test", "test-unseen", "test-longer")
    for number in range(3)
]

Picture = npt.NDArray[np.float64]


@pytest.fixture(autouse=True)
def other_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encode as the environment says: what is read back must not depend on it."""
    flags = iter(added("libx264"))
    more = {flag.removeprefix("-"): value for flag, value in zip(flags, flags, strict=True)}
    monkeypatch.setattr(renderer, "_ENCODER", {**renderer._ENCODER, **more})


def seen(video: str, folder: Path) -> Picture:
    render(video, 0, folder)
    batch = load_frames(folder / f"{video}.mp4", POLICY, timeout_seconds=None)
    assert batch.coverage == 1.0
    assert batch.times_seconds == tuple(map(float, range(len(batch.frames))))
    return batch.frames.astype(np.float64)


def nearest_colour(pixels: Picture) -> int:
    """The colour that the middle one of some pixels is nearest to."""
    middle = np.median(pixels.reshape(-1, 3), axis=0)
    return int(np.argmin([np.linalg.norm(middle - c) for c in COLOURS.values()]))


def bars(tile: Picture, ground: float) -> list[int]:
    """Which of the three places for bars are bright, gaps between them apart."""
    bright = tile[TILE // 2 + 1 :].mean(axis=(0, 2))
    return [int(bright[at] > ground + 25) for at in (1, 5, 9)]


def moving(frame: Picture, still: Picture) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = abs(frame - still).max(axis=2) > 55
    return found


def still_of(scene: Scene) -> Picture:
    """The background alone, without noise."""
    look = LOOKS[scene.domain]
    shade: Picture = np.linspace(look.top, look.bottom, SIDE)[:, None, :].repeat(SIDE, axis=1)
    return shade


@pytest.mark.parametrize("video", VIDEOS)
def test_the_truth_is_in_the_pixels(video: str, tmp_path: Path) -> None:
    scene, frames = scene_of(video), seen(video, tmp_path)
    steps = LOOKS[scene.domain].frames
    assert frames.shape == (4 * steps, SIDE, SIDE, 3)
    mean, still = frames.mean(axis=0), still_of(scene)
    for corner, (y, x) in enumerate(CORNERS):
        tile = mean[y : y + TILE, x : x + TILE]
        assert nearest_colour(tile[: TILE // 2]) == scene.words["attribute"][corner]
        ground = still[y : y + TILE, x].mean()
        assert sum(bars(tile, ground)) == scene.words["count"][corner] + 1
    still = still.copy()
    for y, x in CORNERS:
        still[y : y + TILE, x : x + TILE] = mean[y : y + TILE, x : x + TILE]
    for step in range(4):
        shown = frames[step * steps : (step + 1) * steps]
        masks = [moving(frame, still) for frame in shown]
        pixels = np.concatenate([f[m] for f, m in zip(shown, masks, strict=True)])
        assert nearest_colour(pixels) == scene.words["order"][step]
        (y, x), (last_y, last_x) = (
            np.argwhere(mask).mean(axis=0) for mask in (masks[0], masks[-1])
        )
        down, right = last_y - y, last_x - x
        way = ("down" if down > 0 else "up") if abs(down) > abs(right) else (
            "right" if right > 0 else "left"
        )  # fmt: skip
        assert way == VALUES["motion"][scene.words["motion"][step]]
        assert max(abs(down), abs(right)) > 16


@pytest.mark.parametrize("number", range(4))
def test_shapes_are_told_by_their_size_and_form(number: int, tmp_path: Path) -> None:
    video = f"train-{number:05d}"
    scene, frames = scene_of(video), seen(video, tmp_path)
    for step in range(4):
        mask = moving(frames[step * 4 + 1], still_of(scene))[:, TILE : SIDE - TILE]
        y, x = np.argwhere(mask).T
        height, width = np.ptp(y) + 1, np.ptp(x) + 1
        form = 2 if height > 1.8 * width else int(mask.sum() > 220)
        assert form == scene.shapes[step]


def test_other_domains_look_otherwise() -> None:
    seen_ones = frames_of(scene_of("test-00000"))
    unseen = frames_of(scene_of("test-unseen-00000"))
    middle = slice(TILE + 4, SIDE - TILE - 4)
    dark = [np.median(frames[:, middle, 0:10], axis=(0, 1, 2)) for frames in (seen_ones, unseen)]
    assert dark[0] == pytest.approx([20, 20, 20], abs=1)
    assert dark[1] == pytest.approx([27.5, 37.5, 62.5], abs=2)
    masks = {name: [s(*np.mgrid[-9:10, -9:10][::-1].astype(float)).sum() for s in look.shapes]
             for name, look in LOOKS.items()}  # fmt: skip
    assert masks["seen"] == masks["longer"] == [149, 289, 133]
    assert masks["unseen"] == [208, 165, 181]


def test_the_same_scene_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        render("train-00000", 0, tmp_path / name)
    made = [(tmp_path / name / "train-00000.mp4").read_bytes() for name in ("one", "other")]
    assert made[0] == made[1]
    render("train-00000", 1, tmp_path)
    assert (tmp_path / "train-00000.mp4").read_bytes() != made[0]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames_of(scene_of("train-00000")))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    with pytest.raises(FileNotFoundError):
        render("train-00000", 0, tmp_path / "nowhere")
    # A folder stands where the file is to be: nothing half is left beside it.
    (tmp_path / "train-00001.mp4").mkdir()
    with pytest.raises(OSError, match="directory"):
        render("train-00001", 0, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "train-00001.mp4"]
