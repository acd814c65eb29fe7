"""Prints what judging five responses to one video costs, against lmms-eval's own `qwen2_5_vl`.

Both get the same random model in bfloat16 (lmms-eval's own choice), one thread, the same clip, as
many frames of one size, the same questions, and write so many tokens. lmms-eval's model gets them
as five requests, as from a task. CPU seconds of all processes, from the files to the replies, in
turn; each run is a process of its own, and loading the model, importing, and the first replies (to
another clip) are left out. `model` is all but the decoding, the processor's work included. The
model is small, so most of the time goes into decoding; where the model weighs more, `times_faster`
of all comes nearer to that of `model`, which `shared_prefix` measures.

`pixels` compares what the two models see, on frames that both take at the same times: how far our
scaling (swscale, bicubic, while decoding) is from lmms-eval's (torchvision, bicubic with
antialiasing, after decoding), in steps of 0-255, and what that does to first-token logits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from decode import MAX_PIXELS, clip, cpu_seconds, make_clips

from videojudge_bench import tasks
from videojudge_bench.engine import (
    Continuation,
    EngineError,
    Prefix,
    PromptGroup,
    Sampling,
    complete_all,
)
from videojudge_bench.judges.engines._plain_model import PlainPrompts
from videojudge_bench.judges.engines._prompt_inputs import PromptReader
from videojudge_bench.judges.engines.transformers_engine import TransformersEngine
from videojudge_bench.judges.tiny_qwen import TinySize, build
from videojudge_bench.video import FrameBatch

if TYPE_CHECKING:
    from torch import Tensor

SIZE = TinySize(
    layers=2,
    hidden=128,
    heads=4,
    kv_heads=2,
    feed_forward=256,
    vision_layers=2,
    vision_hidden=64,
    vision_heads=2,
    vision_feed_forward=128,
    weight_std=0.0625,
)
RESPONSES, NEW_TOKENS, REPEATS, MIN_PIXELS = 5, 8, 2, 3136
CASES = {"3min": 60, "10min": 60}  # clips of the benchmark `decode`, and how many frames of them
# So many that both take the same ones, which is checked.
SAME_FRAMES = {"mdn_pig.webm": 14, "mdn_elf.webm": 6, "bigbuckbunny.mp4": 2}
VIDEOS = Path(tasks.__file__).parent / "sample" / "videos"
SYSTEM, QUESTION = "You are a helpful assistant.", "Rate the answer about the video from 1 to 5. "
ANSWERS = [" ".join(f"A dog runs {n}." for _ in range(20 + 2 * n)) for n in range(RESPONSES)]


class _Stopwatch:
    """CPU seconds by part."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        before = cpu_seconds()
        yield
        self.parts[name] = self.parts.get(name, 0.0) + cpu_seconds() - before

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            with self.part(name):
                return work(*args, **options)

        return run


class _Timed(TransformersEngine):
    """Our engine, the decoding of which is timed."""

    watch = _Stopwatch()

    def load_frames(self, path: Path) -> FrameBatch:
        with self.watch.part("decode"):
            return super().load_frames(path)


def _engine(folder: str, frames: int) -> _Timed:
    return _Timed(
        pretrained=folder,
        device="cpu",
        dtype="bfloat16",
        max_frames=frames,
        fps=None,
        min_pixels=MIN_PIXELS,
        max_pixels=MAX_PIXELS,
    )


def _group(path: Path) -> PromptGroup:
    return PromptGroup(
        Prefix(SYSTEM, QUESTION, path),
        tuple(Continuation(str(n), text) for n, text in enumerate(ANSWERS)),
        sampling=Sampling(max_tokens=NEW_TOKENS),
    )


def _ours(folder: str, path: Path, frames: int) -> dict[str, float]:
    engine = _engine(folder, frames)
    asyncio.run(complete_all(engine, _group(clip("30s"))))
    engine.watch.parts = {}
    with engine.watch.part("all"):
        replies = asyncio.run(complete_all(engine, _group(path)))
    failed = [reply.reason for reply in replies if isinstance(reply, EngineError)]
    if failed:
        raise SystemExit(failed[0])
    made = [reply for reply in replies if not isinstance(reply, EngineError)]
    tokens = [reply.usage.input_tokens for reply in made]
    new = sum(reply.usage.output_tokens for reply in made)
    engine.close()
    parts = engine.watch.parts
    rest = parts["all"] - parts["decode"]
    return {**parts, "model": rest, "tokens": max(tokens), "new": new}


def _stock_model(folder: str, frames: int) -> Any:
    from lmms_eval.models.chat.qwen2_5_vl import Qwen2_5_VL

    stock: Any = Qwen2_5_VL(
        pretrained=folder,
        device="cpu",
        device_map="cpu",
        max_num_frames=frames,
        min_pixels=MIN_PIXELS,
        max_pixels=MAX_PIXELS,
        attn_implementation="sdpa",
    )
    stock.model.generation_config.min_new_tokens = NEW_TOKENS
    return stock


def _stock_replies(stock: Any, path: Path) -> None:
    from lmms_eval.api.instance import Instance

    def messages(number: int) -> Callable[[object], list[dict[str, Any]]]:
        video = {"type": "video", "url": str(path)}
        text = {"type": "text", "text": QUESTION + ANSWERS[number]}
        return lambda _doc: [
            {"role": "system", "content": [{"type": "text", "text": SYSTEM}]},
            {"role": "user", "content": [video, text]},
        ]

    stock.task_dict = {"t": {"test": [{}] * RESPONSES}}
    options = {"max_new_tokens": NEW_TOKENS, "until": []}
    requests = [
        Instance(
            "generate_until",
            ("", messages(n), options, n, "t", "test"),
            0,
            {"task": "t", "doc_id": n, "repeats": 1},
        )
        for n in range(RESPONSES)
    ]
    stock.generate_until(requests)


def _stock(folder: str, path: Path, frames: int) -> dict[str, float]:
    from lmms_eval.models.chat import qwen2_5_vl

    stock, watch = _stock_model(folder, frames), _Stopwatch()
    _stock_replies(stock, clip("30s"))
    given: list[dict[str, Any]] = []
    made: list[Tensor] = []
    generate = stock.model.generate

    def generating(**inputs: Any) -> Any:
        given.append(inputs)
        made.append(generate(**inputs))
        return made[-1]

    stock.model.generate = generating
    qwen2_5_vl.process_vision_info = watch.timed("decode", qwen2_5_vl.process_vision_info)
    with watch.part("all"):
        _stock_replies(stock, path)
    lengths = [inputs["input_ids"].shape[1] for inputs in given]
    new = sum(row.shape[1] - n for row, n in zip(made, lengths, strict=True))
    rest = watch.parts["all"] - watch.parts["decode"]
    return {**watch.parts, "model": rest, "tokens": max(lengths), "new": new}


def _pixels(folder: str, path: Path, frames: int) -> dict[str, float]:
    """Return how what the two models see differs, and the logits of our engine's model alone."""
    stock, given = _stock_model(folder, frames), dict[str, Any]()

    def stop(**inputs: Any) -> Any:
        given.update(inputs)
        raise _EnoughError

    stock.model.generate = stop
    with contextlib.suppress(_EnoughError):
        _stock_replies(stock, path)
    engine = _engine(folder, frames)
    reader = PromptReader(engine.source, fps=None)
    batch = engine.load_frames(path)
    last = round(batch.source_fps * batch.duration_seconds) - 1
    for number, seconds in enumerate(batch.times_seconds):
        if abs(seconds - number * last / (frames - 1) / batch.source_fps) > 0.5 / batch.source_fps:
            raise SystemExit(f"{path.name}: frame {number + 1} of {frames} is not the same in both")
    inputs = reader.read(_group(path), batch)
    engine.close()
    ours, theirs = inputs.media["pixel_values_videos"], given["pixel_values_videos"]
    if ours.shape != theirs.shape:
        raise SystemExit(f"{path.name}: {tuple(ours.shape)} against {tuple(theirs.shape)} pixels")
    std = torch.tensor(engine.source.processor.video_processor.image_std)
    steps = 255 * (ours - theirs).reshape(len(ours), 3, -1).abs() * std[:, None]
    model: Any = engine.source.load()
    model.float()
    with torch.inference_mode():
        one = PlainPrompts(model, inputs).logits(0)
        media = {**inputs.media, "pixel_values_videos": theirs}
        other = PlainPrompts(model, replace(inputs, media=media)).logits(0)
    return {
        "frames": len(batch.times_seconds),
        "steps_of_255_mean": round(float(steps.mean()), 3),
        "steps_of_255_largest": round(float(steps.max()), 1),
        "logits_apart_mean": round(float((one - other).abs().mean()), 5),
        "logits_apart_largest": round(float((one - other).abs().max()), 5),
        "logits_standard_deviation": round(float(one.std()), 4),
    }


class _EnoughError(Exception):
    """The inputs are known."""


def _in_a_process(*arguments: object) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as frames:
        here = {
            "VIDEOJUDGE_FRAMES": frames,
            "FORCE_QWENVL_VIDEO_READER": "decord",
            "DECORD_EOF_RETRY_MAX": "100000",  # on a busy machine it gives up on sound files
        }
        done = subprocess.run(
            [sys.executable, __file__, *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **here},
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _case(folder: Path, name: str) -> dict[str, object]:
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "stock": []}
    for _ in range(REPEATS):
        for who, found in runs.items():
            found.append(_in_a_process(who, folder, clip(name), CASES[name]))
    middle = {
        who: {part: statistics.median(run[part] for run in found) for part in found[0]}
        for who, found in runs.items()
    }
    ours, stock = middle["ours"], middle["stock"]
    if ours["tokens"] != stock["tokens"] or ours["new"] != stock["new"]:
        raise SystemExit(f"{name}: not the same work: {middle}")
    parts = ("all", "decode", "model")
    return {
        "frames": CASES[name],
        "prompt_tokens": int(ours["tokens"]),
        "cpu_seconds": {who: {p: round(middle[who][p], 2) for p in parts} for who in middle},
        "all_runs": {who: [round(run["all"], 2) for run in found] for who, found in runs.items()},
        "times_faster": {p: round(stock[p] / ours[p], 1) for p in parts},
    }


def main() -> None:
    """Print one JSON object."""
    make_clips()
    report: dict[str, object] = {"responses": RESPONSES, "new_tokens": NEW_TOKENS}
    report |= {"clips": "1280 x 720, 30 frames a second, H.264; frames of 504 x 280"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = build(Path(scratch) / "model", size=SIZE)
        report |= {name: _case(folder, name) for name in CASES}
        report["pixels"] = {
            name: _in_a_process("pixels", folder, VIDEOS / name, frames)
            for name, frames in SAME_FRAMES.items()
        }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        torch.set_num_threads(1)
        kind, folder, path, frames = sys.argv[1:]
        made = {"ours": _ours, "stock": _stock, "pixels": _pixels}[kind]
        sys.stdout.write("\n" + json.dumps(made(folder, Path(path), int(frames))) + "\n")
    else:
        main()
