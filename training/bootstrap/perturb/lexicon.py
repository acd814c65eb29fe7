"""Fillers of a corpus for each type of slot, and random draws from them.

A wrong filler must give nothing away: over the whole corpus each filler must be as often wrong as
it is right. Drawing by frequency and rejecting the right filler does not give this, since frequent
fillers are rejected more often. So the fillers of a type lie on a circle, each on an arc as long as
its share of the corpus, those of one group side by side. The right filler is a random point on its
own arc; the wrong one lies a random part of the circle further, at least the length of the longest
group's arc and at most all but that. No group is reached from itself, and as the starting points
are spread evenly over the circle, so are the ends.

A filler that is right of the same video is refused. Frequent ones (a man) are refused more often
than the rest, so their arcs are longer, which nearly evens it out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.training.bootstrap.perturb.slots import Slot, wider

MOST_FILLERS = 4_000
"""Per type: of more, those of the smallest hashes are kept, whatever the order of the corpus."""

FEWEST_SLOTS = 12  # a type with fewer slots in the corpus is not exchanged
FEWEST_GROUPS = 2

MOST_LIFT = 4.0  # upper bound of the factor by which the arc of a filler grows


@dataclass(frozen=True, slots=True)
class Filler:
    """Text for a slot.

    Attributes:
        group: fillers of one group mean the same.
        content: stems of its content words.
        video: the one whose answers it comes from, "" when there are several.
    """

    text: str
    group: str
    content: tuple[str, ...]
    video: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Circle:
    """The fillers of one type, those of one group side by side.

    Attributes:
        ends: end of the arc of each filler, rising to 1.
        arcs: begin and end of the arc of each group.
        longest: length of the longest group's arc, at most a half.
        trimmed: the group that more than half of the slots have, "" when there is none.
        share: of that group's slots, those that can be exchanged: at most as many as all others.
    """

    fillers: tuple[Filler, ...]
    ends: tuple[float, ...]
    arcs: Mapping[str, tuple[float, float]]
    longest: float
    trimmed: str = ""
    share: float = 1.0

    def exchangeable(self, group: str, at: float) -> bool:
        """Return whether a slot takes part; `at` is a number in [0, 1) of its own."""
        return group != self.trimmed or at < self.share

    def draw(self, group: str, at: float, by: float) -> Filler:
        """Return a filler of another group than the right one's, for two numbers in [0, 1)."""
        begin, end = self.arcs.get(group, (0.0, 1.0))
        start = begin + at * (end - begin)
        return self.at((start + self.longest + by * (1 - 2 * self.longest)) % 1.0)

    def at(self, point: float) -> Filler:
        """Return the filler at a point of the circle, in [0, 1)."""
        return self.fillers[min(bisect_right(self.ends, point), len(self.fillers) - 1)]


Counts = dict[Filler, tuple[int, str]]
"""How often the corpus has a filler, and the video that it is of, "" when there are several."""


class Lexicon:
    """Fillers by type, with their counts; its size is bounded.

    Call `add` for every slot of the corpus, then ask for circles.
    """

    def __init__(self) -> None:
        self._counts: dict[str, Counts] = {}
        self._answers = 0
        self._known: Counter[str] = Counter()
        self._circles: dict[str, Circle | None] = {}

    def add(self, slot: Slot, video: str) -> None:
        """Count a slot of a right answer on a video."""
        counts = self._counts.setdefault(slot.type, {})
        _count(counts, Filler(slot.filler, slot.group, slot.content), 1, video)
        if len(counts) >= 2 * MOST_FILLERS:
            self._counts[slot.type] = _thinned(slot.type, counts)

    def know(self, stems: Iterable[str]) -> None:
        """Count the stems of all that is known of an answer's video, each once."""
        self._answers += 1
        self._known.update(stems)

    def _lift(self, filler: Filler) -> float:
        """Factor of draws that makes up for refused candidates."""
        known = max((self._known[stem] for stem in filler.content), default=0)
        return min(MOST_LIFT, 1 / (1 - min(known / max(self._answers, 1), 0.99)))

    def circle(self, type_: str) -> Circle | None:
        """Return the fillers of a type, None when there are too few to draw from.

        Rare types share the circle of a wider type, which holds rare types alone.
        """
        if not self._circles:
            self._make()
        names = (type_, *wider(type_))
        return next((self._circles[name] for name in names if name in self._circles), None)

    def _make(self) -> None:
        """Make circles of the types, then of those left over, in ever wider types."""
        left = self._counts
        for level in range(3):
            pools: dict[str, Counts] = {}
            for type_, counts in left.items():
                pool = pools.setdefault((type_, *wider(type_))[level], {})
                for filler, (times, video) in counts.items():
                    _count(pool, filler, times, video)
            left = {}
            for name, pool in pools.items():
                circle = _circle(_thinned(name, pool), self._lift)
                if circle is None:
                    left[name] = pool
                else:
                    self._circles[name] = circle


def _count(counts: Counts, filler: Filler, times: int, video: str) -> None:
    before, of = counts.get(filler, (0, video))
    counts[filler] = before + times, video if of == video else ""


def _thinned(type_: str, counts: Counts) -> Counts:
    """The fillers of the smallest hashes: a dropped one stays dropped, so counts are whole."""
    if len(counts) <= MOST_FILLERS:
        return dict(counts)
    kept = sorted(counts, key=lambda filler: unit_interval(type_, filler.text))[:MOST_FILLERS]
    return {filler: counts[filler] for filler in kept}


def _circle(counts: Counts, lift: Callable[[Filler], float]) -> Circle | None:
    right: Counter[str] = Counter()
    drawn: dict[str, float] = {}
    weights: dict[Filler, float] = {}
    for filler, (count, video) in counts.items():
        weight = weights[replace(filler, video=video)] = count * lift(filler)
        right[filler.group] += count
        drawn[filler.group] = drawn.get(filler.group, 0.0) + weight
    if right.total() < FEWEST_SLOTS or len(right) < FEWEST_GROUPS:
        return None
    trimmed, longest = max(drawn.items(), key=lambda item: (item[1], item[0]))
    rest = sum(drawn.values()) - longest
    cut = min(1.0, rest / longest)
    share = min(1.0, (right.total() - right[trimmed]) / right[trimmed])
    # Groups in an order that means nothing: neighbours would be reached less often than others.
    fillers = tuple(
        sorted(weights, key=lambda f: (unit_interval(f.group), f.group, f.text, f.content))
    )
    arcs = [weights[f] * (cut if f.group == trimmed else 1.0) for f in fillers]
    whole = rest + longest * cut
    ends = tuple(end / whole for end in accumulate(arcs))
    return Circle(
        fillers, ends, _arcs(fillers, ends), min(0.5, longest * cut / whole), trimmed, share
    )


def _arcs(fillers: Iterable[Filler], ends: Iterable[float]) -> dict[str, tuple[float, float]]:
    arcs: dict[str, tuple[float, float]] = {}
    before = 0.0
    for filler, end in zip(fillers, ends, strict=True):
        arcs[filler.group] = (arcs.get(filler.group, (before, end))[0], end)
        before = end
    return arcs
