"""Asks a server of OpenAI's chat completions what it can do, with one short request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from videojudge_bench.engine import Continuation, EngineError, Prefix, PromptGroup, Sampling
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines.openai_engine import OpenAIEngine

TIMEOUT_SECONDS = 60.0

_SOME_MODEL = "default"  # servers with one model mostly take any name
_QUESTION = PromptGroup(
    Prefix("You judge answers to questions.", "Question: what is one and one? "),
    (Continuation("check", "Answer: two. Reply with <score>5</score> and nothing else."),),
    choices=("1", "2", "3", "4", "5"),
    sampling=Sampling(max_tokens=64),
)


@dataclass(frozen=True)
class ServerFacts:
    """What a server can do.

    Attributes:
        address: where it is, without secrets.
        models: that it lists.
        model: that was asked.
        seconds: that its reply took.
        logprobs: whether it gives probabilities of tokens; None: the reply was empty.
    """

    address: str
    models: tuple[str, ...]
    model: str
    seconds: float
    logprobs: bool | None


def check_server(
    base_url: str, model: str | None = None, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> ServerFacts:
    """Return what a server can do; it is asked once for a few tokens.

    Args:
        base_url: where its API begins; the key is what OPENAI_API_KEY says.
        model: to be asked; None is the first that the server lists.
        timeout_seconds: for the reply.

    Raises:
        ConfigError: no server, model or key, or no reply.
    """
    return asyncio.run(_check(base_url, model, timeout_seconds))


async def _check(base_url: str, model: str | None, timeout_seconds: float) -> ServerFacts:
    def engine_for(name: str) -> OpenAIEngine:
        return OpenAIEngine(
            base_url=base_url, model=name, timeout_seconds=timeout_seconds, retries=0
        )

    lister = engine_for(model or _SOME_MODEL)
    models = tuple(await lister.models())
    asked = model or next(iter(models), _SOME_MODEL)
    engine = engine_for(asked)
    try:
        (reply,) = await engine.complete(_QUESTION)
    finally:  # both are held until here: a client that is gone cannot close its connections
        lister.close()
        engine.close()
    if isinstance(reply, EngineError):
        raise ConfigError(
            f"the server at {engine.address} gives no reply: {reply.reason}. Look at its log, or "
            "name another of its models"
        )
    logprobs = "logprobs" in engine.capabilities if reply.text else None
    return ServerFacts(engine.address, models, asked, reply.usage.seconds, logprobs)
