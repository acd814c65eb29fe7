"""A file may be larger than the memory: rows are checked, kept and counted as a stream."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import jsonl, schema, store
from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.scale import RatingScale

FEW, MANY = 800, 8_000
ROW_BYTES = 4_000
INFO = GoldSetInfo("big", "Big", "human", "ratings", "CC0-1.0", "the tests", "it is made here")


def line_of(number: int) -> str:
    text = f"response {number} " + "and so on " * (ROW_BYTES // 10)
    row = {"video_id": f"v{number % 40}", "instruction": "do", "response": text, "ratings": [3]}
    return json.dumps(row)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Files of 3.2 and of 32 million bytes, compressed; no two rows are alike."""
    folder = tmp_path_factory.mktemp("big")
    made = {count: folder / f"{count}.jsonl.gz" for count in (FEW, MANY)}
    for count, path in made.items():
        jsonl.write_lines(path, map(line_of, range(count)))
    return made


def checked(path: Path) -> None:
    rows = schema.checked_rows(path, "ratings", RatingScale())
    assert sum(1 for _ in rows) in (FEW, MANY)


def stored(path: Path) -> None:
    store.write(INFO, schema.checked_rows(path, "ratings", RatingScale()), None)


def peak_bytes(work: Callable[[Path], None], path: Path) -> int:
    tracemalloc.start()
    try:
        work(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("work", [checked, stored])
def test_memory_does_not_grow_with_the_texts(
    files: dict[int, Path], work: Callable[[Path], None]
) -> None:
    """Of every row one number stays, to notice a row that is there twice."""
    with gzip.open(files[MANY]) as file:
        assert sum(map(len, file)) > 7_800 * ROW_BYTES
    work(files[FEW])  # what is imported or cached once is not counted
    few, many = (peak_bytes(work, files[count]) for count in (FEW, MANY))
    # A number is 32 bytes and its place in a set at most 16 of 4 places (a set that has just
    # grown is a quarter full, and while it grows the old one is there too).
    assert many - few < (MANY - FEW) * 128
    assert many < 7_800 * ROW_BYTES / 20


def test_a_row_that_comes_back_late_is_found(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    jsonl.write_lines(path, [*map(line_of, range(300)), line_of(17)])
    with pytest.raises(DataError, match=r"line 301, field 'id': duplicate of line 18 \("):
        checked(path)


def test_two_rows_that_share_their_number_are_two_rows(tmp_path: Path) -> None:
    """Numbers of rows are hashes: equal ones are looked up before a row is refused."""

    class Counted(BaseModel):
        model_config = jsonl.STRICT

        number: int

    path = tmp_path / "rows.jsonl"
    path.write_text('{"number": -1}\n{"number": -2}\n{"number": -1}\n', encoding="utf-8")
    assert hash((-1,)) == hash((-2,))  # as CPython has it; else this test would show nothing
    found = jsonl.read_rows(path, Counted, unique=("number",))
    assert [next(found).number, next(found).number] == [-1, -2]
    with pytest.raises(DataError, match=r"line 3, field 'number': duplicate of line 1 \(-1\)"):
        next(found)


def test_a_row_longer_than_what_is_read_is_not_kept(tmp_path: Path) -> None:
    """A line of allowed length may grow when it is written: 1 becomes 1.0."""
    said = [{"start_seconds": 1, "end_seconds": 2, "text": ""} for _ in range(22_000)]
    row = {"video_id": "v", "instruction": "do", "response": "x", "ratings": [3], "subtitles": said}
    line = json.dumps(row, separators=(",", ":"))
    assert len(line) < jsonl.MAX_LINE_BYTES
    path = tmp_path / "rows.jsonl"
    path.write_text(line, encoding="utf-8")
    text = r"a row of the video 'v' is longer than 1048576 bytes; shorten its texts or subtitles"
    with pytest.raises(DataError, match=text):
        stored(path)
    assert store.names() == []
