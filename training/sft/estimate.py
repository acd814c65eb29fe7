"""What a training run will need, before it is begun: tokens, memory, time, money."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.options import ModelOptions
from videojudge_bench.training.sft.plan import Plan
from videojudge_bench.training.sft.recipe import Stage, steps_of

from videojudge_bench.errors import UnknownNameError


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU.

    Attributes:
        memory_gb: what a program can have of it.
        bf16_tflops: dense bfloat16, as its maker states it.
    """

    memory_gb: float
    bf16_tflops: float


GPUS: Mapping[str, Gpu] = MappingProxyType(
    {
        "h200": Gpu(140, 989),
        "h100": Gpu(79, 989),
        "a100-80": Gpu(79, 312),
        "a100-40": Gpu(39, 312),
        "l40s": Gpu(47, 362),
        "rtx4090": Gpu(23.5, 165),
        "rtx3090": Gpu(23.5, 71),
    }
)
"""Memory and dense bf16 throughput from the makers' data sheets."""

EFFICIENCY = 0.4
"""Share of the stated throughput that training reaches, an assumption; see README for what was
measured."""

_ADAM_BYTES = 8  # two float32 numbers a weight
_GRADIENT_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2}
_FORWARD, _BACKWARD, _AGAIN = 2, 4, 2  # operations a weight and token; AGAIN with checkpointing


@dataclass(frozen=True)
class Estimate:
    """What one stage needs.

    Attributes:
        steps: of the optimiser.
        tokens: through the model, over all epochs.
        state_gb: weights, gradients and optimiser, over all GPUs together.
        activations_gb: what the largest packed row adds on its GPU.
        hours: of one GPU.
    """

    steps: int
    tokens: int
    state_gb: float
    activations_gb: float
    hours: float


def gpu_named(name: str) -> Gpu:
    """Return a kind of GPU.

    Raises:
        UnknownNameError: it is not in the table.
    """
    if name not in GPUS:
        raise UnknownNameError("GPU", name, GPUS)
    return GPUS[name]


def estimate(plan: Plan, base: BaseModel, stage: Stage, gpu: Gpu) -> Estimate:
    """Return what a stage needs.

    Operations: 2 a weight and token forward, 4 backward, 2 more with gradient checkpointing (Kaplan
    et al., 2020), and those of attention over the tokens that see each other. Memory: states by
    count, activations by one number a layer and token with checkpointing.

    Args:
        plan: the rows.
        base: the model.
        stage: how it is trained.
        gpu: on which.
    """
    bundles = plan.bundles
    steps = steps_of(stage, len(bundles))
    shown = steps * stage.training.batch
    tokens = math.ceil(plan.tokens * shown / len(bundles))
    weights = base.checkpoint.weights_bytes() / _itemsize(base.checkpoint.dtype_name)
    per_weight = _FORWARD + _BACKWARD + (_AGAIN if base.options.gradient_checkpointing else 0)
    if base.options.lora is not None:
        per_weight -= _FORWARD  # no gradients of the weights themselves
    config = base.checkpoint.text_config
    longest = max(bundle.tokens for bundle in bundles)
    seen = sum(bundle.tokens**2 for bundle in bundles) / 2 / len(bundles) * shown
    attention = 4 * seen * config.hidden_size * config.num_hidden_layers * per_weight / _FORWARD
    operations = per_weight * weights * tokens + attention
    return Estimate(
        steps=steps,
        tokens=tokens,
        state_gb=state_bytes(base.options, weights) / 1e9,
        activations_gb=_activations(base, stage, longest) / 1e9,
        hours=operations / (gpu.bf16_tflops * 1e12 * EFFICIENCY) / 3600,
    )


def state_bytes(options: ModelOptions, weights: float) -> float:
    """Return the bytes of weights, gradients and Adam's states."""
    if options.lora is not None:
        held = 0.55 if options.quantization else _itemsize(options.dtype)
        adapters = 0.01 * options.lora.rank / 32 * weights  # all linear layers, rank 32: about 1 %
        return held * weights + adapters * (4 + 4 + _ADAM_BYTES)
    own = _itemsize(options.dtype)
    adam = _ADAM_BYTES if options.dtype == "float32" else 4
    return weights * (own + _GRADIENT_BYTES[options.dtype] + adam)


def _activations(base: BaseModel, stage: Stage, tokens: int) -> float:
    """Of the largest batch: one bfloat16 hidden state a layer, and one layer worked out again."""
    config = base.checkpoint.text_config
    width = 2 if stage.training.mixed_precision == "bf16" else 4
    rows = stage.training.micro_batch * tokens
    kept = config.num_hidden_layers * config.hidden_size * width * rows
    # Queries, keys, values, scores' inputs and the three of the feed-forward layer.
    layer = (8 * config.hidden_size + 3 * config.intermediate_size) * width * rows
    mask = stage.training.micro_batch * tokens**2 * 3 if stage.data.packing == "tree" else 0
    whole = layer if base.options.gradient_checkpointing else layer * config.num_hidden_layers
    return float(kept + whole + mask)


def _itemsize(dtype: str) -> int:
    return {"float32": 4, "bfloat16": 2, "float16": 2}.get(dtype, 4)
