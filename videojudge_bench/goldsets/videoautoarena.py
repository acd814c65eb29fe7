"""VideoAutoArena's benchmark: two answers to a question, one selected by people, one rejected.

Luo et al., "VideoAutoArena: An Automated Arena for Evaluating Large Multimodal Models in Video
Analysis through User Simulation", CVPR 2025 (arXiv 2411.13281). The release is
`data/videoautobench.latest.json`, one JSON object with a question per key; JSON Lines with `qid`,
`selected_answer` and `rejected_answer` are read too. The videos are those of LongVideoBench's test
split. The persona that a question was written for is not shown to a judge, as its authors ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import jsonl, schema
from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.goldsets.released import ReleasedSet

INFO = GoldSetInfo(
    name="videoautoarena",
    title="VideoAutoArena: the answer that people selected against the one they rejected",
    kind="human",
    shape="pairs",
    licence="CC BY-NC-SA 4.0 (says its README)",
    source="github.com/VideoAutoArena/VideoAutoBench",
    how_to_get=(
        "get data/videoautobench.latest.json from github.com/VideoAutoArena/VideoAutoBench, then "
        "`videojudge data prepare videoautoarena --release videoautobench.latest.json`"
    ),
)

_STARS = re.compile(r"^\s*\*\*\s*\n|\n\s*\*\*\s*$")


class _Question(BaseModel):
    model_config = ConfigDict(**{**jsonl.STRICT, "extra": "ignore"})

    qid: str = ""
    video_id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    selected: str = Field(validation_alias=AliasChoices("selected answer", "selected_answer"))
    rejected: str = Field(validation_alias=AliasChoices("rejected answer", "rejected_answer"))


def read(release: Path, _subtitles: Path | None = None) -> Iterator[schema.Row]:
    """Yield one pair per question; raises DataError with file, place and field."""
    for line, qid, question in _questions(release):
        within = "" if line else qid
        if question.selected == question.rejected:
            problem = f"the selected and the rejected answer of {qid!r} are the same text"
            raise DataError(problem, path=release, line=line, field="rejected answer")
        try:
            yield _row(qid, question)
        except ValidationError as error:
            raise jsonl.data_error(error, release, line, _FIELDS, within=within) from error


_FIELDS = {"id": "qid", "instruction": "question"}
"""Names in the release of fields of our schema."""


def _row(qid: str, question: _Question) -> schema.PairRow:
    return schema.PairRow(
        id=qid,
        video_id=question.video_id,
        # The release frames some questions in empty bold marks.
        instruction=_STARS.sub("", question.question).strip(),
        response_a=question.selected,
        response_b=question.rejected,
        preferences=("a",),
    )


_QUESTIONS = TypeAdapter(Annotated[dict[str, _Question], Field(min_length=1)])


def _questions(release: Path) -> Iterator[tuple[int | None, str, _Question]]:
    if release.suffix in (".jsonl", ".gz"):
        for line, row in jsonl.numbered_rows(release, _Question, unique=("qid",)):
            yield line, row.qid, row
    else:
        for qid, question in jsonl.read_json(release, _QUESTIONS).items():
            yield None, qid, question


SET = ReleasedSet(INFO, read, units=255)
