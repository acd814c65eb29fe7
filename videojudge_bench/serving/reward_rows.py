"""Completions of a trainer as rows for a judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from videojudge_bench._util.hashing import content_hash
from videojudge_bench.answers.reading import AnswerRow
from videojudge_bench.errors import ConfigError

_FIELDS = ("video_id", "video", "instruction", "references", "description")


@dataclass(frozen=True)
class Row:
    """A completion with what belongs to it."""

    answer: AnswerRow
    truncated: bool
    has_video: bool


def reward_row(
    dataset: Mapping[str, object],
    columns: Mapping[str, str],
    index: int,
    prompt: object,
    completion: object,
    *,
    truncated: bool = False,
) -> Row:
    """Return the row of the completion at `index` of the dataset's columns.

    `columns` maps our fields to the names of columns, where they differ. Prompt and completion are
    text or messages; the prompt is the instruction where no column holds it.

    Raises:
        ConfigError: there is no instruction.
        ValueError: a value is not what the field takes.
    """
    values = {field: _cell(dataset, columns.get(field, field), index) for field in _FIELDS}
    videos = _cell(dataset, "videos", index)  # ms-swift: paths, of which the judge shows the first
    if values["video_id"] is None and isinstance(videos, Sequence) and videos:
        values["video_id"] = PurePath(str(videos[0])).stem
    has_video = values["video_id"] is not None or values["video"] is not None
    given = values["instruction"]
    instruction = text_of(given) if given else last_user_text(prompt)
    if not instruction:
        raise ConfigError(
            "expected an instruction for the judge: a column `instruction` (verl: in extra_info, "
            "where `question` serves too), or a prompt with a message of the user; got none"
        )
    if not has_video:  # rows of one prompt are a group all the same
        values["video_id"] = f"prompt-{content_hash(instruction)[:16]}"
    given = values.pop("references")
    references = given if isinstance(given, (list, tuple)) else [] if given is None else [given]
    kept = {field: str(value) for field, value in values.items() if value is not None}
    kept["instruction"] = instruction
    answer = AnswerRow.model_validate(
        {
            **kept,
            "response": text_of(completion),
            "references": tuple(str(each) for each in references if str(each).strip()),
        }
    )
    return Row(answer, truncated, has_video)


def text_of(content: object) -> str:
    """Return the text of a completion, of a message's content, or of messages."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return text_of(content.get("text") or content.get("content") or "")
    if isinstance(content, Sequence):
        return "\n".join(text for part in content if (text := text_of(part)))
    return ""


def last_user_text(prompt: object) -> str:
    """Return the text of the last message of the user; a prompt that is text is that text."""
    if isinstance(prompt, str) or not isinstance(prompt, Sequence):
        return text_of(prompt)
    messages = [m for m in prompt if isinstance(m, Mapping) and m.get("role") == "user"]
    return text_of(messages[-1]) if messages else ""


def _cell(dataset: Mapping[str, object], name: str, index: int) -> object:
    column = dataset.get(name)
    is_list = isinstance(column, Sequence) and not isinstance(column, str)
    return column[index] if is_list and index < len(column) else None  # type: ignore[index,arg-type]
