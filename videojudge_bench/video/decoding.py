"""Decoding of the frames of a policy into a file of pictures, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from videojudge_bench.errors import ConfigError, VideoError
from videojudge_bench.video.batch import FrameFacts
from videojudge_bench.video.container import (
    CONVERT,
    GET_ANOTHER,
    check_readable,
    opened,
    read_index,
)
from videojudge_bench.video.decoders import decoder_named
from videojudge_bench.video.policy import FramePolicy
from videojudge_bench.video.sampling import choose
from videojudge_bench.video.scaling import Scaler

if TYPE_CHECKING:
    from videojudge_bench.video.scaling import Picture


class _FrameFile:
    """Pictures in a .npy file, written row by row: they never are in memory all together."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._shape: tuple[int, ...] = ()
        self._start = 0

    def begin(self, shape: tuple[int, int, int, int]) -> None:
        self._shape = shape
        self._write_header(len_=shape[0])
        self._start = self._file.tell()

    def put(self, row: int, picture: Picture) -> None:
        self._go_to(row)
        self._file.write(picture.tobytes())

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows alone, ascending: the others were lost. Called once, at the end."""
        for new, old in enumerate(rows):
            self._go_to(old)
            pixels = self._file.read(self._row_bytes)
            self._go_to(new)
            self._file.write(pixels)
        self._go_to(len(rows))
        self._file.truncate()
        self._write_header(len_=len(rows))

    @property
    def _row_bytes(self) -> int:
        _, height, width, channels = self._shape
        return height * width * channels

    def _go_to(self, row: int) -> None:
        self._file.seek(self._start + row * self._row_bytes)

    def _write_header(self, len_: int) -> None:
        """Write numpy's header; it has the same length whatever the number of rows."""
        import numpy as np

        self._file.seek(0)
        header = {"descr": "|u1", "fortran_order": False, "shape": (len_, *self._shape[1:])}
        np.lib.format.write_array_header_1_0(self._file, header)


def decoder_version(path: Path, policy: FramePolicy) -> str:
    """Return the versions of what would decode a video, which its pixels depend on."""
    check_readable(path)
    return decoder_named(policy.decoder).version()


def decode(
    path: Path, policy: FramePolicy, target: Path, on_length: Callable[[int], None] = lambda _: None
) -> FrameFacts:
    """Decode the frames that a policy asks for into a .npy file, in this process, without a limit.

    As `decode_to_file`; `on_length` is called with the number of frames in the file, before any is
    decoded.

    Raises:
        VideoError: no frame could be decoded.
        ConfigError: the policy's decoder cannot be used here.
        OSError: the target cannot be written.
    """
    decoder = decoder_named(policy.decoder)
    index = read_index(path)
    on_length(index.clock.available)
    chosen = choose(index.clock, max_frames=policy.max_frames, fps=policy.fps)
    available = [position for position in chosen if position < index.clock.available]

    def size_of(height: int, width: int) -> tuple[int, int]:
        return _frame_size(path, policy, (height, width), frames=len(chosen))

    scaler = Scaler(size_of, policy.resampling)
    pictures = decoder.pictures(path, index, available, scaler) if available else iter(())
    rows = _written(path, pictures, available, target)
    if not rows:
        raise VideoError(path, f"none of {len(chosen)} frames could be decoded", fix=GET_ANOTHER)
    return FrameFacts(
        times_seconds=tuple(index.clock.times_seconds[available[row]] for row in rows),
        requested=len(chosen),
        source_fps=index.clock.fps,
        duration_seconds=index.clock.duration_seconds,
        decoder=f"{decoder.name} ({decoder.version()})",
        bridged_seconds=index.bridged_seconds,
    )


def _written(
    path: Path, pictures: Iterator[tuple[int, Picture]], expected: Sequence[int], target: Path
) -> list[int]:
    """Write pictures, in whatever order they come, as rows of a file; return the rows that came."""
    import av

    row_of = {position: row for row, position in enumerate(expected)}
    rows: list[int] = []
    try:
        with target.open("w+b") as file:
            frames = _FrameFile(file)
            for position, picture in pictures:
                if not rows:
                    height, width, channels = picture.shape
                    frames.begin((len(expected), height, width, channels))
                rows.append(row_of[position])
                frames.put(rows[-1], picture)
            rows.sort()
            if len(rows) not in (0, len(expected)):
                frames.keep(rows)
    except av.FFmpegError as error:
        raise VideoError(path, f"its pictures cannot be made RGB ({error})", fix=CONVERT) from error
    return rows


@dataclass(frozen=True)
class Size:
    """Frames that a policy takes of a video.

    Attributes:
        frames: how many, those of a damaged end left out.
        height: of each in pixels, as the file stores it: one that is shown turned has its sides
            the other way round.
        width: likewise.
    """

    frames: int
    height: int
    width: int


def probe(path: Path, policy: FramePolicy) -> Size:
    """Return what a policy takes of a video; some 10 microseconds of CPU per frame of the file.

    Raises:
        VideoError: the file cannot be read, is no video, or states no size.
    """
    index = read_index(path)
    chosen = choose(index.clock, max_frames=policy.max_frames, fps=policy.fps)
    there = sum(position < index.clock.available for position in chosen)
    with opened(path) as (_, stream):
        height, width = stream.codec_context.height, stream.codec_context.width
    if not (there and height and width):
        raise VideoError(path, "it has no frames, or states no size", fix=GET_ANOTHER)
    return Size(there, *_frame_size(path, policy, (height, width), frames=len(chosen)))


def _frame_size(
    path: Path, policy: FramePolicy, size: tuple[int, int], *, frames: int
) -> tuple[int, int]:
    try:
        return policy.frame_size(*size, frames=frames)
    except ConfigError as error:
        raise VideoError(path, str(error), fix="Other videos are not affected") from error
