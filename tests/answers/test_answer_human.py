"""Human ratings find the answers that they are about."""

from __future__ import annotations

from pathlib import Path

import pytest
from answer_rows import ASKED, BAD, GOOD, PAIR, Row, write

from videojudge_bench.answers.human import read_human
from videojudge_bench.answers.reading import Unit, read_answers, units_of
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.scale import RatingScale


def units(*rows: Row) -> tuple[Unit, ...]:
    return units_of(read_answers(rows), None)


SCALE = RatingScale()
MINE = ({**GOOD, "id": "1"}, {**BAD, "id": "2"})


def test_by_id_and_by_content(tmp_path: Path) -> None:
    file = write(
        tmp_path / "human.jsonl",
        [{"id": "1", "ratings": [5, 4]}, {**BAD, "ratings": [1.5], "note": "kept"}],
    )
    found = read_human(file, units(*MINE), SCALE)
    assert (found.means, found.unmatched) == ({"1": 4.5, "2": 1.5}, 0)


def test_without_a_system_the_same_text_is_rated_wherever_it_stands(tmp_path: Path) -> None:
    same = ({**GOOD, "id": "1"}, {**GOOD, "system": "y", "id": "2"})
    row = {**ASKED, "response": GOOD["response"], "ratings": [3]}
    file = write(tmp_path / "h.jsonl", [row])
    assert read_human(file, units(*same), SCALE).means == {"1": 3, "2": 3}
    row["system"] = "y"
    assert read_human(write(tmp_path / "h.jsonl", [row]), units(*same), SCALE).means == {"2": 3}


def test_ratings_of_other_answers_are_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "h.jsonl", [{"id": n, "ratings": [3]} for n in ("1", "8", "9")])
    assert read_human(file, units(*MINE), SCALE).unmatched == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "9", "ratings": [3]}], "none of its 1 rows is about one of the 2 answers: ids,"),
        (
            [{"ratings": [3]}],
            "line 1: which answer is it\\? Give its id, or video_id, instruction,",
        ),
        ([{"id": "1", "ratings": []}], "line 1, field 'ratings'"),
        ([{"id": "1", "ratings": ["5"]}], r"line 1, field 'ratings\[0\]'"),
        (
            [{"id": "1", "ratings": [3]}] * 2,
            "line 2: the answer is rated in two lines; an answer has",
        ),
        (
            [{"id": "1", "ratings": [3]}, {**GOOD, "ratings": [3]}],
            "line 2: the answer is rated in two lines; an answer has one line with the ratings of",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, rows: list[Row], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_human(write(tmp_path / "h.jsonl", rows), units(*MINE), SCALE)


def test_no_file_and_pairs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file '.*h.jsonl'; give a JSON Lines file of human"):
        read_human(tmp_path / "h.jsonl", units(*MINE), SCALE)
    file = write(tmp_path / "h.jsonl", [{"id": "1", "ratings": [3]}])
    with pytest.raises(
        ConfigError, match=r"h\.jsonl has ratings of single answers, which do not say"
    ):
        read_human(file, units(PAIR), SCALE)


def test_a_rating_off_the_scale_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "h.jsonl", [{"id": "1", "ratings": [300, 4]}])
    with pytest.raises(DataError, match=r"field 'ratings': found 300, outside the scale 1-5"):
        read_human(file, units(*MINE), SCALE)
    assert read_human(file, units(*MINE), RatingScale(0, 500)).means == {"1": 152}
