"""Bodies of requests: messages, with the frames of a video and their times."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from videojudge_bench.judges.engines._video_input import VideoClock, video_clock
from videojudge_bench.judges.engines.special_tokens import KNOWN_MARKS, make_inert

if TYPE_CHECKING:
    from videojudge_bench._util.hashing import Json
    from videojudge_bench._util.options import Scalar
    from videojudge_bench.video.batch import FrameBatch, Pixels

Send = Literal["frames", "video"]

SEND: tuple[Send, ...] = ("frames", "video")

_SLICE_BYTES = 1 << 18
_PNG_EFFORT = 1  # of 9: a tenth of the CPU time of the default, for a tenth more bytes
_PIXELS_PER_TOKEN = 28 * 28  # Qwen's; for estimates of what a request may cost
_BYTES_PER_TOKEN = 2  # English has twice as many: an estimate must not be too low


@dataclass(frozen=True)
class EncodedMedia:
    """Media that the prompts of a group share, as JSON content parts, each with a comma behind."""

    parts: bytes = b""
    fields: Mapping[str, Json] = field(default_factory=dict)
    tokens: int = 0
    facts: Mapping[str, Scalar] = field(default_factory=dict)


NO_MEDIA = EncodedMedia()


@dataclass(frozen=True)
class Body:
    """A request's body in pieces, so that the frames of a group are in memory once.

    Attributes:
        tokens: estimate of what they are worth, rather too many than too few.
    """

    pieces: tuple[bytes, ...]
    tokens: int

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))

    @property
    def is_large(self) -> bool:
        return self.size > _SLICE_BYTES

    def headers(self) -> dict[str, str]:
        return {"Content-Length": str(self.size)} if self.is_large else {}

    def payload(self) -> bytes | AsyncIterator[memoryview]:
        """Return what to send: small bodies whole, large ones in slices."""
        return self._slices() if self.is_large else b"".join(self.pieces)

    async def _slices(self) -> AsyncIterator[memoryview]:
        for piece in self.pieces:
            view = memoryview(piece)
            for start in range(0, len(view), _SLICE_BYTES):
                yield view[start : start + _SLICE_BYTES]


def show_frames(
    batch: FrameBatch,
    send: Send,
    jpeg_quality: int | None,
    *,
    fps: float | None,
    resize: bool = True,
) -> EncodedMedia:
    """Return the frames of a video as content parts; takes CPU time, so not on an event loop.

    `frames` gives an image per frame, its time before it as text. `video` gives one video made of
    these frames, as vLLM takes it (`video/jpeg`), and the frames' times beside it; without
    `resize`, the server's processor must keep their sizes. No `jpeg_quality` is PNG.
    """
    height, width = batch.frames.shape[1:3]
    tokens = len(batch.frames) * (height * width // _PIXELS_PER_TOKEN + 16)
    images = [_encoded(frame, jpeg_quality) for frame in batch.frames]
    facts: dict[str, Scalar] = {"as": "images" if send == "frames" else "video", **batch.facts()}
    if jpeg_quality is not None:
        facts["pixels"] = f"jpeg{jpeg_quality} of {facts['pixels']}"
    if send == "frames":
        kind = b"png" if jpeg_quality is None else b"jpeg"
        parts = [
            _json({"type": "text", "text": f"{seconds:.1f} s:"})
            + b',{"type":"image_url","image_url":{"url":"data:image/'
            + kind
            + b";base64,"
            + image
            + b'"}},'
            for seconds, image in zip(batch.times_seconds, images, strict=True)
        ]
        return EncodedMedia(b"".join(parts), {}, tokens, facts)
    video = b'{"type":"video_url","video_url":{"url":"data:video/jpeg;base64,'
    clock = video_clock(batch, fps)
    # What transformers and vLLM work out of it.
    facts["step_seconds"] = round(clock.total / clock.fps / len(clock.indices), 4)
    fields = _video_fields(clock)
    if not resize:
        fields["mm_processor_kwargs"] = {"do_resize": False}
    return EncodedMedia(video + b",".join(images) + b'"}},', fields, tokens, facts)


def write_body(
    media: EncodedMedia,
    texts: tuple[str, str],
    *,
    reply_start: str,
    fields: Mapping[str, Json],
    marks: re.Pattern[str] = KNOWN_MARKS,
) -> Body:
    """Return the body of a request; special tokens in its texts are inert."""
    system, user = (make_inert(text, marks) for text in texts)
    before: list[Json] = [{"role": "system", "content": system}] if system else []
    after: list[Json] = [{"role": "assistant", "content": reply_start}] if reply_start else []
    request = {**fields, **media.fields}
    if reply_start:
        request.update(continue_final_message=True, add_generation_prompt=False)
    letters = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    tokens = media.tokens + letters // _BYTES_PER_TOKEN + 64
    if not media.parts:  # a plain text is what every server takes
        messages = [*before, {"role": "user", "content": user}, *after]
        return Body((_json({**request, "messages": messages}),), tokens)
    head = _json(request)[:-1] + b',"messages":['
    head += b"".join(_json(message) + b"," for message in before)
    head += b'{"role":"user","content":['
    tail = _json({"type": "text", "text": user}) + b"]}"
    tail += b"".join(b"," + _json(message) for message in after) + b"]}"
    return Body((head, media.parts, tail), tokens)


def _video_fields(clock: VideoClock) -> dict[str, Json]:
    """Fields with which vLLM shows the frames at their times, and none more or fewer."""
    return {
        "media_io_kwargs": {
            "video": {
                "num_frames": -1,
                "fps": clock.fps,
                "frames_indices": list(clock.indices),
                "total_num_frames": clock.total,
                "duration": clock.total / clock.fps,
                "do_sample_frames": False,
            }
        }
    }


def _encoded(frame: Pixels, jpeg_quality: int | None) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    image = Image.fromarray(frame)
    if jpeg_quality is None:
        image.save(out, "PNG", compress_level=_PNG_EFFORT)
    else:
        image.save(out, "JPEG", quality=jpeg_quality)
    return base64.b64encode(out.getbuffer())


def _json(value: Mapping[str, Json] | Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
