"""Judge servers on loopback, in a process of their own or in this one, and requests to them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from videojudge_bench.answers.judging import build
from videojudge_bench.serving.app import application
from videojudge_bench.serving.figures import Figures
from videojudge_bench.serving.service import JudgeService

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 600
SERVE = (sys.executable, "-m", "videojudge_bench.cli", "serve")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    url: str
    child: subprocess.Popen[str] | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self.child is not None, "it runs in a thread of this process"
        return self.child

    def post(self, path: str, body: object, **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._ask(path, data, {"content-type": "application/json", **headers})

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask(path, None, headers)

    def score(self, *rows: Mapping[str, object]) -> list[dict[str, Any]]:
        answer = self.post("/v1/score", {"rows": rows})
        assert answer.status == 200, answer.body
        results: list[dict[str, Any]] = answer.json["results"]
        return results

    def figure(self, name: str) -> float:
        lines = self.get("/metrics").body.decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(60)

    def _ask(self, path: str, data: bytes | None, headers: Mapping[str, str]) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data, named)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as found:
                return Answer(found.status, found.headers, found.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())


@contextmanager
def serving(judge: str, *options: str, token: str = "") -> Iterator[Server]:
    """Start a server on a free port, and end it."""
    ports = () if "--port" in options else ("--port", "0")
    process = started(judge, *ports, *options, token=token)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if " at " not in line:
            assert process.stderr is not None
            raise AssertionError(process.stderr.read())
        yield Server(line.rsplit(" at ", 1)[1].strip(), process)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def serving_here(judge: str) -> Iterator[Server]:
    """Run a server on a free port in a thread of this process, and end it."""
    figures = Figures()
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        JudgeService(build(judge), on_batch=figures.count_batch) as service,
    ):
        config = uvicorn.Config(application(service, figures), log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Server(f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join(60)


def started(judge: str, *options: str, token: str = "") -> subprocess.Popen[str]:
    """Start the verb; its streams are text."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    env.pop("VIDEOJUDGE_TOKEN", None)
    if token:
        env["VIDEOJUDGE_TOKEN"] = token
    return subprocess.Popen(
        [*SERVE, judge, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=env, cwd=ROOT,
    )  # fmt: skip


def row(response: str = "A dog digs a hole.", **more: object) -> dict[str, object]:
    """A row about a video of a garden, with a reference."""
    return {
        "video_id": "garden",
        "instruction": "What happens?",
        "response": response,
        "references": ["A dog digs."],
        **more,
    }


def pair(a: str, b: str, **more: object) -> dict[str, object]:
    """A pair of answers about the same video."""
    made = {**row(), **more, "response_a": a, "response_b": b}
    del made["response"]
    return made


def scores(lines: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """The scores of lines."""
    return [line["score"] for line in lines]
