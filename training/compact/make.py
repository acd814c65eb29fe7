"""Weights that travel with the package: the mean of an encoder before and after tuning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from videojudge_bench._util.hashing import Json, file_hash
from videojudge_bench.judges.compact_encoder import write_weights
from videojudge_bench.training.compact.captions import BatchSizes, held_out, ladders, read_coco
from videojudge_bench.training.compact.tune import Progress, TuneOptions, tune
from videojudge_bench.training.compact.weights import balanced, between, start_weights

SHARE = 0.5  # weight of the tuned encoder in the result; the rest is the untuned encoder


def make_weights(
    captions: Path, folder: Path, model: str, steps: int, on_step: Callable[[Progress], None]
) -> Path:
    """Tune an encoder on captions in COCO's format, and return the file of its weights.

    At most 100 steps; the same call resumes.
    """
    groups = read_coco(captions)
    start = start_weights(model, [text for group in groups for text in group])
    graded = ladders(groups)
    options = TuneOptions(steps=steps, sizes=BatchSizes(pairs=48, ladders=8))
    tuned = tune(start, groups, graded, folder, options, keep_some=True, on_step=on_step)
    about: dict[str, Json] = {
        "model": model,
        "captions": f"sha256:{file_hash(captions)[:12]}",
        "steps": steps,
        "share": SHARE,
        "licence": "Apache-2.0",
    }
    mixed = replace(start, network=between(start.network, tuned, SHARE), about=about)
    kept = [ladder for ladder in graded if held_out(ladder.group)]
    path = folder / "compact.safetensors"
    write_weights(balanced(mixed, kept), path)
    return path
