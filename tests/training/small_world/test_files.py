"""The folder of a small world: what is in it, made once, gone on with, and read by the others."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from videojudge_bench import goldsets
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets.adding import Request, add
from videojudge_bench.items import Item, Pair, PreferenceGold, RatingGold
from videojudge_bench.training.bootstrap.seed_sources import read_source
from videojudge_bench.training.small_world.__main__ import main
from videojudge_bench.training.small_world.files import WorldOptions, make
from videojudge_bench.training.small_world.world import (
    INSTRUCTIONS,
    KINDS,
    answer,
    read_answer,
    scene_of,
)

OPTIONS = WorldOptions(train=6, lessons=2, validation=2, test=2, seed=3)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "world"
    make(folder, OPTIONS)
    return folder


@pytest.fixture
def world(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "world"))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# What is in it.


def test_every_video_is_there_under_a_name_that_tells_nothing_asked(made: Path) -> None:
    names = {path.name for path in (made / "videos").iterdir()}
    assert len(names) == 6 + 2 + 2 + 3 * 2
    assert {"train-00005.mp4", "lesson-00001.mp4", "validation-00001.mp4"} < names
    assert {"test-00001.mp4", "test-unseen-00001.mp4", "test-longer-00000.mp4"} < names


def test_the_record_says_how_it_was_made(made: Path) -> None:
    record = json.loads((made / "world.json").read_bytes())
    assert record["made_of"]["seed"] == 3
    assert record["made_of"]["domains"] == ["seen", "unseen", "longer"]
    assert record["counts"]["videos"] == 16
    assert record["counts"]["seeds.jsonl"] == 8 * 4
    assert set(record["counts"]) | {"world.json"} == {path.name for path in made.iterdir()}


def test_seeds_are_right_answers_to_the_questions_of_training(made: Path) -> None:
    seeds = list(read_source("jsonl", made / "seeds.jsonl"))
    assert len(seeds) == 32
    for seed in seeds:
        scene = scene_of(seed.video_id, seed=3)
        (kind,) = [k for k in KINDS if k == seed.labels["kind"]]
        assert (seed.instruction, seed.gold) == (INSTRUCTIONS[kind], answer(scene, kind))
        assert seed.video == f"{seed.video_id}.mp4"
        assert seed.labels["part"] == scene.part != "test"


def test_rows_to_look_by_describe_and_answer(made: Path) -> None:
    found = rows(made / "language.jsonl")
    assert Counter((row["part"], row["id"].partition("/")[2]) for row in found) == {
        (part, name): number
        for part, number in (("train", 6 + 2), ("validation", 2))
        for name in ("describe", *KINDS)
    }
    whole, *answers = (row for row in found if row["video_id"] == "train-00002")
    assert whole["user"] == "Describe the video."
    assert whole["reply"] == " ".join(row["reply"] for row in answers)
    assert len(whole["reply"].split()) == 16
    assert answers[2] == {
        "id": "train-00002/motion",
        "kind": "chat",
        "part": "train",
        "video_id": "train-00002",
        "video": "train-00002.mp4",
        "system": "You watch videos.",
        "user": "Which way does it move in each step?",
        "reply": answer(scene_of("train-00002", seed=3), "motion"),
    }


def test_data_add_takes_the_ratings_with_their_labels(made: Path) -> None:
    for name, domain in (("gold", "seen"), ("gold_unseen", "unseen"), ("gold_longer", "longer")):
        file = made / f"{name}.jsonl"
        request = Request(file, f"small_{name}", made / "videos", kind="constructed")
        assert add(request).videos == dict.fromkeys(
            (f"test{'' if domain == 'seen' else '-' + domain}-0000{n}" for n in range(2)), True
        )
        examples = goldsets.load(f"small_{name}").examples
        assert Counter((e.labels["kind"], e.labels["domain"]) for e in examples) == {
            (kind, domain): 10 for kind in KINDS
        }
        for example in examples:
            item, gold = example.item, example.gold
            assert isinstance(item, Item)
            assert isinstance(gold, RatingGold)
            scene = scene_of(item.video_id, seed=3)
            (kind,) = [k for k in KINDS if k == example.labels["kind"]]
            words = read_answer(kind, item.response)
            assert words is not None
            right = sum(a == b for a, b in zip(words, scene.words[kind], strict=True))
            assert gold.ratings == (right + 1,)


def test_data_add_takes_the_pairs_and_the_better_one_wins(made: Path) -> None:
    add(Request(made / "gold_pairs.jsonl", "small_pairs", made / "videos", kind="constructed"))
    examples = goldsets.load("small_pairs").examples
    assert len(examples) == 2 * 4 * 2  # two videos, four questions, both orders
    for example in examples:
        pair, gold = example.item, example.gold
        assert isinstance(pair, Pair)
        assert isinstance(gold, PreferenceGold)
        scene = scene_of(pair.video_id, seed=3)
        (kind,) = [k for k in KINDS if k == example.labels["kind"]]
        right = [
            sum(a == b for a, b in zip(text.split(), answer(scene, kind).split(), strict=True))
            for text in (pair.first, pair.second)
        ]
        assert sorted(right) == [1, 2]
        assert gold.p_first == float(right[0] > right[1])


# Made once.


def test_a_second_call_does_nothing(world: Path) -> None:
    before = bytes_of(world)
    again = make(world, OPTIONS)
    assert (again.rendered, again.existed) == (0, True)
    assert bytes_of(world) == before


def test_what_is_missing_is_made_again_and_nothing_else(world: Path, made: Path) -> None:
    lost = world / "videos" / "train-00003.mp4"
    lost.unlink()
    (world / "gold.jsonl").unlink()
    old = {path: path.stat().st_mtime_ns for path in (world / "videos").iterdir()}
    again = make(world, OPTIONS)
    assert (again.rendered, again.existed) == (1, False)
    assert bytes_of(world) == bytes_of(made)
    assert all(path.stat().st_mtime_ns == at for path, at in old.items())


def test_several_processes_make_the_same(made: Path, tmp_path: Path) -> None:
    larger = WorldOptions(train=20, lessons=2, validation=2, test=2, seed=3)
    done: list[tuple[int, int]] = []
    make(tmp_path / "w", larger, workers=2, on_progress=lambda *at: done.append(at))
    assert done[-1] == (30, 30)
    videos = bytes_of(tmp_path / "w" / "videos")
    assert videos.items() > bytes_of(made / "videos").items()


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    command = [sys.executable, "-m", "videojudge_bench.training.small_world", "make", str(folder)]
    command += ["--train", "150", "--lessons", "0", "--validation", "0", "--test", "0"]
    command += ["--workers", "1"]
    run = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(folder.glob("videos/*.mp4"))) < 3:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    there = {path: path.stat().st_mtime_ns for path in folder.glob("videos/*.mp4")}
    assert 3 <= len(there) < 150
    assert not (folder / "seeds.jsonl").exists()
    made = make(folder, WorldOptions(train=150, lessons=0, validation=0, test=0))
    assert made.rendered == 150 - len(there)
    assert all(path.stat().st_mtime_ns == at for path, at in there.items())
    assert len(rows(folder / "seeds.jsonl")) == 600


# Used wrongly.


def test_other_options_need_another_folder(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = bytes_of(world)
    sizes = ["--train", "7", "--lessons", "2", "--validation", "2", "--test", "2"]
    assert main(["make", str(world), *sizes]) == 2
    said = capsys.readouterr().err
    assert (
        "was made with other options of the small world (train: 6 there, 7 asked; seed: 3 there, 0"
        in said
    )
    assert "give another folder, or delete this one" in said
    assert bytes_of(world) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="holds something else; name a new or an empty folder"):
        make(tmp_path, OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("text", ["{", "[]", '{"made_of": {}}'])
def test_a_record_that_cannot_be_read_is_said(world: Path, text: str) -> None:
    (world / "world.json").write_text(text)
    with pytest.raises(DataError, match=r"no record of a small world .* remove the folder"):
        make(world, OPTIONS)


def test_all_wrong_options_are_said_at_once() -> None:
    domains: Any = ("seen", "sean", "seen")
    with pytest.raises(ConfigError) as caught:
        WorldOptions(train=-1, test=-2, domains=domains)
    assert str(caught.value).splitlines() == [
        "small world, 4 problems:",
        "  - train=-1: expected a number from 0 up",
        "  - test=-2: expected a number from 0 up",
        "  - unknown domain 'sean'. Did you mean 'seen' or 'unseen'? Known: longer, seen, unseen.",
        "  - domains=seen,sean,seen: each is named once",
    ]
    with pytest.raises(ConfigError, match="workers=0: expected a number from 1 up"):
        make(Path("nowhere"), OPTIONS, workers=0)


def test_a_folder_that_cannot_be_written_is_said_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["make", str(tmp_path / "file" / "world"), "--train", "1"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"small_world: error: {tmp_path / 'file' / 'world'}")
    assert "Not a directory. Name another place" in said


def test_the_command_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["make", str(tmp_path / "w"), "--train", "1", "--lessons", "0",
                 "--validation", "0", "--test", "1",
                 "--domains", "seen", "--workers", "1"]  # fmt: skip
    assert main(arguments) == 0
    assert "2 videos rendered; in all videos 2, seeds.jsonl 4," in capsys.readouterr().out
    assert main(arguments) == 0
    assert "this world is there already, nothing to do" in capsys.readouterr().out
    assert main(["make", "--help"]) == 0
    assert "no claim about real video" in capsys.readouterr().out
