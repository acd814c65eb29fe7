"""Items, pairs, gold and the two parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.items import (
    Example,
    Gold,
    Item,
    NoGold,
    OptionGold,
    Pair,
    PreferenceGold,
    RatingGold,
    Subtitle,
    opaque_id,
    part_of,
)

TEXT = st.text(st.characters())
SECONDS = st.floats(min_value=0, max_value=4_000)
PAIRS = st.builds(
    Pair,
    id=TEXT,
    video_id=TEXT,
    instruction=TEXT,
    first=TEXT,
    second=TEXT,
    references=st.lists(TEXT, max_size=3).map(tuple),
    description=st.none() | TEXT,
    subtitles=st.lists(st.builds(Subtitle, SECONDS, SECONDS, TEXT), max_size=2).map(tuple),
    video=st.none() | st.just(Path("v.mp4")),
)


def test_items_of_one_video_and_instruction_are_one_group() -> None:
    assert Item("a", "v", "do", "x").group == ("v", "do")
    assert Pair("p", "v", "do", "x", "y").group == ("v", "do")


def test_content_of_an_item_is_all_but_the_video_file() -> None:
    item = Item("a", "v", "do", "x", ("r1", "r2"), "d", video=Path("v.mp4"))
    assert item.content() == {
        "id": "a",
        "video_id": "v",
        "instruction": "do",
        "response": "x",
        "references": ["r1", "r2"],
        "description": "d",
    }


SAID = (Subtitle(0.0, 1.5, "hello"), Subtitle(1.5, 2.0, "world"))


def test_what_is_said_is_content_where_it_is_known() -> None:
    """A set without subtitles keeps the hash that it had before there were any."""
    for item in (Item("a", "v", "do", "x"), Pair("p", "v", "do", "x", "y")):
        assert "subtitles" not in item.content()
        said = replace(item, subtitles=SAID).content()
        assert said == {
            **item.content(),
            "subtitles": [[0.0, 1.5, "hello"], [1.5, 2.0, "world"]],
        }


def test_content_of_a_pair_keeps_the_order_shown() -> None:
    content = Pair("p", "v", "do", "x", "y").content()
    assert (content["first"], content["second"]) == ("x", "y")
    assert "response" not in content


@given(PAIRS)
def test_the_sides_of_a_pair_differ_in_response_and_id_alone(pair: Pair) -> None:
    first, second = pair.sides()
    assert (first.response, second.response) == (pair.first, pair.second)
    assert (first.id, second.id) == (f"{pair.id}#first", f"{pair.id}#second")
    for side in (first, second):
        assert side.group == pair.group
        for name in ("video_id", "references", "description", "subtitles", "video"):
            assert getattr(side, name) == getattr(pair, name)


def test_the_mean_over_raters() -> None:
    assert RatingGold((1.0, 2.0, 5.0)).mean == pytest.approx(8 / 3)


@pytest.mark.parametrize(
    ("gold", "text", "expected"),
    [
        (RatingGold((4.0, 5.0)), "4 5", [4.0, 5.0]),
        (OptionGold(correct=True), "correct", True),
        (OptionGold(correct=False), "distractor", False),
        (PreferenceGold(1.0), "first", 1.0),
        (PreferenceGold(0.0), "second", 0.0),
        (NoGold(), "none", None),
    ],
)
def test_gold_writes_itself_and_is_content_of_its_example(
    gold: Gold, text: str, expected: object
) -> None:
    assert (str(gold), gold.to_json()) == (text, expected)
    item = Item("a", "v", "do", "x")
    content = Example(item, gold, unit="u", system="s", labels={"kind": "k"}).content()
    assert content == {**item.content(), "gold": expected, "unit": "u", "system": "s"}


@given(TEXT)
def test_every_video_is_in_one_part_and_stays_there(video_id: str) -> None:
    assert part_of(video_id) in ("dev", "test")
    assert part_of(video_id) == part_of(video_id)


def test_the_parts_halve_the_videos() -> None:
    # Binomial(4000, ½) has the standard deviation 31.6; 2000 ± 5 of them.
    count = sum(part_of(f"video-{number}") == "dev" for number in range(4000))
    assert 1842 <= count <= 2158


def test_parts_of_the_videos_of_the_tests() -> None:
    # printf 'part\x1fv0' | sha256sum | cut -c1: 8 and above is `test`. v0 8, v1 b, v2 1,
    # v3 2. A change here would move videos between dev and test of every gold set.
    assert [part_of(f"v{number}") for number in range(4)] == ["test", "test", "dev", "dev"]


@given(TEXT, st.lists(TEXT, max_size=3))
def test_an_opaque_id_begins_with_the_video(video_id: str, parts: list[str]) -> None:
    made = opaque_id(video_id, *parts)
    assert made.startswith(f"{video_id}/")
    assert len(made) == len(video_id) + 11
    assert made == opaque_id(video_id, *parts)


def test_an_opaque_id_hides_its_parts_and_tells_them_apart() -> None:
    made = opaque_id("v", "gpt", "rating 5")
    assert "gpt" not in made
    assert "rating" not in made
    assert made != opaque_id("v", "gpt", "rating 4")
    assert made != opaque_id("v", "gptrating 5")
    assert made != opaque_id("v", "rating 5", "gpt")


def test_the_system_is_part_of_an_examples_content_where_it_is_known() -> None:
    item = Item("v/a", "v", "what?", "a cat")
    without = Example(item, RatingGold((3.0,)), "v")
    named = [Example(item, RatingGold((3.0,)), "v", system=name) for name in ("one", "two")]
    assert "system" not in without.content()
    assert [example.content()["system"] for example in named] == ["one", "two"]
