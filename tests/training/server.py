"""A chat server on loopback that answers with `talk`, and can be told to die."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from talk import talk


class TalkServer(ThreadingHTTPServer):
    """Answers so many requests, and closes its port.

    Attributes:
        answered: requests so far.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, lives: int | None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answered = 0
        self.lock = threading.Lock()
        self._lives = lives

    @property
    def port(self) -> int:
        """The one that it listens on."""
        return int(self.server_address[1])

    @property
    def is_dead(self) -> bool:
        """Whether it has answered all that it will."""
        return self._lives is not None and self.answered >= self._lives


@contextmanager
def talk_server(port: int = 0, *, lives: int | None = None) -> Iterator[TalkServer]:
    """Serve until the block ends, or `lives` requests are answered."""
    server = TalkServer(port, lives)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TalkServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            if self.server.is_dead:
                self.server.socket.close()
                self.close_connection = True
                return
            self.server.answered += 1
        prompt = "".join(message["content"] for message in request["messages"])
        message = {"role": "assistant", "content": talk(prompt)}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        body = json.dumps({"id": "1", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
