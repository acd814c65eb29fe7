"""VATEX-EVAL: 18,000 captions of 3,000 videos, each rated 1-5 by three people.

Shi et al., "EMScore: Evaluating Video Captioning via Coarse-Grained and Fine-Grained Embedding
Matching", CVPR 2022. Every video has nine reference captions and six candidates; candidate 0 looks
human-written (mean rating 4.75 against 3.8-4.0), so the order of candidates is never shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from videojudge_bench.goldsets import jsonl
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.goldsets.schema import Text
from videojudge_bench.items import Example, Item, RatingGold, opaque_id

INFO = GoldSetInfo(
    name="vatex",
    title="VATEX-EVAL: captions rated by three people",
    kind="human",
    shape="ratings",
    licence="MIT (ratings, candidates), CC BY 4.0 (VATEX captions)",
    source="EMScore, CVPR 2022 (github.com/ShiYaya/emscore)",
    how_to_get=(
        "the texts and ratings travel with the package (reinstall it when they are missing); "
        "the videos come from your own folder, as <video id>.<ext>"
    ),
    recipe="emscore",
)

INSTRUCTION = "Describe in one sentence what happens in the video."
"""The same for all: VATEX-EVAL has no instruction of its own, its candidates are captions."""

CANDIDATES, REFERENCES = 6, 9  # per video

_FILE = "vatex_eval.jsonl.gz"

_Seconds = Annotated[int, Field(ge=0, le=999_999)]
_Rating = Annotated[int, Field(ge=INFO.scale.low, le=INFO.scale.high)]


class Candidate(BaseModel):
    """One caption: its place among the candidates of the video, its text and three ratings."""

    model_config = jsonl.STRICT

    candidate_index: int
    text: Text
    ratings: Annotated[tuple[_Rating, ...], Field(min_length=3, max_length=3)]


class VatexRow(BaseModel):
    """One line of the data file: a video with its references and candidates."""

    model_config = jsonl.STRICT

    video_id: Text
    youtube_id: Text
    start_s: _Seconds
    end_s: _Seconds
    references: Annotated[tuple[Text, ...], Field(min_length=REFERENCES, max_length=REFERENCES)]
    candidates: Annotated[
        tuple[Candidate, ...], Field(min_length=CANDIDATES, max_length=CANDIDATES)
    ]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> VatexRow:
        indices = [candidate.candidate_index for candidate in self.candidates]
        if indices != list(range(CANDIDATES)):
            raise ValueError(
                f"candidate_index must count from 0 to {CANDIDATES - 1}, got {indices}"
            )
        expected = f"{self.youtube_id}_{self.start_s:06d}_{self.end_s:06d}"
        if self.video_id != expected:
            raise ValueError(
                f"video_id must be {expected!r}, made of youtube_id, start_s and end_s"
            )
        return self


def load(path: Path | None = None) -> GoldSet:
    """Return VATEX-EVAL from a file, by default from the one in the package: 18,000 examples.

    Raises NoDataError where the package's file is missing, DataError where the file is invalid.
    """
    return GoldSet(INFO, tuple(example for row in rows(path) for example in _examples(row)))


def rows(path: Path | None = None) -> Iterator[VatexRow]:
    """Yield the rows of a file, one per video, by default the packaged one; raises as `load`."""
    path = path if path is not None else jsonl.packaged_file(INFO, _FILE)
    return jsonl.read_rows(path, VatexRow, unique=("video_id",))


def _examples(row: VatexRow) -> list[Example]:
    # One text may occur twice in a video (318 videos): the counter keeps the two ids apart.
    occurrences: Counter[str] = Counter()
    examples = []
    for candidate in row.candidates:
        item = Item(
            id=opaque_id(row.video_id, candidate.text, str(occurrences[candidate.text])),
            video_id=row.video_id,
            instruction=INSTRUCTION,
            response=candidate.text,
            references=row.references,
        )
        occurrences[candidate.text] += 1
        gold = RatingGold(tuple(float(rating) for rating in candidate.ratings))
        labels = {"candidate": str(candidate.candidate_index)}
        examples.append(Example(item, gold, unit=row.video_id, labels=labels))
    return sorted(examples, key=lambda example: example.item.id)
