"""The contract of an engine: where a language model runs.

An engine gets the work of one group at a time: what its items share (`prefix`) and what differs
(`continuations`). In process that is one row with a tree mask; on a server the first continuation
goes ahead so that the rest find its prefix in the cache; with one continuation it is a plain call.

A result is delivered as soon as it exists, before the rest of its group: the caller has it on disk
before the engine begins another call in its place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, Union, runtime_checkable

from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import Scalar
from videojudge_bench.criteria import Criterion
from videojudge_bench.verdicts import Usage

Capability = Literal["video", "logprobs", "structured"]

ReplyForm = Union[str, Mapping[str, Json]]
"""What a reply is held to while it is decoded: a regular expression, or a JSON schema."""


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
    """Decoding settings of a reply.

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
        alternatives: replies also say how close the second-best token was at each place.
        form: the reply is held to it, by an engine with the capability `structured`; None: to none.
        slots: when given, `choices` are those of all of them, and the probabilities of the choices
            of each are wanted in its slot, under the names of `Criterion.key`.
    """

    prefix: Prefix
    continuations: tuple[Continuation, ...]
    reply_start: str = ""
    choices: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    alternatives: bool = False
    form: ReplyForm | None = None
    slots: tuple[Criterion, ...] = ()


@dataclass(frozen=True)
class WrittenToken:
    """A token of a reply, and the best of those that could have stood in its place.

    Attributes:
        text: of the token; empty for one that ends the reply.
        other: text of the best other token.
        margin: log-probability of the token minus that of the other; nearly 0 is a tie.
    """

    text: str
    other: str
    margin: float


@dataclass(frozen=True)
class Reply:
    """Text that a model wrote.

    Attributes:
        text: the reply, `reply_start` included, the prompt never.
        probabilities: of each of the group's `choices`, not renormalised; empty when unknown, as
            when the model wrote no verdict.
        usage: what it cost.
        finished: the model ended the reply itself; False when it was cut at `max_tokens`.
        written: the tokens behind `reply_start`, where `alternatives` were asked for and are known.
    """

    text: str
    probabilities: Mapping[str, float] = field(default_factory=dict)
    usage: Usage = Usage()
    finished: bool = True
    written: tuple[WrittenToken, ...] = ()


@dataclass(frozen=True)
class EngineError:
    """A call that failed, as a value: one bad call never sinks its group."""

    reason: str


Result = Union[Reply, EngineError]

Deliver = Callable[[int, Result], Awaitable[None]]
"""Takes the number of a continuation, from 0, and its result; returns when that is kept."""


@dataclass(frozen=True)
class Explanation:
    """A prompt as it reaches the model.

    Attributes:
        form: `prompt` when `text` is the rendered prompt, `request` when a server renders it.
        text: the prompt, or the request's messages as JSON with images and videos left out.
        token_ids: of the whole prompt, those of the video included; empty where not known.
        tokens: their names in the model's vocabulary, in the same order.
        positions: M-RoPE positions of the tokens on each of three axes; empty where not known.
        video: facts of what is shown of the video (size and times of frames, seconds a step); empty
            without one.
    """

    form: Literal["prompt", "request"]
    text: str
    token_ids: Sequence[int] = ()
    tokens: Sequence[str] = ()
    positions: Sequence[Sequence[int]] = ()
    video: Mapping[str, Scalar] = field(default_factory=dict)


class Engine(Protocol):
    """Backend that runs a language model."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Capabilities of the engine: `video`, `logprobs`."""

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        """Deliver one result per continuation, each as soon as it is there, in any order."""

    def settings(self) -> Mapping[str, Scalar]:
        """Return model, revision and decoding: what the signature must say."""

    def close(self) -> None:
        """Give back what the engine holds."""


@runtime_checkable
class ExplainingEngine(Engine, Protocol):
    """An engine that can show what reaches its model, for the comparison of engines."""

    async def explain(self, group: PromptGroup) -> Sequence[Explanation]:
        """Return the prompt of each continuation, in their order, without asking for a reply.

        Raises:
            VideoJudgeError: the prompt cannot be made, as when its video is broken.
        """


@runtime_checkable
class ServedEngine(Engine, Protocol):
    """An engine behind which a server is, that says what it is."""

    @property
    def statements(self) -> Sequence[Mapping[str, str]]:
        """All statements of the server about itself, in the order heard: two are a change."""


async def complete_all(engine: Engine, group: PromptGroup) -> list[Result]:
    """Return an engine's results, one per continuation, in their order."""
    results: dict[int, Result] = {}

    async def keep(number: int, result: Result) -> None:
        results[number] = result

    await engine.complete(group, keep)
    check_delivered(results, group)
    return [results[number] for number in range(len(group.continuations))]


def check_delivered(results: Mapping[int, Result], group: PromptGroup) -> None:
    """Raise ValueError unless there is a result for each continuation."""
    if len(results) != len(group.continuations):
        raise ValueError(
            f"expected {len(group.continuations)} results, one per continuation, from the engine, "
            f"got {len(results)}"
        )
