"""An engine that counts what it is asked, for estimates made before any call."""

from __future__ import annotations

from collections.abc import Mapping

from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import Capability, Deliver, PromptGroup, Reply
from videojudge_bench.verdicts import Usage

CHARACTERS_PER_TOKEN = 4.0
"""Estimate for English text and current tokenizers, right to about 20 %."""


class CountingEngine:
    """Answers nothing; its replies say how many tokens their prompts have, frames aside.

    Attributes:
        calls: prompts that it was asked.
        with_video: those of them with a video.
        characters: of all prompts, with what they share.
        max_tokens: that the last of them allowed a reply.
    """

    def __init__(self, capabilities: frozenset[Capability] = frozenset()) -> None:
        self.capabilities = capabilities
        self.calls = self.with_video = self.characters = self.max_tokens = 0

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        """Deliver an empty reply to each prompt."""
        shared = len(group.prefix.system) + len(group.prefix.text)
        lengths = [shared + len(tail.text) for tail in group.continuations]
        self.calls += len(lengths)
        self.with_video += len(lengths) if group.prefix.video is not None else 0
        self.characters += sum(lengths)
        self.max_tokens = group.sampling.max_tokens
        for number, length in enumerate(lengths):
            tokens = round(length / CHARACTERS_PER_TOKEN)
            await deliver(number, Reply("", usage=Usage(tokens)))

    def settings(self) -> Mapping[str, Scalar]:
        return {}

    def close(self) -> None:
        """Nothing to give back."""
