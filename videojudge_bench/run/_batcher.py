"""Asks for many groups at once, and hands replies over as they come."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

Part = TypeVar("Part")
Answer = TypeVar("Answer")


class AsyncBatcher(Generic[Part, Answer]):
    """Asks for many groups at once and hands the replies over as they come.

    The event loop has a thread of its own, so that replies keep arriving while the caller writes
    its journal, and so that it works inside a notebook, whose own loop is already running. An
    exception of `ask` reaches the caller; leaving the iteration (Ctrl-C) cancels what is in
    flight.

    Args:
        ask: gives the answers for one group.
        groups: taken as they are needed.
        limit: how many groups are asked for at once.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Part]], Awaitable[Sequence[Answer]]],
        groups: Iterator[Sequence[Part]],
        limit: int,
    ) -> None:
        self._ask, self._groups, self._limit = ask, groups, limit
        # Bounded: what waits here is paid for, and lost when the process is killed.
        self._out: queue.Queue[tuple[Sequence[Part], Sequence[Answer]] | None] = queue.Queue(limit)
        self._stop = threading.Event()

    def __iter__(self) -> Iterator[tuple[Sequence[Part], Sequence[Answer]]]:
        with ThreadPoolExecutor(1, "videojudge-engine") as thread:
            try:
                work = thread.submit(self._work)
                while (result := self._out.get()) is not None:
                    yield result
                work.result()
            finally:
                self._stop.set()

    def _work(self) -> None:
        try:
            asyncio.run(self._run())
        finally:
            self._hand_over(None)

    async def _run(self) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            for group in self._groups:
                running.add(asyncio.create_task(self._one(group)))
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

    async def _one(self, group: Sequence[Part]) -> None:
        self._hand_over((group, await self._ask(group)))

    def _hand_over(self, result: tuple[Sequence[Part], Sequence[Answer]] | None) -> None:
        """Wait until there is room for a result, or nobody wants it any more."""
        while not self._stop.is_set():
            with suppress(queue.Full):
                self._out.put(result, timeout=0.2)
                return


async def _settle(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait for some tasks to end; return the others. Looks up at least five times a second."""
    done, waiting = await asyncio.wait(running, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return waiting
