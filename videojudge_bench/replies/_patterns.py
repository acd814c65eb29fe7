"""What the parsers of `reply_format` share: cleaning, slots, and the words around a verdict.

A *slot* is a place that a reply marks as its verdict: a tag, a JSON field, `[[…]]`, `[RESULT] …`
or a LaTeX box. A *claim* is a sentence or a line that states one without a slot.

Patterns are bounded or unambiguous, and what stands around a verdict is read in windows of 300
characters, so that a reply of megabytes is read in linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Generic, TypeVar, Union

from videojudge_bench.verdicts import Preference, Rating, Unparsed

V = TypeVar("V", bound=Union[Rating, Preference])

_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    "[\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff]"
)
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_PLAIN = {
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # full width
    **dict.fromkeys("‐‑‒–−", "-"),
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("‘’", "'"),
}
_LOOKALIKE = str.maketrans(
    _PLAIN | dict(zip("【】≫≻≈⁄∕→", ["[", "]", ">>", ">", "=", "/", "/", "->"], strict=True))
)
_FENCE = re.compile(r"(?:```|~~~)(?:[A-Za-z]{1,20}(?=[ \t]{0,20}\n))?")
_MARKUP = re.compile(
    r"<\|(?:end|return)\|>|</?(?:b|strong|i|em|u|br|p|code|span)\s?/?>"
    r"|\\[()\[\]]"
    r"|(?<![\w*_])[*_]{1,9}|[*_]{1,9}(?![\w*_])|[`$]",
    re.IGNORECASE,
)
_LATEX_TEXT = re.compile(
    r"\\(?:text|textbf|textit|texttt|mathrm|mathbf|mathtt)\s?\{([^{}\n]{0,80})\}"
)
_END_OF_TURN = re.compile(
    r"<\|(?:im_end|eot_id|endoftext)\|>|</s>|<end_of_turn>|<｜end▁of▁sentence｜>"
)
_ENTITIES = {"&lt;": "<", "&gt;": ">", "<|begin_of_box|>": r"\boxed{", "<|end_of_box|>": "}"}


def clean(reply: str) -> str:
    """Return a reply in plain characters: one kind of digit, dash, quote, line end; no markup.

    What follows the token that ends the model's turn is no part of the reply.
    """
    text = _LINE_END.sub("\n", _END_OF_TURN.split(reply, maxsplit=1)[0])
    if not text.isascii():
        text = _INVISIBLE.sub("", text).translate(_LOOKALIKE)
        text = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)
    for written, meant in _ENTITIES.items():
        text = text.replace(written, meant)
    return _LATEX_TEXT.sub(r"\1", _MARKUP.sub("", _FENCE.sub("", text)))


_REASONING_TAG = re.compile(
    r"<\s?(\\?/)?\s?(think|thinking|thoughts?|reason|reasoning|analysis|rationale|explanation"
    r"|rubric|critique|reflection|scratchpad)\s?>",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Visible:
    """A reply without its reasoning blocks.

    Attributes:
        text: what stands outside of the blocks.
        open_tag: the block that the reply never closes, empty when there is none.
        inside: what follows the opening of that block.
    """

    text: str
    open_tag: str = ""
    inside: str = ""


def without_reasoning(text: str) -> Visible:
    """Return what stands outside of reasoning blocks.

    Any closing tag closes a block. One without an opening tag means that the prompt opened the
    block, as the chat templates of reasoning models do: all before it is reasoning.
    """
    kept: list[str] = []
    position, open_tag = 0, ""
    for tag in _REASONING_TAG.finditer(text):
        if tag[1]:
            if not open_tag:
                kept.clear()
            position, open_tag = tag.end(), ""
        elif not open_tag:
            kept.append(text[position : tag.start()])
            position, open_tag = tag.end(), tag[2].lower()
    if open_tag:
        return Visible("\n".join(kept), open_tag, text[position:])
    return Visible("\n".join([*kept, text[position:]]))


@dataclass(frozen=True)
class Slot:
    """A place that a reply marks as its verdict: where it is, what it holds, what it looks like."""

    start: int
    end: int
    content: str
    form: str


REASON_AFTER_VERDICT = (
    r"\s?(?:[,;:]|-+|—)\s(?:because|since|as|it|this|the\s(?:response|answer))\b(?!.*\d).*$"
)
"""How a line goes on that begins with a verdict and gives the reason after it."""

RESULT = "[RESULT]"
DOUBLE_BRACKETS = "[[]]"
_JSON_FIELD = re.compile(
    r"""["']([A-Za-z][A-Za-z_ ]{1,30})["']\s{0,9}:\s{0,9}"""
    r"""(?:"([^"\\\n]{1,60})"|'([^'\\\n]{1,60})'|([-+\w./]{1,20}))(?=\s{0,99}[,}\]"'])"""
)
_OTHER_FORMS = {
    DOUBLE_BRACKETS: re.compile(r"\[\[\s{0,9}([^\[\]\n]{1,60})\]\]"),
    r"\boxed{}": re.compile(r"\\f?boxed\s?\{([^{}\n]{1,80})\}"),
    RESULT: re.compile(
        r"\[(?:result|score|rating|verdict)\]\s{0,9}[:=]?[ \t]{0,9}([^\n]{1,60})", re.IGNORECASE
    ),
}


def tag_pattern(names: str) -> re.Pattern[str]:
    """Return the pattern of opening and closing tags with these names (joined by `|`)."""
    return re.compile(rf"<\s?(\\?/)?\s?({names})\s?>", re.IGNORECASE)


def tag_slots(text: str, tags: re.Pattern[str]) -> tuple[list[Slot], str]:
    """Return the complete tags of a text, and the name of one never closed (or an empty text)."""
    opened: dict[str, tuple[int, int]] = {}
    slots: list[Slot] = []
    for tag in tags.finditer(text):
        name = tag[2].lower()
        if not tag[1]:
            opened[name] = tag.span()
        elif name in opened:
            start, begin = opened.pop(name)
            slots.append(Slot(start, tag.end(), text[begin : tag.start()], f"<{name}>"))
    return slots, next(iter(opened), "")


def other_slots(text: str, keys: Set[str]) -> Iterator[Slot]:
    """Yield JSON fields with one of the keys, `[[…]]`, `[RESULT] …` and boxes."""
    for field in _JSON_FIELD.finditer(text):
        if field[1].lower().replace(" ", "_") in keys:
            yield Slot(field.start(), field.end(), field[2] or field[3] or field[4], "JSON")
    for form, pattern in _OTHER_FORMS.items():
        for slot in pattern.finditer(text):
            # What follows [RESULT] has no end of its own, so it must not hide other slots.
            end = slot.start(1) + 1 if form == RESULT else slot.end()
            yield Slot(slot.start(), end, slot[1], form)


@dataclass(frozen=True)
class Claim(Generic[V]):
    """A statement of a verdict: where it begins, where its number or side begins, where it ends."""

    start: int
    value: int
    end: int
    verdict: V | Unparsed


_WINDOW = 300
_SENTENCE_END = re.compile(r"[.!?][\"')\]]?\s|\n")
_LIST_ITEM = re.compile(r"[ \t>|]{0,20}(?:[-•+]|\(?\w[.)])[ \t\"']")
_FINAL = re.compile(
    r"\bfinal(?:ly)?(?:\W*$|\s?[,:<\[\\]|[\s_]+(?:score|rating|grade|verdict|answer|decision"
    r"|judg|evaluation|assessment|preference|choice|result|conclusion))"
    r"|\b(?:overall|conclu|in sum\b|in total\b|all in all\b)",
    re.IGNORECASE,
)
_REVISED = re.compile(
    r"(?:^|[.!?\n])[\s\W]{0,9}(?:actually|correction|wait|hmm|no,|on (?:second|further) thought"
    r"|on reflection|scratch that|let me re\w{1,12}|i take (?:it|that) back)(?!\w)",
    re.IGNORECASE,
)


def ends_sentence(text: str) -> bool:
    """Return whether a sentence ends inside a text."""
    return _SENTENCE_END.search(text) is not None


def line_before(text: str, position: int) -> str:
    """Return the part of the position's line that stands before it."""
    window = text[max(0, position - _WINDOW) : position]
    return window[window.rfind("\n") + 1 :]


def sentence_before(text: str, position: int) -> str:
    """Return the part of the position's sentence that stands before it."""
    window = text[max(0, position - _WINDOW) : position]
    ends = [end.end() for end in _SENTENCE_END.finditer(window)]
    return window[ends[-1] :] if ends else window


def sentence_after(text: str, position: int) -> str:
    """Return the part of the position's sentence that follows it."""
    window = text[position : position + _WINDOW]
    end = _SENTENCE_END.search(window)
    return window[: end.start()] if end else window


def is_final(text: str, position: int, since: int) -> bool:
    """Return whether a verdict is called final or overall by its sentence, after `since`."""
    before = sentence_before(text, position)
    return _FINAL.search(before[max(0, len(before) - (position - since)) :]) is not None


def is_revised(text: str, position: int) -> bool:
    """Return whether the text goes on to take back what stands before a position."""
    return _REVISED.search(text[position : position + _WINDOW]) is not None


def stand_together(text: str, one: Slot, two: Slot) -> bool:
    """Return whether two slots belong to one statement: a line, a list, JSON fields."""
    if one.form == two.form == "JSON":
        return True
    gap = text[one.end : two.start]
    if "\n" not in gap:
        return True
    between = any(line.strip() for line in gap.split("\n")[1:-1])
    listed = [_LIST_ITEM.match(line_before(text, slot.start)) for slot in (one, two)]
    return all(listed) and not between


_FUNCTION_WORD = (
    "with|only|exactly|just|by|either|your|the|a|an|final|rating|score|answer|verdict|format|tags?"
    "|as|in|this|following|writing|reply|then|single|like|number|letter|its?"
)
_TOLD_BEFORE = re.compile(
    r"(?<!\bI )(?<!'ll )(?<!'d )(?<!\bwill )(?<!\bme )(?<!\bmy )(?<!\bfinal )(?<!\bthe )"
    r"\b(?:write|output|respond|reply|answer|return|print|use|end|finish)"
    rf"(?:\s+(?:(?:{_FUNCTION_WORD})\b[\s\"'(,]*)*|\s*[\"'(]+)$"
    r"|\b(?:for example|for instance|example|example output|e\.g\.,?|such as|looks? like)\b"
    r"[^.!?\n]{0,30}$",
    re.IGNORECASE,
)
_TOLD_AFTER = re.compile(r"[\s\"')]{0,5}(?:if|when|or|means|indicates|where)\b", re.IGNORECASE)


def is_instruction(text: str, slot: Slot) -> bool:
    """Return whether a slot shows how to answer (an example, a condition) and is no answer."""
    before = line_before(text, slot.start)[-120:]
    after = text[slot.end : slot.end + 40]
    return bool(_TOLD_BEFORE.search(before) or _TOLD_AFTER.match(after))


_NO_ASPECT = (
    "my|the|so|overall|final|conclusion|verdict|summary|answer|result|decision|judg|winner"
    "|evaluation|assessment|feedback|explanation|reason|rationale|analysis|justification|comment"
    "|critique|note|thought|review|score|rating|preference|response|output|assistant|video"
)
_ASPECT = re.compile(
    rf"[\W\d]*(?:(?!{_NO_ASPECT})[a-z]+(?:[ /&-]+[a-z]+){{0,2}}\s?:"
    r"|(?:for|regarding|as for|in terms of|with respect to|when it comes to|on)\s"
    r"(?!these|this|those|that|all|the above|the reasons|the whole|balance|a scale|the scale|me\b)"
    r"[^,\n]{1,60}(?:,|\s$))",
    re.IGNORECASE,
)
_CLAUSE_BREAK = re.compile(
    r"[,;:(—]|\s-+\s|\b(?:so|therefore|thus|hence|but|and|though|consequently)\b", re.IGNORECASE
)
_HEDGED_CLAUSE = re.compile(
    r"\b(?:not|no|never|cannot|neither|nor|without|could|might|may|maybe|perhaps|possibly|either"
    r"|whether|when|where|which|at\s(?:least|most)|(?:less|more|higher|lower|better|worse)\sthan"
    r"|below|above|under|nearly|almost|approximately|about|around|roughly|close|up\sto|short\sof"
    r"|need(?:s|ed)?|require[sd]?|in\sorder|to\s(?:get|earn|receive|reach|deserve|be|merit)"
    r"|example|(?:wrong|false|untrue|incorrect)\s(?:to|that)|disagree|doubt|some\s(?:would|people)"
    r"|claim(?:s|ed)?|says|said|state[sd]|argue[sd]?)\b|n't\b|\be\.g\.",
    re.IGNORECASE,
)
_HEDGED_SENTENCE = re.compile(
    r"(?<!even )(?<!as )\bif\b|\b(?:unless|suppose|had\s(?:it|the)|were\s(?:it|the)|for\sexample)\b"
    r"|^\W*(?:\d+[.)]\s)?(?:please\s|then\s)*(?:give|assign|rate|use|write|output(?!\s[AB12]\b)"
    r"|respond|reply|return|choose|select|pick|award|answer\swith|provide|decide)\b",
    re.IGNORECASE,
)


def settled(text: str, claims: Iterable[Claim[V]]) -> tuple[list[Claim[V]], bool]:
    """Return the claims that stand, in order, and whether one was hedged.

    Out fall those about one aspect (`Accuracy: …`), those that are negated, conditional or a
    command, and those that overlap an earlier one.
    """
    standing: list[Claim[V]] = []
    hedged, reached = False, -1
    for claim in sorted(claims, key=lambda claim: (claim.start, -claim.end)):
        if claim.start < reached or _is_about_aspect(text, claim):
            continue
        if _is_hedged(text, claim):
            hedged = True
            continue
        reached = claim.end
        standing.append(claim)
    return standing, hedged


def _is_about_aspect(text: str, claim: Claim[V]) -> bool:
    if not _ASPECT.match(line_before(text, claim.start)):
        return False
    return not is_final(text, claim.value, 0)


def _is_hedged(text: str, claim: Claim[V]) -> bool:
    before = sentence_before(text, claim.start)
    breaks = [found.end() for found in _CLAUSE_BREAK.finditer(before)]
    clause = (before[breaks[-1] :] if breaks else before) + text[claim.start : claim.value]
    if _HEDGED_CLAUSE.search(clause):
        return True
    sentence = before + text[claim.start : claim.end] + sentence_after(text, claim.end)
    return _HEDGED_SENTENCE.search(sentence) is not None


@dataclass(frozen=True)
class Line:
    """A line of a reply, and whether it is the whole reply."""

    start: int
    end: int
    text: str
    is_whole: bool


def edge_lines(text: str) -> Iterator[Line]:
    """Yield the first and the last line, once where they are one; long lines are left out."""
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    first_end = text.find("\n", start, end)
    spans = [(start, end)]
    if first_end >= 0:
        spans = [(start, first_end), (text.rfind("\n", start, end) + 1, end)]
    for begin, stop in spans:
        if stop - begin <= _WINDOW:
            yield Line(begin, stop, text[begin:stop], len(spans) == 1)


def leaves_open(opening: str, closing: str) -> bool:
    """Return whether a bracket of `opening` is not closed by `closing`: the reply was cut off."""
    return any(a in opening and b not in closing for a, b in ("[]", "()", "{}"))


def show(verdict: Rating | Preference | Unparsed) -> str:
    """Return a verdict in the words of a reason: `4`, `A`, `B`, `tie`, or the reason itself."""
    if isinstance(verdict, Rating):
        return f"{verdict.value:g}"
    if isinstance(verdict, Preference):
        return {1.0: "A", 0.0: "B"}.get(verdict.p_first, "tie")
    return verdict.reason


def contradiction(verdicts: Iterable[Union[Rating, Preference, Unparsed]]) -> Unparsed:
    """Return the `Unparsed` that names the differing verdicts."""
    return Unparsed("contradicts itself: " + " and ".join(sorted({show(v) for v in verdicts})))
