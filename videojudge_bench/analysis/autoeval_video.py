"""Rubrics by people: the 327 questions of AutoEval-Video (Chen et al., arXiv 2311.14906).

`AUTO-EVAL-VIDEO.json` of github.com/Xiuyuan-Chen/AutoEval-Video (Apache-2.0), one JSON object a
line. Its `Rule` holds a person's description of the video and numbered rules of what an answer
must say, which are the rubric here; videos are named by their YouTube id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.jsonl import first_line, numbered_rows
from videojudge_bench.prompts.rubric_book import Group

_VIDEO = re.compile(r"(?:[?&]v=|youtu\.be/|/shorts/)([\w-]{11})(?![\w-])")
_RULE = re.compile(
    r"\[\s*video\s+description\s*\]\s*:?(?P<description>.*?)\[\s*video\s+question\s*\].*?"
    r"(?P<rules>^\s*1\s*[.)].*?)^\s*\[\s*answer to be judged\s*\]",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    question: str = Field(alias="Question", min_length=1)
    rule: str = Field(alias="Rule")
    url: str = Field(alias="Video URL")


@dataclass(frozen=True)
class AutoEvalVideo:
    """Rubrics and descriptions by people, both by video and question."""

    rubrics: dict[Group, str]
    descriptions: dict[Group, str]


def is_autoeval(path: Path) -> bool:
    """Return whether a file looks like AutoEval-Video's; raises DataError if it cannot be read."""
    line = first_line(path)
    return all(re.search(rf'"{key}"\s*:', line) for key in ("Rule", "Question"))


def read_autoeval(path: Path) -> AutoEvalVideo:
    """Return the rubrics and descriptions of AutoEval-Video's file.

    Raises:
        DataError: with line and field: a row is malformed, its URL names no video of YouTube, or
            its rule has no description or no numbered rules.
    """
    rubrics, descriptions = dict[Group, str](), dict[Group, str]()
    for line, row in numbered_rows(path, _Row, unique=("url", "question")):
        video, rule = _VIDEO.search(row.url), _RULE.search(row.rule)
        if video is None:
            problem = f"expected the URL of a video of YouTube, got {row.url!r}"
            raise DataError(problem, path=path, line=line, field="Video URL")
        if rule is None:
            problem = (
                "expected [Video Description], [Video Question], rules numbered from 1 and "
                f"[Answer to be judged], got {row.rule[:60]!r}"
            )
            raise DataError(problem, path=path, line=line, field="Rule")
        group = (video[1], row.question)
        rubrics[group], descriptions[group] = rule["rules"].strip(), rule["description"].strip()
    return AutoEvalVideo(rubrics, descriptions)
