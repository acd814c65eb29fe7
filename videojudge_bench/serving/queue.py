"""Rows that wait for a judge: bounded, and judged together where they share a prompt prefix."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
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
"""Of a batch's time, in which those that it answered may ask again before the next begins."""
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


class JudgeQueue:
    """Rows of many callers, judged by one thread.

    A batch begins with the group that waits longest, and is filled with whole groups (rows about
    one video and instruction) in the order of their arrival. Use it as a context manager: leaving
    ends the batch that is judged, and gives up what waits.

    Args:
        judge_batch: gives a judgement for each item by its id.
        room: rows that may wait.
        batch_rows: in a batch; only a single larger group is torn.
        linger_seconds: a batch begins when so long no further row has come, or after
            `LONGEST_LINGER` times as long.
        on_batch: called after each batch.

    Attributes:
        waiting: rows that wait.
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
        self.waiting = 0
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
        """Return the judgements of items, in their order; cancel it, and what waits is left out.

        Raises:
            QueueFullError: there is no room for all of them.
            StoppedError: nothing is judged any more.
        """
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
            self._changed.notify()
        return request.future

    def _work(self) -> None:
        batch: list[_Row] = []
        try:
            while batch := self._next():
                self._judge(batch)
        finally:  # also of a defect, after which nobody may wait for ever
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
                # Who was just answered asks again: begun too early, batches would be large and
                # tiny in turn.
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
                judgements = [r.judgement for r in row.request.rows if r.judgement is not None]
                row.request.future.set_result(judgements)
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
