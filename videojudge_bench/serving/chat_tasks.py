"""Judging prompts of known tasks: their fields, and the form in which each task reads a reply.

The declarations are in `chat_tasks.yaml`. A prompt is recognised by all of its fixed text, and its
fields are what stands between: nothing is searched for, and no field can end another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from videojudge_bench.answers.reading import AnswerRow
from videojudge_bench.errors import VideoJudgeError

HOST = "lmms-eval 0.7.3"
NO_VIDEO = "chat/no-video"
"""Video of all chat rows; a video id with a slash names no file in the folder of videos."""

_FIELD = re.compile(r"\{((?:question|reference|prediction)(?:_[12])?|description|context)\}")
_OPENING = 60


class PromptRefusedError(VideoJudgeError):
    """A prompt that is not judged."""


class ChatTask(BaseModel):
    """A declaration: see the head of `chat_tasks.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: tuple[str, ...]
    system: str = ""
    user: str
    question: str = ""
    scale: tuple[float, ...] = ()
    verdict: tuple[str, str] = ("", "")
    reply: str = ""
    refused: str = ""

    @property
    def name(self) -> str:
        """The tasks that ask so."""
        return " and ".join(self.tasks)

    @cached_property
    def fixed(self) -> tuple[str, ...]:
        """The text around the fields, from the beginning to the end."""
        return tuple(_FIELD.split(self.user)[::2])

    @property
    def fields(self) -> list[str]:
        """The fields in their order."""
        return _FIELD.findall(self.user)

    def begins(self, system: str, user: str) -> bool:
        """Return whether a prompt begins as this one does."""
        return system == self.system and user.startswith(self.fixed[0][:_OPENING])

    def split(self, system: str, user: str) -> dict[str, str] | None:
        """Return the fields of a prompt; None for another prompt.

        Raises:
            PromptRefusedError: a field holds fixed text, so that there is more than one way.
        """
        first, *between, last = self.fixed
        is_whole = user.startswith(first) and user.endswith(last)
        if system != self.system or not is_whole or len(user) < len(first) + len(last):
            return None
        body = user[len(first) : len(user) - len(last)]
        parts = _split(body, between)
        if parts is not None and parts != _split_from_the_end(body, between):
            raise PromptRefusedError(
                f"the fields of the prompt of {self.name} cannot be told apart: expected "
                f"{' and '.join(map(repr, between))} once each, got more in an answer or a question"
            )
        return None if parts is None else dict(zip(self.fields, parts, strict=True))

    def written(self, shares: Sequence[float]) -> str:
        """Return the reply, from how far up the scale each answer is: 0 to 1."""
        low, high = self.scale[0], self.scale[-1]
        values: Sequence[float] = (
            self.scale if len(self.scale) > 2 else range(int(low), int(high) + 1)
        )

        def nearest(share: float) -> str:
            place = low + share * (high - low)
            return f"{min(values, key=lambda value: (abs(value - place), -value)):g}"

        words = {"score": nearest(min(shares)), "verdict": self.verdict[min(shares) >= 0.5]}
        words |= {f"score_{n}": nearest(share) for n, share in enumerate(shares, 1)}
        return re.sub(r"\{(score_[12]|score|verdict)\}", lambda match: words[match[1]], self.reply)


@dataclass(frozen=True)
class JudgingPrompt:
    """A prompt of a known task, and the one or two answers that it asks about."""

    task: ChatTask
    rows: tuple[AnswerRow, ...]


@cache
def chat_tasks() -> tuple[ChatTask, ...]:
    """Return all declarations."""
    text = Path(__file__).with_name("chat_tasks.yaml").read_text(encoding="utf-8")
    return tuple(ChatTask.model_validate(each) for each in yaml.safe_load(text))


def recognise(messages: Sequence[tuple[str, str]]) -> JudgingPrompt:
    """Return what a judging prompt asks, given as role and text of its messages.

    Raises:
        PromptRefusedError: it is no prompt of a known task, can be read in two ways, asks for no
            judgement of an answer, or has no question.
    """
    roles = [role for role, _ in messages]
    if roles not in (["user"], ["system", "user"]):
        expected = "expected one user message, after a system message or none"
        raise PromptRefusedError(f"{expected}, got the roles {', '.join(roles) or 'of none'}")
    system, user = (["", *(text for _, text in messages)])[-2:]
    matches = [
        (task, fields) for task in chat_tasks() if (fields := task.split(system, user)) is not None
    ]
    if len(matches) != 1:
        raise PromptRefusedError(_no_task(system, user, [task for task, _ in matches]))
    ((task, fields),) = matches
    if task.refused:
        raise PromptRefusedError(f"a prompt of {task.name}: {task.refused}")
    endings = ("_1", "_2") if "prediction_1" in fields else ("",)
    return JudgingPrompt(task, tuple(_row(task, fields, ending) for ending in endings))


def _row(task: ChatTask, fields: Mapping[str, str], ending: str) -> AnswerRow:
    def field(name: str) -> str:
        return fields.get(f"{name}{ending}", fields.get(name, ""))

    question, reference = field("question") or task.question, field("reference")
    if not question:
        raise PromptRefusedError(f"a prompt of {task.name} without a question")
    return AnswerRow(
        video_id=NO_VIDEO,
        instruction=question,
        response=field("prediction"),
        references=(reference,) if reference.strip() else (),
        description=field("description") or None,
    )


def _no_task(system: str, user: str, matches: Sequence[ChatTask]) -> str:
    if matches:
        names = ", ".join(task.name for task in matches)
        return f"the prompt can be read as that of several tasks: {names}"
    expected = f"expected a judging prompt of {HOST} that this server knows"
    near = [task.name for task in chat_tasks() if task.begins(system, user)]
    if not near:
        return f"{expected}, got another; POST /v1/score judges any answer"
    return f"{expected}, got one that begins as that of {', '.join(near)} and goes on otherwise"


def _split(text: str, separators: Sequence[str]) -> list[str] | None:
    parts = []
    for separator in separators:
        part, match, text = text.partition(separator)
        if not match:
            return None
        parts.append(part)
    return [*parts, text]


def _split_from_the_end(text: str, separators: Sequence[str]) -> list[str]:
    parts = []
    for separator in reversed(separators):
        text, _, part = text.rpartition(separator)
        parts.append(part)
    return [text, *reversed(parts)]
