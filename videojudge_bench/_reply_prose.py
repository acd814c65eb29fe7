"""Reads verdicts: what a slot of a reply holds, and the sentences that state one without a slot."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Union

from videojudge_bench import _reply_patterns as patterns
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Preference, Rating, Unparsed

Found = Union[Rating, Preference, Unparsed]


@dataclass(frozen=True)
class Claim:
    """A sentence that states a verdict: where, which one, and whether it calls itself final."""

    start: int
    end: int
    verdict: Found
    final: bool


_WORDS = {
    word: float(value)
    for value, word in enumerate("zero one two three four five six seven eight nine ten".split())
}
_NUM = rf"(?:[-+]?\d{{1,9}}(?:\.\d{{1,9}})?(?!\w|\.\d)|(?:{'|'.join(_WORDS)})\b(?!-\w))"
_NUMBER = re.compile(rf"(?<![\w.]){_NUM}", re.IGNORECASE)
_VALUE = re.compile(
    rf"(?:between\s+)?(?P<num>{_NUM})"
    r"(?:(?:\s?\([^()\n]{0,40}\))?\s{0,3}(?:-|~|to\b|or\b|and\b|through\b)\s{0,3}"
    rf"(?:maybe\s|even\s|an?\s)?(?P<upto>{_NUM}))?"
    r"(?:\s?-?(?:stars?|points?|marks?)\b)?"
    rf"(?:\s{{0,3}}(?:/|(?:out\s)?of\b)\s{{0,3}}(?:an?\s(?:total|maximum)\sof\s)?(?P<of>{_NUM}))?"
    r"(?P<percent>\s?(?:%|percent\b))?(?:\s?-?(?:stars?|points?|marks?)\b)?",
    re.IGNORECASE,
)
_REASON_FOLLOWS = r"(?:because|since|as|due\sto|given|overall|based\son|but|rather\sthan|instead\sof)\b"
_AFTER_VALUE = re.compile(
    r"\s{0,9}(?:$|[.!;)\]}\"|<\[(\n]|'(?!\w)|,(?!\d)|[-—]+\s{1,3}(?!\d)|—(?!\s?\d)"
    rf"|on\s(?:an?|the|this|our)\s(?:\S{{1,20}}\s)?scale\b|{_REASON_FOLLOWS})",
    re.IGNORECASE,
)
_MORE_VALUES = re.compile(
    rf"\s{{0,3}}(?:[,;&|/]|or\b|and\b)\s{{0,3}}(?:an?\s)?{_NUM}(?=\s{{0,3}}(?:$|[.,;!)\]\n]|or\b|and\b))",
    re.IGNORECASE,
)
_BEFORE_VALUE = re.compile(
    r"[\s\"'(\[{]*(?:(?:my |the |final |overall )*(?:score|rating|grade|verdict|answer)"
    r"\s?(?:is|[:=])[\s\"'(\[{]*)?(?:an?\s)?",
    re.IGNORECASE,
)
_OTHER_SCALE = re.compile(
    rf"\bscale\s(?:of|from)\s(?P<low>{_NUM})\s?(?:to|-|and|through)\s?(?P<high>{_NUM})"
    rf"|\b(?P<low2>{_NUM})\s?(?:to|-)\s?(?P<high2>{_NUM})\sscale\b"
    r"|\b(?P<high3>\d{1,4})[- ]point\sscale\b",
    re.IGNORECASE,
)
_IN_PARENTHESES = re.compile(
    rf"\(\s?(?:from\s)?(?:(?P<low>{_NUM})\s?(?:-|to)\s?|out\sof\s|/\s?|max\.?\s)(?P<high>{_NUM})\s?\)",
    re.IGNORECASE,
)


def _number(text: str) -> float:
    return _WORDS[text.lower()] if text.lower() in _WORDS else float(text)


def rating_at(text: str, position: int, scale: RatingScale) -> tuple[Rating | Unparsed, int] | None:
    """Return the rating that starts at a position and where it ends; None when there is none.

    A range, a percentage, another scale and a number off the scale are `Unparsed`. A range that
    is the scale itself is none: it says how to rate.
    """
    found = _VALUE.match(text, position)
    if found is None or not _AFTER_VALUE.match(text, found.end()):
        return None
    value, end = _number(found["num"]), found.end()
    if found["upto"]:
        upto = _number(found["upto"])
        if (value, upto) == (scale.low, scale.high):
            return None
        return Unparsed(f"a range, not one rating: {value:g} to {upto:g}"), end
    if _MORE_VALUES.match(text, end):
        return Unparsed(f"several values, not one rating: {text[position : end + 20]!r}"), end
    if found["percent"]:
        return Unparsed(f"a percentage, not a rating on {scale}: {found[0].strip()}"), end
    if found["of"] and _number(found["of"]) != scale.high:
        return Unparsed(f"another scale: out of {_number(found['of']):g}, not {scale}"), end
    if value not in scale:
        return Unparsed(f"{value:g} is outside the scale {scale}"), end
    return Rating(value), end


def read_rating(content: str, scale: RatingScale) -> Rating | Unparsed | None:
    """Return the rating that a slot holds, None when it holds something else."""
    text = content.strip()
    lead = _BEFORE_VALUE.match(text)
    found = rating_at(text, lead.end() if lead else 0, scale)
    return found[0] if found else None


def other_scale(text: str, scale: RatingScale) -> Unparsed | None:
    """Return `Unparsed` when a text speaks of another scale than the one asked for."""
    for found in _OTHER_SCALE.finditer(text):
        high = _number(found["high"] or found["high2"] or found["high3"])
        low = found["low"] or found["low2"]
        if high != scale.high or (low is not None and _number(low) != scale.low):
            return Unparsed(f"another scale: {found[0]!r}, not {scale}")
    return None


_LABEL = re.compile(
    r"\b(?P<name>score|rating|grade|verdict|overall)(?P<scale>\s?\([^()\n]{0,40}\))?"
    r"[\"')\]]?\s{0,3}(?P<sep>[:=]|->|-\s|is\b|of\b|would\sbe\b|should\sbe\b|at\b):?(?P<gap>\s{0,9})"
    r"[\"'(\[{]{0,2}(?:an?\s)?",
    re.IGNORECASE,
)
_BEFORE_LABEL = re.compile(
    r"(?:^[\W\d_]*|[.!?:;,(\[{|>\"#]\s*|\b(?:final|overall|my|the|an?|total|this|quality|its|so|and"
    r"|numerical|assigned|predicted|single|judge|judge's|thus|therefore|hence|give|assign)\s+)$",
    re.IGNORECASE,
)
_I_RATE = re.compile(
    r"\b(?:(?-i:I)|we|let\sme)(?:'d|'ll)?(?:\s\w{1,12}){0,3}?"
    r"\s(?:give|rate|score|assign|award|grade)\b",
    re.IGNORECASE,
)
_NOT_A_RATING = re.compile(
    r"(?:(?<!the )(?<!this )(?<!that )\b(?:response|answer)|\b(?:model|option|video|frame|scene|step"
    r"|criterion|point|item|candidate|assistant|reference|number|no\.|the))\s?#?$",
    re.IGNORECASE,
)
_IT_DESERVES = re.compile(
    r"\b(?:it|this|that|response|answer|caption|description|model)(?:\s(?:would|clearly|only|thus"
    r"|therefore))?(?:'s|\s(?P<verb>is|gets|deserves|merits|warrants|earns|receives|scores"
    r"|is\srated))\s(?:only\s)?(?P<article>(?:as\s|at\s)?an?\s(?:(?:solid|strong|weak|clear|low|high"
    r"|firm|mere|perfect|full)\s)?)?",
    re.IGNORECASE,
)
_BARE = re.compile(r"[\s\"'(\[#]*(?:an?\s)?(?:(?:solid|strong|weak|clear|firm)\s)?", re.IGNORECASE)
_BARE_REST = re.compile(r"[\s.!\"')\]]*(?:\([^()\d\n]{0,80}\))?[\s.!]*$")
_LIST_MARK = re.compile(r"\s*\(?\d+[.)]\s*$")

_CLAUSE_BREAK = re.compile(
    r"[,;:(—]|\s-+\s|\b(?:so|therefore|thus|hence|but|and|though|consequently)\b", re.IGNORECASE
)
_HEDGED_CLAUSE = re.compile(
    r"\b(?:not|no|never|cannot|neither|nor|without|could|might|may|maybe|perhaps|possibly|either"
    r"|whether|when|where|which|at\s(?:least|most)|(?:less|more|higher|lower|better|worse)\sthan|below"
    r"|above|under|nearly|almost|approximately|about|around|roughly|close|up\sto|short\sof|need(?:s|ed)?"
    r"|require[sd]?|in\sorder|to\s(?:get|earn|receive|reach|deserve|be|achieve|merit))\b|n't\b"
    r"|\be\.g\.|\bexample\b",
    re.IGNORECASE,
)
_HEDGED_SENTENCE = re.compile(
    r"(?<!even )(?<!as )\bif\b|\b(?:unless|suppose|had\s(?:it|the)|were\s(?:it|the)|for\sexample)\b"
    r"|^\W*(?:\d+[.)]\s)?(?:please\s|then\s)*(?:give|assign|rate|use|write|output|respond|reply"
    r"|return|choose|select|pick|award|answer\swith|provide|decide)\b",
    re.IGNORECASE,
)


def is_hedged(text: str, start: int, value: int, end: int) -> bool:
    """Return whether the words around a claim negate, condition or command it.

    Args:
        text: the reply.
        start: where the claim begins.
        value: where its rating or side begins.
        end: where it ends.
    """
    before = patterns.sentence_before(text, start)
    breaks = [found.end() for found in _CLAUSE_BREAK.finditer(before)]
    clause = (before[breaks[-1] :] if breaks else before) + text[start:value]
    sentence = f"{before}{text[start:end]}{patterns.sentence_after(text, end)}"
    return bool(_HEDGED_CLAUSE.search(clause) or _HEDGED_SENTENCE.search(sentence))


def rating_claims(text: str, scale: RatingScale) -> tuple[list[Claim], bool]:
    """Return the ratings that sentences and bare lines state, and whether any was hedged."""
    found = [*_labelled(text, scale), *_rated(text, scale), *_deserved(text, scale)]
    found += _bare_lines(text, partial_bare(scale))
    return _settled(text, found)


_Raw = tuple[int, int, int, Found]
"""Start, start of the value, end, verdict."""


def _settled(text: str, found: Iterable[_Raw]) -> tuple[list[Claim], bool]:
    claims: list[Claim] = []
    hedged, reached = False, -1
    for start, value, end, verdict in sorted(found, key=lambda raw: (raw[0], -raw[2])):
        if start < reached:
            continue
        if patterns.is_about_aspect(text, start):
            continue
        if is_hedged(text, start, value, end):
            hedged = True
            continue
        reached = end
        claims.append(Claim(start, end, verdict, patterns.says_final(text, start, value)))
    return claims, hedged


def _labelled(text: str, scale: RatingScale) -> Iterator[_Raw]:
    for label in _LABEL.finditer(text):
        if label["name"].lower() == "overall" and label["sep"] not in {":", "="}:
            continue
        if not _BEFORE_LABEL.search(patterns.line_before(text, label.start())[-60:]):
            continue
        found = rating_at(text, label.end(), scale)
        if found is None or not _alone_when_on_next_line(text, label["gap"], found[1]):
            continue
        verdict = _label_scale(label["scale"], scale) or found[0]
        yield label.start(), label.end(), found[1], verdict


def _alone_when_on_next_line(text: str, gap: str, end: int) -> bool:
    """Return False for `Score:` above a numbered list."""
    return "\n" not in gap or not text[end : end + 40].split("\n", 1)[0].strip(" \t.\"')]}")


def _label_scale(parentheses: str | None, scale: RatingScale) -> Unparsed | None:
    found = _IN_PARENTHESES.search(parentheses or "")
    if found is None:
        return None
    low = scale.low if found["low"] is None else _number(found["low"])
    if (low, _number(found["high"])) == (scale.low, scale.high):
        return None
    return Unparsed(f"another scale: {found[0]}, not {scale}")


def _rated(text: str, scale: RatingScale) -> Iterator[_Raw]:
    for verb in _I_RATE.finditer(text):
        rest = patterns.sentence_after(text, verb.end())[:120]
        for number in _NUMBER.finditer(rest):
            at = verb.end() + number.start()
            found = rating_at(text, at, scale)
            if found and not _NOT_A_RATING.search(rest[: number.start()]):
                yield verb.start(), at, found[1], _alternative(text, found, scale)
                break


_ALTERNATIVE = re.compile(
    rf"(?:\b(?P<but>than|instead\sof|not)\s)?\b(?:an?|or|maybe|perhaps|possibly)\s(?P<num>{_NUM})",
    re.IGNORECASE,
)


def _alternative(text: str, found: tuple[Found, int], scale: RatingScale) -> Found:
    """Return the rating, or `Unparsed` when its sentence goes on to name another one."""
    verdict, end = found
    for other in _ALTERNATIVE.finditer(patterns.sentence_after(text, end)):
        named = rating_at(other["num"], 0, scale)
        if named and not other["but"] and named[0] != verdict:
            return contradiction([verdict, named[0]])
    return verdict


def _deserved(text: str, scale: RatingScale) -> Iterator[_Raw]:
    for verb in _IT_DESERVES.finditer(text):
        found = rating_at(text, verb.end(), scale)
        if found is None:
            continue
        out_of = re.search(r"/|\bof\b", text[verb.end() : found[1]])
        weak_verb = (verb["verb"] or "is").lower() in {"is", "gets"}
        if verb["article"] or (out_of and not weak_verb):
            yield verb.start(), verb.end(), found[1], _alternative(text, found, scale)


_Bare = Callable[[str], Union[Found, None]]


def partial_bare(scale: RatingScale) -> _Bare:
    """Return the function that reads a line which is nothing but a rating."""

    def bare(line: str) -> Found | None:
        lead = _BARE.match(line)
        found = rating_at(line, lead.end() if lead else 0, scale)
        return found[0] if found and _BARE_REST.match(line, found[1]) else None

    return bare


def _bare_lines(text: str, bare: _Bare) -> Iterator[_Raw]:
    """Yield the first and the last line where they are nothing but a verdict."""
    body = text.strip()
    if not body:
        return
    offset = text.index(body[0]) if body else 0
    first_end = body.find("\n")
    first = body if first_end < 0 else body[:first_end]
    last_start = body.rfind("\n") + 1
    whole = first_end < 0
    if len(first) <= 200 and (whole or not (_LIST_MARK.match(first) or first.lstrip()[:1] == "#")):
        verdict = bare(first)
        if verdict is not None:
            yield offset, offset, offset + len(first), verdict
    if not whole and len(body) - last_start <= 200:
        verdict = bare(body[last_start:])
        if verdict is not None:
            yield offset + last_start, offset + last_start, offset + len(body), verdict


def show(verdict: Found) -> str:
    """Return a verdict in the words of a reason: `4`, `A`, `B`, `tie`, or the reason itself."""
    if isinstance(verdict, Rating):
        return f"{verdict.value:g}"
    if isinstance(verdict, Preference):
        return {1.0: "A", 0.0: "B"}.get(verdict.p_first, "tie")
    return verdict.reason


def contradiction(verdicts: Iterable[Found]) -> Unparsed:
    """Return the `Unparsed` that names the differing verdicts."""
    return Unparsed("contradicts itself: " + " and ".join(sorted({show(v) for v in verdicts})))


_NOUN = r"(?:response|answer|assistant|model|option|candidate|output|caption|description|system)"
_LETTER = r"(?-i:[AB])"
_SIDE = (
    rf"(?:(?:the\s)?{_NOUN}\s?#?[\"'(\[]?(?:{_LETTER}|[12])[\"')\]]?"
    rf"|(?:the\s)(?:first|second|1st|2nd)(?:\s(?:{_NOUN}|one))?"
    rf"|{_LETTER})(?!\w|'\w|-\w)"
)
_COMPARE = rf"(?:{_NOUN}\s)?{_LETTER}\s?(?:>{{1,3}}|<{{1,3}}|={{1,2}}|~=?)\s?(?:{_NOUN}\s)?{_LETTER}"
_TIE = (
    r"(?:an?\s)?(?:tie|draw)(?:\s?\((?:both\s?\w{2,8})\))?(?!\w|-\w)|tied\b"
    rf"|(?:(?:they|both|the\stwo)\s(?:{_NOUN}s?\s)?are\s)?equal(?:ly\s(?:good|bad))?\b|no\spreference\b"
)
_AFTER_SIDE = re.compile(
    r"\s{0,9}(?:$|[.;!)\]}\"<(\n,]|'(?!\w)|-+\s|—|(?:because|since|as|over|than|wins|due\sto|overall"
    r"|given|based\son|is\s(?:the\s|clearly\s|slightly\s)?better)\b)",
    re.IGNORECASE,
)
_BOTH = re.compile(rf"\s{{0,3}}(?:[/|,&+]|or\b|and\b|vs\.?)\s{{0,3}}{_SIDE}", re.IGNORECASE)
_CHOICE = re.compile(
    rf"(?P<compare>{_COMPARE})|(?P<tie>{_TIE})|(?P<side>{_SIDE})", re.IGNORECASE
)
_BEFORE_CHOICE = re.compile(
    r"[\s\"'(\[{]*(?:(?:my |the |final |overall )*(?:answer|verdict|winner|preference|choice)"
    r"\s?(?:is|[:=])[\s\"'(\[{]*)?",
    re.IGNORECASE,
)


def choice_at(text: str, position: int) -> tuple[Preference | Unparsed, int] | None:
    """Return the choice that starts at a position and where it ends; None when there is none."""
    found = _CHOICE.match(text, position)
    if found is None:
        return None
    if found["side"] and _BOTH.match(text, found.end()):
        return Unparsed("names both responses"), found.end()
    if not _AFTER_SIDE.match(text, found.end()):
        return None
    if found["compare"]:
        return _compared(found["compare"]), found.end()
    if found["tie"]:
        return Preference(0.5), found.end()
    return _sided(found["side"]), found.end()


def _sided(side: str) -> Preference:
    words = side.lower()
    first = "first" in words or "1" in words or re.search(r"\bA\b", side) is not None
    return Preference(1.0 if first else 0.0)


def _compared(text: str) -> Preference | Unparsed:
    left, right = re.findall(r"\b[AB]\b", text)
    if left == right:
        return Unparsed(f"compares {left} with itself")
    if "=" in text or "~" in text:
        return Preference(0.5)
    return Preference(1.0 if (left == "A") == (">" in text) else 0.0)


def read_preference(content: str) -> Preference | Unparsed | None:
    """Return the preference that a slot holds, None when it holds something else."""
    text = content.strip()
    if text in {"a", "b"}:
        text = text.upper()
    lead = _BEFORE_CHOICE.match(text)
    position = lead.end() if lead else 0
    if text[position:].lower() in {"first", "second"}:
        text = f"{text[:position]}the {text[position:]}"
    found = choice_at(text, position)
    return found[0] if found else None


_CHOICE_LABEL = re.compile(
    rf"\b(?:answer|verdict|winner|preference|choice|decision|judge?ment|conclusion|result|overall"
    rf"|preferred\s{_NOUN}|(?:better|best|stronger|superior)\s(?:{_NOUN}|one)|better)"
    r"[\"')\]]?\s{0,3}(?::|=|->|is\b|goes\sto\b|would\sbe\b):?\s{0,9}"
    r"(?:that\s|clearly\s|therefore\s)?[\"'(\[]{0,2}",
    re.IGNORECASE,
)
_BEFORE_CHOICE_LABEL = re.compile(
    r"(?:^[\W\d_]*|[.!?:;,(\[{|>\"#]\s*|\b(?:final|overall|my|the|our|so|and|thus|therefore|hence"
    r"|clear)\s+)$",
    re.IGNORECASE,
)
_DEGREE = (
    r"(?:(?:clearly|slightly|much|significantly|far|overall|marginally|somewhat|therefore|thus"
    r"|definitely|considerably|generally|ultimately|the|a\sbit|a\slittle|by\sfar)\s){0,3}"
)
_IS_BETTER = re.compile(
    rf"(?<![\w>/'-])(?P<side>{_SIDE})(?:'s\s(?:response|answer))?\s{_DEGREE}"
    rf"(?:(?:is|was)\s{_DEGREE}(?:better|superior|preferable|preferred|stronger|best|winner)\b"
    rf"(?:\s(?:{_NOUN}|one|choice|overall|of\sthe\stwo)\b){{0,3}}"
    rf"|wins\b|(?:outperforms|beats|surpasses)\s{_SIDE})",
    re.IGNORECASE,
)
_I_PREFER = re.compile(
    r"\b(?:(?-i:I)|we)(?:'d|'ll)?(?:\s(?:would|will|must|do|strongly|slightly|clearly|therefore|thus))"
    rf"{{0,3}}\s(?:prefer|choose|pick|select|favou?r|go\swith|vote\sfor)\s(?P<side>{_SIDE})",
    re.IGNORECASE,
)
_IS_TIE = re.compile(
    r"\b(?:(?:it(?:'s|\sis)|this\sis|call\sit|declare)\s(?:therefore\s)?(?:a|an)\s(?:tie|draw)\b"
    rf"|(?:both|the\stwo|(?:{_NOUN}s?\s)?{_LETTER}\sand\s(?:{_NOUN}\s)?{_LETTER})(?:\s{_NOUN}s?)?\sare"
    r"\s(?:equally\s(?:good|bad|strong|poor|effective|matched|valid)|equal|tied|of\sequal\squality)\b"
    r"|neither\b[^.!?\n]{0,50}?\b(?:is|was)\s(?:clearly\s)?better\b"
    r"|(?:no\sclear\swinner|no\swinner|no\spreference)\b)",
    re.IGNORECASE,
)
_TURNS = re.compile(
    rf"\b(?:but|however|yet)\b[^.!?\n]{{0,200}}?(?<![\w>/'-])(?P<side>{_SIDE})", re.IGNORECASE
)


def preference_claims(text: str) -> tuple[list[Claim], bool]:
    """Return the preferences that sentences and bare lines state, and whether any was hedged."""
    found = [*_labelled_choices(text), *_ties(text), *_bare_lines(text, _bare_choice)]
    for pattern in (_IS_BETTER, _I_PREFER):
        found += _stated(text, pattern)
    return _settled(text, found)


def _labelled_choices(text: str) -> Iterator[_Raw]:
    for label in _CHOICE_LABEL.finditer(text):
        if _BEFORE_CHOICE_LABEL.search(patterns.line_before(text, label.start())[-60:]):
            found = choice_at(text, label.end())
            if found is not None:
                yield label.start(), label.end(), found[1], found[0]


def _stated(text: str, pattern: re.Pattern[str]) -> Iterator[_Raw]:
    for claim in pattern.finditer(text):
        if not _AFTER_SIDE.match(text, claim.end()):
            continue
        verdict: Found = _sided(claim["side"])
        turn = _TURNS.search(patterns.sentence_after(text, claim.end()))
        if turn and _sided(turn["side"]) != verdict:
            verdict = Unparsed("takes its preference back in the same sentence")
        yield claim.start(), claim.start("side"), claim.end(), verdict


def _ties(text: str) -> Iterator[_Raw]:
    for tie in _IS_TIE.finditer(text):
        if _AFTER_SIDE.match(text, tie.end()):
            yield tie.start(), tie.start(), tie.end(), Preference(0.5)


def _bare_choice(line: str) -> Found | None:
    text = line.strip(" \t\"'()[]#.!")
    if re.fullmatch(rf"{_LETTER}|{_COMPARE}|{_TIE}", text, re.IGNORECASE):
        found = choice_at(text, 0)
        return found[0] if found else None
    return None
