"""Who puts responses in order without seeing a label: a model by any engine, or MiniLM."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from videojudge_bench import registry
from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import EngineError, Sampling
from videojudge_bench.errors import RunStoppedError
from videojudge_bench.items import Item
from videojudge_bench.training.bootstrap.calls import (
    NO_TARGET,
    CallJournal,
    HaltError,
    Limits,
    Meter,
)
from videojudge_bench.training.bootstrap.contracts import Draft
from videojudge_bench.training.bootstrap.order import LETTERS, Blind, Ordered, read_order
from videojudge_bench.training.bootstrap.prompted import PROMPTS_FOLDER, Asker, last_tagged
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.verdicts import Rating

_PROMPT = "order.jinja"
_ORDER = re.compile(r"<order>((?:(?!<order>).)*)</order>", re.IGNORECASE | re.DOTALL)

IN_FLIGHT = 16
"""Calls of a model at once."""


def shown_to(blind: Blind) -> Blind:
    """Return what is to be put in order by somebody who reads what is known of the video.

    Where nothing is known but the gold answer, that is what the others are compared with, and it
    is not among those to be put in order.
    """
    knows = blind.seed.description or blind.seed.references
    return blind if knows else blind.without_gold()


def by_minilm(blinds: Sequence[Blind]) -> Iterator[Ordered]:
    """Yield orders by the cosine to the nearest other answer that is known to be right.

    These are the seed's references or, where it has none, its gold answer. No vision and no
    reading: a sanity check, by a measure that neither generator nor evaluator uses.

    Raises:
        ConfigError: the weights of MiniLM are not installed.
    """
    judge = registry.build("minilm", {}).judge
    for blind in map(shown_to, blinds):
        seed = blind.seed
        right = seed.references or (seed.gold,)
        items = [
            Item(f"{seed.id}/{letter}", seed.video_id, seed.instruction, text, references=right)
            for letter, text in zip(LETTERS, blind.texts, strict=False)
        ]
        verdicts = [judge.rate(item) for item in items]
        scores = tuple(v.value for v in verdicts if isinstance(v, Rating))
        yield Ordered(blind, scores)


class PromptedOrderer:
    """Asks a model for the order of an instruction's responses.

    It reads the description of the video and the references, or the gold answer where there is
    neither; never a rating.

    Args:
        engine: its name or `module:Class`.
        prompt: a `.jinja` file in place of ours.
        temperature: of the decoding.
        max_tokens: of a reply, reasoning included.
        seed: for temperatures above 0.
        engine_options: for the engine's constructor.

    Raises:
        ConfigError: unknown engine or option, or a prompt that cannot be read.
    """

    def __init__(
        self,
        *,
        engine: str,
        prompt: str | None = None,
        temperature: float = 0.0,
        max_tokens: int = 1024,
        seed: int = 0,
        **engine_options: Scalar,
    ) -> None:
        path = Path(prompt) if prompt else PROMPTS_FOLDER / _PROMPT
        self._asker = Asker(engine, path, Sampling(temperature, max_tokens, seed), engine_options)

    async def ask(self, blind: Blind) -> Draft | EngineError:
        """Return the model's reply on responses that are to be put in order."""
        seed = blind.seed
        references = seed.references if len(blind.texts) == len(LETTERS) else (seed.gold,)
        values = {
            "description": seed.description,
            "references": references,
            "instruction": seed.instruction,
            "answers": list(zip(LETTERS, blind.texts, strict=False)),
        }
        call_id = f"{seed.id}/order/{content_hash(list(blind.texts))[:12]}"
        reply = await self._asker.ask(call_id, values, "orders")
        if isinstance(reply, EngineError):
            return reply
        return Draft(reply.text, usage=reply.usage)

    def settings(self) -> dict[str, Json]:
        """Return engine, model, the prompt's hash and the decoding."""
        return dict(self._asker.settings())

    def close(self) -> None:
        """Close the engine."""
        self._asker.close()


def order_of(reply: str, blind: Blind) -> Ordered:
    """Return the order that the last `<order>` tags of a reply hold."""
    found = last_tagged(reply, _ORDER)
    if not found:
        return Ordered(blind, None, "no <order> tags in the reply")
    said = read_order(found, len(blind.texts))
    return Ordered(blind, None, said) if isinstance(said, str) else Ordered(blind, said)


def by_model(blinds: Sequence[Blind], orderer: PromptedOrderer, folder: RunFolder) -> list[Ordered]:
    """Return a model's orders; replies that the folder's journal has are not asked for again.

    Raises:
        RunStoppedError: calls failed; what was said is kept, and the same command goes on.
    """
    path = folder.path / "journal" / "order.jsonl"
    with ThreadPoolExecutor(1, "videojudge-disk") as disk:
        journal = CallJournal(path, disk)
        try:
            return asyncio.run(_ask_all(list(map(shown_to, blinds)), orderer, journal))
        finally:
            journal.close()


async def _ask_all(
    blinds: Sequence[Blind], orderer: PromptedOrderer, journal: CallJournal
) -> list[Ordered]:
    meter, turns = Meter(Limits()), asyncio.Semaphore(IN_FLIGHT)

    async def one(blind: Blind) -> Draft | EngineError:
        known = journal.draft(blind.seed, NO_TARGET, 1, "order")
        if known is not None:
            return known
        async with turns:
            try:
                meter.begin()
            except HaltError:
                return EngineError(meter.trouble)
            reply: Draft | EngineError | None = None
            try:
                reply = await orderer.ask(blind)
            finally:
                meter.end(reply)
        if isinstance(reply, Draft):
            journal.add(blind.seed, NO_TARGET, 1, "order", reply)
        return reply

    replies = await asyncio.gather(*map(one, blinds))
    failed = [reply.reason for reply in replies if isinstance(reply, EngineError)]
    if failed:
        raise RunStoppedError(
            f"{len(failed)} of {len(replies)} calls failed; the last: {failed[-1]}. What was said "
            "is kept: the same command goes on with it"
        )
    return [
        order_of(reply.text, blind)
        for reply, blind in zip(replies, blinds, strict=True)
        if isinstance(reply, Draft)
    ]
