"""Requests to a judge server, sent again where that may help."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import BaseModel, ValidationError

from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, VideoJudgeError
from videojudge_bench.judge import Ability, Need
from videojudge_bench.serving.address import TOKEN_VARIABLE, is_loopback

REQUEST_SECONDS = 3600
CONNECT_SECONDS = 10
LONGEST_PAUSE_SECONDS = 30.0

_FULL_OR_AWAY = (429, 502, 503, 504)
_T = TypeVar("_T")


class RowsRefusedError(VideoJudgeError):
    """The server refuses these rows, and would again."""


class ServerAwayError(VideoJudgeError):
    """The server did not answer for as long as the client was told to wait."""


class ServedJudge(BaseModel):
    """Answer of `GET /v1/judge`; a newer server may say more."""

    judge: str
    identity: str
    settings: dict[str, Scalar]
    source: str
    files: list[list[str]]
    reader: int
    requires: set[Need]
    abilities: set[Ability]
    scale: tuple[int, int] | None
    takes_scale: bool
    shows_video: bool
    max_rows: int


class JudgeClient:
    """Asks a judge server.

    A connection belongs to one call, because callers' event loops differ.

    Args:
        url: of the server, without a path.
        token: empty takes that of the environment variable `VIDEOJUDGE_TOKEN`.
        patience_seconds: so long a server that is full or away is asked again.

    Raises:
        ConfigError: the address is none.
    """

    def __init__(self, url: str, *, token: str = "", patience_seconds: float = 300) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"url={url!r}: expected an address such as http://127.0.0.1:8080")
        self.url, self._patience = url.rstrip("/"), patience_seconds
        self._trust_env = not is_loopback(parts.hostname)  # a proxy does not reach this machine
        token = token or os.environ.get(TOKEN_VARIABLE, "")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def served(self) -> ServedJudge:
        """Return what the server says of its judge and limits.

        Raises:
            ConfigError: no judge server of this version answers there, or another token is needed.
        """
        try:
            about = run_apart(self._ask("GET", "/v1/judge", b"", patience=0))
            return ServedJudge.model_validate(about)
        except VideoJudgeError as error:
            raise ConfigError(
                f"url={self.url}: no judge server answers ({error}); start one with "
                "`videojudge serve`"
            ) from error
        except ValidationError as error:
            raise ConfigError(
                f"url={self.url}: expected a judge server of this version, got another answer "
                f"({error})"
            ) from error

    async def post(self, path: str, body: Json, *, patient: bool = True) -> Mapping[str, Json]:
        """Return the answer to a request.

        Raises:
            ConfigError: another token is needed.
            RowsRefusedError: the server refuses the rows.
            ServerAwayError: it was full or away for too long.
        """
        data = await asyncio.to_thread(lambda: json.dumps(body).encode())
        return await self._ask("POST", path, data, patience=self._patience if patient else 0)

    async def _ask(
        self, method: str, path: str, data: bytes, *, patience: float
    ) -> Mapping[str, Json]:
        give_up, pause = time.monotonic() + patience, 0.25
        while True:
            try:
                status, retry_after, text = await self._sent(method, path, data)
                problem = f"status {status}: {_error_in(text)}"
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
                status, retry_after = 0, 0.0
                problem = str(error) or type(error).__name__
            if status == 200:
                return _object(text)
            if status == 401:
                raise ConfigError(f"{self.url}: {_error_in(text)}; set {TOKEN_VARIABLE}")
            if status and status not in _FULL_OR_AWAY:
                raise RowsRefusedError(f"{self.url}{path}: {problem}")
            pause = min(max(2 * pause, retry_after), LONGEST_PAUSE_SECONDS)
            if time.monotonic() + pause > give_up:
                raise ServerAwayError(f"{self.url}: {problem}")
            await asyncio.sleep(pause)

    async def _sent(self, method: str, path: str, data: bytes) -> tuple[int, float, bytes]:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
        headers = {**self._headers, "Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=self._trust_env) as session,
            session.request(method, self.url + path, data=data, headers=headers) as answer,
        ):
            wait = answer.headers.get("Retry-After", "")
            return answer.status, float(wait) if wait.isdecimal() else 0.0, await answer.read()


def run_apart(work: Coroutine[object, object, _T]) -> _T:
    """Return what a coroutine returns, also where a loop is running already, as in a notebook."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _object(text: bytes) -> Mapping[str, Json]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise RowsRefusedError(f"expected a JSON object, got {text[:80]!r}; is it a judge server?")
    return value


def _error_in(text: bytes) -> str:
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text[:200].decode(errors="replace")
