"""Whether a video file shows what another one shows, whatever its codec, size and frame rate.

Sixteen frames at fixed fractions of the duration, each as a perceptual hash: the signs, about
their median, of the 63 lowest frequencies (but the mean) of a 32 x 32 grey picture (Zauner 2010,
"Implementation and Benchmarking of Perceptual Image Hash Functions"). It withstands another
encoding, another size, and a few per cent cut off at the ends or at the edges. It is not made for
parts of a video: half of one, or one inside a longer one, looks like another video.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench.video import FramePolicy, load_frames

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Hashes = npt.NDArray[np.float32]

FRAMES = 16
BITS = 63

MAX_DISTANCE = 10
"""Bits of 63 in which two hashes of one picture may differ."""

MIN_SHARE = 0.5
"""Of the frames that must be alike. Measured on seven videos, each in eight versions: at least
0.81 of the frames of two versions are, and at most 0.13 of those of two videos."""

_MIN_CONTRAST = 4.0
"""Standard deviation of the grey values, 0-255: below it a picture is blank, and its hash noise."""

_POLICY = FramePolicy(
    max_frames=FRAMES, fps=None, min_pixels=0, max_pixels=64 * 64, factor=1, resampling="area"
)


def fingerprint(path: Path) -> Hashes:
    """Return the hashes of a video: (16, 63) float32 of 1 and -1, rows of 0 for blank frames.

    Where a video has fewer frames, some are repeated.

    Raises:
        VideoError: no frame could be decoded.
    """
    import numpy as np

    frames = load_frames(path, _POLICY).frames
    numbers = np.arange(FRAMES) * len(frames) // FRAMES
    return np.stack([_hash(frames[number]) for number in numbers]).astype(np.float32)


def _hash(frame: npt.NDArray[np.uint8]) -> Hashes:
    import numpy as np
    from PIL import Image
    from scipy.fft import dctn

    grey = Image.fromarray(frame).convert("L").resize((32, 32), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.float32)
    if values.std() < _MIN_CONTRAST:
        return np.zeros(BITS, np.float32)
    low = dctn(values, norm="ortho")[:8, :8].ravel()[1:]
    signs: Hashes = np.where(low > np.median(low), np.float32(1), np.float32(-1))
    return signs


class LookAlikes:
    """Finds the sets that have a video which looks like a given one.

    Raises:
        VideoError: a file of a set cannot be decoded.
    """

    def __init__(self, videos: Mapping[str, list[Path]]) -> None:
        import numpy as np

        known: dict[Path, Hashes] = {}
        for path in (path for paths in videos.values() for path in paths):
            known.setdefault(path.resolve(), np.empty(0, np.float32))
        for path in known:
            known[path] = fingerprint(path)
        numbers = {path: number for number, path in enumerate(known)}
        self._sets = {
            name: np.array([numbers[path.resolve()] for path in paths], np.intp)
            for name, paths in videos.items()
        }
        self._hashes = np.stack(list(known.values())) if known else np.zeros((0, FRAMES, BITS))

    def sets_like(self, hashes: Hashes) -> frozenset[str]:
        """Return the names of the sets that have a video with such hashes."""
        found = self._is_like(hashes)
        return frozenset(name for name, numbers in self._sets.items() if found[numbers].any())

    def _is_like(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        import numpy as np

        near = np.zeros((len(self._hashes), FRAMES), np.bool_)
        # One frame earlier or later: ends that were cut off move all times.
        for shift in (-1, 0, 1):
            mine = slice(max(0, -shift), FRAMES - max(0, shift))
            theirs = slice(max(0, shift), FRAMES - max(0, -shift))
            agreeing = np.einsum("fb,gfb->gf", hashes[mine], self._hashes[:, theirs])
            near[:, mine] |= agreeing >= BITS - 2 * MAX_DISTANCE
        seen = int(hashes.any(axis=1).sum())
        alike: npt.NDArray[np.bool_] = near.sum(axis=1) >= max(1.0, MIN_SHARE * seen)
        return alike
