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
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, Union

from videojudge_bench.replies import _patterns as patterns
from videojudge_bench.replies._patterns import Claim, Slot, V
from videojudge_bench.replies._preferences import preference_claims, read_preference
from videojudge_bench.replies._ratings import other_scale, rating_claims, read_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Preference, Rating, Unparsed

_TAG = re.compile(r"<([\s/|｜]{0,3}[\w▁]{1,30}[\s|｜]{0,3})>")
_NOTHING_MORE = re.compile(r"[\s.}]*$")


def format_rating(rating: int, *, thinking: str = "", rubric: str = "") -> str:
    """Return the reply that a judge is trained to write: rubric, thinking, then the score.

    Tags inside `thinking` and `rubric` lose their angle brackets (`<score>` becomes `(score)`),
    so that no reader takes them for the end of the block, of the reply, or for the verdict.
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
    plain = _TAG.sub(r"(\1)", text)
    return f"<{tag}>{plain}</{tag}>"


_RATING_TAGS = patterns.tag_pattern(
    "score|rating|final_score|final_rating|overall_score|answer|final_answer|verdict|result"
)
_RATING_KEYS = {
    *("score", "final_score", "overall_score", "grade"),
    *("rating", "final_rating", "overall_rating", "overall"),
}
_PREFERENCE_TAGS = patterns.tag_pattern(
    "answer|final_answer|preference|choice|winner|verdict|final_verdict|result"
)
_PREFERENCE_KEYS = {
    *("answer", "final_answer", "verdict", "final_verdict", "decision", "judgment", "judgement"),
    *("preference", "preferred", "preferred_response", "choice", "winner"),
    *("better", "better_response", "best", "best_response"),
}


@dataclass(frozen=True)
class _Grammar(Generic[V]):
    """How one kind of verdict is read.

    Attributes:
        noun: its name in reasons.
        tags: the tags that hold it.
        keys: the JSON fields that hold it.
        read: what a slot holds; None when that is no verdict of this kind.
        claims: what sentences state, and whether one of them was hedged.
        doubt: why the text before and after a verdict speaks against it, None when it does not.
    """

    noun: str
    tags: re.Pattern[str]
    keys: Set[str]
    read: Callable[[Slot], Union[V, Unparsed, None]]
    claims: Callable[[str], tuple[list[Claim[V]], bool]]
    doubt: Callable[[str, str], Union[Unparsed, None]]


def parse_rating(reply: str, scale: RatingScale = RatingScale()) -> Rating | Unparsed:
    """Return the rating that a reply states, on the scale it was asked for.

    Decimals inside the scale are kept. A number off the scale, a range, a percentage, another
    scale (`4/10`), a contradiction, a reply that is cut off or states nothing is `Unparsed` with
    the reason. Takes time linear in the length of the reply.
    """
    grammar = _Grammar[Rating](
        noun="rating",
        tags=_RATING_TAGS,
        keys=_RATING_KEYS,
        read=partial(read_rating, scale=scale),
        claims=partial(rating_claims, scale=scale),
        doubt=partial(other_scale, scale=scale),
    )
    return _parse(reply, grammar)


def parse_preference(reply: str) -> Preference | Unparsed:
    """Return which response a reply prefers: A is the first, B the second, a tie is 0.5.

    `[[C]]` is a tie, and so is "neither is better"; "neither is good" and "both are good" do not
    say which is better and are `Unparsed`, like a contradiction, a negation, both named as the
    winner, or a reply that is cut off or states nothing. Takes time linear in the length.
    """
    grammar = _Grammar[Preference](
        noun="preference",
        tags=_PREFERENCE_TAGS,
        keys=_PREFERENCE_KEYS,
        read=read_preference,
        claims=preference_claims,
        doubt=lambda _before, _after: None,
    )
    return _parse(reply, grammar)


def _parse(reply: str, grammar: _Grammar[V]) -> V | Unparsed:
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
    return _from_claims(visible.text, grammar)


def _last_words(text: str, grammar: _Grammar[V]) -> V | Unparsed | None:
    """Return the verdict of a slot that ends a text, None when it ends with anything else."""
    slots, _ = _slots(text, grammar)
    if slots and _NOTHING_MORE.match(text, slots[-1].end):
        return _from_slots(text, slots, grammar)
    return None


def _slots(text: str, grammar: _Grammar[V]) -> tuple[list[Slot], str]:
    """Return the slots in the order of their ends, the innermost of nested ones, and a cut tag."""
    tagged, open_tag = patterns.tag_slots(text, grammar.tags)
    others = patterns.other_slots(text, grammar.keys)
    held = [slot for slot in others if grammar.read(slot) is not None]
    slots: list[Slot] = []
    for slot in sorted([*tagged, *held], key=lambda slot: (slot.end, -slot.start)):
        if not slots or slots[-1].start < slot.start:
            slots.append(slot)
    return slots, open_tag


def _from_slots(text: str, slots: Sequence[Slot], grammar: _Grammar[V]) -> V | Unparsed:
    last, since = slots[-1], slots[-2].end if len(slots) > 1 else 0
    verdict = grammar.read(last)
    if verdict is None:
        return Unparsed(f"{last.form} holds {_shortened(last.content)}, which is no {grammar.noun}")
    if patterns.is_instruction(text, last):
        return Unparsed(f"{last.form} is part of an instruction or an example")
    name_end = min(last.end, last.start + 20)
    if not patterns.is_final(text, name_end, since):
        rivals = [grammar.read(slot) for slot in _beside_last(text, slots)]
        differing = [rival for rival in rivals if rival is not None and rival != verdict]
        if differing:
            return patterns.contradiction([verdict, *differing])
    before = patterns.line_before(text, last.start)
    return grammar.doubt(before, patterns.sentence_after(text, last.end)) or verdict


def _beside_last(text: str, slots: Sequence[Slot]) -> Iterator[Slot]:
    """Yield the slots that belong to the statement of the last one."""
    for earlier, later in zip(reversed(slots[:-1]), reversed(slots), strict=False):
        if not patterns.stand_together(text, earlier, later):
            return
        yield earlier


def _from_claims(text: str, grammar: _Grammar[V]) -> V | Unparsed:
    claims, hedged = grammar.claims(text)
    if not claims:
        why = "only a hedged or negated one" if hedged else "nothing in a form that states one"
        return Unparsed(f"no {grammar.noun} found: {why}")
    ends = [0, *(claim.end for claim in claims)]
    final = [
        claim
        for claim, since in zip(claims, ends, strict=False)
        if patterns.is_final(text, claim.value, since)
    ]
    rivals = claims
    if final and final[-1] is claims[-1]:
        rivals = [*final, *_in_sentence_of_last(text, claims)]
    verdict = claims[-1].verdict
    if any(claim.verdict != verdict for claim in rivals):
        return patterns.contradiction(claim.verdict for claim in rivals)
    if patterns.is_revised(text, claims[-1].end):
        return Unparsed(f"takes its {grammar.noun} back: {patterns.show(verdict)}")
    return grammar.doubt(text, "") or verdict


def _in_sentence_of_last(text: str, claims: Sequence[Claim[V]]) -> Iterator[Claim[V]]:
    for earlier, later in zip(reversed(claims[:-1]), reversed(claims), strict=False):
        if patterns.ends_sentence(text[earlier.end : later.start]):
            return
        yield earlier


def _shortened(content: str) -> str:
    content = " ".join(content[:200].split())
    return repr(content if len(content) <= 40 else f"{content[:37]}...")
