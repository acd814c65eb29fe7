"""Estimate of a training run before it starts: tokens, memory, time, money."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.model import parts_of
from videojudge_bench.training.sft.options import PARTS, LoraOptions
from videojudge_bench.training.sft.plan import Bundle, Plan, seen_tokens
from videojudge_bench.training.sft.recipe import Recipe, Stage, steps_of
from videojudge_bench.training.sft.run import prepare


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU."""

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

EFFICIENCY = 0.17
"""Share of the stated throughput that training reaches: on an H100, by the times in
`results/benchmarks/full_size_gpu.json` (3B, all weights: 0.17; 7B, LoRA: 0.17). For other GPUs it
is an assumption.
"""

_FORWARD, _BACKWARD = 2, 4  # operations a weight and token
_FOUR_BITS = 0.55  # bytes a weight, with its share of the scales
_MASK = 3  # bytes a pair of tokens: whether it is seen, and the number to add
_LOGIT = 12  # bytes: as the model gives it, as float32, and its gradient


@dataclass(frozen=True)
class Estimate:
    """Estimate of one stage.

    Attributes:
        state_gb: weights, gradients and optimiser, over all GPUs together.
        activations_gb: of the largest packed row, on its GPU.
        hours: of one GPU.
    """

    steps: int
    tokens: int
    state_gb: float
    activations_gb: float
    hours: float


def estimate_rows(
    recipe: Recipe, gpu_name: str, gpus: int, price: float | None
) -> tuple[list[dict[str, str]], list[str]]:
    """Return the needs of each stage of a recipe as rows of text, and lines about all of it.

    `price` is that of one GPU for one hour.

    Raises:
        ConfigError: a number is out of its range, or as `prepare` raises.
        UnknownNameError: no such GPU.
    """
    if gpus < 1:
        raise ConfigError(f"--gpus: expected 1 or more, got {gpus}")
    if price is not None and price < 0:
        raise ConfigError(f"--price: expected 0 or more, got {price:g}")
    if gpu_name not in GPUS:
        raise UnknownNameError("GPU", gpu_name, GPUS)
    gpu, base = GPUS[gpu_name], BaseModel(recipe.model, recipe.frames)
    base.check()
    rows, hours, most = list[dict[str, str]](), 0.0, 0.0
    for stage in recipe.stages:
        plan = prepare(recipe, stage, base).train
        needs = estimate(plan, base, stage, gpu)
        hours += needs.hours
        most = max(most, needs.state_gb / gpus + needs.activations_gb)
        rows.append(
            {
                "stage": stage.name,
                "rows": f"{plan.rows:,}",
                "left out": f"{len(plan.dropped):,}",
                "steps": f"{needs.steps:,}",
                "tokens": f"{needs.tokens:,}",
                "fewer by trees": f"{plan.separate_tokens / plan.tokens:.1f} x",
                "state GB": f"{needs.state_gb:.1f}",
                "activations GB": f"{needs.activations_gb:.1f}",
                "GPU hours": f"{needs.hours:.2f}",
            }
        )
    shared = "the state dealt out evenly" if gpus > 1 else "all of it"
    fits = "fits" if most < gpu.memory_gb else "does not fit"
    time = f"{hours:.2f} GPU hours, {hours / gpus:.2f} h on {gpus} x {gpu_name}"
    memory = f"{most:.1f} GB a GPU ({shared}), and there are {gpu.memory_gb:g}: it {fits}"
    lines = [f"{time}; {memory}"]
    if price is not None:
        lines.append(f"{hours * price:.2f} at {price:g} for a GPU and hour")
    lines.append(f"Estimates: {EFFICIENCY:.0%} of the GPU's stated bf16 throughput is assumed.")
    return rows, lines


def estimate(plan: Plan, base: BaseModel, stage: Stage, gpu: Gpu) -> Estimate:
    """Return the needs of a stage.

    Operations: 2 a weight and token forward, 4 backward, 2 more with gradient checkpointing (Kaplan
    et al., 2020, who leave out embeddings), the vision tower's by its patches once a packed row;
    and those of attention over the tokens. Memory: states by count, activations by what is kept of
    each layer. A frozen part needs no gradients of its weights.
    """
    steps = steps_of(stage, len(plan.bundles))
    epochs = steps * stage.training.batch / len(plan.bundles)
    counts = weights_by_part(base)
    once = sum(_operations(base, stage, bundle, counts) for bundle in plan.bundles)
    largest = max(plan.bundles, key=lambda bundle: bundle.tokens)
    return Estimate(
        steps=steps,
        tokens=math.ceil(plan.tokens * epochs),
        state_gb=state_bytes(base, stage) / 1e9,
        activations_gb=_activations(base, stage, largest) / 1e9,
        hours=once * epochs / (gpu.bf16_tflops * 1e12 * EFFICIENCY) / 3600,
    )


def _operations(base: BaseModel, stage: Stage, bundle: Bundle, counts: Mapping[str, int]) -> float:
    config, trained = base.checkpoint.text_config, _trained(base)
    again = _FORWARD if base.options.gradient_checkpointing else 0
    language = _FORWARD + again + (_BACKWARD if "language" in trained else _BACKWARD / 2)
    vision = _FORWARD + (again + _BACKWARD if "vision" in trained else 0)
    # A mask of its own is worked out in full; without one, half of the pairs are left out.
    pairs = bundle.tokens**2 / (1 if stage.data.packing == "tree" else 2)
    attention = 4 * pairs * config.hidden_size * config.num_hidden_layers
    seen = counts["vision"] + counts["projector"] / base.patches_per_token
    of_text = language * (counts["language"] * bundle.tokens + attention / _FORWARD)
    return float(of_text + vision * seen * _patches(base, bundle))


def weights_by_part(base: BaseModel) -> dict[str, int]:
    """Return how many weights the parts have, and under `embeddings` those that only look up."""
    counts = dict.fromkeys((*PARTS, "embeddings"), 0)
    for name, count in base.checkpoint.weights().items():
        embeds = "embed_tokens" in name or "lm_head" in name
        counts["embeddings" if embeds else parts_of(name)] += count
    return counts


def state_bytes(base: BaseModel, stage: Stage) -> float:
    """Return the bytes of weights, gradients and Adam's states.

    With float32 weights and mixed precision, the copies in bfloat16 count too. Adam's two numbers
    are float32 where the weights are, else bfloat16.
    """
    options, counts = base.options, weights_by_part(base)
    everything = sum(counts.values())
    size = _itemsize(options.dtype)
    if options.lora is not None:
        held = _FOUR_BITS if options.quantization else size
        return held * everything + adapter_weights(base, options.lora) * (4 + 4 + 8)
    trained = sum(counts[part] for part in options.train)
    trained += counts["embeddings"] if "language" in options.train else 0
    copies = 2 if options.dtype == "float32" and stage.training.mixed_precision == "bf16" else 0
    return everything * (size + copies) + trained * 3 * size


def adapter_weights(base: BaseModel, lora: LoraOptions) -> int:
    """Return how many weights adapters have: rank times the sides of each layer that gets one."""
    config = base.checkpoint.text_config
    hidden, inner = config.hidden_size, config.intermediate_size
    head = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
    queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
    sides = {
        "q_proj": hidden + queries,
        "o_proj": hidden + queries,
        "k_proj": hidden + keys,
        "v_proj": hidden + keys,
        **dict.fromkeys(("gate_proj", "up_proj", "down_proj"), hidden + inner),
    }
    layer = sum(sides.get(target, 0) for target in lora.targets)
    return int(lora.rank * config.num_hidden_layers * layer)


def _trained(base: BaseModel) -> tuple[str, ...]:
    return () if base.options.lora is not None else base.options.train


def _patches(base: BaseModel, bundle: Bundle) -> int:
    return seen_tokens(base, bundle.size) * base.patches_per_token


def _activations(base: BaseModel, stage: Stage, bundle: Bundle) -> float:
    """Of the largest batch: a hidden state a layer, one layer at work, the mask and the logits."""
    config, vision = base.checkpoint.text_config, base.vision
    width = 2 if stage.training.mixed_precision == "bf16" else _itemsize(base.options.dtype)
    kept = config.num_hidden_layers * config.hidden_size * bundle.tokens
    # Queries, keys, values, scores' inputs and the three of the feed-forward layer.
    layer = (8 * config.hidden_size + 3 * config.intermediate_size) * bundle.tokens
    if not base.options.gradient_checkpointing:
        layer *= config.num_hidden_layers
    if "vision" in _trained(base):
        kept += vision.depth * vision.hidden_size * _patches(base, bundle)
    mask = _MASK * bundle.tokens**2 if stage.data.packing == "tree" else 0
    logits = _LOGIT * config.vocab_size * sum(len(row.reply) for row in bundle.rows)
    return float(stage.training.micro_batch * ((kept + layer) * width + mask + logits))


def _itemsize(dtype: str) -> int:
    return {"float32": 4, "bfloat16": 2, "float16": 2}.get(dtype, 4)
