"""Writes and reads replies with a slot for each criterion: `<score name="accuracy">4</score>`.

A slot is read by the rules of `parse_rating`, as if it were the only one of the reply; what stands
without a slot is no verdict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Union

from videojudge_bench.criteria import OVERALL, Criterion, weighted
from videojudge_bench.engine import EngineError, Reply
from videojudge_bench.replies._reading import CUT_OFF, ENGINE, expected_rating, probabilities_of
from videojudge_bench.replies._text import without_reasoning
from videojudge_bench.replies.reply_format import _block, parse_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

Target = Union[int, str]
"""A rating, or `yes` or `no`."""

_SLOT = re.compile(
    r"""<score(?:\s+name\s*=\s*["']?(?P<name>[\w.-]+)["']?)?\s*>\s*(?P<held>[^<]*)</score\s*>""",
    re.IGNORECASE,
)
_WORDS = {"no": "0", "yes": "1"}
_MOST_PLACES = 16


def format_criteria(values: Mapping[str, Target], *, thinking: str = "") -> str:
    """Return the reply that a judge is trained to write: thinking, then a line for each slot.

    `values` are by criterion; that of `overall`, where there is one, is a slot as well.
    """
    lines = [f'<score name="{name}">{value}</score>' for name, value in values.items()]
    return "\n".join(filter(None, [_block("thinking", thinking), *lines]))


def parse_criterion(reply: str, criterion: Criterion) -> Rating | Unparsed:
    """Return what a reply states in the slot of a criterion; `yes` is 1, `no` is 0."""
    text, problem = without_reasoning(reply)
    if problem:
        return Unparsed(problem)
    if not any(_is_of(slot, criterion) for slot in _SLOT.finditer(text)):
        return Unparsed(f'no slot <score name="{criterion.name}">')

    # A line that is about other criteria alone would be a heading of what follows.
    lines = [line for line in text.split("\n") if not _is_of_others(line, criterion)]
    label = rf"^([\s*_\d.)-]{{0,9}}){re.escape(criterion.name)}[\s*_:=-]{{1,9}}(?=<score\s)"
    lines = [re.sub(label, r"\1", line, flags=re.IGNORECASE) for line in lines]
    text = "\n".join(lines)
    value = _alone(text, criterion)
    if isinstance(value, Rating) and value == _alone(text, criterion, "nothing"):
        return Unparsed("stated outside of its slot")
    return value


def _alone(text: str, criterion: Criterion, held: str = "") -> Rating | Unparsed:
    """Read a text in which the criterion's slots, holding `held` if given, are the only ones."""

    def slot_as_asked(slot: re.Match[str]) -> str:
        if not _is_of(slot, criterion):
            return ""
        content = held or slot["held"].strip()
        if criterion.yes_no:
            content = _WORDS.get(content.lower(), "neither yes nor no")
        return f"<score>{content}</score>"

    return parse_rating(_SLOT.sub(slot_as_asked, text), criterion.scale)


def slot_place(reply: str, criterion: Criterion) -> int | None:
    """Return where the content of a criterion's slot begins, None where the reply states nothing.

    Of several slots it is the last one with which the verdict changes.
    """
    value = parse_criterion(reply, criterion)
    slots = [slot for slot in _SLOT.finditer(reply) if _is_of(slot, criterion)]
    if isinstance(value, Unparsed):
        return None
    for slot in reversed(slots[-_MOST_PLACES:]):
        start, end = slot.span("held")
        others = (f"{reply[:start]}{choice}{reply[end:]}" for choice in criterion.choices)
        if any(parse_criterion(other, criterion) != value for other in others):
            return start
    return None


def read_criteria(
    item_id: str,
    reply: Reply | EngineError,
    slots: Sequence[Criterion],
    scale: RatingScale,
    lost_mass: float | None,
) -> Judgement:
    """Return the judgement that one reply amounts to, with the verdict of each criterion.

    The overall verdict is what the slot `overall` holds where that is among `slots`, else the
    weighted mean, which needs every criterion of a weight above 0. With a `lost_mass`, verdicts are
    means of probabilities, as those of `read_reply`.
    """
    names = [slot.name for slot in slots if slot.name != OVERALL]
    if isinstance(reply, EngineError):
        problem = Unparsed(f"{ENGINE}{reply.reason}")
        return Judgement(item_id, problem, failed=True, criteria=dict.fromkeys(names))
    verdicts: dict[str, Rating | Unparsed] = {slot.name: Unparsed(CUT_OFF) for slot in slots}
    if reply.finished:
        verdicts = {slot.name: _verdict(reply, slot, lost_mass) for slot in slots}
    values = {name: v.value for name, v in verdicts.items() if isinstance(v, Rating)}
    overall = verdicts.get(OVERALL)
    if overall is None:
        overall = _weighted(slots, verdicts, values, scale)
    return Judgement(
        item_id,
        overall,
        reply.text,
        reply.probabilities,
        reply.usage,
        criteria={name: values.get(name) for name in names},
    )


def _verdict(reply: Reply, slot: Criterion, lost_mass: float | None) -> Rating | Unparsed:
    if lost_mass is None:
        return parse_criterion(reply.text, slot)
    given = probabilities_of(reply, [slot.key(choice) for choice in slot.choices])
    return expected_rating(given, slot.scale, lost_mass)


def _weighted(
    slots: Sequence[Criterion],
    verdicts: Mapping[str, Rating | Unparsed],
    values: Mapping[str, float],
    scale: RatingScale,
) -> Rating | Unparsed:
    for slot in slots:
        verdict = verdicts[slot.name]
        if slot.weight and isinstance(verdict, Unparsed):
            is_cut = verdict.reason == CUT_OFF
            return verdict if is_cut else Unparsed(f"criterion {slot.name}: {verdict.reason}")
    return Rating(weighted(slots, values, scale))


def _is_of(slot: re.Match[str], criterion: Criterion) -> bool:
    return (slot["name"] or "").lower() == criterion.name.lower()


def _is_of_others(line: str, criterion: Criterion) -> bool:
    slots = list(_SLOT.finditer(line))
    return bool(slots) and not any(_is_of(slot, criterion) for slot in slots)
