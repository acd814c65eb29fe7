"""The loop in miniature, what is measured of it, and the experiments' plans."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from videojudge_bench import goldsets
from videojudge_bench.errors import ConfigError, RunStoppedError, UnknownNameError
from videojudge_bench.items import Item
from videojudge_bench.training.experiments import world
from videojudge_bench.training.experiments.experiment import Experiment
from videojudge_bench.training.experiments.over_optimisation import Policy
from videojudge_bench.training.experiments.world_measures import (
    differences,
    errors_by_rating,
    judged,
    numbers,
    points_of_words,
    summarise,
)
from videojudge_bench.training.sft.recipe import load_recipe
from videojudge_bench.training.small_world import loop
from videojudge_bench.training.small_world.__main__ import main
from videojudge_bench.training.small_world.files import WorldOptions, make
from videojudge_bench.training.small_world.loop import LoopFolder, own_home, run_loop
from videojudge_bench.training.small_world.world import KINDS, kind_of, read_answer, scene_of
from videojudge_bench.verdicts import Rating, Unparsed

WORLD = WorldOptions(train=6, lessons=2, validation=2, test=25, domains=("seen",))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> LoopFolder:
    """A world and its gold set, without a judge."""
    made = LoopFolder(tmp_path_factory.mktemp("loop"))
    make(made.world, WORLD)
    with own_home(made):
        loop.add_gold_set(made)
    return made


def test_numbers_are_by_kind_with_intervals(small: LoopFolder, tmp_path: Path) -> None:
    with own_home(small):
        gold_set = goldsets.load(loop.GOLD_SET)
        drawn = judged(gold_set, {"judge": "random"}, tmp_path)
        found = numbers(gold_set, drawn, "mae", resamples=50)
        assert set(found) == {"all", *KINDS}
        assert len(gold_set.examples) == 25 * 4 * 5
        # A rating drawn by lot is 1.6 off those of 1 to 5 on average.
        assert found["all"][0] == pytest.approx(1.6, abs=0.2)
        assert all(low is not None and low < (value or 0) for value, low, _ in found.values())
        assert differences(gold_set, drawn, drawn, "spearman", resamples=50)["order"][0] == 0
        # By lot it is 3 on average, whatever is deserved.
        above = errors_by_rating(gold_set, drawn, resamples=50)
        assert [value for value, _, _ in above.values()] == pytest.approx(
            [2, 1, 0, -1, -2], abs=0.5
        )
        threes = {i: replace(j, verdict=Rating(3.0)) for i, j in drawn.items()}
        exact = errors_by_rating(gold_set, threes, resamples=50)
        assert [value for value, _, _ in exact.values()] == [2, 1, 0, -1, -2]
        # Where one gave no verdict, neither counts.
        nothing = {i: replace(j, verdict=Unparsed("?")) for i, j in drawn.items()}
        silent = {**drawn, **dict(list(nothing.items())[::4])}
        assert differences(gold_set, drawn, silent, "spearman", resamples=50)["all"][0] == 0
        assert differences(gold_set, drawn, nothing, "spearman")["all"][0] is None
        assert numbers(gold_set, silent, "coverage")["all"][0] == 0.75
        longest = judged(gold_set, {"judge": "longest"}, tmp_path)
        undefined = differences(gold_set, drawn, longest, "spearman", resamples=50)
        assert undefined["all"][0] is None


def test_it_is_known_which_words_a_judge_checks(small: LoopFolder, tmp_path: Path) -> None:
    with own_home(small):
        gold_set = goldsets.load(loop.GOLD_SET)
        drawn = judged(gold_set, {"judge": "random"}, tmp_path)
    verdicts = {}
    for item_id, judgement in drawn.items():
        item = gold_set.by_id[item_id].item
        assert isinstance(item, Item)
        kind = kind_of(item.instruction)
        assert kind is not None
        said = read_answer(kind, item.response)
        assert said is not None
        right = [a == b for a, b in zip(scene_of(item.video_id).words[kind], said, strict=True)]
        value = 1.5 + 2 * right[1] + 0.5 * right[3] if kind == "order" else 1.0 + sum(right)
        verdicts[item_id] = replace(judgement, verdict=Rating(value))
    found = points_of_words(gold_set, verdicts)
    assert found["order"] == pytest.approx((0, 2, 0, 0.5), abs=1e-9)
    assert found["motion"] == pytest.approx((1, 1, 1, 1))
    silent = {i: replace(j, verdict=Unparsed("?")) for i, j in drawn.items()}
    assert points_of_words(gold_set, silent) == dict.fromkeys(KINDS)


def test_the_users_own_gold_sets_are_left_alone(
    small: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/mine")
    with own_home(small):
        assert os.environ["XDG_DATA_HOME"] == str(small.path / "home")
    assert os.environ["XDG_DATA_HOME"] == "/mine"
    monkeypatch.delenv("XDG_DATA_HOME")
    with own_home(small):
        pass
    assert "XDG_DATA_HOME" not in os.environ


@pytest.mark.parametrize("name", world.TRAININGS)
def test_every_training_has_a_recipe_that_loads(name: str) -> None:
    training = world.TRAININGS[name]
    recipe = load_recipe("small_world", training.recipe)
    assert recipe.stages[-1].name == "judge"


def test_every_view_names_a_training_and_a_gold_set() -> None:
    for name, experiment in world.EXPERIMENTS.items():
        for view in experiment.arms.values() if name != "grpo" else ():
            assert view.training == "loop" or view.training in world.TRAININGS
            assert view.gold_set in {
                loop.GOLD_SET,
                world.PAIRS,
                world.UNSEEN,
                world.LONGER,
                *(f"small_world_best_of_{policy}" for policy in get_args(Policy)),
                *(f"small_world_best_of_{policy}_few" for policy in get_args(Policy)),
            }


def test_experiments_say_what_they_lack(small: LoopFolder, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'frames'"):
        world.run_experiments([small.path], ["frame"], tmp_path)
    with pytest.raises(ConfigError, match="holds no finished loop"):
        world.run_experiments([small.path], [], tmp_path)


def test_the_numbers_of_a_run_before_are_replaced_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = LoopFolder(tmp_path / "loop")
    made.model.mkdir(parents=True)
    (made.model / "config.json").touch()
    half = {"spearman": {"all": [0.5, None, None]}}
    named: dict[str, Experiment[object, None]] = {
        name: Experiment("", {"trained": None}, lambda *_: half, world.table_of)
        for name in ("looks", "scores")
    }
    monkeypatch.setattr(world, "EXPERIMENTS", named)
    path = world.run_experiments([made.path], ["looks"], tmp_path / "found", say=print)
    before = path.read_text()
    # Another name of that file: written in place, it would change too.
    path.with_name("before.json").hardlink_to(path)
    world.run_experiments([made.path], ["scores"], tmp_path / "found", say=print)
    assert set(json.loads(path.read_text())) == {"looks/loop", "scores/loop"}
    assert path.with_name("before.json").read_text() == before


def test_experiments_are_tables_too() -> None:
    kinds = ("all", *KINDS)
    one = {kind: [0.5, 0.4, 0.6] for kind in kinds}
    page = world.page_of(
        {
            "looks/seed0": {
                "trained": {
                    "spearman": one,
                    "bias": {str(r): [3.0 - r, None, None] for r in range(1, 6)},
                },
                "blind": {
                    "spearman": {"all": [None, None, None], "order": [0.1, None, None]},
                    "less trained": one,
                },
            },
            "looks/seed1": {"trained": {"spearman": one}},
            "pairs/seed0": {"pairwise": {"accuracy": one}},
        }
    )
    tables = dict(part.split("\n\n", 1) for part in page.split("## ")[1:])
    assert list(tables) == ["looks", "pairs"]
    cells = " | ".join(["0.500 [0.400, 0.600]"] * 5)
    lines = tables["looks"].splitlines()
    assert [line for line in lines if line.startswith("| trained")] == [
        f"| trained, seed0 | {cells} |",
        f"| trained, seed1 | {cells} |",
        "| trained, seed0 | 2.000 | 1.000 | 0.000 | -1.000 | -2.000 |",
    ]
    assert [line for line in lines if line.startswith("| blind")] == [
        "| blind, seed0 | undefined |  |  |  | 0.100 |",
        f"| blind, seed0 | {cells} |",
    ]
    assert f"| pairwise, seed0 | {cells} |" in tables["pairs"]


def test_the_committed_page_follows_from_the_committed_numbers() -> None:
    results = Path(__file__).parents[3] / "results" / "small_world"
    found = json.loads((results / "numbers.json").read_text(encoding="utf-8"))
    assert world.page_of(found) == (results / "tables.md").read_text(encoding="utf-8")
    for key, views in found.items():
        assert list(views) == list(world.EXPERIMENTS[key.partition("/")[0]].arms)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "found/numbers.json"),
            "found/numbers.json cannot be written (No space left on device). Make room, and run",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "a file cannot be written (No space"),
        (RunStoppedError("the bootstrap did not come to an end"), "did not come to an end"),
    ],
)
def test_experiments_that_were_stopped_say_so_with_status_1(
    error: Exception,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(world, "run_experiments", stopped)
    assert main(["experiments", "loop", "--results", "found"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("small_world: error: ")
    assert text in said


@pytest.mark.slow
def test_the_circle_closes_and_goes_on(tmp_path: Path) -> None:
    changes = [
        "stages.look.training.steps=2",
        "stages.tell.training.steps=2",
        "stages.judge.training.steps=2",
        "training.batch=2",
        "training.micro_batch=2",
        "training.workers=0",
        "evaluation.every=2",
        "evaluation.videos=2",
    ]
    said: list[str] = []
    made = run_loop(tmp_path, world=WORLD, changes=changes, say=said.append)
    page = summarise(made, tmp_path / "summary").read_text(encoding="utf-8")
    assert "| trained |" in page
    assert "| untrained |" in page
    found = json.loads((tmp_path / "summary" / "numbers.json").read_text())
    assert found["items"] == 500
    assert set(found["points_of_words"]) == set(KINDS)
    assert "| order | " in page
    rows = (made.results / "leaderboard.md").read_text(encoding="utf-8")
    assert "videojudge" in rows
    before = (made.model / "model.safetensors").stat().st_mtime_ns
    run_loop(tmp_path, world=WORLD, changes=changes, say=said.append)
    assert (made.model / "model.safetensors").stat().st_mtime_ns == before
    path = world.run_experiments([made.path], ["scores"], tmp_path / "found", say=said.append)
    assert set(json.loads(path.read_text())) == {f"scores/{tmp_path.name}"}
