"""Training rows on disk: JSON Lines, parquet, and the chat form that trainers read.

`data/` of a bootstrap folder gets, for each kind of row and each part:

- `<kind>_<part>.jsonl` and `.parquet`: all fields of a row;
- `chat_<kind>_<part>.jsonl`: `{"messages", "videos"}` with `<video>` where the video goes, for
  `datasets`, ms-swift and LLaMA-Factory; `dataset_info.json` is LLaMA-Factory's.

Rows are streamed in the order of the seeds. The folder is replaced as a whole.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import jsonlines

from videojudge_bench._util.hashing import Json
from videojudge_bench.training.bootstrap.contracts import Outcome
from videojudge_bench.training.bootstrap.rows import RowOptions, chat_of, rows_of
from videojudge_bench.training.training_row import TrainingRow

if TYPE_CHECKING:
    import pyarrow as pa

DATA_FOLDER = "data"
INFO_FILE = "dataset_info.json"
_ROWS_AT_ONCE = 4096


def write_rows(outcomes: Iterable[Outcome], folder: Path, options: RowOptions) -> Mapping[str, int]:
    """Write the rows of all kept seeds below a folder; return their number by file name."""
    target, part = folder / DATA_FOLDER, folder / f"{DATA_FOLDER}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    files = _Files(part, options.videos)
    try:
        for outcome in outcomes:
            for row in rows_of(outcome, options):
                files.add(row)
    finally:
        files.close()
    _write_info(part, files.counts)
    old = folder / f"{DATA_FOLDER}.old"
    shutil.rmtree(old, ignore_errors=True)  # from a run that was killed here
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return dict(sorted(files.counts.items()))


class _Files:
    def __init__(self, folder: Path, videos: str | None) -> None:
        self._folder, self._videos = folder, Path(videos).absolute() if videos else None
        self._texts: dict[str, jsonlines.Writer] = {}
        self._tables: dict[str, _Table] = {}
        self.counts: Counter[str] = Counter()

    def add(self, row: TrainingRow) -> None:
        name = f"{row.kind}_{row.part}"
        data = row.model_dump(mode="json", exclude=None if row.criteria else {"criteria"})
        self._line(f"{name}.jsonl", data)
        video = row.video or row.video_id
        path = str(self._videos / video) if self._videos else video
        chat: dict[str, Json] = {"id": row.id, "messages": [*chat_of(row)], "videos": [path]}
        self._line(f"chat_{name}.jsonl", chat)
        if name not in self._tables:
            self._tables[name] = _Table(self._folder / f"{name}.parquet")
        self._tables[name].add(data)
        self.counts[name] += 1

    def close(self) -> None:
        for file in self._texts.values():
            file.close()
        for table in self._tables.values():
            table.close()

    def _line(self, name: str, data: Mapping[str, Json]) -> None:
        if name not in self._texts:
            self._texts[name] = jsonlines.open(self._folder / name, "w")
        self._texts[name].write(data)


class _Table:
    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._schema = _schema()
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[Mapping[str, Json]] = []

    def add(self, row: Mapping[str, Json]) -> None:
        self._rows.append(row)
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._write()

    def close(self) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def _schema() -> pa.Schema:
    """Named types, so that a column that is empty in the first rows has the right one."""
    import pyarrow as pa

    text, number, whole = pa.string(), pa.float64(), pa.int32()
    response = {
        "rating": whole,
        "text": text,
        "evaluator": number,
        "truth": whole,
        "rounds": whole,
        "feedback": text,
        "changes": pa.list_(text),
    }
    before = ("id", "kind", "part", "seed_id", "source", "video_id", "video", "instruction", "gold")
    after = ("system", "user", "reply", "verdict")
    return pa.schema(
        {
            **dict.fromkeys(before, text),
            "responses": pa.list_(pa.struct(response)),
            **dict.fromkeys(after, text),
        }
    )


def _write_info(folder: Path, counts: Mapping[str, int]) -> None:
    """LLaMA-Factory's list of data sets: how the chat files are to be read."""
    info = {f"videojudge_{name}": dataset_info(f"chat_{name}.jsonl") for name in sorted(counts)}
    (folder / INFO_FILE).write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")


def dataset_info(file_name: str, *columns: str) -> dict[str, Json]:
    """Return LLaMA-Factory's entry of a file of chat rows.

    Args:
        file_name: beside the list of data sets.
        columns: beside `messages` and `videos`.
    """
    tags = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    }
    return {
        "file_name": file_name,
        "formatting": "sharegpt",
        "columns": {name: name for name in ("messages", "videos", *columns)},
        "tags": tags,
    }
