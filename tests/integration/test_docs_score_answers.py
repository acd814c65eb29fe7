"""Commands of docs/score-answers.md, run as they are printed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from repository import ROOT
from running import Ran, once, run

FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


@pytest.fixture(scope="session")
def shown() -> list[tuple[str, str]]:
    """Language and text of the page's blocks."""
    section = (ROOT / "docs" / "score-answers.md").read_text(encoding="utf-8")
    return [(found["language"], found["text"]) for found in FENCE.finditer(section)]


@pytest.fixture(scope="session")
def ran(shown: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """What came of the section's commands and of its program."""
    (_, answers), (_, commands), _, _, (_, human), *more = shown
    program = next(text for language, text in more if language == "python")

    def make(here: Path) -> dict[str, Ran]:
        (here / "answers.jsonl").write_text(answers, encoding="utf-8")
        (here / "human.jsonl").write_text(human, encoding="utf-8")
        made = {
            f"command {number}": run(["sh", "-c", line], here)
            for number, line in enumerate(commands.splitlines())
        }
        return {**made, "python": run([sys.executable, "-c", program], here)}

    return once(tmp_path_factory, "readme_judge", make)


def test_the_table_is_the_one_that_is_shown(
    shown: list[tuple[str, str]], ran: dict[str, Ran]
) -> None:
    judged = ran["command 0"]
    assert judged.code == 0, judged.output
    printed = [line.rstrip() for line in judged.output.splitlines()]
    assert [line for line in shown[2][1].splitlines() if line not in printed] == []


def test_there_is_a_verdict_for_each_answer(ran: dict[str, Ran]) -> None:
    assert ran["python"].code == 0, ran["python"].output
    text = (ran["python"].folder / "verdicts.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["system"] for line in lines] == ["model-x", "model-y"] * 2
    assert "judge score, not human score" in ran["python"].output


def test_the_systems_meet(ran: dict[str, Ran]) -> None:
    assert ran["command 1"].code == 0, ran["command 1"].output
    (row,) = [r.split() for r in ran["command 1"].output.splitlines() if "model-x" in r]
    assert row[:8] == ["model-x", "model-y", "2", "2", "1.000", "2", "0", "0"]


def test_human_ratings_correct_the_means(ran: dict[str, Ran]) -> None:
    assert ran["command 2"].code == 0, ran["command 2"].output
    rows = [r.split() for r in ran["command 2"].output.splitlines()]
    (row,) = [r for r in rows if r[:2] == ["model-x", "2"]]
    # One answer is rated, 5: a corrected mean would be worse than that, and is withheld.
    assert " ".join(row[5:]) == "1 5.000 undefined (fewer than 10 human ratings)"


def test_the_readme_shows_the_same(shown: list[tuple[str, str]]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## Score your model's answers\n")[2].partition("\n## ")[0]
    page = "".join(block for _, block in shown)
    blocks = [match["text"] for match in FENCE.finditer(section)]
    assert len(blocks) == 3
    assert [line for block in blocks for line in block.splitlines() if line not in page] == []
