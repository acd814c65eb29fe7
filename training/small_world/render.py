"""Renderer of the small world: from a scene to frames and an mp4 file."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from videojudge_bench._util.files import write_whole
from videojudge_bench.training.small_world import world

if TYPE_CHECKING:
    from videojudge_bench.video.batch import Pixels

SIDE = 56  # side of a frame, in pixels: two patches of 28, as Qwen2.5-VL merges them
FPS = 1
TILE, BAR, PITCH = 12, 3, 4
"""Side of a corner's tile, width of a bar, and distance between bars. The tile's upper half has its
colour, and the bars below are white, so that a count looks the same in every colour.
"""

CORNERS = tuple((y, x) for y in (0, SIDE - TILE) for x in (0, SIDE - TILE))
"""Top and left of each tile, row by row."""

NOISE = 6.0
_STEP: Mapping[str, tuple[int, int]] = {
    "up": (0, -1),
    "down": (0, 1),
    "left": (-1, 0),
    "right": (1, 0),
}
_ENCODER = {"crf": "12", "preset": "veryfast", "threads": "1", "g": "4", "bf": "0"}

Grid = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Shape = Callable[[Grid, Grid], Mask]  # from distances to the centre, in pixels


@dataclass(frozen=True)
class Look:
    """Appearance of a domain.

    Attributes:
        shapes: the three shapes, of different areas.
        top: colour at the top of the background, which fades into `bottom`.
        speed: least and most, in pixels a frame.
        frames: of a step.
    """

    shapes: tuple[Shape, ...]
    top: tuple[float, float, float] = (20, 20, 20)
    bottom: tuple[float, float, float] = (20, 20, 20)
    speed: tuple[float, float] = (8.0, 10.5)
    frames: int = 4


_SHAPES: Mapping[str, Shape] = {
    "dot": lambda x, y: x**2 + y**2 <= 49,
    "square": lambda x, y: (abs(x) <= 8) & (abs(y) <= 8),
    "bar": lambda x, y: (abs(x) <= 3) & (abs(y) <= 9),
    "ring": lambda x, y: (x**2 + y**2 <= 81) & (x**2 + y**2 >= 16),
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) <= 2) & (np.maximum(abs(x), abs(y)) <= 9),
    "triangle": lambda x, y: (abs(y) <= 9) & (abs(x) <= (y + 9) / 2),
}
_SEEN = (_SHAPES["dot"], _SHAPES["square"], _SHAPES["bar"])
_UNSEEN = (_SHAPES["ring"], _SHAPES["cross"], _SHAPES["triangle"])
LOOKS: Mapping[world.Domain, Look] = {
    "seen": Look(_SEEN),
    "unseen": Look(_UNSEEN, (10, 25, 45), (45, 50, 80), speed=(6.0, 12.0)),
    "longer": Look(_SEEN, frames=6),
}


def frames_of(scene: world.Scene) -> Pixels:
    """Return the frames of a scene: (4 x frames of a step, 56, 56, 3) uint8 RGB."""
    look = LOOKS[scene.domain]
    rng = world.rng_of("frames", world.VERSION, scene.seed, scene.video_id)
    still = np.linspace(look.top, look.bottom, SIDE)[:, None, :].repeat(SIDE, axis=1)
    colours = np.array(list(world.COLOURS.values()), dtype=np.float64)
    for (y, x), colour, count in zip(
        CORNERS, scene.words["attribute"], scene.words["count"], strict=True
    ):
        still[y : y + TILE // 2, x : x + TILE] = colours[colour]
        for left in range(x, x + PITCH * (count + 1), PITCH):
            still[y + TILE // 2 + 1 : y + TILE, left : left + BAR] = world.COLOURS["white"]
    frames = np.repeat(still[None], world.SLOTS * look.frames, axis=0)
    for step in range(world.SLOTS):
        masks = _moving(scene, step, look, rng)
        for frame, mask in enumerate(masks, start=step * look.frames):
            frames[frame][mask] = colours[scene.words["order"][step]]
    frames += NOISE * rng.standard_normal(frames.shape, dtype=np.float32)
    pixels: Pixels = np.clip(frames, 0, 255).round().astype(np.uint8)
    return pixels


def _moving(scene: world.Scene, step: int, look: Look, rng: np.random.Generator) -> list[Mask]:
    """Masks of a step's object in each of its frames; it crosses the centre."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    right, down = _STEP[world.VALUES["motion"][scene.words["motion"][step]]]
    shape = look.shapes[scene.shapes[step]]
    speed = rng.uniform(*look.speed)
    masks: list[Mask] = []
    for frame in range(look.frames):
        along, aside = (frame - (look.frames - 1) / 2) * speed, rng.uniform(-1, 1)
        centre_x = SIDE / 2 + (right * along if right else aside)
        centre_y = SIDE / 2 + (down * along if down else aside)
        masks.append(shape(x - centre_x, y - centre_y))
    return masks


def write_video(path: Path, frames: Pixels) -> None:
    """Write frames as H.264 in mp4, one a second, atomically.

    The same frames give the same bytes, as long as PyAV's x264 is the same.
    """
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options=_ENCODER)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    write_whole(path, buffer.getvalue())


def render(video_id: str, seed: int, folder: Path) -> None:
    """Write the video of a scene into a folder, as `<video id>.mp4`."""
    write_video(folder / f"{video_id}.mp4", frames_of(world.scene_of(video_id, seed)))
