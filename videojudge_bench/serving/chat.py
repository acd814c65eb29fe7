"""Chat completions of a judge: the place of a paid model for tasks that ask one to judge."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError
from videojudge_bench.serving.chat_scale import ChatScale, chat_scale
from videojudge_bench.serving.chat_tasks import JudgingPrompt, PromptRefusedError, recognise
from videojudge_bench.serving.service import JudgeService, Line


class ChatPart(BaseModel):
    """A part of a message; only texts are judged."""

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """A message."""

    role: str
    content: str | list[ChatPart]


class ChatRequest(BaseModel):
    """A chat completion as clients of OpenAI ask for it; other options change nothing here."""

    messages: list[ChatMessage]
    stream: bool | None = None
    n: int | None = None


class ChatJudge:
    """Reads judging prompts, and writes replies from the judge's scores.

    Raises:
        ConfigError: a map is given and cannot be used, or the judge cannot answer prompts at all.
    """

    def __init__(self, service: JudgeService, calibration: Path | None = None) -> None:
        self._service, self._judge = service, service.run.built.judge
        self._scale = self._usable_scale(calibration)
        if calibration is not None and isinstance(self._scale, str):
            raise ConfigError(f"--calibration {calibration}: {self._scale}")

    @property
    def state(self) -> str:
        """The way from scores to a task's scale, or why no prompt is answered."""
        if isinstance(self._scale, str):
            return f"refused: {self._scale}"
        return self._scale.name

    def prompt(self, asked: ChatRequest) -> JudgingPrompt:
        """Return what a request asks.

        Raises:
            PromptRefusedError: it is not answered.
        """
        if isinstance(self._scale, str):
            raise PromptRefusedError(self._scale)
        if asked.stream or asked.n not in (None, 1):
            raise PromptRefusedError("expected stream=false and n=1, got another way to answer")
        prompt = recognise([(message.role, _text(message)) for message in asked.messages])
        if "references" in self._judge.requires and not all(r.references for r in prompt.rows):
            raise PromptRefusedError(
                f"judge {self._service.run.built.name} requires a reference, and this prompt of "
                f"{prompt.task.name} has none"
            )
        return prompt

    def completion(self, prompt: JudgingPrompt, lines: Sequence[Line]) -> dict[str, Json]:
        """Return the answer to a prompt, from a line with a score for each of its rows."""
        assert isinstance(self._scale, ChatScale)  # otherwise there was no prompt
        scores = [score for line in lines if isinstance(score := line["score"], (int, float))]
        reply = prompt.task.written([self._scale.share(score) for score in scores])
        tokens = [_sum(lines, name) for name in ("input_tokens", "output_tokens")]
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": f"{self._service.run.built.name} ({self._scale.name})",
            "system_fingerprint": f"{self._service.run.identity.hash[:12]}|{self._scale.name}",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": reply},
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": tokens[0],
                "completion_tokens": tokens[1],
                "total_tokens": sum(tokens),
            },
        }

    def _usable_scale(self, calibration: Path | None) -> ChatScale | str:
        needs = sorted(self._judge.requires - {"references"})
        name = self._service.run.built.name
        if "rate" not in self._judge.abilities:
            return f"judge {name} rates no single answer"
        if needs:
            return f"judge {name} requires a {needs[0]}, and judging prompts hold none"
        return chat_scale(self._service.run, calibration)


def chat_error(problem: str, status: int) -> dict[str, Json]:
    """Return the body of a refusal, as clients of OpenAI read it."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": problem, "type": kind, "param": None, "code": None}}


def _text(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    kinds = [part.type for part in message.content]
    if kinds != ["text"]:
        raise PromptRefusedError(
            f"expected a message of one text, got parts {', '.join(kinds) or 'of none'}; pictures "
            "and videos of judging prompts are not judged"
        )
    return message.content[0].text


def _sum(lines: Sequence[Mapping[str, Json]], name: str) -> int:
    return sum(value for line in lines if isinstance(value := line.get(name), int))
