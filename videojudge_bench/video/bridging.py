"""Times of a stream whose clock jumps (joined or interrupted recordings), as ffmpeg shows it."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet

JUMP_SECONDS = 10.0
"""In a transport stream or program stream a longer pause is a jump of the clock (a recording that
was joined or interrupted), which players bridge; ffmpeg's `-dts_delta_threshold`."""

BACK_SECONDS = 0.1
"""Decoding times that go back by more are a jump, too; ffmpeg has no option for it."""

OWN_TIMES = ("hevc", "vvc")
"""Codecs whose frames leave ffmpeg's decoder with the decoding time of their own packet, and not of
the packet that made them due; in the order of the screen these tell nothing."""


class Bridge:
    """Takes jumps out of a stream's clock, by the times of decoding.

    Where a packet's time is far from the end of the one before, it is to be decoded right after
    that one, and all later ones are moved with it.

    Attributes:
        moved: ticks to add to the times of the packet that was added last.
        jumped: ticks of all jumps together.
        part: number of the recording that this packet belongs to, as far as it shows: of two that
            overlap on the screen, the decoder gives all frames of the first before the others.
    """

    def __init__(self, base: Fraction, rate: float) -> None:
        self.moved = self.jumped = self.part = 0
        self._far, self._back = int(JUMP_SECONDS / base), int(BACK_SECONDS / base)
        self._usual = round(1 / (rate * base))
        self._last: int | None = None
        self._next = 0
        self._latest: int | None = None

    def add(self, packet: Packet) -> None:
        """Take note of the next packet of the stream."""
        if packet.dts is not None:
            time = packet.dts + self.moved
            jump = time - self._next
            if self._last is not None and (abs(jump) > self._far or time + self._back < self._last):
                self.moved -= jump
                self.jumped += abs(jump)
            self._next = packet.dts + self.moved
        self._last = self._next
        self._next += packet.duration or self._usual
        if packet.pts is not None:
            shown = packet.pts + self.moved
            latest = shown - 1 if self._latest is None else self._latest
            if packet.is_keyframe and shown <= latest:
                self.part += 1
            self._latest = max(shown, latest)


def shown_ticks(begins: Sequence[int], decoded: Sequence[int]) -> array[int]:
    """Return when frames are shown, ascending.

    A recording that was cut within a group of pictures overlaps on the screen with the one joined
    to it. Like ffmpeg's decoder, this goes by the times of decoding while those of presentation
    have gone back more often; and no frame is shown before an earlier one.

    Args:
        begins: their presentation times, in the order in which they come out of the decoder.
        decoded: the times at which packets are to be decoded, in the file's order.
    """
    overlap = any(after <= before for before, after in pairwise(begins))
    if not overlap or len(begins) != len(decoded):
        return array("q", accumulate(begins, max))
    ticks, faults = array("q"), 0
    delay = bisect_left(decoded, begins[0])
    for place, begin in enumerate(begins):
        at = min(place + delay, len(decoded))
        if place:
            faults += begin <= begins[place - 1]
            faults -= at < len(decoded) and decoded[at] <= decoded[at - 1]
        ticks.append(decoded[at] if faults > 0 and at < len(decoded) else begin)
    return array("q", accumulate(ticks, max))
