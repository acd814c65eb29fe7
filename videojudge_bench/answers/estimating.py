"""Estimate of the calls of judging, before any is made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from videojudge_bench._util.options import Scalar
from videojudge_bench.items import Item, Pair
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run._counting_engine import CHARACTERS_PER_TOKEN, CountingEngine
from videojudge_bench.video import FramePolicy

PIXELS_PER_TOKEN = 28 * 28
"""Of a frame sent as an image to a Qwen; a video takes half as many tokens."""

PRICES_ARE_FOR = 1_000_000
_LOOKED_AT = 200


@dataclass(frozen=True)
class Estimate:
    """Estimate of a prompted judge's calls.

    Attributes:
        calls: replies that are asked for.
        text_tokens: of all prompts, without frames, at four characters a token.
        frame_tokens: of all prompts, at the most: all frames that the options allow, at 28 x 28
            pixels a token; 0 when no frames are shown.
        reply_tokens: at the most: `max_tokens` each.
        cost: at the most, in the unit of the prices; None without prices.
    """

    calls: int
    text_tokens: int
    frame_tokens: int
    reply_tokens: int
    cost: float | None


def estimate(built: BuiltJudge, items: Sequence[Item | Pair]) -> Estimate | None:
    """Return what a judge will ask for; None for one that asks no model.

    Prompts are made for up to 200 groups, spread evenly, and counted.
    """
    judge = built.judge
    if not isinstance(judge, PromptedJudge) or not items:
        return None
    counting = CountingEngine(judge.engine.capabilities)
    groups = [list(group) for _, group in groupby(items, key=lambda item: item.group)]
    some = groups[:: -(-len(groups) // _LOOKED_AT)]
    judge.fit(items)
    engine, judge.engine = judge.engine, counting
    try:
        for group in some:
            asyncio.run(judge.ask(group, _ignore))
    finally:
        judge.engine = engine
    share = len(items) / sum(len(group) for group in some)
    return _estimate(counting, built.options, share)


def _estimate(counted: CountingEngine, options: Mapping[str, Scalar], share: float) -> Estimate:
    default = FramePolicy()
    frames, pixels = (
        _number(options.get(name)) or float(usual)
        for name, usual in (("max_frames", default.max_frames), ("max_pixels", default.max_pixels))
    )
    text = counted.characters / CHARACTERS_PER_TOKEN * share
    seen = counted.with_video * frames * pixels / PIXELS_PER_TOKEN * share
    replies = counted.calls * counted.max_tokens * share
    price_in, price_out = (_number(options.get(name)) for name in ("price_in", "price_out"))
    cost = None
    if price_in is not None and price_out is not None:
        cost = ((text + seen) * price_in + replies * price_out) / PRICES_ARE_FOR
    return Estimate(round(counted.calls * share), round(text), round(seen), round(replies), cost)


async def _ignore(_: object) -> None:
    """Take an answer that nobody reads: the engine has counted the question."""


def _number(value: Scalar) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
