"""An engine that remembers what it was asked, for the tests of prompted judges."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast

from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import Capability, Deliver, EngineError, PromptGroup, Reply
from videojudge_bench.items import Item
from videojudge_bench.prompted import PromptedJudge

Replies = list[Reply | EngineError]
Answer = Callable[[PromptGroup], Awaitable[Sequence[Reply | EngineError]]]


class FakeEngine:
    """Remembers the groups it gets; answers with a function that a test may replace."""

    capabilities: frozenset[Capability] = frozenset({"video"})

    def __init__(self, *, reply: str = "<score>4</score>") -> None:
        self.reply = reply
        self.groups: list[PromptGroup] = []
        self.answer: Answer = self.same
        self.closed = 0

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        self.groups.append(group)
        for number, reply in enumerate(await self.answer(group)):
            await deliver(number, reply)

    async def same(self, group: PromptGroup) -> Replies:
        """Give the same reply to every continuation."""
        return [Reply(self.reply) for _ in group.continuations]

    def settings(self) -> Mapping[str, Scalar]:
        return {"model": "fake-1"}

    def close(self) -> None:
        self.closed += 1

    @property
    def asked(self) -> list[list[str]]:
        """The ids of the continuations of each group, in the order they came."""
        return [[tail.id for tail in group.continuations] for group in self.groups]


class TextEngine(FakeEngine):
    """Takes no video."""

    capabilities = frozenset()


def make_judge(
    cls: type[PromptedJudge] = PromptedJudge, engine: str = "FakeEngine", **options: Scalar
) -> tuple[PromptedJudge, FakeEngine]:
    """Return a judge with a fake engine, and the engine."""
    name = engine if ":" in engine else f"{__name__}:{engine}"
    judge = cls(engine=name, **options)  # type: ignore[arg-type]
    return judge, cast("FakeEngine", judge.engine)


def items(groups: int, *, each: int = 1) -> list[Item]:
    """Return items of so many groups: `v0/0`, `v0/1`, …, `v1/0`, …"""
    return [
        Item(f"v{video}/{number}", f"v{video}", "do", f"answer {number}")
        for video in range(groups)
        for number in range(each)
    ]


def engine_threads() -> list[str]:
    """Return the names of the threads of prompted judges that are alive."""
    return [t.name for t in threading.enumerate() if t.name.startswith("videojudge-engine")]
