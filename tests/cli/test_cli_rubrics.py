"""`videojudge rubrics`: what each verb prints and writes, and the sheet that people fill in."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registered import registered
from rubric_cases import (
    INSTRUCTION,
    JUDGE,
    SCENES,
    autoeval_file,
    book,
    judged,
    numbered,
    rated,
    scripted,
)
from scipy.stats import binomtest

from videojudge_bench.analysis.rubric_human_eval import COLUMNS, make_sheet, read_answers
from videojudge_bench.cli.main import main
from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.prompts.rubric_book import RubricBook

Cells = list[dict[str, str]]


@pytest.fixture
def scenes() -> Iterator[GoldSet]:
    with registered(rated(SCENES)) as gold_set:
        yield gold_set


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return numbered(tmp_path / "ours.jsonl", (f"- 5: {text}\n- 1: not" for text in SCENES))


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return numbered(tmp_path / "theirs.jsonl", (f"right or wrong, {n}" for n in range(15)))


def output_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a verb that succeeds and return what it prints."""
    assert main(["rubrics", *map(str, arguments)]) == 0
    written = capsys.readouterr()
    assert written.err == ""
    return written.out


def error_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a verb that is used wrongly and return the sentence."""
    assert main(["rubrics", *map(str, arguments)]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    return written.err.removeprefix("videojudge: error: ").rstrip("\n")


def table_of(output: str) -> list[list[str]]:
    """Return the cells of the rows of a printed table, without what stands around it."""
    lines = (re.split(r"\s{2,}", line.strip()) for line in output.splitlines())
    return [cells for cells in lines if len(cells) > 1]


def rows_of(sheet: Path) -> Cells:
    return list(csv.DictReader(io.StringIO(sheet.read_text(encoding="utf-8-sig"), newline="")))


def save(sheet: Path, rows: Cells, *, delimiter: str = ",", encoding: str = "utf-8") -> None:
    """Write a sheet as a spreadsheet might."""
    with sheet.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def test_help_names_the_verbs_and_each_shows_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for verb in ("extract", "specificity", "swapped", "export", "import"):
        assert main(["rubrics", verb, "--help"]) == 0
        assert f"\n  videojudge rubrics {verb} " in capsys.readouterr().out


def test_from_the_replies_of_one_judge_to_the_rubrics_of_another(
    scenes: GoldSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Written by a judge, extracted, measured, given to another judge, swapped."""
    replies = {
        example.item.id: f"<rubric>give {1 + n % 5}: {SCENES[n // 2]}</rubric><score>3</score>"
        for n, example in enumerate(scenes.examples)
    }
    replies |= {"v003/5": "<score>5</score>", "v003/1": "<rubric>5: cut"}
    script = scripted(tmp_path / "replies.jsonl", replies)
    writer = judged(scenes, tmp_path / "runs", engine="scripted", replies=script, rubric="write")
    file = tmp_path / "made" / "rubrics.jsonl"
    assert output_of(capsys, "extract", writer, "-o", file) == (
        f"{file}: rubrics of 19 instructions, 1 have none; by {JUDGE} on scenes\n"
    )

    printed = output_of(capsys, "specificity", file, "--gold-set", "scenes")
    assert table_of(printed)[1][1:3] == ["accuracy at 1", "1.000"]
    assert table_of(printed)[1][4] == "0.050"
    assert table_of(printed)[2][1::3] == ["mean reciprocal rank", "0.180"]
    assert table_of(printed)[3][:2] == ["one for all", "accuracy at 1"]

    reader = {"engine": "rubric_cases:Heedful", "rubric": str(file)}
    own = judged(scenes, tmp_path / "runs", **reader)
    other = judged(scenes, tmp_path / "runs", **reader, swap_rubrics=True)
    printed = output_of(capsys, "swapped", own, other)
    assert [cells[0] for cells in table_of(printed)] == [
        "own against swapped rubrics",
        *("mean |change|", "mean change", "changed by 1 or more", "spearman"),
        *("spearman, own rubrics", "spearman, swapped rubrics"),
    ]
    assert "38 items on 19 videos have a verdict in both runs, of 40 that both judged" in printed
    assert "none (fewer than 20 videos)" in printed
    assert error_of(capsys, "swapped", other, own) == (
        "the first run has swap_rubrics=true; give it second"
    )
    assert "expected one run, got 3" in error_of(capsys, "extract", tmp_path / "runs", "-o", "x")


def test_half_a_character_in_a_reply_spoils_no_file(
    scenes: GoldSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reply = "<rubric>5: an owl é \ud83e</rubric><score>3</score>"
    run = judged(scenes, tmp_path, engine="fake_engine:FakeEngine", reply=reply, rubric="write")
    output_of(capsys, "extract", run, "-o", tmp_path / "r.jsonl")
    assert RubricBook(tmp_path / "r.jsonl").rubric(("v000", INSTRUCTION)) == "5: an owl é ?"


def test_an_export_that_was_cut_short_is_completed_by_the_same_command(
    scenes: GoldSet, ours: Path, theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet, key = tmp_path / "sheet.csv", tmp_path / "key.json"
    command = ("export", ours, theirs, "-o", sheet, "--key", key)
    output_of(capsys, *command)
    whole = (sheet.read_bytes(), key.read_bytes())
    key.unlink()  # killed after the first of two files
    output_of(capsys, *command)
    assert (sheet.read_bytes(), key.read_bytes()) == whole


def test_nothing_is_replaced_by_accident(
    scenes: GoldSet, ours: Path, theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet, key = tmp_path / "sheet.csv", tmp_path / "key.json"
    command = ("export", ours, theirs, "-o", sheet, "--key", key)
    output_of(capsys, *command)
    sheet.write_text("filled in", encoding="utf-8")
    assert error_of(capsys, *command) == (
        f"{sheet} is there; give another name, or --overwrite to replace it"
    )
    assert sheet.read_text(encoding="utf-8") == "filled in"
    output_of(capsys, *command, "--overwrite")
    assert len(rows_of(sheet)) == 15
    assert error_of(capsys, "export", ours, theirs, "-o", "x.csv", "--key", "x.csv") == (
        "sheet and key are both x.csv; give the key another name"
    )
    assert "cannot be written" in error_of(
        capsys, "export", ours, theirs, "-o", ours / "x.csv", "--key", tmp_path / "k.json"
    )


def test_specificity_says_what_was_left_out(
    scenes: GoldSet, ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ours.open("a", encoding="utf-8") as file:
        file.write('{"video_id": "v000", "instruction": "Who?", "rubric": "x"}\n')
    printed = output_of(
        capsys,
        "specificity",
        ours,
        "--gold-set",
        "scenes",
        "--among",
        30,
        "--against",
        "instruction",
    )
    assert printed.splitlines()[-8:] == [
        "videojudge_scenes (full); instances by instruction",
        f"{ours}: 20 rubrics on 20 videos, each among 20",
        f"{ours}: among 20, not 30: the set has no more videos",
        f"{ours}: 20 rubrics tie with another candidate; ties share the credit",
        f"{ours}: 1 rubrics left out: the set lacks their instructions",
        "one for all: 20 rubrics on 20 videos, each among 20",
        "one for all: among 20, not 30: the set has no more videos",
        "one for all: 20 rubrics tie with another candidate; ties share the credit",
    ]
    facts = json.loads(output_of(capsys, "specificity", ours, "--gold-set", "scenes", "--json"))
    assert [row["rubrics"] for row in facts] == [str(ours)] * 2 + ["one for all"] * 2
    assert facts[0]["value"] == 1.0


def test_rubrics_by_people_are_the_yardstick_of_rubrics_by_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = autoeval_file(tmp_path / "AUTO-EVAL-VIDEO.json")
    by_model = tmp_path / "model.jsonl"
    questions = {(f"abcdefgh{n:03}", f"What happens, {n}?"): "rubric" for n in range(20)}
    lines = [{"video_id": v, "instruction": q, "checklist": ["x"]} for v, q in questions]
    by_model.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    facts = json.loads(output_of(capsys, "specificity", people, by_model, "--json"))
    values = {row["rubrics"]: row["value"] for row in facts[::2]}
    assert values == {str(people): 1.0, str(by_model): 0.05, "one for all": 0.05}
    assert "AutoEval-Video; instances by descriptions of people" in output_of(
        capsys, "specificity", people
    )
    assert error_of(capsys, "specificity", by_model) == (
        "expected --gold-set NAME, or the file of AutoEval-Video, got neither"
    )
    assert "expected a file of rubrics, got none" in error_of(capsys, "specificity")


# The sheet.


def test_a_sheet_is_blind(
    ours: Path, theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet, key_file = tmp_path / "sheet.csv", tmp_path / "key.json"
    printed = output_of(capsys, "export", ours, theirs, "-o", sheet, "--key", key_file)
    assert printed.splitlines() == [
        f"{sheet}: 15 rows to fill; the key: {key_file}",
        "15 instructions are in both files (A 20, B 15); 0 with identical rubrics left out",
    ]
    rows, key = rows_of(sheet), json.loads(key_file.read_text(encoding="utf-8"))
    assert tuple(rows[0]) == COLUMNS
    assert [row["id"] for row in rows] == [f"r{n:03}" for n in range(1, 16)]
    assert [row["video_id"] for row in rows] != sorted(row["video_id"] for row in rows)
    assert {row["instruction"] for row in rows} == {INSTRUCTION}
    sides = [key["rows"][row["id"]]["a_is"] for row in rows]
    assert set(sides) == {1, 2}
    for row, a_is in zip(rows, sides, strict=True):
        number = int(row["video_id"][1:])
        assert row[f"rubric_{a_is}"] == f"'- 5: {SCENES[number]}\n- 1: not"
        assert row[f"rubric_{3 - a_is}"] == f"right or wrong, {number}"
        assert row["better"] == ""
    assert [key[side]["file"] for side in "ab"] == ["ours.jsonl", "theirs.jsonl"]
    assert not re.search("ours|theirs", sheet.read_text(encoding="utf-8-sig"))


def test_identical_rubrics_are_left_out_and_the_rest_drawn(tmp_path: Path) -> None:
    same = ("the same ", *(f"one {n}" for n in range(1, 12)))
    a = book(tmp_path / "a.jsonl", same)
    b = book(tmp_path / "b.jsonl", ["the same", *(f"two {n}" for n in range(1, 15))])
    sheet = make_sheet(a, b, limit=5, seed=0)
    assert (len(sheet.rows), sheet.n_both, sheet.n_identical) == (5, 12, 1)
    assert make_sheet(a, b, limit=5, seed=0) == sheet
    assert make_sheet(a, b, limit=5, seed=1).rows != sheet.rows
    assert make_sheet(a, b, limit=3, seed=0).rows == sheet.rows[:3]
    assert "v000" not in [row[1] for row in make_sheet(a, b, limit=50, seed=0).rows]


def test_what_cannot_be_compared_is_refused(
    ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ("-o", tmp_path / "s.csv", "--key", tmp_path / "k.json")
    assert error_of(capsys, "export", ours, ours, *output) == (
        f"{ours} has 20 rubrics and {ours} 20; both have one for 20 instructions, and all of those "
        "are identical. There is nothing to compare"
    )
    limit = ("--limit", 0)
    assert error_of(capsys, "export", ours, ours, *output, *limit).startswith("limit=0: a sheet")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\n-1"])
def test_no_cell_is_a_formula(text: str, tmp_path: Path) -> None:
    rows = {"a": (f"{text} a", text), "b": (f"{text} b", text)}
    books = []
    for name, (rubric, other) in rows.items():
        path = tmp_path / f"{name}.jsonl"
        row = {"video_id": other, "instruction": other, "rubric": rubric}
        path.write_text(json.dumps(row) + "\n", encoding="utf-8")
        books.append(RubricBook(path))
    sheet = make_sheet(*books, limit=1, seed=0)
    (cells,) = csv.DictReader(io.StringIO(sheet.csv_text(), newline=""))
    for name in COLUMNS[1:-1]:
        assert cells[name][0] == "'"
    kept = tmp_path / "sheet.csv"
    key = tmp_path / "key.json"
    key.write_text(sheet.key.model_dump_json(), encoding="utf-8")
    save(kept, [{**cells, "better": "1"}])
    assert read_answers(kept, key)[0].n_empty == 0


@pytest.fixture
def exported(
    ours: Path, theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[Path, Path]:
    """A sheet of 15 rows and its key."""
    sheet, key = tmp_path / "sheet.csv", tmp_path / "key.json"
    output_of(capsys, "export", ours, theirs, "-o", sheet, "--key", key)
    return sheet, key


def filled(exported: tuple[Path, Path], said: Sequence[str]) -> Cells:
    """The rows, filled by people who know whose is whose: `a`, `b`, or what they write."""
    sheet, key_file = exported
    key = json.loads(key_file.read_text(encoding="utf-8"))["rows"]
    rows = rows_of(sheet)
    for row, answer in zip(rows, said, strict=False):
        side = key[row["id"]]["a_is"]
        row["better"] = {"a": str(side), "b": str(3 - side)}.get(answer, answer)
    return rows


def test_the_answers_are_counted(
    exported: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    sheet, key = exported
    save(sheet, filled(exported, ["a", "a", "a", "a", "a", "a", "a", "a", "b", "b", "tie", "Tie"]))
    found, _ = read_answers(sheet, key)
    interval = binomtest(9, 12).proportion_ci(method="wilson")
    assert (found.wins, found.ties, found.losses, found.n_empty) == (8, 2, 2, 3)
    assert found.share == 0.75
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(binomtest(8, 10).pvalue)
    printed = output_of(capsys, "import", sheet, "--key", key)
    assert printed.splitlines()[0].strip() == "A: ours.jsonl · B: theirs.jsonl"
    assert table_of(printed) == [
        ["A is better", "8"],
        ["tie", "2"],
        ["B is better", "2"],
        ["no answer", "3"],
        ["prefer A, ties half", "0.750 [0.468, 0.911]"],
        ["p, sign test", "0.1094"],
    ]
    save(sheet, filled(exported, ["tie", *[""] * 14]))
    assert "undefined (only ties)" in output_of(capsys, "import", sheet, "--key", key)


def sorted_rows(rows: Cells) -> Cells:
    return sorted(rows, key=lambda row: row["rubric_1"])


def commented(rows: Cells) -> Cells:
    return [{**row, "why": "it says more"} for row in rows]


def unquoted(rows: Cells) -> Cells:
    return [{name: cell.lstrip("'") for name, cell in row.items()} for row in rows]


def with_other_ids(rows: Cells) -> Cells:
    """A spreadsheet makes numbers and dates of video ids."""
    return [{**row, "video_id": "Jan 24"} for row in rows]


def with_line_ends(rows: Cells) -> Cells:
    return [{name: cell.replace("\n", "\r\n") for name, cell in row.items()} for row in rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(
    "change", [sorted_rows, commented, unquoted, with_other_ids, with_line_ends]
)
def test_what_spreadsheets_and_people_do_to_a_sheet_is_borne(
    change: Callable[[Cells], Cells], encoding: str, delimiter: str, exported: tuple[Path, Path]
) -> None:
    sheet, key = exported
    rows = change(filled(exported, ["a", "a", "a", "b"]))
    save(sheet, rows, encoding=encoding, delimiter=delimiter)
    with sheet.open("a", encoding="utf-8") as file:
        file.write(f"\r\n{delimiter * 5}\r\n")
    found, _ = read_answers(sheet, key)
    assert (found.wins, found.losses, found.n_empty) == (3, 1, 11)


def test_rows_taken_out_count_as_empty(exported: tuple[Path, Path]) -> None:
    sheet, key = exported
    save(sheet, filled(exported, ["a", "a", "a", "b"])[1:6])
    found, _ = read_answers(sheet, key)
    assert (found.wins, found.losses, found.n_empty) == (2, 1, 12)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("id", "r099", "unknown id 'r099'; the key knows r001 to r015"),
        ("id", "", "unknown id ''; the key knows r001 to r015"),
        ("id", "r001", "'r001' stands in line 2 too; remove one of the two"),
        ("better", "3", "found '3'; allowed are 1, 2, tie, or nothing"),
        ("better", "both", "found 'both'; allowed are 1, 2, tie, or nothing"),
        (
            "instruction",
            "something else",
            (
                "the texts of row 'r002' are not those that the key was written with: it belongs "
                "to another sheet, or a text was edited"
            ),
        ),
    ],
)
def test_a_wrong_row_is_named(
    field: str,
    value: str,
    message: str,
    exported: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    sheet, key = exported
    rows = filled(exported, ["a"])
    rows[1][field] = value
    save(sheet, rows)
    # A rubric of ours has two lines.
    assert error_of(capsys, "import", sheet, "--key", key) == (
        f"{sheet}, line 4, field '{field}': {message}"
    )


def test_the_key_of_another_sheet_is_refused(
    exported: tuple[Path, Path],
    ours: Path,
    theirs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sheet, _ = exported
    other = tmp_path / "other.json"
    command = ("export", ours, theirs, "-o", tmp_path / "other.csv", "--key", other)
    output_of(capsys, *command, "--seed", 1)
    message = error_of(capsys, "import", sheet, "--key", other)
    assert message.startswith(
        f"{sheet}, line 2, field 'instruction': the texts of row 'r001' are not"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, field 'id': the column must be there once; the first line has nothing"),
        (
            "id,video_id,instruction,rubric_1,rubric_2\r\n",
            (
                "line 1, field 'better': the column must be there once; the first line has id, "
                "video_id, instruction, rubric_1, rubric_2"
            ),
        ),
        (",".join(COLUMNS) + "\r\n", "field 'better': none of the 0 rows has an answer"),
        (",".join(COLUMNS) + '\r\nr001,"a"b,c\r\n', "line 2: not CSV ("),
        (",".join(COLUMNS) + '\r\nr001,"a\r\n', "line 2: not CSV ("),
        ("\udcff", "cannot be read ("),
    ],
)
def test_a_broken_sheet_is_named(
    text: str, message: str, exported: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    sheet, key = exported
    sheet.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert message in error_of(capsys, "import", sheet, "--key", key)
    assert "field 'rows'" in error_of(capsys, "import", sheet, "--key", _without_rows(key))
    missing = sheet.with_name("missing.csv")
    assert f"{missing}: cannot be read" in error_of(capsys, "import", missing, "--key", key)


def _without_rows(key: Path) -> Path:
    data: Mapping[str, object] = json.loads(key.read_text(encoding="utf-8"))
    key_file = key.with_name("broken.json")
    kept = {name: value for name, value in data.items() if name != "rows"}
    key_file.write_text(json.dumps(kept), encoding="utf-8")
    return key_file


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@given(
    texts=st.lists(
        st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=8, unique_by=lambda t: t[0]
    ),
    seed=st.integers(),
)
def test_any_text_survives_the_sheet(
    texts: list[tuple[str, str, str]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    differing = [(i, one, two) for i, one, two in texts if one.strip() != two.strip()]
    if not differing:
        return
    books = []
    for name, which in (("a", 1), ("b", 2)):
        rows = [{"video_id": "v", "instruction": t[0], "rubric": t[which]} for t in differing]
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        books.append(RubricBook(path))
    sheet = make_sheet(books[0], books[1], limit=50, seed=seed)
    key = folder / "key.json"
    key.write_text(sheet.key.model_dump_json(), encoding="utf-8")
    written = list(csv.reader(io.StringIO(sheet.csv_text(), newline="")))
    for row in written[1:]:
        row[-1] = str(sheet.key.rows[row[0]].a_is)
    with (folder / "sheet.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(written)
    found, _ = read_answers(folder / "sheet.csv", key)
    assert (found.wins, found.n_empty) == (len(differing), 0)


def test_a_key_is_refused_for_what_it_lacks(exported: tuple[Path, Path]) -> None:
    sheet, key = exported
    data = json.loads(key.read_text(encoding="utf-8"))
    data["rows"]["r001"]["a_is"] = 3
    key.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(DataError, match=r"field 'rows\.r001\.a_is'"):
        read_answers(sheet, key)
