"""Prints what five responses to one instruction cost in training, as a tree and as rows apart.

A random Qwen2.5-VL with 4 layers of width 256 and a vision tower of 2 layers, float32, one thread;
60 frames of 504 x 280 (the paper's number, at our pixel budget: 5,400 video tokens), our own prompt
and format of replies. A figure of CPU time is of the forward and backward pass of all five
responses, and only compared within one run of this script, which takes some minutes.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videojudge_bench import goldsets
from videojudge_bench.items import Item
from videojudge_bench.judges.tiny_qwen import TinySize, build
from videojudge_bench.prompts import PROMPTS_FOLDER, PromptOptions, load_prompt
from videojudge_bench.replies.reply_format import format_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.dataset import collate
from videojudge_bench.training.sft.encode import Encoded, RowEncoder
from videojudge_bench.training.sft.loss import score_batch
from videojudge_bench.training.sft.model import load_model
from videojudge_bench.training.sft.options import FrameOptions, ModelOptions
from videojudge_bench.training.sft.packing import pack
from videojudge_bench.training.training_row import TrainingRow
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
FRAMES, REPEATS = 60, 1
THINKING = "The answer names what is seen, and leaves out how it ends; nothing in it is made up."


def _rows() -> list[TrainingRow]:
    """The five responses to one instruction of the packaged sample, as rows of a bootstrap."""
    items = [e.item for e in goldsets.load("llava").examples if isinstance(e.item, Item)]
    first = items[0]
    template = load_prompt(PROMPTS_FOLDER / "rate.jinja")
    rows = []
    for rating, item in enumerate(
        [i for i in items if (i.video_id, i.instruction) == (first.video_id, first.instruction)], 1
    ):
        seen = replace(item, video=Path("noise.mp4"), references=(), description=None)
        shown = template.render(seen, RatingScale(), PromptOptions(feedback=True))
        rows.append(
            TrainingRow(
                id=item.id,
                kind="pointwise",
                video_id=item.video_id,
                instruction=item.instruction,
                system=shown.system,
                user=shown.shared + shown.response,
                reply=format_rating(rating, thinking=THINKING),
                verdict=str(rating),
            )
        )
    return rows


def _frames() -> FrameBatch:
    pixels = np.random.default_rng(0).integers(0, 256, (FRAMES, 280, 504, 3), dtype=np.uint8)
    times = tuple(float(second) for second in range(FRAMES))
    return FrameBatch(times, FRAMES, 25.0, float(FRAMES), "none", frames=pixels)


def _batch(rows: list[Encoded], base: BaseModel, frames: FrameBatch) -> dict[str, Any]:
    seen = base.reader.video_part(rows[0].begins, frames)
    row = pack(rows, seen, scheme=base.scheme, tokens_per_second=base.tokens_per_second)
    features = {
        "input_ids": row.tokens,
        "position_ids": row.positions,
        "until": row.until,
        "labels": row.labels,
        "weights": row.weights,
        **{k: v for k, v in seen.media.items() if k != "second_per_grid_ts"},
    }
    if seen.media_types:
        types = torch.zeros_like(row.tokens)
        types[: len(seen.media_types)] = torch.tensor(seen.media_types)
        features["mm_token_type_ids"] = types
    return collate([features])


def _spent(model: Any, batches: list[dict[str, Any]], *, tree: bool) -> tuple[float, float]:
    """CPU seconds of forward and backward passes, and the loss."""
    model.zero_grad()
    started, total = time.process_time(), 0.0
    for batch in batches:
        loss: Any = score_batch(model, batch, tree=tree).loss
        loss.backward()
        total += loss.item()
    return time.process_time() - started, total


def main() -> None:
    """Print one JSON object."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = build(Path(scratch) / "model", size=SIZE)
        options = ModelOptions(pretrained=str(folder), gradient_checkpointing=False)
        base = BaseModel(options, FrameOptions(max_frames=FRAMES))
        model: Any = load_model(base)
        model.train()
        rows, frames = [RowEncoder(base.reader).encode(row) for row in _rows()], _frames()
        tree = [_batch(rows, base, frames)]
        apart = [_batch([row], base, frames) for row in rows]
        runs = [(_spent(model, tree, tree=True), _spent(model, apart, tree=False))
                for _ in range(REPEATS)]  # fmt: skip
    lengths = {"tree": [b["input_ids"].shape[1] for b in tree]}
    lengths["none"] = [b["input_ids"].shape[1] for b in apart]
    one = min(t[0] for t, _ in runs) / len(rows)
    other = min(n[0] for _, n in runs) / len(rows)
    losses = runs[0][0][1], runs[0][1][1]
    report = {
        "responses": len(rows),
        "frames": FRAMES,
        "tokens_tree": lengths["tree"],
        "tokens_none": lengths["none"],
        "times_fewer_tokens": round(sum(lengths["none"]) / sum(lengths["tree"]), 2),
        "cpu_seconds_a_response_tree": round(one, 2),
        "cpu_seconds_a_response_none": round(other, 2),
        "times_less_cpu": round(other / one, 2),
        "times_less_cpu_of_each_run": [round(n[0] / t[0], 2) for t, n in runs],
        "loss_none": round(losses[1], 5),
        "relative_loss_difference": float(f"{abs(losses[0] - losses[1]) / losses[1]:.2g}"),
        "loss_difference_a_token": float(
            f"{abs(losses[0] - losses[1]) / sum(len(row.reply) for row in rows):.2g}"
        ),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
