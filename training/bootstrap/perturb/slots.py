"""Slots of a text that can be made wrong: its phrases and their parts, each with a type.

Phrases of one type are interchangeable, so that the result still reads as English: noun phrases of
one number, verb phrases that begin with the same form, phrases with the same preposition, all of as
many content words. Function words and forms of verbs delimit the phrases; a text that is parsed
wrongly is still exchanged like for like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from videojudge_bench.training.bootstrap.perturb import words
from videojudge_bench.training.bootstrap.perturb.tagging import (
    VERBS,
    Tag,
    Token,
    ends_sentence,
    lower_words,
    tagged,
)

Kind = Literal["who", "object", "action", "place", "attribute", "count", "opposite"]

MOST_CONTENT = 4  # phrases of as many content words or more share a type
_VERB_SHOWS = {"is": "one", "was": "one", "has": "one", "are": "many", "were": "many"}
_NOMINAL: frozenset[Tag] = frozenset(("DET", "NUM", "N", "OF", "ADV"))
_NOMINAL_OR_PRONOUN: frozenset[Tag] = _NOMINAL | {"PRON"}


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of a text that can be exchanged for another filler of its type.

    Attributes:
        filler: text of the slot, with the pronouns of a man and without a sentence's capital.
        kind: kind of error when it is exchanged.
        type: `kind/form/pronouns/content words`; fillers of one type are interchangeable.
        group: fillers of one group mean the same (`man` and `guy`), so that one is no wrong other.
        pronouns: `f` when its pronouns are those of a woman, `m` when of a man, else nothing.
        capital: it begins a sentence with a capital.
    """

    start: int
    end: int
    filler: str
    kind: Kind
    type: str
    group: str
    content: tuple[str, ...]
    pronouns: str = ""
    capital: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """A slot with the parts of it that can be exchanged instead of the whole.

    Attributes:
        parts: colours, numbers, words with an opposite, objects of a verb.
        between: words between the phrase before and this one (`and then`).
    """

    slot: Slot
    parts: tuple[Slot, ...]
    between: str


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The phrases of a text, and the number of content words outside of them."""

    phrases: tuple[Phrase, ...]
    outside: int

    @property
    def content_words(self) -> int:
        """Number of content words in the text."""
        return self.outside + sum(len(phrase.slot.content) for phrase in self.phrases)


@dataclass(frozen=True, slots=True)
class _Span:
    end: int
    kind: Kind
    form: str


def take_apart(text: str) -> Anatomy:
    """Return the phrases of a text."""
    tokens = tagged(text)
    phrases: list[Phrase] = []
    outside, last, at = 0, 0, 0
    while at < len(tokens):
        span = _span_at(tokens, at)
        end = span.end if span else at + 1
        slot = _slot(text, tokens[at:end], span.kind, span.form) if span else None
        if slot is None:
            outside += sum(words.is_content(token.word) for token in tokens[at:end])
        else:
            between = " ".join(token.word for token in tokens[last:at])
            phrases.append(Phrase(slot, tuple(_parts(text, tokens[at:end], slot)), between))
            last = end
        at = end
    return Anatomy(tuple(phrases), outside)


def content_stems(text: str) -> frozenset[str]:
    """Return the stems of the content words of a text."""
    return frozenset(words.stem(word) for word in lower_words(text) if words.is_content(word))


def genders(content: Sequence[str]) -> set[str]:
    """Return the genders, `m` and `f`, of the people among stems of content words."""
    return {words.GENDER[stem] for stem in content if stem in words.GENDER}


def anywhere(slot: Slot) -> Slot:
    """Return a slot of kind `place` as one for phrases with any other preposition."""
    kind, form, rest = slot.type.split("/", 2)
    return replace(slot, type=f"{kind}/any/{rest}", group=form)


def wider(type_: str) -> tuple[str, ...]:
    """Return the types that a rare one belongs to, the narrowest first."""
    kind, form, pronouns, content = type_.split("/")
    if kind == "place" and form != "any":
        form = "rare"
    elif form.startswith("of "):
        form = "of rare"
    else:
        form = form.partition("+")[0] + "+rare"
    return f"{kind}/{form}/{pronouns}/{content}", f"{kind}/{form}/{pronouns}/*"


def _span_at(tokens: Sequence[Token], at: int) -> _Span | None:
    tag = tokens[at].tag
    if tag in VERBS or tag == "AUX":
        return _verb_span(tokens, at)
    if tag in ("PREP", "TO"):
        return _place_span(tokens, at)
    if tag in ("DET", "NUM", "N"):
        return _noun_span(tokens, at)
    return None


def _verb_span(tokens: Sequence[Token], at: int) -> _Span | None:
    verb, form = at, str(tokens[at].tag)
    if form == "AUX":
        while verb < len(tokens) and tokens[verb].tag in ("ADV", "AUX"):
            verb += 1
        if verb == len(tokens) or tokens[verb].tag not in VERBS | {"N"}:
            return None
        form = f"{tokens[at].word} {'ing' if tokens[verb].tag == 'ING' else 'else'}"
    end = verb + 1
    while end < len(tokens) and tokens[end].tag == "PART":
        end += 1
    end = _noun_end(tokens, end, _NOMINAL_OR_PRONOUN)
    if end < len(tokens) and tokens[end].tag in ("PREP", "TO"):
        # A verb goes with its own prepositions.
        form += f"+{tokens[end].word}"
    return _Span(end, "action", form)


def _place_span(tokens: Sequence[Token], at: int) -> _Span | None:
    start = at
    while start < len(tokens) and tokens[start].tag == tokens[at].tag:
        start += 1
    end = _noun_end(tokens, start, _NOMINAL_OR_PRONOUN)
    if end == start:
        return None
    preposition = " ".join(token.word for token in tokens[at:start])
    return _Span(
        end, "place", preposition if preposition in words.FREQUENT_PREPOSITIONS else "rare"
    )


def _noun_span(tokens: Sequence[Token], at: int) -> _Span | None:
    end = _noun_end(tokens, at, _NOMINAL)
    if end == at:
        return None
    after = tokens[end] if end < len(tokens) else None
    acts = after is not None and (after.tag in VERBS or after.tag == "AUX")
    first = at == 0 or tokens[at - 1].tag == "END"
    asked = not first and tokens[at - 1].tag == "AUX"  # did the boys run
    number = _number(tokens[at:end], None if asked else after)
    return _Span(end, "who" if first or acts else "object", number)


def _noun_end(tokens: Sequence[Token], at: int, allowed: frozenset[Tag]) -> int:
    end = at
    while end < len(tokens) and tokens[end].tag in allowed:
        # After a noun an article begins another phrase.
        if end > at and tokens[end].tag == "DET" and tokens[end - 1].tag in ("N", "PRON"):
            break
        end += 1
    # An adverb or an article at the end belongs to what follows.
    while end > at and tokens[end - 1].tag in ("ADV", "OF", "DET"):
        end -= 1
    return end


def _number(tokens: Sequence[Token], after: Token | None) -> str:
    """The number of the verb, else of the noun."""
    if after is not None and (after.tag in ("FIN", "BASE") or after.word in _VERB_SHOWS):
        return _VERB_SHOWS.get(after.word, "one" if after.tag == "FIN" else "many")
    until = next((i for i, token in enumerate(tokens) if i and token.tag == "OF"), len(tokens))
    head = tokens[until - 1].word
    if head in words.COLLECTIVE:
        head = tokens[-1].word
    elif tokens[0].word in words.SINGULAR:
        return "one"
    return "many" if words.is_plural(head) or tokens[0].tag == "NUM" else "one"


def _slot(text: str, tokens: Sequence[Token], kind: Kind, form: str) -> Slot | None:
    content = tuple(words.stem(token.word) for token in tokens if words.is_content(token.word))
    if not content:
        return None
    start, end = tokens[0].start, tokens[-1].end
    filler = text[start:end]
    word = text[start : tokens[0].end]
    capital = word[:1].isupper() and word == word.capitalize() and word != "I"
    capital = capital and ends_sentence(text[:start])
    if capital:
        filler = filler[:1].lower() + filler[1:]
    pronouns = _pronouns(tokens)
    if pronouns == "f":
        filler = words.turned(filler, "f")
    type_ = f"{kind}/{form}/{pronouns and 'own'}/{min(len(content), MOST_CONTENT)}"
    people = [stem for stem in content if stem in words.GENDER]
    group = people[0] if people else content[-1]
    return Slot(start, end, filler, kind, type_, group, content, pronouns, capital)


def _pronouns(tokens: Sequence[Token]) -> str:
    present = {token.word for token in tokens}
    if not present.isdisjoint(words.MALE):
        return "m"
    return "" if present.isdisjoint(words.FEMALE) else "f"


def _parts(text: str, tokens: Sequence[Token], whole: Slot) -> Iterator[Slot]:
    if len(whole.content) < 2:
        return
    for token in tokens:
        kind_and_form = words.exchangeable(token.word)
        if kind_and_form and token.tag not in VERBS and text[token.start : token.end] == token.word:
            kind, form = kind_and_form
            stem = words.stem(token.word)
            type_ = f"{kind}/{form}//1"
            yield Slot(token.start, token.end, token.word, kind, type_, stem, (stem,))
    for begin, form in _objects(tokens):
        part = _slot(text, tokens[begin:], "object", form)
        if part is not None and len(part.content) < len(whole.content):
            yield part


def _objects(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """Yield the start of a verb's object, or of what follows `of`, and its form.

    An object has objects of the same verb as its fillers.
    """
    of = next((i for i, token in enumerate(tokens) if token.tag == "OF"), None)
    if of is not None and of + 1 < len(tokens):
        yield of + 1, "of"
    verb = next((i for i, token in enumerate(tokens) if token.tag in VERBS), None)
    if verb is None or not words.is_content(tokens[verb].word):
        return
    begin = verb + 1
    while begin < len(tokens) and tokens[begin].tag == "PART":
        begin += 1
    if begin < len(tokens):
        phrase = [words.stem(tokens[verb].word), *(t.word for t in tokens[verb + 1 : begin])]
        yield begin, f"of {' '.join(phrase)}"
