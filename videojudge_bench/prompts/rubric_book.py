"""Rubrics: what a response must say to deserve each rating, for one instruction about one video."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, model_validator

from videojudge_bench._util.hashing import file_hash, others_by_hash
from videojudge_bench.goldsets.jsonl import STRICT, read_rows
from videojudge_bench.goldsets.schema import Text

Group = tuple[str, str]


class RubricRow(BaseModel):
    """One line of a file of rubrics: a rubric, or a checklist of what an answer must say."""

    model_config = STRICT

    video_id: str
    instruction: str
    rubric: str = ""
    checklist: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _has_one(self) -> RubricRow:
        if not (self.rubric or self.checklist):
            raise ValueError("expected a rubric or a checklist, got neither")
        return self

    @property
    def text(self) -> str:
        """The rubric; without one the checklist, an entry a line."""
        return self.rubric or "\n".join(f"- {entry}" for entry in self.checklist)


class RubricBook:
    """The rubrics of a file, by video and instruction.

    Args:
        path: JSON Lines of `{"video_id", "instruction", "rubric"}`, or `checklist` for `rubric`.

    Raises:
        DataError: the file is missing or malformed, or has two rubrics for one instruction.
    """

    def __init__(self, path: Path) -> None:
        rows = {
            (row.video_id, row.instruction): row
            for row in read_rows(path, RubricRow, unique=("video_id", "instruction"))
        }
        self._written = {group: row.text for group, row in rows.items()}
        self._items = {group: row.checklist for group, row in rows.items()}
        self.path, self.sha = path, file_hash(path)[:12]

    @property
    def groups(self) -> tuple[Group, ...]:
        """Video and instruction of each rubric, in the file's order."""
        return tuple(self._written)

    @property
    def rubrics(self) -> Mapping[Group, str]:
        """The rubrics by video and instruction."""
        return self._written

    def rubric(self, group: Group) -> str | None:
        """Return the rubric of a group, None when the file has none."""
        return self._written.get(group)

    def items(self, group: Group) -> tuple[str, ...]:
        """Return the checklist of a group, empty when the file has none."""
        return self._items.get(group, ())

    def swapped(self, groups: Sequence[Group]) -> dict[Group, str]:
        """Return for every one of these groups that has a rubric that of another one.

        Raises:
            ConfigError: fewer than two have one.
        """
        keys = {json.dumps(group): group for group in groups if group in self._written}
        other = others_by_hash(list(keys), what="swap_rubrics=true", of="instructions with rubrics")
        return {group: self._written[keys[other[key]]] for key, group in keys.items()}
