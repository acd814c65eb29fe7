"""Client of a server of OpenAI's chat completions: transport, retries, errors.

The transport is aiohttp. The openai package's costs a request several times its CPU time
(tests/benchmarks/server_client.py), and with hundreds in flight that is the limit, not the server.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import aiohttp

from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines import _chat_bodies
from videojudge_bench.judges.engines._chat_answers import Answer, CallFailedError, retry_after
from videojudge_bench.judges.engines._chat_budget import Budget
from videojudge_bench.judges.engines._chat_endpoint import Endpoint
from videojudge_bench.judges.engines._chat_messages import Body
from videojudge_bench.judges.engines._chat_replies import (
    Completion,
    Tokenised,
    read_completion,
    status_in,
)

logger = logging.getLogger(__name__)

FAILURES_TO_STOP = 20
"""Number of failures, before any success or without a connection, that end the run."""

_BACKOFF_SECONDS, _BACKOFF_MOST_SECONDS = 0.5, 60.0
_CONNECT_SECONDS = 30.0
_LIST_SECONDS, _VERSION_SECONDS = 30.0, 5.0
_TOKENISED_BYTES = 64 << 20


@dataclass(frozen=True)
class _Connections:
    session: aiohttp.ClientSession
    slots: asyncio.Semaphore
    keeper: asyncio.Task[None]
    bodies: _chat_bodies.BodyReader = field(default_factory=_chat_bodies.BodyReader)
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)


_ByLoop = WeakKeyDictionary[asyncio.AbstractEventLoop, _Connections]


@dataclass(eq=False)
class ChatClient:
    """Sends requests, a bounded number at a time, and tries again where that may help.

    Every event loop that it is used on has connections of its own; they are closed when
    `asyncio.run` ends that loop, or by `close`.

    Attributes:
        timeout_seconds: for one attempt; also the longest `Retry-After` that is waited for.
        retries: attempts beside the first.
        max_concurrency: requests in flight on one loop, those that wait to be tried again included.
    """

    endpoint: Endpoint
    budget: Budget
    timeout_seconds: float
    retries: int
    max_concurrency: int
    _connections: _ByLoop = field(default_factory=WeakKeyDictionary, init=False)
    _has_worked: bool = field(default=False, init=False)
    _failures: int = field(default=0, init=False)
    _random: random.Random = field(default_factory=random.Random, init=False)

    async def chat(
        self,
        body: Body,
        *,
        max_tokens: int,
        headers: Mapping[str, str],
        most_bytes: int = _chat_bodies.MOST_BYTES,
    ) -> tuple[Completion, float, float]:
        """Return the server's answer, how many seconds it took, and what all attempts cost.

        Call it in one of the `slots`.

        Raises:
            CallFailedError: there is none, and why.
            ConfigError: there cannot be one to any request: no such server, or key.
        """
        most = self.budget.cost(body.tokens, max_tokens)
        spent = 0.0
        for attempt in range(self.retries + 1):
            answer = await self._attempt(body, headers, most, most_bytes)
            spent += answer.cost
            if answer.completion is not None:
                self._has_worked, self._failures = True, 0
                return answer.completion, answer.seconds, spent
            self._stop_if_hopeless(answer)
            if not answer.may_work_later or attempt == self.retries:
                break
            await self._wait(attempt, answer)
        raise self._failure(answer, attempt + 1)

    @property
    def slots(self) -> asyncio.Semaphore:
        """The slots for requests in flight on the running loop.

        Keep one while waiting to try again, for a busy server to get fewer requests, and until a
        reply is on disk. Take one before `starting`.
        """
        return self._here().slots

    @property
    def starting(self) -> asyncio.Lock:
        """The lock of the server's check, which precedes all other requests of a running loop."""
        return self._here().starting

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        for loop, connections in list(self._connections.items()):
            if loop.is_running():
                loop.call_soon_threadsafe(connections.keeper.cancel)

    async def _attempt(
        self, body: Body, headers: Mapping[str, str], most: float, most_bytes: int
    ) -> Answer:
        if refusal := self.budget.take(most):
            raise CallFailedError(refusal)
        cost = most  # the cost of a request that breaks off is unknown
        try:
            answer = await self._send(body, headers, most_bytes)
            if answer.completion is not None and answer.completion.tokens is not None:
                cost = self.budget.cost(*answer.completion.tokens)
            elif answer.is_unreachable or answer.status >= 300:
                cost = 0.0
            return replace(answer, cost=cost)
        finally:
            self.budget.settle(most, cost)

    async def _send(self, body: Body, headers: Mapping[str, str], most_bytes: int) -> Answer:
        started = time.perf_counter()
        try:
            async with self._here().session.post(
                self.endpoint.url("chat/completions"),
                data=body.payload(),
                headers={**headers, **body.headers()},
                allow_redirects=False,  # a POST that follows becomes a GET without its body
            ) as response:
                if response.status == 200:
                    answered = await self._here().bodies.read(response, most_bytes)
                else:
                    answered = await self._here().bodies.begin(response, _chat_bodies.ERROR_BYTES)
                clean = self.endpoint.clean(answered)
                return self._answer(response, clean, time.perf_counter() - started)
        except _chat_bodies.BodyError as error:
            return Answer(response.status, str(error))
        except asyncio.TimeoutError:
            return Answer(0, f"no answer within timeout_seconds={self.timeout_seconds:g}")
        except aiohttp.ClientConnectorError as error:
            return Answer(0, self._trouble("no connection", error), is_unreachable=True)
        except (aiohttp.ClientError, OSError) as error:
            return Answer(0, self._trouble("the connection broke", error))

    def _answer(self, response: aiohttp.ClientResponse, body: bytes, seconds: float) -> Answer:
        problem, status = "", response.status
        if status == 200:
            try:
                return Answer(200, completion=read_completion(body), seconds=seconds)
            except ValueError as error:
                problem, status = f"{error}: ", status_in(body) or status
        return Answer(
            status,
            problem + self.endpoint.message(body),
            retry_after_seconds=retry_after(response.headers.get("Retry-After", "")),
            location=response.headers.get("Location", ""),
            is_page="text/html" in response.headers.get("Content-Type", ""),
        )

    def _trouble(self, what: str, error: Exception) -> str:
        text = str(error) or type(error).__name__
        return f"{what} ({self.endpoint.message(text.encode())})"

    def _stop_if_hopeless(self, answer: Answer) -> None:
        """Raise an error that every other request would meet as well."""
        if answer.status == 401:
            raise self.endpoint.key_refused(answer.status, answer.message)
        if self._has_worked:
            return
        if answer.is_unreachable:
            raise self.endpoint.unreachable(answer.message)
        if 300 <= answer.status < 400:
            raise self.endpoint.moved(answer.status, answer.location)

    async def no_such_model(self, refused: CallFailedError) -> ConfigError | None:
        """Return the error for a refusal that can only mean the model or the address, else None.

        Whatever a message says, of a model that the server lists it says something else.
        """
        if refused.status == 404 or refused.is_page or _NO_MODEL.search(refused.message):
            return await self._wrong_address(refused)
        return None

    async def _wrong_address(self, refused: CallFailedError) -> ConfigError | None:
        known = list(await self.models())
        is_served = not known or self.endpoint.model in known
        if is_served and refused.status != 404 and not refused.is_page:
            return None
        return self.endpoint.no_such_model(refused.status, refused.message, known)

    async def refuses_all(self, refused: CallFailedError) -> ConfigError:
        """Return the error for a server that refuses a short question without any option."""
        if error := await self._wrong_address(refused):
            return error
        if refused.status == 403:
            return self.endpoint.key_refused(refused.status, refused.message)
        return self.endpoint.refuses_all(str(refused))

    def _failure(self, answer: Answer, attempts: int) -> CallFailedError:
        reason = answer.reason + (f" ({attempts} attempts)" if attempts > 1 else "")
        failure = CallFailedError(reason, answer.status, answer.message, is_page=answer.is_page)
        # A refusal may be of this request alone: the engine finds out.
        if answer.is_unreachable or not (self._has_worked or failure.is_refusal):
            self._failures += 1
            if self._failures >= FAILURES_TO_STOP:
                raise self.endpoint.never_works(self._failures, reason)
        return failure

    async def _wait(self, attempt: int, answer: Answer) -> None:
        asked = answer.retry_after_seconds
        if asked > self.timeout_seconds:
            raise CallFailedError(
                f"{answer.reason} (it asks to wait {asked:.0f} s, longer than "
                f"timeout_seconds={self.timeout_seconds:g})",
                answer.status,
            )
        # Full jitter: requests that failed together must not come back together.
        most = min(_BACKOFF_MOST_SECONDS, _BACKOFF_SECONDS * 2**attempt)
        delay = asked + self._random.uniform(0, most)
        logger.info("%s; trying again in %.1f s", answer.reason, delay)
        await asyncio.sleep(delay)

    async def models(self) -> dict[str, str]:
        """Return the models that the server lists, with what each was loaded from, "" if unsaid.

        Empty where it lists none.
        """
        try:
            listed = json.loads(await self._got(self.endpoint.url("models"), _LIST_SECONDS))["data"]
            roots = {str(model["id"]): str(model.get("root") or "") for model in listed}
            return dict(sorted(roots.items()))
        except (*_NO_ANSWER, *_NOT_AS_EXPECTED):
            return {}

    async def version(self) -> str:
        """Return the version of the server's program, as a vLLM tells it; "" where it is unsaid."""
        try:
            body = await self._got(self.endpoint.beside_api("version"), _VERSION_SECONDS)
            version = json.loads(body)["version"]
            return version[:_VERSION_CHARACTERS] if isinstance(version, str) else ""
        except (*_NO_ANSWER, *_NOT_AS_EXPECTED):
            return ""

    async def _got(self, address: str, seconds: float) -> bytes:
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self._here().session.get(
            address, timeout=timeout, allow_redirects=False
        ) as response:
            return self.endpoint.clean(await self._here().bodies.read(response))

    async def tokenised(self, body: Body) -> Tokenised | None:
        """Return the tokens of a request's prompt, by vLLM's `/tokenize`; None without it."""
        try:
            async with self._here().session.post(
                self.endpoint.beside_api("tokenize"),
                data=body.payload(),
                headers=body.headers(),
                allow_redirects=False,
            ) as response:
                answer = await self._here().bodies.read(response, _TOKENISED_BYTES)
                return Tokenised.model_validate_json(self.endpoint.clean(answer))
        except (*_NO_ANSWER, ValueError):
            return None

    def _here(self) -> _Connections:
        """The connections of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._connections:
            session = aiohttp.ClientSession(
                headers={**self.endpoint.headers(), "Accept-Encoding": _chat_bodies.ACCEPTED},
                auto_decompress=False,  # `bodies` does it, up to a limit
                read_bufsize=_chat_bodies.BUFFER_BYTES,
                connector=aiohttp.TCPConnector(limit=0),  # `slots` is the limit
                timeout=aiohttp.ClientTimeout(
                    total=self.timeout_seconds, sock_connect=_CONNECT_SECONDS
                ),
                trust_env=not self.endpoint.is_here,  # proxies
            )
            slots = asyncio.Semaphore(self.max_concurrency)
            keeper = loop.create_task(self._keep(loop, session))
            self._connections[loop] = _Connections(session, slots, keeper)
        return self._connections[loop]

    async def _keep(self, loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession) -> None:
        """Close the session when cancelled, as `asyncio.run` does with all tasks in the end."""
        try:
            await asyncio.Event().wait()
        finally:
            self._connections.pop(loop, None)
            await session.close()


_NO_ANSWER = (aiohttp.ClientError, OSError, asyncio.TimeoutError)
_NO_MODEL = re.compile(
    r"model_not_found|\b(?:no|no such|unknown|invalid) model\b"
    r"|\bmodel\b.{0,200}?\b(?:not found|not exist|unknown)\b",
    re.IGNORECASE | re.DOTALL,
)
_NOT_AS_EXPECTED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_VERSION_CHARACTERS = 100
