"""Read the verdict of a reply from its sentences that have a form of the grammar."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar, Union

from videojudge_bench.replies._grammar import SLOT, pattern, source
from videojudge_bench.replies._sentences import VALUES, Sentence, sentences
from videojudge_bench.replies._slots import Slot, with_slots
from videojudge_bench.replies._text import clean, without_markup, without_reasoning
from videojudge_bench.verdicts import Preference, Rating, Unparsed

V = TypeVar("V", bound=Union[Rating, Preference])
Groups = Mapping[str, str]
Stray = list[tuple[Sentence, str]]
_DECORATION = re.compile(r"^(?:[:,;.]|->|★(?=\s?[A-Za-z]))\s*")


@dataclass(frozen=True)
class Claim(Generic[V]):
    """A verdict, or why it is none, that the sentence number `at` states, in a slot or in words."""

    value: V | Unparsed
    is_final: bool
    slot: str
    at: int


class Reader(ABC, Generic[V]):
    """Reads one kind of verdict: `noun` and each of `forms` name a sentence in the grammar."""

    noun: ClassVar[str]
    forms: ClassVar[tuple[str, ...]]

    @abstractmethod
    def value(self, groups: Groups, held: V | Unparsed | None) -> V | Unparsed | None:
        """Return what a match says, given what its slot holds; None when it says nothing."""

    @abstractmethod
    def names_another(self, text: str, verdict: V) -> bool:
        """Return whether a text that states nothing may name another verdict."""

    def tidied(self, content: str) -> str:
        """Return a slot's content in the words of a sentence."""
        return content

    def prepared(self, text: str) -> tuple[str, str]:
        """Return what is to be read of a text, and "" or why there is nothing."""
        return text, "" if text.strip() else "empty reply"

    def parse(self, reply: str) -> V | Unparsed:
        """Return the verdict that a reply states, `Unparsed` where it states none or several."""
        text, problem = without_reasoning(clean(reply))
        text, none = self.prepared(without_markup(text))
        places = [source(f"{self.noun.upper()}_{name}") for name in ("TAGS", "OTHER_TAGS", "KEYS")]
        text, self._slots, open_tag = with_slots(text, *places)
        cut = f"reply ends inside <{open_tag}>: the {self.noun} may be cut off" if open_tag else ""
        problem = problem or none or cut
        return Unparsed(problem) if problem else self._read(text)

    def _read(self, text: str) -> V | Unparsed:
        lines = list(sentences(text))
        told: list[Claim[V]] = []
        stray: Stray = []
        for at, sentence in enumerate(lines):
            statement = None if sentence.doubt else self._state(sentence, at)
            told += [statement] if statement else []
            marks = re.findall(SLOT, sentence.text)
            stray += [(sentence, m) for m in marks if not statement or m != statement.slot]
        chosen = _chosen([s for s in told if s.slot] or told)
        if chosen is None:
            return self._nothing(stray)
        if isinstance(chosen, Unparsed):
            return chosen
        none, value = self._against(chosen, told, stray), chosen.value
        if none is not None or isinstance(value, Unparsed):
            return none or value
        return self._taken_back(value, lines[chosen.at + 1 :]) or value

    def _holds(self, mark: str) -> V | Unparsed | None:
        """Return the verdict that a slot holds, None when it holds something else."""
        slot: Slot = self._slots[mark]
        found = self._read(self.tidied(slot.content.strip()))
        if not isinstance(found, Unparsed) or not found.reason.startswith("no "):
            return found
        no = Unparsed(f"{slot.name} holds {_short(slot.content)}, which is no {self.noun}")
        return no if slot.is_asked else None

    def _state(self, sentence: Sentence, at: int) -> Claim[V] | None:
        kind, heading, section = self.noun.upper(), sentence.heading, sentence.section
        text = _DECORATION.sub("", sentence.text)
        if text.count('"') % 2 or any(text.count(a) != text.count(b) for a, b in ("()", "[]")):
            return None
        is_plain = pattern("PLAIN_HEADING").fullmatch(heading) is not None
        is_bare = pattern(f"{kind}_BARE").fullmatch(text)
        if is_bare and sentence.is_line and pattern(f"{kind}_LABEL").fullmatch(heading):
            text, is_plain = f"{heading}: {text}", True
        if not pattern("PLAIN_HEADING").fullmatch(section) and pattern("ASPECT").search(section):
            is_plain = False
        for form in self.forms:
            found = pattern(f"{kind}_{form}").fullmatch(text)
            groups = {k: said for k, said in found.groupdict().items() if said} if found else {}
            slot = groups.get("slot", "")
            if form == "BARE" and not (slot or "lead" in groups or sentence.is_alone):
                continue
            named = (groups.get("label", ""), section, slot and self._slots[slot].name)
            is_final = "final" in groups or any(map(pattern("CALLED_FINAL").search, named))
            if not groups or not (is_final or is_plain):
                continue
            value = self.value(groups, self._holds(slot) if slot else None)
            if value is not None and not self._is_doubtful(groups, value):
                return Claim(value, is_final, slot, at)
        return None

    def _is_doubtful(self, groups: Groups, value: V | Unparsed) -> bool:
        """Return whether what stands around a value takes the certainty from it."""
        note, remark, why = (groups.get(name, "") for name in ("note", "remark", "why"))
        if any(map(pattern("OF_PART").match, (note, remark))) or VALUES.search(note):
            return True
        around = [
            note,
            remark,
            groups.get("free", ""),
            why if VALUES.search(why) or pattern("SAID_SO").search(why) else "",
        ]
        if any(map(pattern("DOUBTFUL").search, (*around, groups.get("because", "")))):
            return True
        if isinstance(value, Unparsed):
            return False
        return any(self.names_another(part, value) for part in around)

    def _nothing(self, stray: Stray) -> Unparsed:
        for sentence, mark in stray:
            if (held := self._holds(mark)) is not None:
                why = sentence.doubt or f"not given by {_short(re.sub(SLOT, '…', sentence.text))}"
                no = Unparsed(f"{show(held)} is no verdict: {why}")
                return held if isinstance(held, Unparsed) else no
        return Unparsed(f"no {self.noun} found: nothing in a form that states one")

    def _against(self, chosen: Claim[V], told: list[Claim[V]], stray: Stray) -> Unparsed | None:
        """Return the contradiction with a later or final statement, or with a slot elsewhere."""
        others = [s for s in told if chosen.slot and not s.slot]
        rivals = [s.value for s in others if s.at > chosen.at or s.is_final]
        for sentence, mark in stray:
            is_plain = pattern("PLAIN_HEADING").fullmatch(sentence.section)
            is_of_part = pattern("ASPECT").match(sentence.text) or not is_plain
            held = None if chosen.is_final and is_of_part else self._holds(mark)
            rivals += [] if held is None else [held]
        values = {chosen.value, *rivals}
        return contradiction(values) if len(values) > 1 else None

    def _taken_back(self, verdict: V, later: list[Sentence]) -> Unparsed | None:
        for sentence in later:
            if pattern("TAKEN_BACK").search(sentence.text):
                return Unparsed(f"takes its {self.noun} back: {_short(sentence.text)}")
            if not sentence.doubt and self.names_another(sentence.text, verdict):
                return Unparsed(f"goes on to name another: {_short(sentence.text)}")
        return None


def _chosen(told: list[Claim[V]]) -> Claim[V] | Unparsed | None:
    values = {statement.value for statement in told}
    finals = {statement.value for statement in told if statement.is_final}
    if len(values) <= 1 or (len(finals) == 1 and told[-1].is_final):
        return told[-1] if told else None
    return contradiction(values)


def show(verdict: Rating | Preference | Unparsed) -> str:
    """Return a verdict in the words of a reason: `4`, `A`, `B`, `tie`, or the reason itself."""
    if isinstance(verdict, Preference):
        return {1.0: "A", 0.0: "B"}.get(verdict.p_first, "tie")
    return f"{verdict.value:g}" if isinstance(verdict, Rating) else verdict.reason


def contradiction(verdicts: Iterable[Union[Rating, Preference, Unparsed]]) -> Unparsed:
    """Return the `Unparsed` that names the differing verdicts."""
    return Unparsed("contradicts itself: " + " and ".join(sorted({show(v) for v in verdicts})))


def _short(text: str) -> str:
    text = " ".join(text[:200].split())
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
