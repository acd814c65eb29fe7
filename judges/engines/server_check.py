"""Capabilities of a server of OpenAI's chat completions, from a few short requests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from videojudge_bench.engine import EngineError, complete_all
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._chat_messages import SEND, Send
from videojudge_bench.judges.engines._chat_probe import PROBE, Refusal
from videojudge_bench.judges.engines._chat_requests import Feature
from videojudge_bench.judges.engines.openai_engine import OpenAIEngine

TIMEOUT_SECONDS = 60.0

CHECKED: tuple[Feature, ...] = ("frames", "video", "prefill")
"""Features that are tried beside log-probabilities."""

_SOME_MODEL = "default"  # servers with one model mostly take any name
_SCALE = ("1", "2", "3", "4", "5")


@dataclass(frozen=True)
class ServerFacts:
    """Capabilities of a server.

    Attributes:
        address: where it is, without secrets.
        seconds: that its reply took.
        logprobs: whether it gives probabilities of tokens; None: the reply was empty.
        refusals: what it refuses of images, videos and replies that are begun, and what helps.
        says: what it says of itself: model and fingerprint.
    """

    address: str
    models: tuple[str, ...]
    model: str
    seconds: float
    logprobs: bool | None
    refusals: tuple[Refusal, ...] = ()
    says: Mapping[str, str] = field(default_factory=dict)


def check_server(
    base_url: str, model: str | None = None, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> ServerFacts:
    """Return what a server can do; it is asked a few times for a few tokens.

    The key is what OPENAI_API_KEY says; without `model`, the first that the server lists is asked.

    Raises:
        ConfigError: no server, model or key, or no reply.
    """
    return asyncio.run(_check(base_url, model, timeout_seconds))


async def _check(base_url: str, model: str | None, timeout_seconds: float) -> ServerFacts:
    def engine_for(name: str, send: Send) -> OpenAIEngine:
        return OpenAIEngine(
            base_url=base_url,
            model=name,
            send=send,
            prefill=True,
            timeout_seconds=timeout_seconds,
            retries=0,
        )

    lister = engine_for(model or _SOME_MODEL, "frames")
    models = tuple(await lister.models())
    asked = model or next(iter(models), _SOME_MODEL)
    engines = {send: engine_for(asked, send) for send in SEND}
    engine = engines["frames"]
    try:
        (reply,) = await complete_all(engine, replace(PROBE, choices=_SCALE))
        if isinstance(reply, EngineError):
            raise ConfigError(
                f"the server at {engine.address} gives no reply: {reply.reason}. Look at its log, "
                "or name another of its models"
            )
        refused = await _refused(engines)
    finally:  # all are held until here: a client that is gone cannot close its connections
        for each in (lister, *engines.values()):
            each.close()
    return ServerFacts(
        engine.address,
        models,
        asked,
        reply.usage.seconds,
        "logprobs" in engine.capabilities if reply.text else None,
        tuple(refused),
        next(iter(engine.statements), {}),
    )


async def _refused(engines: Mapping[Send, OpenAIEngine]) -> list[Refusal]:
    """Return the server's refusals, feature by feature."""
    begun = replace(PROBE, reply_start="<score>")
    tries: list[tuple[Send, Feature]] = [*((send, send) for send in SEND), ("frames", "prefill")]
    return [
        refusal
        for send, feature in tries
        for refusal in await engines[send].refusals([feature], begun)
    ]
