"""Prompted judges at work: several groups at once, errors, leaving early."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
from fake_engine import FakeEngine, Replies, engine_threads, items, make_judge

from videojudge_bench.engine import PromptGroup, Reply
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

pytestmark = pytest.mark.timeout(60)  # a deadlock fails instead of hanging


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert engine_threads() == []


# Several groups at once.


def test_groups_are_asked_for_at_the_same_time() -> None:
    judge, engine = make_judge(concurrency=2)
    second_has_come = asyncio.Event()

    async def answer(group: PromptGroup) -> Replies:
        if group.continuations[0].id == "v0/0":
            await asyncio.wait_for(second_has_come.wait(), 20)
        else:
            second_has_come.set()
        return [Reply("<score>4</score>")]

    engine.answer = answer
    assert sorted(j.item_id for j in judge.judge(items(2))) == ["v0/0", "v1/0"]


@pytest.mark.parametrize("concurrency", [1, 3, 50])
def test_no_more_groups_than_asked_for_are_in_flight(concurrency: int) -> None:
    judge, engine = make_judge(concurrency=concurrency)
    in_flight: set[str] = set()
    most = 0

    async def answer(group: PromptGroup) -> Replies:
        nonlocal most
        in_flight.add(group.continuations[0].id)
        most = max(most, len(in_flight))
        await asyncio.sleep(0.005)
        in_flight.discard(group.continuations[0].id)
        return [Reply("<score>4</score>")]

    engine.answer = answer
    assert len(list(judge.judge(items(12)))) == 12
    assert most == min(concurrency, 12)


def test_a_fast_group_does_not_wait_for_a_slow_one() -> None:
    judge, engine = make_judge(concurrency=2)
    fast_was_seen = threading.Event()

    async def answer(group: PromptGroup) -> Replies:
        if group.continuations[0].id == "v0/0":
            await asyncio.to_thread(fast_was_seen.wait, 20)
        return [Reply("<score>4</score>")]

    engine.answer = answer
    order: list[str] = []
    for judgement in judge.judge(items(4)):
        order.append(judgement.item_id)
        if len(order) == 3:
            fast_was_seen.set()
    assert order == ["v1/0", "v2/0", "v3/0", "v0/0"]


def test_items_are_taken_no_further_ahead_than_needed() -> None:
    judge, _ = make_judge(concurrency=2)
    taken = 0

    def endless() -> Iterator[Item]:
        nonlocal taken
        while True:
            yield Item(f"v{taken}", f"v{taken}", "do", "x")
            taken += 1

    stream = cast("Generator[Judgement, None, None]", judge.judge(endless()))
    assert next(stream).item_id == "v0"
    stream.close()
    assert taken < 100_000


def test_it_works_inside_a_running_event_loop() -> None:
    judge, _ = make_judge()

    async def notebook() -> list[Judgement]:
        return list(judge.judge(items(3, each=2)))

    assert len(asyncio.run(notebook())) == 6


def test_no_items_no_calls() -> None:
    judge, engine = make_judge()
    assert list(judge.judge([])) == []
    assert engine.groups == []


# When something breaks.


def test_a_group_that_raises_fails_alone(rated_set: GoldSet, journal_root: Path) -> None:
    judge, engine = make_judge(concurrency=3)

    async def answer(group: PromptGroup) -> Replies:
        await asyncio.sleep(0.001)
        if group.continuations[0].id.startswith("v2/"):
            raise OSError("no such host")
        return await engine.same(group)

    engine.answer = answer
    run = Run(BuiltJudge("mine", judge, {}), rated_set, RunOptions(journal=journal_root))
    found = run.judge(list(rated_set.by_id))
    assert [i for i, j in found.items() if j.failed] == ["v2/cat", "v2/dog"]
    assert found["v2/cat"].verdict == Unparsed("judge failed: OSError: no such host")
    assert {j.verdict for j in found.values() if not j.failed} == {Rating(4.0)}


def test_what_came_before_an_error_is_handed_over_first() -> None:
    judge, engine = make_judge(concurrency=1)

    async def answer(group: PromptGroup) -> Replies:
        if group.continuations[0].id == "v2/0":
            raise OSError("no such host")
        return await engine.same(group)

    engine.answer = answer
    found: list[str] = []
    with pytest.raises(OSError, match="no such host"):
        found.extend(j.item_id for j in judge.judge(items(4)))
    assert found == ["v0/0", "v1/0"]


def test_several_groups_that_raise_at_once_are_one_error(caplog: pytest.LogCaptureFixture) -> None:
    judge, engine = make_judge(concurrency=4)
    here: list[PromptGroup] = []
    all_here = asyncio.Event()

    async def answer(group: PromptGroup) -> Replies:
        here.append(group)
        if len(here) == 4:
            all_here.set()
        await all_here.wait()
        raise OSError("no such host")

    engine.answer = answer
    with caplog.at_level(logging.DEBUG, "asyncio"), pytest.raises(OSError, match="no such host"):
        list(judge.judge(items(4)))
    assert [m for m in caplog.messages if "never retrieved" in m] == []


def test_too_few_replies_are_an_error_and_not_a_shift() -> None:
    judge, engine = make_judge()

    async def answer(group: PromptGroup) -> Replies:
        return [Reply("<score>4</score>")]

    engine.answer = answer
    with pytest.raises(ValueError, match="from the engine, got 1"):
        list(judge.judge(items(1, each=3)))


def test_an_error_of_the_items_reaches_the_caller() -> None:
    judge, _ = make_judge(concurrency=1)

    def cut_off() -> Iterator[Item]:
        yield from items(2)
        raise RuntimeError("the file ends here")

    with pytest.raises(RuntimeError, match="the file ends here"):
        list(judge.judge(cut_off()))


# Rates one item in a process that may open no more files, so that no event loop can start.
EXHAUSTED = """
import asyncio, os, resource, sys
sys.path.insert(0, sys.argv[1])
from fake_engine import items, make_judge

asyncio.run(asyncio.sleep(0))
judge, _ = make_judge()
lowest_free = os.dup(0)
resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, lowest_free))
try:
    judge.rate(items(1)[0])
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sets a POSIX limit")
def test_an_event_loop_that_cannot_start_is_an_error_and_no_deadlock() -> None:
    command = [sys.executable, "-c", EXHAUSTED, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            said, _ = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail("it waits forever for replies")
    assert said == "Too many open files\n"


# Leaving early.


def _hanging(engine: FakeEngine) -> list[str]:
    """Have the engine answer v0 and hang on all others; return the list of those cancelled."""
    cancelled: list[str] = []

    async def answer(group: PromptGroup) -> Replies:
        name = group.continuations[0].id
        if name != "v0/0":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(name)
                raise
        return [Reply("<score>4</score>")]

    engine.answer = answer
    return cancelled


def test_breaking_off_cancels_what_is_in_flight_and_ends_the_thread() -> None:
    judge, engine = make_judge(concurrency=3)
    cancelled = _hanging(engine)
    for judgement in judge.judge(items(9)):
        assert judgement.item_id == "v0/0"
        assert len(engine_threads()) == 1
        break
    assert engine_threads() == []
    in_flight = {tail for group in engine.asked for tail in group} - {"v0/0"}
    assert sorted(cancelled) == sorted(in_flight)


def test_an_error_of_the_caller_ends_the_thread() -> None:
    judge, engine = make_judge(concurrency=3)
    _hanging(engine)
    with pytest.raises(ZeroDivisionError):
        [1 // 0 for _ in judge.judge(items(9))]
    assert engine_threads() == []


def test_a_stream_that_was_never_started_starts_no_thread() -> None:
    judge, engine = make_judge()
    stream = judge.judge(items(2))
    assert engine_threads() == []
    del stream
    assert engine.groups == []


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_cancels_and_keeps_the_journal(rated_set: GoldSet, journal_root: Path) -> None:
    judge, engine = make_judge(concurrency=1)
    run = Run(BuiltJudge("mine", judge, {}), rated_set, RunOptions(journal=journal_root))
    ids = list(rated_set.by_id)
    cancelled: list[bool] = []

    async def interrupt(group: PromptGroup) -> Replies:
        if group.continuations[0].id == "v2/cat":
            await asyncio.to_thread(_wait_for_lines, run.folder / "judgements-0.jsonl", 4)
            await asyncio.sleep(0.1)  # by now the main thread waits for the next reply
            os.kill(os.getpid(), signal.SIGINT)
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(True)
        return await engine.same(group)

    engine.answer = interrupt
    with pytest.raises(KeyboardInterrupt):
        run.judge(ids)
    assert cancelled == [True]
    assert engine_threads() == []
    engine.answer = engine.same
    engine.groups.clear()
    assert {j.verdict for j in run.judge(ids).values()} == {Rating(4.0)}
    assert engine.asked == [["v2/cat", "v2/dog"], ["v3/cat", "v3/dog"]]


def test_ctrl_c_right_after_the_thread_has_started_stops_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The signal may arrive between any two lines; this is where it arrives in this test.
    submit = ThreadPoolExecutor.submit

    def interrupted(pool: ThreadPoolExecutor, work: Callable[[], None]) -> None:
        submit(pool, work)
        raise KeyboardInterrupt

    judge, engine = make_judge(concurrency=1)

    async def slow(group: PromptGroup) -> Replies:
        await asyncio.sleep(0.01)
        return await engine.same(group)

    engine.answer = slow
    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(judge.judge(items(100)))
    assert len(engine.groups) < 50  # and not all of them, with nobody there to take the replies


def _wait_for_lines(path: Path, count: int) -> None:
    while len(path.read_bytes().splitlines()) < count:
        time.sleep(0.005)
