"""Take two steps of TRL's GRPOTrainer with a tiny Qwen2.5-VL, frames as images and our rewards.

Then two of examples/grpo_trl.py on real videos, where every answer is cut off.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import datasets
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import GRPOConfig, GRPOTrainer

from videojudge_bench.judges.tiny_qwen import build
from videojudge_bench.serving.rewards import reward_function

ROOT = Path(__file__).parents[2]
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
    example(folder, tiny)
    print("ok")  # noqa: T201


def example(folder: Path, model: Path) -> None:
    """Train as examples/grpo_trl.py does; eight tokens end no answer of a random model."""
    sys.path.insert(0, str(ROOT / "examples"))
    from grpo_trl import parser, trainer_of

    prompts = folder / "prompts.jsonl"
    lines = [{"video_id": name, "instruction": "What happens?"} for name in ("mdn_pig", "mdn_elf")]
    prompts.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    videos = ROOT / "tasks" / "sample" / "videos"
    words = f"""--videos {videos} --model {model} --judge longest --low 0 --high 20 --cpu
        --output {folder}/example --max-steps 2 --max-tokens 8 --generations 2 --frames 2
        --frame-pixels 3136"""
    trainer = trainer_of(parser().parse_args([str(prompts), *words.split()]))
    trainer.train()
    steps = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(steps) == 2, trainer.state.log_history
    assert all(entry["judge/truncated"] == 1 and entry["reward"] == 0 for entry in steps), steps


main(Path(sys.argv[1]))
