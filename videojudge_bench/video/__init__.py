"""Frames of videos: chosen once, by time, and the same for every judge.

`load_frames(path, FramePolicy(...))` returns a `FrameBatch`; with `store=FrameStore()` a video is
decoded once. Importing this package imports no video library.
"""

from videojudge_bench.video.batch import FrameBatch, FrameFacts
from videojudge_bench.video.frames import load_frames
from videojudge_bench.video.policy import FramePolicy, smart_resize
from videojudge_bench.video.store import FrameStore, default_frame_folder

__all__ = [
    "FrameBatch",
    "FrameFacts",
    "FramePolicy",
    "FrameStore",
    "default_frame_folder",
    "load_frames",
    "smart_resize",
]
