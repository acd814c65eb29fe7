"""Tiny judges for real servers: Qwen2.5-VL and Qwen3-VL, trained until they state verdicts."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from videojudge_bench import goldsets, tasks
from videojudge_bench.items import Item, RatingGold
from videojudge_bench.judges.tiny_qwen import Family
from videojudge_bench.prompts import PROMPTS_FOLDER, load_prompt
from videojudge_bench.replies.reply_format import format_rating

VIDEOS = Path(tasks.__path__[0]) / "sample" / "videos"
FRAMES, PIXELS = 8, 28 * 32 * 28  # so many, and 28 tokens of a Qwen2.5-VL a frame

# vLLM's attention on CPUs takes heads of 32, 64, … dimensions.
_SIZES = {
    "hidden": 256,
    "heads": 4,
    "kv-heads": 2,
    "feed-forward": 256,
    "vision-hidden": 128,
    "vision-heads": 2,
    "vision-feed-forward": 128,
    "weight-std": 0.0625,
}
_RECIPE = {
    "frames.max_frames": FRAMES,
    "frames.max_pixels": PIXELS,
    "training.batch": 1,
    "training.steps": 120,
    "training.save_every": 120,
    "training.log_every": 20,
    "evaluation.every": 120,
    "evaluation.videos": 1,
    "evaluation.metric": "loss",
}


def trained_judge(folder: Path, family: Family) -> Path:
    """Return the folder of a trained judge, made by the commands that a user has.

    What it learns is the form of a reply and little more: its verdicts differ between answers, and
    that is enough for engines to be compared, on the answers that it was trained on too.
    """
    judge = folder / family / "judge"
    if not (judge / "model").exists():
        base, rows = folder / family / "base", folder / "rows.jsonl"
        sizes = [part for name, size in _SIZES.items() for part in (f"--{name}", str(size))]
        _run("videojudge_bench.judges.tiny_qwen", str(base), "--family", family, *sizes)
        _write_rows(rows)
        own = {"model.pretrained": base, "data.rows": f"[{rows}]", "data.videos": VIDEOS}
        changes = [w for k, v in {**_RECIPE, **own}.items() for w in ("--override", f"{k}={v}")]
        train = ("train", "--recipe", "smoke_cpu", "--output", str(judge), *changes)
        _run("videojudge_bench.cli", *train)
    return judge / "model"


def _run(module: str, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *words], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _write_rows(path: Path) -> None:
    """Write the sample of VCG-Bench as training rows; its last video validates."""
    gold_set = goldsets.load("vcg")
    last = max(example.item.video_id for example in gold_set.examples)
    template = load_prompt(PROMPTS_FOLDER / "rate.jinja")
    lines = []
    for example in gold_set.examples:
        item, gold = example.item, example.gold
        assert isinstance(item, Item)
        assert isinstance(gold, RatingGold)
        shown = replace(item, video=VIDEOS, description=None, references=(), subtitles=())
        prompt = template.render(shown, gold_set.info.scale)
        rating = round(gold.mean)
        row = {
            "id": item.id,
            "kind": "pointwise",
            "part": "validation" if item.video_id == last else "train",
            "video_id": item.video_id,
            "instruction": item.instruction,
            "responses": [{"text": item.response, "rating": rating}],
            "system": prompt.system,
            "user": prompt.shared + prompt.response,
            "reply": format_rating(rating, thinking="So it is."),
            "verdict": str(rating),
        }
        lines.append(json.dumps(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
