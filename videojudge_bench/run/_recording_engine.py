"""An engine that records prompts and replies, for the comparison of engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import (
    Capability,
    Deliver,
    Engine,
    ExplainingEngine,
    Explanation,
    PromptGroup,
    Reply,
    Result,
)
from videojudge_bench.errors import VideoJudgeError


@dataclass(frozen=True)
class Record:
    """One prompt and its reply.

    Attributes:
        explanation: the prompt as it reached the model; None where the engine cannot show it.
        is_verdict_first: the reply begins with the verdict, and what follows it does not count.
    """

    reply: Reply
    explanation: Explanation | None
    is_verdict_first: bool


class RecordingEngine:
    """Hands groups on to an engine.

    Attributes:
        records: by the id of the continuation; those of failed calls are missing.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.records: dict[str, Record] = {}

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._engine.capabilities

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        """Deliver the engine's results, and keep them."""
        results: dict[int, Result] = {}

        async def keep(number: int, result: Result) -> None:
            results[number] = result
            await deliver(number, result)

        await self._engine.complete(replace(group, alternatives=True), keep)
        explanations = await self._explained(group)
        at_once = bool(group.reply_start and group.choices)
        for number, result in results.items():
            if isinstance(result, Reply):
                tail = group.continuations[number]
                self.records[tail.id] = Record(result, explanations[number], at_once)

    async def _explained(self, group: PromptGroup) -> Sequence[Explanation | None]:
        if isinstance(self._engine, ExplainingEngine):
            try:
                return await self._engine.explain(group)
            except VideoJudgeError:
                pass  # the replies have failed for the same reason, and say so
        return [None] * len(group.continuations)

    def settings(self) -> Mapping[str, Scalar]:
        return self._engine.settings()

    def close(self) -> None:
        self._engine.close()
