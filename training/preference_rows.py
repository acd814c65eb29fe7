"""Chosen and rejected answers as the trainers of DPO and of reward models read them.

- `swift`, `llamafactory`: JSON Lines with `<video>` where the video goes; LLaMA-Factory also finds
  the file in `dataset_info.json` beside it.
- `trl`: parquet with the columns `prompt`, `chosen` and `rejected` as messages, and `images`, the
  frames of the video, because TRL takes no video. `datasets` decodes them.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from videojudge_bench._util.files import cannot_write, check_output, write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench.answers.selection import Candidate, PreferencePair, Question
from videojudge_bench.answers.verdict_lines import write_lines
from videojudge_bench.errors import ConfigError, DataError, VideoError
from videojudge_bench.judges.engines.special_tokens import make_inert
from videojudge_bench.serving.videos import VideoFolder
from videojudge_bench.training.bootstrap.export import INFO_FILE, dataset_info
from videojudge_bench.training.sft.rows import read_rows
from videojudge_bench.training.training_row import TRAIN
from videojudge_bench.video import FramePolicy, load_frames

Format = Literal["swift", "llamafactory", "trl"]
SUFFIXES: Mapping[Format, str] = {"swift": ".jsonl", "llamafactory": ".jsonl", "trl": ".parquet"}

NO_FILE, BROKEN = "no video file", "a video that cannot be decoded"
_KINDS = ("pointwise", "pairwise", "rubric")
_JPEG_QUALITY = 95
_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class PairOptions:
    """Form of the rows.

    Attributes:
        path: the file.
        form: the trainer that reads it.
        videos: folder with the video files, which are then named by their absolute path; None
            leaves the names as they are, for a trainer that is told the folder.
        frames: per video, spread evenly, where a trainer takes frames.

    Raises:
        ConfigError: the file cannot be written, or frames are needed and there is no folder of
            videos.
    """

    path: Path
    form: Format
    videos: Path | None = None
    frames: int = 8

    def __post_init__(self) -> None:
        check_output(self.path, SUFFIXES[self.form], option="--pairs")
        if self.form == "trl" and self.videos is None:
            raise ConfigError("--format trl: TRL takes frames, so expected --videos DIR, got none")
        if self.frames < 1:
            raise ConfigError(f"--frames {self.frames}: expected a number from 1 up")


def rated_questions(folder: Path) -> list[Question]:
    """Return the instructions of a bootstrap with their rated responses, of the part `train`.

    Raises:
        ConfigError: the folder holds no rows.
        DataError: a row is malformed.
    """
    questions: dict[str, Question] = {}
    responses: dict[str, dict[str, Candidate]] = {}
    for row in read_rows([str(folder)], _KINDS, TRAIN):
        seed = row.seed_id or row.id
        questions.setdefault(seed, Question(row.video_id, row.video, row.instruction or "", ()))
        for response in row.responses:
            given: dict[str, Json] = {
                "id": f"{seed}/{response.rating:g}",
                "video_id": row.video_id,
                "instruction": row.instruction,
                "response": response.text,
            }
            candidate = Candidate(str(given["id"]), response.text, response.rating, row=given)
            responses.setdefault(seed, {})[candidate.id] = candidate
    if not responses:
        raise ConfigError(f"{folder}: expected rows of the part {TRAIN} with responses, got none")
    return [
        Question(q.video_id, q.video, q.instruction, tuple(responses[seed].values()))
        for seed, q in questions.items()
        if seed in responses
    ]


def write_pairs(pairs: Iterable[PreferencePair], options: PairOptions) -> Mapping[str, int]:
    """Write rows; return the number of pairs that were left out, by reason.

    Raises:
        DataError: LLaMA-Factory's `dataset_info.json` is there and is no list of data sets.
        RunStoppedError: a file cannot be written.
    """
    path, left_out = options.path, Counter[str]()
    with_videos = _with_videos(pairs, options.videos, left_out)
    try:
        if options.form == "trl":
            _write_parquet(_trl_rows(with_videos, options.frames, left_out), path)
        else:
            row = _swift if options.form == "swift" else _llamafactory
            write_lines((row(pair, video) for pair, video in with_videos), path)
        if options.form == "llamafactory":
            _add_to_info(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    return dict(left_out)


def _with_videos(
    pairs: Iterable[PreferencePair], folder: Path | None, left_out: Counter[str]
) -> Iterator[tuple[PreferencePair, str]]:
    videos = VideoFolder(folder)
    for pair in pairs:
        question = pair.question
        path = videos.find(question.video_id, question.video)
        if path is None and folder is not None:
            left_out[NO_FILE] += 1
        else:
            yield pair, str(path or question.video or question.video_id)


def _message(role: str, text: str, mark: str = "") -> dict[str, Json]:
    return {"role": role, "content": mark + _plain(text)}


def _plain(text: str) -> str:
    """A text without special tokens, and without half surrogate pairs, which no parquet holds."""
    return make_inert(text.encode("utf-8", "replace").decode())


def _swift(pair: PreferencePair, video: str) -> dict[str, Json]:
    return {
        "messages": [
            _message("user", pair.question.instruction, "<video>\n"),
            _message("assistant", pair.chosen.response),
        ],
        "rejected_response": _plain(pair.rejected.response),
        "videos": [video],
        "margin": pair.margin,
    }


def _llamafactory(pair: PreferencePair, video: str) -> dict[str, Json]:
    return {
        "messages": [_message("user", pair.question.instruction, "<video>\n")],
        "chosen": _message("assistant", pair.chosen.response),
        "rejected": _message("assistant", pair.rejected.response),
        "videos": [video],
    }


def _trl_rows(
    pairs: Iterable[tuple[PreferencePair, str]], frames: int, left_out: Counter[str]
) -> Iterator[dict[str, object]]:
    @lru_cache(maxsize=1)  # pairs of a video stand together
    def pictures(video: str) -> Sequence[Mapping[str, bytes | None]]:
        return [{"bytes": picture, "path": None} for picture in _pictures(video, frames)]

    for pair, video in pairs:
        try:
            images = pictures(video)
        except VideoError:
            left_out[BROKEN] += 1
            continue
        yield {
            "prompt": [_message("user", pair.question.instruction)],
            "chosen": [_message("assistant", pair.chosen.response)],
            "rejected": [_message("assistant", pair.rejected.response)],
            "images": images,
            "margin": pair.margin,
        }


def _pictures(video: str, frames: int) -> Iterator[bytes]:
    from PIL import Image

    for frame in load_frames(video, FramePolicy(max_frames=frames, fps=None)).frames:
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=_JPEG_QUALITY)
        yield file.getvalue()


def _write_parquet(rows: Iterator[Mapping[str, object]], path: Path) -> None:
    """Write beside and rename; the schema holds the types of `datasets`."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features, Image, List, Value

    messages = List({"role": Value("string"), "content": Value("string")})
    schema = Features(
        {
            **dict.fromkeys(("prompt", "chosen", "rejected"), messages),
            "images": List(Image()),
            "margin": Value("float64"),
        }
    ).arrow_schema
    part = path.with_name(f".{path.name}.part")
    try:
        with pq.ParquetWriter(part, schema) as file:
            while some := [row for _, row in zip(range(_ROWS_AT_ONCE), rows, strict=False)]:
                file.write_table(pa.Table.from_pylist(some, schema=schema))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _add_to_info(path: Path) -> None:
    """Name the file in LLaMA-Factory's list of data sets, which may have others."""
    info = path.with_name(INFO_FILE)
    try:
        sets = json.loads(info.read_text("utf-8")) if info.exists() else {}
        sets[path.stem] = {**dataset_info(path.name, "chosen", "rejected"), "ranking": True}
    except (ValueError, TypeError) as error:
        problem = f"expected LLaMA-Factory's JSON object of data sets ({error}); move it away"
        raise DataError(problem, path=info) from error
    write_whole(info, json.dumps(sets, indent=1) + "\n")
