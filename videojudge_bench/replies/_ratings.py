"""How a reply states a rating: the forms of the number, and of the sentence around it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from videojudge_bench.replies._patterns import (
    REASON_AFTER_VERDICT,
    Claim,
    Slot,
    contradiction,
    edge_lines,
    leaves_open,
    line_before,
    sentence_after,
    sentence_before,
    settled,
)
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Rating, Unparsed

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUM = rf"(?:[-+]?\d{{1,9}}(?:\.\d{{1,9}})?(?!\w|\.\d)|(?:{'|'.join(_WORDS)})\b(?!-\w))"
# "one" is a number after an article or with a unit, else a pronoun ("the longer one").
_NUMBER = re.compile(
    rf"(?<![\w.])(?:(?<=\ba\s)one\b|(?!one\b(?!\s(?:stars?|out\sof)\b)){_NUM})", re.IGNORECASE
)
_UNIT = r"(?:\s?-?(?:stars?|points?|marks?)\b)?"
_VALUE = re.compile(
    rf"(?:between\s+)?(?P<num>{_NUM})"
    r"(?:(?:\s?\([^()\n]{0,40}\))?\s{0,3}(?:-|~|to\b|or\b|and\b|through\b)\s{0,3}"
    rf"(?:maybe\s|even\s|an?\s)?(?P<upto>{_NUM}))?{_UNIT}"
    rf"(?:\s{{0,3}}\(?\s?(?:/|(?:out\s)?of\b)\s{{0,3}}(?:an?\s(?:total|maximum)\sof\s)?"
    rf"(?P<of>{_NUM}))?(?P<percent>\s?(?:%|percent\b))?{_UNIT}",
    re.IGNORECASE,
)
_IT_FITS = (
    r"(?:is|seems|would\sbe|feels)\s(?:most\s|therefore\s)?(?:appropriate|warranted|justified|fair"
    r"|reasonable|fitting|suitable|deserved)\b"
)
_FITS = re.compile(rf"\s{_IT_FITS}", re.IGNORECASE)
_AFTER_VALUE = re.compile(
    r"\s{0,9}(?:$|[.!;)\]}\"|<\[(\n]|'(?!\w)|,(?!\d)|[/|](?!\s?\d)|[-—]+\s{1,3}(?!\d)|—(?!\s?\d)"
    r"|(?:because|since|as\s(?:it|they|there|the|this|some|most|all|one)|due\sto|given|overall"
    r"|based\son|but|rather\sthan|instead\sof)\b"
    rf"|{_IT_FITS}"
    r"|(?-i:Explanation|Reason|Reasoning|Rationale|Justification|Feedback|Comment|The|This|It)\b"
    r"|for\s(?:this|the)\s(?:response|answer)\b|on\s(?:an?|the|this|our)\s(?:\S{1,20}\s)?scale\b)",
    re.IGNORECASE,
)
_ANOTHER = re.compile(
    rf"\s{{1,3}}or\b|\s{{0,3}}[,;&|/]\s{{0,3}}(?:an?\s)?{_NUM}"
    r"(?=\s{0,3}(?:$|[.,;!)\]\n]|or\b|and\b))"
    rf"|[ \t]{{1,9}}{_NUM}\s{{0,9}}$",
    re.IGNORECASE,
)
_OF_AN_ASPECT = re.compile(
    r"\s(?:for|in|on)\s(?!(?:an?|the|this|our)\s(?:\S{1,20}\s)?scale\b"
    r"|(?:this|the)\s(?:response|answer)\b)",
    re.IGNORECASE,
)
_BEFORE_VALUE = re.compile(
    r"[\s\"'(\[{]*(?:(?:my |the |final |overall )*(?:score|rating|grade|verdict|answer)"
    r"\s?(?:is|[:=])[\s\"'(\[{]*)?(?:an?\s)?",
    re.IGNORECASE,
)


def _number(text: str) -> float:
    return float(_WORDS.index(text.lower()) if text.isalpha() else text)


def _rating_at(
    text: str, position: int, scale: RatingScale
) -> tuple[Rating | Unparsed, int] | None:
    """Return the rating that starts at a position and where it ends; None when there is none.

    A range that is the scale itself is none: it says how to rate.
    """
    found = _VALUE.match(text, position)
    if found is None:
        return None
    value, end = _number(found["num"]), found.end()
    if found["upto"]:
        upto = _number(found["upto"])
        is_scale = (value, upto) == (scale.low, scale.high)
        unclear = Unparsed(f"a range, not one rating: {value:g} to {upto:g}")
        return None if is_scale else (unclear, end)
    for reason, pattern in (
        ("several values, not one rating", _ANOTHER),
        ("of one aspect only", _OF_AN_ASPECT),
    ):
        if pattern.match(text, end):
            return Unparsed(f"{reason}: {text[position : end + 12]!r}"), end
    if not _AFTER_VALUE.match(text, end):
        return None
    return _on_scale(value, found["of"], found["percent"], scale), end


def _on_scale(
    value: float, out_of: str | None, percent: str | None, scale: RatingScale
) -> Rating | Unparsed:
    if percent:
        return Unparsed(f"a percentage, not a rating on {scale}: {value:g}%")
    if out_of and _number(out_of) != scale.high:
        return Unparsed(f"another scale: out of {_number(out_of):g}, not {scale}")
    if value not in scale:
        return Unparsed(f"{value:g} is outside the scale {scale}")
    return Rating(value)


def read_rating(slot: Slot, scale: RatingScale) -> Rating | Unparsed | None:
    """Return the rating that a slot holds, None when it holds something else."""
    text = " ".join(slot.content.split())
    lead = _BEFORE_VALUE.match(text)
    found = _rating_at(text, lead.end() if lead else 0, scale)
    return found[0] if found else None


_OTHER_SCALE = re.compile(
    rf"\bscale\s(?:of|from)\s(?P<low>{_NUM})\s?(?:to|-|and|through)\s?(?P<high>{_NUM})"
    rf"|\b(?P<low2>{_NUM})\s?(?:to|-)\s?(?P<high2>{_NUM})\sscale\b"
    r"|\b(?P<high3>\d{1,4})[- ]point\sscale\b",
    re.IGNORECASE,
)
_OUT_OF = re.compile(
    rf"[\s)]{{0,3}}\(?(?:(?:/|out\sof\b)\s{{0,3}}(?P<of>{_NUM})|(?P<percent>%))", re.IGNORECASE
)


def other_scale(before: str, after: str, scale: RatingScale) -> Unparsed | None:
    """Return `Unparsed` when the text around a verdict speaks of another scale than `scale`."""
    out_of = _OUT_OF.match(after)
    if out_of:
        verdict = _on_scale(scale.low, out_of["of"], out_of["percent"], scale)
        if isinstance(verdict, Unparsed):
            return verdict
    for found in _OTHER_SCALE.finditer(f"{before} {after}"):
        high = _number(found["high"] or found["high2"] or found["high3"])
        low = found["low"] or found["low2"]
        if high != scale.high or (low is not None and _number(low) != scale.low):
            return Unparsed(f"another scale: {found[0]!r}, not {scale}")
    return None


def rating_claims(text: str, scale: RatingScale) -> tuple[list[Claim[Rating]], bool]:
    """Return the ratings that sentences and bare lines state, and whether one was hedged."""
    claims = [*_labelled(text, scale), *_given(text, scale), *_deserved(text, scale)]
    return settled(text, [*claims, *_bare_lines(text, scale)])


_LABEL = re.compile(
    r"\b(?P<name>(?:(?:final|overall)_)?(?:score|rating)|grade|verdict|final\sanswer|overall)"
    r"(?:\sfor\s(?:this|the)\s(?:response|answer)\b)?(?P<scale>\s?\([^()\n]{0,40}\))?"
    r"[)\]]?\s{0,3}(?P<sep>[:=]|->|-\s|is\b|of\b|would\sbe\b|should\sbe\b|at\b):?(?P<gap>\s{0,9})"
    r"(?P<open>[\"'(\[{]{0,2})(?:an?\s)?",
    re.IGNORECASE,
)
_BEFORE_LABEL = re.compile(
    r"(?:^[\W\d_]*|[.!?:;,(\[{|/>#-]\s+|[([{|]|\b(?:final|overall|my|the|an?|total|this|quality"
    r"|its|so|and|numerical|assigned|predicted|single|judge|judge's|thus|therefore|hence|give"
    r"|assign)\s+)$",
    re.IGNORECASE,
)
_GIVES = re.compile(
    r"\b(?:I|we|my|final|overall|so|therefore|thus|hence|giv(?:e|es|ing)|assign\w{0,3}|award\w{0,3}"
    r"|deserv\w{1,3}|earns?|merits?|warrants?|receives?|gets|conclu\w{1,5}|justif\w{1,5})\b",
    re.IGNORECASE,
)
_OF_A_GAME = re.compile(
    r"\b(?:games?|match|teams?|goals?|scoreboard|half-?time|players?|quarter|innings?|in the video"
    r"|shown|shows|displays|reads|mentions|says|on (?:the )?screen)\b",
    re.IGNORECASE,
)


def _labelled(text: str, scale: RatingScale) -> Iterator[Claim[Rating]]:
    for label in _LABEL.finditer(text):
        if label["name"].lower() == "overall" and label["sep"] not in {":", "="}:
            continue
        if not _BEFORE_LABEL.search(line_before(text, label.start())[-60:]):
            continue
        found = _rating_at(text, label.end(), scale)
        if found is None or not _is_whole_line(text, label["gap"], found[1]):
            continue
        before = sentence_before(text, label.start())
        if leaves_open(label["open"], text[found[1] : found[1] + 40]):
            continue
        if _OF_A_GAME.search(before) or not _is_given(before, label["sep"], text, found[1]):
            continue
        verdict = _scale_of_label(label["scale"], scale) or found[0]
        yield Claim(label.start(), label.end(), found[1], verdict)


def _is_given(before: str, sep: str, text: str, end: int) -> bool:
    """Return False for `a rating of 4` where nobody gives it and nothing says that it fits."""
    if sep.lower() != "of" or not before.strip(" \t-"):
        return True
    return bool(_GIVES.search(before) or _FITS.match(text, end))


def _is_whole_line(text: str, gap: str, end: int) -> bool:
    """Return False for a value below its label that begins a sentence or a numbered list."""
    return "\n" not in gap or not text[end : end + 40].split("\n", 1)[0].strip(" \t.\"')]}")


_IN_PARENTHESES = re.compile(
    rf"\(\s?(?:from\s)?(?:(?P<low>{_NUM})\s?(?:-|to)\s?|out\sof\s|/\s?|max\.?\s)"
    rf"(?P<high>{_NUM})\s?\)",
    re.IGNORECASE,
)


def _scale_of_label(parentheses: str | None, scale: RatingScale) -> Unparsed | None:
    found = _IN_PARENTHESES.search(parentheses or "")
    if found is None:
        return None
    low = scale.low if found["low"] is None else _number(found["low"])
    if (low, _number(found["high"])) == (scale.low, scale.high):
        return None
    return Unparsed(f"another scale: {found[0]}, not {scale}")


_I_GIVE = re.compile(
    r"\b(?:(?-i:I)|we|let\sme)(?:'d|'ll)?(?:\s\w{1,12}){0,3}?"
    r"\s(?:give|rate|score|assign|award|grade)\b",
    re.IGNORECASE,
)
# What stands between "I give" and the number: the response as a whole, no aspect of it.
_RATED = re.compile(
    r"(?:[\s,:\"'(]"
    r"|\b(?:the|this|that|model's|assistant's)\s(?:response|answer|reply|caption|description|one)\b"
    r"|\bon\sa\sscale\s(?:of|from)\s\d{1,3}\s?(?:to|-)\s?\d{1,3}\b"
    r"|\b(?:it|this|that|a|an|as|at|of|to|be|overall|only|just|final|total|score|rating|grade"
    r"|solid|strong|weak|clear|firm|fair|low|high)\b(?!'))*$",
    re.IGNORECASE,
)


def _given(text: str, scale: RatingScale) -> Iterator[Claim[Rating]]:
    for verb in _I_GIVE.finditer(text):
        rest = sentence_after(text, verb.end())[:120]
        for number in _NUMBER.finditer(rest):
            value = verb.end() + number.start()
            found = _rating_at(text, value, scale)
            if found and _RATED.match(rest, 0, number.start()):
                yield Claim(verb.start(), value, found[1], _unrivalled(text, found, scale))
                break


_IT_DESERVES = re.compile(
    r"\b(?:it|this|that|response|answer|caption|description|model)(?:\s(?:would|clearly|only|thus"
    r"|therefore))?"
    r"(?:'s|\s(?P<verb>is\srated|is|gets|deserves|merits|warrants|earns|receives|scores))"
    r"\s(?:only\s)?(?P<article>(?:as\s|at\s)?an?\s"
    r"(?P<degree>(?:solid|strong|weak|clear|low|high|firm|mere|perfect|full)\s)?)?",
    re.IGNORECASE,
)


def _deserved(text: str, scale: RatingScale) -> Iterator[Claim[Rating]]:
    for verb in _IT_DESERVES.finditer(text):
        found = _rating_at(text, verb.end(), scale)
        if found is None:
            continue
        out_of = re.search(r"/|\bof\b", text[verb.end() : found[1]])
        # "It is a 4" may speak of what the video shows.
        of_anything = (verb["verb"] or "is").lower() in {"is", "gets"}
        if out_of or verb["degree"] or (verb["article"] and not of_anything):
            yield Claim(verb.start(), verb.end(), found[1], _unrivalled(text, found, scale))


_RIVAL = re.compile(
    rf"(?:\b(?P<but>than|instead\sof|not)\s)?\b(?:an?|or|maybe|perhaps|possibly)\s(?P<num>{_NUM})",
    re.IGNORECASE,
)


def _unrivalled(
    text: str, found: tuple[Rating | Unparsed, int], scale: RatingScale
) -> Rating | Unparsed:
    """Return the rating, or `Unparsed` when its sentence goes on to name another one."""
    verdict, end = found
    for rival in _RIVAL.finditer(sentence_after(text, end)):
        named = _rating_at(rival["num"], 0, scale)
        if named and not rival["but"] and named[0] != verdict:
            return contradiction([verdict, named[0]])
    return verdict


_BARE = re.compile(
    r"(?:#{1,6}\s)?[\s\"'(\[]*(?:an?\s)?(?:(?:solid|strong|weak|clear|firm)\s)?", re.IGNORECASE
)
_BARE_REST = re.compile(r"[\s.!\"')\]]*(?:\([^()\d\n]{0,80}\))?[\s.!]*$")
_BARE_WITH_REASON = re.compile(f"{_BARE_REST.pattern}|{REASON_AFTER_VERDICT}", re.IGNORECASE)
_LIST_MARK = re.compile(r"\s*(?:#|\(?\d+[.)]\s*$)")


def _bare_lines(text: str, scale: RatingScale) -> Iterator[Claim[Rating]]:
    for line in edge_lines(text):
        lead = _BARE.match(line.text)
        found = _rating_at(line.text, lead.end() if lead else 0, scale)
        rest = _BARE_WITH_REASON if line.is_whole else _BARE_REST
        if found is None or not rest.match(line.text, found[1]):
            continue
        if leaves_open(line.text[: lead.end() if lead else 0], line.text[found[1] :]):
            continue
        if line.is_whole or not _may_be_list_mark(text, line.text, found[0]):
            yield Claim(line.start, line.start, line.end, found[0])


def _may_be_list_mark(text: str, line: str, verdict: Rating | Unparsed) -> bool:
    """Return whether a line is the number of a list's next entry, where a reply was cut off."""
    if _LIST_MARK.match(line):
        return True
    if isinstance(verdict, Unparsed):
        return False
    entry_before = rf"(?m)^[ \t]{{0,20}}\(?{verdict.value - 1:g}[.)]\s"
    return re.search(entry_before, text[-2000:]) is not None
