"""What judging will ask for: counted by the very prompts that would be sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from answer_rows import answers_of, write

from videojudge_bench.answers.judging import build
from videojudge_bench.answers.planning import estimate
from videojudge_bench.answers.reading import read_answers, units_of
from videojudge_bench.items import Item, Pair
from videojudge_bench.prompts import PromptOptions

PRICED = "openai,base_url=http://localhost:1/v1,model=m,max_tokens=100,max_frames=8,max_pixels=7840"


def items(videos: int, video: Path | None = None) -> list[Item | Pair]:
    from dataclasses import replace

    units = units_of(read_answers(answers_of(videos)), None)
    return [replace(unit.item, video=video) for unit in units]


def test_a_judge_that_asks_no_model_costs_nothing() -> None:
    assert estimate(build("longest"), items(3)) is None


def test_text_frames_replies_and_money(tmp_path: Path) -> None:
    video = tmp_path / "v.mp4"
    built = build(f"{PRICED},price_in=2,price_out=10")
    asked = items(3, video)
    found = estimate(built, asked)
    assert found is not None
    assert found.calls == 6
    prompts = [
        built.judge.templates.of(item).render(item, built.judge.scale, PromptOptions(True, False))  # type: ignore[attr-defined]
        for item in asked
    ]
    characters = sum(len(p.system) + len(p.shared) + len(p.response) for p in prompts)
    assert found.text_tokens == round(characters / 4)
    assert found.frame_tokens == 6 * 8 * 10, "8 frames of 7,840 pixels, 784 pixels a token"
    assert found.reply_tokens == 600
    cost = ((characters / 4 + 480) * 2 + 600 * 10) / 1e6
    assert found.cost == pytest.approx(cost)


def test_without_prices_there_is_no_money_and_without_videos_there_are_no_frames() -> None:
    found = estimate(build(PRICED), items(2))
    assert found is not None
    assert (found.frame_tokens, found.cost) == (0, None)


def test_of_many_groups_some_are_looked_at_and_all_are_counted(tmp_path: Path) -> None:
    replies = write(tmp_path / "r.jsonl", [{"id": "*", "reply": ""}])
    built = build(f"scripted,replies={replies}")
    engine = built.judge.engine  # type: ignore[attr-defined]
    found = estimate(built, items(450))
    assert found is not None
    assert found.calls == 900
    assert built.judge.engine is engine  # type: ignore[attr-defined]
