"""The contract of an engine: where a language model runs.

An engine gets the work of one group at a time: what its items share (`prefix`) and what differs
(`continuations`). In process that is one row with a tree mask; on a server the first continuation
goes ahead so that the rest find its prefix in the cache; with one continuation it is a plain call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, Union

from videojudge_bench._util.options import Scalar
from videojudge_bench.verdicts import Usage

Capability = Literal["video", "logprobs"]


@dataclass(frozen=True)
class Prefix:
    """The part of a prompt that a group shares.

    Attributes:
        system: the system message.
        text: the beginning of the user message.
        video: the video to show before the text, for engines with the capability `video`.
    """

    system: str
    text: str
    video: Path | None = None


@dataclass(frozen=True)
class Continuation:
    """The rest of one item's user message.

    Attributes:
        id: the item's id; names the call in logs and finds a scripted reply.
        text: what follows the prefix.
    """

    id: str
    text: str


@dataclass(frozen=True)
class Sampling:
    """How a reply is decoded.

    Attributes:
        temperature: 0 is greedy.
        max_tokens: the reply is cut after as many tokens.
        seed: for temperatures above 0.
    """

    temperature: float = 0.0
    max_tokens: int = 1024
    seed: int = 0


@dataclass(frozen=True)
class PromptGroup:
    """The work of one group.

    Attributes:
        prefix: what the continuations share.
        continuations: one per item.
        reply_start: the reply is made to begin with this text.
        choices: when given, the probabilities of these texts are wanted: right after `reply_start`
            where there is one, else after the last `<score>` or `<answer>` that the model writes.
        sampling: how to decode.
    """

    prefix: Prefix
    continuations: tuple[Continuation, ...]
    reply_start: str = ""
    choices: tuple[str, ...] = ()
    sampling: Sampling = Sampling()


@dataclass(frozen=True)
class Reply:
    """What a model wrote.

    Attributes:
        text: the reply, `reply_start` included, the prompt never.
        probabilities: of each of the group's `choices`, not renormalised; empty when unknown, as
            when the model wrote no verdict.
        usage: what it cost.
        finished: the model ended the reply itself; False when it was cut at `max_tokens`.
    """

    text: str
    probabilities: Mapping[str, float] = field(default_factory=dict)
    usage: Usage = Usage()
    finished: bool = True


@dataclass(frozen=True)
class EngineError:
    """A call that failed, as a value: one bad call never sinks its group."""

    reason: str


class Engine(Protocol):
    """Where a language model runs."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the engine can take and give."""

    async def complete(self, group: PromptGroup) -> Sequence[Union[Reply, EngineError]]:
        """Return one result per continuation, in their order."""

    def settings(self) -> Mapping[str, Scalar]:
        """Return model, revision and decoding: what the signature must say."""

    def close(self) -> None:
        """Give back what the engine holds."""
