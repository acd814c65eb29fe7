"""Take two steps of TRL's GRPOTrainer with a tiny Qwen2.5-VL, frames as images and our rewards."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import datasets
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import GRPOConfig, GRPOTrainer

from videojudge_bench.judges.tiny_qwen import build
from videojudge_bench.serving.rewards import reward_function

ASKED = ("What happens?", "Who digs?")


def main(folder: Path) -> None:
    """Print `ok` when both steps had the rewards of the judge."""
    tiny = build(folder / "tiny")
    model = AutoModelForImageTextToText.from_pretrained(tiny, dtype="float32")
    processor = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
        tiny, max_pixels=4 * 28 * 28
    )
    frames = [Image.new("RGB", (56, 56), colour) for colour in ("red", "blue")]
    rows = [
        {
            "prompt": [{"role": "user", "content": asked}],
            "images": frames,
            "references": ["A dog digs."],
            "video_id": "garden",
        }
        for asked in ASKED
    ]
    reward = reward_function("longest", low=0, high=20)
    arguments = GRPOConfig(
        str(folder / "run"), use_cpu=True, bf16=False, max_steps=2, num_generations=2,
        per_device_train_batch_size=2, max_completion_length=8, logging_steps=1, report_to=[],
        save_strategy="no",
    )  # fmt: skip
    trainer = GRPOTrainer(
        model, reward_funcs=[reward], args=arguments,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=processor,
    )  # fmt: skip
    trainer.train()
    steps = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(steps) == 2, trainer.state.log_history
    for entry in steps:
        mean = entry["rewards/judge_longest/mean"]
        assert math.isclose(mean, min(entry["judge/score"] / 20, 1), abs_tol=1e-6), entry
        assert entry["judge/unparsed"] == 0, entry
    print("ok")  # noqa: T201


main(Path(sys.argv[1]))
