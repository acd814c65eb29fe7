"""Tests of how a text is taken apart into what can be made wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.training.bootstrap.perturb import words
from videojudge_bench.training.bootstrap.perturb.slots import anywhere, take_apart, wider
from videojudge_bench.training.bootstrap.perturb.tagging import lower_words, tagged

CAPTION = "A young girl is riding a small bike on a sidewalk while ringing her bike's bell ."


def test_a_caption_is_taken_apart_into_typed_phrases() -> None:
    found = [(p.slot.filler, p.slot.type) for p in take_apart(CAPTION).phrases]
    assert found == [
        ("a young girl", "who/one//2"),
        ("is riding a small bike", "action/is ing+on//3"),
        ("on a sidewalk", "place/on//1"),
        ("ringing his bike's bell", "action/ING/own/3"),
    ]


def test_parts_of_a_phrase_can_be_exchanged_alone() -> None:
    phrases = take_apart("two men wash a big red car in front of a house").phrases
    parts = [[(part.kind, part.filler) for part in phrase.parts] for phrase in phrases]
    assert parts == [
        [("count", "two")],
        [("opposite", "big"), ("attribute", "red"), ("object", "a big red car")],
        [],
    ]


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("people run and jump", ["action/BASE//1", "action/BASE//1"]),
        ("a man runs and then jumps into a pool", ["who/one//1", "action/FIN//1"]),
        ("a group of men is singing", ["who/one//1", "action/is ing//1"]),
        ("a group of men are singing", ["who/many//1", "action/are ing//1"]),
        ("why did the boy lift his hand", ["who/one//1", "action/BASE/own/2"]),
        ("a man uses ice skates", ["who/one//1", "action/FIN//2"]),
    ],
)
def test_the_forms_of_verbs_and_nouns_are_told_apart(text: str, types: list[str]) -> None:
    assert [phrase.slot.type for phrase in take_apart(text).phrases][: len(types)] == types


def test_people_of_no_kind_are_nothing_that_can_be_wrong() -> None:
    anatomy = take_apart("a person is waving")
    assert [phrase.slot.filler for phrase in anatomy.phrases] == ["is waving"]
    assert anatomy.content_words == 1


def test_a_phrase_begins_with_a_small_letter_away_from_its_sentence() -> None:
    (slot,) = (phrase.slot for phrase in take_apart("Two dogs.").phrases)
    assert (slot.filler, slot.capital) == ("two dogs", True)


def test_a_place_of_any_preposition_is_grouped_by_its_preposition() -> None:
    slot = take_apart("in a gym").phrases[0].slot
    assert (anywhere(slot).type, anywhere(slot).group) == ("place/any//1", "in")


def test_rare_types_belong_to_wider_ones_that_belong_to_themselves() -> None:
    for type_ in ("action/is ing+on//3", "place/atop//2", "object/of wash up//1", "who/one//2"):
        narrow, wide = wider(type_)
        assert wider(narrow) == (narrow, wide)
        assert wider(wide)[1] == wide


def test_forms_of_one_word_have_one_stem() -> None:
    for forms in ("jump jumps jumping jumped", "throw throws throwing", "slice slices slicing"):
        assert len({words.stem(form) for form in forms.split()}) == 1
    assert words.stem("guy") == words.stem("man") != words.stem("woman")


def test_pronouns_turn_with_their_person() -> None:
    assert words.turned("He washes his car himself.", "m") == "She washes her car herself."
    assert words.turned("She shows her hands as they help her .", "f") == (
        "He shows his hands as they help him ."
    )


@given(st.text(alphabet=st.sampled_from([*"aAsnd ing.,'é1_\n"]), max_size=60) | st.text())
def test_any_text_is_taken_apart_without_loss(text: str) -> None:
    anatomy = take_apart(text)
    ends = 0
    for phrase in anatomy.phrases:
        assert ends <= phrase.slot.start < phrase.slot.end <= len(text)
        ends = phrase.slot.end
        for part in phrase.parts:
            assert phrase.slot.start <= part.start < part.end <= phrase.slot.end
            assert len(part.content) <= len(phrase.slot.content)
    assert anatomy.content_words == sum(map(words.is_content, lower_words(text)))


@given(st.text())
def test_tokens_stand_where_they_say(text: str) -> None:
    for token in tagged(text):
        assert text[token.start : token.end].lower() == token.word
