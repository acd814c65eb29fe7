"""Concurrent requests for many groups, with answers in the order of their arrival."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

Part = TypeVar("Part")
Answer = TypeVar("Answer")
HandOver = Callable[[Answer], Awaitable[None]]


class AsyncBatcher(Generic[Part, Answer]):
    """Asks for many parts at once, up to `limit`, and yields the answers as they come.

    The event loop has a thread of its own, so that answers keep arriving while the caller writes
    its journal, and so that it works inside a notebook, whose own loop is already running. An
    exception of `ask` reaches the caller, behind the answers that came before it; leaving the
    iteration (Ctrl-C) cancels what is in flight.

    `ask` awaits its second argument with every answer. That returns when the caller asks for the
    next answer, and so has kept this one: an engine that makes room for the next call only then
    loses, when the process is killed, what is in flight at most.
    """

    def __init__(
        self,
        ask: Callable[[Part, HandOver[Answer]], Awaitable[None]],
        parts: Iterator[Part],
        limit: int,
    ) -> None:
        self._ask, self._parts, self._limit = ask, parts, limit
        self._out: queue.SimpleQueue[tuple[Answer, Callable[[], None]] | None] = queue.SimpleQueue()
        self._stop = threading.Event()

    def __iter__(self) -> Iterator[Answer]:
        with ThreadPoolExecutor(1, "videojudge-engine") as thread:
            try:
                work = thread.submit(self._work)
                while (given := self._out.get()) is not None:
                    answer, taken = given
                    yield answer
                    taken()
                work.result()
            finally:
                self._stop.set()

    def _work(self) -> None:
        try:
            asyncio.run(self._run())
        finally:
            self._out.put(None)

    async def _run(self) -> None:
        running: set[asyncio.Future[None]] = set()
        try:
            for part in self._parts:
                running.add(asyncio.ensure_future(self._ask(part, self._hand_over)))
                while len(running) >= self._limit and not self._stop.is_set():
                    running = await _settle(running)
                if self._stop.is_set():
                    break
            while running and not self._stop.is_set():
                running = await _settle(running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _hand_over(self, answer: Answer) -> None:
        loop, kept = asyncio.get_running_loop(), asyncio.Event()

        def taken() -> None:
            with suppress(RuntimeError):  # the loop is closed: another part ended it
                loop.call_soon_threadsafe(kept.set)

        self._out.put((answer, taken))
        await kept.wait()


async def _settle(running: set[asyncio.Future[None]]) -> set[asyncio.Future[None]]:
    """Wait for some tasks to end; return the others. Looks up at least five times a second."""
    done, waiting = await asyncio.wait(running, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return waiting
