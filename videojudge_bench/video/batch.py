"""Frames of a video, and the facts about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class FrameFacts:
    """Facts about the frames of a video, beside their pixels.

    Attributes:
        times_seconds: when each frame begins, ascending; 0 is the first frame that a player shows
            (edit lists respected).
        requested: how many frames the policy asks for.
        source_fps: mean frames per second of the video itself.
        duration_seconds: of the video, by its header where the file was cut off.
        decoder: name and version of what decoded it.
        bridged_seconds: by which the file's clock jumps, left out of all times; see `Index`.
    """

    times_seconds: tuple[float, ...]
    requested: int
    source_fps: float
    duration_seconds: float
    decoder: str
    bridged_seconds: float = 0.0

    @property
    def coverage(self) -> float:
        """Share of requested frames that were decoded, in (0, 1]; below 1, the file is damaged."""
        return len(self.times_seconds) / self.requested

    @property
    def sample_fps(self) -> float:
        """Frames per second among those taken (M-RoPE's time); of one frame, the video's own."""
        times = self.times_seconds
        if len(times) < 2:
            return self.source_fps
        return (len(times) - 1) / (times[-1] - times[0])


@dataclass(frozen=True, eq=False)
class FrameBatch(FrameFacts):
    """The frames that a judge sees of one video.

    Attributes:
        frames: (T, height, width, 3) uint8 RGB, upright; read-only when it comes from a store.
    """

    frames: Pixels = field(kw_only=True)

    def facts(self) -> dict[str, str | int]:
        """Return size, times and a hash of the pixels, to compare what two judges are shown."""
        count, height, width, _ = self.frames.shape
        return {
            "frames": count,
            "size": f"{width}x{height}",
            "times_seconds": " ".join(f"{seconds:.3f}" for seconds in self.times_seconds),
            "pixels": hashlib.sha256(self.frames.data).hexdigest()[:12],
        }
