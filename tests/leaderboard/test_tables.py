"""The leaderboard as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from boards import board_set, constant, noise, perfect, stored
from registered import registered

from videojudge_bench import goldsets, metrics
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.leaderboard import rows, tables
from videojudge_bench.leaderboard.comparing import read_tests
from videojudge_bench.leaderboard.stored import kept_info


@pytest.fixture
def gold_set() -> Iterator[GoldSet]:
    with registered(board_set()) as gold_set:
        yield gold_set


@pytest.fixture
def board(gold_set: GoldSet) -> rows.Board:
    runs = [stored(gold_set, rate, references=1) for rate in (perfect, noise, constant)]
    published = rows.Row(
        judge="a|b",
        role="published",
        info=kept_info(gold_set.info),
        part="all",
        references=1,
        signature="",
        numbers={"spearman": 0.5},
        unranked="published elsewhere",
        source="a paper, table 2",
    )
    return rows.build(runs, published=[published], permutations=500)


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]


def test_all_files_are_written(board: rows.Board, tmp_path: Path) -> None:
    written = tables.write_tables(board, tmp_path / "new" / "results")
    assert [path.name for path in written] == [
        "leaderboard.md",
        "leaderboard.csv",
        "leaderboard.json",
        "comparisons.json",
    ]
    assert all(path.read_text(encoding="utf-8").endswith("\n") for path in written)


def test_the_same_board_is_the_same_bytes(board: rows.Board, tmp_path: Path) -> None:
    one = tables.write_tables(board, tmp_path / "one")
    two = tables.write_tables(board, tmp_path / "two")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_json_holds_the_rows(board: rows.Board, tmp_path: Path) -> None:
    tables.write_tables(board, tmp_path)
    text = (tmp_path / tables.JSON).read_text(encoding="utf-8")
    read = json.loads(text, parse_constant=pytest.fail)
    assert read == [row.to_json() for row in board.rows]
    tests = json.loads((tmp_path / tables.TESTS).read_text(encoding="utf-8"))
    assert read_tests(tmp_path / tables.TESTS) == list(board.tests)
    assert len(tests) == 1


def test_csv_holds_one_line_per_metric(board: rows.Board, tmp_path: Path) -> None:
    tables.write_tables(board, tmp_path)
    text = (tmp_path / tables.CSV).read_text(encoding="utf-8")
    lines = list(csv.DictReader(io.StringIO(text)))
    (row,) = [row for row in board.rows if row.judge == "noise"]
    (line,) = [e for e in lines if (e["judge"], e["metric"]) == ("noise", "spearman")]
    assert (line["rank"], line["role"], line["references"]) == ("2", "judge", "1")
    assert (line["data"], line["verified"]) == ("full", "True")
    assert {e["verified"] for e in lines if e["role"] == "published"} == {"False"}
    for column, key in (("value", ""), ("low", "_low"), ("high", "_high")):
        assert float(line[column]) == row.numbers[f"spearman{key}"]
    (flat,) = [e for e in lines if (e["judge"], e["metric"]) == ("constant", "spearman")]
    assert (flat["value"], flat["rank"]) == ("undefined (constant judge)", "")
    assert not [e for e in lines if e["metric"].endswith(("_low", "_high"))]


def test_markdown_has_a_line_per_row_in_order(board: rows.Board, gold_set: GoldSet) -> None:
    lines = tables.markdown(board).splitlines()
    head = next(n for n, line in enumerate(lines) if line.startswith("| rank |"))
    columns = tables.columns_of(gold_set.info)
    assert cells_of(lines[head]) == ["rank", "judge", "refs", *columns]
    table = [cells_of(line) for line in lines[head + 2 : head + 6]]
    assert [cells[:3] for cells in table] == [
        ["1", "perfect", "1"],
        ["2", "noise", "1"],
        ["–", "constant", "1"],
        ["–", "a\\|b †", "1"],  # a bar alone would end the cell
    ]
    assert {len(cells) for cells in table} == {3 + len(columns)}


def test_a_cell_shows_the_interval_where_there_is_one(board: rows.Board) -> None:
    (row,) = [row for row in board.rows if row.judge == "noise"]
    value, low, high = (row.numbers[f"spearman{end}"] for end in ("", "_low", "_high"))
    shown = tables.cells(row, ("spearman", "coverage", "emscore_tau_b"))[3:]
    assert shown == [f"{value:.3f} [{low:.3f}, {high:.3f}]", "1.000", ""]


def test_what_is_undefined_says_so(board: rows.Board) -> None:
    (row,) = [row for row in board.rows if row.judge == "constant"]
    assert tables.cells(row, ("spearman",))[3:] == ["undefined"]


def test_markdown_says_why_a_judge_has_no_rank(board: rows.Board) -> None:
    text = tables.markdown(board)
    assert "- constant (1 references): undefined (constant judge)" in text
    assert "- a paper, table 2" in text
    (noise_row,) = [row for row in board.rows if row.judge == "noise"]
    assert f"- noise: `{noise_row.signature}`" in text


def test_markdown_explains_itself(board: rows.Board, gold_set: GoldSet) -> None:
    text = tables.markdown(board)
    assert text.startswith("# Leaderboard\n")
    assert f"## {gold_set.info.task}: {gold_set.info.title}" in text
    assert "Gold: human. Ranked by `spearman`." in text
    assert "Nothing is averaged across sets." in text
    assert "## Samples" not in text
    assert "Self-reported" not in text


@pytest.mark.parametrize("name", goldsets.names())
def test_the_primary_number_stands_first_and_coverage_last(name: str) -> None:
    info = goldsets.info(name)
    columns = tables.columns_of(info)
    assert (columns[0], columns[-1]) == (metrics.primary_key(info), "coverage")
    assert set(columns) <= set(metrics.all_keys(info))


def test_an_empty_board_is_only_its_introduction(tmp_path: Path) -> None:
    written = tables.write_tables(rows.Board(()), tmp_path)
    assert json.loads(written[2].read_text(encoding="utf-8")) == []
    assert "##" not in written[0].read_text(encoding="utf-8")
