"""Scores from a table, and what is said when the table is wrong."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench._util.tabular import csv_text
from videojudge_bench.errors import ConfigError, DataError, UnknownNameError, VideoJudgeError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judges.precomputed import Precomputed
from videojudge_bench.leaderboard.stored import overlap_of
from videojudge_bench.registry import build
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Preference, Rating, Unparsed


def item(item_id: str) -> Item:
    return Item(item_id, "v", "?", "a response")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "scores.csv"


def test_scores_are_looked_up_by_id(table: Path) -> None:
    table.write_text("id,score,other\nv/a, 2.5 ,x\n\nv/b,-1e3,y\nv/c,,z\n", encoding="utf-8")
    judge = Precomputed(str(table))
    assert judge.scale is None
    assert judge.rate(item("v/a")) == Rating(2.5)
    assert judge.rate(item("v/b")) == Rating(-1000.0)
    assert judge.rate(item("v/c")) == Unparsed("no score in scores.csv"), "an empty cell"
    assert judge.rate(item("v/d")) == Unparsed("no score in scores.csv"), "no such row"


def test_another_column_a_quoted_id_and_a_byte_order_mark(table: Path) -> None:
    table.write_text('id,note,gpt\n"v, ""1""\nb","x\ny",4\n', encoding="utf-8-sig")
    assert Precomputed(str(table), column="gpt").rate(item('v, "1"\nb')) == Rating(4.0)


def test_ids_that_a_spreadsheet_would_compute(table: Path) -> None:
    """As `data ids` writes them, and as they are."""
    ids = ["-a/1", "=b/2", "@c/3", "+d/4", "e/5"]
    for text in (
        csv_text(["id", "score"], ((name, number) for number, name in enumerate(ids))),
        "id,score\n" + "".join(f"{name},{number}\n" for number, name in enumerate(ids)),
    ):
        table.write_text(text, encoding="utf-8")
        judge = Precomputed(str(table))
        found = [judge.rate(item(name)) for name in ids]
        assert found == [Rating(float(number)) for number in range(5)]


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv.gz"
    path.write_bytes(gzip.compress(b"id,score\nv/a,3\n"))
    assert Precomputed(str(path)).rate(item("v/a")) == Rating(3.0)


def test_pairs_are_looked_up_by_side(table: Path) -> None:
    table.write_text("id,score\np#first,1\np#second,2\nq#first,1\n", encoding="utf-8")
    judge = Precomputed(str(table))
    assert judge.prefer(Pair("p", "v", "?", "x", "y")) == Preference(0.0)
    missing = Unparsed("second response: no score in scores.csv")
    assert judge.prefer(Pair("q", "v", "?", "x", "y")) == missing


def test_ratings_on_the_scale(table: Path) -> None:
    table.write_text("id,score\nv/a,1\nv/b,5\n", encoding="utf-8")
    assert Precomputed(str(table), on_scale=True).scale == RatingScale(1, 5)


def test_signature_names_the_content_not_the_path(table: Path, tmp_path: Path) -> None:
    content = b"id,score\nv/a,1\n"
    table.write_bytes(content)
    signature = build("precomputed", {"scores": str(table)}).signature()
    assert signature == {
        "judge": "precomputed",
        "scores": "sha256:" + hashlib.sha256(content).hexdigest()[:12],
        "file": "scores.csv",
        "column": "score",
        "on_scale": False,
    }
    assert str(tmp_path) not in str(signature)


def test_missing_file(tmp_path: Path) -> None:
    path = str(tmp_path / "no.csv")
    with pytest.raises(ConfigError) as caught:
        Precomputed(path, column="gpt")
    assert str(caught.value) == (
        f"scores={path!r}: there is no such file. "
        "Give the path of a CSV file with the columns 'id' and 'gpt'."
    )


def test_missing_column_has_the_nearest_names(table: Path) -> None:
    table.write_text("id,scores,rank\n", encoding="utf-8")
    with pytest.raises(UnknownNameError) as caught:
        Precomputed(str(table))
    assert str(caught.value) == (
        "unknown column 'score'. Did you mean 'scores'? Known: id, rank, scores. "
        f"Set column=NAME. File: {table}."
    )


NOT_FINITE = "is not a finite number; leave the cell empty for no score"


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("", ", line 1", "no column 'id'; columns found: none. It names the items."),
        ("a,b\n", ", line 1", "no column 'id'; columns found: a, b. It names the items."),
        ("id,score,score\n", ", line 1", "2 columns are called 'score'"),
        (
            "id,score\na,1\n\na,2\n",
            ", line 4, field 'id'",
            "the id 'a' was on line 2 before; give each id once",
        ),
        ('id,score\n"a\nb",1\nc,x\n', ", line 4, field 'score'", f"'x' {NOT_FINITE}"),
        ("id,score\na,nan\n", ", line 2, field 'score'", f"'nan' {NOT_FINITE}"),
        ("id,score\na,1e999\n", ", line 2, field 'score'", f"'1e999' {NOT_FINITE}"),
        ("id,score\n ,1\n", ", line 2, field 'id'", "the id is empty"),
        ("id,score\na\n", ", line 2", "1 cells, but the header has 2"),
        (
            "id,score\na,0.5\n",
            ", line 2, field 'score'",
            "0.5 is outside the scale 1-5; scores off it need on_scale=false",
        ),
        (
            'id,score\n"a,1\n',
            "",
            "not a CSV file in UTF-8 that can be read: unexpected end of data",
        ),
    ],
)
def test_wrong_tables(table: Path, text: str, where: str, problem: str) -> None:
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        Precomputed(str(table), on_scale=True)
    assert str(caught.value) == f"{table}{where}: {problem}"


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    latin, zipped = tmp_path / "latin.csv", tmp_path / "plain.csv.gz"
    latin.write_bytes("id,score\ncafé,1\n".encode("latin-1"))
    zipped.write_bytes(b"id,score\n")
    for path, reason in ((latin, "can't decode byte 0xe9"), (zipped, "Not a gzipped file")):
        with pytest.raises(DataError) as caught:
            Precomputed(str(path))
        assert str(caught.value).startswith(f"{path}: not a CSV file in UTF-8 that can be read: ")
        assert reason in str(caught.value)
    whole = gzip.compress(b"id,score\n" + b"".join(b"v/%d,1\n" % n for n in range(1000)))
    zipped.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="ended before the end-of-stream marker"):
        Precomputed(str(zipped))


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_read_or_refused_with_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, header: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(b"id,score\n" + content if header else content)
    try:
        verdict = Precomputed(str(path)).rate(item("a"))
    except VideoJudgeError:
        return
    assert isinstance(verdict, (Rating, Unparsed))


def test_scores_of_a_judge_that_was_trained_on_a_set_say_so(table: Path) -> None:
    table.write_text("id,score\nv/a,1\n", encoding="utf-8")
    signature = build("precomputed", {"scores": str(table), "overlap": "vatex+nextqa"}).signature()
    assert overlap_of(signature) == ("vatex", "nextqa")
    assert "overlap" not in build("precomputed", {"scores": str(table)}).signature()
    with pytest.raises(UnknownNameError, match="unknown gold set 'vatec'"):
        Precomputed(str(table), overlap="vatec")
