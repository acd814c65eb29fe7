"""Writes and reads replies: training writes its targets with it, judges read models with it.

Reasoning is taken off first; where it does not end, there is no verdict. Then slots count (a tag,
JSON, `[[4]]`, `[RESULT] 4`, a box) with one distinct value, unquoted, in a sentence that gives it;
without a slot only whole shapes: the reply alone, `Label: value`, a sentence that states it
plainly. Another value later or called final and a correction take it away. What is left is
`Unparsed`: a wrong value is worse than none.
"""

from __future__ import annotations

import re
from typing import Literal

from videojudge_bench.replies._grammar import pattern
from videojudge_bench.replies._reader import Groups, Reader, Value
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
    value = _RatingReader(scale).parse(reply)
    return value if isinstance(value, Unparsed) else Rating(value)


def parse_preference(reply: str) -> Preference | Unparsed:
    """Return which response a reply prefers: A is the first, B the second, a tie is 0.5.

    `[[C]]` is a tie, and so is "neither is better"; "both are good", which does not say which is
    better, is `Unparsed`, like a negation. Takes time linear in the reply's length.
    """
    value = _PreferenceReader().parse(reply)
    return value if isinstance(value, Unparsed) else Preference(value)


class _RatingReader(Reader):
    noun = "rating"
    forms = ("BARE", "REMARKED", "LABELLED", "SAID", "DESERVED", "FITS")

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

    def names_another(self, text: str, value: float) -> bool:
        """Return whether a text ends with another number on the scale, and not of a part."""
        named = pattern("RATING_AT_END").search(text)
        if named is None or pattern("ASPECT").match(text):
            return False
        return value != (number := _number(named["number"])) and number in self._scale

    def value(self, groups: Groups, held: Value | None) -> Value | None:
        stars, label = groups.get("stars", ""), groups.get("label", "").lower()
        if "slot" in groups and not isinstance(held, float):
            return held
        written = groups.get("number") or str(len(stars))
        number = held if isinstance(held, float) else _number(written)
        upto = _number(groups["upto"]) if "upto" in groups else None
        high = _number(groups.get("of", str(self._scale.high)))
        high = number + len(groups["empty"]) if "empty" in groups else high
        is_decoration = stars == "★" and not label and "empty" not in groups
        is_scale = (number, upto) == (self._scale.low, self._scale.high)
        if is_decoration or is_scale or (label == "answer" and {"note", "remark"} & groups.keys()):
            return None
        problems = {
            f"a range, not one rating: {number:g} to {upto or 0:g}": upto is not None,
            f"a percentage, not a rating on {self._scale}: {number:g}%": "percent" in groups,
            f"another scale: out of {high:g}, not {self._scale}": high != self._scale.high,
            f"{number:g} is outside the scale {self._scale}": number not in self._scale,
        }
        return next((Unparsed(reason) for reason, is_so in problems.items() if is_so), number)


def _number(text: str) -> float:
    return float(_NUMBERS.index(text.lower()) if text.isalpha() else text)


class _PreferenceReader(Reader):
    noun = "preference"
    forms = ("BARE", "LABELLED", "TWICE", "LABELLED_LONG", "SAID", "WON", "TIED")
    words = {1.0: "A", 0.0: "B", 0.5: "tie"}  # noqa: RUF012 - as the base class says

    def tidied(self, content: str) -> str:
        """Return `Response 1` for `1`, and `response A` for `response_a`."""
        text = content.replace("_", " ")
        if text in {"1", "2"}:
            return f"Response {text}"
        return re.sub(r"(?<![A-Za-z])[ab](?=[\W_]*$)", lambda letter: letter[0].upper(), text)

    def names_another(self, text: str, value: float) -> bool:
        named = pattern("PREFERENCE_NEAR_END").search(text)
        name = named[named.lastgroup or 0] if named else ""
        return bool(name) and bool(pattern("FIRST").search(name)) != value

    def value(self, groups: Groups, held: Value | None) -> Value | None:
        """Return the preference, None where a slot and the words before it differ."""
        name = groups.get("left") or groups.get("side") or groups.get("digit", "")
        if "slot" in groups and not name and "tie" not in groups:
            return held
        sign = groups.get("sign", "")
        is_tie = "tie" in groups or sign[:1] in {"=", "~"}
        value = 0.5 if is_tie else float(bool(pattern("FIRST").search(name)) != ("<" in sign))
        return value if held in {None, value} else None
