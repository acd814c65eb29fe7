"""Recipes of training runs in YAML, validated with all problems reported at once.

`stages` may list several trainings, each starting from the weights of the one before; sections
beside it hold what a stage leaves out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError
from videojudge_bench.training.recipe_file import checked, make_change, read_recipe, recipes_in
from videojudge_bench.training.sft.options import (
    DataOptions,
    EvaluationOptions,
    FrameOptions,
    JudgeOptions,
    ModelOptions,
    Strict,
    TrainingOptions,
)

RECIPES_FOLDER = Path(__file__).parents[1] / "recipes" / "sft"

LOST_BELOW = 1e-5
"""Learning rates below this change bfloat16 weights hardly at all. A weight of 0.01 has neighbours
4e-5 away, and Adam's steps are about as large as the learning rate: most are rounded to nothing."""

_Section = TypeVar("_Section", bound=BaseModel)


class Stage(Strict):
    """One training: rows, optimisation, evaluation."""

    name: str = Field(default="train", pattern=r"^[a-z0-9_]+$")
    data: DataOptions
    training: TrainingOptions
    evaluation: EvaluationOptions = EvaluationOptions()


class _Beside(Strict):
    model: ModelOptions
    frames: FrameOptions = FrameOptions()
    judge: JudgeOptions = JudgeOptions()
    seed: int = Field(default=0, ge=0)


class Recipe(_Beside):
    """A training run: the sections, the recipe's name, and its stages, one after another.

    `seed` is that of the order of rows, of new weights and of dropout.
    """

    name: str
    stages: tuple[Stage, ...]

    def to_json(self) -> dict[str, Json]:
        """Return all options."""
        return {"recipe": self.name, **self.model_dump(mode="json", exclude={"name"})}


def steps_of(stage: Stage, rows: int) -> int:
    """Return how many steps of the optimiser a stage takes."""
    training = stage.training
    if training.steps is not None:
        return training.steps
    return max(1, math.floor(training.epochs * rows / training.batch))


_BESIDE: Mapping[str, type[BaseModel]] = {
    "model": ModelOptions,
    "frames": FrameOptions,
    "judge": JudgeOptions,
}
_STAGED: Mapping[str, type[BaseModel]] = {
    "data": DataOptions,
    "training": TrainingOptions,
    "evaluation": EvaluationOptions,
}


def recipes() -> list[str]:
    """Return the names of our recipes."""
    return recipes_in(RECIPES_FOLDER)


def configurations() -> list[Path]:
    """Return our configurations of accelerate."""
    return sorted((Path(__file__).parents[1] / "accelerate").glob("*.yaml"))


def load_recipe(recipe: str, changes: Sequence[str] = ()) -> Recipe:
    """Return a recipe, one of `recipes()` or a `.yaml` file, with some options changed.

    Changes are `key=value` with the value in YAML; `model.pretrained=…` reaches inside, and
    `stages.judge.training.steps=10` into the stage called `judge`.

    Raises:
        UnknownNameError: no such recipe.
        ConfigError: the file is no YAML, or options are unknown, missing or of a wrong kind; all
            of them in one message.
    """
    own = [change for change in changes if not change.startswith("stages.")]
    data = read_recipe(recipe, own, folder=RECIPES_FOLDER)
    listed = data.pop("stages", None)
    stages = _stages_of(listed, [c for c in changes if c not in own])
    shared = {name: data.pop(name) for name in _STAGED if name in data}
    problems: list[str] = []
    whole = _section(_Beside, data, _BESIDE, problems, where="")
    checked_stages = [
        _section(
            Stage,
            _merged(shared, stage),
            _STAGED,
            problems,
            where="" if listed is None else f"stage {stage.get('name', '?')}",
        )
        for stage in stages
        for place in ["" if listed is None else f"stage {stage.get('name', '?')}"]
    ]
    names = Counter(str(stage.get("name", "train")) for stage in stages)
    problems += [f"{n} stages are called {name!r}" for name, n in names.items() if n > 1]
    if whole is not None:
        problems += _together(whole.model, [stage for stage in checked_stages if stage is not None])
    if problems:
        raise ConfigError.all_of(f"recipe {recipe}", list(dict.fromkeys(problems)))
    assert whole is not None
    stages_made = tuple(stage for stage in checked_stages if stage is not None)
    return Recipe(name=Path(recipe).stem, stages=stages_made, **dict(whole))


def _together(model: ModelOptions, stages: Sequence[Stage]) -> list[str]:
    problems: list[str] = []
    for stage in stages:
        rate = stage.training.learning_rate
        if model.dtype == "bfloat16" and not model.lora and rate < LOST_BELOW:
            problems.append(
                f"training.learning_rate={rate:g} with model.dtype=bfloat16: steps this small are "
                "rounded to nothing; give model.dtype=float32 (with training.mixed_precision=bf16 "
                "the work is still done in bfloat16)"
            )
        if stage.data.packing == "tree" and model.attention not in ("sdpa", "eager"):
            problems.append(
                f"data.packing=tree with model.attention={model.attention}: a tree needs a mask of "
                "its own, which sdpa and eager take; give one of them, or data.packing=none"
            )
    return problems


def _stages_of(listed: object, changes: Sequence[str]) -> list[dict[str, object]]:
    if listed is None:
        if changes:
            raise ConfigError(f"--override {changes[0]!r}: the recipe has no stages")
        return [{}]
    if not isinstance(listed, list) or not all(isinstance(stage, dict) for stage in listed):
        raise ConfigError("stages: expected a list of sections with a `name`")
    by_name = {str(stage.get("name")): stage for stage in listed}
    for change in changes:
        key, _, value = change.partition("=")
        _, _, rest = key.partition(".")
        name, _, inner = rest.partition(".")
        if name not in by_name or not inner:
            raise ConfigError(
                f"--override: expected stages.NAME.SECTION.OPTION=VALUE, got {change!r}; the "
                f"stages are {', '.join(by_name)}"
            )
        make_change(by_name[name], f"{inner}={value}")
    return listed


def _merged(shared: Mapping[str, object], stage: Mapping[str, object]) -> dict[str, object]:
    merged: dict[str, object] = {**shared, **stage}
    for name in _STAGED:
        below, above = shared.get(name), stage.get(name)
        if isinstance(below, dict) and isinstance(above, dict):
            merged[name] = {**below, **above}
    return merged


def _section(
    options: type[_Section],
    data: Mapping[str, object],
    inner: Mapping[str, type[BaseModel]],
    problems: list[str],
    *,
    where: str,
) -> _Section | None:
    """Return the options, or None after adding what is wrong to `problems`."""
    names = {name: list(section.model_fields) for name, section in inner.items()}
    validated, faults = checked(options, data, names)
    problems += [f"{where}: {problem}" if where else problem for problem in faults]
    return validated
