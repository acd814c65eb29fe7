"""Every command of `training/REPRODUCE.md`, as far as it goes without downloads and GPUs."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from videojudge_bench.cli.main import app, main
from videojudge_bench.harness import launcher
from videojudge_bench.training.sft.recipe import load_recipe

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "judges"))
from chat_faults import closed_port  # noqa: E402

PAGE = (ROOT / "training" / "REPRODUCE.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE, re.M | re.S)
COMMANDS = [shlex.split(line) for block in BLOCKS for line in block.splitlines()]
FLAGS_OF_THE_HOST = {"--model", "--model_args", "--tasks", "--output_path"}


def commands(*words: str) -> list[list[str]]:
    """The commands that begin so, or run this by accelerate."""
    return [c for c in COMMANDS if c[: len(words)] == list(words)]


TRAININGS = [command for command in COMMANDS if "accelerate" in command]
BOOTSTRAPS = commands("videojudge", "bootstrap")
EVALUATIONS = commands("lmms_eval")


def test_every_command_is_of_a_kind_that_is_checked() -> None:
    ours = [*commands("videojudge"), *TRAININGS, *EVALUATIONS]
    assert sorted(ours) == sorted(COMMANDS)
    assert {c[1] for c in commands("videojudge")} == {
        "bootstrap", "describe", "doctor", "leaderboard", "report",
    }  # fmt: skip
    assert (len(TRAININGS), len(BOOTSTRAPS), len(EVALUATIONS)) == (5, 4, 6)


@pytest.mark.parametrize("command", commands("videojudge"), ids=lambda c: " ".join(c[1:4]))
def test_the_options_of_a_verb_exist(command: list[str]) -> None:
    verb, _, _ = app.parse_args(command[1:], exit_on_error=False, print_error=False)
    builds = command[1] == "leaderboard" and command[2].startswith("--")
    assert verb.__name__ in (["build"] if builds else command[1:])


@pytest.mark.parametrize("command", BOOTSTRAPS, ids=lambda c: " ".join(c[2:5]))
def test_a_bootstrap_says_what_it_takes(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _releases(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = [w for w in command[1:] if w not in ("--dry-run", "seeds.videos=videos")]
    words = [
        w
        for n, w in enumerate(words)
        if w != "--override" or words[n + 1 : n + 2] != ["--override"]
    ]
    assert main([*words, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "3 seeds, 4 responses each, up to 3 rounds a response." in printed
    assert re.search(r"generator +12 to 36 ", printed)
    assert ("rubric " in printed) == ("paper_rubric" in command)


def _releases(folder: Path) -> None:
    """A seed of each of the three releases, in its form."""
    answer = "A man in a red coat carries two boxes to the {} and sits down."
    first = {"q": "What does he do?", "a": answer.format("car"), "video_id": "v_one"}
    (folder / "VideoInstruct100K.json").write_text(json.dumps([first]), encoding="utf-8")
    turns = [
        {"from": "human", "value": "<video>\nWhat is carried by the man?"},
        {"from": "gpt", "value": answer.format("house")},
    ]
    second = {"video": "two.mp4", "conversations": turns}
    (folder / "vcg-plus_112K.json").write_text(json.dumps([second]), encoding="utf-8")
    third = {"video": "three.mp4", "QA": [{"q": "Where does he go?", "a": answer.format("tree")}]}
    (folder / "videochat2" / "conversation" / "videochat1").mkdir(parents=True)
    path = folder / "videochat2" / "conversation" / "videochat1" / "train.json"
    path.write_text(json.dumps([third]), encoding="utf-8")


@pytest.mark.parametrize("command", TRAININGS, ids=lambda c: c[c.index("--recipe") + 1])
def test_a_training_has_a_recipe_a_configuration_and_a_batch_that_can_be_dealt_out(
    command: list[str],
) -> None:
    path = ROOT / command[command.index("--config_file") + 1]
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    module = command.index("-m")
    assert command[module + 1] == "videojudge_bench.cli"
    words = command[module + 2 :]
    _, given, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    (stage,) = load_recipe(given.arguments["recipe"], given.arguments["override"]).stages
    asked = command[:module]
    processes = int(
        asked[asked.index("--num_processes") + 1]
        if "--num_processes" in asked
        else config["num_processes"]
    )
    assert stage.training.batch % (processes * stage.training.micro_batch) == 0
    assert (list(stage.data.rows), stage.data.videos) == (["out/paper"], "videos")
    devices = command[0].removeprefix("CUDA_VISIBLE_DEVICES=").split(",")
    assert len(devices) == processes


@pytest.mark.parametrize("command", EVALUATIONS, ids=lambda c: c[4].split(",")[1])
def test_an_evaluation_names_judges_options_and_tasks_that_exist(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gold_videos").mkdir()
    monkeypatch.chdir(tmp_path)
    launcher.check(launcher._asked(command[1:]))
    assert {word for word in command if word[:2] == "--"} <= FLAGS_OF_THE_HOST


def test_descriptions_are_asked_for_until_nobody_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = commands("videojudge", "describe")
    (tmp_path / "gold_videos").mkdir()
    source = ROOT / "tasks" / "sample" / "videos" / "mdn_pig.webm"
    (tmp_path / "gold_videos" / "pig.webm").symlink_to(source)
    monkeypatch.chdir(tmp_path)
    port = str(closed_port())
    assert main([word.replace("8000", port) for word in command[1:]]) == 2
    assert f"no server at base_url=http://localhost:{port}/v1" in capsys.readouterr().err
