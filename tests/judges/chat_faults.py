"""A chat server on loopback that answers as a test tells it to, faults included."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from videojudge_bench.engine import (
    Continuation,
    EngineError,
    Prefix,
    PromptGroup,
    Reply,
    Sampling,
    complete_all,
)
from videojudge_bench.judges.engines._chat_probe import PROBE
from videojudge_bench.judges.engines.openai_engine import OpenAIEngine

MODEL = "judge-7b"
Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    Attributes:
        body: an object is sent as JSON, bytes as they are.
        status: of the answer.
        headers: beside the usual ones.
        missing_bytes: the connection is closed so many bytes too early.
        delay_seconds: before it answers.
    """

    body: Json | bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    missing_bytes: int = 0
    delay_seconds: float = 0.0


@dataclass
class Seen:
    """What the server was asked.

    Attributes:
        base_url: where it listens.
        requests: bodies, in the order of their arrival.
        headers: of the same requests, names in lower case.
        times: when they arrived, in seconds.
        most_in_flight: at once.
        probes: bodies of the requests that only try what the server takes, where it answers them
            by itself.
        models: what it lists; None is 404.
        roots: what it says that each has been loaded from.
        moved: where it sends those who want its list.
        lists: how often it was asked for it.
        version: of its program, as a vLLM tells it; empty is 404.
        tokens: what it answers to `/tokenize`; None is 404.
        tokenised: bodies of the requests to `/tokenize`.
    """

    base_url: str
    models: Sequence[str] | None = (MODEL,)
    roots: Mapping[str, str] = field(default_factory=dict)
    probes: list[Json] = field(default_factory=list)
    moved: str = ""
    version: str = ""
    lists: int = 0
    tokens: Json | None = None
    tokenised: list[Json] = field(default_factory=list)
    requests: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    most_in_flight: int = 0
    in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


Script = Callable[[int, Json], Answer]


def completion(
    text: str | None = "<score>4</score>",
    *,
    finish: str = "stop",
    logprobs: Sequence[Json] | None = None,
    usage: tuple[int, int] | None = (100, 10),
) -> Answer:
    """Return a sound answer."""
    message = {"role": "assistant", "content": text}
    choice: Json = {"index": 0, "finish_reason": finish, "message": message}
    if logprobs is not None:
        choice["logprobs"] = {"content": logprobs}
    body: Json = {"id": "1", "choices": [choice]}
    if usage is not None:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return Answer(body)


def failure(status: int, message: str = "no luck", **headers: str) -> Answer:
    """Return an error as OpenAI writes it; `Retry_After` is the header `Retry-After`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer({"error": {"message": message}}, status, named)


def position(token: str, top: dict[str, float] | None = None) -> Json:
    """Return a token as a server gives it with the probabilities of what could stand there."""

    def as_token(text: str, probability: float) -> Json:
        raw = text.encode("utf-8", "surrogateescape")
        return {"token": text, "logprob": math.log(probability), "bytes": list(raw)}

    chances = {token: 0.9} if top is None else top
    alternatives = [as_token(text, chance) for text, chance in chances.items()]
    return {**as_token(token, chances.get(token, 0.01)), "top_logprobs": alternatives}


def one_by_one(*answers: Answer) -> Script:
    """Answer the first request with the first, and so on; the last one answers all others."""
    return lambda number, _: answers[min(number, len(answers) - 1)]


def is_probe(body: Json) -> bool:
    """Return whether a request only tries what the server takes."""
    return PROBE.continuations[0].text in json.dumps(body["messages"])


@contextmanager
def faulty_server(script: Script, *, takes_all: bool = True) -> Iterator[Seen]:
    """Serve until the block ends.

    Args:
        script: gets a request's number, from 0, and its body.
        takes_all: probes are answered well, and are no requests; else they go to the script.
    """
    http = _Server(script, takes_all=takes_all)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield http.seen
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def engine_at(seen: Seen, **options: Any) -> OpenAIEngine:
    return OpenAIEngine(**{"base_url": seen.base_url, "model": MODEL, **options})


def group_of(*ids: str, **parts: Any) -> PromptGroup:
    """Return a group with a continuation per id."""
    prefix = parts.pop("prefix", Prefix("Be strict.", "Shared. "))
    sampling = parts.pop("sampling", Sampling(max_tokens=64))
    tails = tuple(Continuation(item_id, f"Answer {item_id}.") for item_id in ids or ("a",))
    return PromptGroup(prefix, tails, sampling=sampling, **parts)


def ask(engine: OpenAIEngine, *ids: str, **parts: Any) -> list[Reply | EngineError]:
    """Return what an engine makes of a group, on a loop of its own."""
    return list(asyncio.run(complete_all(engine, group_of(*ids, **parts))))


def one(engine: OpenAIEngine, **parts: Any) -> Reply:
    """Return the one reply; the test fails on an error."""
    (reply,) = ask(engine, **parts)
    assert isinstance(reply, Reply), reply
    return reply


def reason(engine: OpenAIEngine, **parts: Any) -> str:
    """Return why there is no reply."""
    (error,) = ask(engine, **parts)
    assert isinstance(error, EngineError), error
    return error.reason


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # more at once would wait a second to connect

    def __init__(self, script: Script, *, takes_all: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.takes_all = script, takes_all
        self.seen = Seen(f"http://127.0.0.1:{self.server_address[1]}/v1")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        models, version = self.server.seen.models, self.server.seen.version
        if self.path == "/version":
            self._send(Answer({"version": version}) if version else failure(404))
            return
        self.server.seen.lists += 1
        if self.server.seen.moved:
            self._send(failure(307, Location=self.server.seen.moved))
            return
        if self.path != "/v1/models" or models is None:
            self._send(failure(404, "no such page"))
            return
        roots = self.server.seen.roots
        listed = [{"id": n, **({"root": roots[n]} if n in roots else {})} for n in models]
        self._send(Answer({"data": listed}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request: Json = json.loads(body)
        seen = self.server.seen
        if self.path == "/tokenize":
            seen.tokenised.append(request)
            self._send(failure(404) if seen.tokens is None else Answer(seen.tokens))
            return
        assert self.path == "/v1/chat/completions"
        if self.server.takes_all and is_probe(request):
            with seen.lock:
                seen.probes.append(request)
            logprobs = [position("5")] if request.get("logprobs") else None
            self._send(completion("<score>5</score>", logprobs=logprobs))
            return
        with seen.lock:
            number = len(seen.requests)
            seen.requests.append(request)
            seen.headers.append({k.lower(): v for k, v in self.headers.items()})
            seen.times.append(time.monotonic())
            seen.in_flight += 1
            seen.most_in_flight = max(seen.most_in_flight, seen.in_flight)
        try:
            answer = self.server.script(number, request)
            time.sleep(answer.delay_seconds)
        finally:
            with seen.lock:
                seen.in_flight -= 1
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        body = answer.body
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.close_connection = answer.missing_bytes > 0
        with contextlib.suppress(OSError):  # a client that waits no longer
            self.end_headers()
            self.wfile.write(raw[: len(raw) - answer.missing_bytes])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
