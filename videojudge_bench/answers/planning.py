"""A plan of what judging will do, as text: answers, videos, calls, tokens, money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from videojudge_bench.answers.estimating import Estimate, estimate
from videojudge_bench.answers.judging import Judging


@dataclass(frozen=True)
class Plan:
    """Plan of what is judged and asked for.

    Attributes:
        facts: by their names.
        notes: what the numbers are about.
    """

    facts: Mapping[str, str]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, judging: Judging) -> Plan:
        """Return the plan of a judging; no model is asked."""
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
            return cls({**facts, "model calls": "none"}, ())
        return cls({**facts, **_estimated(costs)}, tuple(_notes(costs)))


def _estimated(costs: Estimate) -> Mapping[str, str]:
    return {
        "model calls": f"{costs.calls:,}",
        "tokens of text in, about": f"{costs.text_tokens:,}",
        "tokens of frames in, at most": f"{costs.frame_tokens:,}",
        "tokens out, at most": f"{costs.reply_tokens:,}",
        "money, at most": "no prices" if costs.cost is None else f"{costs.cost:,.2f}",
    }


def _notes(costs: Estimate) -> Iterator[str]:
    if costs.frame_tokens:
        yield "Frames: all that the options allow, at 28 x 28 pixels a token; models differ."
    if costs.cost is None:
        yield "For money: price_in=…,price_out=… of a million tokens, options of judge openai."


def _some(names: list[str]) -> str:
    if not names:
        return "0"
    return f"{len(names):,}: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
