"""Hides parts of the frames of training rows, so that nothing can be learnt from one part alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from videojudge_bench.hashing import content_hash
from videojudge_bench.video import FrameBatch

CELLS = 8
"""Along each side of a frame."""


def hidden(frames: FrameBatch, share: float, names: Sequence[str]) -> FrameBatch:
    """Return frames of which some cells have the mean colour of their frame.

    Each of 8 x 8 cells of each frame is drawn by itself: Hide-and-Seek (Singh and Lee, ICCV
    2017), with another draw for every frame. What is seen elsewhere has to do, so a
    property is learnt where it is, and not by what happens to lie beside it in the training data.

    Args:
        frames: (T, height, width, 3) uint8; they are not changed.
        share: how many of the cells are hidden on average, from 0 to below 1.
        names: the rows that the frames are for. The same names hide the same cells, in whatever
            order, process or epoch they come.
    """
    if not share:
        return frames
    import numpy as np

    rng = np.random.default_rng(int(content_hash(list(names))[:16], 16))
    pixels = np.array(frames.frames)
    time, height, width, _ = pixels.shape
    rows, columns = (np.arange(side) * CELLS // side for side in (height, width))
    for frame, cells in zip(pixels, rng.random((time, CELLS, CELLS)) < share, strict=True):
        frame[cells[np.ix_(rows, columns)]] = frame.mean(axis=(0, 1)).round()
    return dataclasses.replace(frames, frames=pixels)
