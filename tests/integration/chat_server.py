"""A server that speaks OpenAI's chat completions on loopback and makes up its replies."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypedDict

from videojudge_bench.judges.engines._chat_probe import PROBE


class Part(TypedDict, total=False):
    """A part of a message: `text`, or `image_url`."""

    type: str
    text: str


class Message(TypedDict):
    """One message of a request."""

    role: str
    content: str | list[Part]


class Request(TypedDict):
    """What a client asked for."""

    model: str
    messages: list[Message]
    max_tokens: int
    temperature: float


@dataclass
class ChatServer:
    """What a server was asked.

    Attributes:
        base_url: where it listens.
        requests: in the order of their arrival; those that only try what it takes are left out.
        authorizations: their headers of that name, empty where there is none.
    """

    base_url: str
    requests: list[Request] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)


@contextmanager
def chat_server(reply: Callable[[str], str]) -> Iterator[ChatServer]:
    """Serve until the block ends.

    Args:
        reply: makes a reply from the text of the last message.
    """
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(reply))
    seen = ChatServer(f"http://127.0.0.1:{http.server_address[1]}/v1")
    http.seen = seen  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield seen
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def text_of(message: Message) -> str:
    """Return the text of a message."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def count_images(request: Request) -> int:
    """Return how many images a request shows."""
    contents = [m["content"] for m in request["messages"] if not isinstance(m["content"], str)]
    return sum(part["type"] == "image_url" for content in contents for part in content)


def _handler(reply: Callable[[str], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request: Request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen: ChatServer = self.server.seen  # type: ignore[attr-defined]
            if PROBE.continuations[0].text not in text_of(request["messages"][-1]):
                seen.requests.append(request)
            seen.authorizations.append(self.headers.get("Authorization", ""))
            message = {"role": "assistant", "content": reply(text_of(request["messages"][-1]))}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            body = json.dumps(
                {
                    "id": "chatcmpl-1",
                    "object": "chat.completion",
                    "created": 0,
                    "model": request["model"],
                    "choices": [choice],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
