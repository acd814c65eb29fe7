"""Read the verdict of a reply from its sentences that have a form of the grammar."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple, Union

from videojudge_bench.replies import _text
from videojudge_bench.replies._grammar import SLOT, pattern
from videojudge_bench.verdicts import Unparsed

Value = Union[float, Unparsed]  # a rating or a preference for the first, or why there is none
Groups = Mapping[str, str]
Stray = Sequence[tuple[_text.Sentence, str]]


class Claim(NamedTuple):
    """A value that the sentence number `at` states, in a slot, after a reason or in words."""

    value: Value
    is_final: bool
    slot: str
    at: int
    has_reason: bool


class Reader(ABC):
    """Reads one kind of verdict: `noun` and each of `forms` name a sentence in the grammar."""

    noun: ClassVar[str]
    forms: ClassVar[tuple[str, ...]]
    words: ClassVar[Mapping[float, str]] = {}

    @abstractmethod
    def value(self, groups: Groups, held: Value | None) -> Value | None:
        """Return what a match says, given what its slot holds; None when it says nothing."""

    @abstractmethod
    def names_another(self, text: str, value: float) -> bool:
        """Return whether a text that states nothing may name another verdict."""

    def tidied(self, content: str) -> str:
        """Return a slot's content in the words of a sentence."""
        return content

    def prepared(self, text: str) -> tuple[str, str]:
        """Return what is to be read of a text, and "" or why there is nothing."""
        return text, "" if text.strip() else "empty reply"

    def parse(self, reply: str) -> Value:
        """Return the verdict that a reply states, `Unparsed` where it states none or several."""
        text, problem = _text.without_reasoning(reply)
        text, none = self.prepared(_text.without_markup(text))
        self._has_rubric = len(set(pattern("RUBRIC_LINE").findall(text))) > 1
        text, self._slots, open_tag = _text.with_slots(text, self.noun.upper())
        cut = f"reply ends inside <{open_tag}>: the {self.noun} may be cut off" if open_tag else ""
        problem = problem or none or cut
        return Unparsed(problem) if problem else self._read(text)

    def _read(self, text: str) -> Value:
        lines = list(_text.sentences(text))
        claims: list[Claim] = []
        stray: list[tuple[_text.Sentence, str]] = []
        for at, sentence in enumerate(lines):
            claim = None if sentence.doubt else self._claim(sentence, at)
            claims += [claim] if claim else []
            marks = re.findall(SLOT, sentence.text)
            stray += [(sentence, m) for m in marks if not claim or m != claim.slot]
        stated = [claim for claim in claims if claim.slot] or claims
        if not stated:
            return self._nothing(stray)
        chosen = stated[-1]  # which, where it is called final, has no rivals but such ones
        values = {claim.value for claim in stated if claim.is_final >= chosen.is_final}
        values |= set(self._rivals(chosen, claims, stray))
        if len(values) > 1:
            return Unparsed(f"contradicts itself: {' and '.join(sorted(map(self._words, values)))}")
        if isinstance(chosen.value, Unparsed):
            return chosen.value
        return self._taken_back(chosen.value, lines[chosen.at + 1 :]) or chosen.value

    def _holds(self, mark: str) -> Value | None:
        """Return the verdict that a slot holds, None when it holds something else."""
        slot = self._slots[mark]
        value = self._read(self.tidied(slot.content.strip()))
        if not isinstance(value, Unparsed) or not value.reason.startswith("no "):
            return value
        none = Unparsed(f"{slot.name} holds {_short(slot.content)}, which is no {self.noun}")
        return none if slot.is_asked else None

    def _claim(self, sentence: _text.Sentence, at: int) -> Claim | None:
        kind, heading, section = self.noun.upper(), sentence.heading, sentence.section
        text = re.sub(r"^(?:[:,;.]|->|★(?=\s?[A-Za-z]))\s*", "", sentence.text)
        if text.count('"') % 2 or any(text.count(a) != text.count(b) for a, b in ("()", "[]")):
            return None
        reason = pattern("OPEN_WORDS").match(text)
        text = text[reason.end() if reason else 0 :]
        is_plain = pattern("PLAIN_HEADING").fullmatch(heading) is not None
        is_bare = pattern(f"{kind}_BARE").fullmatch(text) and sentence.is_line
        if is_bare and pattern(f"{kind}_LABEL").fullmatch(heading):
            text, is_plain = f"{heading}: {text}", True
        is_whole = pattern("PLAIN_HEADING").fullmatch(section)
        is_plain &= bool(is_whole or not pattern("ASPECT").search(section))
        for form in self.forms:
            match = pattern(f"{kind}_{form}").fullmatch(text)
            parts = [part for m in (match, reason) if match and m for part in m.groupdict().items()]
            groups = {name: part for name, part in parts if part}
            slot = groups.get("slot", "")
            has_reason = form == "BARE" and "free" in groups
            is_weak = form == "BARE" and not (slot or "lead" in groups or sentence.is_alone)
            is_weak |= self._has_rubric and form == "BARE" and "remark" in groups
            named = (groups.get("label", ""), section, slot and self._slots[slot].name)
            is_final = "final" in groups or any(map(pattern("CALLED_FINAL").search, named))
            is_none = not groups or is_weak or (has_reason and len(self._slots) > 1)
            if is_none or not (is_final or is_plain):
                continue
            value = self.value(groups, self._holds(slot) if slot else None)
            if value is not None and not self._is_doubtful(groups, value):
                return Claim(value, is_final, slot, at, has_reason)
        return None

    def _is_doubtful(self, groups: Groups, value: Value) -> bool:
        """Return whether the text around a value takes the certainty from it."""
        names = ("note", "remark", "free", "because", "why")
        note, remark, free, because, why = (groups.get(name, "") for name in names)
        if any(map(pattern("OF_PART").match, (note, remark))) or pattern("VALUES").search(note):
            return True
        why = why if pattern("VALUES").search(why) or pattern("SAID_SO").search(why) else ""
        if any(map(pattern("DOUBTFUL").search, (note, remark, free, because, why))):
            return True
        if isinstance(value, Unparsed):
            return False
        return any(self.names_another(part, value) for part in (note, remark, free, why))

    def _words(self, value: Value) -> str:
        """Return a value as reasons name it."""
        return value.reason if isinstance(value, Unparsed) else self.words.get(value, f"{value:g}")

    def _nothing(self, stray: Stray) -> Unparsed:
        for sentence, mark in stray:
            if (value := self._holds(mark)) is not None:
                why = sentence.doubt or f"not given by {_short(re.sub(SLOT, '…', sentence.text))}"
                none = Unparsed(f"{self._words(value)} is no verdict: {why}")
                return value if isinstance(value, Unparsed) else none
        return Unparsed(f"no {self.noun} found: nothing in a form that states one")

    def _rivals(self, chosen: Claim, claims: list[Claim], stray: Stray) -> Iterator[Value]:
        """Yield what stands beside a slot in other slots and in later or final sentences."""
        for claim in claims:
            is_later = claim.at > chosen.at or claim.is_final or chosen.has_reason
            if chosen.slot and not claim.slot and is_later:
                yield claim.value
        for sentence, mark in stray:
            is_plain = pattern("PLAIN_HEADING").fullmatch(sentence.section)
            is_of_part = pattern("ASPECT").match(sentence.text) or not is_plain
            value = None if chosen.is_final and is_of_part else self._holds(mark)
            if value is not None:
                yield value

    def _taken_back(self, value: float, later: list[_text.Sentence]) -> Unparsed | None:
        for sentence in later:
            if pattern("TAKEN_BACK").search(sentence.text):
                return Unparsed(f"takes its {self.noun} back: {_short(sentence.text)}")
            if not sentence.doubt and self.names_another(sentence.text, value):
                return Unparsed(f"goes on to name another: {_short(sentence.text)}")
        return None


def _short(text: str) -> str:
    text = " ".join(text[:200].split())
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
