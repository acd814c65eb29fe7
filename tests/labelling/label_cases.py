"""Answers of two systems with verdicts, labels by made-up annotators, and the content of a page."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.scale import RatingScale

sys.path.insert(0, str(Path(__file__).parents[1] / "answers"))
from answer_rows import Row, write

SCALE = RatingScale()


def truth(answer_id: str) -> int:
    """What people say about an answer: 1..5, by its id."""
    return 1 + int(5 * unit_interval(answer_id))


def answers(videos: int, questions: int = 1) -> list[Row]:
    """Answers of systems x and y; odd rows have references."""
    return [
        {
            "id": f"{system}{video:02}.{question}",
            "video_id": f"v{video:02}",
            "instruction": f"Question {question}?",
            "response": f"<b>answer</b> {system} to {question} about {video}",
            "system": system,
            "references": ["a good answer"] if video % 2 else [],
        }
        for video in range(videos)
        for question in range(questions)
        for system in "xy"
    ]


def verdicts(rows: Sequence[Row], score: Callable[[str], float | None] | None = None) -> list[Row]:
    """A verdict on each answer; by default one that is wrong by up to 1, and 1/2 too kind."""
    scores = {str(row["id"]): None if score is None else score(str(row["id"])) for row in rows}
    if score is None:
        scores = {k: truth(k) + 2 * unit_interval("noise", k) - 0.5 for k in scores}
    return [
        {"id": key, "video_id": "?", "score": value, **({} if value else {"unparsed": "no tag"})}
        for key, value in scores.items()
    ]


def files(folder: Path, videos: int = 30, questions: int = 1) -> tuple[Path, Path]:
    """Files of answers and verdicts."""
    rows = answers(videos, questions)
    return write(folder / "answers.jsonl", rows), write(folder / "v.jsonl", verdicts(rows))


def content(page: str) -> dict[str, Any]:
    """The data in a page."""
    match = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    data: dict[str, Any] = json.loads(match[1])
    return data


def export(page: Path, annotator: str, path: Path, skipped: Sequence[int] = ()) -> Path:
    """The labels that an annotator exports from a page, as its script writes them."""
    rows: list[Mapping[str, Any]] = [
        each["row"]
        for place, each in enumerate(content(page.read_text(encoding="utf-8"))["rows"])
        if place not in skipped
    ]
    labelled = [
        {**r, "ratings": [truth(r["id"])], "labels": {**r["labels"], "annotators": annotator}}
        for r in rows
    ]
    return write(path, labelled)
