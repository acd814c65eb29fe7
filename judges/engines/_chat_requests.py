"""Requests for the prompts of a group: their fields, and the beginning of the reply."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from videojudge_bench._util.hashing import Json, unit_interval
from videojudge_bench.engine import Continuation, PromptGroup, ReplyForm
from videojudge_bench.judges.engines._chat_messages import (
    Body,
    EncodedMedia,
    Send,
    show_frames,
    write_body,
)
from videojudge_bench.judges.engines._served_model import ReplyStart, ServedCheckpoint
from videojudge_bench.judges.engines.special_tokens import KNOWN_MARKS
from videojudge_bench.video import FrameBatch

Feature = Literal[
    "frames", "video", "logprobs", "prefill", "structured", "temperature", "thinking",
    "seed", "decoding", "special_tokens",
]  # fmt: skip
"""A part of requests that not every server takes."""

FEATURES: Mapping[Feature, str] = {
    "frames": "images",
    "video": "frames as one video with their times",
    "logprobs": "log-probabilities",
    "prefill": "replies that are begun",
    "structured": "a form for the reply (guided decoding)",
    "temperature": "the temperature",
    "thinking": "whether to think (chat_template_kwargs)",
    "seed": "a seed",
    "decoding": "plain decoding",
    "special_tokens": "replies with their special tokens",
}
"""Names of the features in messages."""

TO_PROBE: frozenset[Feature] = frozenset({"frames", "video", "logprobs", "prefill", "structured"})
"""Features that are tried before the first group; its first request tries the others."""

DISPENSABLE: frozenset[Feature] = frozenset({"seed", "decoding", "special_tokens"})
"""Features that are left out, with a warning, where a server refuses them."""

PLAIN_DECODING: Mapping[str, Json] = {"repetition_penalty": 1.0, "top_p": 1.0, "top_k": -1}
"""Without it, vLLM and SGLang decode by the checkpoint's generation_config.json."""

_TOP_LOGPROBS = 20  # the most that OpenAI, and vLLM unless told otherwise, give
_VERDICT_TOKENS = 8  # a verdict that continues `reply_start` needs no more


Length = Literal["max_tokens", "max_completion_tokens"]


@dataclass(frozen=True)
class Wire:
    """The requests that a server takes."""

    length: Length = "max_tokens"
    without: frozenset[Feature] = frozenset()

    def less(self, feature: Feature) -> Wire:
        return replace(self, without=self.without | {feature})

    def more(self, feature: Feature) -> Wire:
        """Return the form with a feature that it lacked."""
        return replace(self, without=self.without - {feature})


@dataclass(frozen=True)
class RequestFormat:
    """Format of an engine's requests.

    Attributes:
        jpeg_quality: 1 to 100; None is PNG.
        fps: at which frames are asked for; None: spread evenly.
        thinking: for the chat template; None leaves it to the server.
        served: the checkpoint behind the server; None where it is not known.
    """

    send: Send
    jpeg_quality: int | None
    fps: float | None
    prefill: bool
    thinking: bool | None = None
    served: ServedCheckpoint | None = None

    def show(self, batch: FrameBatch) -> EncodedMedia:
        """Return frames as requests hold them; takes CPU time, so not on an event loop."""
        sized = self.served is not None and self.served.is_known
        return show_frames(batch, self.send, self.jpeg_quality, fps=self.fps, resize=not sized)

    def features(self, group: PromptGroup) -> set[Feature]:
        present: dict[Feature, bool] = {
            self.send: group.prefix.video is not None,
            "logprobs": bool(group.choices or group.alternatives),
            "prefill": self.prefill and bool(group.reply_start),
            "structured": group.form is not None,
            "temperature": True,
            "thinking": self.thinking is not None,
            "seed": group.sampling.temperature > 0,
            "decoding": self.served is not None,
            "special_tokens": not group.alternatives,  # these say which tokens make the text
        }
        return {feature for feature, has in present.items() if has}

    def body(
        self,
        model: str,
        group: PromptGroup,
        tail: Continuation,
        *,
        media: EncodedMedia,
        wire: Wire,
        more: Mapping[str, Json] = MappingProxyType({}),
    ) -> Body:
        """Return the request of one continuation, with more fields where they are given."""
        has = self.features(group) - wire.without
        start = self.begun(group)
        fields: dict[str, Json] = {
            **more,
            "model": model,
            wire.length: self.max_tokens(group),
            **self._sampled(group, tail, has),
        }
        if "logprobs" in has:
            fields.update(logprobs=True, top_logprobs=_TOP_LOGPROBS if group.choices else 2)
            if start.choices:  # of vLLM 0.32; what does not know it gives the top ones
                fields["logprob_token_ids"] = list(start.choices)
        if group.form is not None and "structured" in has:
            fields.update(form_fields(group.form))
        texts = group.prefix.system, group.prefix.text + tail.text
        marks = KNOWN_MARKS if self.served is None else self.served.marks
        return write_body(media, texts, reply_start=start.text, fields=fields, marks=marks)

    def _sampled(
        self, group: PromptGroup, tail: Continuation, has: Collection[Feature]
    ) -> dict[str, Json]:
        sampling = group.sampling
        fields: dict[str, Json] = {}
        if "temperature" in has:
            fields["temperature"] = sampling.temperature
        if "seed" in has:  # of its own per item, or all would draw the same numbers
            fields["seed"] = int(unit_interval(str(sampling.seed), tail.id) * 2**31)
        if "thinking" in has:
            fields["chat_template_kwargs"] = {"enable_thinking": self.thinking}
        if "decoding" in has:
            fields.update(PLAIN_DECODING)
        if "special_tokens" in has:  # by which a reader knows reasoning from the reply
            fields["skip_special_tokens"] = False
        return fields

    def max_tokens(self, group: PromptGroup) -> int:
        most = group.sampling.max_tokens
        if not self.is_verdict_next(group):
            return most
        return 1 if self.begun(group).choices else min(most, _VERDICT_TOKENS)

    def is_verdict_next(self, group: PromptGroup) -> bool:
        """Return whether the verdict is the first that the model writes."""
        return self.prefill and bool(group.reply_start and group.choices)

    def begun(self, group: PromptGroup) -> ReplyStart:
        """Return how the replies of a group are begun."""
        start = group.reply_start if self.prefill else ""
        if not (start and group.choices):
            return ReplyStart(start, "")
        if self.served is not None:
            return self.served.reply_start(start, group.choices)
        return ReplyStart(start[:-1], start[-1:])


def form_fields(form: ReplyForm) -> dict[str, Json]:
    """Return the fields by which servers hold a reply to a form.

    A JSON schema goes as OpenAI has it, which vLLM and SGLang take as well; a regular expression
    under vLLM's name and under SGLang's.
    """
    if isinstance(form, str):
        return {"structured_outputs": {"regex": form}, "regex": form}
    schema: Json = {"name": "verdict", "strict": True, "schema": form}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}
