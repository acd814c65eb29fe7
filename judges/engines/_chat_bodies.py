"""Bodies of a server's answers: read up to a limit, decompressed as they come."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp

MOST_BYTES = 4 << 20
"""Size limit of a body, without the log-probabilities of a reply's tokens."""

BYTES_PER_TOKEN = 8 << 10
"""Size limit of a token with its 20 alternatives, each as text, number and bytes."""

ERROR_BYTES = 64 << 10
"""Size limit of an error's body, of which a few hundred characters are shown."""

ACCEPTED = "gzip, deflate"
"""Compressions that are decompressed here, up to a limit, which aiohttp does not offer."""

BUFFER_BYTES = 16 << 10
"""Size of a connection's buffer; the system may deliver up to 256 kB more at a time."""

_FREE_BYTES = 64 << 10
_LARGE_AT_ONCE = 2


class BodyError(ValueError):
    """A body that is not read: too long, or compressed in an unknown way."""


_Unpacker = Callable[[bytes, int], tuple[bytes, bytes]]
"""From data and a limit to as many bytes at most, one at least, and the data that were not used."""


@dataclass(eq=False)
class BodyReader:
    """Reads bodies; many small ones at once, and few that are large.

    So a server that never ends costs some MB, however many requests are in flight.
    """

    _large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_LARGE_AT_ONCE))

    async def read(self, response: aiohttp.ClientResponse, most: int = MOST_BYTES) -> bytearray:
        """Return a body.

        Raises:
            BodyError: it is longer than `most` bytes, decompressed.
            aiohttp.ClientError: the connection broke, or the compression is damaged.
        """
        body = await self.begin(response, most + 1)
        if len(body) > most:
            raise BodyError(f"expected a body of at most {most:,} bytes, got a longer one")
        return body

    async def begin(self, response: aiohttp.ClientResponse, most: int) -> bytearray:
        """Return a body or its first `most` bytes; then the connection is closed."""
        unpack = _unpacker(response.headers.get("Content-Encoding", ""))
        body, room = bytearray(), min(most, _FREE_BYTES)
        async with AsyncExitStack() as held:
            while rest := await response.content.read(BUFFER_BYTES):
                while True:
                    piece, rest = unpack(rest, room - len(body))
                    body += piece
                    if len(body) < room:
                        break
                    if room == most:
                        response.close()
                        return body
                    await held.enter_async_context(self._large)
                    room = most
        return body


def _unpacker(encoding: str) -> _Unpacker:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return lambda data, most: (data[:most], data[most:])
    if name not in ("gzip", "x-gzip", "deflate"):
        raise BodyError(
            f"expected a body that is plain or compressed by {ACCEPTED}, got {encoding[:40]!r}"
        )
    return _Inflater(is_gzip=name != "deflate")


class _Inflater:
    def __init__(self, *, is_gzip: bool) -> None:
        self._unpacked = zlib.decompressobj(16 + zlib.MAX_WBITS) if is_gzip else None

    def __call__(self, data: bytes, most: int) -> tuple[bytes, bytes]:
        if not data and self._unpacked is None:
            return b"", b""
        if self._unpacked is None:  # some servers send the data without zlib's header
            is_raw = data[0] & 0x0F != zlib.DEFLATED
            self._unpacked = zlib.decompressobj(-zlib.MAX_WBITS if is_raw else zlib.MAX_WBITS)
        try:
            piece = self._unpacked.decompress(data, most)
        except zlib.error as error:
            raise aiohttp.ClientPayloadError(f"damaged compression: {error}") from error
        return piece, self._unpacked.unconsumed_tail
