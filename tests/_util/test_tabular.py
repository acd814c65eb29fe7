"""CSV that no spreadsheet computes, and that gives back what was written."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench._util.tabular import as_written, csv_text, inert, write_rows


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+cmd", "'+1+cmd"),
        ("-x_000001_000011/1", "'-x_000001_000011/1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        (" =1", "' =1"),
        ("'=1", "''=1"),
        ("'tis a dog", "'tis a dog"),
        ("a=1", "a=1"),
        ("\n-1", "'\n-1"),
        ("-0.5", "'-0.5"),  # a text that looks like a number
        (-0.5, -0.5),
        (None, None),
        ("", ""),
    ],
)
def test_what_begins_a_formula_is_marked(cell: object, written: object) -> None:
    assert inert(cell) == written
    if isinstance(written, str):
        assert as_written(written) == cell


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_the_mark_is_taken_off_again(text: str) -> None:
    written = inert(text)
    assert isinstance(written, str)
    assert as_written(written) == text


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    ids = ["-a/1", "=b/2", "@c/3", "d, 4"]
    text = csv_text(["id", "score"], ((item_id, -1.5) for item_id in ids))
    first, *rows = csv.reader(io.StringIO(text))
    assert first == ["id", "score"]
    assert [row[0] for row in rows] == ["'-a/1", "'=b/2", "'@c/3", "d, 4"]
    assert [as_written(row[0]) for row in rows] == ids
    assert {row[1] for row in rows} == {"-1.5"}
    write_rows([{"name": "=1", "n": -2}, {"more": 0.5}], tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text("utf-8") == "name,n,more\n'=1,-2,\n,,0.5\n"
