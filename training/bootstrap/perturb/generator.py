"""Generator without a model: gold answers made wrong by a known share.

Every phrase that it inserts is a right one of another video's answer, drawn so that each is as
often wrong as right (`lexicon`): the text alone does not tell how wrong an answer is. Grading video
captions by the share of replaced content is the idea of VC-Inspector (Dipta et al., 2025); here all
five ratings are made of one gold answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, Union

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench._util.options import Scalar
from videojudge_bench.training.bootstrap.contracts import (
    TARGETS,
    Attempt,
    Draft,
    DraftReply,
    Seed,
    Unable,
    checked_share,
)
from videojudge_bench.training.bootstrap.perturb import slots, words
from videojudge_bench.training.bootstrap.perturb.edits import (
    ORDER,
    Edit,
    Unit,
    applied,
    nearest_cost,
    rating_of,
    units_of,
    ways_of,
)
from videojudge_bench.training.bootstrap.perturb.lexicon import Filler, Lexicon
from videojudge_bench.training.bootstrap.perturb.slots import Phrase, Slot

VERSION = 1  # raised whenever equal options would give other drafts
_TRIES = 20
_PLANS = 1_024

_Thing = TypeVar("_Thing")


@dataclass(frozen=True, slots=True)
class _Plan:
    units: tuple[Unit, ...]
    total: int
    known: frozenset[str]
    video: str
    gender: str
    in_five: bool


class _Draws:
    """Numbers in [0, 1) that depend on the names alone, one after another."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._drawn = 0

    def next(self) -> float:
        self._drawn += 1
        return unit_interval(*self._names, str(self._drawn))

    def shuffled(self, things: Iterable[_Thing], /) -> list[_Thing]:
        order = list(things)
        for last in range(len(order) - 1, 0, -1):
            at = int(self.next() * (last + 1))
            order[at], order[last] = order[last], order[at]
        return order


class Perturb:
    """Makes gold answers wrong by a known amount, and so of a known rating.

    Args:
        corpus: seeds whose gold answers the wrong phrases are taken from. Only phrases are kept, at
            most 4,000 a type.
        noise: share of drafts, 0 to 1, that deserve another rating of 1 to 4 than was asked for.
        seed: other seeds give other drafts.
    """

    def __init__(self, corpus: Iterable[Seed], noise: float = 0.0, seed: int = 0) -> None:
        self._noise, self._seed = checked_share("noise", noise, of="the drafts"), seed
        self._lexicon = Lexicon()
        self._plans: dict[tuple[str, str], _Plan] = {}
        digest = hashlib.sha256()
        for entry in corpus:
            digest.update(f"{entry.id}\x1f{entry.gold}\x1e".encode("utf-8", "surrogatepass"))
            self._lexicon.know(_known(entry))
            for slot in _slots(slots.take_apart(entry.gold).phrases):
                self._lexicon.add(slot, entry.video_id)
        self._corpus_hash = digest.hexdigest()

    async def write(self, seed: Seed, target: int, earlier: Sequence[Attempt]) -> DraftReply:
        """Return the gold answer made wrong so that it deserves `target`, noise apart.

        `Unable` for a gold answer that has too few phrases for four steps, for all targets alike.
        """
        return self.draft(seed, target, len(earlier))

    def draft(self, seed: Seed, target: int, round_: int = 0) -> Union[Draft, Unable]:
        """Return what `write` returns in the round after `round_` others."""
        plan = self._plan_of(seed)
        draws = _Draws(str(self._seed), seed.id, str(target), str(round_))
        truth = target
        if draws.next() < self._noise:
            others = [rating for rating in TARGETS if rating != target]
            truth = others[int(draws.next() * len(others))]
        if not plan.in_five:
            return Unable(f"too few phrases to grade in five: {plan.total // 2} content words")
        units = plan.units
        while True:
            ways = ways_of(units, draws.shuffled)
            cost = nearest_cost(ways, plan.total, truth)
            if cost is None:
                break
            edits = ways[cost]
            put, failed = self._fillers(edits, plan, draws)
            if failed is None:
                return _draft(seed, plan, edits, put)
            # Nothing wrong was found to say there: it has to stay right.
            left = (tuple(way for way in unit if failed not in way.edits) for unit in units)
            units = tuple(unit for unit in left if unit)
        return Unable("too few phrases to grade in five: others would be right of this video too")

    def settings(self) -> Mapping[str, Scalar]:
        """Return what the drafts depend on."""
        return {
            "generator": "perturb",
            "version": VERSION,
            "noise": self._noise,
            "seed": self._seed,
            "corpus": self._corpus_hash,
        }

    def close(self) -> None:
        """Nothing is held."""

    def _plan_of(self, seed: Seed) -> _Plan:
        key = (seed.id, seed.gold)
        if key not in self._plans:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            self._plans[key] = self._plan(seed)
        return self._plans[key]

    def _plan(self, seed: Seed) -> _Plan:
        parts = slots.take_apart(seed.gold)
        units = units_of(parts.phrases, lambda edit: self._usable(seed, edit))
        total = 2 * parts.content_words
        costs = ways_of(units, list)
        return _Plan(
            tuple(units),
            total,
            _known(seed),
            seed.video_id,
            _one_gender(parts.phrases),
            total > 0 and all(nearest_cost(costs, total, t) is not None for t in TARGETS),
        )

    def _usable(self, seed: Seed, edit: Edit) -> bool:
        (slot,) = edit.slots
        circle = self._lexicon.circle(slot.type)
        # The same for all ratings: a slot that is never wrong says nothing about them.
        at = unit_interval(str(self._seed), seed.id, str(slot.start), slot.type)
        return circle is not None and circle.exchangeable(slot.group, at)

    def _fillers(
        self, edits: Sequence[Edit], plan: _Plan, draws: _Draws
    ) -> tuple[dict[Slot, Filler], Edit | None]:
        put: dict[Slot, Filler] = {}
        for edit in edits:
            if edit.name == ORDER:
                first, second = edit.slots
                put[first] = Filler(second.filler, second.group, second.content)
                put[second] = Filler(first.filler, first.group, first.content)
                continue
            (slot,) = edit.slots
            filler = self._wrong(slot, plan, draws)
            if filler is None:
                return put, edit
            put[slot] = filler
        return put, None

    def _wrong(self, slot: Slot, plan: _Plan, draws: _Draws) -> Filler | None:
        circle = self._lexicon.circle(slot.type)
        if circle is None:
            return None
        for tried in range(2 * _TRIES):
            # Where all that the right filler leads to is refused, anything else will do.
            near = tried < _TRIES
            at, by = draws.next(), draws.next()
            filler = circle.draw(slot.group, at, by) if near else circle.at(at)
            is_other = filler.group != slot.group and filler.video != plan.video
            if is_other and plan.known.isdisjoint(filler.content):
                return filler
        return None


def _draft(seed: Seed, plan: _Plan, edits: Sequence[Edit], put: Mapping[Slot, Filler]) -> Draft:
    text = applied(seed.gold, {slot: filler.text for slot, filler in put.items()})
    if plan.gender and _turned(put, plan.gender):
        text = words.turned(text, plan.gender)
    changes = tuple(
        f"{edit.name}: {slot.filler!r} -> {put[slot].text!r}"
        for edit in edits
        for slot in edit.slots
    )
    # In halves of content words: two events in the wrong order did happen.
    cost = sum((1 if e.name == ORDER else 2) * len(slot.content) for e in edits for slot in e.slots)
    return Draft(text, rating_of(cost, plan.total), changes)


def _slots(phrases: Iterable[Phrase]) -> Iterator[Slot]:
    for phrase in phrases:
        yield phrase.slot
        yield from phrase.parts
        if phrase.slot.kind == "place":
            yield slots.anywhere(phrase.slot)


def _known(seed: Seed) -> frozenset[str]:
    """Stems of everything that is known of the video."""
    stems = slots.content_stems("\n".join((seed.gold, *seed.references, seed.description or "")))
    return stems.union(*(words.OVERLAPPING.get(stem, ()) for stem in stems))


def _one_gender(phrases: Iterable[Phrase]) -> str:
    """`m` or `f` where the answer has one man or one woman, else nothing."""
    by_phrase = [slots.genders(phrase.slot.content) for phrase in phrases]
    named = [each for each in by_phrase if each]
    return named[0].pop() if len(named) == 1 and len(named[0]) == 1 else ""


def _turned(put: Mapping[Slot, Filler], gender: str) -> bool:
    """Return whether the one man or woman of an answer became one of the other gender."""
    other = {"f" if gender == "m" else "m"}
    return any(
        gender in slots.genders(slot.content) and slots.genders(filler.content) == other
        for slot, filler in put.items()
    )
