"""A task of lmms-eval that asks a judge, as docs/lmms-eval-tasks.md shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from repository import ROOT
from running import OUTPUT, Ran, once, run

FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
ROWS = [
    {"video_name": "garden", "question": "What happens?", "answer": "A dog digs a hole."},
    {"video_name": "kitchen", "question": "What happens?", "answer": "A woman fries eggs."},
]


@pytest.fixture(scope="session")
def shown() -> dict[str, str]:
    """The section's blocks by language."""
    text = (ROOT / "docs" / "lmms-eval-tasks.md").read_text(encoding="utf-8")
    section = text.partition("\n## Use as an lmms-eval LLM judge\n")[2].partition("\n## ")[0]
    return {found["language"]: found["text"] for found in FENCE.finditer(section)}


@pytest.fixture(scope="session")
def ran(shown: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """What comes of the command, with a model that always gives the same answer."""

    def make(here: Path) -> dict[str, Ran]:
        (here / "tasks").mkdir()
        (here / "tasks" / "my_descriptions.yaml").write_text(shown["yaml"])
        (here / "tasks" / "my_descriptions.py").write_text(shown["python"])
        lines = "".join(f"{json.dumps(row)}\n" for row in ROWS)
        (here / "descriptions.jsonl").write_text(lines)
        command = shown["bash"].replace("--model qwen2_5_vl", "--model dummy")
        assert "--model dummy" in command
        variables = {"HF_HOME": str(here / "hf")}
        command = command.replace(
            "pretrained=Qwen/Qwen2.5-VL-7B-Instruct", "response='A dog digs.'"
        )
        return {"ran": run(["sh", "-c", command], here, variables=variables)}

    return once(tmp_path_factory, "llm_judge", make)["ran"]


def test_the_task_is_scored_by_our_judge(ran: Ran) -> None:
    assert ran.code == 0, ran.output
    assert (ran.folder / OUTPUT).is_dir()
    # rouge_l, recall weighed by 1.2: "a dog digs" against "a dog digs a hole" and, with one word
    # in common, against "a woman fries eggs"; the mean of the two.
    recall, precision, weight = 3 / 5, 1.0, 1.2**2
    first = (1 + weight) * precision * recall / (recall + weight * precision)
    recall, precision = 1 / 4, 1 / 3
    second = (1 + weight) * precision * recall / (recall + weight * precision)
    assert ran.numbers("my_descriptions")["judge_score"] == pytest.approx((first + second) / 2)
