"""Writes and parses replies: training writes its targets with it, judges read models with it.

How a reply is read:

1. Reasoning blocks (`<thinking>`, `<rubric>`, …) are taken out; what stands inside is no verdict.
   A reply that ends inside of one is `Unparsed`, unless its last words are a complete slot.
2. The last complete slot wins: a tag (`<score>4</score>`), a JSON field, `[[4]]`, `[RESULT] 4`, a
   box. Slots that differ in one line, one list or one JSON value contradict each other, unless
   the last is called final or overall. Instructions and examples are no verdicts.
3. Without a slot, recognised sentences count (`Score: 4/5`, `I prefer the second response`). They
   must agree, or the last one must be called final or overall.
4. A first or last line that is nothing but a verdict counts as such a sentence.

A number or letter in any other place is no verdict, a range or a hedge is none either, and there
is never a default: whatever is left is `Unparsed` with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Union

from videojudge_bench import _reply_patterns as patterns
from videojudge_bench import _reply_prose as prose
from videojudge_bench._reply_patterns import Slot
from videojudge_bench._reply_prose import Claim, Found
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Preference, Rating, Unparsed

Verdict = Union[Rating, Preference, Unparsed]

_RATING_TAGS = patterns.tag_pattern(
    "score|rating|final_score|final_rating|overall_score|answer|verdict|result"
)
_RATING_KEYS = frozenset(
    "score rating final_score final_rating overall_score overall_rating overall grade verdict "
    "result answer".split()
)
_PREFERENCE_TAGS = patterns.tag_pattern(
    "answer|preference|choice|winner|verdict|final_answer|final_verdict|result"
)
_PREFERENCE_KEYS = frozenset(
    "answer preference choice winner verdict final_answer final_verdict result preferred better "
    "better_response best preferred_response decision judgment judgement".split()
)
_OWN_TAG = re.compile(r"<(\s*/?\s*[A-Za-z_]{3,20}\s*)>")


@dataclass(frozen=True)
class _Grammar:
    """How one kind of verdict is read."""

    noun: str
    tags: re.Pattern[str]
    keys: frozenset[str]
    read: Callable[[str], Union[Verdict, None]]
    claims: Callable[[str], tuple[list[Claim], bool]]
    doubt: Callable[[str], Union[Unparsed, None]]


def format_rating(rating: int, *, thinking: str = "", rubric: str = "") -> str:
    """Return the reply that a judge is trained to write: rubric, thinking, then the score.

    Tags inside `thinking` and `rubric` lose their angle brackets (`<score>` becomes `(score)`),
    so that no reader takes them for the end of the block or for the verdict.
    """
    parts = [_block("rubric", rubric), _block("thinking", thinking), f"<score>{rating}</score>"]
    return "\n".join(part for part in parts if part)


def format_preference(choice: Literal["A", "B"], *, thinking: str = "") -> str:
    """Return the reply that a judge is trained to write: thinking, then the better response.

    Tags inside `thinking` lose their angle brackets, as in `format_rating`.
    """
    parts = [_block("thinking", thinking), f"<answer>{choice}</answer>"]
    return "\n".join(part for part in parts if part)


def _block(tag: str, text: str) -> str:
    if not text:
        return ""
    plain = _OWN_TAG.sub(r"(\1)", text)
    return f"<{tag}>{plain}</{tag}>"


def parse_rating(reply: str, scale: RatingScale = RatingScale()) -> Rating | Unparsed:
    """Return the rating that a reply states, on the scale it was asked for.

    Decimals inside the scale are kept. A number off the scale, a range, a percentage, another
    scale (`4/10`), a contradiction, a reply that is cut off or states nothing is `Unparsed` with
    the reason. Time is linear in the length of the reply.
    """
    grammar = _Grammar(
        noun="rating",
        tags=_RATING_TAGS,
        keys=_RATING_KEYS,
        read=partial(prose.read_rating, scale=scale),
        claims=partial(prose.rating_claims, scale=scale),
        doubt=partial(prose.other_scale, scale=scale),
    )
    verdict = _parse(reply, grammar)
    return verdict if not isinstance(verdict, Preference) else Unparsed("a preference, no rating")


def parse_preference(reply: str) -> Preference | Unparsed:
    """Return which response a reply prefers: A is the first, B the second, a tie is 0.5.

    `[[C]]` is a tie, and so is "neither is better"; "neither is good" and "both are good" say
    nothing of which is better and are `Unparsed`, like a contradiction, a negation, both named as
    the winner, or a reply that is cut off or states nothing. Time is linear in the length.
    """
    grammar = _Grammar(
        noun="preference",
        tags=_PREFERENCE_TAGS,
        keys=_PREFERENCE_KEYS,
        read=prose.read_preference,
        claims=prose.preference_claims,
        doubt=lambda _: None,
    )
    verdict = _parse(reply, grammar)
    return verdict if not isinstance(verdict, Rating) else Unparsed("a rating, no preference")


def _parse(reply: str, grammar: _Grammar) -> Verdict:
    text = patterns.clean(reply)
    if not text.strip():
        return Unparsed("empty reply")
    visible = patterns.without_reasoning(text)
    if visible.open_tag:
        return _last_words(visible.inside, grammar) or Unparsed(
            f"reply ends inside <{visible.open_tag}>"
        )
    if not visible.text.strip():
        return Unparsed("nothing after the reasoning")
    slots, open_tag = _slots(visible.text, grammar)
    if slots:
        return _from_slots(visible.text, slots, grammar)
    if open_tag:
        return Unparsed(f"reply ends inside <{open_tag}>: the {grammar.noun} may be cut off")
    return _from_prose(visible.text, grammar)


def _last_words(text: str, grammar: _Grammar) -> Verdict | None:
    """Return the verdict of a slot that ends a text, None when it ends with anything else."""
    slots, _ = _slots(text, grammar)
    if slots and not text[slots[-1].end :].strip(" \n\t.}"):
        return _from_slots(text, slots, grammar)
    return None


def _slots(text: str, grammar: _Grammar) -> tuple[list[Slot], str]:
    """Return the slots in the order of their ends, inner before outer, and an unclosed tag."""
    tagged, open_tag = patterns.tag_slots(text, grammar.tags)
    others = patterns.other_slots(text, grammar.keys)
    held = [slot for slot in others if _read(slot, grammar) is not None]
    slots: list[Slot] = []
    for slot in sorted([*tagged, *held], key=lambda slot: (slot.end, -slot.start)):
        if not slots or slots[-1].start < slot.start:
            slots.append(slot)
    return slots, open_tag


def _read(slot: Slot, grammar: _Grammar) -> Verdict | None:
    # MT-bench, whose form this is, writes [[C]] for a tie.
    if slot.form == "[[]]" and slot.content.strip() == "C" and grammar.noun == "preference":
        return Preference(0.5)
    return grammar.read(slot.content)


def _from_slots(text: str, slots: Sequence[Slot], grammar: _Grammar) -> Verdict:
    last = slots[-1]
    verdict = _read(last, grammar)
    if verdict is None:
        return Unparsed(f"{last.form} holds {_shorten(last.content)}, which is no {grammar.noun}")
    if patterns.is_instruction(text, last):
        return Unparsed(f"{last.form} is part of an instruction or an example")
    if not patterns.says_final(text, last.start, last.end):
        rivals = [_read(slot, grammar) for slot in _together(text, slots)]
        differing = [rival for rival in rivals if rival not in (None, verdict)]
        if differing:
            return prose.contradiction([verdict, *(r for r in differing if r is not None)])
    line = patterns.line_before(text, last.start) + patterns.sentence_after(text, last.end)
    return grammar.doubt(line) or verdict


def _together(text: str, slots: Sequence[Slot]) -> Iterable[Slot]:
    """Yield the slots that belong to the statement of the last one."""
    for earlier, later in zip(reversed(slots[:-1]), reversed(slots), strict=False):
        if not patterns.stand_together(text, earlier, later):
            return
        yield earlier


def _from_prose(text: str, grammar: _Grammar) -> Verdict:
    claims, hedged = grammar.claims(text)
    if not claims:
        why = "only a hedged or negated one" if hedged else "nothing in a form that states one"
        return Unparsed(f"no {grammar.noun} found: {why}")
    last = claims[-1]
    final = [claim for claim in claims if claim.final]
    same_sentence = [c for c in claims if not patterns.ends_sentence(text[c.end : last.start])]
    rivals = [*final, *same_sentence] if last.final else claims
    if any(claim.verdict != last.verdict for claim in rivals):
        return prose.contradiction(claim.verdict for claim in [*rivals, last])
    return grammar.doubt(text) or last.verdict


def _shorten(content: str) -> str:
    content = " ".join(content[:200].split())
    return repr(content if len(content) <= 40 else f"{content[:37]}...")
