"""Templates of replies whose verdict a reader knows, filled in with values, sides and sentences.

`tests/data/reply_templates.jsonl` has one template a line: its kind, what was asked for (`wants`),
and its truth: `v` or `w` (the rating in its place), `S` (the side in its place), `tie`, `U` (none).
With `?` behind it, people may differ, and the reply may also be left unread.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Preference, Rating

FILE = Path(__file__).parents[1] / "data" / "reply_templates.jsonl"
FILLINGS = 12
SCALES = (*[RatingScale()] * 8, RatingScale(1, 10), RatingScale(0, 10), RatingScale(1, 7),
          RatingScale(0, 4))  # fmt: skip
NEUTRAL = (
    "The man pours water into 2 glasses.",
    "At 0:04 the camera pans left, and 3 dogs run in.",
    "It names 4 of the 5 people, but not the cat.",
    'The caption says "Top 10 goals of 2019".',
    "A man in a red coat walks 20 steps.",
    "The answer mentions the B-roll and the score of the match, 3-1.",
    "Frame 7 shows a sign: 50% off.",
    "Two of the three facts are right.",
    "The video lasts 1 min 30 s (see 00:00:12.5).",
    "那只狗在雪地里奔跑。",
    "Le chien court dans la neige ; c’est exact.",
    "The response is fluent, detailed and mostly faithful 🎬.",
    "Step 1: look at the video. Step 2: compare.",
    "I checked every claim against the frames.",
)
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_OF_DIGITS = ("«stars»", "«filled»", "«keycap»", "«fw»")


@dataclass(frozen=True)
class Template:
    """A reply with places to fill in, and what it says."""

    kind: str
    wants: str
    truth: str
    text: str


@dataclass(frozen=True)
class Filled:
    """A reply, and what it says.

    Attributes:
        text: the reply.
        truth: the verdict that it states; None: it states none.
        scale: that was asked for; None: for a preference.
        may_be_unread: people may differ about it.
    """

    text: str
    truth: Rating | Preference | None
    scale: RatingScale | None
    may_be_unread: bool


def templates() -> list[Template]:
    """Return all templates."""
    with FILE.open(encoding="utf-8") as file:
        return [Template(**json.loads(line)) for line in file]


def fillings(template: Template, seed: int = 0) -> Iterator[Filled]:
    """Yield a template filled in several ways, always the same ones for a seed."""
    for number in range(FILLINGS):
        yield _filled(template, number, random.Random(f"{template.text}{number}{seed}"))


def _filled(template: Template, number: int, draw: random.Random) -> Filled:
    scale = SCALES[number % len(SCALES)]
    low, high = scale.low, scale.high
    if any(place in template.text for place in _OF_DIGITS):
        low, high = max(low, 2), min(high, 9)
    value, other = draw.sample(range(low, high + 1), 2)
    side = draw.choice("AB")
    text = template.text
    for name, filler in {**_ratings(value, other, scale), **_sides(side)}.items():
        text = text.replace(f"«{name}»", filler)
    for name in ("x", "X"):
        while f"«{name}»" in text:
            text = text.replace(f"«{name}»", draw.choice(NEUTRAL), 1)
    truths: dict[str, Rating | Preference | None]
    truths = {"v": Rating(value), "w": Rating(other), "S": Preference(float(side == "A")),
              "tie": Preference(0.5), "U": None}  # fmt: skip
    asked = scale if template.wants == "rating" else None
    truth = template.truth
    return Filled(text, truths[truth.rstrip("?")], asked, truth.endswith("?"))


def _ratings(value: int, other: int, scale: RatingScale) -> dict[str, str]:
    words = dict(enumerate(_WORDS))
    return {
        "v": str(value),
        "w": str(other),
        "l": str(scale.low),
        "h": str(scale.high),
        "m": str(100 if scale.high == 10 else 2 * scale.high),
        "off": str(scale.high + 1),
        "V": words.get(value, str(value)),
        "H": words.get(scale.high, str(scale.high)),
        "keycap": f"{value}\ufe0f\u20e3",
        "fw": "".join(chr(0xFF10 + int(digit)) for digit in str(value)),
        "stars": "★" * value,
        "filled": "★" * value + "☆" * (scale.high - value),
    }


def _sides(side: str) -> dict[str, str]:
    names = {"A": ("1", "first"), "B": ("2", "second")}
    other = "B" if side == "A" else "A"
    return {
        "S": side,
        "T": other,
        "s": names[side][0],
        "t": names[other][0],
        "first": names[side][1],
        "second": names[other][1],
        "ls": side.lower(),
        "FS": chr(ord(side) + 0xFEE0),
    }
