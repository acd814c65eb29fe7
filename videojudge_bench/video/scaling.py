"""Pictures of a decoder, turned upright, made RGB and scaled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from videojudge_bench.video.policy import ResamplingName

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from av.video.frame import VideoFrame

    Picture = npt.NDArray[np.uint8]

SizeOf = Callable[[int, int], tuple[int, int]]
"""From height and width of an upright picture to those that it is scaled to, in pixels."""

COLOURSPACES = {1: 1, 4: 4, 5: 5, 6: 6, 7: 7, 9: 9, 10: 9}
"""swscale's matrix for each of ffmpeg's colour spaces; of any other, swscale's default (BT.601),
as ffmpeg does with untagged videos."""


class Scaler:
    """Scales pictures by swscale, all of one video to the same size, and turns them upright."""

    def __init__(self, size_of: SizeOf, resampling: ResamplingName) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._size_of = size_of
        self._size: tuple[int, int] | None = None
        self._turn: tuple[int, bool] | None = None
        self._interpolation = int(Interpolation[resampling.upper()])
        self._reformatter = VideoReformatter()

    def picture(self, frame: VideoFrame) -> Picture:
        """Return a decoded frame as RGB (height, width, 3), upright; valid while `frame` is."""
        import numpy as np

        # Asked once: PyAV never frees by itself a frame whose side data were looked at.
        self._turn = turns, mirrored = self._turn or orientation(frame)
        sideways = turns % 2 == 1
        if self._size is None:
            upright = (frame.width, frame.height) if sideways else (frame.height, frame.width)
            self._size = self._size_of(*upright)
        height, width = reversed(self._size) if sideways else self._size
        scaled = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            src_colorspace=COLOURSPACES.get(int(frame.colorspace), 5),
            dst_colorspace=5,  # RGB has no matrix; naming one makes PyAV apply that of the source
            interpolation=self._interpolation,
            src_color_range=frame.color_range,
        )
        plane = scaled.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        picture = rows[:height, : width * 3].reshape(height, width, 3)
        if mirrored:
            picture = picture[:, ::-1]
        return np.rot90(picture, turns)

    def rgb(self, pixels: Picture) -> Picture:
        """Return an upright RGB picture scaled; for decoders that give such pictures."""
        from av.video.frame import VideoFrame

        return self.picture(VideoFrame.from_ndarray(pixels, format="rgb24"))


def orientation(frame: VideoFrame) -> tuple[int, bool]:
    """Return how to turn a picture upright: mirror it left to right or not, then the quarter turns.

    Quarters count against the clock. PyAV's `frame.rotation` alone takes a mirrored picture for
    one that is upside down.
    """
    try:
        data: Any = frame.side_data  # PyAV's stubs name another type than there is
        matrix = memoryview(data["DISPLAYMATRIX"]).cast("B").cast("i")
    except KeyError:
        return 0, False
    # Each source axis goes to (matrix[0], matrix[1]) and (matrix[3], matrix[4]) on the screen,
    # whose second axis points down.
    (a, b), (c, d) = (matrix[0], matrix[1]), (matrix[3], matrix[4])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    if abs(a) >= abs(b):
        return (0 if a >= 0 else 2), mirrored
    return (3 if b > 0 else 1), mirrored
