"""LongVideoBench's release: its questions, and its subtitles in both schemas. Rows of our own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from videojudge_bench import goldsets
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets import longvideobench, schema, verify
from videojudge_bench.items import OptionGold, Subtitle

Values = dict[str, Any]
Spans = list[tuple[float, float, str]]


def question(number: int = 0, **changes: Any) -> Values:
    return {
        "video_id": "vid1",
        "question": "A man in a red hat waves. What does he do next?",
        "question_wo_referring_query": "What does he do next?",
        "candidates": ["He sits.", "He sings.", "He leaves.", "He jumps."],
        "correct_choice": 2,
        "position": [10, 20],
        "topic_category": "KG-Knowledge-Geography",
        "question_category": "E3E",
        "level": "L2-Relation",
        "id": f"vid1_{number}",
        "video_path": "vid1.mp4",
        "subtitle_path": "vid1_en.json",
        "duration_group": 600,
        "starting_timestamp_for_subtitles": 0,
        "duration": 190.5,
        "view_count": 12,
        "type": "local",
        **changes,
    }


def release_of(folder: Path, *questions: Values, indent: int | None = 4) -> Path:
    path = folder / "lvb_val.json"
    path.write_text(json.dumps(questions, indent=indent), encoding="utf-8")
    return path


def refused(folder: Path, *questions: Values, subtitles: Path | None = None) -> DataError:
    with pytest.raises(DataError) as caught:
        list(longvideobench.read(release_of(folder, *questions), subtitles))
    return caught.value


def said(folder: Path, spoken: object, **changes: Any) -> Spans:
    """What a judge is shown of a subtitle file."""
    (folder / "vid1_en.json").write_text(json.dumps(spoken), encoding="utf-8")
    (row,) = longvideobench.read(release_of(folder, question(**changes)), folder)
    return [(s.start_seconds, s.end_seconds, s.text) for s in row.subtitles]


def test_a_question_becomes_its_options(tmp_path: Path) -> None:
    (row,) = longvideobench.read(release_of(tmp_path, question()))
    examples = schema.gold_set([row], longvideobench.INFO, None).examples
    assert {(e.item.content()["response"], e.gold) for e in examples} == {
        ("He sits.", OptionGold(correct=False)),
        ("He sings.", OptionGold(correct=False)),
        ("He leaves.", OptionGold(correct=True)),
        ("He jumps.", OptionGold(correct=False)),
    }
    for example in examples:
        assert example.item.instruction == "A man in a red hat waves. What does he do next?"
        assert (example.item.video_id, example.item.references) == ("vid1", ())
        # The keys of the release's own groups, to report by.
        assert {k: v for k, v in example.labels.items() if k != "option"} == {
            "row": "vid1_0",
            "question_category": "E3E",
            "level": "L2-Relation",
            "topic_category": "KG-Knowledge-Geography",
            "duration_group": "600",
        }
    assert len({example.unit for example in examples}) == 1


def test_the_labels_do_not_reach_a_judge(tmp_path: Path) -> None:
    (row,) = longvideobench.read(release_of(tmp_path, question()))
    for example in row.examples({}):
        assert not {"E3E", "L2-Relation", "600"} & set(map(str, example.item.content().values()))


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("vid1.mp4", None),
        ("vid1.webm", None),
        ("other.mp4", "other.mp4"),
        ("videos/vid1.mp4", "videos/vid1.mp4"),
        ("vid1.part.mp4", "vid1.part.mp4"),
    ],
)
def test_a_file_not_named_by_its_video_is_kept(
    tmp_path: Path, path: str, named: str | None
) -> None:
    (row,) = longvideobench.read(release_of(tmp_path, question(video_path=path)))
    assert row.video == named


def test_order_categories_are_those_of_the_second_level() -> None:
    # Table 2 of the paper: nine categories ask for a relation of moments, eight for a moment.
    assert len(longvideobench.ORDER_CATEGORIES) == 9
    assert not longvideobench.ORDER_CATEGORIES & {
        "S2E", "S2O", "S2A", "E2O", "O2E", "T2E", "T2O", "T2A"
    }  # fmt: skip


# Faults.


@pytest.mark.parametrize(
    "field", [name for name in question() if name not in ("type",)], ids=lambda name: name
)
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    values = {name: value for name, value in question(1).items() if name != field}
    error = refused(tmp_path, question(), values)
    assert error.field == f"[1].{field}"
    assert str(error).endswith(": the field is missing")


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        (
            {"correct_choice": 4},
            "correct_choice",
            "there are 4 options: 0 to 3 are allowed; found 4",
        ),
        ({"correct_choice": -1}, "correct_choice", "greater than or equal to 0; found -1"),
        ({"correct_choice": "C"}, "correct_choice", "valid integer; found 'C'"),
        ({"candidates": ["one"]}, "candidates", "at least 2 items"),
        ({"candidates": list("abcdef")}, "candidates", "at most 5 items"),
        (
            {"candidates": ["a", "b", "b"]},
            "correct_choice",
            "the correct option stands there twice",
        ),
        ({"duration_group": 61}, "duration_group", "Input should be 15, 60, 600 or 3600; found 61"),
        ({"duration": -1}, "duration", "greater than or equal to 0"),
        (
            {"starting_timestamp_for_subtitles": "0"},
            "starting_timestamp_for_subtitles",
            "found '0'",
        ),
        ({"id": "vid1_0"}, "id", "duplicate of [0] ('vid1_0'); ids are unique"),
        ({"answer": 1}, "answer", "the field is unknown; remove it or correct its name"),
        ({"video_path": "../v.mp4"}, "video_path", "a path inside its folder is needed"),
        ({"video_path": "C:\\v.mp4"}, "video_path", "a path inside its folder is needed"),
        ({"subtitle_path": "/etc/passwd"}, "subtitle_path", "a path inside its folder is needed"),
        ({"subtitle_path": "a/../../b"}, "subtitle_path", "a path inside its folder is needed"),
        ({"subtitle_path": "x\0.json"}, "subtitle_path", "a path inside its folder is needed"),
    ],
)
def test_a_value_that_is_not_allowed(tmp_path: Path, change: Values, field: str, text: str) -> None:
    path = tmp_path / "lvb_val.json"
    lines = (json.dumps(question()), json.dumps({**question(1), **change}))
    path.write_text("[" + ",\n".join(lines) + "]", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        list(longvideobench.read(path, None))
    error = caught.value
    assert (error.path, error.line, error.field) == (path, None, f"[1].{field}")
    assert text in str(error)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a JSON object (Invalid JSON: EOF while parsing a value at line 1"),
        (b"[]", "Tuple should have at least 1 item after validation, not 0; found []"),
        (b"{}", "Input should be a valid array; found {}"),
        (b"[\n3]", "field '[0]': Input should be an object; found 3"),
        (b"[\n[]]", "field '[0]': Input should be an object; found []"),
        (b"\n[\n{", "not a JSON object (Invalid JSON: EOF while parsing an object at line 3"),
        (b"\xef\xbb\xbf[]", "line 1: begins with a byte order mark; save it as UTF-8 without one"),
        (b"\xff\xfe[", "not a JSON object (Invalid JSON: expected value at line 1 column 1)"),
        (b"[" * 100_000, "not a JSON object (Invalid JSON: recursion limit exceeded at line 1"),
    ],
)
def test_a_release_that_is_broken(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "lvb_val.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(text)):
        list(longvideobench.read(path))


def test_a_release_that_is_not_there(tmp_path: Path) -> None:
    text = "lvb_val.json: cannot be read (No such file or directory)"
    with pytest.raises(DataError, match=re.escape(text)):
        list(longvideobench.read(tmp_path / "lvb_val.json"))


# Subtitles.

TIMED = [
    {"timestamp": [0.0, 2.5], "text": " hello "},
    {"timestamp": [2.5, 4], "text": "world"},
    {"timestamp": [4, None], "text": "end"},
]
CLOCKED = [
    {"start": "0:0:0", "end": "0:00:2.500", "line": "hello"},
    {"start": "00:00:02.5", "end": "00:00:04", "line": "world"},
    {"start": "00:00:04", "end": "00:03:10.500", "line": " end"},
]


@pytest.mark.parametrize("spoken", [TIMED, CLOCKED], ids=["seconds", "clock"])
def test_both_schemas_say_the_same(tmp_path: Path, spoken: object) -> None:
    # The video ends at 190.5 seconds, 3 minutes and 10.5 seconds.
    assert said(tmp_path, spoken) == [
        (0.0, 2.5, "hello"),
        (2.5, 4.0, "world"),
        (4.0, 190.5, "end"),
    ]


@pytest.mark.parametrize(
    ("clock", "seconds"),
    [("0:0:59.25", 59.25), ("1:02:03", 3_723.0), ("10:00:00.001", 36_000.001)],
)
def test_a_clock_is_read(tmp_path: Path, clock: str, seconds: float) -> None:
    spoken = [{"start": clock, "end": clock, "line": "x"}]
    assert said(tmp_path, spoken, duration=40_000.0) == [(seconds, seconds, "x")]


@pytest.mark.parametrize("schema", ["seconds", "clock"])
def test_times_are_those_of_the_video_not_of_the_film_it_was_cut_from(
    tmp_path: Path, schema: str
) -> None:
    spans = [(50, 60), (95, 105), (110, 120), (155, 170), (160, 161), (200, 300)]
    timed = [{"timestamp": list(span), "text": f"s{n}"} for n, span in enumerate(spans)]
    clocked = [
        {"start": f"0:{a // 60}:{a % 60}", "end": f"0:{b // 60}:{b % 60}", "line": f"s{n}"}
        for n, (a, b) in enumerate(spans)
    ]
    # The cut is 100-160: two subtitles reach over its ends, the last two and the first are outside.
    assert said(
        tmp_path,
        timed if schema == "seconds" else clocked,
        starting_timestamp_for_subtitles=100,
        duration=60.0,
        duration_group=60,
    ) == [(0.0, 5.0, "s1"), (10.0, 20.0, "s2"), (55.0, 60.0, "s3")]


def test_an_end_that_is_missing_is_that_of_the_video(tmp_path: Path) -> None:
    for end in (None, "", "end"):
        spoken = [{"timestamp": [110.0, end], "text": "x"}]
        assert said(tmp_path, spoken, starting_timestamp_for_subtitles=100, duration=60.0) == [
            (10.0, 60.0, "x")
        ]


def test_what_says_nothing_is_left_out(tmp_path: Path) -> None:
    spoken = [{"timestamp": [1, 2], "text": text} for text in ("", " \n", "x\n")]
    assert said(tmp_path, spoken) == [(1.0, 2.0, "x")]
    assert said(tmp_path, []) == []


def test_an_end_before_its_start_is_its_start(tmp_path: Path) -> None:
    assert said(tmp_path, [{"timestamp": [5.0, 3.0], "text": "x"}]) == [(5.0, 5.0, "x")]


def test_times_that_are_no_times_do_no_harm(tmp_path: Path) -> None:
    spoken = [{"timestamp": [-1e308, 1e308], "text": "x"}, {"timestamp": [1e308, 0], "text": "y"}]
    offset = {"starting_timestamp_for_subtitles": -1e308}
    assert said(tmp_path, spoken) == [(0.0, 190.5, "x")]
    assert said(tmp_path, spoken, **offset) == [(0.0, 190.5, "x")]


@pytest.mark.parametrize(
    ("spoken", "text"),
    [
        ({}, "Input should be a valid array"),
        ([{"timestamp": [0], "text": "x"}], "the field is missing"),
        ([{"timestamp": ["0", 1], "text": "x"}], "valid number; found '0'"),
        ([{"timestamp": [float("nan"), 1], "text": "x"}], "finite number; found nan"),
        ([{"start": "1:2", "end": "0:0:1", "line": "x"}], "String should match pattern"),
        ([{"start": "9" * 400 + ":0:0", "end": "0:0:1", "line": "x"}], "should match pattern"),
        ([{"start": "0:0:-1", "end": "0:0:1", "line": "x"}], "String should match pattern"),
        ([3], "found 3"),
    ],
)
def test_subtitles_that_are_none(tmp_path: Path, spoken: object, text: str) -> None:
    (tmp_path / "vid1_en.json").write_text(json.dumps(spoken), encoding="utf-8")
    error = refused(tmp_path, question(), subtitles=tmp_path)
    assert error.path == tmp_path / "vid1_en.json"
    assert text in str(error)
    # The field is the file's, of the schema that was meant: nothing of the other one is missing.
    assert re.fullmatch(r"(\[0\](\.(timestamp\[[01]\]|start))?)?", error.field or "")


@pytest.mark.parametrize("content", [b"", b"\xff", b"[{", b"[" * 100_000])
def test_a_subtitle_file_that_is_broken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vid1_en.json").write_bytes(content)
    error = refused(tmp_path, question(), subtitles=tmp_path)
    assert error.path == tmp_path / "vid1_en.json"
    assert "not a JSON object (Invalid JSON" in str(error)


def test_a_subtitle_file_that_is_not_there(tmp_path: Path) -> None:
    error = refused(tmp_path, question(), subtitles=tmp_path)
    assert str(error) == f"{tmp_path / 'vid1_en.json'}: cannot be read (No such file or directory)"
    assert list(longvideobench.read(release_of(tmp_path, question()), None))


def test_the_folder_of_subtitles_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "vid1_en.json").write_text(json.dumps(TIMED), encoding="utf-8")
    (row,) = longvideobench.read(release_of(tmp_path, question()), tmp_path / "link")
    assert len(row.subtitles) == 3


def test_a_release_is_prepared_with_what_is_said(tmp_path: Path, videos: Path) -> None:
    (tmp_path / "vid1_en.json").write_text(json.dumps(TIMED), encoding="utf-8")
    release = release_of(tmp_path, question(0), question(1, correct_choice=0))
    verify.prepare_released("longvideobench", release, videos, tmp_path)
    prepared = goldsets.load("longvideobench")
    assert prepared.info.data == "part-2"
    assert len(prepared.examples) == 8
    for example in prepared.examples:
        assert example.item.subtitles == (
            Subtitle(0.0, 2.5, "hello"),
            Subtitle(2.5, 4.0, "world"),
            Subtitle(4.0, 190.5, "end"),
        )
    goldsets.load.cache_clear()


def test_a_release_or_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file .*lvb_val\.json': ask for access at"):
        verify.prepare_released("longvideobench", tmp_path / "lvb_val.json", None, None)
    release, none = release_of(tmp_path, question()), tmp_path / "none"
    with pytest.raises(ConfigError, match=r"the folder of subtitles .*none' does not exist"):
        verify.prepare_released("longvideobench", release, None, none)
