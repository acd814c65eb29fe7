"""Judges and engines made of rules, which note every question: what would have been paid for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import Capability, Deliver, PromptGroup, Reply
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.verdicts import Usage

CALLS = "calls.log"
AT_ONCE = 4


class Talker:
    """Writes a reply that depends on the prompt alone; a line in `calls.log` for each."""

    capabilities: frozenset[Capability] = frozenset({"video"})

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        for number, tail in enumerate(group.continuations):
            await deliver(number, self._reply(group, tail.id, tail.text))

    def _reply(self, group: PromptGroup, name: str, text: str) -> Reply:
        file = os.open(CALLS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{name}\n".encode())
        os.close(file)
        level = 1 + int(5 * unit_interval("level", text))
        words = " ".join(f"Thought {number} about it." for number in range(30))
        rubric = f"<rubric>5: all that {name.partition('/')[0]} shows\n1: nothing</rubric>"
        said = f"{rubric}\n<thinking>{words}</thinking>\n<score>{level}</score>"
        return Reply(said, usage=Usage(len(group.prefix.text) // 4, len(said) // 4, 0.0, 0.01))

    def settings(self) -> Mapping[str, Scalar]:
        return {"model": "talker-1"}

    def close(self) -> None:
        """Nothing to give back."""


class Asker(PromptedJudge):
    """A prompted judge on that engine."""

    runs_on = "models:Talker"

    def __init__(self, *, concurrency: int = AT_ONCE) -> None:
        super().__init__(concurrency=concurrency, rubric="write")


def calls_in(folder: Path) -> list[str]:
    """Return what the engine was asked in a folder."""
    path = folder / CALLS
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
