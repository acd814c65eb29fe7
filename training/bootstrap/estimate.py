"""Estimate of a bootstrap's calls and cost, before any call is made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from videojudge_bench import registry
from videojudge_bench.engine import EngineError
from videojudge_bench.run._counting_engine import CHARACTERS_PER_TOKEN, CountingEngine
from videojudge_bench.training.bootstrap.contracts import (
    GOLD_RATING,
    TARGETS,
    Attempt,
    Draft,
    Evaluation,
    EvaluationReply,
    Seed,
)
from videojudge_bench.training.bootstrap.options import BootstrapOptions
from videojudge_bench.training.bootstrap.prompted import (
    PromptedEvaluator,
    PromptedGenerator,
    PromptedRubrics,
)
from videojudge_bench.training.bootstrap.roles import RoleOptions

_LOOKED_AT = 200
_PROBLEM = "it has no line for the rating 3"
_PROMPTED = {
    "generator": PromptedGenerator,
    "evaluator": PromptedEvaluator,
    "rubric": PromptedRubrics,
}
_FEEDBACK = "The answer names the wrong person, and leaves out what happens after that. " * 2


@dataclass(frozen=True)
class Range:
    """Lower bound (every draft accepted at once) and upper bound."""

    least: float
    most: float

    def __format__(self, form: str) -> str:
        return f"{self.least:{form}} to {self.most:{form}}"


@dataclass(frozen=True)
class Estimate:
    """Estimate of one role.

    Attributes:
        output_tokens: of its replies; at the most, `max_tokens` each.
        cost: in the unit of the prices; None without prices.
    """

    calls: Range
    input_tokens: Range
    output_tokens: Range
    cost: Range | None


def estimate_rows(
    seeds: Sequence[Seed], options: BootstrapOptions
) -> tuple[list[dict[str, str]], list[str]]:
    """Return the requests of each role as rows of text, and the roles without prices."""
    rows, unpriced = list[dict[str, str]](), list[str]()
    for role, costs in estimate(seeds, options).items():
        row = {"": role, "calls": "no model is asked", "tokens in": "-", "tokens out": "-"}
        if costs is None:
            rows.append({**row, "money": "-"})
            continue
        row["calls"] = f"{costs.calls:,.0f}"
        row["tokens in"] = f"{costs.input_tokens:,.0f}"
        row["tokens out"] = f"{costs.output_tokens:,.0f}"
        row["money"] = "no prices" if costs.cost is None else f"{costs.cost:.2f}"
        unpriced += [role] if costs.cost is None else []
        rows.append(row)
    return rows, unpriced


def estimate(seeds: Sequence[Seed], options: BootstrapOptions) -> dict[str, Estimate | None]:
    """Return the requests of each role; None for one that asks no model.

    Prompts are rendered for up to 200 of the seeds, spread evenly, and their characters counted.
    """
    some = seeds[:: max(1, len(seeds) // _LOOKED_AT)][:_LOOKED_AT]
    estimates: dict[str, Estimate | None] = {}
    for role, spec in options.roles.items():
        estimates[role] = None
        if spec.kind == "prompted" and some:
            calls = len(seeds) * len(TARGETS)
            if role == "rubric":
                calls = sum(options.export.need_rubric(seed.id) for seed in seeds)
            lengths = asyncio.run(_lengths(role, spec, some))
            estimates[role] = _estimate(spec, *lengths, Range(calls, calls * options.max_rounds))
    return estimates


async def _lengths(
    role: str, spec: RoleOptions, seeds: Sequence[Seed]
) -> tuple[float, float, Range]:
    """Mean tokens of a first prompt and of a later one, and bounds of a reply."""
    own = registry.options_of(PromptedGenerator).keys() - {"engine"}  # not those of the engine
    options = {name: value for name, value in spec.options.items() if name in own}
    first = later = reply = 0.0
    for seed in seeds:
        attempt = Attempt(Draft(seed.gold), Evaluation(3.0, _FEEDBACK))
        if role == "generator":
            generator = PromptedGenerator(engine=CountingEngine(), **options)  # type: ignore[arg-type]
            first += _tokens(await generator.write(seed, 2, ()))
            later += _tokens(await generator.write(seed, 2, (attempt,)))
            reply += len(f"<answer>{seed.gold}</answer>") / CHARACTERS_PER_TOKEN
        elif role == "rubric":
            writer = PromptedRubrics(engine=CountingEngine(), **options)  # type: ignore[arg-type]
            first += _tokens(await writer.rubric(seed, 1, ""))
            later += _tokens(await writer.rubric(seed, 2, _PROBLEM))
            reply += GOLD_RATING * len(seed.gold) / CHARACTERS_PER_TOKEN
        else:
            evaluator = PromptedEvaluator(engine=CountingEngine(), **options)  # type: ignore[arg-type]
            first += _tokens(await evaluator.rate(seed, attempt.draft))
            example = f"<feedback>{_FEEDBACK}</feedback><score>3</score>"
            reply += len(example) / CHARACTERS_PER_TOKEN
    count = len(seeds)
    default = registry.options_of(_PROMPTED[role])["max_tokens"].default
    most = float(str(options.get("max_tokens", default)))
    return first / count, (later or first) / count, Range(reply / count, most)


def _tokens(reply: Draft | EvaluationReply) -> float:
    assert not isinstance(reply, EngineError)
    return float(reply.usage.input_tokens)


def _estimate(
    spec: RoleOptions, first: float, later: float, reply: Range, calls: Range
) -> Estimate:
    least = calls.least * first
    into = Range(least, least + (calls.most - calls.least) * later)
    out = Range(calls.least * reply.least, calls.most * reply.most)
    if spec.prices is None:
        return Estimate(calls, into, out, None)
    price_in, price_out = spec.prices
    costs = (bounds[0] * price_in + bounds[1] * price_out
             for bounds in ((into.least, out.least), (into.most, out.most)))  # fmt: skip
    return Estimate(calls, into, out, Range(*costs))
