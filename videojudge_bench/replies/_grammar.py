"""The patterns of `grammar.txt`: the words and forms of sentences that replies are read by."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

SLOT = "[\ue000-\uf8ff]"  # one of these stands in a text in the place of a slot

_TEXT = Path(__file__).with_name("grammar.txt").read_text(encoding="utf-8")
_LINES = {**dict(re.findall(r"(?m)^([A-Z_]+)\n((?:  .+\n)+)", _TEXT)), "SLOT": SLOT}


@cache
def source(name: str) -> str:
    """Return a pattern as `re` takes it."""
    joined = "".join(line.strip() for line in _LINES[name].split("\n")).replace(" ", r"\s")
    return re.sub(r"\{([A-Z_]+)\}", lambda part: source(part[1]), joined)


@cache
def pattern(name: str) -> re.Pattern[str]:
    """Return a pattern, upper and lower case alike."""
    return re.compile(source(name), re.IGNORECASE)
