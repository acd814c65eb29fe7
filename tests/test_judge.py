"""The contract of a judge, with the smallest judges that can be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge, preference_from_ratings
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

ITEM = Item("a", "v", "do", "four words are here")
PAIR = Pair("p", "v", "do", "two words", "one")


class Words(Judge):
    """Rates by the number of words, and none of an empty response."""

    scale = None

    def rate(self, item: Item) -> Rating | Unparsed:
        if not item.response:
            return Unparsed("empty")
        return Rating(float(len(item.response.split())))


def test_rate_alone_makes_a_judge_of_items_and_pairs() -> None:
    judge = Words()
    assert list(judge.judge([ITEM, PAIR])) == [
        Judgement("a", Rating(4.0)),
        Judgement("p", Preference(1.0)),
    ]


def test_the_defaults_of_a_judge() -> None:
    judge = Judge()  # type: ignore[abstract,unused-ignore]
    assert judge.requires == frozenset()
    assert judge.scale == RatingScale(1, 5)
    assert judge.abilities == {"rate", "prefer"}
    assert judge.fits_on_dev is False
    assert judge.settings() == {}
    judge.fit([ITEM])
    judge.fit_dev([(ITEM, 3.0)])
    judge.close()


def test_a_judge_without_rate_says_what_it_lacks() -> None:
    class Empty(Judge):
        pass

    with pytest.raises(NotImplementedError, match="Empty rates no single response; it needs a"):
        Empty().rate(ITEM)


def test_judging_is_lazy() -> None:
    taken: list[str] = []

    def items() -> Iterator[Item]:
        for number in range(3):
            taken.append(str(number))
            yield Item(str(number), "v", "do", "x")

    stream: Iterable[Judgement] = Words().judge(items())
    assert next(iter(stream)).item_id == "0"
    assert taken == ["0"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (Rating(2.0), Rating(1.0), Preference(1.0)),
        (Rating(1.0), Rating(2.0), Preference(0.0)),
        (Rating(-3.0), Rating(-3.0), Preference(0.5)),
        (Unparsed("x"), Rating(1.0), Unparsed("first response: x")),
        (Rating(1.0), Unparsed("y"), Unparsed("second response: y")),
        (Unparsed("x"), Unparsed("y"), Unparsed("first response: x")),
    ],
)
def test_the_preference_that_two_ratings_amount_to(
    first: Rating | Unparsed, second: Rating | Unparsed, expected: Preference | Unparsed
) -> None:
    assert preference_from_ratings(first, second) == expected


@given(*[st.floats(allow_nan=False, allow_infinity=False)] * 2)
def test_swapping_two_ratings_flips_the_preference(one: float, other: float) -> None:
    there = preference_from_ratings(Rating(one), Rating(other))
    back = preference_from_ratings(Rating(other), Rating(one))
    assert isinstance(there, Preference)
    assert isinstance(back, Preference)
    assert there.p_first + back.p_first == 1.0


def test_each_side_of_a_pair_is_rated_once_and_in_order() -> None:
    asked: list[str] = []

    class Recorder(Words):
        def rate(self, item: Item) -> Rating | Unparsed:
            asked.append(item.id)
            return super().rate(item)

    assert Recorder().prefer(Pair("p", "v", "do", "", "x")) == Unparsed("first response: empty")
    assert asked == ["p#first", "p#second"]
