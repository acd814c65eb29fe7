"""VideoAutoArena's release, in both of its forms. The texts here are our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from videojudge_bench import goldsets
from videojudge_bench.errors import DataError, NoDataError
from videojudge_bench.goldsets import schema, videoautoarena
from videojudge_bench.items import Pair, PreferenceGold

Values = dict[str, Any]

QUESTION: Values = {
    "video_id": "@cook-12_3",
    "persona": "A baker on a budget.",
    "question": "**\nWhat goes into the bowl?\n**",
    "selected answer": "Flour.",
    "rejected answer": "Sugar.",
    "selected model": "one",
    "time": "15-60s",
}


def line(**changes: Any) -> Values:
    """A question as it stands in the form of JSON Lines."""
    return {
        "qid": "q1",
        "video_id": "v",
        "question": "What?",
        "selected_answer": "good",
        "rejected_answer": "bad",
        **changes,
    }


def latest(folder: Path, text: str) -> Path:
    path = folder / "videoautobench.latest.json"
    path.write_text(text, encoding="utf-8")
    return path


def lines(folder: Path, *values: Values) -> Path:
    path = folder / "videoautobench.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        list(videoautoarena.read(path))
    assert str(caught.value).startswith(str(path))
    return caught.value


def test_the_selected_answer_is_the_better_one(tmp_path: Path) -> None:
    path = latest(tmp_path, json.dumps({"q1": QUESTION, "q2": {**QUESTION, "question": "Why?"}}))
    first, second = videoautoarena.read(path)
    assert first == schema.PairRow(
        id="q1",
        video_id="@cook-12_3",
        instruction="What goes into the bowl?",
        response_a="Flour.",
        response_b="Sugar.",
        preferences=("a",),
    )
    assert (second.id, second.instruction) == ("q2", "Why?")
    examples = schema.gold_set([first, second], videoautoarena.INFO, None).examples
    assert len(examples) == 4
    for example in examples:
        assert isinstance(example.item, Pair)
        assert example.gold == PreferenceGold(float(example.item.first == "Flour."))


def test_the_persona_is_not_shown(tmp_path: Path) -> None:
    (row,) = videoautoarena.read(latest(tmp_path, json.dumps({"q1": QUESTION})))
    assert "baker" not in row.model_dump_json()


def test_both_forms_give_the_same_rows(tmp_path: Path) -> None:
    values = [line(qid=f"q{number}", selected_answer=f"good {number}") for number in range(3)]
    members = {value["qid"]: {k: v for k, v in value.items() if k != "qid"} for value in values}
    spelled = json.dumps(members).replace("ed_answer", "ed answer")
    assert list(videoautoarena.read(lines(tmp_path, *values))) == list(
        videoautoarena.read(latest(tmp_path, spelled))
    )


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ("**\nWhat?\n**", "What?"),
        ("**  \nWhat?", "What?"),
        ("What?\n  ** ", "What?"),
        ("**What?**", "**What?**"),
        ("What **is** it?", "What **is** it?"),
        ("  What?\n", "What?"),
    ],
)
def test_only_empty_marks_around_a_question_go(tmp_path: Path, question: str, shown: str) -> None:
    (row,) = videoautoarena.read(lines(tmp_path, line(question=question)))
    assert row.instruction == shown


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        ({"selected_answer": 3}, "selected_answer", "Input should be a valid string; found 3"),
        ({"selected_answer": None}, "selected_answer", "valid string; found None"),
        ({"video_id": ""}, "video_id", "at least 1 character; found ''"),
        ({"question": ""}, "question", "at least 1 character; found ''"),
        ({"question": "  "}, "question", "at least 1 character; found ''"),
        ({"qid": ""}, "qid", "at least 1 character; found ''"),
        ({"qid": 7}, "qid", "Input should be a valid string; found 7"),
        ({"qid": "q1"}, "qid", "duplicate of line 1 ('q1'); no two lines may have the same qid"),
        ({"rejected_answer": "good"}, "rejected answer", "and the rejected answer of 'q2' are"),
    ],
)
def test_a_value_that_is_not_allowed(tmp_path: Path, change: Values, field: str, text: str) -> None:
    error = refused(lines(tmp_path, line(), line(**{"qid": "q2", **change})))
    assert (error.line, error.field) == (2, field)
    assert text in str(error)


@pytest.mark.parametrize("field", ["video_id", "question", "selected_answer", "rejected_answer"])
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    values = {name: value for name, value in line().items() if name != field}
    error = refused(lines(tmp_path, values))
    assert (error.line, error.field) == (1, field.replace("_a", " a"))
    assert str(error).endswith("the field is missing")


GOOD = json.dumps(QUESTION)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": not a JSON object (Invalid JSON: EOF while parsing a value at line 1"),
        ("[1]", ": Input should be an object; found [1]"),
        ("{ }", ": Dictionary should have at least 1 item after validation, not 0; found {}"),
        (f'{{"q1": {GOOD},\n "q2": 3}}', "field 'q2': Input should be an object; found 3"),
        (
            f'{{"q1": {GOOD},\n "q2": {{}}}}',
            "field 'q2.video_id': the field is missing (and 3 more in this file)",
        ),
        (f'{{"q1": {GOOD},\n\n}}', "Invalid JSON: trailing comma at line 3"),
        (f'{{"q1": {GOOD}\n "q2": {GOOD}}}', "Invalid JSON: expected `,` or `}` at line 2"),
        (f'{{"q1": {GOOD},\n 2: {GOOD}}}', "Invalid JSON: key must be a string at line 2"),
        (f'{{"q1" {GOOD}}}', "Invalid JSON: expected `:` at line 1"),
        (f'{{"q1": {GOOD}', "Invalid JSON: EOF while parsing an object at line 1"),
        (f'{{"q1": {GOOD}}}\n{{}}', "Invalid JSON: trailing characters at line 2"),
        (f'{{"": {GOOD}}}', "field 'qid': String should have at least 1 character"),
        ('{\n"q1": ' + '{"a":' * 100_000, "Invalid JSON: recursion limit exceeded at line 2"),
        ("\ufeff{}", "line 1: begins with a byte order mark; save it as UTF-8 without one"),
    ],
)
def test_a_release_that_is_broken(tmp_path: Path, text: str, message: str) -> None:
    assert message in str(refused(latest(tmp_path, text)))


def test_line_ends_of_another_system(tmp_path: Path) -> None:
    text = json.dumps({"q1": QUESTION, "q2": QUESTION}, indent=1)
    unix = list(videoautoarena.read(latest(tmp_path, text)))
    path = latest(tmp_path, "")
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert list(videoautoarena.read(path)) == unix


def test_there_is_no_sample(tmp_path: Path) -> None:
    goldsets.load.cache_clear()
    with pytest.raises(
        NoDataError, match=r"get data/videoautobench\.latest\.json from github\.com"
    ):
        goldsets.load("videoautoarena")
    with pytest.raises(NoDataError):
        goldsets.load("videoautoarena", "full")


def test_a_part_of_the_release_is_marked(tmp_path: Path) -> None:
    path = latest(tmp_path, json.dumps({"q1": QUESTION}))
    assert videoautoarena.SET.prepare(path, None, None).info.data == "part-1"
    whole = latest(tmp_path, json.dumps({f"q{n}": QUESTION for n in range(255)}))
    assert videoautoarena.SET.prepare(whole, None, None).info == videoautoarena.INFO
