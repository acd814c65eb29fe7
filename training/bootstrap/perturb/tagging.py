"""Tagger of words: nouns and adjectives, beginnings of verbs, function words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from videojudge_bench.training.bootstrap.perturb import words

Tag = Literal[
    "N",  # nouns, adjectives and all that is on no list
    "ING",
    "FIN",  # third person: throws
    "BASE",  # to throw, they throw
    "AUX",
    "DET",
    "NUM",
    "OF",
    "TO",
    "PREP",
    "PART",  # up in `picks up`
    "LINK",
    "PRON",
    "ADV",
    "PUNCT",
    "END",  # of a sentence
]

VERBS: frozenset[Tag] = frozenset(("ING", "FIN", "BASE"))

_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[^\w\s]+|_+")
_ENDS = frozenset(".?!;:")
_BEFORE_BASE = frozenset(("do", "does", "did", "can", "could", "will", "would", "must", "should"))
_NO_VERB_AFTER: frozenset[Tag] = frozenset(("DET", "NUM", "ING", "FIN", "BASE", "OF"))
_FINITE_AFTER: frozenset[Tag] = frozenset(("N", "LINK", "ADV", "PRON"))
_CLASSES: tuple[tuple[Tag, frozenset[str]], ...] = (
    ("NUM", words.NUMBERS),
    ("DET", words.DETERMINERS),
    ("AUX", words.AUXILIARIES),
    ("TO", frozenset(("to",))),
    ("OF", frozenset(("of",))),
    ("LINK", words.LINKS),
    ("PRON", words.PRONOUNS),
    ("PREP", words.PREPOSITIONS),
    ("ADV", words.ADVERBS),
)
_TAGS: dict[str, Tag] = {
    word: tag for tag, members in reversed(_CLASSES) for word in sorted(members)
}


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a mark: where it stands in the text, in lower case, and its tag."""

    start: int
    end: int
    word: str
    tag: Tag


@dataclass(slots=True)
class _Clause:
    """State of the clause so far: verb seen, plural verb, base form due (after `did`)."""

    finite: bool = False
    plural: bool = False
    base_due: bool = False

    def goes_on(self, word: str, tag: Tag) -> None:
        if tag in ("LINK", "END"):
            self.finite = self.base_due = False
        elif tag in ("AUX", "FIN", "BASE"):
            self.finite, self.plural = True, tag == "BASE"
            self.base_due = tag == "AUX" and word in _BEFORE_BASE


def lower_words(text: str) -> list[str]:
    """Return the words and marks of a text, in lower case."""
    return [match[0].lower() for match in _TOKEN.finditer(text)]


def tagged(text: str) -> list[Token]:
    """Return the words and marks of a text with their tags."""
    spans = [(match.start(), match.end(), match[0].lower()) for match in _TOKEN.finditer(text)]
    lower = [word for _, _, word in spans]
    tags: list[Tag] = []
    clause = _Clause()
    while len(tags) < len(lower):
        at = len(tags)
        several = _several(lower, at)
        if several:
            tags += ["PREP"] * several
            continue
        tag = _tag(lower, at, tags, clause)
        clause.goes_on(lower[at], tag)
        tags.append(tag)
    return [Token(*where, tag) for where, tag in zip(spans, tags, strict=True)]


def ends_sentence(before: str) -> bool:
    """Return whether what follows a text begins a sentence."""
    return not before.strip() or before.rstrip()[-1] in _ENDS


def _several(lower: Sequence[str], at: int) -> int:
    """Return the length in words of a preposition of several words that begins here, or 0."""
    for phrase in words.MULTIWORD:
        if lower[at] == phrase[0] and tuple(lower[at : at + len(phrase)]) == phrase:
            return len(phrase)
    return 0


def _tag(lower: Sequence[str], at: int, tags: Sequence[Tag], clause: _Clause) -> Tag:
    word = lower[at]
    before: Tag = tags[-1] if tags else "END"
    if word in words.PARTICLES and before in VERBS:
        return "PART"
    if word in _TAGS or not word[0].isalnum():
        return _TAGS.get(word) or ("END" if word[0] in _ENDS else "PUNCT")
    if words.is_ing(word) and before not in _NO_VERB_AFTER:
        return "ING"
    if word in words.VERBS and _base_due(lower, at, before, clause):
        return "BASE"
    if not clause.finite and before in _FINITE_AFTER and words.base_of_third(word):
        return "FIN"
    return "N"


def _base_due(lower: Sequence[str], at: int, before: Tag, clause: _Clause) -> bool:
    """Return whether a verb stands in its base form here: to throw, did he throw, people throw."""
    if before == "TO":
        return True
    if clause.base_due:
        return before in ("N", "PRON", "ADV", "AUX")
    if clause.finite or before not in _FINITE_AFTER:
        return False
    return clause.plural if before == "LINK" else words.is_plural(lower[at - 1])
