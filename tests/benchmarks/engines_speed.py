"""Prints what five answers about one video cost on three routes, side by side in one run.

    VIDEOJUDGE_VLLM=FOLDER python tests/benchmarks engines_speed

The routes: our engine in process, a real vLLM with prefix caching behind our engine for servers,
and lmms-eval's own `qwen2_5_vl`, which asks five times. All have the same random Qwen2.5-VL in
float32, one thread, frames of 504 x 280 of a clip of that size, and write as many tokens; where a
route can read `expected` scores, it is measured on these too. From the file to the replies: CPU
seconds of all processes together, the server's included, and wall seconds. Loading, starting and
the first replies, to another clip, are left out. Routes take turns, on clips that no cache knows.
CPU seconds are what to compare: wall seconds depend on what else a machine does.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "engines"))
from real_servers import Served, vllm

from videojudge_bench.engine import (
    Continuation,
    Engine,
    EngineError,
    Prefix,
    PromptGroup,
    Sampling,
    complete_all,
)
from videojudge_bench.judges.tiny_qwen import TinySize, build

SIZE = TinySize(
    layers=4,
    hidden=512,
    heads=8,
    kv_heads=4,
    feed_forward=1536,
    vision_layers=2,
    vision_hidden=256,
    vision_heads=4,
    vision_feed_forward=768,
    weight_std=0.044,
)
THREADS, RESPONSES, NEW_TOKENS, REPEATS = 1, 5, 16, 1
HEIGHT, WIDTH = 280, 504  # 180 tokens for two frames
FRAMES = {"4k": 46, "8k": 92}
ROUTES = (
    "in process, expected",
    "in process, text",
    "vLLM, expected",
    "vLLM, text",
    "lmms-eval, text",
)
CHOICES = ("1", "2", "3", "4", "5")
SYSTEM, QUESTION = "You are a helpful assistant.", "Rate the answer about the video from 1 to 5. "
ANSWERS = [" ".join(f"A dog runs {n}." for _ in range(20 + 2 * n)) for n in range(RESPONSES)]
FPS = 4


@dataclass(frozen=True)
class Cost:
    """What one route cost once, and what it read and wrote."""

    cpu_seconds: float
    wall_seconds: float
    prompt_tokens: int
    new_tokens: int


def make_clip(path: Path, frames: int, seed: int) -> None:
    """Write a clip of moving blocks, so many seconds that every frame at 1 fps is another."""
    import av
    import numpy as np

    draw = np.random.default_rng(seed)
    texture = draw.integers(0, 256, (HEIGHT // 28 + 20, WIDTH // 28 + 20, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames * FPS):
            at = number // FPS % 20
            blocks = texture[at : at + HEIGHT // 28, at : at + WIDTH // 28]
            pixels = blocks.repeat(28, axis=0).repeat(28, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def group_of(path: Path, *, expected: bool) -> PromptGroup:
    """Return five answers about a clip."""
    return PromptGroup(
        Prefix(SYSTEM, QUESTION, path),
        tuple(Continuation(str(n), text) for n, text in enumerate(ANSWERS)),
        reply_start="<score>" if expected else "",
        choices=CHOICES if expected else (),
        sampling=Sampling(max_tokens=NEW_TOKENS),
    )


def policy(frames: int) -> dict[str, Any]:
    """Return the options that give every engine the same frames."""
    return {"max_frames": frames, "fps": None, "min_pixels": 3136, "max_pixels": HEIGHT * WIDTH}


def in_process(folder: str, frames: int) -> Engine:
    """Return our engine for models in this process."""
    from videojudge_bench.judges.engines.transformers_engine import TransformersEngine

    return TransformersEngine(pretrained=folder, device="cpu", dtype="float32", **policy(frames))


def behind_vllm(folder: str, frames: int) -> Engine:
    """Return our engine for the server that the variables name."""
    from videojudge_bench.judges.engines.openai_engine import OpenAIEngine

    base_url, model = os.environ["BASE_URL"], os.environ["MODEL"]
    return OpenAIEngine(pretrained=folder, base_url=base_url, model=model, **policy(frames))


def with_engine(engine: Engine, clips: tuple[Path, Path], *, expected: bool) -> Cost:
    """Return what our engine costs on the second clip, after the first."""
    asyncio.run(complete_all(engine, group_of(clips[0], expected=expected)))
    with _Clock() as clock:
        replies = asyncio.run(complete_all(engine, group_of(clips[1], expected=expected)))
    failed = [reply.reason for reply in replies if isinstance(reply, EngineError)]
    if failed:
        raise SystemExit(failed[0])
    used = [reply.usage for reply in replies if not isinstance(reply, EngineError)]
    engine.close()
    new = sum(usage.output_tokens for usage in used)
    return Cost(clock.cpu, clock.wall, max(usage.input_tokens for usage in used), new)


def with_lmms_eval(folder: str, frames: int, clips: tuple[Path, Path]) -> Cost:
    """Return what lmms-eval's own model costs on the second clip, after the first."""
    from lmms_eval.models.chat.qwen2_5_vl import Qwen2_5_VL

    options = {k: v for k, v in policy(frames).items() if k.endswith("pixels")}
    stock: Any = Qwen2_5_VL(
        pretrained=folder,
        device="cpu",
        device_map="cpu",
        max_num_frames=frames,
        attn_implementation="sdpa",
        **options,
    )
    stock.model.float()  # it loads in bfloat16, which is slow on this kind of processor
    stock.model.generation_config.min_new_tokens = NEW_TOKENS
    made: list[tuple[int, int]] = []
    generate = stock.model.generate

    def generating(**inputs: Any) -> Any:
        found = generate(**inputs)
        made.append((inputs["input_ids"].shape[1], found.shape[1] - inputs["input_ids"].shape[1]))
        return found

    stock.model.generate = generating
    _stock_replies(stock, clips[0], 1)
    made.clear()
    with _Clock() as clock:
        _stock_replies(stock, clips[1], RESPONSES)
    return Cost(clock.cpu, clock.wall, max(n for n, _ in made), sum(new for _, new in made))


def _stock_replies(stock: Any, path: Path, count: int) -> None:
    from lmms_eval.api.instance import Instance

    def messages(number: int) -> Callable[[object], list[dict[str, Any]]]:
        video = {"type": "video", "url": str(path)}
        text = {"type": "text", "text": QUESTION + ANSWERS[number]}
        return lambda _doc: [
            {"role": "system", "content": [{"type": "text", "text": SYSTEM}]},
            {"role": "user", "content": [video, text]},
        ]

    stock.task_dict = {"t": {"test": [{}] * count}}
    options = {"max_new_tokens": NEW_TOKENS, "until": []}
    arguments = [("", messages(n), options, n, "t", "test") for n in range(count)]
    facts = [{"task": "t", "doc_id": n, "repeats": 1} for n in range(count)]
    both = enumerate(zip(arguments, facts, strict=True))
    stock.generate_until([Instance("generate_until", a, n, f) for n, (a, f) in both])


class _Clock:
    """CPU seconds of this process, its children and the server, and wall seconds."""

    cpu = wall = 0.0

    def __enter__(self) -> _Clock:
        self._cpu, self._wall = _cpu_seconds(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu, self.wall = _cpu_seconds() - self._cpu, time.perf_counter() - self._wall


def _cpu_seconds() -> float:
    roots = [psutil.Process(), *map(psutil.Process, map(int, os.environ.get("SERVER", "").split()))]
    running = {p.pid: p for root in roots for p in (root, *root.children(recursive=True))}
    times = [p.cpu_times() for p in running.values()]
    return float(sum(t.user + t.system for t in times))


def once(route: str, folder: str, frames: int, clips: tuple[Path, Path]) -> Cost:
    """Return what a route costs, in this process."""
    torch.set_num_threads(THREADS)
    where, _, what = route.partition(", ")
    if where == "lmms-eval":
        return with_lmms_eval(folder, frames, clips)
    made = in_process if where == "in process" else behind_vllm
    return with_engine(made(folder, frames), clips, expected=what == "expected")


def _in_a_process(route: str, folder: Path, frames: int, seed: int, served: Served) -> Cost:
    with tempfile.TemporaryDirectory() as scratch:
        clips = [Path(scratch) / f"{n}.mp4" for n in (seed, seed + 1)]
        for number, path in enumerate(clips):
            make_clip(path, frames, seed + number)
        here = {
            "VIDEOJUDGE_FRAMES": f"{scratch}/frames",
            "FORCE_QWENVL_VIDEO_READER": "decord",
            "OMP_NUM_THREADS": str(THREADS),
            "BASE_URL": served.base_url,
            "MODEL": served.model,
            "SERVER": str(served.process_id) if route.startswith("vLLM") else "",
        }
        words = [route, str(folder), str(frames), *map(str, clips)]
        done = subprocess.run(
            [sys.executable, __file__, *words],
            check=False, capture_output=True, text=True, env={**os.environ, **here},
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{route}: {done.stderr[-2000:]}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _case(name: str, folder: Path, served: Served) -> dict[str, object]:
    runs: dict[str, list[Cost]] = {route: [] for route in ROUTES}
    seeds = iter(range(1000 * FRAMES[name], 1_000_000, 2))
    for _ in range(REPEATS):
        for route, found in runs.items():
            cost = _in_a_process(route, folder, FRAMES[name], next(seeds), served)
            sys.stderr.write(f"{name}, {route}: {cost}\n")
            found.append(cost)
    texts = {(c.prompt_tokens, c.new_tokens) for r in runs for c in runs[r] if r.endswith("text")}
    if len(texts) > 1:
        raise SystemExit(f"{name}: routes read and wrote other numbers of tokens: {runs}")
    return {
        "frames": FRAMES[name],
        "vision_tokens": FRAMES[name] // 2 * (HEIGHT // 28) * (WIDTH // 28),
        "prompt_tokens": runs[ROUTES[1]][0].prompt_tokens,
        "cpu_seconds": _medians(runs, "cpu_seconds"),
        "wall_seconds": _medians(runs, "wall_seconds"),
        "all_cpu_seconds": {r: [round(c.cpu_seconds, 1) for c in runs[r]] for r in runs},
    }


def _medians(runs: Mapping[str, list[Cost]], what: str) -> dict[str, float]:
    return {
        route: round(statistics.median(getattr(cost, what) for cost in found), 1)
        for route, found in runs.items()
    }


def main() -> None:
    """Measure, and print one JSON object."""
    environment = os.environ.get("VIDEOJUDGE_VLLM")
    if not environment:
        raise SystemExit("VIDEOJUDGE_VLLM must name an environment of tests/engines/setup_vllm.sh")
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = build(Path(scratch) / "model", size=SIZE)
        with vllm(Path(environment), folder, Path(scratch) / "log") as served:
            cases = {name: _case(name, folder, served) for name in FRAMES}
            program = served.program
    report = {
        "what": f"{RESPONSES} answers about one video, {NEW_TOKENS} new tokens each where texts "
        f"are written; medians of {REPEATS}, threads: {THREADS}, float32",
        "model": "Qwen2.5-VL, random weights, 4 layers of width 512, vision tower of 2 layers",
        "server": program,
        "transformers": version("transformers"),
        "cases": cases,
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        route, folder, frames, first, second = sys.argv[1:]
        cost = once(route, folder, int(frames), (Path(first), Path(second)))
        sys.stdout.write("\n" + json.dumps(vars(cost)) + "\n")
    else:
        main()
