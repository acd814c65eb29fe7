"""The batcher between an engine and a journal: how far it runs ahead, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from videojudge_bench.run._batcher import AsyncBatcher

LIMIT = 3


class _Asked:
    """Answers at once, and counts."""

    def __init__(self) -> None:
        self.groups = 0

    async def __call__(self, group: Sequence[int]) -> Sequence[int]:
        self.groups += 1
        return group


def _groups(count: int) -> Iterator[list[int]]:
    return ([number] for number in range(count))


def test_what_is_asked_and_not_taken_is_bounded() -> None:
    """What waits for the journal is paid for, and lost when the process is killed."""
    asked = _Asked()
    for taken, _ in enumerate(AsyncBatcher(asked, _groups(100), LIMIT), start=1):
        if taken == 10:
            time.sleep(0.3)  # time enough to ask for all
            assert 10 <= asked.groups <= taken + 2 * LIMIT + 1
    assert asked.groups == 100


def test_all_come_out_in_their_order() -> None:
    found = [group[0] for group, _ in AsyncBatcher(_Asked(), _groups(50), LIMIT)]
    assert found == list(range(50))


def test_leaving_early_ends_the_thread_though_results_wait() -> None:
    for _ in AsyncBatcher(_Asked(), _groups(100), LIMIT):
        time.sleep(0.1)  # the others wait for room
        break
    assert not [t for t in threading.enumerate() if t.name.startswith("videojudge-engine")]
