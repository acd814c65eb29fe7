"""`load_frames`: the frames of a video that a policy selects."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from videojudge_bench.video.batch import FrameBatch
from videojudge_bench.video.policy import FramePolicy
from videojudge_bench.video.pool import TIMEOUT_SECONDS, decode_to_file
from videojudge_bench.video.store import FrameStore

HAS_MEMORY_FILES = hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir()
"""True if the system has anonymous files in memory, as Linux has."""


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
    reports no damage.)
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
    with _scratch_file() as target:
        facts = decode_to_file(path, policy, target, timeout_seconds=timeout_seconds)
        # What is in memory already is not copied: it stays there while it is used.
        frames = np.load(target, mmap_mode="c" if HAS_MEMORY_FILES else None)
        return FrameBatch(**asdict(facts), frames=frames.view(np.ndarray))


@contextmanager
def _scratch_file() -> Iterator[Path]:
    """A file that another process can open by its path, for a while.

    On Linux it is in memory and in no folder: whatever ends this process, nothing stays behind, and
    a container's small `/dev/shm` is no limit.
    """
    if HAS_MEMORY_FILES:
        descriptor = os.memfd_create("videojudge-frames")
        try:
            yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory(prefix="videojudge-") as folder:
        yield Path(folder) / "frames.npy"
