"""A judgement survives its way through lmms-eval; what a model wrote is parsed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.harness.scoring import open_reply, seal, seal_refusal
from videojudge_bench.items import Item, Pair
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Usage, Verdict

SCALE = RatingScale(1, 5)
ITEM = Item("v0/a", "v0", "What happens?", "A cat sleeps.")
PAIR = Pair("v0/ab", "v0", "What happens?", "A cat sleeps.", "A dog barks.")

numbers = st.floats(allow_nan=False, allow_infinity=False)
verdicts: st.SearchStrategy[Verdict] = st.one_of(
    st.builds(Rating, numbers),
    st.builds(Preference, st.floats(0, 1)),
    st.builds(Unparsed, st.text(min_size=1)),
)
judgements = st.builds(
    Judgement,
    item_id=st.just(ITEM.id),
    verdict=verdicts,
    reply=st.text(),
    probabilities=st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=5),
    usage=st.builds(Usage, st.integers(0, 9), st.integers(0, 9), st.floats(0, 9)),
    failed=st.booleans(),
)


@given(judgements)
def test_a_sealed_judgement_comes_back_whole(judgement: Judgement) -> None:
    assert open_reply(seal(judgement), ITEM, SCALE) == judgement


@given(judgements)
def test_a_sealed_judgement_holds_no_tag_that_the_host_could_cut(judgement: Judgement) -> None:
    assert "<" not in seal(judgement)


@given(st.text())
def test_a_refusal_is_no_judgement(reason: str) -> None:
    assert open_reply(seal_refusal(reason), ITEM, SCALE) is None
    assert "<" not in seal_refusal(reason)


def test_what_a_model_wrote_is_parsed() -> None:
    reply = "<thinking>It is.</thinking>\n<score>4</score>"
    assert open_reply(reply, ITEM, SCALE) == Judgement(ITEM.id, Rating(4.0), reply=reply)
    reply = "<answer>B</answer>"
    assert open_reply(reply, PAIR, SCALE) == Judgement(PAIR.id, Preference(0.0), reply=reply)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I cannot say.",
        '{"videojudge": 1, "id": "v0/a", "rating"',  # cut short
        '{"videojudge": 1',
    ],
)
def test_what_cannot_be_read_is_unparsed(reply: str) -> None:
    judgement = open_reply(reply, ITEM, SCALE)
    assert judgement is not None
    assert isinstance(judgement.verdict, Unparsed)
    assert (judgement.item_id, judgement.reply) == (ITEM.id, reply)


def test_the_judgement_of_another_item_is_never_taken_for_this_one() -> None:
    judgement = open_reply(seal(Judgement("v0/b", Rating(4.0))), ITEM, SCALE)
    assert judgement is not None
    assert judgement.item_id == ITEM.id
    assert isinstance(judgement.verdict, Unparsed)


def test_a_sealed_judgement_without_a_verdict_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected one of rating, p_first, unparsed, got"):
        open_reply(json.dumps({"videojudge": 1, "id": ITEM.id}), ITEM, SCALE)
