"""Encoders of the tests' videos, and the variable that changes what they write.

The bytes that an encoder writes differ between processors, numbers of threads and versions, and no
assertion may depend on them. With `VIDEOJUDGE_TEST_ENCODERS` the same pictures are encoded
differently, and every test must still pass.
"""

from __future__ import annotations

import os

VARIABLE = "VIDEOJUDGE_TEST_ENCODERS"
"""ffmpeg's options for each encoder: `libx264 -preset medium -threads 4, mpeg4 -threads 4`."""


def added(encoder: str) -> tuple[str, ...]:
    """Return the options that the environment adds for an encoder."""
    parts = [part.split() for part in os.environ.get(VARIABLE, "").split(",")]
    return next((tuple(options) for name, *options in filter(None, parts) if name == encoder), ())


def encoded(encoder: str, *options: str) -> tuple[str, ...]:
    """Return ffmpeg's arguments to encode; of an option given twice, the last one counts."""
    return ("-c:v", encoder, *options, *added(encoder))
