"""Replies with a slot for each criterion."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.criteria import OVERALL, YES_NO, Criterion, overall_criterion, weighted
from videojudge_bench.engine import EngineError, Reply
from videojudge_bench.replies._reading import CUT_OFF
from videojudge_bench.replies.criteria import (
    format_criteria,
    parse_criterion,
    read_criteria,
    slot_place,
)
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

RIGHT, WHOLE = Criterion("right", "Is it right?", 3), Criterion("whole", "Is it whole?")
POLITE = Criterion("polite", "Is it polite?", 0, YES_NO)
ALL = (RIGHT, WHOLE, POLITE)
SCALE = RatingScale(1, 5)
LINES = format_criteria({"right": 4, "whole": 2, "polite": "yes"})


def read(text: str, *slots: Criterion, lost_mass: float | None = None) -> Judgement:
    return read_criteria("a", Reply(text), slots or ALL, SCALE, lost_mass)


def test_a_written_reply_is_a_line_for_each_slot() -> None:
    assert LINES == (
        '<score name="right">4</score>\n<score name="whole">2</score>\n'
        '<score name="polite">yes</score>'
    )
    assert format_criteria({"a": 1}, thinking="<score>5</score>?") == (
        '<thinking>(score)5(/score)?</thinking>\n<score name="a">1</score>'
    )


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from(["yes", "no"]),
    st.integers(1, 5),
    st.text(max_size=40),
)
def test_what_is_written_is_read(
    right: int, whole: int, polite: str, overall: int, thinking: str
) -> None:
    values: dict[str, int | str] = {
        "right": right,
        "whole": whole,
        "polite": polite,
        OVERALL: overall,
    }
    found = read(format_criteria(values, thinking=thinking), *ALL, overall_criterion(SCALE))
    assert found.verdict == Rating(overall)
    assert found.criteria == {"right": right, "whole": whole, "polite": float(polite == "yes")}


def test_the_overall_score_is_the_weighted_mean_of_shares_of_the_scales() -> None:
    """By hand: (3 x 3/4 + 1 x 1/4) / 4 = 0.625, and 1 + 4 x 0.625 = 3.5; weight 0 is left out."""
    assert read(LINES).verdict == Rating(3.5)
    half = Criterion("polite", "?", 4, YES_NO)
    values = {"right": 5.0, "polite": 0.0}  # (3 x 1 + 4 x 0) / 7 of 0-10
    assert weighted((RIGHT, half), values, RatingScale(0, 10)) == pytest.approx(30 / 7)
    huge = [Criterion("a", "?", 1e308), Criterion("b", "?", 1e308)]
    assert weighted(huge, {"a": 1, "b": 5}, SCALE) == 3.0
    tiny = [Criterion("a", "?", 5e-324)]
    assert weighted(tiny, {"a": 2}, SCALE) == 2.0


def test_a_missing_criterion_leaves_no_overall_by_weights() -> None:
    without_whole = '<score name="right">4</score>\n<score name="polite">no</score>'
    found = read(without_whole)
    assert found.verdict == Unparsed('criterion whole: no slot <score name="whole">')
    assert found.criteria == {"right": 4.0, "whole": None, "polite": 0.0}
    of_no_weight = '<score name="right">4</score>\n<score name="whole">2</score>'
    found = read(of_no_weight)
    assert (found.verdict, found.criteria["polite"]) == (Rating(3.5), None)


def test_the_models_overall_stands_without_a_criterion() -> None:
    found = read(f'{LINES}\n<score name="overall">1</score>', RIGHT, overall_criterion(SCALE))
    assert (found.verdict, found.criteria) == (Rating(1), {"right": 4.0})
    found = read('<score name="overall">1</score>', RIGHT, overall_criterion(SCALE))
    assert (found.verdict, found.criteria) == (Rating(1), {"right": None})
    found = read(LINES, RIGHT, overall_criterion(SCALE))
    assert (found.verdict, found.criteria) == (
        Unparsed('no slot <score name="overall">'),
        {"right": 4.0},
    )


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (LINES, 4),
        (f"<thinking>So it is.</thinking>\n\n{LINES}\n", 4),
        (f"```\n{LINES}\n```", 4),
        ('- Right: <score name="right">4</score>\n- Whole: <score name="whole">5</score>', 4),
        ('1. **right**: <score name="right">4</score>\n2. <score name="whole">5</score>', 4),
        ('<score name="right">4</score> <score name="whole">5</score>', 4),
        ("<score name='RIGHT' >4.5</score>", 4.5),
        ("<score name=right>4/5</score>", 4),
        ("<SCORE NAME=“right”>4</SCORE>", 4),
        ('<think>It said <score name="right">1</score>.</think><score name="right">4</score>', 4),
        ('<score name="right">4</score><score name="right">4</score>', 4),
        ('<score name="right">4</score>\n<score>1</score>', 4),  # a slot that was not asked for
    ],
)
def test_slots_that_are_read(reply: str, value: float) -> None:
    assert parse_criterion(reply, RIGHT) == Rating(value)
    place = slot_place(reply.replace("“", '"').replace("”", '"'), RIGHT)
    assert place is not None
    assert reply[place:].startswith(f"{value:g}")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", 'no slot <score name="right">'),
        ("<score>4</score>", 'no slot <score name="right">'),
        ("right: 4", 'no slot <score name="right">'),
        ('<score name="right">4', 'no slot <score name="right">'),
        ('<score name="wright">4</score>', 'no slot <score name="right">'),
        ('<think>Hm. <score name="right">4</score>', "reply ends inside <think>"),
        ('<think>Hm. <score name="right">4</score></think>3', 'no slot <score name="right">'),
        ('<score name="right">4</score>\n<score name="right">3</score>', "contradicts itself"),
        ('<score name="right">6</score>', "6 is outside the scale 1-5"),
        ('<score name="right">3-4</score>', "a range, not one rating"),
        ('<score name="right"></score>', "<score> holds '', which is no rating"),
        ('<score name="right">yes</score>', "<score> holds 'yes', which is no rating"),
        ('Its text is "<score name="right">5</score>".', "no rating found"),
        ('It says "<score name="right">5</score>". Rating: 4', "stated outside of its slot"),
        ('If it were so, I would give <score name="right">5</score>.', "5 is no verdict"),
        ('<score name="right">4</score>\nRating: 2', "contradicts itself"),
    ],
)
def test_slots_that_state_nothing(reply: str, reason: str) -> None:
    found = parse_criterion(reply, RIGHT)
    assert isinstance(found, Unparsed)
    assert found.reason.startswith(reason)
    assert slot_place(reply, RIGHT) is None


@pytest.mark.parametrize(
    ("held", "value"),
    [("yes", 1), (" No\n", 0), ("YES", 1), ("1", None), ("0.5", None), ("maybe", None), ("", None)],
)
def test_yes_or_no_are_those_words(held: str, value: float | None) -> None:
    found = parse_criterion(f'<score name="polite">{held}</score>', POLITE)
    assert found == Rating(value) if value is not None else isinstance(found, Unparsed)


def test_a_reply_that_is_cut_off_or_failed_has_no_verdict() -> None:
    cut = read_criteria("a", Reply(LINES, finished=False), ALL, SCALE, None)
    assert (cut.verdict, set(cut.criteria.values())) == (Unparsed(CUT_OFF), {None})
    lost = read_criteria("a", EngineError("lost"), ALL, SCALE, None)
    assert lost.failed
    assert lost.verdict == Unparsed("engine: lost")
    assert lost.criteria == dict.fromkeys(("right", "whole", "polite"))


def test_expected_scores_are_means_of_the_probabilities_in_each_slot() -> None:
    """By hand: right = (3 + 2 x 4) / 3 x ..., of masses 0.3 and 0.6; polite = 0.9 / 1."""
    known: Mapping[str, float] = {
        **{f"right={n}": 0.0 for n in (1, 2, 5)}, "right=3": 0.3, "right=4": 0.6,
        "polite=yes": 0.9, "polite=no": 0.1,
        **{f"whole={n}": 0.1 for n in range(1, 6)},
    }  # fmt: skip
    found = read_criteria("a", Reply(LINES, known), ALL, SCALE, 0.2)
    assert found.criteria == {
        "right": pytest.approx(3.3 / 0.9), "whole": None, "polite": pytest.approx(0.9),
    }  # fmt: skip
    assert isinstance(found.verdict, Unparsed)
    assert found.verdict.reason.startswith("criterion whole: lost mass 0.50")
    none = read_criteria("a", Reply(LINES), (RIGHT,), SCALE, 0.2)
    assert isinstance(none.verdict, Unparsed)
    assert none.verdict.reason.startswith("criterion right: no probabilities")


def test_a_judgement_keeps_its_criteria() -> None:
    found = read(LINES.replace("yes", "perhaps"))
    assert found.to_json()["criteria"] == {"right": 4.0, "whole": 2.0, "polite": None}
    assert Judgement.from_json(found.to_json()) == found
    for wrong in ({"a": "x"}, [1], {"a": float("nan")}):
        with pytest.raises(ValueError, match=r"not a judgement|finite|convert"):
            Judgement.from_json({"id": "a", "rating": 1.0, "criteria": wrong})
