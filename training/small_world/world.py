"""Ground truth of the small world: scenes, questions, right answers and wrong ones.

A video has four corners and four steps. In every corner lies one colour above one to three bars; in
every step one thing of one colour moves in one direction. Each of four kinds of questions asks for
four words, each drawn independently and uniformly. A response that deserves the rating r has 5 - r
wrong words. So over all videos every text is as often right as any other, and gives nothing away:
only looking helps.

Everything depends on names alone (a video's id, a seed), not on the order of work or global state.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Literal, cast

import numpy as np

from videojudge_bench.errors import ConfigError

Kind = Literal["attribute", "count", "motion", "order"]
Part = Literal["train", "validation", "test", "lesson"]
Domain = Literal["seen", "unseen", "longer"]

VERSION = 2  # raised whenever the same names would give other videos or other answers
KINDS: tuple[Kind, ...] = ("attribute", "count", "motion", "order")
PARTS: tuple[Part, ...] = ("train", "validation", "test", "lesson")
"""In a `lesson` all steps are the same: an easier video to learn to look by."""

DOMAINS: tuple[Domain, ...] = ("seen", "unseen", "longer")
"""`seen`: as in training. `unseen`: other shapes, background and speeds. `longer`: 24 frames."""

SLOTS = 4
"""Corners of a video (row by row), steps of a video (in order), words of an answer."""

BEST = 5

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 190, 60),
    "blue": (50, 80, 230),
    "yellow": (230, 220, 50),
    "purple": (170, 60, 200),
    "white": (235, 235, 235),
}
SHAPES = 3  # number of shapes of a domain; see `render`
VALUES: Mapping[Kind, tuple[str, ...]] = {
    "attribute": tuple(COLOURS),
    "count": ("one", "two", "three"),
    "motion": ("up", "down", "left", "right"),
    "order": tuple(COLOURS),
}
INSTRUCTIONS: Mapping[Kind, str] = {
    "attribute": "Which colour has each corner?",
    "count": "How many bars has each corner?",
    "motion": "Which way does it move in each step?",
    "order": "Which colour has it in each step?",
}

_ORDINALS = ("first", "second", "third", "fourth")
_VIDEO_ID = re.compile(r"(train|validation|test|lesson)(?:-(unseen|longer))?-\d{5,}")

Words = tuple[int, ...]  # an answer: the index of each of its words in `VALUES`


@dataclass(frozen=True, slots=True)
class Scene:
    """Ground truth of a video.

    Attributes:
        part: `test` has the pairs of properties that the others never have; see `pairs`. In a
            `lesson` all steps are the same.
        words: the right answers.
        shapes: of the thing in each step, from 0 to `SHAPES` - 1.
    """

    video_id: str
    seed: int
    part: Part
    domain: Domain
    words: Mapping[Kind, Words]
    shapes: tuple[int, ...]


def rng_of(*names: str | int) -> np.random.Generator:
    """Return a generator of random numbers that depends on names alone."""
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def video_id(part: Part, number: int, domain: Domain = "seen") -> str:
    """Return the id of a video: `train-00012`, `test-unseen-00003`."""
    return "-".join([part, *([] if domain == "seen" else [domain]), f"{number:05d}"])


def scene_of(video: str, seed: int = 0) -> Scene:
    """Return the ground truth of a video; raises ConfigError for other ids."""
    match = _VIDEO_ID.fullmatch(video)
    if match is None:
        raise ConfigError(
            f"{video!r} is no video of the small world; its ids are {', '.join(PARTS)}, then "
            "-unseen or -longer for these domains, then - and five digits: test-unseen-00003"
        )
    part, domain = cast("Part", match[1]), cast("Domain", match[2] or "seen")
    rng = rng_of("scene", VERSION, seed, video)
    corners, colours = (rng.integers(len(COLOURS), size=SLOTS) for _ in range(2))
    ways = rng.integers(len(VALUES["motion"]), size=SLOTS)
    shapes = pairs(colours, rng, held_out=part == "test")
    if part == "lesson":
        colours, ways = colours[:1].repeat(SLOTS), ways[:1].repeat(SLOTS)
        shapes = shapes[:1] * SLOTS
    words: dict[Kind, Words] = {
        "attribute": _plain(corners),
        "count": pairs(corners, rng, held_out=part == "test"),
        "motion": _plain(ways),
        "order": _plain(colours),
    }
    return Scene(video, seed, part, domain, words, shapes)


def pairs(
    colours: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.int64]],
    rng: np.random.Generator,
    *,
    held_out: bool,
) -> Words:
    """Return for each colour its partner: one of three counts of bars, or of three shapes.

    Colour i never goes with i mod 3 in training and validation, and always in test. Two of the six
    colours leave out each of the three, so all are equally frequent in every part.
    """
    values = np.asarray(colours) % SHAPES
    if not held_out:
        values = (values + rng.integers(1, SHAPES, size=len(values))) % SHAPES
    return _plain(values)


def text_of(kind: Kind, words: Sequence[int]) -> str:
    """Return the text of an answer: `red blue green white`."""
    return " ".join(VALUES[kind][word] for word in words)


def answer(scene: Scene, kind: Kind) -> str:
    """Return the right answer to a question."""
    return text_of(kind, scene.words[kind])


def responses(scene: Scene, kind: Kind) -> dict[int, str]:
    """Return a response for each rating that it deserves, 1 to 5; the last is the right answer."""
    by_rating: dict[int, str] = {}
    for rating in range(1, BEST + 1):
        rng = rng_of("response", VERSION, scene.seed, scene.video_id, kind, rating)
        by_rating[rating] = text_of(
            kind, drawn_wrong(scene.words[kind], len(VALUES[kind]), BEST - rating, rng)
        )
    return by_rating


def drawn_wrong(gold: Sequence[int], values: int, wrong: int, rng: np.random.Generator) -> Words:
    """Return a random answer with so many wrong words, all as likely."""
    return nth_wrong(gold, values, wrong, int(rng.integers(n_wrong(len(gold), values, wrong))))


def n_wrong(slots: int, values: int, wrong: int) -> int:
    """Return how many answers have so many wrong words."""
    others: int = (values - 1) ** wrong
    return comb(slots, wrong) * others


def nth_wrong(gold: Sequence[int], values: int, wrong: int, number: int) -> Words:
    """Return the answer of this number, from 0 up, among those with so many wrong words."""
    which, other = divmod(number, (values - 1) ** wrong)
    words = list(gold)
    for slot in list(combinations(range(len(gold)), wrong))[which]:
        other, value = divmod(other, values - 1)
        words[slot] = value + (value >= gold[slot])
    return tuple(words)


def read_answer(kind: Kind, text: str) -> Words | None:
    """Return the words of an answer; None when it is not four words of its kind."""
    words = text.split()
    known = {name: index for index, name in enumerate(VALUES[kind])}
    if len(words) != SLOTS or not known.keys() >= set(words):
        return None
    return tuple(known[word] for word in words)


def kind_of(instruction: str) -> Kind | None:
    """Return the kind of a question; None for one of another world."""
    return next((kind for kind, asked in INSTRUCTIONS.items() if asked == instruction), None)


def changes(kind: Kind, gold: Sequence[int], words: Sequence[int]) -> tuple[str, ...]:
    """Return the errors of an answer, one phrase a word: `second is red, not blue`."""
    named = VALUES[kind]
    return tuple(
        f"{place} is {named[right]}, not {named[given]}"
        for place, right, given in zip(_ORDINALS, gold, words, strict=True)
        if right != given
    )


def _plain(values: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Words:
    return tuple(int(value) for value in values)
