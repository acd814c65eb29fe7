"""Ordering of responses by a model that sees no label, or by MiniLM; and the report on it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from typing import cast

from videojudge_bench import registry
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench._util.markdown import table
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import EngineError
from videojudge_bench.errors import RunStoppedError
from videojudge_bench.items import Item
from videojudge_bench.training.bootstrap.calls import (
    NO_TARGET,
    Call,
    CallJournal,
    HaltError,
    Limits,
    Meter,
)
from videojudge_bench.training.bootstrap.contracts import Draft, DraftReply
from videojudge_bench.training.bootstrap.prompted import Prompted, last_tagged
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.training.experiments.order import (
    LETTERS,
    Blind,
    Ordered,
    check_orders,
    read_order,
)
from videojudge_bench.verdicts import Rating

IN_FLIGHT = 16  # calls of a model at once
_BY_MODEL = "By a model that read all of them at once."
_BY_MINILM = (
    "By MiniLM: the cosine to the nearest reference of the seed, or to its gold answer where it "
    "has no reference. Neither generator nor evaluator uses it, but it reads nothing: only a "
    "sanity check."
)


def run_order(blinds: Sequence[Blind], path: Path, options: Mapping[str, Scalar]) -> list[Path]:
    """Have responses ordered, compare the order with the labels, and return the report's files.

    Without `options` of `PromptedOrderer`, MiniLM orders them. Replies that the folder `path` holds
    are not asked for again.

    Raises:
        ConfigError: the folder was begun with other responses or options, or options are wrong.
        RunStoppedError: calls failed; replies are kept, and the same call resumes.
    """
    folder = RunFolder(path)
    texts: list[Json] = [[blind.seed.id, *blind.texts] for blind in blinds]
    role = registry.make("order", PromptedOrderer, options) if options else None
    orderer = cast("PromptedOrderer | None", role)
    with folder.locked(), nullcontext() if orderer is None else closing(orderer):
        folder.record("order", {"instructions": len(blinds), "sha256": content_hash(texts)})
        folder.record("by", orderer.settings() if orderer else {"judge": "minilm"})
        if orderer is None:
            return _write(path, list(by_minilm(blinds)), _BY_MINILM)
        return _write(path, by_model(blinds, orderer, folder), _BY_MODEL)


def _write(folder: Path, ordered: Sequence[Ordered], method: str) -> list[Path]:
    report, data, check = folder / "report.md", folder / "rows.json", check_orders(ordered)
    lines = [f"# order: {folder.name}", "", method, ""]
    lines.append(f"{check.n} of {len(ordered)} instructions were put in order.")
    if without := sum(len(each.blind.texts) < len(LETTERS) for each in ordered):
        lines.append(
            f"Of {without} nothing is known but the gold answer: the others are compared with it, "
            "and it is not among those to be put in order."
        )
    for problem, number in sorted(Counter(check.problems).items()):
        lines.append(f"- {number} were not: {problem}")
    lines += ["", *table(("", "found", "by lot"), check.rows())]
    write_whole(report, "\n".join(lines) + "\n")
    rows: list[Json] = []
    for each in ordered:
        result = {"problem": each.problem} if each.scores is None else {"scores": list(each.scores)}
        rows.append({"seed": each.blind.seed.id, "ratings": list(each.blind.ratings), **result})
    metrics: Json = {k: [m.value, m.low, m.high] for k, m in check.metrics.items()}
    write_whole(data, json.dumps({"metrics": metrics, "rows": rows}, indent=1) + "\n")
    return [report, data]


def comparable(blind: Blind) -> Blind:
    """Return the responses to order for somebody who reads what is known of the video.

    Where only the gold answer is known, the others are compared with it, and it is left out.
    """
    knows = blind.seed.description or blind.seed.references
    return blind if knows else blind.without_gold()


def by_minilm(blinds: Sequence[Blind]) -> Iterator[Ordered]:
    """Yield orders by the cosine to the nearest reference or, without references, the gold answer.

    A sanity check by a measure that neither generator nor evaluator uses.
    """
    judge = registry.build("minilm", {}).judge
    for blind in map(comparable, blinds):
        seed = blind.seed
        right = seed.references or (seed.gold,)
        items = [
            Item(f"{seed.id}/{letter}", seed.video_id, seed.instruction, text, references=right)
            for letter, text in zip(LETTERS, blind.texts, strict=False)
        ]
        verdicts = [judge.rate(item) for item in items]
        scores = tuple(v.value for v in verdicts if isinstance(v, Rating))
        yield Ordered(blind, scores)


class PromptedOrderer(Prompted):
    """Asks a model for the order of an instruction's responses.

    It reads the description of the video and the references, or the gold answer where there is
    neither; never a rating.
    """

    PROMPT, TEMPERATURE = "order.jinja", 0.0

    async def ask(self, blind: Blind) -> DraftReply:
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
        reply = await self._reply(call_id, values, "orders")
        return reply if isinstance(reply, EngineError) else Draft(reply.text, usage=reply.usage)


def order_of(reply: str, blind: Blind) -> Ordered:
    """Return the order in the last `<order>` tags of a reply."""
    text = last_tagged(reply, "order")
    if not text:
        return Ordered(blind, None, "no <order> tags in the reply")
    order = read_order(text, len(blind.texts))
    return Ordered(blind, None, order) if isinstance(order, str) else Ordered(blind, order)


def by_model(blinds: Sequence[Blind], orderer: PromptedOrderer, folder: RunFolder) -> list[Ordered]:
    """Return a model's orders; replies in the folder's journal are not asked for again."""
    path = folder.path / "journal" / "order.jsonl"
    with ThreadPoolExecutor(1, "videojudge-disk") as disk:
        journal = CallJournal(path, disk)
        try:
            return asyncio.run(_ask_all(list(map(comparable, blinds)), orderer, journal))
        finally:
            journal.close()


async def _ask_all(
    blinds: Sequence[Blind], orderer: PromptedOrderer, journal: CallJournal
) -> list[Ordered]:
    meter, turns = Meter(Limits()), asyncio.Semaphore(IN_FLIGHT)

    async def one(blind: Blind) -> DraftReply:
        known = journal.draft(blind.seed, NO_TARGET, 1, "order")
        if known is not None:
            return known
        try:
            async with turns:
                reply = await meter.count(partial(orderer.ask, blind))
        except HaltError:
            return EngineError(meter.trouble)
        if isinstance(reply, Draft):
            journal.add(Call(blind.seed.id, NO_TARGET, 1, "order", reply))
        return reply

    replies = await asyncio.gather(*map(one, blinds))
    failed = [reply.reason for reply in replies if isinstance(reply, EngineError)]
    if failed:
        raise RunStoppedError(
            f"{len(failed)} of {len(replies)} calls failed; the last: {failed[-1]}. Replies "
            "are kept: the same command resumes"
        )
    return [
        order_of(reply.text, blind)
        for reply, blind in zip(replies, blinds, strict=True)
        if isinstance(reply, Draft)
    ]
