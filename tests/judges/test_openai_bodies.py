"""Answers of a chat server that do not end, unpack to too much, come slowly or hold the key."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from chat_faults import (
    MODEL,
    Answer,
    Json,
    ask,
    completion,
    engine_at,
    failure,
    faulty_server,
    one,
    one_by_one,
    position,
    reason,
)

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import EngineError, Reply
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item
from videojudge_bench.judges.engines._chat_endpoint import Endpoint
from videojudge_bench.judges.engines.openai_engine import OpenAIEngine

pytestmark = pytest.mark.timeout(120)

KEY = "sk-never/to-be+written-down"
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = JSON_HEAD + b"Transfer-Encoding: chunked\r\n"
MOST_MEGABYTES = 50


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve what a function writes into each connection; the address comes out."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            answer(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def endless(head: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(head + b"\r\n")
        while True:
            connection.sendall(piece)

    return answer


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def bomb(bits: int) -> bytes:
    """A gigabyte of spaces, packed a thousand to one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    megabyte = b" " * (1 << 20)
    return b"".join(packer.compress(megabyte) for _ in range(1024)) + packer.flush()


def sends(head: bytes, body: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(head + b"\r\n" + body)


ERROR = b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n"
BODIES = {
    "endless": endless(CHUNKED, chunk(b"x" * 65536)),
    "endless without a length": endless(JSON_HEAD, b"x" * 65536),
    "endless events": endless(CHUNKED, chunk(b"data: {}\n\n" * 1000)),
    "endless error": endless(ERROR, chunk(b"x" * 65536)),
    "gigabytes announced": endless(JSON_HEAD + b"Content-Length: 9000000000\r\n", b" " * 65536),
    "gzip bomb": sends(JSON_HEAD + b"Content-Encoding: gzip\r\n", bomb(31)),
    "deflate bomb": sends(JSON_HEAD + b"Content-Encoding: deflate\r\n", bomb(15)),
    "raw deflate bomb": sends(JSON_HEAD + b"Content-Encoding: deflate\r\n", bomb(-15)),
    "brotli": endless(CHUNKED + b"Content-Encoding: br\r\n", chunk(b"\x00" * 65536)),
    "gzip in gzip": endless(CHUNKED + b"Content-Encoding: gzip, gzip\r\n", chunk(b"x" * 65536)),
    "endless header": endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536),
    "endless headers": endless(b"HTTP/1.1 200 OK", b"X: 1\r\n" * 10_000),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_without_end_costs_some_megabytes_and_its_item(name: str) -> None:
    with raw_server(BODIES[name]) as address:
        engine = OpenAIEngine(base_url=address, model=MODEL, timeout_seconds=20, retries=0)
        ask_some(engine, 1)  # what is imported and made once
        tracemalloc.start()
        try:
            found = ask_some(engine, 64)
            megabytes = tracemalloc.get_traced_memory()[1] / (1 << 20)
        finally:
            tracemalloc.stop()
    assert len(found) == 64
    assert megabytes <= MOST_MEGABYTES


def ask_some(engine: OpenAIEngine, count: int) -> list[object]:
    """What comes of some items; a server that never works ends the run."""
    try:
        return list(ask(engine, *map(str, range(count))))
    except ConfigError as error:
        return [error] * count


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("endless", "expected a body of at most 4,194,304 bytes, got a longer one"),
        ("gzip bomb", "expected a body of at most 4,194,304 bytes, got a longer one"),
        ("brotli", "expected a body that is plain or compressed by gzip, deflate, got 'br'"),
    ],
)
def test_why_a_body_is_not_read_is_said(name: str, text: str) -> None:
    with raw_server(BODIES[name]) as address:
        engine = OpenAIEngine(base_url=address, model=MODEL, retries=0)
        assert reason(engine) == f"the server answered 200: {text}"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity", "GZIP"])
def test_a_compressed_answer_is_read(encoding: str) -> None:
    raw = json.dumps(completion("fine").body).encode()
    packed = {"gzip": gzip.compress(raw), "deflate": zlib.compress(raw), "identity": raw}
    sent = Answer(packed[encoding.lower()], headers={"Content-Encoding": encoding})
    with faulty_server(one_by_one(sent)) as seen:
        assert one(engine_at(seen)).text == "fine"
    assert seen.headers[0]["accept-encoding"] == "gzip, deflate"


def test_damaged_compression_is_tried_again() -> None:
    damaged = Answer(b"\x1f\x8bnonsense", headers={"Content-Encoding": "gzip"})
    with faulty_server(one_by_one(damaged, completion("fine"))) as seen:
        assert one(engine_at(seen)).text == "fine"


def test_a_long_answer_within_the_limit_is_read() -> None:
    tokens = [position(f"word{n} ", {f"w{k}": 0.01 for k in range(20)}) for n in range(3000)]
    text = "".join(token["token"] for token in tokens)
    long = completion(text, logprobs=tokens)
    with faulty_server(one_by_one(long)) as seen:
        found = one(engine_at(seen), choices=("1", "2"))
    assert found.text == text
    assert len(json.dumps(long.body)) > 4 << 20


def test_a_list_of_models_without_end_is_none() -> None:
    async def lists(engine: OpenAIEngine) -> tuple[list[str], str]:
        return await engine.models(), await engine._client.version()

    with raw_server(endless(CHUNKED, chunk(b" " * 65536))) as address:
        engine = OpenAIEngine(base_url=address, model=MODEL)
        tracemalloc.start()
        try:
            assert asyncio.run(lists(engine)) == ([], "")
            assert tracemalloc.get_traced_memory()[1] < 20 << 20
        finally:
            tracemalloc.stop()


def test_a_byte_a_second_is_a_timeout() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(CHUNKED + b"\r\n")
        while True:
            connection.sendall(chunk(b" "))
            time.sleep(1)

    with raw_server(answer) as address:
        engine = OpenAIEngine(base_url=address, model=MODEL, retries=0, timeout_seconds=2.5)
        began = time.monotonic()
        assert reason(engine) == "no answer within timeout_seconds=2.5"
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"error":' * 100_000, b'{"a":' * 100_000])
@pytest.mark.parametrize("status", [200, 400])
def test_a_body_of_a_hundred_thousand_brackets_fails_one_item(body: bytes, status: int) -> None:
    def script(_: int, request: Json) -> Answer:
        return Answer(body, status) if "Answer b" in json.dumps(request) else completion()

    with faulty_server(script, takes_all=False) as seen:
        found = ask(engine_at(seen), "a", "b", "c")
    assert [isinstance(reply, Reply) for reply in found] == [True, False, True]


# The key.


def escaped(text: str) -> str:
    """The text as JSON may write it."""
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


def echoes(key: str) -> dict[str, Answer]:
    header = f"Bearer {key}"
    said = f"I got Authorization: {header}. <score>4</score>"
    body = cast("Json", completion(said).body)
    plain = {**body, "model": header, "system_fingerprint": header}
    parts = json.loads(json.dumps(plain))
    parts["choices"][0]["message"]["content"] = [{"type": "text", "text": said}]
    reasoning = json.loads(json.dumps(plain))
    reasoning["choices"][0]["message"]["reasoning_content"] = header
    refusal = json.loads(json.dumps(plain))
    refusal["choices"][0]["message"] = {"content": None, "refusal": said}
    raw = json.dumps(plain)
    return {
        "content": Answer(plain),
        "parts": Answer(parts),
        "reasoning": Answer(reasoning),
        "refusal": Answer(refusal),
        "escaped": Answer(raw.replace(key, escaped(key)).encode()),
        "slashes": Answer(raw.replace("/", "\\/").encode()),
        "finish reason": Answer(completion("x", finish=header).body),
        "error": failure(400, header),
        "error text": Answer(header.encode(), 418),
        "escaped error": Answer(f'{{"error": {{"message": "{escaped(header)}"}}}}'.encode(), 418),
        "no completion": Answer({"detail": header, key: key}),
        "error in 200": Answer({"choices": None, "error": {"code": 418, "message": header}}),
        "redirect": Answer({}, 307, {"Location": f"http://elsewhere.example/?{key}"}),
    }


@pytest.mark.parametrize("name", echoes(KEY))
def test_a_key_that_is_sent_back_is_written_nowhere(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with faulty_server(one_by_one(echoes(KEY)[name])) as seen:
        engine = engine_at(seen, api_key=KEY, retries=0)
        found = ask_some(engine, 2)
        said = str([found, *map(str, found), engine.statements])
    assert seen.headers[0]["authorization"] == f"Bearer {KEY}"
    assert KEY not in said + caplog.text
    if name in ("content", "parts", "reasoning", "refusal", "escaped", "slashes"):
        (reply, _) = found
        assert isinstance(reply, Reply)
        assert reply.text == "I got Authorization: Bearer …. <score>4</score>"


def test_verdicts_and_journal_do_not_hold_it() -> None:
    with faulty_server(one_by_one(echoes(KEY)["escaped"])) as seen:
        options: dict[str, Scalar] = {"base_url": seen.base_url, "model": MODEL, "video": "none"}
        options["api_key"] = KEY
        (judgement,) = registry.build("openai", options).judge.judge([Item("a", "v", "What?", "x")])
    assert judgement.reply == "I got Authorization: Bearer …. <score>4</score>"
    assert KEY not in json.dumps(judgement.to_json())


def test_the_user_of_an_address_is_hidden_as_the_header_that_it_becomes() -> None:
    header = base64.b64encode(b"tom:hunter2-hunter2").decode()
    with faulty_server(one_by_one(completion(f"Basic {header} tom:hunter2-hunter2"))) as seen:
        address = seen.base_url.replace("://", "://tom:hunter2%2Dhunter2@")
        assert one(engine_at(seen, base_url=address)).text == "Basic … …"
    assert seen.headers[0]["authorization"] == f"Basic {header}"


@pytest.mark.parametrize("key", ["EMPTY", "1", "4", "score", "none"])
def test_a_key_that_is_a_word_leaves_replies_as_they_are(key: str) -> None:
    text = f"It is {key}. <score>4</score>"
    with faulty_server(one_by_one(completion(text))) as seen:
        assert one(engine_at(seen, api_key=key)).text == text


def test_a_body_without_the_key_is_left_as_it_came() -> None:
    body = b'{"a": 1e400, "b": [NaN, "\\ud83d"], "a": 2}'
    assert Endpoint("http://h/v1", "m", "sk-0123456789").clean(body) == body


def test_a_failure_names_no_key_in_any_part_of_it() -> None:
    script = one_by_one(failure(400, f"bad {KEY}"))
    with faulty_server(script, takes_all=False) as seen, pytest.raises(ConfigError) as caught:
        ask(engine_at(seen, api_key=KEY))
    assert "the server answered 400: bad …. Do what it says" in str(caught.value)


def test_what_is_no_reply_is_an_error() -> None:
    with faulty_server(one_by_one(Answer(b"", 200))) as seen:
        (found,) = ask(engine_at(seen))
    assert isinstance(found, EngineError)
