"""Sampling of frames: pure functions on times in seconds, no video library.

The convention, everywhere in this package: a *target* is a time; the frame taken for it is the one
that a player shows at that time, which is the last frame that begins at or before it. Frames are
chosen by their presentation times and never by their numbers, so variable frame rates come out
right; no frame is taken twice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

SAME_TIME_SECONDS = 1e-6
"""Less than one tick of any common time base (1/90,000 s): times this close are one time."""


MAX_LOST_FRAMES = 1 << 20
"""A damaged header may declare centuries; ten hours at 30 frames per second are enough."""


@dataclass(frozen=True)
class Clock:
    """Presentation times of the frames of a video.

    Attributes:
        times_seconds: when each frame begins, ascending, the first at 0; frames that the file
            declares but does not have (it was cut off) are at the end.
        available: how many of them the file has.
        duration_seconds: from the first frame's beginning to the last one's end.
    """

    times_seconds: tuple[float, ...]
    available: int
    duration_seconds: float

    @property
    def fps(self) -> float:
        """Mean frames per second over the whole video; 0 when its duration is 0."""
        duration = self.duration_seconds
        return len(self.times_seconds) / duration if duration > 0 else 0.0


def clock(times_seconds: Sequence[float], *, end_seconds: float, declared_seconds: float) -> Clock:
    """Return the clock of a video, with the frames that a cut has taken from its end.

    Args:
        times_seconds: when the frames that were found begin, ascending, the first at 0.
        end_seconds: when the last of them ends.
        declared_seconds: when the file says that the video ends, on the same clock; 0 or less: it
            does not say. More than a second and more than two frames later than `end_seconds`, the
            file counts as cut off; its missing frames are assumed at the mean distance of those
            found.
    """
    end = max(end_seconds, times_seconds[-1])
    gap, lost = end / len(times_seconds), declared_seconds - end
    if gap <= 0 or lost <= max(1.0, 2 * gap):
        return Clock(tuple(times_seconds), len(times_seconds), end)
    missing = int(min(lost / gap + 0.5, MAX_LOST_FRAMES))
    assumed = [end + k * gap for k in range(missing)]
    return Clock((*times_seconds, *assumed), len(times_seconds), declared_seconds)


def targets(clock: Clock, *, max_frames: int, fps: float | None) -> list[float]:
    """Return the times to take a frame at, ascending, in seconds from the first frame.

    With `fps`: 0, 1/fps, 2/fps, … before the end. Where that is more than `max_frames`, or where
    `fps` is None: `max_frames` times at equal distances, the first frame's beginning and the last
    one's included (of one: the middle). `FramePolicy` has checked both.
    """
    if fps is not None:
        # A count first: a wrong duration of years would make a list of that length.
        due = (clock.duration_seconds - SAME_TIME_SECONDS) * fps
        if due <= max_frames:
            count = max(1, -int(-due // 1))
            return [k / fps for k in range(count)]
    last = clock.times_seconds[-1]
    if max_frames == 1:
        return [last / 2]
    return [k * last / (max_frames - 1) for k in range(max_frames)]


def shown_at(times_seconds: Sequence[float], target_seconds: Sequence[float]) -> list[int]:
    """Return the distinct frames shown at the targets, as ascending positions in `times_seconds`.

    Two targets within one frame give it once: a short or slow video has fewer frames than targets.
    """
    positions = {bisect_right(times_seconds, t + SAME_TIME_SECONDS) - 1 for t in target_seconds}
    return sorted(max(0, position) for position in positions)


def choose(clock: Clock, *, max_frames: int, fps: float | None) -> list[int]:
    """Return the frames that a policy wants of a video, as ascending positions on its clock.

    A position from `clock.available` on is a frame that the file has lost.
    """
    return shown_at(clock.times_seconds, targets(clock, max_frames=max_frames, fps=fps))


@dataclass(frozen=True)
class Run:
    """Packets to decode without a gap, as positions in the file's order, both included."""

    first: int
    last: int


def plan(
    shown_ticks: Sequence[int], keyframes: Sequence[int], positions: Sequence[int]
) -> tuple[Run, ...]:
    """Return the fewest runs of packets to decode for the wanted packets.

    `shown_ticks` says when each packet is shown, in the file's order; `keyframes` and `positions`
    are ascending places in it. A new run begins only where a keyframe lets the decoder leave
    packets out. The keyframe must also be *shown* no later than the wanted frame: a frame that
    follows a keyframe in the file and is shown before it (open groups of pictures) needs what came
    before the keyframe.
    """
    runs: list[Run] = []
    entries: list[int] = []
    for keyframe in keyframes:  # one that is shown before an earlier one is in a damaged file
        if not entries or shown_ticks[keyframe] > shown_ticks[entries[-1]]:
            entries.append(keyframe)
    for position in positions:
        at = bisect_right(entries, position) - 1
        while at >= 0 and shown_ticks[entries[at]] > shown_ticks[position]:
            at -= 1
        start, last = (entries[at] if at >= 0 else 0), position
        # Several may be joined: a start may lie before those of packets wanted earlier.
        while runs and start <= runs[-1].last + 1:
            joined = runs.pop()
            start, last = min(start, joined.first), max(last, joined.last)
        runs.append(Run(start, last))
    return tuple(runs)
