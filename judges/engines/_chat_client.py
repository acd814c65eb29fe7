"""Talks to a server of OpenAI's chat completions: transport, retries, what goes wrong.

The transport is aiohttp. The openai package's costs a request several times its CPU time
(tests/benchmarks/server_client.py), and with hundreds in flight that is the limit, not the server.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from weakref import WeakKeyDictionary

import aiohttp

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
"""So many requests that fail before one has worked, or for want of a connection, end the run."""

_BACKOFF_SECONDS, _BACKOFF_MOST_SECONDS = 0.5, 60.0
_CONNECT_SECONDS = 30.0
_LIST_SECONDS = 30.0
_TRY_AGAIN = frozenset({408, 409, 429})


class CallFailedError(Exception):
    """A call that gave no reply; its text is fit to be written down.

    Attributes:
        status: of the server's answer, 0 where there was none.
    """

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class _Answer:
    """What came of one attempt.

    Attributes:
        status: 0 where the server gave no answer.
        said: what the server wrote, or what went wrong.
        completion: where all went well.
        seconds: how long it took.
        retry_after_seconds: what the server asks for.
        location: where it sends us.
        cost: what it has cost, in the unit of the prices.
        is_page: it answered as a web site does.
        is_unreachable: no connection came about.
    """

    status: int
    said: str = ""
    completion: Completion | None = None
    seconds: float = 0.0
    retry_after_seconds: float = 0.0
    location: str = ""
    cost: float = 0.0
    is_page: bool = False
    is_unreachable: bool = False

    @property
    def may_work_later(self) -> bool:
        """Whether to try again."""
        return self.status in _TRY_AGAIN or self.status >= 500 or self.status == 0

    @property
    def reason(self) -> str:
        """Why there is no reply, on one line."""
        return f"the server answered {self.status}: {self.said}" if self.status else self.said


@dataclass(frozen=True)
class _Connections:
    session: aiohttp.ClientSession
    slots: asyncio.Semaphore
    keeper: asyncio.Task[None]
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)


_ByLoop = WeakKeyDictionary[asyncio.AbstractEventLoop, _Connections]


@dataclass(eq=False)
class ChatClient:
    """Sends requests, a bounded number at a time, and tries again where that may help.

    Every event loop that it is used on has connections of its own; they are closed when
    `asyncio.run` ends that loop, or by `close`.

    Attributes:
        endpoint: whom to ask.
        budget: what may be spent.
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
        self, body: Body, *, max_tokens: int, headers: Mapping[str, str]
    ) -> tuple[Completion, float, float]:
        """Return the server's answer, how many seconds it took, and what all attempts cost.

        Args:
            body: of the request.
            max_tokens: of the reply; says what the request may cost.
            headers: beside those of the client.

        Raises:
            CallFailedError: there is none, and why.
            ConfigError: there cannot be one to any request: no such server, model or key.
        """
        most = self.budget.cost(body.tokens, max_tokens)
        spent = 0.0
        async with self._here().slots:  # kept while waiting: a busy server gets fewer requests
            for attempt in range(self.retries + 1):
                answer = await self._attempt(body, headers, most)
                spent += answer.cost
                if answer.completion is not None:
                    self._has_worked, self._failures = True, 0
                    return answer.completion, answer.seconds, spent
                await self._stop_if_hopeless(answer)
                if not answer.may_work_later or attempt == self.retries:
                    break
                await self._wait(attempt, answer)
        raise self._failure(answer, attempt + 1)

    @property
    def starting(self) -> asyncio.Lock:
        """The lock of what is asked once before all else, for the running loop."""
        return self._here().starting

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        for loop, connections in list(self._connections.items()):
            if loop.is_running():
                loop.call_soon_threadsafe(connections.keeper.cancel)

    async def _attempt(self, body: Body, headers: Mapping[str, str], most: float) -> _Answer:
        if refusal := self.budget.take(most):
            raise CallFailedError(refusal)
        cost = most  # of a request that breaks off, nobody tells what it has cost
        try:
            answer = await self._send(body, headers)
            if answer.completion is not None and answer.completion.tokens is not None:
                cost = self.budget.cost(*answer.completion.tokens)
            elif answer.is_unreachable or answer.status >= 300:
                cost = 0.0
            return replace(answer, cost=cost)
        finally:
            self.budget.settle(most, cost)

    async def _send(self, body: Body, headers: Mapping[str, str]) -> _Answer:
        started = time.perf_counter()
        try:
            async with self._here().session.post(
                self.endpoint.url("chat/completions"),
                data=body.payload(),
                headers={**headers, **body.headers()},
                allow_redirects=False,  # a POST that follows becomes a GET without its body
            ) as response:
                answered = await response.read()
                return self._answer(response, answered, time.perf_counter() - started)
        except asyncio.TimeoutError:
            return _Answer(0, f"no answer within timeout_seconds={self.timeout_seconds:g}")
        except aiohttp.ClientConnectorError as error:
            return _Answer(0, self._trouble("no connection", error), is_unreachable=True)
        except (aiohttp.ClientError, OSError) as error:
            return _Answer(0, self._trouble("the connection broke", error))

    def _answer(self, response: aiohttp.ClientResponse, body: bytes, seconds: float) -> _Answer:
        said, status = "", response.status
        if status == 200:
            try:
                return _Answer(200, completion=read_completion(body), seconds=seconds)
            except ValueError as error:
                said, status = f"{error}: ", status_in(body) or status
        return _Answer(
            status,
            said + self.endpoint.said(body),
            retry_after_seconds=retry_after(response.headers.get("Retry-After", "")),
            location=response.headers.get("Location", ""),
            is_page="text/html" in response.headers.get("Content-Type", ""),
        )

    def _trouble(self, what: str, error: Exception) -> str:
        text = str(error) or type(error).__name__
        return f"{what} ({self.endpoint.said(text.encode())})"

    async def _stop_if_hopeless(self, answer: _Answer) -> None:
        """Raise what is the same for every request; no use in going on."""
        if answer.status == 401 or (answer.status == 403 and not self._has_worked):
            raise self.endpoint.key_refused(answer.status, answer.said)
        if self._has_worked:
            return
        if answer.is_unreachable:
            raise self.endpoint.unreachable(answer.said)
        if 300 <= answer.status < 400:
            raise self.endpoint.moved(answer.status, answer.location)
        if self._is_no_such_model(answer):
            known = await self.models()
            raise self.endpoint.no_such_model(answer.status, answer.said, list(known))

    def _is_no_such_model(self, answer: _Answer) -> bool:
        if answer.status == 404 or (answer.status == 200 and answer.is_page):
            return True
        return answer.status == 400 and self.endpoint.model in answer.said

    def _failure(self, answer: _Answer, attempts: int) -> CallFailedError:
        reason = answer.reason + (f" ({attempts} attempts)" if attempts > 1 else "")
        if not self._has_worked or answer.is_unreachable:
            self._failures += 1
            if self._failures >= FAILURES_TO_STOP:
                raise self.endpoint.never_works(self._failures, reason)
        return CallFailedError(reason, answer.status)

    async def _wait(self, attempt: int, answer: _Answer) -> None:
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
        timeout = aiohttp.ClientTimeout(total=_LIST_SECONDS)
        try:
            async with self._here().session.get(
                self.endpoint.url("models"), timeout=timeout, allow_redirects=False
            ) as response:
                listed = json.loads(await response.read())["data"]
                roots = {str(model["id"]): str(model.get("root") or "") for model in listed}
                return dict(sorted(roots.items()))
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError, *_NOT_A_LIST):
            return {}

    async def tokenised(self, body: Body) -> Tokenised | None:
        """Return the tokens of a request's prompt, by vLLM's `/tokenize`; None without it."""
        try:
            async with self._here().session.post(
                self.endpoint.beside_api("tokenize"),
                data=body.payload(),
                headers=body.headers(),
                allow_redirects=False,
            ) as response:
                return Tokenised.model_validate_json(await response.read())
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError):
            return None

    def _here(self) -> _Connections:
        """The connections of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._connections:
            session = aiohttp.ClientSession(
                headers=self.endpoint.headers(),
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


_NOT_A_LIST = (ValueError, KeyError, TypeError, AttributeError)


def retry_after(header: str) -> float:
    """Return how many seconds a `Retry-After` header asks to wait, 0 when it says nothing.

    It is a number of seconds or a date (RFC 9110, 10.2.3); one in the past is 0.
    """
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=timezone.utc)
    return max(0.0, (until - datetime.now(timezone.utc)).total_seconds())
