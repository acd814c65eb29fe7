"""The model that the small world is learnt by: a Qwen2.5-VL, tiny and with random weights."""

from __future__ import annotations

from pathlib import Path

from videojudge_bench.judges.tiny_qwen import TinySize, build
from videojudge_bench.training.small_world.language import texts

SIZE = TinySize(
    vocabulary=512,
    layers=4,
    hidden=96,
    heads=4,
    kv_heads=4,
    feed_forward=256,
    vision_layers=2,
    vision_hidden=64,
    vision_heads=4,
    vision_feed_forward=128,
    window_pixels=56,
    rope_theta=1000.0,
    weight_std=0.04,
)
"""0.8 million weights. Every word of the world is one token, and a frame is one window."""


def build_base(folder: Path, seed: int = 0) -> Path:
    """Write the model into a folder and return it; raises as `tiny_qwen.build`."""
    return build(folder, seed=seed, size=SIZE, texts=texts())
