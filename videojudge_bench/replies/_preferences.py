"""How a reply states a preference: the names of the sides, and the sentences around them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from videojudge_bench.replies._patterns import (
    DOUBLE_BRACKETS,
    REASON_AFTER_VERDICT,
    Claim,
    Slot,
    edge_lines,
    leaves_open,
    line_before,
    sentence_after,
    settled,
)
from videojudge_bench.verdicts import Preference, Unparsed

_NOUN = r"(?:response|answer|assistant|model|option|candidate|output|caption|description|system)"
_LETTER = r"(?-i:[AB])"
_OWN = r"'s\s(?:response|answer)\b"
_SIDE = (
    rf"(?:(?:the\s)?{_NOUN}\s?#?[\"'(\[]?(?:{_LETTER}|[12])[\"')\]]?"
    rf"|(?:the\s)(?:first|second|1st|2nd)(?:\s(?:{_NOUN}|one))?"
    rf"|{_LETTER})(?!\w|(?!{_OWN})'\w|-\w)"
)
_COMPARED = (
    rf"(?:{_NOUN}\s)?{_LETTER}\s?(?:>{{1,3}}|<{{1,3}}|={{1,2}}|~=?)\s?(?:{_NOUN}\s)?{_LETTER}"
)
_TIE = (
    r"(?:(?:an?\s)?(?:tie|draw)(?:\s?\((?:both\s?\w{2,8})\))?(?!\w|-\w)|tied\b"
    rf"|(?:(?:they|both|the\stwo)\s(?:{_NOUN}s?\s)?are\s)?equal(?:ly\s(?:good|bad))?\b"
    r"|no\spreference\b)"
)
_CHOICE = re.compile(rf"(?P<compared>{_COMPARED})|(?P<tie>{_TIE})|(?P<side>{_SIDE})", re.IGNORECASE)
_AFTER_CHOICE = re.compile(
    r"\s{0,9}(?:$|[.;!)\]}\"<\n,]|\((?![^)\n]{0,40}\b(?:tied?|draw|equal|or)\b)|[/|]\s|'(?!\w)"
    r"|-+\s|—|(?:because|since|as\s(?:it|they|there|the|this)|over|to|and|wins|due\sto|overall"
    r"|given|based\son|while|whereas|is\s(?:the\s|clearly\s|slightly\s)?better)\b)",
    re.IGNORECASE,
)
_BOTH = re.compile(
    rf"\s{{1,3}}or\b|\s{{0,3}}(?:[/|,&+]|and\b|vs\b\.?)\s{{0,3}}{_SIDE}"
    rf"|[ \t]{{1,9}}{_SIDE}\s{{0,9}}$",
    re.IGNORECASE,
)
_BEFORE_CHOICE = re.compile(
    r"[\s\"'(\[{]*(?:(?:my |the |final |overall )*(?:answer|verdict|winner|preference|choice)"
    r"\s?(?:is|[:=])[\s\"'(\[{]*)?",
    re.IGNORECASE,
)
_OR = re.compile(r"\s{1,3}or\b", re.IGNORECASE)
_BOTH_NAMED = Unparsed("names both responses")


def _choice_at(text: str, position: int) -> tuple[Preference | Unparsed, int] | None:
    """Return the choice that starts at a position and where it ends; None when there is none."""
    found = _CHOICE.match(text, position)
    if found is None:
        return None
    if _BOTH.match(text, found.end()):
        return _BOTH_NAMED, found.end()
    if not _AFTER_CHOICE.match(text, found.end()):
        return None
    if found["compared"]:
        return _compared(found["compared"]), found.end()
    return Preference(0.5) if found["tie"] else _side(found["side"]), found.end()


def _side(name: str) -> Preference:
    is_first = re.search(r"\bA\b|1|first", name, re.IGNORECASE if "irst" in name.lower() else 0)
    return Preference(1.0 if is_first else 0.0)


def _compared(text: str) -> Preference | Unparsed:
    left, right = re.findall(r"(?<![A-Za-z])[AB](?![A-Za-z])", text)
    if left == right:
        return Unparsed(f"compares {left} with itself")
    if "=" in text or "~" in text:
        return Preference(0.5)
    return Preference(1.0 if (left == "A") == (">" in text) else 0.0)


def read_preference(slot: Slot) -> Preference | Unparsed | None:
    """Return the preference that a slot holds, None when it holds something else."""
    text = " ".join(slot.content.split())
    if slot.form == DOUBLE_BRACKETS and text == "C":  # MT-bench's sign for a tie
        return Preference(0.5)
    text = {"a": "A", "b": "B"}.get(text, text)
    lead = _BEFORE_CHOICE.match(text)
    position = lead.end() if lead else 0
    if text[position:].lower() in {"first", "second"}:
        text = f"{text[:position]}the {text[position:]}"
    found = _choice_at(text, position)
    return found[0] if found else None


def preference_claims(text: str) -> tuple[list[Claim[Preference]], bool]:
    """Return the preferences that sentences and bare lines state, and whether one was hedged."""
    stated = [claim for pattern in (_IS_BETTER, _I_PREFER) for claim in _stated(text, pattern)]
    return settled(text, [*stated, *_labelled(text), *_ties(text), *_bare_lines(text)])


_LABEL = re.compile(
    r"\b(?:answer|verdict|winner|preference|choice|decision|judge?ment|conclusion|result|overall"
    rf"|preferred\s{_NOUN}|(?:better|best|stronger|superior)\s(?:{_NOUN}|one)|better)"
    r"[)\]]?\s{0,3}(?::|=|->|is\b|goes\sto\b|would\sbe\b):?(?P<gap>\s{0,9})"
    r"(?:that\s|clearly\s|therefore\s)?(?P<open>[\"'(\[]{0,2})",
    re.IGNORECASE,
)
_BEFORE_LABEL = re.compile(
    r"(?:^[\W\d_]*|[.!?:;,(\[{|>#]\s*|\b(?:final|overall|my|the|our|so|and|thus|therefore|hence"
    r"|clear)\s+)$",
    re.IGNORECASE,
)


def _labelled(text: str) -> Iterator[Claim[Preference]]:
    for label in _LABEL.finditer(text):
        if not _BEFORE_LABEL.search(line_before(text, label.start())[-60:]):
            continue
        found = _choice_at(text, label.end())
        if found is None:
            continue
        line_rest = text[found[1] : found[1] + 40].split("\n", 1)[0].strip(" \t.\"')]")
        if leaves_open(label["open"], text[found[1] : found[1] + 40]):
            continue
        if "\n" not in label["gap"] or not line_rest:
            yield Claim(label.start(), label.end(), found[1], found[0])


_DEGREE = (
    r"(?:(?:clearly|slightly|much|significantly|far|overall|marginally|somewhat|therefore|thus"
    r"|definitely|considerably|generally|ultimately|the|clear|a\sbit|a\slittle|by\sfar)\s){0,3}"
)
_IS_BETTER = re.compile(
    rf"(?<![\w>/'-])(?<!\bor )(?P<side>{_SIDE})(?:{_OWN})?\s{_DEGREE}"
    rf"(?:(?:is|was)\s{_DEGREE}(?:better|superior|preferable|preferred|stronger|best|winner)\b"
    rf"(?:\s(?:{_NOUN}|one|choice|overall|of\sthe\stwo)\b){{0,3}}"
    rf"(?:\s(?:than|to)\s(?:{_SIDE}(?:{_OWN})?|the\sother\b(?:\s(?:{_NOUN}|one)\b)?))?"
    rf"|wins\b|(?:outperforms|beats|surpasses)\s{_SIDE}(?:{_OWN})?)",
    re.IGNORECASE,
)
_I_PREFER = re.compile(
    r"\b(?:(?-i:I)|we)(?:'d|'ll)?"
    r"(?:\s(?:would|will|must|do|strongly|slightly|clearly|therefore|thus)){0,3}"
    rf"\s(?:prefer|choose|pick|select|favou?r|go\swith|vote\sfor)\s(?P<side>{_SIDE})",
    re.IGNORECASE,
)
_BEFORE_LETTER = re.compile(
    r"(?:^|[^\w\s]\s*|\b(?:that|think|believe|find|feel|say|conclude|and|but|so|because|while|since"
    r"|as|than|thus|therefore|hence|overall|although|though)\s)$",
    re.IGNORECASE,
)
_TURN = re.compile(
    rf"\b(?:but|however|yet)\b[^.!?\n]{{0,200}}?(?<![\w>/'-])(?P<side>{_SIDE})", re.IGNORECASE
)


def _stated(text: str, pattern: re.Pattern[str]) -> Iterator[Claim[Preference]]:
    for found in pattern.finditer(text):
        end = found.end()
        if not _names_a_side(text, found):
            continue
        verdict: Preference | Unparsed = _side(found["side"])
        if _OR.match(text, end):
            verdict = _BOTH_NAMED
        elif not _AFTER_CHOICE.match(text, end):
            continue
        turn = _TURN.search(sentence_after(text, end))
        if turn and _side(turn["side"]) != verdict:
            verdict = Unparsed("takes its preference back in the same sentence")
        yield Claim(found.start(), found.start("side"), end, verdict)


def _names_a_side(text: str, found: re.Match[str]) -> bool:
    """Return False for the letter in `Plan A is better`."""
    if len(found["side"]) > 1 or found.start("side") > found.start():
        return True
    return _BEFORE_LETTER.search(line_before(text, found.start())) is not None


_IS_TIE = re.compile(
    r"\b(?:(?:it(?:'s|\sis)|this\sis|call\sit|declare)\s(?:therefore\s)?(?:a|an)\s(?:tie|draw)\b"
    r"(?:\sbetween\b[^.!?,;\n]{0,40})?"
    rf"|(?:both|the(?=\s{_NOUN}s)|the\stwo|(?:{_NOUN}s?\s)?{_LETTER}\sand\s(?:{_NOUN}\s)?{_LETTER})"
    rf"(?:\s{_NOUN}s?)?\sare"
    r"\s(?:equally\s(?:good|bad|strong|poor|effective|matched|valid)|equal|tied"
    r"|of\sequal\squality)\b"
    rf"|neither(?:\s(?:{_NOUN}|one|of\sthe\s(?:two|{_NOUN}s)|{_SIDE}\snor\s{_SIDE}))?"
    r"\s(?:is|was)\s(?:clearly\s)?better\b(?:\sthan\sthe\sother\b)?"
    r"|(?:no\sclear\swinner|no\swinner|no\spreference)\b)",
    re.IGNORECASE,
)


def _ties(text: str) -> Iterator[Claim[Preference]]:
    for tie in _IS_TIE.finditer(text):
        if _AFTER_CHOICE.match(text, tie.end()):
            yield Claim(tie.start(), tie.start(), tie.end(), Preference(0.5))


_BARE = re.compile(rf"[\s\"'(\[#]*(?:{_LETTER}|{_COMPARED}|{_TIE})[\s\"')\].!]*$", re.IGNORECASE)
# "Response B" alone in a line may be a heading, unless the line is all there is.
_BARE_REPLY = re.compile(
    rf"{_BARE.pattern}|(?:{_SIDE}|{_TIE})(?:[.!]*$|{REASON_AFTER_VERDICT})", re.IGNORECASE
)


def _bare_lines(text: str) -> Iterator[Claim[Preference]]:
    for line in edge_lines(text):
        if (_BARE_REPLY if line.is_whole else _BARE).match(line.text):
            if leaves_open(line.text, line.text):
                continue
            content = line.text.strip(" \t\"'()[]#.!")
            verdict = read_preference(Slot(line.start, line.end, content, ""))
            if verdict is not None:
                yield Claim(line.start, line.start, line.end, verdict)
