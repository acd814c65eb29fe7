"""Policy of frames: selection, size and decoder in one value, all of it in the signature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, UnknownNameError

MAX_ASPECT_RATIO = 200
"""Qwen's own limit: a picture more oblong than this has no size within the budget."""

DecoderName = Literal["pyav", "decord", "torchcodec"]
DECODERS: tuple[DecoderName, ...] = get_args(DecoderName)
ResamplingName = Literal["bicubic", "bilinear", "area", "lanczos"]
RESAMPLING: tuple[ResamplingName, ...] = get_args(ResamplingName)


@dataclass(frozen=True)
class FramePolicy:
    """Selection and size of the frames that a judge is shown of every video.

    Attributes:
        max_frames: at most so many (the paper: 180 in evaluation, 60 in training).
        fps: frames per second of video; None spreads `max_frames` evenly. A video with more than
            `max_frames` at this rate has `max_frames` spread evenly.
        min_pixels: per frame; smaller ones are enlarged (the default is Qwen's for videos).
        max_pixels: per frame; larger ones are made smaller. The paper does not state its own.
        total_pixels: of all frames of a video together, or None: no limit.
        factor: sides are multiples of it: patch size times merge size, 28 for Qwen2.5-VL and 32
            for Qwen3-VL.
        resampling: how pictures are scaled, by swscale's name.
        decoder: what reads the file.

    Raises:
        ConfigError: a value is out of range, or the three limits on pixels contradict each other.
        UnknownNameError: no such decoder or resampling.
    """

    max_frames: int = 180
    fps: float | None = 1.0
    min_pixels: int = 128 * 28 * 28
    max_pixels: int = 360 * 420
    total_pixels: int | None = None
    factor: int = 28
    resampling: ResamplingName = "bicubic"
    decoder: DecoderName = "pyav"

    def __post_init__(self) -> None:
        if self.decoder == "decord2":  # type: ignore[comparison-overlap] # a user may ask for it
            raise ConfigError(DECORD2_REFUSED)
        if self.decoder not in DECODERS:
            raise UnknownNameError("decoder", self.decoder, DECODERS)
        if self.resampling not in RESAMPLING:
            raise UnknownNameError("resampling", self.resampling, RESAMPLING)
        if problems := self._problems():
            raise ConfigError.all_of("frames", problems)

    def _problems(self) -> list[str]:
        problems: list[str] = []
        if self.max_frames < 1:
            problems.append(f"max_frames={self.max_frames}: expected a number from 1 up")
        if self.fps is not None and not 0 < self.fps < math.inf:
            problems.append(
                f"fps={self.fps}: expected a number above 0, or none for an even spread"
            )
        if self.factor < 1:
            problems.append(f"factor={self.factor}: expected a number from 1 up")
        elif self.max_pixels < self.factor**2:
            problems.append(
                f"max_pixels={self.max_pixels} is less than one square of factor={self.factor} "
                f"({self.factor**2} pixels)"
            )
        if not 0 <= self.min_pixels <= self.max_pixels:
            problems.append(
                f"min_pixels={self.min_pixels}: expected a number from 0 to "
                f"max_pixels={self.max_pixels}"
            )
        least = self.max_frames * max(self.min_pixels, self.factor**2)
        if self.total_pixels is not None and self.total_pixels < least:
            problems.append(
                f"total_pixels={self.total_pixels} is too little for "
                f"max_frames={self.max_frames} of min_pixels={self.min_pixels}: give at least "
                f"{least}, or fewer frames or pixels"
            )
        return problems

    def settings(self) -> Mapping[str, Scalar]:
        """Return what the signature says of the frames; two equal ones mean the same pixels."""
        return {
            "frames": self.max_frames,
            "fps": self.fps,
            "min_pixels": self.min_pixels,
            "max_pixels": self.max_pixels,
            "total_pixels": self.total_pixels,
            "factor": self.factor,
            "resampling": self.resampling,
            "decoder": self.decoder,
        }

    def frame_size(self, height: int, width: int, *, frames: int) -> tuple[int, int]:
        """Return height and width, in pixels, to scale a picture to; raises as `smart_resize`."""
        most = self.max_pixels
        if self.total_pixels is not None:
            most = min(most, self.total_pixels // frames)
        return smart_resize(
            height, width, factor=self.factor, min_pixels=self.min_pixels, max_pixels=most
        )


DECORD2_REFUSED = (
    "decoder='decord2' is refused: under load it returns wrong frames without an error (measured "
    "on 3.4.0: 6 to 14 of 180 frames, up to 56 frames off). Use decoder=pyav, or decoder=decord "
    "after: pip uninstall decord2 && pip install --force-reinstall decord==0.6.0"
)


def smart_resize(
    height: int, width: int, *, factor: int, min_pixels: int, max_pixels: int
) -> tuple[int, int]:
    """Return the height and width, multiples of `factor`, nearest to a picture's own.

    Qwen's rule (`smart_resize` of qwen-vl-utils): round each side; then, where the area is off
    the limits, scale both sides and round towards the limit. `max_pixels` is kept always, also
    where one side is a single `factor`; `min_pixels` wherever that leaves room.

    Raises:
        ConfigError: a picture more oblong than 200 to 1.
    """
    if max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        raise ConfigError(
            f"a picture of {width} x {height} pixels is more oblong than {MAX_ASPECT_RATIO} to 1; "
            "cut it or leave the video out"
        )
    tall = max(factor, round(height / factor) * factor)
    wide = max(factor, round(width / factor) * factor)
    if tall * wide > max_pixels:
        scale = math.sqrt(height * width / max_pixels)
        tall = max(factor, math.floor(height / scale / factor) * factor)
        wide = max(factor, math.floor(width / scale / factor) * factor)
    elif tall * wide < min_pixels:
        scale = math.sqrt(min_pixels / (height * width))
        tall = math.ceil(height * scale / factor) * factor
        wide = math.ceil(width * scale / factor) * factor
    if tall * wide <= max_pixels:
        return tall, wide
    # Rounding one side up to `factor` broke the limit: shorten the longer side.
    most = max(factor, max_pixels // min(tall, wide) // factor * factor)
    return (min(tall, most), wide) if tall >= wide else (tall, min(wide, most))
