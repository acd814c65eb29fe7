"""Prints what judging five responses to one video costs, with and without a shared prefix.

A random Qwen2.5-VL with 4 layers of width 256, float32, one thread; 180 vision tokens per two
frames of 504 x 280. Each figure is from a process of its own: CPU seconds of the engine's work, and
peak memory over what the loaded model takes. `naive` is the engine with `share_prefix=false`. Up to
8,000 tokens it judges all five; at 16,000 it judges one, and the figure is multiplied by five.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from videojudge_bench.engine import (
    Continuation,
    EngineError,
    Prefix,
    PromptGroup,
    Sampling,
    complete_all,
)
from videojudge_bench.judges.engines.transformers_engine import TransformersEngine
from videojudge_bench.judges.tiny_qwen import TinySize, build
from videojudge_bench.video import FrameBatch

SIZE = TinySize(
    layers=4,
    hidden=256,
    heads=8,
    kv_heads=2,
    feed_forward=1024,
    vision_layers=2,
    vision_hidden=128,
    vision_heads=4,
    vision_feed_forward=512,
    weight_std=0.0625,
)
RESPONSES, NEW_TOKENS, REPEATS = 5, 8, 2
STEPS = {8: 45, 16: 90}
"""Of two frames, by thousands of vision tokens."""


class _Synthetic(TransformersEngine):
    """Sees noise as large as a call says."""

    steps = 1

    def load_frames(self, path: Path) -> FrameBatch:
        frames = 2 * self.steps
        pixels = np.random.default_rng(0).integers(0, 256, (frames, 280, 504, 3), dtype=np.uint8)
        times = tuple(float(t) for t in range(frames))
        return FrameBatch(times, frames, 25.0, float(frames), "none", frames=pixels)


def _group(kind: str, responses: int) -> PromptGroup:
    tails = tuple(
        Continuation(str(n), "The answer: " + " ".join(f"dog {n}" for _ in range(45 + 8 * n)))
        for n in range(responses)
    )
    prefix = Prefix("You judge answers.", "Rate the answer about the video.", Path("noise.mp4"))
    if kind == "expected":
        return PromptGroup(prefix, tails, "<score>", ("1", "2", "3", "4", "5"))
    return PromptGroup(prefix, tails, sampling=Sampling(max_tokens=NEW_TOKENS))


def _measure(folder: str, kind: str, shared: str, steps: str, responses: str) -> None:
    torch.set_num_threads(1)
    engine = _Synthetic(
        pretrained=folder, device="cpu", share_prefix=shared == "shared", keep_frames=False
    )
    asyncio.run(complete_all(engine, _group(kind, 1)))
    engine.steps = int(steps)
    base, started = _peak_kib(), time.process_time()
    replies = asyncio.run(complete_all(engine, _group(kind, int(responses))))
    spent, peak = time.process_time() - started, _peak_kib() - base
    failed = [reply.reason for reply in replies if isinstance(reply, EngineError)]
    if failed:
        raise SystemExit(failed[0])
    engine.close()
    tokens = [reply.usage.input_tokens for reply in replies if not isinstance(reply, EngineError)]
    new = [reply.usage.output_tokens for reply in replies if not isinstance(reply, EngineError)]
    report = {"seconds": spent, "peak_mib": peak / 1024, "prompt": tokens, "new": new}
    sys.stdout.write(json.dumps(report))


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _run(folder: Path, kind: str, shared: bool, thousands: int, responses: int) -> dict[str, float]:
    word = "shared" if shared else "naive"
    arguments = [str(folder), kind, word, str(STEPS[thousands]), str(responses)]
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    factor = RESPONSES / responses
    return {**found, "seconds": found["seconds"] * factor}


def main() -> None:
    """Print one JSON object."""
    report: dict[str, object] = {"responses": RESPONSES, "new_tokens": NEW_TOKENS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = build(Path(scratch) / "model", size=SIZE)
        for kind, thousands, repeats in (
            ("expected", 8, REPEATS),
            ("text", 8, REPEATS),
            ("expected", 16, 1),
        ):
            runs: dict[bool, list[dict[str, float]]] = {True: [], False: []}
            for _ in range(repeats):
                for shared in (True, False):
                    alone = 1 if thousands > 8 and not shared else RESPONSES
                    runs[shared].append(_run(folder, kind, shared, thousands, alone))
            report[f"{kind}_{thousands}k"] = _summary(runs)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


def _summary(runs: dict[bool, list[dict[str, float]]]) -> dict[str, object]:
    seconds = {s: statistics.median(run["seconds"] for run in runs[s]) for s in runs}
    return {
        "prompt_tokens": runs[True][0]["prompt"],
        "new_tokens": runs[True][0]["new"],
        "cpu_seconds_shared": [round(run["seconds"], 1) for run in runs[True]],
        "cpu_seconds_naive": [round(run["seconds"], 1) for run in runs[False]],
        "times_faster": round(seconds[False] / seconds[True], 2),
        "peak_mib_shared": round(max(run["peak_mib"] for run in runs[True])),
        "peak_mib_naive": round(max(run["peak_mib"] for run in runs[False])),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _measure(*sys.argv[1:])
    else:
        main()
