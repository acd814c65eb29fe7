"""Decoding by FFmpeg's own libraries, through PyAV."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench.video.container import Index, opened
from videojudge_bench.video.sampling import Run, plan

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from videojudge_bench.video.scaling import Picture, Scaler

THREADS = 1
"""Per video. With more, damaged files come out differently from run to run (how a picture is
patched up depends on the other threads), and several videos at once use a machine better."""

SEEK_PACKETS = 64
"""Number of packets up to which reading on is cheaper than seeking."""


class PyAVDecoder:
    """FFmpeg's own libraries, through PyAV."""

    name = "pyav"

    def version(self) -> str:
        """Return PyAV's version; its wheels bring one FFmpeg each."""
        return f"av {version('av')}"

    def pictures(
        self, path: Path, index: Index, positions: Sequence[int], scaler: Scaler
    ) -> Iterator[tuple[int, Picture]]:
        """Yield the wanted frames: only the packets that they need are decoded.

        Frames that did not come are asked for once more without short cuts: not every keyframe is
        one. A frame that the decoder marks as damaged is not given, nor what follows it up to the
        next keyframe: it is built on damage.
        """
        if not index.by_ticks:
            yield from _by_count(path, positions, scaler)
            return
        missing = {index.ticks[position]: position for position in positions}
        packets = [at for at, tick in enumerate(index.packet_ticks) if tick in missing]
        runs = plan(index.packet_ticks, index.keyframes, packets)
        whole = (Run(0, len(index.packet_ticks) - 1),)
        for pass_runs, skip in ((runs, True), (whole, False)):
            if missing:
                yield from _decoded(path, index, pass_runs, missing, scaler, skip=skip)


def _decoded(
    path: Path,
    index: Index,
    runs: Sequence[Run],
    missing: dict[int, int],
    scaler: Scaler,
    *,
    skip: bool,
) -> Iterator[tuple[int, Picture]]:
    """Yield what the runs give of the missing frames, and take it out of them."""
    with closing(_Reader(path, index)) as reader:
        for run in runs:
            for frame in reader.frames(run, missing if skip else None):
                if frame.pts in missing:
                    yield missing.pop(frame.pts), scaler.picture(frame)
            if not missing:
                return


class _Damage:
    """Follows damage through a stream: pictures build on earlier ones, up to the next keyframe.

    Packets go into a decoder before the pictures of earlier ones have come out, so it matters
    which keyframe the damage came after.
    """

    def __init__(self) -> None:
        self._lasts = False
        self._keyframe_in: int | None = None
        self._keyframe_out: int | None = None
        self._broken: int | None = None

    def error(self, packet: Packet | None) -> None:
        """Take note of a packet that could not be decoded; None is the end."""
        if packet is None:
            return
        self._broken = self._keyframe_in
        if packet.is_keyframe or self._keyframe_in == self._keyframe_out:
            self._lasts = True

    def decoded(self, packet: Packet | None) -> None:
        if packet is not None and packet.is_keyframe:
            self._keyframe_in = packet.pts

    def spoils(self, frame: VideoFrame) -> bool:
        """Return whether the next frame is damaged, by the decoder's flags or by its references."""
        from av.video.frame import PictureType

        if frame.is_corrupt:
            # Few pictures or none build on a B picture.
            self._lasts |= frame.pict_type != PictureType.B
            return True
        if frame.key_frame:
            self._keyframe_out = frame.pts
            self._lasts = frame.pts is not None and frame.pts == self._broken
            return False
        return self._lasts


class _Reader:
    """Reads and decodes runs of packets, in ascending order, seeking where that pays."""

    def __init__(self, path: Path, index: Index) -> None:
        self._path, self._index = path, index
        self._seekable = True
        self._stack = ExitStack()
        self._open()

    def close(self) -> None:
        self._stack.close()

    def _open(self) -> None:
        self._stack.close()
        self._container, self._stream = self._stack.enter_context(opened(self._path))
        self._stream.codec_context.thread_count = THREADS
        self._stream.codec_context.thread_type = "AUTO"
        self._packets: Iterator[Packet] = _packets(self._container, self._stream)
        self._next = 0

    def frames(self, run: Run, ticks: Container[int] | None) -> Iterator[VideoFrame]:
        """Yield the frames of a run; none where it turns out that decoding cannot begin there.

        A run begins at a keyframe, or with the file. With `ticks` (presentation times), frames that
        no other refers to are left out unless their time is among these.
        """
        from av.video.frame import PictureType

        frames = self._decoded(run, ticks)
        first = next(frames, None)
        if first is None:
            return
        if run.first > 0:
            # With periodic intra refresh a file calls pictures keyframes that build on others.
            whole = first.pict_type in (PictureType.I, PictureType.NONE)
            if not whole or first.pts != self._index.packet_ticks[run.first]:
                return
        yield first
        yield from frames

    def _decoded(self, run: Run, ticks: Container[int] | None) -> Iterator[VideoFrame]:
        self._go_to(run.first)
        codec = self._stream.codec_context
        codec.flush_buffers()
        damage = _Damage()
        skipping: bool | None = None
        begins = self._index.packet_ticks[run.first]
        for position, packet in self._read(run):
            early = packet.pts is not None and packet.pts < begins
            if early and 0 < run.first < position:
                continue  # it refers to pictures before the keyframe, which were left out
            skip = ticks is not None and packet.pts not in ticks
            if skip != skipping:
                codec.skip_frame = "NONREF" if skip else "DEFAULT"
                skipping = skip
            yield from self._sound(packet, damage)
        yield from self._sound(None, damage)

    def _sound(self, packet: Packet | None, damage: _Damage) -> Iterator[VideoFrame]:
        frames = _decode(self._stream.codec_context, packet, damage) or []
        return (frame for frame in frames if not damage.spoils(frame))

    def _read(self, run: Run) -> Iterator[tuple[int, Packet]]:
        for packet in self._packets:
            position = self._next
            self._next += 1
            if position >= run.first:
                yield position, packet
            if position >= run.last:
                return

    def _go_to(self, position: int) -> None:
        """Seek to a keyframe, if it is far; whether it was reached is read off the next packet."""
        import av

        if not self._seekable or position - self._next <= SEEK_PACKETS:
            return
        try:
            self._container.seek(self._index.packet_ticks[position], stream=self._stream)
        except av.FFmpegError:
            packet = None
        else:
            packets = _packets(self._container, self._stream)
            packet = next(packets, None)
        reached = None if packet is None else self._index.keyframe_at.get(packet.pts)
        if packet is None or reached is None or not self._next <= reached <= position:
            # This file has nothing to seek by, or something wrong: read on from its beginning, and
            # do not try again, for that would mean reading it once per run.
            self._open()
            self._seekable = False
            return
        self._packets = chain([packet], packets)
        self._next = reached


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """Yield the packets of a stream up to where the file can no longer be read."""
    import av

    with suppress(av.FFmpegError):  # the frames after this will be missing
        yield from (packet for packet in container.demux(stream) if packet.size)


def _decode(
    codec: VideoCodecContext, packet: Packet | None, damage: _Damage
) -> list[VideoFrame] | None:
    """Return what decoding a packet (None: the end) gives; None where that fails."""
    import av

    try:
        frames = codec.decode(packet)
    except av.FFmpegError:
        damage.error(packet)
        return None
    damage.decoded(packet)
    return frames


def _by_count(path: Path, expected: Sequence[int], scaler: Scaler) -> Iterator[tuple[int, Picture]]:
    """Decode a file without presentation times from its beginning, and count.

    A packet that cannot be decoded counts as one frame, or the later ones would be given too early.
    """
    positions, last, damage, position = set(expected), max(expected, default=-1), _Damage(), 0
    with opened(path) as (container, stream):
        for packet in chain(_packets(container, stream), [None]):
            frames = _decode(stream.codec_context, packet, damage)
            if frames is None:
                position += 1
                continue
            for frame in frames:
                if not damage.spoils(frame) and position in positions:
                    yield position, scaler.picture(frame)
                position += 1
            if position > last:
                return
