"""The bootstrap loop at 256 in flight against a chat server on loopback that answers after 200 ms.

Prints JSON: the share of the ideal rate, and the CPU time that the loop (prompts, parsing, journal,
shards) takes of a call beside the engine's own, which is measured in the same run with prompts of
the same length. Seeds are those of VATEX-EVAL's captions. The server answers from a process of its
own, so every response is accepted at once: the loop does nothing but calls.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import web
from server_client import IN_FLIGHT, LATENCY_SECONDS, MODEL, send_all, serve_answers

from videojudge_bench import goldsets
from videojudge_bench.engine import Continuation, Deliver, Prefix, PromptGroup, Reply, complete_all
from videojudge_bench.judges.engines.openai_engine import OpenAIEngine
from videojudge_bench.training.bootstrap.calls import Limits, Meter
from videojudge_bench.training.bootstrap.contracts import Draft, Seed
from videojudge_bench.training.bootstrap.executors import ShardWork, Tally
from videojudge_bench.training.bootstrap.options import load_options
from videojudge_bench.training.bootstrap.prompted import PromptedEvaluator, PromptedGenerator
from videojudge_bench.training.bootstrap.roles import Roles
from videojudge_bench.training.bootstrap.run_folder import RunFolder

SEEDS, REPEATS = 2048, 3


def serve(pipe: Connection) -> None:
    """Serve drafts that name their target, and ratings that find it; says its port."""

    async def answer(request: web.Request) -> web.Response:
        text = (await request.read()).decode()
        await asyncio.sleep(LATENCY_SECONDS)
        if "The answer to grade:" in text:
            level = text.partition("The answer to grade:")[2].partition("level ")[2][:1]
            said = f"<feedback>Some of it is wrong.</feedback><score>{level}</score>"
        else:
            target = text.partition("to the instruction that deserves ")[2][:1]
            said = f"<answer>A man at level {target} of a house walks up the stairs.</answer>"
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 300, "completion_tokens": 30}
        body = json.dumps({"id": "1", "choices": [choice], "usage": usage}).encode()
        return web.Response(body=body, content_type="application/json")

    serve_answers(pipe, answer)


def seeds() -> list[Seed]:
    """Return seeds with the captions of VATEX-EVAL as descriptions."""
    found = []
    for number, example in enumerate(goldsets.load("vatex").examples[:SEEDS]):
        gold, *others = example.item.references
        found.append(
            Seed(f"s{number}", "vatex", example.item.video_id, "Describe the video.", gold,
                 description=" ".join(others))
        )  # fmt: skip
    return found


def with_loop(base_url: str, made: list[Seed], folder: Path) -> tuple[float, float]:
    """Return CPU milliseconds a call, and calls per second."""
    run = RunFolder(folder)
    run.write_seeds(made, {})
    engines = [
        OpenAIEngine(base_url=base_url, model=MODEL, max_concurrency=IN_FLIGHT) for _ in range(2)
    ]
    roles = Roles(PromptedGenerator(engine=engines[0]), PromptedEvaluator(engine=engines[1]))
    tally, meter = Tally(), Meter(Limits())
    options = load_options("paper_pointwise", [f"concurrency={IN_FLIGHT}"])
    work = ShardWork(run, roles, meter, options, on_outcome=tally.add)
    cpu, wall = time.process_time(), time.perf_counter()
    work.run(run.shards())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert tally.kept == len(made), tally
    roles.close()
    return 1000 * cpu / meter.requests, meter.requests / wall


def with_engine(base_url: str, made: list[Seed]) -> tuple[float, float]:
    """Return the same of the engine alone, with prompts as long as the loop's."""
    prompts = asyncio.run(_prompts(made[:64]))
    requests = len(made) * 8
    engine = OpenAIEngine(base_url=base_url, model=MODEL, max_concurrency=IN_FLIGHT)
    number = 0

    async def ask() -> None:
        nonlocal number
        number += 1
        (reply,) = await complete_all(engine, prompts[number % len(prompts)])
        assert isinstance(reply, Reply), reply

    cpu, wall = time.process_time(), time.perf_counter()
    asyncio.run(send_all(ask, requests))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    engine.close()
    return 1000 * cpu / requests, requests / wall


class _Recorder:
    """An engine that keeps the prompts it gets."""

    capabilities = frozenset[str]()

    def __init__(self) -> None:
        self.groups: list[PromptGroup] = []

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        text = group.continuations[0].text
        prefix = Prefix(group.prefix.system, group.prefix.text)
        self.groups.append(PromptGroup(prefix, (Continuation("a", text),)))
        await deliver(0, Reply(""))

    def settings(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        """Nothing to give back."""


async def _prompts(made: list[Seed]) -> list[PromptGroup]:
    engine = _Recorder()
    generator = PromptedGenerator(engine=engine)  # type: ignore[arg-type]
    evaluator = PromptedEvaluator(engine=engine)  # type: ignore[arg-type]
    for seed in made:
        await generator.write(seed, 2, ())
        await evaluator.rate(seed, Draft("A man at level 2 of a house walks up the stairs."))
    return engine.groups


def main() -> None:
    """Measure and print."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    base_url, made = f"http://127.0.0.1:{here.recv()}/v1", seeds()
    loop: list[tuple[float, float]] = []
    engine: list[tuple[float, float]] = []
    for _ in range(REPEATS):  # in turn, so that a change of the machine's speed meets both
        with tempfile.TemporaryDirectory() as folder:
            loop.append(with_loop(base_url, made, Path(folder)))
        engine.append(with_engine(base_url, made))
    server.terminate()
    rate = statistics.median(each[1] for each in loop)
    alone = statistics.median(each[1] for each in engine)
    beside = [mine[0] - its[0] for mine, its in zip(loop, engine, strict=True)]
    report = {
        "what": f"medians of {REPEATS} rounds: {SEEDS} seeds, {8 * SEEDS} calls, {IN_FLIGHT} in "
        f"flight, a server on loopback that answers after {LATENCY_SECONDS} s; its own CPU time "
        "is not counted",
        "cpu_ms_per_call": round(statistics.median(each[0] for each in loop), 3),
        "cpu_ms_per_call_of_the_engine_alone": round(
            statistics.median(each[0] for each in engine), 3
        ),
        "cpu_ms_per_call_beside_the_engine": round(statistics.median(beside), 3),
        "calls_per_second": round(rate, 1),
        "share_of_ideal_rate": round(rate * LATENCY_SECONDS / IN_FLIGHT, 3),
        "share_of_ideal_rate_engine_alone": round(alone * LATENCY_SECONDS / IN_FLIGHT, 3),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
