"""Files, folders and data sets of the hub as rows, read as a stream."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import videojudge_bench
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets import sources
from videojudge_bench.goldsets.mapping import RowMap, load

ROWS = [{"a": "x", "n": 1}, {"a": "y", "n": 2}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
MAP = "video_id: a\ninstruction: a\nresponse: a\nratings: n\n"


def all_columns(_: Collection[str]) -> None:
    return None


def values_of(source: object, pattern: str | None = None) -> list[dict[str, object]]:
    rows = list(sources.rows(str(source), all_columns, pattern))
    assert [row.problem for row in rows if row.problem] == []
    return [
        {name: value for name, value in row.values.items() if name not in sources.OURS}
        for row in rows
    ]


def a_map(folder: Path, text: str = MAP) -> RowMap:
    (folder / "map.yaml").write_text(text, encoding="utf-8")
    return load(str(folder / "map.yaml"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", LINES),
        ("rows.jsonl", f"\ufeff{LINES}\n\n"),
        ("rows.json", json.dumps(ROWS)),
        ("rows.json", f" \n{json.dumps(ROWS, indent=2)}"),
        ("rows.json", LINES),
        ("rows.JSON.json", LINES.replace("\n", "\r\n")),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_json_in_every_form(name: str, content: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    assert values_of(path) == ROWS


def test_json_values_that_are_no_objects(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"a": [1,\n 2]}')
    (tmp_path / "list.json").write_text("[[1, 2.5], 3]")
    assert values_of(tmp_path / "one.json") == [{"a": [1, 2]}]
    assert values_of(tmp_path / "list.json") == [{"_value": [1, 2.5]}, {"_value": 3}]


@pytest.mark.parametrize(
    ("header", "line"),
    [("a,n", "x;y,1"), ("a;n", "x,y;1"), ("a\tn", "x,;y\t1"), ('"a","n"', '"x\ny","1"')],
)
def test_tables_with_every_separator(header: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"{header}\n{line}\n", encoding="utf-8-sig")
    (row,) = values_of(path)
    assert (set(row), row["n"]) == ({"a", "n"}, "1")


def test_a_cell_of_a_table_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(f"a,n\n{'x' * 300_000},1\n")
    assert len(str(values_of(tmp_path / "rows.csv")[0]["a"])) == 300_000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.json", b"[1, 2", "not a JSON list ("),
        ("rows.jsonl", b"{" * (1 << 20 | 1), "line 1: longer than 1048576 bytes"),
        ("rows.jsonl.gz", b"no gzip", "compressed data end or break"),
        ("rows.csv", b"a,\xff\n1,2\n", "not UTF-8 ("),
        ("rows.csv", b"", "the first line has no names of columns"),
        ("rows.csv", b"a,b,a\n1,2,3\n", "two columns are called 'a'; rename one"),
        ("rows.parquet", b"PAR1", "not Parquet, or broken ("),
        ("rows.txt", b"", "expected one of .jsonl, .json, .csv, .tsv, .parquet, got '.txt'"),
    ],
)
def test_a_file_that_cannot_be_read(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((ConfigError, DataError)) as caught:
        values_of(tmp_path / name)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    for name in ("b/x", "a/y", "a/z"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}_feedback.json").write_text(json.dumps({"of": name}))
    (tmp_path / "a" / "other.csv").write_text("of\ncsv\n")
    (tmp_path / "a" / "note.txt").write_text("not read")
    assert [row["of"] for row in values_of(tmp_path)] == ["csv", "a/y", "a/z", "b/x"]
    rows = list(sources.rows(str(tmp_path), all_columns, "**/*_feedback.json"))
    assert [row.place for row in rows][:2] == ["a/y_feedback.json row 1", "a/z_feedback.json row 1"]
    assert rows[0].values["_file"] == {
        "path": "a/y_feedback.json",
        "stem": "y_feedback",
        "folder": "a",
        "parts": ["a", "y_feedback.json"],
    }
    with pytest.raises(ConfigError, match=r"no file matches '\*\.xml' \(`files` of the mapping\)"):
        values_of(tmp_path, "*.xml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="there is no file that can be read"):
        values_of(tmp_path / "empty")


def test_only_the_columns_that_a_mapping_reads_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": ["x"], "n": [1], "bytes": [b"0" * 100]}), path)
    row_map = a_map(tmp_path)
    (row,) = sources.rows(str(path), row_map.select)
    assert set(row.values) == {"a", "n", "_row", "_file"}
    whole = a_map(tmp_path, MAP + "description: to_string(length(keys(@)))\n")
    (row,) = sources.rows(str(path), whole.select)
    assert "bytes" in row.values
    constants = a_map(tmp_path, "video_id: _file.stem\ninstruction: {constant: i}\nresponse: "
                      "{constant: r}\nratings: {constant: 3}\n")  # fmt: skip
    assert len(list(sources.rows(str(path), constants.select))) == 1


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the layout of the hub: two splits, a card, and a configuration."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "data").mkdir()
    for split in ("train", "test"):
        table = pa.Table.from_pylist([{**row, "split": split} for row in ROWS])
        pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.mark.slow  # the library of the hub is heavy to import
def test_a_data_set_of_the_hub(hub: Path, tmp_path: Path) -> None:
    assert values_of(f"hf:{hub}:test") == [{**row, "split": "test"} for row in ROWS]
    row_map = a_map(tmp_path)
    for row in sources.rows(f"hf:{hub}:train", row_map.select):
        assert set(row.values) == {"a", "n", "_row"}
    for source, message in (
        (f"hf:{hub}", rf"expected a split, such as hf:{hub}:\w+; there are train, test"),
        (f"hf:{hub}:tset", "unknown split of .*'tset'. Did you mean 'test'"),
        (f"hf:{hub}:other/test", "BuilderConfig 'other' not found"),
        (f"hf:{hub}/none", "cannot be read: Couldn't find"),
        ("hf:", "expected hf:OWNER/NAME"),
    ):
        with pytest.raises(ConfigError, match=message):
            values_of(source)
    unknown = a_map(tmp_path, MAP.replace("ratings: n", "ratings: score"))
    with pytest.raises(ConfigError, match="ratings: unknown column 'score'"):
        list(sources.rows(f"hf:{hub}:test", unknown.select))
    cards = tmp_path / "cards"
    (cards / "one").mkdir(parents=True)
    (cards / "one" / "rows.csv").write_text("a,n\nNA,1\n")
    (cards / "README.md").write_text(
        "---\nconfigs:\n- config_name: first\n  data_files:\n"
        "  - split: dev\n    path: one/rows.csv\n---\n"
    )
    assert [row["n"] for row in values_of(f"hf:{cards}:first/dev")] == [1]


MEASURED = """\
import re, sys
from pathlib import Path
from videojudge_bench.goldsets import importing, mapping
report = importing.convert(sys.argv[1], mapping.load(sys.argv[2]), Path(sys.argv[3]), "big")
# Not getrusage: its peak includes what the parent held when it forked.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(report.read, report.n_bad, int(peak) >> 10)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_does_not_grow_with_a_parquet_file(tmp_path: Path) -> None:
    """One row group as large as the file; texts that do not compress."""
    a_map(tmp_path, "video_id: n\ninstruction: {constant: i}\nresponse: a\nratings: n\n")
    peaks = {}
    for n in (500, 10_000):
        path = tmp_path / f"{n}.parquet"
        table = {
            "a": [os.urandom(4_000).hex() for _ in range(n)],
            "n": [3] * n,
            "video": [os.urandom(8_000) for _ in range(n)],
        }
        pq.write_table(pa.table(table), path, row_group_size=n)
        assert pq.ParquetFile(path).num_row_groups == 1
        command = [sys.executable, "-c", MEASURED, str(path), str(tmp_path / "map.yaml")]
        root = str(Path(videojudge_bench.__path__[0]).parent)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
        ran = subprocess.run(
            [*command, str(tmp_path / "rows.jsonl.gz")],
            capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
        read, bad, peaks[n] = map(int, ran.stdout.split())
        assert (read, bad) == (n, 0)
    assert (tmp_path / "10000.parquet").stat().st_size > 100 << 20
    assert peaks[10_000] - peaks[500] < 30, peaks
