"""`load_frames`: a video and a policy in, what a judge sees out."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench.video.batch import FrameBatch, FrameFacts
from videojudge_bench.video.decoding import ArraySink, decode
from videojudge_bench.video.policy import FramePolicy
from videojudge_bench.video.pool import TIMEOUT_SECONDS, decode_to_file

if TYPE_CHECKING:
    from videojudge_bench.video.store import FrameStore

__all__ = ["FrameBatch", "FrameFacts", "FramePolicy", "load_frames"]

ROOM_BYTES = 2 << 30
"""Free memory that a folder in memory must have to be used."""


def load_frames(
    path: Path | str,
    policy: FramePolicy | None = None,
    *,
    store: FrameStore | None = None,
    timeout_seconds: float | None = TIMEOUT_SECONDS,
) -> FrameBatch:
    """Return the frames that a judge sees of a video.

    A file that is damaged or cut off gives the frames that are sound, and a `coverage` below 1.
    (A cut cannot be seen where a file does not state its length: fragmented MP4, live WebM. VP9
    decodes damage without a word.)
    Pixels are those of the file: interlaced pictures are not combined, oblong pixels not
    stretched, high dynamic range not mapped to the common one.

    Args:
        path: the video file.
        policy: which frames, how large; None: the paper's at evaluation, `FramePolicy()`.
        store: takes them from there, or puts them there; None decodes anew each time.
        timeout_seconds: the time limit of a video of no length; every 1000 frames in the file add
            50. The video is decoded in a process that is killed then. None decodes in this
            process, without a limit.

    Raises:
        VideoError: no frame could be decoded, it took too long, or the decoder crashed.
        ConfigError: the policy's decoder cannot be used here.
    """
    import numpy as np

    path, policy = Path(path), policy or FramePolicy()
    if store is not None:
        return store.load(path, policy, timeout_seconds=timeout_seconds)
    if timeout_seconds is None:
        sink = ArraySink()
        facts = decode(path, policy, sink)
        assert sink.array is not None, "a decoded video has frames"
        return FrameBatch(**asdict(facts), frames=sink.array)
    in_memory = _folder_in_memory()
    with tempfile.TemporaryDirectory(prefix="videojudge-", dir=in_memory) as folder:
        target = Path(folder) / "frames.npy"
        facts = decode_to_file(path, policy, target, timeout_seconds=timeout_seconds)
        # What is in memory already is not copied: it stays there, without a name, while it is used.
        frames = np.load(target, mmap_mode="c" if in_memory else None)
        return FrameBatch(**asdict(facts), frames=frames.view(np.ndarray))


def _folder_in_memory() -> Path | None:
    """A folder in memory where the system has one with room; None: there is none."""
    folder = Path("/dev/shm")
    # In a container it may be there and have next to no room.
    if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM_BYTES:
        return folder
    return None
