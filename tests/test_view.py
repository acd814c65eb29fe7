"""What a run shows of an item."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.view import References, checked_references, view_of

FIRST, SECOND = "a cat sleeps on a sofa", "the cat is asleep"


@pytest.mark.parametrize(
    ("asked", "shown"),
    [(0, ()), (1, (FIRST,)), (2, (FIRST, SECOND)), (99, (FIRST, SECOND)), ("all", (FIRST, SECOND))],
)
def test_the_first_references_are_shown(
    rated_set: GoldSet, asked: References, shown: tuple[str, ...]
) -> None:
    view = view_of(rated_set, asked, None)
    assert view.item("v0/cat").references == shown
    assert view.references == len(shown)


def test_items_with_fewer_references_show_what_they_have(rated_set: GoldSet) -> None:
    example = rated_set.examples[0]
    fewer = replace(example, item=replace(example.item, references=("only one",)))
    view = view_of(replace(rated_set, examples=(fewer, *rated_set.examples[1:])), "all", None)
    assert view.references == 2
    assert view.item("v0/cat").references == ("only one",)
    assert len(view.item("v0/dog").references) == 2


def test_a_set_without_references_shows_none(option_set: GoldSet) -> None:
    view = view_of(option_set, "all", None)
    assert view.references == 0
    assert view.item("v0/red").references == ()


def test_videos_are_found_where_they_are(rated_set: GoldSet, videos: Path) -> None:
    view = view_of(rated_set, 0, videos)
    assert view.item("v0/cat").video == videos / "v0.mp4"
    assert view.item("v2/dog").video == videos / "v2.webm"
    assert view.item("v1/cat").video is None


def test_without_a_folder_no_video_is_shown(pair_set: GoldSet) -> None:
    assert view_of(pair_set, 0, None).item("v0/ab").video is None


def test_all_else_is_shown_as_it_is(pair_set: GoldSet) -> None:
    for item_id, example in pair_set.by_id.items():
        assert view_of(pair_set, "all", None).item(item_id) == example.item


def test_an_id_that_is_not_in_the_set(rated_set: GoldSet) -> None:
    with pytest.raises(KeyError, match="v9/cat"):
        view_of(rated_set, 0, None).item("v9/cat")


@pytest.mark.parametrize("asked", [-1, 1.0, True, False, "1", "none", "", None])
def test_other_numbers_of_references_are_refused(rated_set: GoldSet, asked: object) -> None:
    with pytest.raises(ConfigError) as caught:
        view_of(rated_set, cast("References", asked), None)
    assert str(caught.value) == f"references={asked!r}: allowed are 0, 1, 2, … and all"


@pytest.mark.parametrize("asked", [0, 1, 10_000, "all"])
def test_allowed_numbers_of_references_come_back(asked: References) -> None:
    assert checked_references(asked) == asked


def test_a_folder_that_does_not_exist_is_refused(rated_set: GoldSet, tmp_path: Path) -> None:
    missing = tmp_path / "no videos"
    with pytest.raises(ConfigError) as caught:
        view_of(rated_set, 0, missing)
    assert f"the video folder '{missing}' does not exist" in str(caught.value)
