"""The rating scale."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.scale import RatingScale

SCALES = st.tuples(st.integers(-50, 50), st.integers(1, 50)).map(
    lambda pair: RatingScale(pair[0], pair[0] + pair[1])
)
NUMBERS = st.floats(-200, 200)


def test_values_middle_and_text_of_one_to_five() -> None:
    scale = RatingScale(1, 5)
    assert scale.values == (1, 2, 3, 4, 5)
    assert scale.middle == 3.0
    assert str(scale) == "1-5"
    assert scale == RatingScale()


def test_a_scale_of_two_values_has_its_middle_between_them() -> None:
    scale = RatingScale(0, 1)
    assert scale.values == (0, 1)
    assert scale.middle == 0.5


@pytest.mark.parametrize(("low", "high"), [(5, 1), (3, 3)])
def test_low_must_be_below_high(low: int, high: int) -> None:
    with pytest.raises(ValueError, match=f"needs low < high, got {low} and {high}"):
        RatingScale(low, high)


@pytest.mark.parametrize(
    ("value", "inside"),
    [(1, True), (5, True), (2.5, True), (0.999, False), (5.001, False), (math.nan, False)],
)
def test_contains_both_ends_and_what_lies_between(value: float, inside: bool) -> None:
    assert (value in RatingScale(1, 5)) is inside


# 3 is as far from 1 as from 5: the low end. Just above 3 the low end is farther, just below, the
# high end.
@pytest.mark.parametrize(
    ("value", "end"), [(1, 5), (2.99, 5), (3, 1), (3.01, 1), (5, 1), (9, 1), (-9, 5)]
)
def test_the_farthest_end(value: float, end: int) -> None:
    assert RatingScale(1, 5).farthest_from(value) == end


@given(SCALES, NUMBERS)
def test_clip_lands_on_the_scale_and_moves_nothing_that_is_there(
    scale: RatingScale, value: float
) -> None:
    clipped = scale.clip(value)
    assert clipped in scale
    assert isinstance(clipped, float)
    if value in scale:
        assert clipped == value
    else:
        assert clipped in (scale.low, scale.high)
        assert abs(value - clipped) == min(abs(value - scale.low), abs(value - scale.high))


@given(SCALES, NUMBERS)
def test_no_end_is_farther_than_the_farthest(scale: RatingScale, value: float) -> None:
    farthest = abs(value - scale.farthest_from(value))
    # `value` may be so small that adding it to an end loses its last digits.
    assert farthest >= max(abs(value - scale.low), abs(value - scale.high)) - 1e-9
