"""Rows that wait for a judge: bounded, and judged together where they share a prompt prefix."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from videojudge_bench.errors import VideoJudgeError
from videojudge_bench.items import Item, Pair
from videojudge_bench.verdicts import Judgement

AnyItem = Item | Pair
JudgeBatch = Callable[[Mapping[str, AnyItem]], Mapping[str, Judgement]]
_Key = tuple[object, ...]

LONGEST_WAIT_SECONDS = 60
LONGEST_LINGER = 10
PAUSE_SHARE = 0.05
"""Share of a batch's time that its clients have to send again before the next batch begins."""
STOPPED = "the judge has stopped"


class QueueFullError(VideoJudgeError):
    """No room for more rows.

    Attributes:
        retry_seconds: after which there is room, by the rate so far.
    """

    def __init__(self, waiting: int, room: int, retry_seconds: int) -> None:
        self.retry_seconds = retry_seconds
        super().__init__(
            f"{waiting} rows are waiting, and {room} is the most; try again in {retry_seconds} s"
        )


class StoppedError(VideoJudgeError):
    """The judge answers nothing any more."""


@dataclass(frozen=True)
class Batch:
    """Items that were judged together, for the figures."""

    rows: int
    groups: int
    seconds: float


@dataclass(eq=False)
class _Request:
    future: Future[list[Judgement]]
    left: int
    arrived: float = field(default_factory=time.monotonic)
    rows: list[_Row] = field(default_factory=list)


@dataclass(eq=False)
class _Row:
    item: AnyItem
    request: _Request
    judgement: Judgement | None = None


class RowQueue(AbstractContextManager["RowQueue"]):
    """Takes rows, and has them judged in its own time. Use it as a context manager.

    Attributes:
        waiting: rows that wait.
    """

    waiting = 0

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """True if rows are still judged."""

    @abstractmethod
    def submit(self, items: Sequence[AnyItem]) -> Future[list[Judgement]]:
        """Return the judgements of items, in their order; cancel it, and what waits is left out.

        Raises:
            QueueFullError: there is no room for all of them.
            StoppedError: nothing is judged any more.
        """


class JudgeQueue(RowQueue):
    """Rows of many callers, judged by one thread.

    A batch of up to `batch_rows` begins with the group that waits longest, and is filled with whole
    groups (rows about one video and instruction) in the order of their arrival; only a single
    larger group is torn. It begins when no further row has come for `linger_seconds`, or after
    `LONGEST_LINGER` times as long. Leaving the context ends the batch that is judged, and gives up
    what waits; `room` is the most rows that may wait.
    """

    def __init__(
        self,
        judge_batch: JudgeBatch,
        *,
        room: int,
        batch_rows: int,
        linger_seconds: float,
        on_batch: Callable[[Batch], None] = lambda _: None,
    ) -> None:
        self._judge_batch, self._on_batch = judge_batch, on_batch
        self._room, self._batch_rows, self._linger = room, batch_rows, linger_seconds
        self._groups: dict[_Key, list[_Row]] = {}
        self._rate = 0.0
        self._arrived = self._ended = self._seconds = 0.0
        self._stopped = False
        self._changed = threading.Condition()
        # A judge that never returns must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="videojudge-judge", daemon=True)

    def __enter__(self) -> JudgeQueue:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """True if rows are still judged."""
        return self._thread.is_alive() and not self._stopped

    def submit(self, items: Sequence[AnyItem]) -> Future[list[Judgement]]:
        """Return the judgements of items, as that of any queue of rows."""
        request = _Request(Future(), len(items))
        request.rows = [_Row(item, request) for item in items]
        if not items:
            request.future.set_result([])
            return request.future
        with self._changed:
            if not self.is_alive:
                raise StoppedError(STOPPED)
            if self.waiting + len(items) > self._room:
                self._drop_given_up()
            if self.waiting + len(items) > self._room:
                seconds = round(self.waiting / self._rate) if self._rate else 1
                seconds = min(max(1, seconds), LONGEST_WAIT_SECONDS)
                raise QueueFullError(self.waiting, self._room, seconds)
            for row in request.rows:
                self._groups.setdefault(_group(row.item), []).append(row)
            self.waiting += len(items)
            self._arrived = request.arrived
            # A thread that lingers looks at `_arrived` itself: woken by each request, it would
            # only take the interpreter from those that bring the next.
            if self.waiting == len(items) or self.waiting >= self._batch_rows:
                self._changed.notify()
        return request.future

    def _work(self) -> None:
        batch: list[_Row] = []
        try:
            while batch := self._next():
                self._judge(batch)
        finally:  # also after a defect, so that no caller waits for ever
            with self._changed:
                self._stopped = True
                left = [*batch, *(row for rows in self._groups.values() for row in rows)]
                self._groups, self.waiting = {}, 0
            _fail(left, StoppedError(STOPPED))

    def _next(self) -> list[_Row]:
        """Wait for rows and take a batch of them; none when the queue was stopped."""
        with self._changed:
            while not self._stopped:
                self._drop_given_up()
                oldest = next(iter(self._groups.values()), None)
                if oldest is None:
                    self._changed.wait()
                    continue
                # Clients that were just answered send again: if the next batch began too early,
                # large and tiny batches would alternate.
                first = max(oldest[0].request.arrived, self._ended)
                last = max(self._arrived, self._ended)
                until = min(last + self._linger, first + LONGEST_LINGER * self._linger)
                until = max(until, self._ended + PAUSE_SHARE * self._seconds)
                left = until - time.monotonic()
                if left <= 0 or self.waiting >= self._batch_rows:
                    return self._take()
                self._changed.wait(left)
        return []

    def _take(self) -> list[_Row]:
        batch: list[_Row] = []
        by_id: dict[str, AnyItem] = {}
        for key, rows in list(self._groups.items()):
            if batch and len(batch) + len(rows) > self._batch_rows:
                break
            # Two callers may call different rows by one id: they cannot be told apart in a batch.
            fits = [r for r in rows if by_id.setdefault(r.item.id, r.item) == r.item]
            batch += fits[: self._batch_rows]
            left = [*fits[self._batch_rows :], *(r for r in rows if by_id[r.item.id] != r.item)]
            if left:
                self._groups[key] = left
            else:
                del self._groups[key]
        self.waiting -= len(batch)
        return batch

    def _judge(self, batch: list[_Row]) -> None:
        started = time.monotonic()
        try:
            judged = self._judge_batch({row.item.id: row.item for row in batch})
        except VideoJudgeError as error:
            _fail(batch, error)
            return
        for row in batch:
            row.judgement = judged[row.item.id]
            row.request.left -= 1
            if not row.request.left and row.request.future.set_running_or_notify_cancel():
                rows, row.request.rows = row.request.rows, []  # no ring, which would be kept long
                row.request.future.set_result([r.judgement for r in rows if r.judgement])
        self._ended = time.monotonic()
        self._seconds = seconds = max(self._ended - started, 1e-6)
        rate = len(batch) / seconds
        self._rate = rate if not self._rate else 0.8 * self._rate + 0.2 * rate
        self._on_batch(Batch(len(batch), len({_group(row.item) for row in batch}), seconds))

    def _drop_given_up(self) -> None:
        for key, rows in list(self._groups.items()):
            kept = [row for row in rows if not row.request.future.done()]
            self.waiting -= len(rows) - len(kept)
            if kept:
                self._groups[key] = kept
            else:
                del self._groups[key]


def _group(item: AnyItem) -> _Key:
    return (type(item), *item.group, item.video)


def _fail(rows: Sequence[_Row], error: VideoJudgeError) -> None:
    for request in {id(row.request): row.request for row in rows}.values():
        if not request.future.done() and request.future.set_running_or_notify_cancel():
            request.future.set_exception(error)
