"""What a gold set checks and what its hash depends on."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench import goldsets
from videojudge_bench._util.hashing import content_hash
from videojudge_bench.errors import DataError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo, Shape, examples_hash
from videojudge_bench.items import Example, Gold, Item, OptionGold, PreferenceGold, RatingGold
from videojudge_bench.scale import RatingScale

INFO = GoldSetInfo(
    name="tiny",
    title="Tiny",
    kind="human",
    shape="ratings",
    licence="CC0-1.0",
    source="the tests",
    how_to_get="it is made by the tests",
)


def _example(item_id: str = "a", gold: Gold | None = None) -> Example:
    return Example(Item(item_id, "v", "do", "x"), gold or RatingGold((3.0, 4.0)), unit="v")


def _problem(*examples: Example, shape: Shape = "ratings") -> str:
    with pytest.raises(DataError) as caught:
        GoldSet(replace(INFO, shape=shape), examples)
    return str(caught.value)


def test_the_defaults_of_what_is_said_of_a_set() -> None:
    assert INFO.task == "videojudge_tiny"
    assert INFO.scale == RatingScale(1, 5)
    assert (INFO.data, INFO.version, INFO.recipe) == ("full", "1", None)
    assert not INFO.systems


@pytest.mark.parametrize(
    ("data", "has_dev"), [("full", True), ("validation half", True), ("sample-140", False)]
)
def test_samples_have_no_dev_part(data: str, has_dev: bool) -> None:
    assert replace(INFO, data=data).has_dev is has_dev


def test_an_empty_set_is_refused() -> None:
    assert _problem() == "videojudge_tiny: the set is empty; it needs at least one example"


def test_a_duplicate_id_is_refused() -> None:
    assert _problem(_example("a"), _example("b"), _example("a")) == (
        "videojudge_tiny: duplicate item id 'a'; ids must be unique in a set"
    )


@pytest.mark.parametrize(
    ("shape", "gold", "found", "needed"),
    [
        ("ratings", OptionGold(correct=True), "OptionGold", "RatingGold"),
        ("options", PreferenceGold(1.0), "PreferenceGold", "OptionGold"),
        ("pairs", RatingGold((3.0,)), "RatingGold", "PreferenceGold"),
    ],
)
def test_gold_of_another_shape_is_refused(
    shape: Shape, gold: Gold, found: str, needed: str
) -> None:
    assert _problem(_example(gold=gold), shape=shape) == (
        f"videojudge_tiny: item 'a' has {found}; {shape} need {needed}"
    )


@pytest.mark.parametrize(
    ("ratings", "problem"),
    [
        ((), "has no rating; at least one rater is needed"),
        ((0.5, 3.0), "has the gold rating 0.5, outside the scale 1-5"),
        ((3.0, 5.1), "has the gold rating 5.1, outside the scale 1-5"),
        ((3.0, math.nan), "has the gold rating nan, outside the scale 1-5"),
        ((3.0,), "has 1 ratings, but the first item has 2"),
    ],
)
def test_gold_ratings_that_cannot_be(ratings: tuple[float, ...], problem: str) -> None:
    text = _problem(_example("first"), _example("b", RatingGold(ratings)))
    assert text == f"videojudge_tiny: item 'b' {problem}"


def test_the_first_item_needs_a_rating_too() -> None:
    assert "item 'a' has no rating" in _problem(_example("a", RatingGold(())))


def test_ratings_may_lie_between_whole_numbers_and_on_the_ends() -> None:
    GoldSet(INFO, (_example("a", RatingGold((1.0, 5.0))), _example("b", RatingGold((2.5, 3.0)))))


@pytest.mark.parametrize("system", [None, ""])
def test_a_set_that_names_systems_names_them_all(system: str | None) -> None:
    info = replace(INFO, systems=True)
    named = replace(_example("a"), system="vila")
    assert GoldSet(info, (named,)).info.systems
    with pytest.raises(DataError) as caught:
        GoldSet(info, (named, replace(_example("b"), system=system)))
    assert str(caught.value) == (
        "videojudge_tiny: item 'b' has no system; in a set that names the answering systems, every "
        "example needs one"
    )


def test_a_set_that_does_not_compare_systems_may_name_some() -> None:
    GoldSet(INFO, (replace(_example("a"), system="vila"), _example("b")))


def test_examples_are_found_by_id(rated_set: GoldSet) -> None:
    assert rated_set.by_id["v1/dog"].gold == RatingGold((2.0, 2.0))
    assert list(rated_set.by_id) == [example.item.id for example in rated_set.examples]


def test_the_most_references_of_an_item(rated_set: GoldSet, pair_set: GoldSet) -> None:
    assert rated_set.max_references == 2
    assert pair_set.max_references == 0


@given(st.randoms(use_true_random=False))
def test_the_hash_ignores_the_order_of_examples(order: random.Random) -> None:
    examples = [_example(str(number)) for number in range(6)]
    shuffled = order.sample(examples, len(examples))
    assert examples_hash(shuffled) == examples_hash(examples)
    assert GoldSet(INFO, tuple(shuffled)).content_hash == examples_hash(examples)


def test_the_hash_is_made_from_the_contents() -> None:
    examples = [_example("a"), _example("b")]
    expected = content_hash(sorted(content_hash(example.content()) for example in examples))
    assert examples_hash(examples) == expected


@pytest.mark.parametrize(
    "changed",
    [
        replace(_example(), gold=RatingGold((3.0, 5.0))),
        replace(_example(), unit="other"),
        replace(_example(), item=Item("a", "v", "do", "y")),
        replace(_example(), item=Item("a", "v", "do it", "x")),
        replace(_example(), item=Item("a", "w", "do", "x")),
        replace(_example(), item=Item("a", "v", "do", "x", references=("r",))),
        replace(_example(), item=Item("a", "v", "do", "x", description="d")),
        replace(_example(), item=Item("b", "v", "do", "x")),
    ],
)
def test_the_hash_changes_with_whatever_can_change_a_number(changed: Example) -> None:
    assert examples_hash([changed]) != examples_hash([_example()])


def test_the_hash_counts_examples() -> None:
    assert examples_hash([_example()]) != examples_hash([_example(), _example()])


def test_gold_sets_by_name() -> None:
    assert goldsets.names() == sorted(goldsets.names())
    for name in goldsets.names():
        assert goldsets.info(name).name == name
    with pytest.raises(UnknownNameError) as caught:
        goldsets.load("vatx")
    assert str(caught.value).startswith("unknown gold set 'vatx'. Did you mean 'vatex'? Known: ")
    assert str(caught.value).endswith("See `videojudge data list`.")


def test_a_gold_set_is_read_once_per_process() -> None:
    assert goldsets.load("vatex") is goldsets.load("vatex")
