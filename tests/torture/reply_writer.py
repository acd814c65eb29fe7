"""Writes replies of judges whose verdict is known, because it was there first: the oracle.

A reply is a verdict in one of many forms, among text that states none. Some state none at all, on
purpose (a range, another scale, a negation, an echoed instruction); some are cut off, and may then
be read as they were meant or not at all.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from reply_templates import NEUTRAL, Filled, fillings, templates

from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Preference, Rating

Verdict = Rating | Preference
T = TypeVar("T")


@dataclass(frozen=True)
class Written:
    """A reply, and what it says.

    Attributes:
        text: the reply.
        truth: the verdict that it states; None: it states none, so that nothing may be read.
        form: how, in a word or two.
        scale: that was asked for; None: for a preference.
        may_be_unread: it was cut, or people may differ.
    """

    text: str
    truth: Verdict | None
    form: str
    scale: RatingScale | None = None
    may_be_unread: bool = False


SCALES = (*[RatingScale()] * 6, RatingScale(1, 10), RatingScale(0, 4), RatingScale(1, 3),
          RatingScale(1, 7), RatingScale(0, 10), RatingScale(0, 100))  # fmt: skip
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_BARE = frozenset({"a", "b", *_WORDS})
_OTHER_DIGITS = ("０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९")

_ASPECTS = ("Accuracy", "Detail", "Fluency", "Relevance", "Temporal order", "Coherence")
_BLOCKS = ("think", "thinking", "reasoning", "analysis", "rationale", "rubric", "scratchpad")
_ENDS = ("<|im_end|>", "</s>", "<|eot_id|>", "<|endoftext|>", "<end_of_turn>")


def _says_another(text: str, truth: Verdict | None) -> bool:
    """Whether a text was cut in a word so that it states another verdict by itself.

    "I prefer Assistant B" may become "I prefer A", and "Two dogs run" may become "Two".
    """
    line = re.findall(r"[^\W_]+", text.rpartition("\n")[2])
    meant = {Preference(1.0): "a", Preference(0.0): "b"}.get(truth)  # type: ignore[arg-type]
    return bool(line) and line[-1].lower() in _BARE - {meant or ""}


class Writer:
    """Writes replies, always the same ones for a seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self._filled = self._templates(seed)

    def __call__(self) -> Written:
        """Return the next reply: of every second one a template, later its mutations."""
        if self.draw.random() < 0.5:
            return next(self._filled)
        side = self._preference if self.draw.random() < 0.4 else self._rating
        return side()

    def _templates(self, seed: int) -> Iterator[Written]:
        """Every template filled in as it is, then again and again with what changes no verdict."""
        known = templates()
        self.draw.shuffle(known)
        for round_number in itertools.count(seed):
            for template in known:
                for filled in fillings(template, round_number):
                    text = filled.text if round_number == seed else self._mutated(filled)
                    yield Written(text, filled.truth, f"template: {template.kind}", filled.scale,
                                  filled.may_be_unread)  # fmt: skip

    def _mutated(self, filled: Filled) -> str:
        decoy = self._one(("1", "2", "3")) if filled.scale else self._one(("A", "B"))
        think = f"<think>\n{self._one(NEUTRAL)} {self._slot_decoy(decoy)}\n</think>\n\n"
        text = filled.text
        begins = text.startswith(("<|channel|>", "analysis")) or ("</" in text and "think" in text)
        changes: list[Callable[[str], str]] = [
            lambda t: t if begins or "think" in t.lower() else think + t,
            lambda t: t.replace("\n", "\r\n"),
            lambda t: f"\ufeff\n{t}\n\n",
            lambda t: t if "<|" in t else f"{t}<|im_end|>\nuser\nScore: {decoy}\n[[{decoy}]]",
            lambda t: t if "<|" in t else "\u200b".join(t),
        ]
        return self._one(changes)(text)

    # What both kinds share.

    def _one(self, choices: Sequence[T]) -> T:
        return self.draw.choice(choices)

    def _prose(self, most: int) -> str:
        lines = [self._one(NEUTRAL) for _ in range(self.draw.randint(0, most))]
        return self._one((" ", "\n", "\n\n")).join(lines)

    def _around(self, said: str, decoy: str, *, cuts: bool) -> str:
        """A verdict among text that states none: reasoning, prose, what follows the end."""
        parts = [self._prose(2), said]
        if self.draw.random() < 0.4:
            block = self._one(_BLOCKS)
            inside = self._prose(3) + self._one(("\n", " ")) + (
                f"I first thought of {decoy}." if cuts else self._slot_decoy(decoy))  # fmt: skip
            parts.insert(0, f"<{block}>\n{inside}\n</{block}>")
        text = self._one(("\n", "\n\n")).join(part for part in parts if part)
        if self.draw.random() < 0.3 and not cuts:
            text += f"{self._one(_ENDS)}\nuser\nScore: {decoy}\n<answer>{decoy}</answer>"
        if self.draw.random() < 0.1:
            text = text.replace("\n", "\r\n")
        return text

    def _slot_decoy(self, decoy: str) -> str:
        forms = ("<score>{}</score>?", "[[{}]]?", "Answer: {}?", '{{"score": {}}}', "Score: {}")
        return f"Maybe {self._one(forms).format(decoy)} No, on the whole it differs."

    def _cut(self, whole: Written) -> Written:
        """The same reply, which ends early."""
        if len(whole.text) < 2:
            return whole
        text = whole.text
        while text == whole.text or _says_another(text, whole.truth):
            text = whole.text[: self.draw.randrange(1, len(whole.text))]
        return replace(whole, text=text, form=f"{whole.form}, cut", may_be_unread=True)

    # Ratings.

    def _rating(self) -> Written:
        scale = self.draw.choice(SCALES)
        draw = self.draw.random()
        if draw < 0.2:
            return self._no_rating(scale)
        value = self.draw.randint(scale.low, scale.high)
        cuts = draw < 0.35 and scale.high < 10
        decoy = str(self.draw.choice([v for v in scale.values if v != value]))
        form, make = self.draw.choice(self._rating_forms())
        said = make(str(value), scale, decoy)
        alone = form == "bare"
        text = said if alone else self._around(said, decoy, cuts=cuts)
        written = Written(text, Rating(value), form, scale, may_be_unread=form == "revised")
        return self._cut(written) if cuts and form != "revised" else written

    def _rating_forms(self) -> list[tuple[str, Callable[[str, RatingScale, str], str]]]:
        return [
            ("tag", self._tag),
            ("tag", self._tag),
            ("JSON", self._json),
            ("brackets", lambda v, s, d: self._bracketed(v)),
            ("sentence", self._sentence),
            ("sentence", self._sentence),
            ("aspects", self._aspects),
            ("revised", lambda v, s, d: f"<score>{d}</score>\n{self._one(NEUTRAL)}\n"
                                        f"On reflection:\n{self._tag(v, s, d)}"),
            ("negated first", lambda v, s, d: f"I would not give it a {d}.\n\n"
                                              f"{self._tag(v, s, d)}"),
            ("bare", self._bare),
        ]  # fmt: skip

    def _digits(self, value: str) -> str:
        if value.isdigit() and self.draw.random() < 0.1:
            digits = self._one(_OTHER_DIGITS)
            return "".join(digits[int(digit)] for digit in value)
        if value.isdigit() and int(value) <= 10 and self.draw.random() < 0.1:
            return _WORDS[int(value)]
        return f"**{value}**" if self.draw.random() < 0.1 else value

    def _tag(self, value: str, scale: RatingScale, _: str) -> str:
        name = self._one(("score", "rating", "final_score", "answer", "verdict", "SCORE"))
        inside = self._digits(value) + self._one(("", "", "", f"/{scale.high}", " "))
        text = f"<{name}>{self._one(('', ' ', chr(10)))}{inside}</{name}>"
        return self._one(("{}", "{}", "**{}**", "```\n{}\n```", "`{}`")).format(text)

    def _json(self, value: str, scale: RatingScale, decoy: str) -> str:
        key = self._one(("score", "rating", "overall_score", "final_score", "Score"))
        fields: list[tuple[str, object]] = [(key, self.draw.choice((int(value), value)))]
        if self.draw.random() < 0.5:
            fields.append(("reason", self._one(NEUTRAL)))
        if self.draw.random() < 0.3:
            fields += [(aspect.lower(), int(decoy)) for aspect in _ASPECTS[:2]]
        self.draw.shuffle(fields)
        text = json.dumps(dict(fields), ensure_ascii=False, indent=self.draw.choice((None, 2)))
        return self._one(("{}", "```json\n{}\n```")).format(text)

    def _bracketed(self, value: str) -> str:
        return self._one(("[[{}]]", "Rating: [[{}]]", "[RESULT] {}", "\\boxed{{{}}}",
                          "$\\boxed{{{}}}$", "**[[{}]]**")).format(value)  # fmt: skip

    def _sentence(self, value: str, scale: RatingScale, _: str) -> str:
        forms = (
            "Score: {}",
            "Final score: {}",
            "**Rating:** {}",
            "Overall: {}/{h}",
            "I would give this response a {} out of {h}.",
            "Rating: {}/{h}",
            "My final rating is {}.",
            "### Score: {}/{h}",
            "I rate it {}/{h}.",
            "Therefore, the response deserves a score of {}.",
            "Overall rating: **{}**",
        )
        return self._one(forms).format(value, h=scale.high)

    def _aspects(self, value: str, scale: RatingScale, decoy: str) -> str:
        some = self.draw.sample(_ASPECTS, self.draw.randint(1, 4))
        mark = self._one(("", "- ", "* "))
        other = [str(v) for v in (scale.low, scale.high)]
        lines = [f"{mark}{aspect}: {self._one((decoy, *other))}/{scale.high}" for aspect in some]
        final = self._one(
            (
                f"<score>{value}</score>",
                f"Overall score: {value}/{scale.high}",
                f"Final score: {value}",
                f"**Overall: {value}/{scale.high}**",
            )
        )
        return "\n".join([*lines, final])

    def _bare(self, value: str, scale: RatingScale, _: str) -> str:
        return self._one(("{}", "{}.", "**{}**", "{}/{h}", " {}\n", "{} out of {h}")).format(
            value, h=scale.high
        )

    def _no_rating(self, scale: RatingScale) -> Written:
        low, high = scale.low, scale.high
        one = self.draw.randint(low, high - 1)
        two = self.draw.randint(one + 1, high)
        other = high * 2
        forms = {
            "none": self._prose(4) or self._one(NEUTRAL),
            "negation": f"I would not give it a {one}.",
            "condition": f"If it had named the dog, I would give it a {two}.",
            "another scale": self._one((f"Score: {one}/{other}", f"<score>{one}/{other}</score>",
                                        f"I rate it {one} out of {other}.",
                                        f"[[{one}/{other}]]")),
            "percentage": self._one(("Score: 80%", "<score>80%</score>", "Rating: 60 percent")),
            "off the scale": f"<score>{high + 1}</score>",
            "contradiction": self._one((f"<score>{one}</score> or <score>{two}</score>",
                                        f"Score: {one} or {two}", f"[[{one}]] [[{two}]]")),
            "range": self._one((f"<score>{one}-{two}</score>", f"Score: between {one} and {two}")),
            "instruction": f"Rate from {low} to {high}. Answer with <score>N</score>.",
            "unfinished tag": f"{self._one(NEUTRAL)}\n<score>{one}",
            "unfinished thought": f"<think>{self._one(NEUTRAL)} A score of {one} seems",
            "aspects alone": f"Accuracy: {one}/{high}\nDetail: {two}/{high}",
            "refusal": "I cannot rate this video, as I was shown none.",
        }  # fmt: skip
        whole = (one, two) == (low, high)  # "1-5" is then the scale itself
        form = self._one([name for name in forms if not (whole and name == "range")
                          and not (high >= 60 and name == "percentage")])  # fmt: skip
        return Written(forms[form], None, f"no verdict: {form}", scale)

    # Preferences.

    def _preference(self) -> Written:
        draw = self.draw.random()
        if draw < 0.2:
            return self._no_preference()
        side = self._one(("A", "B"))
        other = "B" if side == "A" else "A"
        cuts = draw < 0.35
        if draw > 0.9:
            return Written(self._around(self._tie(), other, cuts=False), Preference(0.5), "tie")
        form, said = self._side(side, other)
        text = said if form == "bare" else self._around(said, other, cuts=cuts)
        written = Written(text, Preference(float(side == "A")), form)
        # "Answer B", cut, may be "A".
        return self._cut(written) if cuts and form != "bare" else written

    def _side(self, side: str, other: str) -> tuple[str, str]:
        number, word = ("1", "first") if side == "A" else ("2", "second")
        noun = self._one(("Response", "Assistant", "Answer", "Model"))
        forms = {
            "tag": self._one((f"<answer>{side}</answer>", f"<answer>{noun} {side}</answer>",
                              f"<verdict>{side}</verdict>", f"**<answer> {side} </answer>**")),
            "brackets": self._one((f"[[{side}]]", f"My final verdict is: [[{side}]]",
                                   f"\\boxed{{{side}}}", f"[[{side}>{other}]]",
                                   f"[[{other}<<{side}]]")),
            "JSON": json.dumps({"reason": self._one(NEUTRAL), "winner": side}),
            "sentence": self._one((f"{noun} {side} is better.", f"I prefer {noun} {side}.",
                                   f"The {word} response is better than the other one.",
                                   f"Verdict: {side}", f"**Winner:** {noun} {side}",
                                   f"Final verdict: {noun} {side}", f"Better: {side}",
                                   f"{noun} {side} is better than {noun} {other}.",
                                   f"Overall, {noun} {side} is clearly better.",
                                   f"Response {number} is better.")),
            "bare": self._one((side, f"{side}.", f"**{side}**", f"{noun} {side}")),
        }  # fmt: skip
        form = self._one(list(forms))
        return form, forms[form]

    def _tie(self) -> str:
        return self._one(("[[C]]", "[[A=B]]", "<answer>tie</answer>", "It is a tie.",
                          "Verdict: tie", '{"winner": "tie"}', "Both responses are equally good.",
                          "Neither response is better."))  # fmt: skip

    def _no_preference(self) -> Written:
        side = self._one(("A", "B"))
        forms = {
            "none": self._prose(4) or self._one(NEUTRAL),
            "both good": "Both responses are good, and both name the dog.",
            "negation": f"Response {side} is not better.",
            "condition": f"If it had named the dog, Response {side} would be better.",
            "contradiction": self._one(("<answer>A</answer> or <answer>B</answer>",
                                        "Answer: A or B", "[[A]] [[B]]")),
            "both named": "Response A is better.\nResponse B is better.",
            "instruction": "Write <answer>A</answer> or <answer>B</answer>.",
            "unfinished tag": f"{self._one(NEUTRAL)}\n<answer>{side}",
            "unfinished thought": f"<thinking>{self._one(NEUTRAL)} Response {side} is better",
            "question": "Which response is better, A or B?",
            "refusal": "I cannot compare them, as I was shown no video.",
        }  # fmt: skip
        form = self._one(list(forms))
        return Written(forms[form], None, f"no verdict: {form}")
