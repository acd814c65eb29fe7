"""Prompts for GRPO: their plan without a GPU, and rows for verl and ms-swift.

A file of prompts has a JSON line for each: `video_id` (or `video`, its file), `instruction`, and
`references` where the judge measures by them.

    python examples/prompts.py plan prompts.jsonl --billions 7 --gpu h100
    python examples/prompts.py verl prompts.jsonl videos train.parquet
    python examples/prompts.py swift prompts.jsonl videos train.jsonl
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from videojudge_bench._util.terminal import say, table, warn
from videojudge_bench.errors import ConfigError, VideoJudgeError
from videojudge_bench.goldsets.jsonl import read_rows
from videojudge_bench.goldsets.schema import BaseRow
from videojudge_bench.serving.videos import VideoFolder
from videojudge_bench.training.sft.estimate import EFFICIENCY, GPUS

PIXELS_PER_TOKEN = 28 * 28
TEXT_TOKENS = 400
"""Of a judge's prompt and reply about one answer, about, without reasoning."""


class Prompt(BaseRow):
    """A question about a video that the policy is to answer."""

    def _judged(self) -> list[str]:
        return []


def read_prompts(path: Path) -> list[Prompt]:
    """Return the prompts of a file; raises `DataError` with the place of what is wrong."""
    return list(read_rows(path, Prompt, unique=("identity",)))


def with_videos(prompts: Sequence[Prompt], folder: Path) -> list[tuple[Prompt, Path]]:
    """Return the prompts whose video is in a folder; the others are counted on stderr.

    Raises:
        ConfigError: there is no such folder, or none of the videos in it.
    """
    videos = VideoFolder(folder)
    there = [(p, path) for p in prompts if (path := videos.find(p.video_id, p.video)) is not None]
    if not there:
        raise ConfigError(f"expected the videos in {folder}, got none of them")
    if len(there) < len(prompts):
        warn(f"{len(prompts) - len(there)} of {len(prompts)} prompts have no video in {folder}")
    return there


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that a plan needs."""
    parser.add_argument("--generations", type=int, default=8, help="answers to each prompt")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--frames", type=int, default=16, help="that the policy sees of a video")
    parser.add_argument("--frame-pixels", type=int, default=360 * 420)
    parser.add_argument("--against", choices=("group", "reference"), help="a pairwise judge")
    parser.add_argument(
        "--billions", type=float, default=7, help="weights of the judge; 0: a CPU's"
    )
    parser.add_argument("--judge-frames", type=int, default=60, help="0: a judge of text")
    parser.add_argument("--judge-pixels", type=int, default=360 * 420)
    parser.add_argument("--gpu", default="h100", choices=GPUS, help="that the judge runs on")


def plan(prompts: int, options: argparse.Namespace) -> Mapping[str, str]:
    """Return rows, rollouts, judge calls, tokens at most, and the judge's GPU time, as text.

    GPU time is 2 operations a weight and token (Kaplan et al., 2020), at the share of the stated
    throughput that training was measured to reach. A judge that reasons at length takes longer.
    """
    gpu = GPUS[options.gpu]
    n, rounds = options.generations, prompts * options.epochs
    per_rollout = {None: 1, "reference": 2, "group": n - 1}[options.against]
    calls = rounds * n * per_rollout
    # Images have a token for each square of 28 pixels, two frames of a video share theirs.
    policy = options.frames * options.frame_pixels // PIXELS_PER_TOKEN
    video = options.judge_frames * options.judge_pixels // PIXELS_PER_TOKEN // 2
    apart, shared = (calls * TEXT_TOKENS + times * video for times in (calls, rounds))
    hours = [
        2 * options.billions * 1e9 * tokens / (gpu.bf16_tflops * 1e12 * EFFICIENCY) / 3600
        for tokens in (shared, apart)
    ]
    return {
        "rows": f"{prompts:,}",
        "rollouts": f"{rounds * n:,}: {n} answers to each, {options.epochs} epochs",
        "judge calls": f"{calls:,}",
        "vision tokens of a rollout, as images": f"{policy:,}",
        "vision tokens of a group for the judge": f"{video:,}",
        "judge tokens, a group sharing its prefix": f"{shared:,}",
        f"judge hours of one {options.gpu}, about": f"{hours[0]:.3g}; {hours[1]:.3g} without",
    }


def print_plan(prompts: int, options: argparse.Namespace) -> None:
    """Print a plan."""
    table(("", ""), [*plan(prompts, options).items()])


def verl_rows(prompts: Sequence[tuple[Prompt, Path]], frames: int) -> Iterator[dict[str, object]]:
    """Yield rows of verl's data set; what the reward function needs is in `extra_info`."""
    for number, (prompt, path) in enumerate(prompts):
        video = {"video": path.absolute().as_uri(), "nframes": frames}
        yield {
            "data_source": "videojudge",
            "prompt": [{"role": "user", "content": f"<video>{prompt.instruction}"}],
            "videos": [video],
            "reward_model": {"style": "model", "ground_truth": json.dumps(prompt.references)},
            "extra_info": {
                "index": number,
                "question": prompt.instruction,
                "video_id": prompt.video_id,
                "video": prompt.video,
                "references": list(prompt.references),
            },
        }


def swift_rows(prompts: Sequence[tuple[Prompt, Path]]) -> Iterator[dict[str, object]]:
    """Yield rows of ms-swift's data set; columns reach the reward function."""
    for prompt, path in prompts:
        yield {
            "messages": [{"role": "user", "content": f"<video>{prompt.instruction}"}],
            "videos": [str(path.absolute())],
            "references": list(prompt.references),
        }


def main(words: Sequence[str]) -> int:
    """Run one of the three commands; return its exit status."""
    parser = argparse.ArgumentParser(description="Plan GRPO, or write rows for it.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("plan", "verl", "swift"):
        own = verbs.add_parser(verb)
        own.add_argument("prompts", type=Path)
        if verb == "plan":
            add_plan_options(own)
            continue
        own.add_argument("videos", type=Path)
        own.add_argument("output", type=Path)
        own.add_argument("--frames", type=int, default=16)
    options = parser.parse_args(words)
    try:
        prompts = read_prompts(options.prompts)
        if options.verb == "plan":
            print_plan(len(prompts), options)
            return 0
        _write(with_videos(prompts, options.videos), options)
    except VideoJudgeError as error:
        warn(str(error), program="prompts")
        return 2
    return 0


def _write(prompts: Sequence[tuple[Prompt, Path]], options: argparse.Namespace) -> None:
    if options.verb == "verl":
        import datasets

        rows = list(verl_rows(prompts, options.frames))
        datasets.Dataset.from_list(rows).to_parquet(options.output)
    else:
        lines = (f"{json.dumps(row)}\n" for row in swift_rows(prompts))
        options.output.write_text("".join(lines), "utf-8")
    say([f"wrote {options.output}: {len(prompts)} rows"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
