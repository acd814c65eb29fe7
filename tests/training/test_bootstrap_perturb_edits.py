"""Tests of what makes an answer deserve which rating, and of how edits are put into it."""

from __future__ import annotations

import pytest

from videojudge_bench.training.bootstrap.perturb.edits import (
    Edit,
    Option,
    applied,
    nearest_cost,
    rating_of,
    units_of,
    ways_of,
)
from videojudge_bench.training.bootstrap.perturb.slots import take_apart


def costs_of(text: str) -> dict[int, tuple[Edit, ...]]:
    return ways_of(units_of(take_apart(text).phrases, lambda edit: edit.name != "omission"), list)


@pytest.mark.parametrize(
    ("words", "ratings"),
    [
        # 4 c / W: 0, 4/3, 8/3, 4, rounded half up
        (3, [5, 4, 2, 1]),
        (4, [5, 4, 3, 2, 1]),
        # 0, .8, 1.6, 2.4, 3.2, 4
        (5, [5, 4, 3, 3, 2, 1]),
        # 0, .5, 1, 1.5, 2, 2.5, 3, 3.5, 4: halves make the worse rating
        (8, [5, 4, 4, 3, 3, 2, 2, 1, 1]),
    ],
)
def test_a_rating_is_the_nearest_of_five_steps(words: int, ratings: list[int]) -> None:
    assert [rating_of(2 * wrong, 2 * words) for wrong in range(words + 1)] == ratings


def test_the_cost_nearest_to_the_step_is_taken() -> None:
    costs = range(0, 17, 2)
    assert [nearest_cost(costs, 16, rating) for rating in (4, 3, 2, 1)] == [4, 8, 12, 16]
    assert nearest_cost([0, 6], 6, 3) is None


def test_every_sum_of_phrases_can_be_reached() -> None:
    # a man (1), is washing a car (2), in a garage (1); the object alone (1)
    assert sorted(costs_of("a man is washing a car in a garage")) == [0, 2, 4, 6, 8]


def test_alternatives_of_one_phrase_are_not_taken_together() -> None:
    unit = (Option(4, (Edit("action", ()),)), Option(2, (Edit("object", ()),)))
    assert sorted(ways_of([unit], list)) == [0, 2, 4]


def test_events_in_turn_can_change_places() -> None:
    phrases = take_apart("a man sings a song and then juggles balls").phrases
    units = units_of(phrases, lambda _: True)
    (order,) = [o for unit in units for o in unit if o.edits[0].name == "order"]
    assert order.cost == 4  # half of four words, in halves
    first, second = order.edits[0].slots
    made = applied(
        "a man sings a song and then juggles balls",
        {first: second.filler, second: first.filler},
    )
    assert made == "a man juggles balls and then sings a song"
    assert [edit.name for edit in costs_of("a man sings and dances")[4]] != ["order"]


def test_articles_and_capitals_agree() -> None:
    text = "A red car and an orange bus. Two dogs bark."
    phrases = take_apart(text).phrases
    slots = {slot.filler: slot for p in phrases for slot in (p.slot, *p.parts)}
    put = {"red": "orange", "orange": "red", "two dogs": "cats"}
    made = applied(text, {slots[name]: filler for name, filler in put.items()})
    assert made == "An orange car and a red bus. Cats bark."


def test_pronouns_of_a_filler_are_those_of_its_place() -> None:
    text = "a woman is washing her car"
    slot = take_apart(text).phrases[1].slot
    assert applied(text, {slot: "is riding his bike"}) == "a woman is riding her bike"
