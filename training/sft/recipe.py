"""What a training run is to do: recipes in YAML, checked at the border, every problem at once.

A recipe has the sections below. `stages` may list several trainings, each going on with the
weights of the one before; what a stage does not say, the sections beside it say.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from videojudge_bench.training.recipe_file import checked, make_change, read_recipe, recipes_in

from videojudge_bench.errors import ConfigError
from videojudge_bench.hashing import Json
from videojudge_bench.prompted import SCORES
from videojudge_bench.video import FramePolicy

_TRAINING_FOLDER = Path(__file__).parents[1]
RECIPES_FOLDER = _TRAINING_FOLDER / "recipes" / "sft"

Part = Literal["vision", "projector", "language"]
PARTS: tuple[Part, ...] = ("vision", "projector", "language")

LOST_BELOW = 1e-5
"""Learning rates below this change bfloat16 weights hardly at all. A weight of 0.01 has neighbours
4e-5 away, and Adam's steps are about as large as the learning rate: most are rounded to nothing."""

_Share = Annotated[float, Field(gt=0, le=1)]
_Whole = Annotated[int, Field(ge=1)]
_Above = Annotated[float, Field(gt=0)]
_Section = TypeVar("_Section", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LoraOptions(_Strict):
    """Low-rank adapters in place of the full weights (Hu et al., 2021), by PEFT.

    Attributes:
        rank: of the two matrices.
        alpha: their product counts alpha / rank.
        dropout: before them, in training.
        targets: names of the layers that get them.
    """

    rank: _Whole = 64
    alpha: _Whole = 128
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = (
        *("q_proj", "k_proj", "v_proj", "o_proj"),
        *("gate_proj", "up_proj", "down_proj"),
    )


class ModelOptions(_Strict):
    """The model that training begins with, and which of it is trained.

    Attributes:
        pretrained: a folder, or a name on the Hugging Face hub: a Qwen2.5-VL or a Qwen3-VL.
        revision: branch, tag or commit on the hub.
        dtype: of the weights while they are trained.
        attention: transformers' name of the implementation; trees need sdpa or eager.
        train: the parts that are trained, the others are frozen. With `lora`, adapters in the
            language model are trained and this must stay as it is.
        lora: adapters instead of full weights; None: none.
        quantization: `4bit` with `lora`: QLoRA, by bitsandbytes.
        gradient_checkpointing: work activations out again instead of keeping them: a third more
            time, a fraction of the memory.
        liger: the fused kernels of the package liger-kernel.
    """

    pretrained: str
    revision: str | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    attention: str = "sdpa"
    train: tuple[Part, ...] = PARTS
    lora: LoraOptions | None = None
    quantization: Literal["4bit"] | None = None
    gradient_checkpointing: bool = True
    liger: bool = False

    @model_validator(mode="after")
    def _goes_together(self) -> ModelOptions:
        if self.quantization and not self.lora:
            raise ValueError("quantization=4bit trains adapters alone; give lora: {rank: 64}")
        if not self.train:
            raise ValueError(f"train is empty: name at least one of {', '.join(PARTS)}")
        if self.lora and self.train != PARTS:
            raise ValueError("train is for full weights; with lora, leave it out")
        return self


class FrameOptions(_Strict):
    """Which frames of a video are shown; see `FramePolicy`. The judge has to see the same."""

    max_frames: _Whole = 60
    fps: float | None = Field(default=1.0, gt=0)
    min_pixels: int | None = None
    max_pixels: int | None = None
    total_pixels: int | None = None

    def policy(self, factor: int) -> FramePolicy:
        """Return the policy for a model whose frames have sides that are multiples of `factor`.

        Raises:
            ConfigError: the limits contradict each other.
        """
        own = FramePolicy()
        return FramePolicy(
            max_frames=self.max_frames,
            fps=self.fps,
            min_pixels=own.min_pixels if self.min_pixels is None else self.min_pixels,
            max_pixels=own.max_pixels if self.max_pixels is None else self.max_pixels,
            total_pixels=self.total_pixels,
            factor=factor,
        )


class JudgeOptions(_Strict):
    """How the judge that is trained will be asked: as `PromptedJudge` has it.

    The rows must have been written with the same prompts; that is checked before training. A prompt
    of this package is named from `training/`: `small_world/prompts/rate.jinja`.
    """

    feedback: bool = True
    rubric: Literal["none", "write"] = "none"
    prompt: str | None = None
    pair_prompt: str | None = None
    score: str = "expected"
    max_tokens: _Whole = 1024

    @model_validator(mode="after")
    def _is_known(self) -> JudgeOptions:
        if self.score not in SCORES:
            raise ValueError(f"score={self.score!r}: it is one of {', '.join(SCORES)}")
        return self


def prompt_path(path: str) -> Path:
    """Return where a prompt lies; a file below `training/` of this package is named from there."""
    beside_recipes = _TRAINING_FOLDER / path
    return beside_recipes if beside_recipes.is_file() else Path(path)


class DataOptions(_Strict):
    """The rows.

    Attributes:
        rows: folders that `videojudge bootstrap` has written, or `.jsonl` files of rows.
        videos: the folder that the rows' videos lie in.
        kinds: which rows.
        verdicts: of rows that state one, only these; None: all. Responses that are wholly right or
            wholly wrong alone, `["1", "5"]`, are an easier first lesson.
        share: of the training rows, drawn by video and instruction: 0.1 is a tenth.
        packing: `tree` puts the rows of a video into one, with what they share in it once; `none`
            gives each its own.
        context: a row longer than so many tokens is left out and listed.
        row_tokens: a tree with more tokens is cut into several.
        verdict_weight: of the tokens of the verdict in the loss, where all others count 1.
        answer_weight: of the tokens of responses that deserve the highest rating, as if the model
            had answered so; 0: they are only read. It keeps alive, where the model reads a
            response, the sense of what would be right there.
    """

    rows: tuple[str, ...]
    videos: str | None = None
    kinds: tuple[str, ...] = ("pointwise",)
    verdicts: tuple[str, ...] | None = None
    share: _Share = 1.0
    packing: Literal["tree", "none"] = "tree"
    context: _Whole = 131_072
    row_tokens: _Whole = 32_768
    verdict_weight: _Above = 1.0
    answer_weight: float = Field(default=0.0, ge=0)


class TrainingOptions(_Strict):
    """Optimisation, by AdamW.

    Attributes:
        epochs: over all rows.
        steps: of the optimiser, instead of `epochs`.
        batch: rows in a step of the optimiser, over all processes; a tree is one row.
        micro_batch: rows that go through the model at once, per process.
        learning_rate: the highest.
        schedule: how it goes down again.
        warmup: share of the steps in which it goes up.
        weight_decay: of weights that are no biases or norms.
        max_grad_norm: longer gradients are shortened to it.
        beta2: Adam's memory of squares.
        mixed_precision: `bf16` computes in bfloat16 and keeps weights as they are; `no` does not.
        workers: processes that make rows ready, per training process.
        save_every: steps from one checkpoint to the next.
        log_every: steps from one line of the log to the next.
        report_to: where the Trainer sends its log beside the folder: `none`, `wandb`,
            `tensorboard`, `trackio` …
    """

    epochs: _Above = 2.0
    steps: _Whole | None = None
    batch: _Whole = 16
    micro_batch: _Whole = 1
    learning_rate: _Above
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup: float = Field(default=0.03, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: _Above = 1.0
    beta2: float = Field(default=0.999, gt=0, lt=1)
    mixed_precision: Literal["bf16", "no"] = "bf16"
    workers: int = Field(default=2, ge=0)
    save_every: _Whole = 200
    log_every: _Whole = 10
    report_to: str = "none"

    @model_validator(mode="after")
    def _divides(self) -> TrainingOptions:
        if self.batch % self.micro_batch:
            raise ValueError(f"batch={self.batch} is no multiple of micro_batch={self.micro_batch}")
        return self


class EvaluationOptions(_Strict):
    """Measuring on the validation rows while training, by the real judge.

    Attributes:
        every: steps from one evaluation to the next; a multiple or a divisor of `save_every`, so
            that the best weights are among the saved ones.
        videos: so many videos, drawn by hash; 0: no evaluation.
        metric: what decides which weights are the best: the judge's `spearman` with the labels, the
            share of target tokens that are the likeliest (`token_accuracy`), or the `loss`.
        stop_above: a stage ends when the metric is above it; None: never.
    """

    every: _Whole = 200
    videos: int = Field(default=50, ge=0)
    metric: Literal["spearman", "token_accuracy", "loss"] = "spearman"
    stop_above: float | None = None

    @model_validator(mode="after")
    def _can_stop(self) -> EvaluationOptions:
        if self.stop_above is not None and (not self.videos or self.metric == "loss"):
            raise ValueError("stop_above needs videos above 0 and another metric than loss")
        return self


class _Stage(_Strict):
    name: str = Field(default="train", pattern=r"^[a-z0-9_]+$")
    data: DataOptions
    training: TrainingOptions
    evaluation: EvaluationOptions = EvaluationOptions()


class _Beside(_Strict):
    model: ModelOptions
    frames: FrameOptions = FrameOptions()
    judge: JudgeOptions = JudgeOptions()
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Stage:
    """One training: rows, optimisation, evaluation."""

    name: str
    data: DataOptions
    training: TrainingOptions
    evaluation: EvaluationOptions


@dataclass(frozen=True)
class Recipe:
    """A training run.

    Attributes:
        name: of the recipe that it comes from.
        model: where it begins.
        frames: what is seen of a video.
        judge: how the result is asked.
        seed: of the order of rows, of new weights and of dropout.
        stages: one after another.
    """

    name: str
    model: ModelOptions
    frames: FrameOptions
    judge: JudgeOptions
    seed: int
    stages: tuple[Stage, ...]

    def to_json(self) -> dict[str, Json]:
        """Return all options."""
        sections = {"model": self.model, "frames": self.frames, "judge": self.judge}
        return {
            "recipe": self.name,
            **{name: section.model_dump(mode="json") for name, section in sections.items()},
            "seed": self.seed,
            "stages": [
                {
                    "name": stage.name,
                    "data": stage.data.model_dump(mode="json"),
                    "training": stage.training.model_dump(mode="json"),
                    "evaluation": stage.evaluation.model_dump(mode="json"),
                }
                for stage in self.stages
            ],
        }


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


def load_recipe(recipe: str, changes: Sequence[str] = ()) -> Recipe:
    """Return a recipe with some options changed.

    Args:
        recipe: one of `recipes()`, or a `.yaml` file.
        changes: `key=value` with the value in YAML; `model.pretrained=…` reaches inside, and
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
    made = [
        _section(_Stage, _merged(shared, stage), _STAGED, problems, where=_place(listed, stage))
        for stage in stages
    ]
    names = Counter(str(stage.get("name", "train")) for stage in stages)
    problems += [f"{n} stages are called {name!r}" for name, n in names.items() if n > 1]
    if whole is not None:
        problems += _together(whole.model, [stage for stage in made if stage is not None])
    if problems:
        raise ConfigError.all_of(f"recipe {recipe}", list(dict.fromkeys(problems)))
    assert whole is not None
    return Recipe(
        name=Path(recipe).stem,
        model=whole.model,
        frames=whole.frames,
        judge=whole.judge,
        seed=whole.seed,
        stages=tuple(Stage(s.name, s.data, s.training, s.evaluation) for s in made if s),
    )


def _together(model: ModelOptions, stages: Sequence[_Stage]) -> list[str]:
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
            raise ConfigError(f"--set {changes[0]!r}: the recipe has no stages")
        return [{}]
    if not isinstance(listed, list) or not all(isinstance(stage, dict) for stage in listed):
        raise ConfigError("stages: it is a list of sections with a `name`")
    found = {str(stage.get("name")): stage for stage in listed}
    for change in changes:
        key, _, value = change.partition("=")
        _, _, rest = key.partition(".")
        name, _, inner = rest.partition(".")
        if name not in found or not inner:
            raise ConfigError(
                f"--set {change!r}: it is stages.NAME.SECTION.OPTION=VALUE, and the stages are "
                f"{', '.join(found)}"
            )
        make_change(found[name], f"{inner}={value}")
    return listed


def _merged(shared: Mapping[str, object], stage: Mapping[str, object]) -> dict[str, object]:
    """What a stage says, on top of what is said for all."""
    merged: dict[str, object] = {**shared, **stage}
    for name in _STAGED:
        below, above = shared.get(name), stage.get(name)
        if isinstance(below, dict) and isinstance(above, dict):
            merged[name] = {**below, **above}
    return merged


def _place(listed: object, stage: Mapping[str, object]) -> str:
    return f"stage {stage.get('name', '?')}" if listed is not None else ""


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
    made, found = checked(options, data, names)
    problems += [f"{where}: {problem}" if where else problem for problem in found]
    return made
