"""Orders carry no gold: of the two responses of a pair, of options, of the rows of a file."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.goldsets import schema
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo, Shape
from videojudge_bench.items import Example, Item, OptionGold, Pair, PreferenceGold

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = TEXT.filter(bool)
PREFERENCES: tuple[Literal["a", "b", "tie"], ...] = ("a", "b", "tie")
FOR_A = {"a": Fraction(1), "tie": Fraction(1, 2), "b": Fraction(0)}
OTHER = {"a": "b", "b": "a", "tie": "tie"}
COUNT = 4_000


@st.composite
def pair_rows(draw: st.DrawFn) -> schema.PairRow:
    one, other = draw(st.lists(TEXT, min_size=2, max_size=2, unique=True))
    return schema.PairRow(
        id=draw(st.none() | NAME),
        video_id=draw(NAME),
        instruction=draw(NAME),
        response_a=one,
        response_b=other,
        preferences=tuple(draw(st.lists(st.sampled_from(PREFERENCES), min_size=1, max_size=5))),
    )


def mirrored(row: schema.PairRow) -> schema.PairRow:
    """The same pair with its responses the other way round."""
    preferences = [OTHER[preference] for preference in row.preferences]
    return schema.PairRow.model_validate(
        {
            **row.model_dump(),
            "response_a": row.response_b,
            "response_b": row.response_a,
            "preferences": tuple(preferences),
        }
    )


def gold_of(example: Example) -> float:
    assert isinstance(example.gold, PreferenceGold)
    return example.gold.p_first


def pair_of(example: Example) -> Pair:
    assert isinstance(example.item, Pair)
    return example.item


def set_of(shape: Shape, found: list[schema.Row]) -> GoldSet:
    info = GoldSetInfo("own", "Own", "human", shape, "CC0-1.0", "the tests", "it is made here")
    return schema.gold_set(found, info, None)


@given(pair_rows())
def test_the_gold_of_a_pair_belongs_to_the_text_shown_first(row: schema.PairRow) -> None:
    mean = sum(FOR_A[preference] for preference in row.preferences) / len(row.preferences)
    wanted = {row.response_a: mean, row.response_b: 1 - mean}
    for example in row.examples({}):
        assert gold_of(example) == pytest.approx(float(wanted[pair_of(example).first]), abs=1e-12)
        assert {pair_of(example).first, pair_of(example).second} == wanted.keys()


@given(pair_rows())
def test_the_two_orders_are_neighbours_and_complement_each_other(row: schema.PairRow) -> None:
    ab, ba = row.examples({})
    assert (pair_of(ab).first, pair_of(ab).second) == (pair_of(ba).second, pair_of(ba).first)
    assert gold_of(ab) + gold_of(ba) == pytest.approx(1, abs=1e-12)
    assert (ab.item.id, ba.item.id) == (f"{ab.unit}/ab", f"{ba.unit}/ba")
    assert ab.unit == ba.unit


@given(pair_rows())
def test_how_a_file_orders_the_responses_changes_nothing(row: schema.PairRow) -> None:
    for one, other in zip(row.examples({}), mirrored(row).examples({}), strict=True):
        assert one.item == other.item
        assert gold_of(one) == pytest.approx(gold_of(other), abs=1e-12)


@pytest.mark.parametrize("preferred", ["always a", "always the longer", "always the earlier text"])
def test_which_text_is_shown_first_says_nothing_of_gold(preferred: str) -> None:
    """A release often has the better one first, and it is often the longer one."""
    source = random.Random(7)
    wins = 0
    for number in range(COUNT):
        length = source.randint(1, 30)
        good, bad = "g" * (length + 1) + str(number), "h" * length + str(number)
        if preferred == "always a":
            good, bad = (good, bad) if source.random() < 0.5 else (bad, good)
        elif preferred == "always the earlier text":
            good, bad = min(good, bad), max(good, bad)
        row = schema.PairRow(
            video_id=f"v{number % 50}",
            instruction="do",
            response_a=good,
            response_b=bad,
            preferences=("a",),
        )
        wins += gold_of(next(row.examples({}))) == 1
    # Binomial(4000, ½) has the standard deviation 31.6; 2000 ± 5 of them.
    assert 1842 <= wins <= 2158


def test_a_response_of_many_pairs_of_one_kind_is_not_always_first() -> None:
    """Which of two texts is first depends on the video: a stock answer has no place of its own."""
    first = 0
    for number in range(COUNT):
        row = schema.PairRow(
            video_id=f"v{number}",
            instruction="do",
            response_a="I cannot see any video.",
            response_b="A dog runs.",
            preferences=("b",),
        )
        first += pair_of(next(row.examples({}))).first == row.response_a
    assert 1842 <= first <= 2158


def test_the_order_of_the_options_says_nothing_of_the_correct_one() -> None:
    """The correct option is the first in the file each time, and is anywhere in the set."""
    places: Counter[int] = Counter()
    for number in range(COUNT):
        row = schema.OptionRow(
            video_id=f"v{number % 50}",
            instruction=f"question {number}",
            options=("yes", "no", "perhaps", "never"),
            correct=0,
        )
        examples = list(row.examples({}))
        assert all(one.item.id < other.item.id for one, other in pairwise(examples))
        places[[e.gold == OptionGold(correct=True) for e in examples].index(True)] += 1
    # Binomial(4000, ¼) has the standard deviation 27.4; 1000 ± 5 of them.
    assert all(863 <= places[place] <= 1137 for place in range(4))


def test_an_option_shows_neither_its_index_nor_that_it_is_correct() -> None:
    row = schema.OptionRow(
        id="q", video_id="v", instruction="which?", options=("x", "y", "z"), correct=2
    )
    moved = schema.OptionRow(
        id="q", video_id="v", instruction="which?", options=("z", "x", "y"), correct=1
    )
    for example in row.examples({}):
        assert isinstance(example.item, Item)
        shown = {
            name: value for name, value in example.item.content().items() if name != "response"
        }
        del shown["id"]
        assert shown == {
            "video_id": "v",
            "instruction": "which?",
            "references": [],
            "description": None,
        }
    # Other places, another correct one: the items are the same, in the same order.
    assert [e.item for e in row.examples({})] == [e.item for e in moved.examples({})]


def some_rows(shape: Shape, *, ids: bool) -> list[schema.Row]:
    common = [
        {"video_id": f"v{n % 5}", "instruction": f"do {n % 3}", "id": f"row{n}" if ids else None}
        for n in range(60)
    ]
    if shape == "ratings":
        return [
            schema.RatingRow(**c, response=f"r{n}", ratings=(1.0 + n % 5,))  # type: ignore[arg-type]
            for n, c in enumerate(common)
        ]
    if shape == "options":
        return [
            schema.OptionRow(**c, options=(f"p{n}", "q", "r"), correct=n % 3)  # type: ignore[arg-type]
            for n, c in enumerate(common)
        ]
    return [
        schema.PairRow(**c, response_a=f"a{n}", response_b="b", preferences=("a", "tie"))  # type: ignore[arg-type]
        for n, c in enumerate(common)
    ]


@pytest.mark.parametrize("shape", ["ratings", "options", "pairs"])
@pytest.mark.parametrize("ids", [True, False])
def test_the_order_of_the_rows_changes_no_example(shape: Shape, *, ids: bool) -> None:
    made = some_rows(shape, ids=ids)
    whole = set_of(shape, made)
    random.Random(3).shuffle(made)
    shuffled = set_of(shape, made)
    assert [e.item.id for e in shuffled.examples] != [e.item.id for e in whole.examples]
    assert shuffled.by_id == whole.by_id
    assert shuffled.content_hash == whole.content_hash
