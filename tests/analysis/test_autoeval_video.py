"""The file of AutoEval-Video: rubrics and descriptions by people."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rubric_cases import SCENES, autoeval_file, rubric_file

from videojudge_bench.analysis.autoeval_video import is_autoeval, read_autoeval
from videojudge_bench.errors import DataError


def test_rubrics_and_descriptions_are_taken_out_of_the_rule(tmp_path: Path) -> None:
    path = autoeval_file(tmp_path / "AUTO-EVAL-VIDEO.json")
    people = read_autoeval(path)
    group = ("abcdefgh003", "What happens, 3?")
    assert len(people.rubrics) == len(people.descriptions) == len(SCENES)
    assert people.descriptions[group] == f"One sees {SCENES[3]} at dusk."
    assert people.rubrics[group] == (
        f"1. A right answer says that there is {SCENES[3]}.\n2. Every word is spelled rightly."
    )
    assert is_autoeval(path)
    assert not is_autoeval(rubric_file(tmp_path / "r.jsonl", {("v", "Rule"): "Question"}))


def test_other_ways_to_write_it(tmp_path: Path) -> None:
    path = autoeval_file(tmp_path / "a.json")
    row = json.loads(path.read_text("utf-8").splitlines()[0])
    row["Rule"] = (
        "[Video description]: A cat,\nasleep. [ Video Question ]: Who?\nRules:\n 1) A cat.\n"
        "2) See [Video description].\n [answer to be judged]: A dog.\n[The form of the result]:"
    )
    for url in ("https://youtu.be/abc-_efgh00?t=3", "https://www.youtube.com/shorts/abc-_efgh00"):
        path.write_text(json.dumps({**row, "Video URL": url}) + "\n", encoding="utf-8")
        people = read_autoeval(path)
        ((group, rubric),) = people.rubrics.items()
        assert (group[0], rubric) == ("abc-_efgh00", "1) A cat.\n2) See [Video description].")
        assert people.descriptions[group] == "A cat,\nasleep."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Video URL": "https://example.com"}, "line 1, field 'Video URL': expected the URL of a"),
        ({"Rule": "1. Right."}, "line 1, field 'Rule': expected [Video Description], [Video"),
        ({"Question": ""}, "line 1, field 'Question': String should have at least 1 character"),
        ({"Rule": None}, "line 1, field 'Rule': Input should be a valid string"),
    ],
)
def test_rows_of_another_kind(tmp_path: Path, change: dict[str, str], message: str) -> None:
    path = autoeval_file(tmp_path / "a.json")
    row = json.loads(path.read_text("utf-8").splitlines()[0])
    path.write_text(json.dumps({**row, **change}) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(message)):
        read_autoeval(path)


def test_a_question_that_is_there_twice(tmp_path: Path) -> None:
    path = autoeval_file(tmp_path / "a.json")
    path.write_text(path.read_text("utf-8") * 2, encoding="utf-8")
    with pytest.raises(DataError, match="duplicate of line 1"):
        read_autoeval(path)
