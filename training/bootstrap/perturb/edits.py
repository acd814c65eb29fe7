"""Edits that make an answer wrong, their costs, and the choice of edits for a target rating.

The cost of an edit is the number of the gold answer's content words that it makes wrong. With c of
W wrong an answer deserves the rating 5 - floor(4 c / W + 1/2): the nearest of five equal steps. Two
events in the wrong order did happen: half of their words count as wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from videojudge_bench.training.bootstrap.contracts import GOLD_RATING
from videojudge_bench.training.bootstrap.perturb.slots import Phrase, Slot, anywhere
from videojudge_bench.training.bootstrap.perturb.words import turned

OMISSION, ORDER = "omission", "order"

_Thing = TypeVar("_Thing")

_STEPS = 4
_THEN = frozenset({"then", "before", "after"})


@dataclass(frozen=True, slots=True)
class Edit:
    """One change, named after the kind of its slot.

    `omission` replaces a place by one with another preposition, and `order` exchanges two slots.
    """

    name: str
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Option:
    """One way to make a part of an answer wrong; `cost` is in halves of content words."""

    cost: int
    edits: tuple[Edit, ...]


Unit = tuple[Option, ...]  # options that exclude one another


class Shuffled(Protocol):
    """Returns things in a random order."""

    def __call__(self, things: Iterable[_Thing], /) -> list[_Thing]:
        """Return them."""


Usable = Callable[[Edit], bool]


def rating_of(cost: int, total: int) -> int:
    """Return the rating, 1 to 5, of an answer with `cost` of `total` (halves of words) wrong."""
    return GOLD_RATING - (2 * _STEPS * cost + total) // (2 * total)


def units_of(phrases: Sequence[Phrase], usable: Usable) -> list[Unit]:
    """Return the parts of an answer that can be made wrong, and in which ways each.

    `usable` tells whether there is a filler for an edit's slots.
    """
    units: list[Unit] = []
    options = [
        _options(phrase, phrases[i - 1] if i else None, usable) for i, phrase in enumerate(phrases)
    ]
    at = 0
    while at < len(phrases):
        if at + 1 < len(phrases) and _in_turn(phrases[at], phrases[at + 1]):
            units.append(_pair(phrases[at], phrases[at + 1], options[at], options[at + 1]))
            at += 2
        else:
            units.append(options[at])
            at += 1
    return [unit for unit in units if unit]


def ways_of(units: Iterable[Unit], shuffled: Shuffled) -> dict[int, tuple[Edit, ...]]:
    """Return, for each cost that can be reached, edits of an answer.

    The choice among equal costs depends on the random order of `shuffled`.
    """
    ways: dict[int, tuple[Edit, ...]] = {0: ()}
    for unit in shuffled(units):
        longer = {
            cost + option.cost: edits + option.edits
            for cost, edits in ways.items()
            for option in shuffled(unit)
        }
        ways = {**longer, **ways}
    return ways


def nearest_cost(costs: Iterable[int], total: int, rating: int) -> int | None:
    """Return the cost nearest to the step of a rating, 1 to 4; None when none deserves that rating.

    Costs and `total` are in halves of content words.
    """
    step = total * (GOLD_RATING - rating)
    fit = [cost for cost in costs if rating_of(cost, total) == rating]
    return min(fit, key=lambda cost: (abs(_STEPS * cost - step), cost), default=None)


def _options(phrase: Phrase, before: Phrase | None, usable: Usable) -> Unit:
    whole = 2 * len(phrase.slot.content)
    edits = [(whole, Edit(phrase.slot.kind, (phrase.slot,)))]
    # A verb without an object goes with its own prepositions.
    of_verb = before and before.slot.kind == "action" and len(before.slot.content) == 1
    if phrase.slot.kind == "place" and not of_verb:
        edits.append((whole, Edit(OMISSION, (anywhere(phrase.slot),))))
    edits += [(2 * len(part.content), Edit(part.kind, (part,))) for part in phrase.parts]
    return tuple(Option(cost, (edit,)) for cost, edit in edits if usable(edit))


def _in_turn(first: Phrase, second: Phrase) -> bool:
    same = first.slot.kind == second.slot.kind == "action" and _form(first) == _form(second)
    return same and not _THEN.isdisjoint(second.between.split())


def _form(phrase: Phrase) -> str:
    return phrase.slot.type.rpartition("/")[0]


def _pair(first: Phrase, second: Phrase, one: Unit, other: Unit) -> Unit:
    cost = len(first.slot.content) + len(second.slot.content)
    order = Option(cost, (Edit(ORDER, (first.slot, second.slot)),))
    both = [Option(a.cost + b.cost, a.edits + b.edits) for a in one for b in other]
    return (order, *one, *other, *both)


def applied(text: str, put: Mapping[Slot, str]) -> str:
    """Return a text with other fillers in its slots, with capitals and `a` or `an` as needed."""
    edited, last = "", 0
    for slot in sorted(put, key=lambda slot: slot.start):
        filler = put[slot] if slot.pronouns != "f" else turned(put[slot], "m")
        if slot.capital:
            filler = filler[:1].upper() + filler[1:]
        edited += text[last : slot.start]
        edited = _agreeing(edited, filler) + filler
        last = slot.end
    return edited + text[last:]


def _agreeing(before: str, filler: str) -> str:
    head, space, article = before.rstrip().rpartition(" ")
    if article.lower() not in ("a", "an") or not before.endswith(" "):
        return before
    right = "an" if filler[:1].lower() in "aeiou" else "a"
    return head + space + (right.capitalize() if article[0].isupper() else right) + " "
