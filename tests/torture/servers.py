"""A chat server that fails a fifth of all requests, in every way that we know."""

from __future__ import annotations

import json
import random
import resource
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import cases
import talk
from cases import Case
from children import run
from trials import Ground, Tally

from videojudge_bench import goldsets, registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.cli.main import main
from videojudge_bench.judges.engines._chat_probe import PROBE
from videojudge_bench.run.runner import Run, RunOptions

SHARE = 0.2
TIMEOUT_SECONDS = 8.0
MOST_RUNS = 12
MODEL = "talker"

Fault = Callable[["Handler", bytes], None]
"""Answers a request in its own way, given the sound answer's body."""


class Server(ThreadingHTTPServer):
    """Answers as `talk` does or, for prompts of a judge, with a rating that depends on the prompt.

    Attributes:
        share: of requests that fail; each prompt's first answers and their order do not matter.
        faults: how often each way to fail was taken.
        paid: sound answers that came through whole, by prompt.
        requests: in all.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.share, self.draw = SHARE, random.Random(seed)
        self.lock = threading.Lock()
        self.faults: Counter[str] = Counter()
        self.paid: Counter[str] = Counter()
        self.requests = 0

    def handle_error(self, *_: object) -> None:
        """Say nothing: connections that break are what this server is for."""

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def fault(self, prompt: str) -> Fault | None:
        """Return what answers the next request in the place of a sound answer, if anything."""
        del prompt
        with self.lock:
            self.requests += 1
            name = self.draw.choice(list(FAULTS)) if self.draw.random() < self.share else ""
            self.faults.update([name] if name else [])
            return FAULTS.get(name)


S = TypeVar("S", bound=Server)


@contextmanager
def serving(server: S) -> Iterator[S]:
    """Serve until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.send(json.dumps({"data": [{"id": MODEL}]}).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        prompt = "".join(_text(message["content"]) for message in json.loads(body)["messages"])
        fault = self.server.fault(prompt)
        with suppress(OSError):  # a client that waits no longer
            if fault is not None:
                fault(self, _completion(_reply(prompt)))
                return
            self.send(_completion(_reply(prompt)))
            if PROBE.continuations[0].text not in prompt:  # a short question, not an item's
                with self.server.lock:
                    self.server.paid[prompt] += 1

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Send a whole answer."""
        self.begin(len(body), status, **headers)
        self.wfile.write(body)

    def begin(self, length: int, status: int = 200, **headers: str) -> None:
        """Send a status line and headers; `Content_Type` is the header `Content-Type`."""
        self.send_response(status)
        named = {"Content_Type": "application/json", **headers}
        for name, value in named.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _reply(prompt: str) -> str:
    if "The answer to grade:" in prompt or "that deserves" in prompt:
        return talk.talk(prompt)
    return f"<thinking>Hm.</thinking>\n<score>{1 + sum(prompt.encode()) % 5}</score>"


def _completion(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return json.dumps({"id": "1", "choices": [choice], "usage": usage}).encode()


def _error(status: int, **headers: str) -> Fault:
    body = json.dumps({"error": {"message": "no luck"}}).encode()
    return lambda handler, _: handler.send(body, status, **headers)


def _reset(handler: Handler, _: bytes) -> None:
    """Close the connection so that the client gets a reset."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True
    handler.connection.close()


def _hang_up(handler: Handler, _: bytes) -> None:
    handler.close_connection = True


def _half(handler: Handler, body: bytes) -> None:
    handler.begin(len(body))
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def _stream(handler: Handler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n%b\r\n" % (len(body) // 2, body[: len(body) // 2]))
    handler.close_connection = True  # without the last chunk


def _slow(handler: Handler, body: bytes) -> None:
    time.sleep(TIMEOUT_SECONDS + 1)
    handler.send(body)


def _trickle(handler: Handler, body: bytes) -> None:
    handler.begin(len(body))
    for byte in body[:3]:
        handler.wfile.write(bytes([byte]))
        time.sleep(TIMEOUT_SECONDS / 2)
    handler.close_connection = True


def _sends(body: bytes, **headers: str) -> Fault:
    return lambda handler, _: handler.send(body, 200, **headers)


FAULTS: dict[str, Fault] = {
    "connection reset": _reset,
    "connection closed without an answer": _hang_up,
    "half a body": _half,
    "a stream that breaks off": _stream,
    "slower than the time limit": _slow,
    "a byte now and then": _trickle,
    "429": _error(429),
    "429 with Retry-After": _error(429, Retry_After="0.2"),
    "503 with Retry-After": _error(503, Retry_After="0.1"),
    "408": _error(408),
    "409": _error(409),
    "500": _error(500),
    "502 with a web page": lambda handler, _: handler.send(
        b"<html>Bad gateway</html>", 502, Content_Type="text/html"
    ),
    "504": _error(504),
    "400": _error(400),
    "JSON that is none": _sends(b'{"choices": ['),
    "JSON of another kind": _sends(b'{"detail": "odd"}'),
    "no choices": _sends(b'{"choices": []}'),
    "an empty body": _sends(b""),
    "bytes that are no text": _sends(b"\xff\xfe\x00{"),
}


def judge_case(base_url: str, *, videos: int = cases.VIDEOS, **more: Scalar) -> Case:
    """The runner with a judge behind a server, on the first videos of the set."""

    def work() -> int:
        before = (
            int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024
        )
        options: dict[str, Scalar] = {
            "engine": "openai",
            "video": "none",
            "base_url": base_url,
            "model": MODEL,
            "timeout_seconds": TIMEOUT_SECONDS,
            "concurrency": 16,
            **more,
        }
        built = registry.build("text_llm", options)
        gold_set = goldsets.load(cases.SET)
        wanted = list(gold_set.by_id)[: videos * len(cases.LEVELS)]
        made = Run(built, gold_set, RunOptions(journal=Path("runs"))).judge(wanted)
        lines = [json.dumps([j.item_id, str(j.verdict)]) + "\n" for j in made.values()]
        Path("verdicts.jsonl").write_text("".join(sorted(lines)), encoding="utf-8")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        Path("peak_kibibytes").write_text(str(peak), encoding="utf-8")
        return int(any(judgement.failed for judgement in made.values()))

    return Case("runner with a server", work, ("data add",))


def bootstrap_case(base_url: str) -> Case:
    """The bootstrap loop with a server for both roles."""
    changes = [
        f"{role}.{option}"
        for role in ("generator", "evaluator")
        for option in (f"base_url={base_url}", f"model={MODEL}",
                       f"timeout_seconds={TIMEOUT_SECONDS}")
    ]  # fmt: skip
    words = [word for change in changes for word in ("--override", change)]
    command = ("bootstrap", "--recipe", "server.yaml", "-o", "made", *words)
    return Case("bootstrap with a server", lambda: main(command))


def suffer(ground: Ground, make: Callable[[str], Case], tally: Tally) -> Counter[str]:
    """Run a command on the failing server until it is through; compare with a sound server.

    Returns:
        How often each way to fail was taken.
    """
    with serving(Server(ground.draw.randrange(1 << 30))) as server:
        case = make(server.base_url)
        server.share = 0.0
        with ground.fresh(case) as folder:
            assert run(case.work, folder).code == 0
            # A prompt may come more than once: an empty answer is asked for again each round.
            sound, needed = _said(folder), Counter(server.paid)
        server.paid.clear()
        server.share, server.requests = SHARE, 0
        with ground.fresh(case) as folder:
            for _ in range(MOST_RUNS):
                ended = run(case.work, folder)
                tally.refused += bool(ended.code)
                if ended.broke:
                    tally.lost.append(f"{case.name}: it breaks: {ended.last_words}")
                if not ended.code:
                    break
            else:
                tally.lost.append(f"{case.name}: not through after {MOST_RUNS} runs: "
                                  f"{ended.last_words}")  # fmt: skip
            if _said(folder) != sound:
                tally.lost.append(f"{case.name}: other results than with a sound server")
        tally.tried += server.requests
        again, never = server.paid - needed, needed - server.paid
        tally.asked_again += again.total()
        if again or never:
            tally.lost.append(f"{case.name}: {again.total()} sound answers were paid for again, "
                              f"{never.total()} never")  # fmt: skip
        return server.faults


def _said(folder: Path) -> dict[str, bytes]:
    """What a run has made of the replies, without what they cost in time."""
    files = [folder / "verdicts.jsonl", *folder.glob("made/data/*.jsonl")]
    return {path.name: path.read_bytes() for path in files if path.is_file()}
