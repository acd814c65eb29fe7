"""What a file of answers may hold, and what is said of one that may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from answer_rows import ASKED, BAD, GOOD, PAIR, Row, write

from videojudge_bench.answers.reading import (
    MOST_ANSWER_BYTES,
    gold_set_of,
    read_answers,
    units_of,
)
from videojudge_bench.errors import ConfigError, DataError, UnknownNameError
from videojudge_bench.items import Item, NoGold, Pair


def without(row: Row, *fields: str) -> Row:
    return {key: value for key, value in row.items() if key not in fields}


def test_answers_without_ids_get_ones_that_hang_on_the_content_alone(tmp_path: Path) -> None:
    units = units_of(read_answers(write(tmp_path / "a.jsonl", [GOOD, BAD])), None)
    again = units_of(read_answers(write(tmp_path / "b.jsonl", [BAD, GOOD])), None)
    assert [unit.id for unit in units] == [unit.id for unit in reversed(again)]
    assert len({unit.id for unit in units}) == 2
    assert all(unit.id.startswith("kitchen/") for unit in units)


def test_a_users_ids_and_fields_are_kept() -> None:
    row = {
        **GOOD,
        "id": "mine",
        "references": ["She fries eggs."],
        "description": "A kitchen.",
        "labels": {"topic": "food"},
    }
    (unit,) = units_of(read_answers([row]), None)
    item = unit.item
    assert isinstance(item, Item)
    assert (unit.id, item.id, item.references, item.description) == (
        "mine", "mine", ("She fries eggs.",), "A kitchen.",
    )  # fmt: skip
    assert unit.examples[0].labels == {"topic": "food"}
    assert unit.examples[0].system == "x"


def test_a_row_that_names_its_file_needs_no_video_id(tmp_path: Path) -> None:
    row = {**without(GOOD, "video_id"), "video": "clips/kitchen.webm"}
    answers = read_answers(write(tmp_path / "a.jsonl", [row]))
    assert answers.folder == tmp_path
    units = units_of(answers, None)
    assert units[0].item.video_id == "clips/kitchen.webm"
    assert gold_set_of(answers, units).video_files == {"clips/kitchen.webm": "clips/kitchen.webm"}


def test_a_set_of_answers_has_no_gold_and_no_dev_part() -> None:
    answers = read_answers([GOOD, BAD])
    made = gold_set_of(answers, units_of(answers, None))
    assert {type(example.gold) for example in made.examples} == {NoGold}
    assert (made.info.has_dev, made.info.task, made.info.systems) == (False, "answers", True)


def test_a_pair_is_shown_in_both_orders() -> None:
    row = {**PAIR, "id": "p", "system_a": "x", "system_b": "y"}
    (unit,) = units_of(read_answers([row]), None)
    ab, ba = (example.item for example in unit.examples)
    assert isinstance(ab, Pair)
    assert isinstance(ba, Pair)
    assert (unit.id, unit.item_ids, unit.systems) == ("p", ("p/ab", "p/ba"), ("x", "y"))
    assert (ab.first, ab.second) == (ba.second, ba.first) == (row["response_a"], row["response_b"])


def test_pairs_without_systems_are_a_against_b() -> None:
    (unit,) = units_of(read_answers([PAIR]), None)
    assert unit.systems == ("a", "b")


@pytest.mark.parametrize(
    ("versus", "couples"),
    [
        ("x", [("y", "x"), ("z", "x")]),
        ("all", [("x", "y"), ("x", "z"), ("y", "z")]),
    ],
)
def test_versus_pairs_answers_to_the_same_question(
    versus: str, couples: list[tuple[str, str]]
) -> None:
    rows = [
        {**GOOD, "id": "1"},
        {**BAD, "id": "2"},
        {**BAD, "system": "z", "id": "3"},
        {**GOOD, "instruction": "Who cooks?", "id": "4"},
    ]
    units = units_of(read_answers(rows), versus)
    assert [unit.systems for unit in units] == couples
    ids = {"x": "1", "y": "2", "z": "3"}
    assert [unit.answers for unit in units] == [(ids[a], ids[b]) for a, b in couples]


def test_two_equal_answers_are_a_tie_that_no_judge_is_asked_about() -> None:
    (unit,) = units_of(read_answers([GOOD, {**GOOD, "system": "y"}]), "all")
    assert unit.identical
    assert unit.item_ids == ()


def test_a_runaway_answer_is_refused_alone(tmp_path: Path) -> None:
    long = {**BAD, "response": "word " * (2 << 20)}
    units = units_of(read_answers(write(tmp_path / "a.jsonl", [GOOD, long])), None)
    assert [unit.refused for unit in units] == [
        "",
        (
            f"answer too long: {5 * (2 << 20)} bytes; answers of up to {MOST_ANSWER_BYTES} bytes "
            "are judged"
        ),
    ]
    assert units[1].item_ids == ()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [GOOD, GOOD],
            r"line 2, field 'id': duplicate of line 1 \('.*'\); no two answers may have",
        ),
        ([{**GOOD, "id": "1"}, {**BAD, "id": "1"}], r"line 2, field 'id': duplicate of line 1"),
        (
            [GOOD, PAIR],
            (
                r"line 2, field 'response_a': a pair \(response_a, response_b\), and the first row "
                "is a single answer; a file holds rows of one kind, so make two files of it"
            ),
        ),
        ([PAIR, GOOD], "line 2, field 'response': a single answer, and the first row is a pair"),
        (
            [GOOD, without(BAD, "system")],
            "line 2, field 'system': only some answers name their system; name it in all or in",
        ),
        ([without(GOOD, "video_id")], "line 1: which video\\? Give video_id, or in video the path"),
        ([ASKED], "line 1: there is no answer; give response, or response_a and response_b"),
        ([{**GOOD, **PAIR}], "line 1: a row has response, or response_a and response_b; make two"),
        ([{**PAIR, "system": "x"}], "line 1: response goes with system, response_a and response_b"),
        (
            [{**PAIR, "system_a": "x", "system_b": "x"}],
            "line 1: system_a and system_b are the same; a system cannot meet itself",
        ),
        ([{**GOOD, "ratings": [5]}], "line 1, field 'ratings': the field is unknown; remove it"),
        ([{**GOOD, "video": "/etc/x.mp4"}], "line 1, field 'video': a path inside its folder is"),
        (
            [{**GOOD, "video": "a.mp4"}, {**BAD, "video": "b.mp4"}],
            "line 2, field 'video': video 'kitchen' is 'a.mp4' in one row and 'b.mp4' in another",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, rows: list[Row], message: str
) -> None:
    for source in (write(tmp_path / "a.jsonl", rows), rows):
        with pytest.raises(DataError, match=message):
            read_answers(source)


def test_no_file_and_no_answer(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file '.*nowhere.jsonl'; give a JSON Lines file"):
        read_answers(tmp_path / "nowhere.jsonl")
    with pytest.raises(DataError, match="there is no answer; give at least one"):
        read_answers([])
    with pytest.raises(DataError, match="line 1: not JSON"):
        read_answers([{"video_id": Path("a")}])


@pytest.mark.parametrize(
    ("rows", "versus", "kind", "message"),
    [
        ([PAIR], "all", ConfigError, "the rows of answers are pairs already; leave it out"),
        ([without(GOOD, "system")], "all", ConfigError, "the answers of answers name no `system`"),
        ([GOOD, BAD], "xx", UnknownNameError, "unknown system 'xx'. .*Known: all, x, y"),
        ([GOOD, {**BAD, "video_id": "v"}], "x", ConfigError, "no two of the systems x, y answered"),
    ],
)
def test_what_cannot_be_paired(
    rows: list[Row], versus: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        units_of(read_answers(rows), versus)
