"""Rows as they are read: what is wrong with a line is told with file, line and field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sft_cases import a_row, written_rows

from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.training.sft.rows import (
    check_balance,
    imbalance,
    read_rows,
    share_of,
    video_path,
)
from videojudge_bench.training.training_row import TRAIN, VALIDATION, TrainingRow

KINDS = ["pointwise"]


def made(verdicts: str) -> list[TrainingRow]:
    return [TrainingRow.model_validate(a_row(n, verdict=v)) for n, v in enumerate(verdicts)]


def test_rows_of_a_kind_and_a_part_are_read_in_their_order(tmp_path: Path) -> None:
    rows = [a_row(1), a_row(0, part="validation"), a_row(2, kind="pairwise"), a_row(3)]
    path = written_rows(tmp_path / "rows.jsonl", rows)
    assert [row.id for row in read_rows([str(path)], KINDS, TRAIN)] == ["r1", "r3"]
    assert [row.id for row in read_rows([str(path)], KINDS, VALIDATION)] == ["r0"]
    both = read_rows([str(path)], ["pairwise", "pointwise"], TRAIN)
    assert [row.id for row in both] == ["r1", "r2", "r3"]


def test_a_folder_of_the_bootstrap_has_a_file_for_each_kind_and_part(tmp_path: Path) -> None:
    written_rows(tmp_path / "data" / "pointwise_train.jsonl", [a_row(1)])
    written_rows(tmp_path / "data" / "pairwise_train.jsonl", [a_row(2, kind="pairwise")])
    assert [row.id for row in read_rows([str(tmp_path)], KINDS, TRAIN)] == ["r1"]
    assert read_rows([str(tmp_path)], KINDS, VALIDATION) == []


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        ({"id": ""}, "id", "at least 1 character"),
        ({"user": None}, "user", "valid string"),
        ({"verdict": 3}, "verdict", "valid string"),
        ({"part": "test"}, "part", "expected train or validation, got 'test'"),
        ({"id": "r0"}, "id", "'r0' is there twice"),
        ({"video": "../secret.mp4"}, "video", "a path inside its folder is needed"),
        ({"video": "/etc/secret.mp4"}, "video", "a path inside its folder is needed"),
        (
            {"responses": [{"text": "a", "rating": 6}]},
            "responses",
            "rating 6 is outside the scale 1-5",
        ),
        ({"responses": [{"text": "a", "rating": "good"}]}, "responses[0].rating", "valid number"),
    ],
)
def test_a_wrong_row_is_told_with_file_line_and_field(
    tmp_path: Path, change: dict[str, object], field: str, text: str
) -> None:
    path = written_rows(tmp_path / "rows.jsonl", [a_row(0), a_row(1, **change)])
    with pytest.raises(DataError) as caught:
        read_rows([str(path)], KINDS, TRAIN)
    assert str(caught.value).startswith(f"{path}, line 2, field {field!r}: ")
    assert text in str(caught.value)


def test_an_id_may_be_there_once_in_all_files(tmp_path: Path) -> None:
    paths = [str(written_rows(tmp_path / name, [a_row(0)])) for name in ("a.jsonl", "b.jsonl")]
    with pytest.raises(DataError, match=r"b\.jsonl, line 1, field 'id': 'r0' is there twice"):
        read_rows(paths, KINDS, TRAIN)


def test_lines_that_are_no_json_and_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": \n', encoding="utf-8")
    with pytest.raises(DataError, match=r"rows\.jsonl, line 1: not a JSON object"):
        read_rows([str(path)], KINDS, TRAIN)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"rows\.jsonl"):
        read_rows([str(path)], KINDS, TRAIN)


def test_sources_that_are_missing_or_no_bootstrap_s(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.rows: .*none: it is not there; give a folder"):
        read_rows([str(tmp_path / "none")], KINDS, TRAIN)
    with pytest.raises(ConfigError, match=r"it has no folder data/"):
        read_rows([str(tmp_path)], KINDS, TRAIN)


def test_rows_that_cannot_teach_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"there are no rows to train on: data\.rows holds none"):
        check_balance([])
    with pytest.raises(ConfigError, match=r"all 3 rows have the verdict 5: a judge would learn to"):
        check_balance(made("555"))
    check_balance(made("54"))
    check_balance(made("5"))  # a single row: for a first try
    check_balance([TrainingRow.model_validate(a_row(n, verdict=None)) for n in range(3)])


def test_unbalanced_verdicts_are_warned_of() -> None:
    assert imbalance(made("112233")) == ""
    assert imbalance(made("1122")) == ""
    assert imbalance(made("111112")) == (
        "the verdicts are unbalanced (1: 5, 2: 1); a judge learns what is frequent"
    )


def test_a_share_takes_all_rows_of_an_instruction_or_none() -> None:
    rows = [
        TrainingRow.model_validate(a_row(n, instruction=f"question {n // 5}")) for n in range(1_000)
    ]
    kept = share_of(rows, 0.1, seed=0)
    assert 50 <= len(kept) <= 160
    assert len(kept) % 5 == 0
    assert share_of(rows, 0.1, seed=0) == kept
    assert share_of(rows, 0.1, seed=1) != kept
    assert {row.id for row in kept} <= {row.id for row in share_of(rows, 0.3, seed=0)}
    assert share_of(rows, 1.0, seed=0) == rows


def test_where_a_video_lies(tmp_path: Path) -> None:
    row = TrainingRow.model_validate(a_row(video="clips/pig.webm"))
    assert video_path(row, tmp_path) == tmp_path / "clips" / "pig.webm"
    assert video_path(TrainingRow.model_validate(a_row()), None) == Path("mdn_pig")


@pytest.mark.parametrize(
    ("change", "reply"),
    [
        ({"criteria": {"a": 4}}, '<score name="a">4</score>'),
        (
            {"criteria": {"b": "yes", "overall": 2}},
            '<score name="b">yes</score>\n<score name="overall">2</score>',
        ),
        (
            {
                "criteria": {"a": 4},
                "reply": '<thinking>Hm.</thinking>\n<score name="a">4</score>',
            },
            '<thinking>Hm.</thinking>\n<score name="a">4</score>',
        ),
    ],
)
def test_the_reply_of_a_row_is_written_from_its_criteria(
    tmp_path: Path, change: dict[str, object], reply: str
) -> None:
    row = {name: value for name, value in a_row().items() if name != "reply"}
    path = written_rows(tmp_path / "r.jsonl", [row | change])
    (read,) = read_rows([str(path)], KINDS, TRAIN)
    assert read.reply == reply


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, "expected a reply, or criteria to write one from, got neither"),
        ({"reply": "So it is.", "criteria": {"a": 4}}, "expected a reply that ends with its crit"),
        ({"criteria": {"a": 4.5}}, "field 'criteria.a.int': Input should be a valid integer"),
        ({"criteria": {"a": "maybe"}}, "field 'criteria.a.int': Input should be a valid integer"),
    ],
)
def test_a_row_without_a_reply_or_with_another(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    row = {name: value for name, value in a_row().items() if name != "reply"}
    path = written_rows(tmp_path / "r.jsonl", [row | change])
    with pytest.raises(DataError, match=re.escape(problem)):
        read_rows([str(path)], KINDS, TRAIN)
