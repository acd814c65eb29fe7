"""Index of a video file without decoding: presentation times and key frames."""

from __future__ import annotations

import re
import stat
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench.errors import VideoError
from videojudge_bench.video.bridging import OWN_TIMES, Bridge, shown_ticks
from videojudge_bench.video.sampling import Clock, clock

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,ogg,asf,gif,ivf,rm,"
    "h264,hevc,obu,m4v,mjpeg,mxf,nut,yuv4mpegpipe"
)
"""Kinds of file that hold a video. Not playlists (hls, concat), which name other files, and not
pictures, which ffmpeg would show as a video of one frame."""

GET_ANOTHER = "Get the file anew from its source, or leave the video out"
CONVERT = "Convert the video to H.264 (ffmpeg -i IN OUT.mp4), or leave the video out"
CHECK_FOLDER = "Check the folder of videos (videos=DIR)"

_MAGIC = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"version https://git-lfs", "a Git LFS pointer (`git lfs pull` fetches the video)"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"#EXTM3U", "a playlist"),
    (b"<", "a web page or XML (perhaps the download's error page)"),
    (b"{", "JSON text (perhaps the download's error message)"),
)
_ANIMATED = "an animated {} picture, which is not read"

SPLICE_SECONDS = 1.0
"""Decoding times that go back by more are two recordings in one file, or damage."""

MAX_REORDER = 32
"""Frames by which the orders in the file and on the screen may differ; codecs allow 16."""

_DURATION_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


@dataclass(frozen=True)
class Index:
    """The frames of a video file.

    Attributes:
        clock: when they are shown.
        ticks: the presentation time of each available frame, ascending, in the stream's time base;
            empty when the file does not tell, or its clock goes back so that one time may be that
            of several frames (then frames are counted as they are decoded).
        packet_ticks: the same in the file's order, with those of packets that show nothing.
        keyframes: positions in `packet_ticks` where decoding can begin.
        keyframe_at: position of the keyframe with this presentation time.
        bridged_seconds: by which the clock of the file jumps, forward and back, all jumps together;
            its frames follow one another on `clock`.
    """

    clock: Clock
    ticks: array[int]
    packet_ticks: array[int]
    keyframes: array[int]
    keyframe_at: dict[int | None, int]
    bridged_seconds: float = 0.0

    @property
    def by_ticks(self) -> bool:
        """True if frames are found by their times rather than by counting."""
        return len(self.ticks) > 0


def check_readable(path: Path) -> None:
    """Raise VideoError if a file is missing, no file, not readable or empty."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise VideoError(path, "a folder or a device, not a file", fix=CHECK_FOLDER)
        with path.open("rb") as file:
            empty = not file.read(1)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # a name with a zero byte
        raise VideoError(path, "no such file", fix=CHECK_FOLDER) from error
    except OSError as error:
        raise VideoError(path, f"cannot be read ({error.strerror})", fix=CHECK_FOLDER) from error
    if empty:
        raise VideoError(path, "the file is empty (0 bytes)", fix=GET_ANOTHER)


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file; yields it and its video stream.

    Raises:
        VideoError: the file cannot be read or is no video, or has no video stream.
    """
    import av

    check_readable(path)
    # Not as `options`: with those, PyAV 15 corrupts memory where streams are found late (.mpg).
    whitelists = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{path}", container_options=whitelists)
    except (av.FFmpegError, OSError) as error:
        problem = _what_it_is(path, error)
        fix = "Convert it to a video, or leave it out" if "animated" in problem else GET_ANOTHER
        raise VideoError(path, problem, fix=fix) from error
    with container:
        yield container, _video_stream(path, container)


@dataclass(frozen=True)
class StreamFacts:
    """Header of a video file."""

    codec: str
    width: int
    height: int
    frames: int
    duration_seconds: float


def read_facts(path: Path) -> StreamFacts:
    """Return what a file says of its video, without decoding; raises as `read_index`."""
    with opened(path) as (_, stream):
        codec = stream.codec_context
        name, width, height = codec.codec.canonical_name, codec.width, codec.height
    clock = read_index(path).clock
    return StreamFacts(name, width, height, clock.available, clock.duration_seconds)


def read_index(path: Path) -> Index:
    """Return the frames of a video file.

    Every packet is read and none decoded: some 10 microseconds of CPU per frame. Where the file
    does not tell when its frames are shown (raw streams; AVI and MPEG-PS with B-frames), they are
    taken to be shown at the times at which they are to be decoded; where some of those are missing
    too, or go back, at the stream's rate. Transport and program streams may be recordings that were
    joined by copying one file after another: their frames are shown when ffmpeg shows them.

    Raises:
        VideoError: the file cannot be opened, or holds not one frame.
    """
    with opened(path) as (container, stream):
        packets = _Packets(stream)
        packets.read(container)
        # Of several recordings in one file the header tells about one, or counts the jumps.
        declared = 0.0
        if not packets.joined:
            declared = _declared_seconds(container, stream, packets.end_seconds(container))
    if not (packets.displayed if packets.exact else packets.count):
        raise VideoError(path, "a video stream without a frame", fix=GET_ANOTHER)
    return packets.index(declared) if packets.exact else packets.index_by_count(declared)


class _Packets:
    """Packet index of a stream."""

    def __init__(self, stream: VideoStream) -> None:
        assert stream.time_base is not None, "a stream in a file has a time base"
        self.base: Fraction = stream.time_base
        self._stream = stream
        self._rate = float(stream.guessed_rate or stream.average_rate or 25)
        self._codec = stream.codec_context.name
        self._vp8 = self._codec in ("vp8", "libvpx")
        # AVI has decoding times only, MPEG-PS times of some frames: with B-frames the presentation
        # times of the others are guesses.
        b_frames = stream.codec_context.has_b_frames
        self.exact = not (stream.container.format.name in ("avi", "mpeg") and b_frames)
        self.disordered = False
        self.count = 0
        self.displayed = array("q")
        # Of each of these: when it is shown on the bridged clock, when it ends, its recording.
        self._begins = array("q")
        self._ends = array("q")
        self._parts = array("q")
        self._decoded = array("q")
        self.packet_ticks = array("q")
        self.keyframes = array("q")
        self.keyframe_at: dict[int | None, int] = {}
        self._end_ticks: dict[int, int] = {}
        self._splice_ticks = int(SPLICE_SECONDS / self.base)
        self._bridge = Bridge(self.base, self._rate)
        self._jumps = stream.container.format.name in ("mpegts", "mpeg")

    def read(self, container: InputContainer) -> None:
        """Read all packets; of all streams, where only those tell whether the file was cut off."""
        import av

        whole = self._stream.duration is None
        try:
            for packet in container.demux() if whole else container.demux(self._stream):
                if not packet.size:
                    continue
                stream = packet.stream_index
                if packet.pts is not None:
                    end = packet.pts + (packet.duration or 0)
                    self._end_ticks[stream] = max(self._end_ticks.get(stream, end), end)
                if stream == self._stream.index:
                    self._add(packet)
        except av.FFmpegError:
            pass  # what was read counts; the frames that are missing lower the coverage
        self._leave_out_misplaced()

    def end_seconds(self, container: InputContainer) -> float:
        """Return when the last packet that was read ends, of whatever stream; 0 without packets."""
        bases = [stream.time_base or 0 for stream in container.streams]
        return max((float(end * bases[k]) for k, end in self._end_ticks.items()), default=0.0)

    def _leave_out_misplaced(self) -> None:
        """Drop frames with a damaged time: one alone would stretch the video to hours."""
        place = {ticks: position for position, ticks in enumerate(sorted(set(self._begins)))}
        order = {ticks: position for position, ticks in enumerate(dict.fromkeys(self._begins))}
        wrong = {ticks for ticks in place if abs(place[ticks] - order[ticks]) > MAX_REORDER}
        if len(wrong) > MAX_REORDER:  # then these moved the others as well
            self.exact, self.disordered = False, True
        if wrong:
            kept = [k for k, ticks in enumerate(self._begins) if ticks not in wrong]
            for column in (self.displayed, self._begins, self._ends, self._parts):
                column[:] = array("q", (column[k] for k in kept))

    def _add(self, packet: Packet) -> None:
        self.count += 1
        if self._jumps:
            self._bridge.add(packet)
        if packet.dts is not None:
            decoded = packet.dts + self._bridge.moved
            if self._decoded and self._decoded[-1] - decoded > self._splice_ticks:
                self.exact, self.disordered = False, True
            self._decoded.append(decoded)
        ticks = packet.pts
        if ticks is None:
            self.exact = False
            return
        hidden = self._vp8 and not memoryview(packet)[0] & 0x10
        if packet.is_keyframe and not packet.is_corrupt:
            self.keyframe_at[ticks] = len(self.packet_ticks)
            self.keyframes.append(len(self.packet_ticks))
        self.packet_ticks.append(ticks)
        if not packet.is_discard and not hidden:
            self.displayed.append(ticks)
            self._begins.append(ticks + self._bridge.moved)
            self._ends.append(self._begins[-1] + (packet.duration or 0))
            self._parts.append(self._bridge.part)

    def index(self, declared_seconds: float) -> Index:
        """Return the index; `declared_seconds` is the file's own word on when the video ends."""
        shown = dict(zip(zip(self._parts, self._begins, strict=True), self.displayed, strict=True))
        order = sorted(shown)
        decoded = self._decoded if self._codec not in OWN_TIMES else array("q")
        begins = shown_ticks([begin for _, begin in order], decoded)
        times = self._clock(begins, max(self._ends), declared_seconds)
        ticks = array("q", (shown[frame] for frame in order))
        if any(after <= before for before, after in pairwise(ticks)):
            # The clock goes back: one time may be that of several frames, so they are counted.
            return Index(times, array("q"), array("q"), array("q"), {}, self._bridged_seconds)
        keyframes = self.keyframes, self.keyframe_at
        return Index(times, ticks, self.packet_ticks, *keyframes, self._bridged_seconds)

    @property
    def joined(self) -> bool:
        """True if the clock of the file begins anew or jumps."""
        return self.disordered or self._bridge.jumped > 0

    @property
    def _bridged_seconds(self) -> float:
        return float(self._bridge.jumped * self.base)

    def index_by_count(self, declared_seconds: float) -> Index:
        """Return the index of a file whose presentation times are missing, or begin anew."""
        if len(set(self._decoded)) == self.count and not self.disordered:
            ticks = array("q", sorted(self._decoded))
            gap = (ticks[-1] - ticks[0]) // max(1, self.count - 1)
            times = self._clock(ticks, ticks[-1] + gap, declared_seconds)
        else:
            seconds = [number / self._rate for number in range(self.count)]
            end = self.count / self._rate
            times = clock(seconds, end_seconds=end, declared_seconds=declared_seconds)
        return Index(times, array("q"), array("q"), array("q"), {}, self._bridged_seconds)

    def _clock(self, ticks: array[int], end_ticks: int, declared_seconds: float) -> Clock:
        # Whole ticks are subtracted: a video that begins late has the very times of one that
        # does not, and is sampled alike.
        first, base = ticks[0], self.base
        seconds = [(tick - first) * base.numerator / base.denominator for tick in ticks]
        end = (end_ticks - first) * base.numerator / base.denominator
        declared = declared_seconds - first * base.numerator / base.denominator
        return clock(seconds, end_seconds=end, declared_seconds=declared)


def _declared_seconds(container: InputContainer, stream: VideoStream, end_seconds: float) -> float:
    """End of the video by the file's header, on the clock of its timestamps."""
    assert stream.time_base is not None
    if stream.duration is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    tag = _DURATION_TAG.search(stream.metadata.get("DURATION", ""))
    if tag:
        hours, minutes, seconds = tag.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    # The container's duration is that of its longest stream: it only tells of a cut where no
    # stream goes on to that time.
    declared = (container.duration or 0) / 1_000_000
    return declared if declared - end_seconds > 1.0 else 0.0


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    from av.codec.context import Flags
    from av.stream import Disposition
    from av.video.stream import VideoStream

    # FFmpeg's own choice: a file may hold the same video in several sizes.
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or Disposition.attached_pic in stream.disposition:
        kinds = sorted({str(other.type) for other in container.streams}) or ["nothing"]
        cover = ", a cover picture" if container.streams.video else ""
        problem = f"no video stream (the file holds {', '.join(kinds)}{cover})"
        raise VideoError(path, problem, fix=GET_ANOTHER)
    if not hasattr(stream.codec_context, "decode"):  # PyAV gives None, against its own types
        codec = "a codec that the installed PyAV does not know"
        raise VideoError(path, codec, fix=CONVERT)
    # Pictures that are cut on the left are cut to the pixel, and not to the next aligned one.
    stream.codec_context.flags |= Flags.unaligned
    return stream


def _what_it_is(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        beginning = file.read(1 << 16)
    start = beginning[:64]
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        animated = start[12:16] == b"VP8X" and bool(start[20] & 0b10)
        return f"no video but {_ANIMATED.format('WebP') if animated else 'a WebP picture'}"
    # The chunk acTL before the first picture (PNG 3, 11.3.4).
    if start.startswith(b"\x89PNG") and b"acTL" in beginning.partition(b"IDAT")[0]:
        return f"no video but {_ANIMATED.format('PNG')}"
    for magic, name in _MAGIC:
        if start.startswith(magic):
            return f"no video but {name}"
    if not any(start):
        return "no video: the file begins with zeros (an unfinished download)"
    reason = str(error).partition(":")[0]
    return f"no video that can be opened, or cut off before its index ({reason})"
