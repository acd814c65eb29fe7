"""GRPO with TRL 1.16, a judge as the reward, and frames of the videos as images.

On a laptop, with a judge that needs no GPU and a small policy:

    python examples/grpo_trl.py prompts.jsonl --videos videos --model DIR --judge compact \
      --low 0 --high 1 --output out --cpu --max-steps 2

On 8 GPUs, one for the judge and seven for the policy:

    CUDA_VISIBLE_DEVICES=7 videojudge serve videojudge,pretrained=JUDGE --videos videos \
      --journal out/served &
    CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6 accelerate launch --num_processes 7 \
      --config_file training/accelerate/zero3.yaml examples/grpo_trl.py prompts.jsonl \
      --videos videos --model Qwen/Qwen2.5-VL-7B-Instruct --output out \
      --judge remote,url=http://127.0.0.1:8080

`--dry-run` prints rows, rollouts, judge calls, vision tokens and the judge's GPU time instead.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
from prompts import Prompt, add_plan_options, print_plan, read_prompts, with_videos

from videojudge_bench._util.terminal import warn
from videojudge_bench.errors import VideoJudgeError
from videojudge_bench.serving.rewards import reward_function
from videojudge_bench.video import FramePolicy, load_frames

if TYPE_CHECKING:
    from trl import GRPOTrainer


def main(words: Sequence[str]) -> int:
    """Train, or print the plan; return the exit status."""
    options = parser().parse_args(words)
    try:
        prompts = read_prompts(options.prompts)
        if options.dry_run:
            print_plan(len(prompts), options)
            return 0
        trainer = trainer_of(options)
    except VideoJudgeError as error:
        warn(str(error), program="grpo_trl")
        return 2
    trainer.train()
    trainer.save_model()
    return 0


def trainer_of(options: argparse.Namespace) -> GRPOTrainer:
    """Return the trainer, ready to train."""
    import datasets
    from transformers import AutoProcessor
    from trl import GRPOConfig, GRPOTrainer

    processor = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
        options.model
    )
    reward = reward_function(
        options.judge,
        end_tokens=[processor.tokenizer.eos_token_id],
        truncated=options.truncated,
        **{name: getattr(options, name) for name in ("low", "high", "against", "calibration")},
    )
    prompts = with_videos(read_prompts(options.prompts), options.videos)
    arguments = GRPOConfig(
        str(options.output),
        num_generations=options.generations,
        # A whole group on each GPU, so that the judge gets it in one request.
        per_device_train_batch_size=options.generations,
        max_completion_length=options.max_tokens,
        num_train_epochs=options.epochs,
        max_steps=options.max_steps,
        logging_steps=1,
        report_to=[],
        use_cpu=options.cpu,
        bf16=not options.cpu,
        model_init_kwargs={"dtype": "float32" if options.cpu else "bfloat16"},
    )
    rows = datasets.Dataset.from_generator(
        _rows,
        features=_features(),
        gen_kwargs={"prompts": prompts, "frames": options.frames, "pixels": options.frame_pixels},
    )
    return GRPOTrainer(
        options.model,
        reward_funcs=[reward],
        args=arguments,
        train_dataset=rows,
        processing_class=processor,
    )


def _rows(
    prompts: Sequence[tuple[Prompt, Path]], frames: int, pixels: int
) -> Iterator[dict[str, object]]:
    """Yield rows of TRL; the columns that the judge needs have the names of our fields."""
    from PIL import Image

    policy = FramePolicy(
        max_frames=frames, fps=None, max_pixels=pixels, min_pixels=min(pixels, 128 * 28 * 28)
    )
    for prompt, path in prompts:
        yield {
            "prompt": [{"role": "user", "content": prompt.instruction}],
            "images": [Image.fromarray(frame) for frame in load_frames(path, policy).frames],
            "video_id": prompt.video_id,
            "video": prompt.video,
            "references": list(prompt.references),
        }


def _features() -> object:
    from datasets import Features, Image, List, Value

    text = Value("string")
    message = {"role": text, "content": text}
    names = {"video_id": text, "video": text, "references": List(text)}
    return Features({"prompt": List(message), "images": List(Image()), **names})


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--videos", type=Path, default=Path("videos"))
    parser.add_argument("--model", default="Qwen/Qwen2.5-VL-7B-Instruct", help="the policy")
    parser.add_argument("--judge", default="remote,url=http://127.0.0.1:8080")
    parser.add_argument("--low", type=float, help="the score that becomes 0")
    parser.add_argument("--high", type=float, help="the score that becomes 1")
    parser.add_argument("--truncated", type=float, default=0, help="reward of what was cut off")
    parser.add_argument("--calibration", help="map of videojudge calibrate")
    parser.add_argument("--output", type=Path, default=Path("out/grpo"))
    parser.add_argument("--max-tokens", type=int, default=256, help="of an answer")
    parser.add_argument("--max-steps", type=int, default=-1)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    add_plan_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
