"""Writes and reads replies: training writes its targets with it, judges read models with it.

Reasoning is taken off first; where it does not end, there is no verdict. Then the slot counts: a
tag, a JSON object, `[[4]]`, `[RESULT] 4`, a box, with one distinct value outside of quotation marks
and in a sentence that gives it. Without a slot only whole shapes count: the reply alone, a line
`Label: value`, a sentence that states it plainly. Another value later or called final takes it
away, and so does a correction. What is left is `Unparsed`: a wrong value is worse than none.
"""

from __future__ import annotations

import re
from typing import Literal

from videojudge_bench.replies._grammar import pattern
from videojudge_bench.replies._reader import Groups, Reader
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Preference, Rating, Unparsed

_TAG = re.compile(r"<([\s/|｜]{0,3}[\w▁:]{1,40}[\s|｜]{0,3}(?:\s[^<>\n]{0,60})?)>")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def format_rating(rating: int, *, thinking: str = "", rubric: str = "") -> str:
    """Return the reply that a judge is trained to write: rubric, thinking, then the score.

    Tags inside `thinking` and `rubric` lose their angle brackets (`<score>` becomes `(score)`),
    so that no reader takes them for the end of the block, of the reply, or for the verdict.
    """
    parts = [_block("rubric", rubric), _block("thinking", thinking), f"<score>{rating}</score>"]
    return "\n".join(filter(None, parts))


def format_preference(choice: Literal["A", "B"], *, thinking: str = "") -> str:
    """Return the reply that a judge is trained to write: thinking as above, then the better one."""
    return "\n".join(filter(None, [_block("thinking", thinking), f"<answer>{choice}</answer>"]))


def _block(tag: str, text: str) -> str:
    plain = _TAG.sub(r"(\1)", text)
    return f"<{tag}>{plain}</{tag}>" if text else ""


def parse_rating(reply: str, scale: RatingScale = RatingScale()) -> Rating | Unparsed:
    """Return the rating that a reply states, on the scale it was asked for.

    Decimals inside the scale are kept. A number off the scale, a range, a percentage, another
    scale (`4/10`) or a contradiction is `Unparsed`. Takes time linear in the reply's length.
    """
    return _RatingReader(scale).parse(reply)


def parse_preference(reply: str) -> Preference | Unparsed:
    """Return which response a reply prefers: A is the first, B the second, a tie is 0.5.

    `[[C]]` is a tie, and so is "neither is better"; "both are good", which does not say which is
    better, is `Unparsed`, like a negation. Takes time linear in the reply's length.
    """
    return _PreferenceReader().parse(reply)


class _RatingReader(Reader[Rating]):
    """Reads ratings on a scale."""

    noun = "rating"
    forms = ("BARE", "REMARKED", "LABELLED", "SAID", "DESERVED", "IS", "FITS", "GIVEN_ZH")

    def __init__(self, scale: RatingScale) -> None:
        self._scale = scale

    def prepared(self, text: str) -> tuple[str, str]:
        """Return a text without the places that name the scale; another scale is a problem."""
        for named in pattern("SCALE").finditer(text):
            if not self._is_scale(named[0]):
                return "", f"another scale: {named[0].strip()!r}, not {self._scale}"
        of_label = pattern("SCALE_OF_LABEL")
        kept = of_label.sub(lambda named: "" if self._is_scale(named[0]) else named[0], text)
        return super().prepared(pattern("SCALE").sub("", kept))

    def _is_scale(self, named: str) -> bool:
        limits = [int(n) for n in re.findall(r"\d+", named.lower().replace("ten", "10"))]
        return limits[-1] == self._scale.high and limits[0] in {self._scale.low, self._scale.high}

    def names_another(self, text: str, verdict: Rating) -> bool:
        """Return whether a text ends with another number on the scale, and not of a part."""
        named = pattern("RATING_AT_END").search(text)
        if named is None or pattern("ASPECT").match(text):
            return False
        number = _number(named["number"])
        return number in self._scale and number != verdict.value

    def value(self, groups: Groups, held: Rating | Unparsed | None) -> Rating | Unparsed | None:
        """Return the rating, or why the number is none; None where it says something else."""
        stars, label = groups.get("stars", ""), groups.get("label", "").lower()
        if "slot" in groups and not isinstance(held, Rating):
            return held
        is_decoration = stars == "★" and not label and "empty" not in groups
        if is_decoration or (label == "answer" and {"note", "remark"} & groups.keys()):
            return None
        number = _number(groups.get("number") or str(len(stars)))
        number = held.value if isinstance(held, Rating) else number
        upto = _number(groups["upto"]) if "upto" in groups else None
        if (number, upto) == (self._scale.low, self._scale.high):
            return None  # the scale itself
        problem = self._problem(number, upto, groups)
        return Unparsed(problem) if problem else Rating(number)

    def _problem(self, number: float, upto: float | None, groups: Groups) -> str:
        if upto is not None:
            return f"a range, not one rating: {number:g} to {upto:g}"
        if "percent" in groups:
            return f"a percentage, not a rating on {self._scale}: {number:g}%"
        high = _number(groups.get("of", str(self._scale.high)))
        high = number + len(groups["empty"]) if "empty" in groups else high
        if high != self._scale.high:
            return f"another scale: out of {high:g}, not {self._scale}"
        return "" if number in self._scale else f"{number:g} is outside the scale {self._scale}"


def _number(text: str) -> float:
    return float(_NUMBERS.index(text.lower()) if text.isalpha() else text)


class _PreferenceReader(Reader[Preference]):
    """Reads which of two responses is preferred."""

    noun = "preference"
    forms = ("BARE", "LABELLED", "TWICE", "LABELLED_LONG", "SAID", "WON", "TIED", "SAID_ZH")

    def value(
        self, groups: Groups, held: Preference | Unparsed | None
    ) -> Preference | Unparsed | None:
        """Return the preference, None where a slot and the words before it differ."""
        name = groups.get("left") or groups.get("side") or groups.get("digit", "")
        if "slot" in groups and not name and "tie" not in groups:
            return held
        sign = groups.get("sign", "")
        said = Preference(float(_is_first(name) != ("<" in sign)))
        said = Preference(0.5) if "tie" in groups or sign[:1] in {"=", "~"} else said
        return said if held in {None, said} else None

    def tidied(self, content: str) -> str:
        """Return `Response 1` for `1`, and `response A` for `response_a`."""
        text = content.replace("_", " ")
        if text in {"1", "2"}:
            return f"Response {text}"
        return re.sub(r"(?<![A-Za-z])[ab](?=[\W_]*$)", lambda letter: letter[0].upper(), text)

    def names_another(self, text: str, verdict: Preference) -> bool:
        """Return whether a text may speak for the other response."""
        named = pattern("PREFERENCE_NEAR_END").search(text)
        name = named[named.lastgroup or 0] if named else ""
        return bool(name) and float(_is_first(name)) != verdict.p_first


def _is_first(name: str) -> bool:
    return re.search(r"1|first|(?-i:A)(?![a-z])", name, re.IGNORECASE) is not None
