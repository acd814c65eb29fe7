"""NExT-QA, validation split: questions about videos, each with five options, one of them correct.

Xiao et al., "NExT-QA: Next Phase of Question-Answering to Explaining Temporal Actions", CVPR 2021.
Half of the videos, by a hash of the id, are gold; the other half are seeds for the bootstrap, so
that no judge trained here has seen a gold video. Every option is one example: a good judge rates
the correct one above the other four.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.goldsets import jsonl
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.goldsets.schema import Text
from videojudge_bench.items import Example, Item, OptionGold, opaque_id

INFO = GoldSetInfo(
    name="nextqa",
    title="NExT-QA: the correct option against four others",
    kind="options",
    shape="options",
    licence="MIT",
    source="NExT-QA, CVPR 2021 (github.com/doc-doc/NExT-QA), validation split",
    how_to_get=(
        "the questions travel with the package (reinstall it when they are missing); "
        "the videos (VidOR) come from your own folder, as <video id>.<ext>"
    ),
)

OPTIONS = 5  # per question

_FILE = "nextqa_val.jsonl.gz"

_Count = Annotated[int, Field(ge=1)]


class NextQaRow(BaseModel):
    """One line of the data file: a question with its options.

    `type` is CW (why), CH (how), TN, TC, TP (what comes next, at the same time, before), DO, DL or
    DC (other description, place, count).
    """

    model_config = jsonl.STRICT

    video_id: Text
    frame_count: _Count
    width: _Count
    height: _Count
    qid: Text
    type: Literal["CW", "CH", "TN", "TC", "TP", "DO", "DL", "DC"]
    question: Text
    choices: Annotated[tuple[Text, ...], Field(min_length=OPTIONS, max_length=OPTIONS)]
    answer_index: Annotated[int, Field(ge=0, lt=OPTIONS)]
    gold_answer: Text

    @property
    def instruction(self) -> str:
        """The question, with a question mark."""
        return self.question if self.question.endswith("?") else f"{self.question}?"

    @model_validator(mode="after")
    def _answer_is_one_option(self) -> NextQaRow:
        if self.choices[self.answer_index] != self.gold_answer:
            raise ValueError("gold_answer must be the text of the option at answer_index")
        if self.choices.count(self.gold_answer) > 1:
            raise ValueError("gold_answer is also the text of another option; only one is correct")
        return self


def load(path: Path | None = None) -> GoldSet:
    """Return the gold half of a file, by default of the one in the package.

    Raises NoDataError where the package's file is missing, DataError where the file is invalid.
    """
    gold_rows = (row for row in rows(path) if is_gold(row.video_id))
    return GoldSet(INFO, tuple(example for row in gold_rows for example in _examples(row)))


def seed_rows() -> list[NextQaRow]:
    """Return the questions of the other half, in the file's order; raises as `load`."""
    return [row for row in rows() if not is_gold(row.video_id)]


def is_gold(video_id: str) -> bool:
    """Return whether a video belongs to the gold half (else its questions are seeds)."""
    return unit_interval(INFO.name, video_id) < 0.5


def rows(path: Path | None = None) -> Iterator[NextQaRow]:
    """Yield the questions of both halves, by default of the packaged file; raises as `load`."""
    path = path if path is not None else jsonl.packaged_file(INFO, _FILE)
    return jsonl.read_rows(path, NextQaRow, unique=("video_id", "qid"))


def _examples(row: NextQaRow) -> list[Example]:
    # The qid is part of the id: two questions of one video may share their text and options.
    occurrences: Counter[str] = Counter()
    examples = []
    for index, text in enumerate(row.choices):
        item = Item(
            id=opaque_id(row.video_id, row.qid, text, str(occurrences[text])),
            video_id=row.video_id,
            instruction=row.instruction,
            response=text,
        )
        occurrences[text] += 1
        examples.append(
            Example(
                item,
                OptionGold(index == row.answer_index),
                unit=f"{row.video_id}/{row.qid}",
                labels={"type": row.type, "qid": row.qid, "option": str(index)},
            )
        )
    return sorted(examples, key=lambda example: example.item.id)
