"""Checks for unusable drafts (empty, copied, stating their own rating) and unusable rubrics."""

from __future__ import annotations

import re
from collections.abc import Iterable

from videojudge_bench.training.bootstrap.contracts import GOLD_RATING, Seed

_NUMBER = r"(?:[1-5]|one|two|three|four|five)"
_JUDGED = (
    r"(?:in)?correct|in?accurate|accurate|wrong|false|bad|poor|flawed|mediocre|perfect|good"
    r"|partially\s+(?:in)?correct|low[- ]quality|high[- ]quality"
)
_ITSELF = r"(?:answer|response|reply)"
_FAULTS = r"error|mistake|wrong|false|incorrect|inaccurate|omission|omitted|omits"
_LEAKS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_NUMBER}-star\b",
        rf"\b{_NUMBER}\s+stars?(?=\s+(?:{_ITSELF}|rating|out\b)|\W*$)",
        rf"\b{_NUMBER}\s?(?:/|out\s+of)\s?(?:5|five)\b",
        rf"\b(?:rating|grade)\s*(?:of|is|:|=|-|\()?\s*{_NUMBER}\b",
        rf"\b(?:rated|graded|deserves?)\s+(?:an?\s+|as\s+)?{_NUMBER}\b",
        # Goals and points are scored in videos too: `scores 2 goals`, `the score is 3 to 2`.
        rf"\bscored?s?\s*(?:of|is|:|=|-|\()?\s*(?:an?\s+)?{_NUMBER}\b(?!\s*[-:]\s*\d|\s*\w)",
        rf"\b(?:{_JUDGED})\s+{_ITSELF}\s*(?:[:\-]|$)",
        rf"^\W*(?:here\s+is|here's|this\s+is|the\s+following\s+is)\s[^.:\n]{{0,40}}\b{_ITSELF}\b",
        rf"\bthis\s+{_ITSELF}\s+(?:is|was|has|contains|misses|deserves|would|should|earns|gets)\b",
        rf"\b(?:deliberate|intentional|purposeful)(?:ly)?\s+(?:\w+\s+)?(?:{_FAULTS})",
        r"\b(?:the\s+)?(?:reference|gold)\s+answer\b",
    )
)


def problem_of(text: str, seed: Seed, others: Iterable[str]) -> str:
    """Return why a draft is no response to its seed's instruction; "" when it is one.

    It must not be empty, equal the gold answer or another response of the seed (but for case,
    spaces and final marks), or state its own rating or quality. Words of the instruction, the gold
    answer or the description give nothing away.
    """
    plain = _plain(text)
    if not plain:
        return "it is empty"
    if plain == _plain(seed.gold):
        return "it is the reference answer"
    if plain in {_plain(other) for other in others}:
        return "it is the same as another answer that was written for this instruction"
    known = f"{seed.instruction}\n{seed.gold}\n{seed.description or ''}".casefold()
    for pattern in _LEAKS:
        for match in pattern.finditer(text):
            if match[0].casefold() not in known:
                return f"it gives away what it deserves, or speaks of itself: {match[0].strip()!r}"
    return ""


_LEVEL = re.compile(r"[\s*#-]*(?:(?:rating|score|level)\s*)?(\d+)[\s*]*[:.)–-][\s*]*(.*)", re.I)


def read_rubric(text: str) -> tuple[str, str]:
    """Return a rubric with one line a rating, `1: …` first, and why a text is none; one is "".

    Lines begin with a rating, in any order; a line without one continues the line before, and what
    stands before the first is left out.
    """
    levels: dict[int, list[str]] = {}
    last: list[str] | None = None
    for line in text.splitlines():
        match = _LEVEL.fullmatch(line)
        if match is None:
            if last is not None:
                last.append(line.strip())
            continue
        rating = int(match[1])
        if rating in levels:
            return "", f"two of its lines are for the rating {rating}"
        if not 1 <= rating <= GOLD_RATING:
            return "", f"a line is for the rating {rating}; they are 1 to {GOLD_RATING}"
        last = levels[rating] = [match[2].strip()]
    texts = {rating: " ".join(filter(None, lines)) for rating, lines in sorted(levels.items())}
    missing = [str(n) for n in range(1, GOLD_RATING + 1) if not texts.get(n, "").strip(" .…")]
    if missing:
        return "", f"it has no line for the rating {', '.join(missing)}"
    return "\n".join(f"{rating}: {line}" for rating, line in texts.items()), ""


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .!?\"'")
