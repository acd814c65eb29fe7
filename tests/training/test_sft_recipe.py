"""Recipes: ours load and say why, and a wrong one is told all its problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.training.sft.recipe import (
    RECIPES_FOLDER,
    Stage,
    load_recipe,
    recipes,
    steps_of,
)
from videojudge_bench.video import FramePolicy

PAPER = {"videojudge_3b", "videojudge_7b", "videojudge_3b_pairwise", "videojudge_7b_pairwise"}
LORA = {"videojudge_7b_lora_80gb", "videojudge_3b_lora_24gb"}
CONFIGURATIONS = RECIPES_FOLDER.parents[1] / "accelerate"
BASE = """\
model: {pretrained: some/model}
data: {rows: [rows.jsonl]}
training: {learning_rate: 1.0e-4}
"""
STAGED = """\
model: {pretrained: some/model}
data: {rows: [rows.jsonl], videos: here}
training: {learning_rate: 1.0e-4, batch: 4}
stages:
  - {name: describe, data: {kinds: [describe]}, training: {steps: 5}}
  - {name: judge, training: {learning_rate: 1.0e-5}}
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refused(folder: Path, text: str, *changes: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_recipe(written(folder, text), changes)
    return str(caught.value)


def the_stage(text: str, folder: Path, *changes: str) -> Stage:
    (stage,) = load_recipe(written(folder, text), changes).stages
    return stage


# Ours.


def test_our_recipes_are_there() -> None:
    assert {*PAPER, *LORA, "videojudger_3b", "smoke_cpu"} <= set(recipes())


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_of_ours_loads_and_has_frames_that_go_together(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert isinstance(recipe.frames.policy(28), FramePolicy)


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_of_ours_gives_its_launch_line_and_a_reason_for_each_option(name: str) -> None:
    text = (RECIPES_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    head = lines[: next(n for n, line in enumerate(lines) if not line.startswith("#"))]
    assert any("train --recipe" in line and name in line for line in head)
    options = [line for line in lines[len(head) :] if line and not line.lstrip().startswith("#")]
    bare = [line for line in options if not line.endswith(":") and " # " not in line]
    assert bare == []


@pytest.mark.parametrize("name", sorted(PAPER))
def test_the_paper_is_followed(name: str) -> None:
    recipe = load_recipe(name)
    (stage,) = recipe.stages
    training = stage.training
    assert recipe.model.pretrained == f"Qwen/Qwen2.5-VL-{name[11]}B-Instruct"
    assert recipe.model.lora is None
    assert recipe.model.train == ("vision", "projector", "language")
    assert (recipe.frames.max_frames, recipe.frames.fps) == (60, 1.0)
    assert stage.data.context == 128 * 1024
    found: tuple[object, ...] = (
        *(training.epochs, training.learning_rate, training.schedule, training.warmup),
        *(training.weight_decay, training.max_grad_norm, training.mixed_precision),
    )
    assert found == (2, 2e-7, "cosine", 0.03, 0, 1, "bf16")
    assert recipe.model.dtype == "float32"  # or steps of 2e-7 would be lost


def test_the_recipe_with_rubrics_asks_for_them() -> None:
    recipe = load_recipe("videojudger_3b")
    assert recipe.judge.rubric == "write"
    assert recipe.stages[0].data.kinds == ("rubric",)


@pytest.mark.parametrize("path", sorted(CONFIGURATIONS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_configuration_of_accelerate_is_one_and_gives_its_launch_line(path: Path) -> None:
    from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

    assert isinstance(load_config_from_file(str(path)), ClusterConfig)  # raises on unknown keys
    text = path.read_text(encoding="utf-8")
    assert f"accelerate launch --config_file training/accelerate/{path.name}" in text


def test_there_are_four_configurations_and_recipes_name_only_them() -> None:
    there = {path.name for path in CONFIGURATIONS.glob("*.yaml")}
    assert there == {"one_gpu.yaml", "several_gpus.yaml", "fsdp2.yaml", "zero3.yaml"}
    for name in recipes():
        text = (RECIPES_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
        named = [word for word in text.split() if word.startswith("training/accelerate/")]
        assert {Path(word).name for word in named} <= there


def test_the_paper_s_data_take_about_as_many_steps_as_the_paper_s(tmp_path: Path) -> None:
    # 20,765 seeds of five responses, 2 epochs: 2 x 103,825 / 16 = 12,978 in the paper.
    stage = load_recipe("videojudge_3b").stages[0]
    assert steps_of(stage, 20_765) == 13_843  # floor(2 x 20,765 / 3)
    assert steps_of(the_stage(BASE, tmp_path, "training.steps=7"), 20_765) == 7
    assert steps_of(stage, 1) == 1


# One's own.


def test_all_problems_are_told_at_once_with_what_was_meant(tmp_path: Path) -> None:
    told = refused(
        tmp_path,
        """\
modell: {pretrained: x}
model: {pretrained: some/model, dtyp: float32, lora: {rank: 0}}
frames: {max_frame: 3}
data: {rows: [a], packing: trees}
training: {learning_rate: -1, batchs: 2}
evaluation: {metric: pearson}
""",
    )
    assert "8 problems" in told
    for part in (
        "unknown option 'modell'. Did you mean 'model'?",
        "unknown option in model 'dtyp'. Did you mean 'dtype'?",
        "model.lora.rank: Input should be greater than or equal to 1",
        "unknown option in frames 'max_frame'. Did you mean 'max_frames'?",
        "data.packing: Input should be 'tree' or 'none'",
        "training.learning_rate: Input should be greater than 0",
        "unknown option in training 'batchs'. Did you mean 'batch'?",
        (
            "evaluation.metric: Input should be 'spearman', 'worst_spearman', 'accuracy', "
            "'token_accuracy' or 'loss'"
        ),
    ):
        assert part in told


def test_problems_of_all_stages_are_told_with_the_stage(tmp_path: Path) -> None:
    text = STAGED.replace("kinds:", "kind:").replace("1.0e-5", "fast").replace("judge", "train")
    told = refused(tmp_path, text + "  - {name: train}\n")
    assert "stage describe: unknown option in data 'kind'. Did you mean 'kinds'?" in told
    assert "stage train: training.learning_rate: Input should be a valid number" in told
    assert "2 stages are called 'train'" in told


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            ("model.dtype=bfloat16", "training.learning_rate=2.0e-7"),
            (
                "training.learning_rate=2e-07 with model.dtype=bfloat16: steps this small are "
                "rounded to nothing; give model.dtype=float32"
            ),
        ),
        (
            ("model.attention=flash_attention_2",),
            (
                "data.packing=tree with model.attention=flash_attention_2: a tree needs a mask "
                "of its own, which sdpa and eager take; give one of them, or data.packing=none"
            ),
        ),
        (("training.micro_batch=3",), "batch=16 is no multiple of micro_batch=3"),
        (("model.train=[]",), "train is empty: name at least one of vision, projector, language"),
        (
            ("model.train=[language]", "model.lora={rank: 8}"),
            "train is for full weights; with lora, leave it out",
        ),
        (
            ("model.quantization=4bit",),
            "quantization=4bit trains adapters alone; give lora: {rank: 64}",
        ),
        (
            ("evaluation.stop_above=0.9", "evaluation.metric=loss"),
            "stop_above needs videos above 0 and another metric than loss",
        ),
        (("judge.score=mean",), "score='mean': expected one of "),
        (("data.share=0",), "data.share: Input should be greater than 0"),
        (("stages.judge.data.share=1",), "the recipe has no stages"),
        (("model",), "--override: expected KEY=VALUE, got 'model'"),
        (
            ("model.pretrained.name=x",),
            "--override model.pretrained.name=…: pretrained holds no opti",
        ),
        (("seed=[",), "--override 'seed=[': the value is no YAML"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, changes: tuple[str, ...], text: str) -> None:
    assert text in refused(tmp_path, BASE, *changes)


def test_what_only_seems_to_be_wrong_is_taken(tmp_path: Path) -> None:
    for changes in (
        ["model.dtype=bfloat16", "model.lora={rank: 8}", "training.learning_rate=1.0e-6"],
        ["model.dtype=float32", "training.learning_rate=2.0e-7"],
        ["model.attention=flash_attention_2", "data.packing=none"],
    ):
        assert the_stage(BASE, tmp_path, *changes)


def test_stages_take_what_they_do_not_say_from_beside_them(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, STAGED), ["stages.judge.training.steps=10", "seed=3"])
    one, two = recipe.stages
    assert (one.name, two.name, recipe.seed) == ("describe", "judge", 3)
    assert (one.data.kinds, two.data.kinds) == (("describe",), ("pointwise",))
    assert one.data.videos == two.data.videos == "here"
    assert (one.training.steps, two.training.steps) == (5, 10)
    assert (one.training.learning_rate, two.training.learning_rate) == (1e-4, 1e-5)
    assert one.training.batch == two.training.batch == 4


def test_a_stage_that_is_not_there_is_told(tmp_path: Path) -> None:
    told = refused(tmp_path, STAGED, "stages.judges.training.steps=10")
    assert "the stages are describe, judge" in told
    assert "stages: expected a list of sections" in refused(tmp_path, f"{BASE}stages: {{a: 1}}\n")


def test_recipes_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'videojudge_3b"):
        load_recipe("videojudge_3")
    assert "expected `key: value` lines" in refused(tmp_path, "- a\n")
    assert "cannot be read" in refused(tmp_path, "a: [\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(str(tmp_path / "none.yaml"))


def test_a_recipe_is_kept_with_all_its_options(tmp_path: Path) -> None:
    kept = load_recipe(written(tmp_path, STAGED)).to_json()
    assert yaml.safe_load(yaml.safe_dump(kept)) == kept
    assert [stage["name"] for stage in kept["stages"]] == ["describe", "judge"]  # type: ignore[index,call-overload,union-attr]
    assert kept["model"]["attention"] == "sdpa"  # type: ignore[index,call-overload]
