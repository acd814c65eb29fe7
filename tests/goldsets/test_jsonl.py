from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from videojudge_bench.errors import ConfigError, DataError, NoDataError
from videojudge_bench.goldsets import jsonl, vatex


class Inner(BaseModel):
    model_config = jsonl.STRICT

    score: int


class Row(BaseModel):
    model_config = jsonl.STRICT

    name: str
    inner: tuple[Inner, ...] = ()


def read(path: Path) -> list[Row]:
    return list(jsonl.read_rows(path, Row, unique=("name",)))


def file_of(folder: Path, content: bytes, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


GOOD = b'{"name": "a", "inner": [{"score": 3}]}\n'


@pytest.mark.parametrize(
    ("content", "line", "field", "text"),
    [
        (b"", None, None, "the file is empty; it needs one JSON object per line"),
        (GOOD + b"{nope}\n", 2, None, "not a JSON object (Invalid JSON: key must be a string"),
        (GOOD + b'{"name": "b"', 2, None, "not a JSON object (Invalid JSON: EOF"),
        (GOOD + b"\n", 2, None, "an empty line; remove it"),
        (b"[1]\n", 1, None, "Input should be an object; found [1]"),
        (b"{}\n", 1, "name", "the field is missing"),
        (b'{"name": "a", "nam": 1}\n', 1, "nam", "the field is unknown; remove it or correct"),
        (b'{"name": 7}\n', 1, "name", "Input should be a valid string; found 7"),
        (
            b'{"name": "a", "inner": [{"score": 1}, {"score": "5"}]}\n',
            1,
            "inner[1].score",
            "Input should be a valid integer; found '5'",
        ),
        (b'{"name": 1, "inner": 2}\n', 1, "name", "found 1 (and 1 more in this line)"),
        (
            GOOD + b'{"name": "b"}\n{"name": "a"}\n',
            3,
            "name",
            "duplicate of line 1 ('a'); no two lines may have the same name, remove one",
        ),
        (b"\xef\xbb\xbf" + GOOD, 1, None, "begins with a byte order mark; save it as UTF-8"),
        (
            GOOD + b'{"name": "\xe9"}\n',
            2,
            None,
            # 10 bytes stand before it: {"name": "
            "byte 11 of the line (0xe9) is not UTF-8; save it as UTF-8",
        ),
        (
            GOOD + b'{"name": "' + b"x" * jsonl.MAX_LINE_BYTES + b'"}\n',
            2,
            None,
            "longer than 1048576 bytes; the file needs one JSON object per line",
        ),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_fault_is_named_with_its_place(
    tmp_path: Path,
    *,
    content: bytes,
    line: int | None,
    field: str | None,
    text: str,
    compressed: bool,
) -> None:
    path = file_of(tmp_path, content)
    if compressed:
        path = file_of(tmp_path, gzip.compress(content), "rows.jsonl.gz")
    with pytest.raises(DataError, match=re.escape(text)) as caught:
        read(path)
    assert (caught.value.path, caught.value.line, caught.value.field) == (path, line, field)
    place = str(path) + (f", line {line}" if line else "") + (f", field {field!r}" if field else "")
    assert str(caught.value).startswith(f"{place}: ")


def test_a_long_value_is_shortened_in_the_message(tmp_path: Path) -> None:
    path = file_of(tmp_path, json.dumps({"name": list(range(99))}).encode())
    # 57 characters of the list's repr and three dots.
    found = f"found {repr(list(range(99)))[:57]}..."
    with pytest.raises(DataError, match=re.escape(found)) as caught:
        read(path)
    assert str(caught.value).endswith("...")


def test_rows_come_in_the_order_of_the_file_whatever_the_line_ends(tmp_path: Path) -> None:
    path = file_of(tmp_path, b'{"name": "b"}\r\n{"name": "a"}')
    assert [row.name for row in read(path)] == ["b", "a"]


def test_a_repeated_row_may_be_explained_in_other_words(tmp_path: Path) -> None:
    path = file_of(tmp_path, GOOD + GOOD)
    rows = jsonl.numbered_rows(path, Row, unique=("name",), field="id", rule="give each an id")
    text = f"{path}, line 2, field 'id': duplicate of line 1 ('a'); give each an id"
    with pytest.raises(DataError, match=re.escape(text)):
        list(rows)


def test_the_first_line_alone(tmp_path: Path) -> None:
    path = file_of(tmp_path, GOOD + b"broken \xff")
    assert jsonl.first_line(path) == GOOD.decode()
    for content, text in (
        (b"", "the file is empty"),
        (b"\xff", "line 1: byte 1 of the line (0xff) is not UTF-8"),
        (b"\xef\xbb\xbf{}", "line 1: begins with a byte order mark"),
        (b"x" * (jsonl.MAX_LINE_BYTES + 1), "line 1: longer than 1048576 bytes"),
    ):
        with pytest.raises(DataError, match=re.escape(text)):
            jsonl.first_line(file_of(tmp_path, content))


def test_an_object_of_a_file_of_its_own(tmp_path: Path) -> None:
    path = file_of(tmp_path, b'{\n"name": "a"}\n', "row.json")
    assert jsonl.read_object(path, Row) == Row(name="a")
    for content, field, text in (
        (b'{"name": 3, "more": 1}', "name", "found 3 (and 1 more in this file)"),
        (b"", None, "not a JSON object (Invalid JSON: EOF"),
        (b"\xff", None, "not a JSON object (Invalid JSON: expected value at line 1"),
    ):
        file_of(tmp_path, content, "row.json")
        with pytest.raises(DataError, match=re.escape(text)) as caught:
            jsonl.read_object(path, Row)
        assert (caught.value.path, caught.value.line, caught.value.field) == (path, None, field)
    with pytest.raises(DataError, match="cannot be read"):
        jsonl.read_object(tmp_path / "none.json", Row)


def test_reading_is_lazy(tmp_path: Path) -> None:
    rows = jsonl.read_rows(file_of(tmp_path, GOOD + b"broken"), Row, unique=("name",))
    assert next(rows).name == "a"
    with pytest.raises(DataError, match="line 2: not a JSON object"):
        next(rows)


def test_every_cut_of_a_compressed_file_is_noticed(tmp_path: Path) -> None:
    whole = gzip.compress(GOOD + b'{"name": "b"}\n', mtime=0)
    assert len(read(file_of(tmp_path, whole, "whole.jsonl.gz"))) == 2
    for length in range(len(whole)):
        path = file_of(tmp_path, whole[:length], "cut.jsonl.gz")
        with pytest.raises(DataError, match=r"the compressed data end or break|the file is empty"):
            read(path)


@pytest.mark.parametrize("position", [-5, -1], ids=["checksum", "length"])
def test_a_damaged_compressed_file_is_noticed(tmp_path: Path, position: int) -> None:
    damaged = bytearray(gzip.compress(GOOD))
    damaged[position] ^= 0xFF
    path = file_of(tmp_path, bytes(damaged), "rows.jsonl.gz")
    with pytest.raises(DataError, match="line 1: the compressed data end or break after this line"):
        read(path)


def test_a_plain_file_named_gz_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Not a gzipped file"):
        read(file_of(tmp_path, GOOD, "rows.jsonl.gz"))


@pytest.mark.parametrize("name", ["none.jsonl", "none.jsonl.gz"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=re.escape("cannot be read (No such file or directory)")):
        read(tmp_path / name)


def test_written_files_depend_on_their_lines_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "one.jsonl.gz", tmp_path / "two.jsonl.gz"
    jsonl.write_lines(first, ["a", "é"])
    jsonl.write_lines(second, iter(["a", "é"]))
    assert first.read_bytes() == second.read_bytes()
    # RFC 1952: byte 3 holds the flags (0: no name), bytes 4-7 the time.
    assert first.read_bytes()[3:8] == bytes(5)
    assert gzip.decompress(first.read_bytes()) == "a\né\n".encode()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, unique=True))
def test_any_text_survives_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl.gz"
    rows = [json.dumps({"name": name}, ensure_ascii=False) for name in names]
    jsonl.write_lines(path, rows)
    assert [row.name for row in read(path)] == names


def test_data_that_are_not_in_the_package() -> None:
    info = replace(vatex.INFO, name="other", how_to_get="ask its authors")
    with pytest.raises(NoDataError, match="gold set 'other' has no data here: ask its authors"):
        jsonl.packaged_file(info, "none.jsonl.gz")


def test_videos_are_found_by_their_stem(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    (folder / "below").mkdir(parents=True)
    elsewhere = file_of(tmp_path, b"", "elsewhere.mp4")
    for name in ("-a_1.MP4", "b.webm", "c.txt", "d", ".mp4", "below/e.mp4"):
        file_of(folder, b"", name)
    (folder / "f.mkv").mkdir()
    (folder / "g.mov").symlink_to(elsewhere)
    (folder / "h.mov").symlink_to(tmp_path / "gone.mov")
    assert jsonl.find_videos(folder) == {
        "-a_1": folder / "-a_1.MP4",
        "b": folder / "b.webm",
        "g": folder / "g.mov",
    }


def test_of_several_files_of_a_video_the_preferred_kind_is_taken(tmp_path: Path) -> None:
    for extension in ("flv", "mkv", "webm"):
        file_of(tmp_path, b"", f"a.{extension}")
    assert jsonl.find_videos(tmp_path) == {"a": tmp_path / "a.webm"}


def test_a_video_folder_must_exist(tmp_path: Path) -> None:
    for path in (tmp_path / "none", file_of(tmp_path, b"", "file.mp4")):
        text = f"the video folder {str(path)!r} does not exist or is no folder; give the folder in"
        with pytest.raises(ConfigError, match=re.escape(text)):
            jsonl.find_videos(path)
