"""Verdicts, and the JSON form of judgements."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.verdicts import (
    Judgement,
    Preference,
    Rating,
    Unparsed,
    Usage,
    Verdict,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
ANY_TEXT = st.text(st.characters())  # lone surrogates included
VERDICTS: st.SearchStrategy[Verdict] = st.one_of(
    FINITE.map(Rating), st.floats(0, 1).map(Preference), ANY_TEXT.map(Unparsed)
)
JUDGEMENTS = st.builds(
    Judgement,
    item_id=ANY_TEXT,
    verdict=VERDICTS,
    reply=ANY_TEXT,
    probabilities=st.dictionaries(st.text(), st.floats(0, 1), max_size=5),
    usage=st.builds(Usage, st.integers(0), st.integers(0), st.floats(0, 1e9)),
    failed=st.booleans(),
)


@given(JUDGEMENTS)
def test_a_judgement_survives_json(judgement: Judgement) -> None:
    text = json.dumps(judgement.to_json())
    assert Judgement.from_json(json.loads(text)) == judgement


def test_empty_parts_are_left_out_of_json() -> None:
    assert Judgement("v/1", Rating(4.0)).to_json() == {"id": "v/1", "rating": 4.0}
    assert Judgement("v/1", Preference(0.0)).to_json() == {"id": "v/1", "p_first": 0.0}


def test_json_of_a_judgement_with_all_parts() -> None:
    judgement = Judgement(
        "v/1",
        Unparsed("cut off"),
        reply="<score>",
        probabilities={"1": 0.25, "5": 0.75},
        usage=Usage(100, 20, 1.5),
        failed=True,
    )
    assert judgement.to_json() == {
        "id": "v/1",
        "unparsed": "cut off",
        "reply": "<score>",
        "probabilities": {"1": 0.25, "5": 0.75},
        "usage": [100, 20, 1.5],
        "failed": True,
    }


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({}, "not a judgement: 'id'"),
        ({"id": 3, "rating": 4}, "not a judgement: expected text, got 3"),
        ({"id": "a"}, "expected one of rating, p_first, unparsed, got []"),
        ({"id": "a", "rating": 4, "p_first": 1}, "got ['rating', 'p_first']"),
        ({"id": "a", "rating": "4"}, "rating must be a number, got '4'"),
        ({"id": "a", "rating": True}, "rating must be a number, got True"),
        ({"id": "a", "rating": None}, "rating must be a number, got None"),
        ({"id": "a", "rating": math.nan}, "a rating must be a finite number, got nan"),
        ({"id": "a", "p_first": 1.5}, "a preference must lie in 0..1, got 1.5"),
        ({"id": "a", "unparsed": 1}, "expected text, got 1"),
        ({"id": "a", "rating": 4, "reply": None}, "expected text, got None"),
        ({"id": "a", "rating": 4, "probabilities": [1]}, "expected an object, got [1]"),
        ({"id": "a", "rating": 4, "probabilities": {"1": []}}, "not a judgement"),
        ({"id": "a", "rating": 4, "usage": [1, 2]}, "[input tokens, output tokens, seconds, cost]"),
        ({"id": "a", "rating": 4, "usage": [None, 2, 3]}, "not a judgement"),
    ],
)
def test_what_is_no_judgement_is_said(data: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is checked below
        Judgement.from_json(data)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "a", "rating": 1' + "0" * 400 + "}",
        '{"id": "a", "rating": 4, "usage": [Infinity, 0, 0]}',
        '{"id": "a", "rating": 4, "probabilities": {"5": 1' + "0" * 400 + "}}",
    ],
    ids=["rating", "usage", "probability"],
)
def test_numbers_too_large_for_a_float_are_no_judgement(line: str) -> None:
    with pytest.raises(ValueError, match="not a judgement"):
        Judgement.from_json(json.loads(line))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_rating_must_be_finite(value: float) -> None:
    with pytest.raises(ValueError, match=f"a rating must be a finite number, got {value}"):
        Rating(value)


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf])
def test_a_preference_must_lie_in_zero_to_one(value: float) -> None:
    with pytest.raises(ValueError, match=f"a preference must lie in 0..1, got {value}"):
        Preference(value)


@pytest.mark.parametrize(
    ("p_first", "choice"),
    [(1.0, "first"), (0.51, "first"), (0.5, "tie"), (0.49, "second"), (0.0, "second")],
)
def test_the_choice_of_a_preference(p_first: float, choice: str) -> None:
    assert Preference(p_first).choice == choice


@given(st.floats(0, 1))
def test_swapping_the_responses_swaps_the_choice(p_first: float) -> None:
    swapped = {"first": "second", "second": "first", "tie": "tie"}
    other = Preference(1.0 - p_first).choice
    # 1 - p is rounded: a p next to ½ may land on it.
    assert other == swapped[Preference(p_first).choice] or math.isclose(p_first, 0.5)


@pytest.mark.parametrize("verdict", [Rating(np.float32(3.5)), Preference(np.float32(0.5))])
def test_a_numpy_number_can_be_written(verdict: Verdict) -> None:
    # Judges that compute with numpy or torch give such numbers, and the journal writes JSON.
    judgement = Judgement("a", verdict)
    assert Judgement.from_json(json.loads(json.dumps(judgement.to_json()))) == judgement


def test_usage_adds_up_part_by_part() -> None:
    assert Usage(1, 2, 0.5) + Usage(10, 20, 0.25) == Usage(11, 22, 0.75)
