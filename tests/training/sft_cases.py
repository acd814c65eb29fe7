"""Training rows about the packaged sample videos, a tiny model and a short recipe for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from videojudge_bench import goldsets
from videojudge_bench._util.files import packaged
from videojudge_bench.items import Item, RatingGold
from videojudge_bench.judges.tiny_qwen import Family, build
from videojudge_bench.prompts import PROMPTS_FOLDER, PromptOptions, load_prompt
from videojudge_bench.prompts.criteria_book import read_criteria
from videojudge_bench.replies.reply_format import format_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.options import FrameOptions, ModelOptions
from videojudge_bench.training.sft.recipe import Recipe, load_recipe
from videojudge_bench.training.sft.rows import read_rows
from videojudge_bench.training.training_row import TrainingRow

SMALL = FrameOptions(max_frames=4, min_pixels=3136, max_pixels=6272)
VIDEOS = packaged("tasks.sample") / "videos"


def tiny_model(folder: Path, family: Family = "qwen2_5_vl") -> Path:
    """A tiny model, built once for a folder."""
    return build(folder, family=family)


def base_of(model: Path, **options: object) -> BaseModel:
    """A base model that sees a few small frames."""
    given: dict[str, object] = {"pretrained": str(model), "gradient_checkpointing": False}
    return BaseModel(ModelOptions.model_validate({**given, **options}), SMALL)


def recipe_for(model: Path, rows: Path, *changes: str) -> Recipe:
    """Four steps of two rows on the fewest frames, with two evaluations and two checkpoints."""
    own = (
        *(f"model.pretrained={model}", f"data.rows=[{rows}]", f"data.videos={VIDEOS}"),
        *("frames.max_frames=2", "frames.max_pixels=6272", "judge.feedback=false"),
        *("training.steps=4", "training.save_every=2", "evaluation.every=2"),
        *("evaluation.videos=1", "evaluation.metric=loss"),
    )
    return load_recipe("smoke_cpu", [*own, *changes])


def rows_of(path: Path, video: str, part: str = "train") -> list[TrainingRow]:
    """The rows about a video."""
    return [row for row in read_rows([str(path)], ["pointwise"], part) if row.video_id == video]


def written_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def a_row(number: int = 0, **changes: object) -> dict[str, object]:
    """A row of one's own about a packaged video, rated 1 to 5 in turn."""
    rating = number % 5 + 1
    return {
        "id": f"r{number}",
        "kind": "pointwise",
        "video_id": "mdn_pig",
        "instruction": "What does the animal do?",
        "responses": [{"text": f"It eats {number}.", "rating": rating}],
        "user": f"How good is: It eats {number}.",
        "reply": f"<score>{rating}</score>",
        "verdict": str(rating),
        **changes,
    }


def sample_rows(
    path: Path,
    *,
    feedback: bool = True,
    validation: int = 2,
    instructions: Sequence[str] = (),
) -> Path:
    """Write the packaged sample of VideoJudgeLLaVA as training rows; the last videos validate.

    With `instructions`, all groups of responses are about one of these, in turn.
    """
    gold_set = goldsets.load("llava")
    videos = sorted({example.item.video_id for example in gold_set.examples})
    template = load_prompt(PROMPTS_FOLDER / "rate.jinja")
    lines = []
    groups: dict[tuple[str, str], int] = {}
    for example in gold_set.examples:
        item, gold = example.item, example.gold
        assert isinstance(item, Item)
        assert isinstance(gold, RatingGold)
        if instructions:
            group = groups.setdefault((item.video_id, item.instruction), len(groups))
            item = replace(item, instruction=instructions[group % len(instructions)])
        shown = template.render(
            replace(item, video=Path("x"), description=None, references=(), subtitles=()),
            RatingScale(),
            PromptOptions(feedback=feedback),
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


def criteria_rows(rows: Path, criteria: Path) -> Path:
    """Write such rows anew, for a judge with these criteria: `right` and `polite`."""
    slots = read_criteria(criteria)
    template = load_prompt(PROMPTS_FOLDER / "criteria.jinja")
    lines = []
    for line in rows.read_text("utf-8").splitlines():
        row = json.loads(line)
        response = row["responses"][0]
        item = Item(row["id"], row["video_id"], row["instruction"], response["text"])
        prompt = template.render(
            replace(item, video=Path("x")), RatingScale(), PromptOptions(False, criteria=slots)
        )
        rating = response["rating"]
        row |= {
            "system": prompt.system,
            "user": prompt.shared + prompt.response,
            "criteria": {"right": rating, "polite": "yes" if rating > 2 else "no"},
        }
        del row["reply"]
        lines.append(json.dumps(row))
    target = rows.with_name("by_criteria.jsonl")
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target
