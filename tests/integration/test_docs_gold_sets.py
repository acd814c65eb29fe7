"""Commands of docs/gold-sets.md, "Bring your own ratings", run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from repository import ROOT
from running import OUTPUT, Ran, assert_clean_failure, once, run

FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
BOARD = "board"
SHAPES = ("options", "pairs")


@pytest.fixture(scope="session")
def shown() -> list[tuple[str, str]]:
    """Language and text of the section's blocks."""
    text = (ROOT / "docs" / "gold-sets.md").read_text(encoding="utf-8")
    section = text.partition("\n## Bring your own ratings\n")[2].partition("\n## ")[0]
    return [(found["language"], found["text"]) for found in FENCE.finditer(section)]


@pytest.fixture(scope="session")
def ran(shown: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """What came of the section's commands, and of what the text below them says."""
    (_, table), (_, mapping), (_, commands), (_, rows) = shown

    def make(here: Path) -> dict[str, Ran]:
        (here / "ratings.csv").write_text(table, encoding="utf-8")
        (here / "map.yaml").write_text(mapping, encoding="utf-8")
        made: dict[str, Ran] = {}
        for number, line in enumerate(commands.splitlines()):
            made[f"command {number}"] = run(["sh", "-c", line], here)
        for shape, row in zip(SHAPES, rows.splitlines(), strict=True):
            (here / f"{shape}.jsonl").write_text(f"{row}\n", encoding="utf-8")
            command = ["videojudge", "data", "add", f"{shape}.jsonl", "--name", f"own_{shape}"]
            made[f"add {shape}"] = run(command, here)
        made["list"] = run(["videojudge", "data", "list"], here)
        made["verify"] = run(["videojudge", "data", "verify", "mine"], here)
        made["remove"] = run(["videojudge", "data", "remove", "mine"], here)
        made["list again"] = run(["videojudge", "data", "list"], here)
        evaluation = commands.splitlines()[1]
        made["gone"] = run(["sh", "-c", evaluation], here)
        return made

    return once(tmp_path_factory, "readme", make)


def test_the_section_has_a_table_a_mapping_commands_and_rows(shown: list[tuple[str, str]]) -> None:
    assert [language for language, _ in shown] == ["csv", "yaml", "", "json"]
    commands = [line.split() for line in shown[2][1].splitlines()]
    assert [" ".join(words[:3]) for words in commands] == [
        "videojudge data add",
        "lmms_eval --model videojudge",
        "videojudge leaderboard add",
        "videojudge leaderboard --results",
    ]


def test_the_table_becomes_a_set(ran: dict[str, Ran]) -> None:
    added = ran["command 0"]
    assert added.code == 0, added.output
    assert "videojudge_mine: 4 rows of ratings by 2 raters on the scale 1-5; 2 videos" in (
        added.output
    )


def test_the_judge_runs_on_it(ran: dict[str, Ran]) -> None:
    judged = ran["command 1"]
    assert judged.code == 0, judged.output
    numbers = judged.numbers("videojudge_mine")
    assert (numbers["n"], numbers["n_parsed"], numbers["coverage"]) == (4, 4, 1.0)
    assert isinstance(numbers["spearman"], float)
    assert isinstance(numbers["system_accuracy"], float), "the table names the systems"
    table = [line for line in judged.output.splitlines() if line.startswith("|")]
    assert 5 < len(table) <= 22, "the host's table has the main rows alone, and its head"
    assert "next: videojudge leaderboard add " in judged.output
    assert "\x1b[" not in judged.output, "no colours in a pipe"
    assert (judged.folder / OUTPUT).is_dir()


def test_the_leaderboard_shows_a_row_of_it(ran: dict[str, Ran]) -> None:
    for step in ("command 2", "command 3"):
        assert ran[step].code == 0, ran[step].output
    printed = ran["command 3"].output
    _, title, table = printed.partition("videojudge_mine: ratings.csv")
    assert title
    numbers = ran["command 1"].numbers("videojudge_mine")
    (row,) = [line.split() for line in table.splitlines() if " random " in line]
    expected = [f"{numbers[key]:.3f}" for key in ("spearman", "kendall_tau_b", "tau_b_within")]
    assert row[1:6] == ["random", "0", *expected]
    board = ran["command 3"].folder / BOARD / "leaderboard.md"
    assert "videojudge_mine" in board.read_text(encoding="utf-8")


@pytest.mark.parametrize("shape", SHAPES)
def test_options_and_preferences_are_added_too(shape: str, ran: dict[str, Ran]) -> None:
    added = ran[f"add {shape}"]
    assert added.code == 0, added.output
    assert f"videojudge_own_{shape}: 1 row of {shape}; 1 video" in added.output


def test_the_list_shows_what_is_there(ran: dict[str, Ran]) -> None:
    assert ran["list"].code == 0, ran["list"].output
    listed = _rows(ran["list"])
    assert listed["mine"][1:7] == ["full", "human", "ratings", "4", "2", "videojudge_mine"]
    assert listed["own_options"][2:6] == ["options", "options", "3", "1"]
    assert listed["own_pairs"][2:6] == ["human", "pairs", "2", "1"]
    assert ran["verify"].code == 0, ran["verify"].output
    assert "mine: ratings 8" in ran["verify"].output.splitlines()


def test_remove_takes_it_away(ran: dict[str, Ran]) -> None:
    removed = ran["remove"]
    assert removed.code == 0, removed.output
    assert removed.output == "removed mine; there is no task videojudge_mine any more\n"
    assert _rows(ran["list"]).keys() - _rows(ran["list again"]).keys() == {"mine"}
    assert_clean_failure(ran["gone"], "unknown task 'videojudge_mine'.", "videojudge_own_pairs")
    assert ran["gone"].code == 2


def _rows(listed: Ran) -> dict[str, list[str]]:
    rows = (line.split() for line in listed.output.splitlines())
    return {cells[0]: cells for cells in rows if cells}
