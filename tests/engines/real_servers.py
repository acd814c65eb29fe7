"""Real servers on loopback: a vLLM of an environment of its own, and `transformers serve`."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

START_SECONDS, STOP_SECONDS = 1800, 60
NAME = "tiny"  # by which a vLLM knows its model

VLLM_FLAGS: Mapping[str, str | None] = {
    "--dtype": "float32",
    "--enforce-eager": None,  # compiling takes longer than all these tests
    "--max-model-len": "16384",
    "--max-num-batched-tokens": "16384",
    "--limit-mm-per-prompt": '{"image": 180, "video": 1}',
    "--mm-processor-cache-gb": "1",
    "--max-logprobs": "20",
    "--trust-request-mm-kwargs": None,
}
"""As docs/servers.md has them, in float32, in which engines can be compared exactly."""


@dataclass(frozen=True)
class Served:
    """A server at work.

    Attributes:
        program: with its version.
        base_url: where its API begins.
        model: by its name.
        process_id: of its first process.
    """

    program: str
    base_url: str
    model: str
    process_id: int

    def metrics(self) -> dict[str, float]:
        """Return a vLLM's counters, summed over their labels."""
        with urllib.request.urlopen(f"{self.base_url.removesuffix('/v1')}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        found: defaultdict[str, float] = defaultdict(float)
        for line in lines:
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name.partition("{")[0]] += float(value)
        return dict(found)


@contextmanager
def vllm(
    environment: Path, model: Path, log: Path, changes: Mapping[str, str | None] | None = None
) -> Iterator[Served]:
    """Serve a model by vLLM until the block ends.

    Args:
        environment: as `setup_vllm.sh` makes it.
        model: a folder.
        log: file for what it says.
        changes: of `VLLM_FLAGS`; a flag with the value "" is left out.
    """
    flags = {**VLLM_FLAGS, **(changes or {})}
    given = [part for flag in flags.items() if flag[1] != "" for part in flag if part is not None]
    command = [str(environment / "bin" / "vllm"), "serve", str(model), *given]
    variables = {
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
    with _served([*command, "--served-model-name", NAME], variables, log) as (root, process_id):
        with urllib.request.urlopen(f"{root}/version") as answer:
            version = json.load(answer)["version"]
        yield Served(f"vLLM {version}", f"{root}/v1", NAME, process_id)


@contextmanager
def transformers_serve(model: Path, log: Path) -> Iterator[Served]:
    """Serve a model by `transformers serve` until the block ends."""
    import transformers

    program = str(Path(sys.executable).parent / "transformers")
    command = [program, "serve", str(model), "--device", "cpu", "--dtype", "float32"]
    with _served(command, {}, log) as (root, process_id):
        version = f"transformers serve {transformers.__version__}"
        yield Served(version, f"{root}/v1", str(model), process_id)


@contextmanager
def switching(first: Served, second: Served, *, after: int) -> Iterator[Served]:
    """Serve at one address what the first serves, and the second from so many posted requests on.

    So a server is seen from outside that is started anew in the middle of a run.
    """
    posted = itertools.count()

    class Forward(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._forward(first, None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._forward(first if next(posted) < after else second, body)

        def _forward(self, served: Served, body: bytes | None) -> None:
            url = served.base_url.removesuffix("/v1") + self.path
            headers = {"Content-Type": "application/json"}
            try:
                answer = urllib.request.urlopen(urllib.request.Request(url, body, headers))
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                self.send_response(answer.status)
                self.end_headers()
                self.wfile.write(answer.read())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Forward) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield replace(first, base_url=f"http://127.0.0.1:{server.server_port}/v1")
        server.shutdown()


@contextmanager
def _served(
    command: Sequence[str], variables: Mapping[str, str], log: Path
) -> Iterator[tuple[str, int]]:
    port = _free_port()
    root = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "HF_HUB_OFFLINE": "1", **variables},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # vLLM's engine is a process of its own, and ends with it
        )
        try:
            _wait_for(f"{root}/health", process, log)
            yield root, process.pid
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"the server did not start:\n{log.read_text('utf-8')[-4000:]}")
