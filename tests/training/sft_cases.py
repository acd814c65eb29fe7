"""Training rows about the packaged sample videos, and a tiny model to train on them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from videojudge_bench.judges.tiny_qwen import build

from videojudge_bench import goldsets
from videojudge_bench.items import Item, RatingGold
from videojudge_bench.prompts import PROMPTS_FOLDER, Wanted, load_prompt
from videojudge_bench.reply_format import format_rating
from videojudge_bench.scale import RatingScale

VIDEOS = Path(goldsets.__file__).parents[1] / "tasks" / "sample" / "videos"


def tiny_model(folder: Path) -> Path:
    """A tiny Qwen2.5-VL, built once for a folder."""
    return build(folder)


def sample_rows(path: Path, *, feedback: bool = True, validation: int = 2) -> Path:
    """Write the packaged sample of VideoJudgeLLaVA as training rows; the last videos validate."""
    gold_set = goldsets.load("llava")
    videos = sorted({example.item.video_id for example in gold_set.examples})
    template = load_prompt(PROMPTS_FOLDER / "rate.jinja")
    lines = []
    for example in gold_set.examples:
        item, gold = example.item, example.gold
        assert isinstance(item, Item)
        assert isinstance(gold, RatingGold)
        shown = template.render(
            replace(item, video=Path("x"), description=None, references=(), subtitles=()),
            RatingScale(),
            Wanted(feedback=feedback),
        )
        rating = round(gold.mean)
        held = item.video_id in videos[len(videos) - validation :]
        row = {
            "id": item.id,
            "kind": "pointwise",
            "part": "validation" if held else "train",
            "video_id": item.video_id,
            "video": None,
            "instruction": item.instruction,
            "responses": [{"text": item.response, "rating": rating}],
            "system": shown.system,
            "user": shown.shared + shown.response,
            "reply": format_rating(rating, thinking="So it is." if feedback else ""),
            "verdict": str(rating),
        }
        lines.append(json.dumps(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
