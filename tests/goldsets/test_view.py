"""What a run shows of an item."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.view import References, checked_references, view_of
from videojudge_bench.items import Subtitle

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


# A set with a folder of videos of its own.


def own_folder(gold_set: GoldSet, folder: Path, *names: str, **named: str) -> GoldSet:
    """The set with these files in a folder of its own, some of them named in its rows."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return replace(gold_set, videos=folder, video_files=named)


def shown(gold_set: GoldSet, videos: Path | None) -> dict[str, Path | None]:
    view = view_of(gold_set, 0, videos)
    return {f"v{number}": view.item(f"v{number}/cat").video for number in range(4)}


def test_the_videos_of_a_sets_own_folder_are_shown(rated_set: GoldSet, tmp_path: Path) -> None:
    own = tmp_path / "own"
    gold_set = own_folder(rated_set, own, "v0.mp4", "v1.mkv", "v9.mp4", "deep/v2.mp4")
    assert shown(gold_set, None) == {
        "v0": own / "v0.mp4",
        "v1": own / "v1.mkv",
        "v2": None,
        "v3": None,
    }


def test_a_file_that_a_row_names_comes_before_one_named_by_its_video(
    rated_set: GoldSet, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    names = ("v0.mp4", "deep/a b.mp4", "c", "v3.mp4")
    gold_set = own_folder(
        rated_set, own, *names, v0="deep/a b.mp4", v1="c", v2="deep/gone.mp4", v3="gone.mp4"
    )
    assert shown(gold_set, None) == {
        "v0": own / "deep" / "a b.mp4",
        "v1": own / "c",
        "v2": None,
        "v3": own / "v3.mp4",
    }


def test_a_run_may_name_another_folder_beside_it(rated_set: GoldSet, tmp_path: Path) -> None:
    own, given = tmp_path / "own", tmp_path / "given"
    gold_set = own_folder(rated_set, own, "v0.mp4", "v1.mp4", "deep/v2.mp4", v2="deep/v2.mp4")
    assert shown(gold_set, own) == shown(gold_set, None)
    own_folder(rated_set, given, "v1.webm", "v3.mp4")
    assert shown(gold_set, given) == {
        "v0": own / "v0.mp4",
        "v1": given / "v1.webm",
        "v2": own / "deep" / "v2.mp4",
        "v3": given / "v3.mp4",
    }


def test_the_files_of_a_set_are_looked_for_by_their_names_in_the_runs_folder_too(
    rated_set: GoldSet, tmp_path: Path
) -> None:
    own, given = tmp_path / "own", tmp_path / "given"
    gold_set = own_folder(rated_set, own, "deep/a.mp4", "v1.mp4", v0="deep/a.mp4", v1="b.mp4")
    own_folder(rated_set, given, "deep/a.mp4", "v0.mp4", "v1.mp4")
    found = shown(gold_set, given)
    assert (found["v0"], found["v1"]) == (given / "deep" / "a.mp4", given / "v1.mp4")


def test_a_folder_may_be_a_link(rated_set: GoldSet, tmp_path: Path) -> None:
    gold_set = own_folder(rated_set, tmp_path / "real", "a.mp4", "v1.mp4", v0="a.mp4")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    found = shown(replace(gold_set, videos=link), None)
    assert (found["v0"], found["v1"]) == (link / "a.mp4", link / "v1.mp4")


def test_a_folder_that_is_gone_is_said_and_shows_no_video(
    rated_set: GoldSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = tmp_path / "gone"
    gold_set = replace(rated_set, videos=gone, video_files={"v0": "a.mp4"})
    with caplog.at_level(logging.WARNING):
        assert set(shown(gold_set, None).values()) == {None}
    assert caplog.messages == [
        f"videojudge_tinyrated: the folder of its videos, {gone}, is gone; give videos=DIR"
    ]


def test_a_folder_that_is_gone_is_no_matter_when_another_is_given(
    rated_set: GoldSet, tmp_path: Path, videos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = shown(replace(rated_set, videos=tmp_path / "gone"), videos)
    assert found == {"v0": videos / "v0.mp4", "v1": None, "v2": videos / "v2.webm", "v3": None}
    assert caplog.messages == []


def test_what_is_said_is_shown(rated_set: GoldSet) -> None:
    first, *rest = rated_set.examples
    said = (Subtitle(0.0, 1.0, "meow"),)
    spoken = replace(first, item=replace(first.item, subtitles=said))
    view = view_of(replace(rated_set, examples=(spoken, *rest)), 0, None)
    assert view.item(first.item.id).subtitles == said
    assert view.item(rest[0].item.id).subtitles == ()
