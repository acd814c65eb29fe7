"""Decoders: from a file and the frames wanted of it to pictures, upright, RGB and scaled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from videojudge_bench.errors import ConfigError, MissingPackageError, VideoError
from videojudge_bench.version import installed_version
from videojudge_bench.video.container import Index, opened
from videojudge_bench.video.policy import DECORD2_REFUSED, DecoderName
from videojudge_bench.video.pyav_decoder import PyAVDecoder
from videojudge_bench.video.scaling import orientation

if TYPE_CHECKING:
    from videojudge_bench.video.scaling import Picture, Scaler

INSTALL = {
    "decord": "pip install decord (Linux x86-64 and Windows only; decoder=pyav works everywhere)",
    "torchcodec": "pip install torchcodec (it also needs FFmpeg's shared libraries)",
}


class Decoder(Protocol):
    """One way to decode."""

    name: str

    def version(self) -> str:
        """Return the versions that the pixels depend on."""

    def pictures(
        self, path: Path, index: Index, positions: Sequence[int], scaler: Scaler
    ) -> Iterator[tuple[int, Picture]]:
        """Yield position and picture of each wanted frame that can be decoded, in any order.

        A picture, uint8 of shape (height, width, 3), upright and scaled, is valid until the next
        one is asked for. The positions are on the index's clock, ascending, all of them available.

        Raises:
            VideoError: the file cannot be opened, or this decoder gets its frames wrong.
        """


def decoder_named(name: DecoderName) -> Decoder:
    """Return the decoder of a name, ready to be used here.

    Raises:
        ConfigError: decord2 is installed, which takes decord's place and returns wrong frames.
        MissingPackageError: the package behind it is not installed.
    """
    if name == "pyav":
        return PyAVDecoder()
    if name == "decord" and installed_version("decord2"):
        raise ConfigError(DECORD2_REFUSED)
    if find_spec(name) is None or installed_version(name) is None:
        raise MissingPackageError(f"decoder={name}", name, INSTALL[name])
    return DecordDecoder() if name == "decord" else TorchCodecDecoder()


USE_PYAV = "Use decoder=pyav for this set of videos"


class _CheckedDecoder(ABC):
    """A decoder whose frames are compared with the index of the file before they are used."""

    name: str

    @abstractmethod
    def _frames(
        self, path: Path, index: Index, positions: Sequence[int]
    ) -> Iterator[tuple[float, Picture]]:
        """Yield time (seconds from the first frame) and pixels of the frames at these positions."""

    def version(self) -> str:
        """Return its version and that of PyAV, which chooses the frames and scales them."""
        return f"{self.name} {version(self.name)}, av {version('av')}"

    def pictures(
        self, path: Path, index: Index, positions: Sequence[int], scaler: Scaler
    ) -> Iterator[tuple[int, Picture]]:
        """Yield the wanted frames, one in memory at a time; raises as `Decoder.pictures`."""
        try:
            self._check_orientation(path)
            frames = self._frames(path, index, positions)
            for position, (seconds, pixels) in zip(positions, frames, strict=True):
                expected = index.clock.times_seconds[position]
                if abs(seconds - expected) > 0.5 / max(index.clock.fps, 1e-9):
                    times = f"frame {position} at {seconds:.3f} s, the file at {expected:.3f} s"
                    raise VideoError(path, f"{self.name} shows {times}", fix=USE_PYAV)
                yield position, scaler.rgb(pixels)
        except (RuntimeError, IndexError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise VideoError(path, f"{self.name} failed on it ({reason})", fix=USE_PYAV) from error

    def _check_orientation(self, path: Path) -> None:
        import av

        with opened(path) as (container, stream), suppress(av.FFmpegError, StopIteration):
            _, mirrored = orientation(next(container.decode(stream)))
            if mirrored:
                problem = f"{self.name} does not mirror it as the file says"
                raise VideoError(path, problem, fix=USE_PYAV)

    def _check_count(self, path: Path, index: Index, count: int) -> None:
        expected = index.clock.available
        if count != expected:
            problem = f"{self.name} counts {count} frames where the file shows {expected}"
            raise VideoError(path, problem, fix=USE_PYAV)


class DecordDecoder(_CheckedDecoder):
    """decord 0.6.0: no AV1, no edit lists, slow where it is right; not developed since 2021."""

    name = "decord"

    def _frames(
        self, path: Path, index: Index, positions: Sequence[int]
    ) -> Iterator[tuple[float, Picture]]:
        import decord  # type: ignore[import-untyped]

        try:
            reader = decord.VideoReader(str(path), num_threads=1)
            self._check_count(path, index, len(reader))
            origin = float(reader.get_frame_timestamp(0)[0])
            following = 0
            for position in positions:
                # One after another: where it seeks or skips, decord gives wrong frames of HEVC, of
                # open groups of pictures and of variable rates, without an error.
                for _ in range(following, position):
                    reader.next()
                following = position + 1
                seconds = float(reader.get_frame_timestamp(position)[0]) - origin
                yield seconds, reader.next().asnumpy()
        except decord.DECORDError as error:
            raise RuntimeError(str(error)) from error


class TorchCodecDecoder(_CheckedDecoder):
    """torchcodec, by its documented interface."""

    name = "torchcodec"

    def _frames(
        self, path: Path, index: Index, positions: Sequence[int]
    ) -> Iterator[tuple[float, Picture]]:
        from torchcodec.decoders import VideoDecoder  # type: ignore[import-not-found,unused-ignore]

        decoder = VideoDecoder(str(path), dimension_order="NHWC", seek_mode="exact")
        self._check_count(path, index, len(decoder))
        origin = decoder.get_frame_at(0).pts_seconds
        for position in positions:
            frame = decoder.get_frame_at(position)
            yield frame.pts_seconds - origin, frame.data.numpy()
