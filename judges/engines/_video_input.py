"""Frames and times of a video as inputs of models, in process and over servers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videojudge_bench.video import FrameFacts, FramePolicy

NOMINAL = 0.02
"""Relative difference up to which the rate of frames counts as the requested one."""

_MILLISECOND_TICKS = 1_000_000


@dataclass(frozen=True)
class VideoClock:
    """Times of frames as processors are told of them: as frames of a video of a high rate.

    Times are exact to the millisecond, the length to the nanosecond.

    Attributes:
        fps: of the clock.
        indices: when each frame is shown, in ticks; no two are equal.
        total: ticks of the video, so that `total / fps` is the number of frames times the seconds
            from one to the next. Processors take the rate of the frames from it.
    """

    fps: float
    indices: tuple[int, ...]
    total: int


def frame_policy(
    *,
    max_frames: int,
    fps: float | None,
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    total_pixels: int | None = None,
    factor: int,
) -> FramePolicy:
    """Return the policy that an engine's options stand for; None is the policy's default."""
    own = FramePolicy()
    most = own.max_pixels if max_pixels is None else max_pixels
    return FramePolicy(
        max_frames=max_frames,
        fps=fps,
        min_pixels=min(own.min_pixels, most) if min_pixels is None else min_pixels,
        max_pixels=most,
        total_pixels=total_pixels,
        factor=factor,
    )


def step_seconds(frames: FrameFacts, fps: float | None) -> float:
    """Return the seconds from one frame to the next.

    Frames taken at a fixed rate stand up to a frame of the video beside their targets. A mean rate
    within 2 % of the asked one counts as the asked one: transformers 4 cuts 1.998 s off to 1 s,
    which would put every other video on half the scale of time.
    """
    actual = frames.sample_fps
    if len(frames.times_seconds) < 2 or (fps is not None and abs(actual - fps) <= NOMINAL * fps):
        return 1.0 / (fps or actual)
    return 1.0 / actual


def video_clock(frames: FrameFacts, fps: float | None) -> VideoClock:
    """Return the times of frames that were asked for at a rate; None: spread evenly."""
    hertz = 1000 * _MILLISECOND_TICKS
    times = [round(1000 * time) * _MILLISECOND_TICKS for time in frames.times_seconds]
    length = len(times) * step_seconds(frames, fps)
    return VideoClock(float(hertz), _ascending(times), max(len(times), round(length * hertz)))


def _ascending(indices: Sequence[int]) -> tuple[int, ...]:
    """Indices of which no two are equal: some processors drop a frame that repeats one."""
    ascending: list[int] = []
    last = -1
    for index in indices:
        last = max(index, last + 1)
        ascending.append(last)
    return tuple(ascending)
