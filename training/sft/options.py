"""The sections of a recipe, checked one by one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from videojudge_bench.judges.engines._mrope import Scheme
from videojudge_bench.judges.engines._video_input import frame_policy
from videojudge_bench.prompted.config import SCORES
from videojudge_bench.prompts.criteria_book import CHECKLISTS
from videojudge_bench.video import FramePolicy

Part = Literal["vision", "projector", "language"]
PARTS: tuple[Part, ...] = ("vision", "projector", "language")

_Share = Annotated[float, Field(gt=0, le=1)]
_Whole = Annotated[int, Field(ge=1)]
_Above = Annotated[float, Field(gt=0)]


class Strict(BaseModel):
    """A section that takes no options but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LoraOptions(Strict):
    """Low-rank adapters in place of the full weights (Hu et al., 2021), by PEFT."""

    rank: _Whole = 64
    alpha: _Whole = 128
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = (
        *("q_proj", "k_proj", "v_proj", "o_proj"),
        *("gate_proj", "up_proj", "down_proj"),
    )


class ModelOptions(Strict):
    """The model that training begins with, and the parts that are trained.

    Attributes:
        pretrained: a folder, or a name on the Hugging Face hub: a Qwen2.5-VL or a Qwen3-VL.
        revision: branch, tag or commit on the hub.
        dtype: of the weights while they are trained.
        attention: transformers' name of the implementation; trees need sdpa or eager.
        vision_attention: of the vision tower; None: as `attention`. With sdpa and transformers
            5 its windows are attended together; with 4.57, flash_attention_2 is faster on a GPU.
        train: parts that are trained; must stay as it is with `lora`.
        lora: adapters in the language model instead of full weights; None: none.
        quantization: `4bit` with `lora`: QLoRA, by bitsandbytes.
        mrope: M-RoPE scheme of Qwen2.5-VL, which the trained model records.
        gradient_checkpointing: recompute activations: a third more time, a fraction of the memory.
        liger: the fused kernels of the package liger-kernel.
    """

    pretrained: str
    revision: str | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    attention: str = "sdpa"
    vision_attention: str | None = None
    train: tuple[Part, ...] = PARTS
    lora: LoraOptions | None = None
    quantization: Literal["4bit"] | None = None
    mrope: Scheme | None = None
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


class FrameOptions(Strict):
    """Frames taken of a video, for training and for the judge; see `FramePolicy`."""

    max_frames: _Whole = 60
    fps: float | None = Field(default=1.0, gt=0)
    min_pixels: int | None = None
    max_pixels: int | None = None
    total_pixels: int | None = None

    def policy(self, factor: int) -> FramePolicy:
        """Return the policy for a model whose frames have sides that are multiples of `factor`."""
        return frame_policy(**self.model_dump(), factor=factor)


class JudgeOptions(Strict):
    """Prompting of the trained judge, as of `PromptedJudge`; the rows must have the same prompts.

    A prompt of this package is named from `training/`: `small_world/prompts/rate.jinja`.
    """

    feedback: bool = True
    rubric: Literal["none", "write"] = "none"
    prompt: str | None = None
    pair_prompt: str | None = None
    criteria: str | None = None
    overall: Literal["weights", "model"] | None = None
    score: str = "expected"
    max_tokens: _Whole = 1024

    @model_validator(mode="after")
    def _is_known(self) -> JudgeOptions:
        if self.score not in SCORES:
            raise ValueError(f"score={self.score!r}: expected one of {', '.join(SCORES)}")
        if self.criteria is not None and self.criteria.endswith(CHECKLISTS):
            raise ValueError("criteria: expected a YAML or JSON file, got a file of checklists")
        return self


class DataOptions(Strict):
    """The rows.

    Attributes:
        rows: folders that `videojudge bootstrap` has written, or `.jsonl` files of rows.
        verdicts: of rows that state one, only these; None: all. Right and wrong responses alone,
            `["1", "5"]`, are an easier first lesson.
        share: of the training rows, drawn by video and instruction: 0.1 is a tenth.
        packing: `tree` puts the rows of a video into one, with shared parts once; `none` does not.
        context: a row longer than so many tokens is left out and listed.
        row_tokens: a tree with more tokens is cut into several.
        verdict_weight: of the tokens of the verdict in the loss, where all others weigh 1.
        answer_weight: of the right answer's tokens, as targets in the places of a response's: at
            each token of the response the model learns the right one, which makes the comparison
            easy to learn. For responses with as many tokens as the right answer. 0: none.
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


class TrainingOptions(Strict):
    """Optimisation, by AdamW.

    Attributes:
        steps: of the optimiser, instead of `epochs` over all rows.
        batch: rows in a step of the optimiser, over all processes; a tree is one row.
        micro_batch: rows that go through the model at once, per process.
        learning_rate: peak.
        schedule: of its decay.
        warmup: share of the steps in which it rises.
        weight_decay: of weights that are no biases or norms.
        mixed_precision: `bf16` computes in bfloat16 and keeps weights as they are; `no` does not.
        workers: processes that prepare rows, per training process.
        save_every: steps between checkpoints.
        log_every: steps between lines of the log.
        report_to: `none`, `wandb`, `tensorboard`, `trackio` …, as transformers' option.
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


class EvaluationOptions(Strict):
    """Measuring on the validation rows while training, by the real judge.

    Attributes:
        every: steps between evaluations. The weights of the best one are saved.
        videos: so many videos, drawn by hash; 0: no evaluation.
        metric: decides which weights are the best: the judge's `spearman` with the labels (its
            `accuracy` on pairs), that of the instruction where it is lowest (`worst_spearman`, for
            a few instructions on many videos), the share of target tokens that are the likeliest
            (`token_accuracy`), or the `loss`.
        stop_above: a stage ends when the metric is above it; None: never.
    """

    every: _Whole = 200
    videos: int = Field(default=50, ge=0)
    metric: Literal["spearman", "worst_spearman", "accuracy", "token_accuracy", "loss"] = "spearman"
    stop_above: float | None = None

    @model_validator(mode="after")
    def _can_stop(self) -> EvaluationOptions:
        if self.stop_above is not None and (not self.videos or self.metric == "loss"):
            raise ValueError("stop_above needs videos above 0 and another metric than loss")
        return self
