"""What the two parsers of `reply_format` share: cleaning, slots, and the words around a verdict.

A *slot* is a place that a reply marks as its verdict: a tag, a JSON field, `[[…]]`, `[RESULT] …`
or a LaTeX box. Every pattern is bounded or unambiguous, so that a reply of megabytes is read in
linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_THINK = "think|thinking|thoughts?|reason|reasoning|analysis|rationale|explanation|rubric|critique"
_THINK_TAG = re.compile(rf"<\s*(\\?/)?\s*({_THINK}|reflection|scratchpad)\s*>", re.IGNORECASE)

_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff]")
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_LOOKALIKE = str.maketrans(
    {**dict.fromkeys("‐‑‒–−", "-"), **dict.fromkeys("“”„«»", '"'), **dict.fromkeys("‘’", "'")}
    | {"【": "[", "】": "]", "≫": ">>", "≻": ">", "≈": "=", "⁄": "/", "∕": "/", "→": "->"}
)
_FENCE = re.compile(r"(?:```|~~~)(?:[A-Za-z]{1,20}(?=[ \t]{0,20}\n))?")
_SPECIAL_TOKEN = re.compile(r"<\|(?:im_end|eot_id|endoftext|end|return)\|>|</s>|\\[()\[\]]")
_LATEX_TEXT = re.compile(r"\\(?:text|textbf|textit|texttt|mathrm|mathbf|mathtt)\s?\{([^{}\n]{0,80})\}")
_EMPHASIS = re.compile(r"[*`$]|__")


def clean(reply: str) -> str:
    """Return a reply in plain characters: one kind of digit, dash, quote and line end, no markup."""
    text = _LINE_END.sub("\n", reply)
    if not text.isascii():
        text = _INVISIBLE.sub("", text).translate(_FULL_WIDTH).translate(_LOOKALIKE)
        text = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)
    text = text.replace("<|begin_of_box|>", r"\boxed{").replace("<|end_of_box|>", "}")
    text = _SPECIAL_TOKEN.sub("", _FENCE.sub("", text))
    return _LATEX_TEXT.sub(r"\1", _EMPHASIS.sub("", text))


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

    A closing tag without an opening one means that the prompt opened the block, as the chat
    templates of reasoning models do: all before it is reasoning.
    """
    kept: list[str] = []
    position, open_tag = 0, ""
    for tag in _THINK_TAG.finditer(text):
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
    """A place that a reply marks as its verdict: where it is, what it holds, and how it looks."""

    start: int
    end: int
    content: str
    form: str


_JSON_FIELD = re.compile(
    r"""["']([A-Za-z][A-Za-z_ ]{1,30})["']\s{0,9}:\s{0,9}"""
    r"""(?:"([^"\\\n]{1,60})"|'([^'\\\n]{1,60})'|([-+\w./]{1,20}))(?=\s{0,99}[,}\]\n])"""
)
_BRACKETS = re.compile(r"\[\[\s{0,9}([^\[\]\n]{1,60})\]\]")
_BOX = re.compile(r"\\f?boxed\s?\{([^{}\n]{1,80})\}")
_RESULT = re.compile(r"\[(?:result|score|rating|verdict)\]\s{0,9}[:=]?[ \t]{0,9}([^\n]{1,60})", re.IGNORECASE)


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


def other_slots(text: str, keys: frozenset[str]) -> Iterator[Slot]:
    """Yield JSON fields with one of the keys, `[[…]]`, `[RESULT] …` and boxes."""
    for field in _JSON_FIELD.finditer(text):
        if field[1].lower().replace(" ", "_") in keys:
            yield Slot(field.start(), field.end(), field[2] or field[3] or field[4], "json")
    for form, pattern in (("[[]]", _BRACKETS), ("box", _BOX), ("[]", _RESULT)):
        for slot in pattern.finditer(text):
            yield Slot(slot.start(), slot.end(), slot[1], form)


_SENTENCE_END = re.compile(r"[.!?][\"')\]]?\s|\n")
_LIST_ITEM = re.compile(r"[ \t>|]*(?:[-•+]|\(?\w[.)])[ \t\"']")
_FINAL = re.compile(r"\b(?:final|overall|conclu|in sum\b|in total\b|all in all\b)", re.IGNORECASE)
_FUNCTION_WORD = (
    "with|only|exactly|just|by|either|your|the|a|an|final|rating|score|answer|verdict|format|tags?"
    "|as|in|this|following|writing|reply|then|single|like|number|letter"
)
_TOLD_BEFORE = re.compile(
    r"(?<!\bI )(?<!'ll )(?<!\bI will )(?<!\bme )"
    r"\b(?:write|output|respond|reply|answer|return|print|use|end|finish)"
    rf"(?:\s+(?:(?:{_FUNCTION_WORD})\b[\s\"'(,]*)*[\"'(]*|\s*[\"'(]+)$"
    r"|\b(?:for example|for instance|example|example output|e\.g\.,?|such as)\b[^.!?\n]{0,30}$",
    re.IGNORECASE,
)
_TOLD_AFTER = re.compile(r"[\s\"')]{0,5}(?:if|when|or|means|indicates|where)\b", re.IGNORECASE)
_ASPECT = re.compile(
    r"[\W\d]*(?:"
    r"(?!(?:my |the |so |overall|final|conclusion|verdict|summary|answer|result|decision|judg|winner"
    r"|evaluation|assessment|feedback|explanation|reason|score|rating|preference|assistant\b))"
    r"[a-z]+(?:[ /&-]+[a-z]+){0,2}\s*:"
    r"|(?:for|regarding|as for|in terms of|with respect to|when it comes to|on)\s"
    r"(?!these|this|those|that|all|the above|the reasons|a scale|the scale|me\b)[^,\n]{1,60},)",
    re.IGNORECASE,
)


def sentence_before(text: str, position: int) -> str:
    """Return the part of the position's sentence that stands before it, at most 300 characters."""
    window = text[max(0, position - 300) : position]
    ends = [end.end() for end in _SENTENCE_END.finditer(window)]
    return window[ends[-1] :] if ends else window


def sentence_after(text: str, position: int) -> str:
    """Return the part of the position's sentence that follows it, at most 300 characters."""
    window = text[position : position + 300]
    end = _SENTENCE_END.search(window)
    return window[: end.start()] if end else window


def line_before(text: str, position: int) -> str:
    """Return the part of the position's line that stands before it, at most 300 characters."""
    window = text[max(0, position - 300) : position]
    return window[window.rfind("\n") + 1 :]


def says_final(text: str, start: int, end: int) -> bool:
    """Return whether the words that lead to a verdict call it final or overall."""
    return bool(_FINAL.search(sentence_before(text, start) + text[start : min(end, start + 60)]))


def is_instruction(text: str, slot: Slot) -> bool:
    """Return whether a slot shows how to answer (an example, a condition) and is no answer."""
    before = line_before(text, slot.start)[-120:]
    after = text[slot.end : slot.end + 40]
    return bool(_TOLD_BEFORE.search(before) or _TOLD_AFTER.match(after))


def is_about_aspect(text: str, position: int) -> bool:
    """Return whether a line speaks of one aspect (`Accuracy: …`, `For clarity, …`) up to here."""
    return bool(_ASPECT.match(line_before(text, position)))


def stand_together(text: str, one: Slot, two: Slot) -> bool:
    """Return whether two slots belong to one statement: a line, a JSON value, a list."""
    if one.form == two.form == "json":
        return True
    gap = text[one.end : two.start]
    if "\n" not in gap:
        return True
    lines = [line for line in gap.split("\n")[1:-1] if line.strip()]
    before_one, before_two = line_before(text, one.start), line_before(text, two.start)
    listed = _LIST_ITEM.match(before_one) and _LIST_ITEM.match(before_two)
    return bool(listed) and not lines


def ends_sentence(text: str) -> bool:
    """Return whether a sentence ends inside a text."""
    return bool(_SENTENCE_END.search(text))
