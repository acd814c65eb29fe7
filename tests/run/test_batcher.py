"""The batcher between an engine and a journal: how far it runs ahead, and how it ends."""

from __future__ import annotations

import threading
import time

import pytest

from videojudge_bench.run._batcher import AsyncBatcher, HandOver

LIMIT = 3


class _Asked:
    """Gives two answers to each part, one after the other, and counts."""

    def __init__(self) -> None:
        self.answers = 0

    async def __call__(self, part: int, hand_over: HandOver[int]) -> None:
        for answer in (2 * part, 2 * part + 1):
            self.answers += 1
            await hand_over(answer)


def test_an_answer_that_is_not_kept_holds_its_place() -> None:
    """What waits for the journal is paid for, and lost when the process is killed."""
    asked = _Asked()
    for taken, _ in enumerate(AsyncBatcher(asked, iter(range(50)), LIMIT), start=1):
        if taken == 10:
            time.sleep(0.3)  # time enough to ask for all
            assert asked.answers < taken + LIMIT
    assert asked.answers == 100


def test_all_come_out() -> None:
    assert sorted(AsyncBatcher(_Asked(), iter(range(50)), LIMIT)) == list(range(100))


def test_answers_before_an_error_come_out_before_it() -> None:
    async def ask(part: int, hand_over: HandOver[int]) -> None:
        await hand_over(part)
        if part == 5:
            raise ValueError("broken")

    answers = iter(AsyncBatcher(ask, iter(range(50)), 1))
    assert [next(answers) for _ in range(6)] == list(range(6))
    with pytest.raises(ValueError, match="broken"):
        next(answers)


def test_leaving_early_ends_the_thread_though_answers_wait() -> None:
    for _ in AsyncBatcher(_Asked(), iter(range(50)), LIMIT):
        time.sleep(0.1)  # the others wait to be taken
        break
    assert not [t for t in threading.enumerate() if t.name.startswith("videojudge-engine")]
