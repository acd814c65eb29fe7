"""From a prompt of a group to a request: what it says beside its messages, how a reply is begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.judges.engines._chat_messages import (
    Body,
    Send,
    Shown,
    show_frames,
    write_body,
)
from videojudge_bench.judges.engines._served_model import ReplyStart
from videojudge_bench.judges.engines.special_tokens import KNOWN_MARKS

if TYPE_CHECKING:
    from videojudge_bench._util.hashing import Json
    from videojudge_bench.engine import Continuation, PromptGroup
    from videojudge_bench.judges.engines._served_model import ServedCheckpoint
    from videojudge_bench.video import FrameBatch

Feature = Literal["frames", "video", "logprobs", "prefill"]
"""A part of requests that not every server takes."""

FEATURES: Mapping[Feature, str] = {
    "frames": "images",
    "video": "frames as one video with their times",
    "prefill": "replies that are begun",
}
"""What servers take or refuse, in words; log-probabilities are what they give."""

PLAIN_DECODING: Mapping[str, Json] = {"repetition_penalty": 1.0, "top_p": 1.0, "top_k": -1}
"""Without it, vLLM and SGLang decode by the checkpoint's generation_config.json."""

_TOP_LOGPROBS = 20  # the most that OpenAI, and vLLM unless told otherwise, give
_VERDICT_TOKENS = 8  # a verdict that continues `reply_start` needs no more


@dataclass(frozen=True)
class Wire:
    """What a server wants a request to look like; found out as it refuses things."""

    length: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    logprobs: bool = True
    plain_decoding: bool = True


@dataclass(frozen=True)
class RequestFormat:
    """The format of an engine's requests.

    Attributes:
        send: how frames are shown.
        jpeg_quality: 1 to 100; None is PNG.
        fps: at which frames are asked for; None: spread evenly.
        prefill: whether replies are begun.
        thinking: told to the chat template; None: nothing is.
        served: the checkpoint behind the server; None where it is not known.
    """

    send: Send
    jpeg_quality: int | None
    fps: float | None
    prefill: bool
    thinking: bool | None = None
    served: ServedCheckpoint | None = None

    def show(self, batch: FrameBatch) -> Shown:
        """Return frames as requests hold them; takes CPU time, so not on an event loop."""
        sized = self.served is not None and self.served.is_known
        return show_frames(batch, self.send, self.jpeg_quality, fps=self.fps, resize=not sized)

    def features(self, group: PromptGroup) -> set[Feature]:
        """Return the features that the requests of a group have."""
        present: dict[Feature, bool] = {
            self.send: group.prefix.video is not None,
            "logprobs": bool(group.choices),
            "prefill": self.prefill and bool(group.reply_start),
        }
        return {feature for feature, has in present.items() if has}

    def body(
        self,
        model: str,
        group: PromptGroup,
        tail: Continuation,
        *,
        shown: Shown,
        wire: Wire,
        more: Mapping[str, Json] = MappingProxyType({}),
    ) -> Body:
        """Return the request of one continuation, with more fields where they are given."""
        sampling = group.sampling
        fields: dict[str, Json] = {
            **more,
            "model": model,
            "temperature": sampling.temperature,
            wire.length: self.max_tokens(group),
        }
        if sampling.temperature > 0:  # of its own per item, or all would draw the same numbers
            fields["seed"] = int(unit_interval(str(sampling.seed), tail.id) * 2**31)
        if self.thinking is not None:
            fields["chat_template_kwargs"] = {"enable_thinking": self.thinking}
        start = self.begun(group)
        if (group.choices or group.alternatives) and wire.logprobs:
            fields.update(logprobs=True, top_logprobs=_TOP_LOGPROBS if group.choices else 2)
            if start.choices:  # of vLLM 0.32; what does not know it gives the top ones
                fields["logprob_token_ids"] = list(start.choices)
        texts = group.prefix.system, group.prefix.text + tail.text
        marks = KNOWN_MARKS if self.served is None else self.served.marks
        if self.served is not None and wire.plain_decoding:
            fields.update(PLAIN_DECODING)
        return write_body(shown, texts, reply_start=start.text, fields=fields, marks=marks)

    def max_tokens(self, group: PromptGroup) -> int:
        """Return how many tokens a reply may have."""
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
