"""LongVideoBench, validation split: questions with four or five options, one of them correct.

Wu et al., "LongVideoBench: A Benchmark for Long-context Interleaved Video-Language Understanding",
NeurIPS 2024 (arXiv 2407.15754). VideoJudge rates each option as if it were a free answer. The
release is `lvb_val.json`, a JSON list, beside a folder of subtitle files in one of two schemas.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Union

from pydantic import (
    BaseModel,
    Field,
    FiniteFloat,
    NonNegativeFloat,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import jsonl, schema
from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.goldsets.released import ReleasedSet

INFO = GoldSetInfo(
    name="longvideobench",
    title="LongVideoBench: the correct option against the others",
    kind="options",
    shape="options",
    licence="CC BY-NC-SA 4.0",
    source="huggingface.co/datasets/longvideobench/LongVideoBench, validation split",
    how_to_get=(
        "ask for access at huggingface.co/datasets/longvideobench/LongVideoBench, then `videojudge "
        "data prepare longvideobench --release lvb_val.json --subtitles DIR --videos DIR`"
    ),
)

ORDER_CATEGORIES = frozenset({"E3E", "O3O", "SSS", "SOS", "SAA", "T3E", "T3O", "TOS", "TAA"})
"""The question categories of level L2-Relation: what happens before, after, or in which order."""

_Seconds = NonNegativeFloat
_Clock = Annotated[str, Field(pattern=r"^[0-9]{1,4}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]{1,9})?$")]


class LvbQuestion(BaseModel):
    """One question of `lvb_val.json`."""

    model_config = jsonl.STRICT

    video_id: schema.Text
    question: schema.Text
    question_wo_referring_query: str
    candidates: Annotated[tuple[schema.Text, ...], Field(min_length=2, max_length=5)]
    correct_choice: Annotated[int, Field(ge=0)]
    position: tuple[int, ...]
    topic_category: schema.Text
    question_category: schema.Text
    level: schema.Text
    id: schema.Text
    video_path: schema.Text
    subtitle_path: schema.Text
    duration_group: Literal[15, 60, 600, 3600]
    starting_timestamp_for_subtitles: FiniteFloat
    duration: _Seconds
    view_count: int
    type: str | None = None

    @field_validator("video_path", "subtitle_path")
    @classmethod
    def _inside_the_folder(cls, path: str) -> str:
        return schema.inside_its_folder(path)


class _Timed(BaseModel):
    """A subtitle of the first schema; without an end it lasts as long as the video."""

    model_config = jsonl.STRICT

    timestamp: tuple[FiniteFloat, Union[FiniteFloat, str, None]]
    text: str

    def span(self, video_ends: float) -> tuple[float, float]:
        """Return start and end in seconds of the subtitles' own clock."""
        start, end = self.timestamp
        return start, end if isinstance(end, (int, float)) else video_ends


class _Clocked(BaseModel):
    """A subtitle of the second schema: times as `h:m:s`."""

    model_config = jsonl.STRICT

    start: _Clock
    end: _Clock
    text: str = Field(alias="line")

    def span(self, _video_ends: float) -> tuple[float, float]:
        return _seconds(self.start), _seconds(self.end)


def read(release: Path, subtitles: Path | None = None) -> Iterator[schema.Row]:
    """Yield one row per question of `lvb_val.json`, with subtitles if their folder is given.

    Raises DataError with file and field where a file is missing or invalid.
    """
    seen: dict[str, int] = {}
    questions = jsonl.read_json(release, _QUESTIONS)
    for place, question in enumerate(questions):
        if question.id in seen:
            problem = f"duplicate of [{seen[question.id]}] ({question.id!r}); ids are unique"
            raise DataError(problem, path=release, field=f"[{place}].id")
        seen[question.id] = place
        try:
            yield _row(question, subtitles)
        except ValidationError as error:
            within = f"[{place}]"
            raise jsonl.data_error(error, release, None, _FIELDS, within=within) from error


_QUESTIONS = TypeAdapter(Annotated[tuple[LvbQuestion, ...], Field(min_length=1)])
_FIELDS = {"correct": "correct_choice", "video": "video_path", "options": "candidates"}
"""Names in the release of fields of our schema."""


def _row(question: LvbQuestion, subtitles: Path | None) -> schema.OptionRow:
    path = PurePosixPath(question.video_path)
    named_by_id = str(path.parent) == "." and path.stem == question.video_id
    return schema.OptionRow(
        id=question.id,
        video_id=question.video_id,
        video=None if named_by_id else question.video_path,
        instruction=question.question,
        options=question.candidates,
        correct=question.correct_choice,
        subtitles=() if subtitles is None else _subtitles(question, subtitles),
        labels={
            "question_category": question.question_category,
            "level": question.level,
            "topic_category": question.topic_category,
            "duration_group": str(question.duration_group),
        },
    )


_TIMED = TypeAdapter(tuple[_Timed, ...])
_CLOCKED = TypeAdapter(tuple[_Clocked, ...])


def _subtitles(question: LvbQuestion, folder: Path) -> tuple[schema.SubtitleRow, ...]:
    offset, duration = question.starting_timestamp_for_subtitles, question.duration
    spoken: list[schema.SubtitleRow] = []
    for subtitle in _subtitle_file(folder / question.subtitle_path):
        start, end = (time - offset for time in subtitle.span(offset + duration))
        if subtitle.text.strip() and start < duration and end > 0:
            row = schema.SubtitleRow(
                start_seconds=round(max(start, 0.0), 3),
                end_seconds=round(min(max(end, start), duration), 3),
                text=subtitle.text.strip(),
            )
            spoken.append(row)
    return tuple(spoken)


def _subtitle_file(path: Path) -> tuple[_Timed, ...] | tuple[_Clocked, ...]:
    try:
        raw = path.read_bytes()
        # One schema a file, so that an error is about the schema that the file has.
        return (_TIMED if b'"timestamp"' in raw else _CLOCKED).validate_json(raw)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from error
    except ValidationError as error:
        raise jsonl.data_error(error, path, None) from error


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


SET = ReleasedSet(INFO, read, sample_file="longvideobench.json", units=1_337)
