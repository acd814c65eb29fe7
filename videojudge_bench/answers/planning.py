"""Plan of a judging: answers, videos, and an estimate of model calls, tokens and cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from videojudge_bench._util.options import Scalar
from videojudge_bench.answers.judging import Judging
from videojudge_bench.items import Item, Pair
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run._counting_engine import CHARACTERS_PER_TOKEN, CountingEngine
from videojudge_bench.video import FramePolicy

PIXELS_PER_TOKEN = 28 * 28
"""Of a frame sent as an image to a Qwen; a frame of a video takes half as many tokens."""

PRICES_ARE_FOR = 1_000_000
_SAMPLED_GROUPS = 200


@dataclass(frozen=True)
class Estimate:
    """Estimate of a prompted judge's calls.

    Attributes:
        calls: replies requested.
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
    """Return the estimate for a judge; None for one that asks no model.

    It is extrapolated from the prompts of up to 200 groups, evenly spread.
    """
    judge = built.judge
    if not isinstance(judge, PromptedJudge) or not items:
        return None
    counting = CountingEngine(judge.engine.capabilities)
    groups = [list(group) for _, group in groupby(items, key=lambda item: item.group)]
    some = groups[:: -(-len(groups) // _SAMPLED_GROUPS)]
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
    """Discard an answer; the engine has counted its question."""


def _number(value: Scalar) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def plan_of(judging: Judging) -> tuple[dict[str, str], list[str]]:
    """Return facts by their names, and notes on the estimates; no model is asked."""
    run, units = judging.run, judging.units
    waiting = [run.view.item(i) for i in run.waiting(judging.item_ids)]
    pairs = len(units[0].systems) == 2
    facts = {
        "judge": run.built.name,
        "pairs, each in both orders" if pairs else "answers": f"{len(units):,}",
        "systems": ", ".join(judging.answers.systems) or "not named",
        "groups (a video and an instruction)": f"{len({u.item.group for u in units}):,}",
        "videos": f"{len({unit.item.video_id for unit in units}):,}",
        "videos without a file": _some(judging.videos_missing),
        "refused": f"{sum(bool(unit.refused) for unit in units):,}",
        "judgements to make (the journal has the others)": f"{len(waiting):,}",
    }
    if judging.human is not None:
        facts["answers with human ratings"] = f"{len(judging.human.means):,}"
    costs = estimate(run.built, sorted(waiting, key=lambda item: item.group))
    if costs is None:
        return {**facts, "model calls": "none"}, []
    facts |= {
        "model calls": f"{costs.calls:,}",
        "tokens of text in, about": f"{costs.text_tokens:,}",
        "tokens of frames in, at most": f"{costs.frame_tokens:,}",
        "tokens out, at most": f"{costs.reply_tokens:,}",
        "money, at most": "no prices" if costs.cost is None else f"{costs.cost:,.2f}",
    }
    return facts, list(_notes(costs))


def _notes(costs: Estimate) -> Iterator[str]:
    if costs.frame_tokens:
        yield "Frames: all that the options allow, at 28 x 28 pixels a token; models differ."
    if costs.cost is None:
        yield "For money: price_in=…,price_out=… of a million tokens, options of judge openai."


def _some(names: list[str]) -> str:
    if not names:
        return "0"
    return f"{len(names):,}: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
