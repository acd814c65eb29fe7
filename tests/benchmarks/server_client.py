"""CPU time and rate of clients of a chat server on loopback that answers after 200 ms.

Prints JSON. The server runs in a process of its own. Each client sends the same requests with 256
in flight: our engine, aiohttp alone, and the openai package with its default transport. The ideal
rate is 256 requests per 200 ms.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import aiohttp
import openai
from aiohttp import web

from videojudge_bench.engine import Continuation, Prefix, PromptGroup, Reply, complete_all
from videojudge_bench.judges.engines.openai_engine import OpenAIEngine

LATENCY_SECONDS, IN_FLIGHT = 0.2, 256
REQUESTS = {"engine": 10_240, "aiohttp": 10_240, "openai": 1_024}
REPEATS = 3
MODEL, SYSTEM, PROMPT = "m", "You judge answers.", "Rate this answer: a cat sleeps. " * 20

Ask = Callable[[], Awaitable[None]]
Answerer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve(pipe: Connection) -> None:
    """Serve chat completions; says its port through the pipe."""
    message = {"role": "assistant", "content": "<score>4</score>"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 99, "completion_tokens": 9, "total_tokens": 108}
    facts = {"id": "1", "object": "chat.completion", "created": 0, "model": MODEL}
    body = json.dumps({**facts, "choices": [choice], "usage": usage}).encode()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(LATENCY_SECONDS)
        return web.Response(body=body, content_type="application/json")

    serve_answers(pipe, answer)


def serve_answers(pipe: Connection, answer: Answerer) -> None:
    """Serve chat completions with a handler, for ever; says its port through the pipe."""

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        assert site._server is not None
        pipe.send(site._server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    asyncio.run(run())


async def send_all(ask: Ask, requests: int) -> None:
    """Call `ask` so many times, `IN_FLIGHT` at a time."""
    left = iter(range(requests))

    async def work() -> None:
        for _ in left:
            await ask()

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


async def with_engine(base_url: str, requests: int) -> None:
    """Through our engine, one request per group."""
    engine = OpenAIEngine(base_url=base_url, model=MODEL, max_concurrency=IN_FLIGHT)
    group = PromptGroup(Prefix(SYSTEM, PROMPT), (Continuation("a", ""),))

    async def ask() -> None:
        (reply,) = await complete_all(engine, group)
        assert isinstance(reply, Reply), reply

    await send_all(ask, requests)
    engine.close()


async def with_aiohttp(base_url: str, requests: int) -> None:
    """With aiohttp and nothing around it."""
    data = json.dumps({"model": MODEL, "messages": _messages()}).encode()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask() -> None:
            async with session.post(f"{base_url}/chat/completions", data=data) as response:
                json.loads(await response.read())

        await send_all(ask, requests)


async def with_openai(base_url: str, requests: int) -> None:
    """With the openai package and its default transport."""
    async with openai.AsyncOpenAI(base_url=base_url, api_key="k") as client:

        async def ask() -> None:
            await client.chat.completions.create(model=MODEL, messages=_messages())  # type: ignore[arg-type]

        await send_all(ask, requests)


def _messages() -> list[dict[str, str]]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]


CLIENTS = {"engine": with_engine, "aiohttp": with_aiohttp, "openai": with_openai}


def measure(name: str, base_url: str) -> tuple[float, float]:
    """Return CPU milliseconds per request, and requests per second."""
    requests = REQUESTS[name]
    cpu, wall = time.process_time(), time.perf_counter()
    asyncio.run(CLIENTS[name](base_url, requests))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return 1000 * cpu / requests, requests / wall


def main() -> None:
    """Measure and print."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    base_url = f"http://127.0.0.1:{here.recv()}/v1"
    # In turn, so that a change of the machine's speed meets all clients.
    rounds = [{name: measure(name, base_url) for name in CLIENTS} for _ in range(REPEATS)]
    server.terminate()
    ideal = IN_FLIGHT / LATENCY_SECONDS
    cpu = {name: statistics.median(r[name][0] for r in rounds) for name in CLIENTS}
    rate = {name: statistics.median(r[name][1] for r in rounds) for name in CLIENTS}
    report = {
        "what": f"medians of {REPEATS} rounds, {IN_FLIGHT} in flight, a server on loopback that "
        f"answers after {LATENCY_SECONDS} s; its own CPU time is not counted",
        "cpu_ms_per_request": {name: round(ms, 3) for name, ms in cpu.items()},
        "requests_per_second": {name: round(value, 1) for name, value in rate.items()},
        "share_of_ideal_rate": {name: round(value / ideal, 3) for name, value in rate.items()},
        "requests": REQUESTS,
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
