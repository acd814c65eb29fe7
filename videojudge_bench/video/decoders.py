"""Decoders: from a file and the frames wanted of it to pictures, upright, RGB and scaled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from videojudge_bench.errors import ConfigError, MissingPackageError
from videojudge_bench.video.container import Index
from videojudge_bench.video.other_decoders import DecordDecoder, TorchCodecDecoder
from videojudge_bench.video.policy import DECORD2_REFUSED, DecoderName
from videojudge_bench.video.pyav_decoder import PyAVDecoder

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
        ...

    def pictures(
        self, path: Path, index: Index, wanted: Sequence[int], scaler: Scaler
    ) -> Iterator[tuple[int, Picture]]:
        """Yield position and picture of each wanted frame that can be decoded, in any order.

        A picture, uint8 of shape (height, width, 3), is valid until the next one is asked for.

        Args:
            path: the file.
            index: what `read_index` says of the file.
            wanted: positions on the index's clock, ascending, all of them available.
            scaler: turns the decoder's pictures upright and scales them.

        Raises:
            VideoError: the file cannot be opened, or this decoder gets its frames wrong.
        """
        ...


def decoder_named(name: DecoderName) -> Decoder:
    """Return the decoder of a name, ready to be used here.

    Raises:
        ConfigError: decord2 is installed, which takes decord's place and returns wrong frames.
        MissingPackageError: the package behind it is not installed.
    """
    if name == "pyav":
        return PyAVDecoder()
    if name == "decord" and _installed("decord2"):
        raise ConfigError(DECORD2_REFUSED)
    if find_spec(name) is None or not _installed(name):
        raise MissingPackageError(f"decoder={name}", name, INSTALL[name])
    return DecordDecoder() if name == "decord" else TorchCodecDecoder()


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
