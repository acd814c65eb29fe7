"""The queue of rows: what is judged together, what is given up, and what ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path

import pytest

from videojudge_bench import Item, Judgement, Pair, Rating
from videojudge_bench.errors import ConfigError
from videojudge_bench.serving.queue import Batch, JudgeQueue, QueueFullError, StoppedError

AnyItem = Item | Pair


class Held:
    """A judge that waits to be let go; remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.begun, self.go = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def __call__(self, items: Mapping[str, AnyItem]) -> Mapping[str, Judgement]:
        self.batches.append(list(items))
        self.begun.set()
        assert self.go.wait(60)
        if self.error is not None:
            raise self.error
        return {name: Judgement(name, Rating(len(item.id))) for name, item in items.items()}


def _item(name: str, video: str = "v", **more: str) -> Item:
    return Item(name, video, "do", more.get("response", "x"), video=Path(more.get("file", "f")))


@contextmanager
def _held(*, room: int = 100, batch_rows: int = 4) -> Iterator[tuple[Held, JudgeQueue]]:
    """A queue whose judge is at work on a first row already."""
    judge = Held()
    queue = JudgeQueue(judge, room=room, batch_rows=batch_rows, linger_seconds=0.001)
    with queue:
        queue.submit([_item("first", "first")])
        assert judge.begun.wait(60)
        try:
            yield judge, queue
        finally:
            judge.go.set()


def test_groups_stay_whole_and_in_the_order_of_arrival() -> None:
    with _held() as (judge, queue):
        asked = [queue.submit([_item(name, name[0])]) for name in ("a1", "b1", "a2", "b2", "b3")]
        judge.go.set()
        assert [made.result(60)[0].item_id for made in asked] == ["a1", "b1", "a2", "b2", "b3"]
    assert judge.batches == [["first"], ["a1", "a2"], ["b1", "b2", "b3"]]


def test_a_group_that_is_too_large_is_torn() -> None:
    with _held() as (judge, queue):
        asked = queue.submit([_item(str(n)) for n in range(10)])
        judge.go.set()
        assert [made.item_id for made in asked.result(60)] == [str(n) for n in range(10)]
    assert [len(batch) for batch in judge.batches] == [1, 4, 4, 2]


def test_other_rows_of_the_same_id_wait_for_the_next_batch() -> None:
    with _held() as (judge, queue):
        asked = [
            queue.submit([_item("a")]),
            queue.submit([_item("a")]),
            queue.submit([_item("a", response="another")]),
            queue.submit([_item("a", file="another")]),
        ]
        judge.go.set()
        assert {made.result(60)[0].item_id for made in asked} == {"a"}
    assert judge.batches == [["first"], ["a"], ["a"], ["a"]]


def test_what_was_given_up_makes_room() -> None:
    with _held(room=2) as (judge, queue):
        asked = [queue.submit([_item("a")]), queue.submit([_item("b")])]
        with pytest.raises(QueueFullError, match="2 rows are waiting, and 2 is the most"):
            queue.submit([_item("c")])
        assert asked[0].cancel()
        last = queue.submit([_item("c")])
        judge.go.set()
        assert [len(made.result(60)) for made in (asked[1], last)] == [1, 1]
        with pytest.raises(CancelledError):
            asked[0].result(60)
    assert judge.batches == [["first"], ["b", "c"]]


def test_an_error_of_the_judge_reaches_its_callers_and_no_others() -> None:
    with _held() as (judge, queue):
        judge.error = ConfigError("no such model")
        asked = queue.submit([_item(str(n)) for n in range(5)])
        judge.go.set()
        with pytest.raises(ConfigError, match="no such model"):
            asked.result(60)
        judge.error = None
        assert len(queue.submit([_item("next")]).result(60)) == 1
    assert [*judge.batches[1], *judge.batches[-1]] == ["0", "1", "2", "3", "next"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_leaves_nobody_waiting() -> None:
    with _held() as (judge, queue):
        judge.error = ZeroDivisionError()
        waiting = queue.submit([_item("a")])
        judge.go.set()
        with pytest.raises(StoppedError):
            waiting.result(60)
        with pytest.raises(StoppedError):
            queue.submit([_item("b")])
        assert not queue.is_alive


def test_batches_are_reported() -> None:
    seen: list[Batch] = []
    judge = Held()
    judge.go.set()
    with JudgeQueue(
        judge, room=9, batch_rows=9, linger_seconds=0.001, on_batch=seen.append
    ) as queue:
        assert queue.submit([]).result(60) == []
        queue.submit([_item("a"), _item("b", "w")]).result(60)
    assert [(batch.rows, batch.groups) for batch in seen] == [(2, 2)]
