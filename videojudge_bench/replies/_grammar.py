"""The patterns of `grammar.txt`: the words and forms of sentences that replies are read by."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

SLOT = "[\ue000-\uf8ff]"
"""What stands in a text in the place of a slot: a character of a private range."""


@cache
def _sources() -> dict[str, str]:
    text = Path(__file__).with_name("grammar.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"(?m)^([A-Z_]+)\n((?:  .+\n)+)", text)
    return {"SLOT": SLOT, **{name: re.sub(r"\n?  ", "", f"\n{lines}") for name, lines in blocks}}


@cache
def source(name: str) -> str:
    """Return a pattern as `re` takes it."""
    found = _sources()[name].strip("\n").replace(" ", r"\s")
    return re.sub(r"\{([A-Z_]+)\}", lambda part: source(part[1]), found)


@cache
def pattern(name: str) -> re.Pattern[str]:
    """Return a pattern, upper and lower case alike."""
    return re.compile(source(name), re.IGNORECASE)
