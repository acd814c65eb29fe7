"""Our schema at the border: every fault with its place, and what rows become."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import schema
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo, Shape
from videojudge_bench.items import Item, OptionGold, RatingGold, Subtitle
from videojudge_bench.scale import RatingScale

INFO = GoldSetInfo("own", "Own", "human", "ratings", "CC0-1.0", "the tests", "it is made here")
Values = dict[str, Any]

RATED: Values = {"video_id": "v", "instruction": "do", "response": "x", "ratings": [3, 4.5]}
OPTIONS: Values = {"video_id": "v", "instruction": "which?", "options": ["p", "q", "r"]}
OPTIONS["correct"] = 1
PAIR: Values = {"video_id": "v", "instruction": "do", "response_a": "x", "response_b": "y"}
PAIR["preferences"] = ["a"]
ROWS: dict[Shape, Values] = {"ratings": RATED, "options": OPTIONS, "pairs": PAIR}


def without(values: Values, field: str) -> Values:
    return {name: value for name, value in values.items() if name != field}


def file_of(folder: Path, *lines: Values) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def set_of(
    folder: Path, shape: Shape, *lines: Values, scale: RatingScale = RatingScale()
) -> GoldSet:
    path = file_of(folder, *lines)
    info = replace(INFO, shape=schema.shape_of(path), scale=scale)
    assert info.shape == shape
    return schema.gold_set(schema.checked_rows(path, shape, scale), info, None)


def refused(folder: Path, shape: Shape, *lines: Values) -> DataError:
    path = file_of(folder, *lines)
    with pytest.raises(DataError) as caught:
        list(schema.checked_rows(path, shape, RatingScale()))
    assert str(caught.value).startswith(f"{path}, line ")
    return caught.value


@pytest.mark.parametrize("shape", ROWS)
def test_what_the_rows_are_is_told_by_the_first_one(tmp_path: Path, shape: Shape) -> None:
    assert schema.shape_of(file_of(tmp_path, ROWS[shape])) == shape


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"question": 1, "b": 2}', "cannot tell what the rows are: found the fields question, b"),
        (b"[1]", "cannot tell what the rows are: found the fields of no object"),
        (b"nope", "not a JSON object (Expecting value"),
        (b'{"a":' + b"[" * 100_000, "not a JSON object (maximum recursion depth exceeded"),
        (b'{"a":' + b"9" * 5_000 + b"}", "not a JSON object (Exceeds the limit"),
    ],
    ids=["other fields", "no object", "no JSON", "very deep", "a very long number"],
)
def test_a_first_row_that_tells_nothing(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content + b"\n")
    with pytest.raises(DataError) as caught:
        schema.shape_of(path)
    assert str(caught.value).startswith(f"{path}, line 1: {text}")


def test_all_that_rows_may_be_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        schema.shape_of(file_of(tmp_path, {"question": "q"}))
    for fields in (
        "ratings need video_id, instruction, response and ratings",
        "options need video_id, instruction, options and correct",
        "pairs need video_id, instruction, response_a, response_b and preferences",
    ):
        assert fields in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "field"),
    [(shape, field) for shape, values in ROWS.items() for field in values],
)
def test_a_missing_field_is_named(tmp_path: Path, shape: Shape, field: str) -> None:
    error = refused(tmp_path, shape, {**ROWS[shape], "id": "1"}, without(ROWS[shape], field))
    assert (error.line, error.field) == (2, field)
    assert str(error).endswith(": the field is missing")


@pytest.mark.parametrize(
    ("shape", "change", "field", "text"),
    [
        ("ratings", {"ratings": []}, "ratings", "at least 1 item"),
        ("ratings", {"ratings": ["5", 1]}, "ratings[0]", "valid number; found '5'"),
        ("ratings", {"ratings": [True, 1]}, "ratings[0]", "valid number; found True"),
        ("ratings", {"ratings": [3, None]}, "ratings[1]", "valid number; found None"),
        ("ratings", {"ratings": [float("nan"), 1]}, "ratings[0]", "finite number; found nan"),
        ("ratings", {"ratings": 3}, "ratings", "valid array; found 3"),
        ("ratings", {"rating": 3}, "rating", "the field is unknown; remove it or correct its"),
        ("ratings", {"video_id": ""}, "video_id", "at least 1 character; found ''"),
        ("ratings", {"video_id": 7}, "video_id", "valid string; found 7"),
        ("ratings", {"references": ["", "r"]}, "references[0]", "at least 1 character"),
        ("ratings", {"labels": {"kind": 1}}, "labels.kind", "valid string; found 1"),
        (
            "ratings",
            {"subtitles": [{"start_seconds": 0, "end_seconds": 1}]},
            "subtitles[0].text",
            "the field is missing",
        ),
        ("options", {"options": ["p"]}, "options", "at least 2 items"),
        ("options", {"options": ["p", ""]}, "options[1]", "at least 1 character"),
        ("options", {"correct": -1}, "correct", "greater than or equal to 0; found -1"),
        ("options", {"correct": None}, "correct", "valid integer; found None"),
        ("options", {"correct": "q"}, "correct", "valid integer; found 'q'"),
        (
            "options",
            {"correct": 3},
            "correct",
            "there are 3 options: 0 to 2 are allowed; found 3",
        ),
        (
            "options",
            {"options": ["q", "q", "r"], "correct": 0},
            "correct",
            "the correct option stands there twice",
        ),
        ("pairs", {"preferences": []}, "preferences", "at least 1 item"),
        ("pairs", {"preferences": ["c"]}, "preferences[0]", "'a', 'b' or 'tie'; found 'c'"),
        ("pairs", {"preferences": ["a", 1]}, "preferences[1]", "'a', 'b' or 'tie'; found 1"),
        ("pairs", {"response_c": "z"}, "response_c", "the field is unknown"),
        ("pairs", {"response_b": "x"}, "response_b", "response_a and response_b are the same text"),
    ],
)
def test_a_value_that_is_not_allowed(
    tmp_path: Path, shape: Shape, change: Values, field: str, text: str
) -> None:
    error = refused(tmp_path, shape, {**ROWS[shape], "id": "1"}, {**ROWS[shape], **change})
    assert (error.line, error.field) == (2, field)
    assert text in str(error)


@pytest.mark.parametrize(("rating", "shown"), [(0, "0"), (5.5, "5.5"), (-3, "-3"), (6, "6")])
def test_a_rating_off_the_scale(tmp_path: Path, rating: float, shown: str) -> None:
    error = refused(tmp_path, "ratings", RATED, {**RATED, "response": "y", "ratings": [1, rating]})
    assert (error.line, error.field) == (2, "ratings")
    assert f"found {shown}, outside the scale 1-5; correct the rating, or give" in str(error)


def test_raters_of_unequal_number(tmp_path: Path) -> None:
    error = refused(tmp_path, "ratings", RATED, {**RATED, "response": "y", "ratings": [1]})
    assert (error.line, error.field) == (2, "ratings")
    assert "found 1 ratings, and the first row has 2; every row needs one from" in str(error)


@pytest.mark.parametrize("named_first", [True, False])
def test_a_system_that_only_some_rows_name(tmp_path: Path, *, named_first: bool) -> None:
    lines = [{**RATED, "system": "s"}, {**RATED, "response": "y"}]
    error = refused(tmp_path, "ratings", *(lines if named_first else lines[::-1]))
    assert (error.line, error.field) == (2, "system")
    assert str(error).endswith(
        "only some rows name the answering system; name it in all or in none"
    )


@pytest.mark.parametrize(
    ("shape", "first", "again"),
    [
        ("ratings", {"id": "1"}, {"id": "1", "response": "y", "video_id": "w"}),
        ("ratings", {}, {"ratings": [1, 1], "references": ["r"]}),
        ("ratings", {"system": "s"}, {"system": "s", "labels": {"a": "b"}}),
        ("options", {"id": "1"}, {"id": "1", "instruction": "what?"}),
        ("options", {}, {"options": ["r", "q", "p"], "correct": 0}),
        ("pairs", {"id": "1"}, {"id": "1", "response_a": "z"}),
        ("pairs", {}, {"preferences": ["b"]}),
        ("pairs", {}, {"response_a": "y", "response_b": "x", "preferences": ["b"]}),
    ],
)
def test_a_row_that_is_there_twice(
    tmp_path: Path, shape: Shape, first: Values, again: Values
) -> None:
    """Else it would be found when the set is read, without the line, or counted twice."""
    base = ROWS[shape]
    other = {**base, "video_id": "other", **({"system": "s"} if "system" in first else {})}
    error = refused(tmp_path, shape, {**base, **first}, other, {**base, **again})
    assert (error.line, error.field) == (3, "id")
    assert ": duplicate of line 1 (" in str(error)
    assert "; no two lines may have the same id, or without an id the same video_id" in str(error)
    assert str(error).endswith("remove one, or give each an id")


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        ("ratings", [{"id": "1"}, {"id": "2"}]),
        ("ratings", [{"system": "s"}, {"system": "t"}]),
        ("ratings", [{}, {"instruction": "tell"}]),
        ("options", [{"id": "1"}, {"id": "2"}]),
        ("options", [{}, {"options": ["p", "q", "s"]}]),
        ("pairs", [{"id": "1"}, {"id": "2"}]),
        ("pairs", [{}, {"response_b": "z"}]),
    ],
)
def test_rows_that_are_alike_are_told_apart(
    tmp_path: Path, shape: Shape, changes: list[Values]
) -> None:
    one = len(set_of(tmp_path, shape, ROWS[shape]).examples)
    made = set_of(tmp_path, shape, *({**ROWS[shape], **change} for change in changes))
    assert len(made.by_id) == 2 * one
    assert len({example.unit for example in made.examples}) == (1 if shape == "ratings" and
        "instruction" not in changes[1] else 2)  # fmt: skip


@pytest.mark.parametrize("shape", ROWS)
def test_a_video_has_one_file(tmp_path: Path, shape: Shape) -> None:
    lines = [{**ROWS[shape], "id": str(n), "video": f"{n}.mp4"} for n in range(2)]
    error = refused(tmp_path, shape, *lines)
    assert (error.line, error.field) == (2, "video")
    assert "video 'v' is '0.mp4' in one row and '1.mp4' in another; a video has" in str(error)
    made = [row for line in lines for row in schema.checked_rows(
        file_of(tmp_path, line), shape, RatingScale())]  # fmt: skip
    with pytest.raises(DataError, match=r"own, field 'video': video 'v' is '0[.]mp4' in one row"):
        schema.gold_set(made, replace(INFO, name="own", shape=shape), None)


@pytest.mark.parametrize(
    "path",
    [
        "../v.mp4",
        "a/../../v.mp4",
        "a/..",
        "..",
        "/etc/passwd",
        "//host/share/v.mp4",
        "a\\..\\v.mp4",
        "\\v.mp4",
        "\\\\host\\share\\v.mp4",
        "C:\\v.mp4",
        "C:v.mp4",
        "c:/v.mp4",
        "v.mp4\0.txt",
    ],
)
def test_a_video_path_that_leaves_its_folder(tmp_path: Path, path: str) -> None:
    error = refused(tmp_path, "pairs", {**PAIR, "video": path})
    assert (error.line, error.field) == (1, "video")
    assert ": a path inside its folder is needed, with forward slashes, not absolute" in str(error)


def test_a_video_path_that_no_file_system_takes(tmp_path: Path) -> None:
    error = refused(tmp_path, "pairs", {**PAIR, "video": f"a/{'é' * 128}/v.mp4"})
    assert "a name in the path is longer than 255 bytes" in str(error)


@pytest.mark.parametrize("path", ["v.mp4", "a/b c/v.x.mp4", "./v", "..v/...", "é" * 127])
def test_a_video_path_inside_its_folder(tmp_path: Path, path: str) -> None:
    made = set_of(tmp_path, "ratings", {**RATED, "video": path})
    assert made.video_files == {"v": path}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda raw: b"", "the file is empty; it needs one JSON object per line"),
        (lambda raw: b"\xef\xbb\xbf" + raw, "line 1: begins with a byte order mark; save it as"),
        (lambda raw: raw.replace(b'"x"', b'"\xff"'), "line 1: byte 53 of the line (0xff) is not"),
        (lambda raw: raw.decode().encode("utf-16"), "line 1: byte 1 of the line (0xff) is not UTF"),
        (lambda raw: raw + raw[:20], "line 2: not a JSON object (Invalid JSON: EOF"),
        (lambda raw: raw.replace(b'"x"', b'"\\ud800"'), "line 1: not a JSON object (Invalid JSON"),
    ],
    ids=["empty", "mark", "not UTF-8", "UTF-16", "cut", "half a character"],
)
def test_a_file_that_is_broken(tmp_path: Path, change: Any, text: str) -> None:
    path = file_of(tmp_path, RATED)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        list(schema.checked_rows(path, "ratings", RatingScale()))
    assert text in str(caught.value)


def test_line_ends_of_another_system(tmp_path: Path) -> None:
    path = file_of(tmp_path, RATED, {**RATED, "response": "a\r\nb"})
    unix = list(schema.checked_rows(path, "ratings", RatingScale()))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert list(schema.checked_rows(path, "ratings", RatingScale())) == unix


def test_any_scale_and_any_number_of_raters(tmp_path: Path) -> None:
    ratings = [-10, 0.25, 10, *range(-10, 11)]
    made = set_of(tmp_path, "ratings", {**RATED, "ratings": ratings}, scale=RatingScale(-10, 10))
    assert made.examples[0].gold == RatingGold(tuple(ratings))


def test_a_rated_row_becomes_an_example(tmp_path: Path) -> None:
    said = [{"start_seconds": 0.5, "end_seconds": 2, "text": "hello"}]
    line = {
        **RATED,
        "id": "row-7",
        "references": ["r1", "r2"],
        "description": "d",
        "subtitles": said,
        "system": "model-a",
        "labels": {"kind": "k"},
    }
    made = set_of(tmp_path, "ratings", line, {**line, "id": "row-8", "ratings": [1, 1]})
    first, second = made.examples
    assert isinstance(first.item, Item)
    assert first.item == Item(
        first.item.id, "v", "do", "x", ("r1", "r2"), "d", None, (Subtitle(0.5, 2.0, "hello"),)
    )
    assert (first.gold, first.system) == (RatingGold((3.0, 4.5)), "model-a")
    assert first.labels == {"row": "row-7", "kind": "k"}
    assert first.unit == second.unit
    # The rows of one video share what is said in it: long films have long subtitles.
    assert first.item.subtitles is second.item.subtitles


def test_a_row_may_hold_ratings_by_criterion(tmp_path: Path) -> None:
    by_criterion = {"right": [3, 4], "polite": [1]}
    plain, rated = (
        set_of(tmp_path, "ratings", line).examples[0]
        for line in (RATED, {**RATED, "criteria": by_criterion})
    )
    assert rated.gold == RatingGold((3.0, 4.5), {"right": (3.0, 4.0), "polite": (1.0,)})
    assert rated.item == plain.item  # what is judged says nothing of it
    assert plain.content()["gold"] == [3.0, 4.5]  # as before there were criteria
    assert rated.content()["gold"] == {"ratings": [3.0, 4.5], "criteria": by_criterion}
    assert str(rated.gold) == str(plain.gold)
    cases: tuple[object, ...] = ({"right": []}, {"right": 3}, {"": [3]}, {"right": ["4"]}, [3])
    for wrong in cases:
        with pytest.raises(DataError, match="field 'criteria"):
            set_of(tmp_path, "ratings", {**RATED, "criteria": wrong})


def test_an_id_says_nothing_of_gold_and_changes_with_nothing_else(tmp_path: Path) -> None:
    def ids(shape: Shape, **changes: Any) -> list[str]:
        made = set_of(tmp_path, shape, {**ROWS[shape], **changes})
        return [example.item.id for example in made.examples]

    assert ids("ratings") == ids("ratings", ratings=[1], references=["r"], labels={"a": "b"})
    assert ids("options") == ids("options", correct=0, description="d")
    assert ids("pairs") == ids("pairs", preferences=["b", "tie"], description="d")
    assert ids("ratings") != ids("ratings", response="z")
    for shape in ROWS:
        assert all(item_id.startswith("v/") for item_id in ids(shape, id="secret 5"))
        assert "secret" not in "".join(ids(shape, id="secret 5"))


def test_options_are_one_unit_with_one_correct_one(tmp_path: Path) -> None:
    examples = set_of(tmp_path, "options", OPTIONS).examples
    assert len({example.unit for example in examples}) == 1
    by_option = {int(example.labels["option"]): example for example in examples}
    assert [by_option[n].item.content()["response"] for n in range(3)] == ["p", "q", "r"]
    assert [by_option[n].gold for n in range(3)] == [OptionGold(correct=n == 1) for n in range(3)]


def test_distractors_may_be_alike(tmp_path: Path) -> None:
    made = set_of(tmp_path, "options", {**OPTIONS, "options": ["p", "q", "p"]})
    assert len(made.by_id) == 3
