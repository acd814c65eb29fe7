"""Loading of the model to train, and choice of the weights that are trained."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench.errors import ConfigError, MissingPackageError
from videojudge_bench.judges.engines._hub_format import hub_name
from videojudge_bench.judges.engines._tree_attention import attend_to_trunks_apart
from videojudge_bench.judges.engines._windows import attend_in_windows_at_once
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.options import PARTS, LoraOptions, ModelOptions, Part

if TYPE_CHECKING:
    from videojudge_bench.judges.engines._model_types import Model

_MERGER = ("merger", "deepstack_merger_list")


def load_model(base: BaseModel, *, weights: str | None = None) -> Model:
    """Return the model, ready to be trained: parts frozen, adapters put in.

    `weights` is a folder to load instead of the base's weights: adapters, if the recipe trains
    them.

    Raises:
        ConfigError: it cannot be loaded, or has no layer of the names that adapters are for.
        MissingPackageError: an optional package is needed.
    """
    import torch

    options = base.options
    if options.liger:
        _use_liger(base)
    arguments: dict[str, object] = {
        "dtype": getattr(torch, options.dtype),
        "attn_implementation": _attention(options),
        "revision": options.revision,
    }
    if options.quantization:
        arguments["quantization_config"] = _four_bits()
    source = str(base.checkpoint.folder or options.pretrained)
    if weights is not None and options.lora is None:
        source, arguments["revision"] = weights, None
    try:
        auto = importlib.import_module("transformers").AutoModelForImageTextToText
        model: Model = auto.from_pretrained(source, **arguments)
    except (OSError, ValueError, ImportError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"model.pretrained={source} cannot be loaded: {reason}") from error
    model.config.use_cache = False
    attend_in_windows_at_once(model)
    attend_to_trunks_apart(model)
    if options.lora is not None:
        return _with_adapters(model, options.lora, base, weights)
    _freeze(model, options.train)
    return model


def _attention(options: ModelOptions) -> str | dict[str, str]:
    """One implementation for the whole model, or another for its vision tower."""
    if options.vision_attention is None:
        return options.attention
    return {
        "": options.attention,
        "text_config": options.attention,
        "vision_config": options.vision_attention,
    }


def parts_of(name: str) -> Part:
    """Return the part of the model that a parameter belongs to, by its name."""
    places = name.split(".")
    if "visual" not in places:
        return "language"
    return "projector" if any(place in places for place in _MERGER) else "vision"


def ties_words(model: Model) -> bool:
    """Return whether the output and the input embeddings are the same weights.

    `tie_word_embeddings` does not tell: for Qwen2.5-VL transformers 4.57 heeds that of the text's
    configuration and 5 the outer one, and 5 does not tie weights that a checkpoint has twice and
    different.
    """
    return model.get_output_embeddings().weight is model.get_input_embeddings().weight


def put_weights(model: Model, folder: Path, base: BaseModel) -> None:
    """Give a model the weights of a checkpoint, whose names are those of the hub.

    Raises:
        ConfigError: the checkpoint has not all of them.
    """
    from safetensors.torch import load_file

    own = {hub_name(name, base.checkpoint.kind): name for name in model.state_dict()}
    tensors = {
        own.get(name, name): tensor
        for path in sorted(folder.glob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }
    missing, unknown = model.load_state_dict(tensors, strict=False)
    if ties_words(model):
        missing = [name for name in missing if not name.endswith("lm_head.weight")]
    if missing or unknown:
        raise ConfigError(
            f"{folder} does not hold the weights of {base.options.pretrained}: "
            f"{', '.join([*missing, *unknown][:3])} …; remove it"
        )


def _freeze(model: Model, train: tuple[Part, ...]) -> None:
    counts = dict.fromkeys(PARTS, 0)
    for name, parameter in model.named_parameters():
        part = parts_of(name)
        counts[part] += 1
        parameter.requires_grad_(part in train)
    missing = [part for part in train if not counts[part]]
    if missing:
        raise ConfigError(
            f"model.train names {', '.join(missing)}, and the model has no such weights"
        )


def _with_adapters(model: Model, lora: LoraOptions, base: BaseModel, weights: str | None) -> Model:
    """Adapters in the language model alone: the names of its layers occur in the tower too."""
    _need("lora", "peft", "pip install peft")
    peft = importlib.import_module("peft")
    if base.options.quantization:
        model = peft.prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=base.options.gradient_checkpointing
        )
    if weights is not None:
        trained: Model = peft.PeftModel.from_pretrained(model, weights, is_trainable=True)
        return trained
    layers = [
        name
        for name, _ in model.named_modules()
        if name.split(".")[-1] in lora.targets and parts_of(name) == "language"
    ]
    unknown = sorted({*lora.targets} - {name.split(".")[-1] for name in layers})
    if unknown:
        raise ConfigError(f"model.lora.targets: the language model has no layer {unknown[0]!r}")
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=layers,
        task_type="CAUSAL_LM",
    )
    adapted: Model = peft.get_peft_model(model, config)
    return adapted


def _four_bits() -> object:
    import torch

    _need("quantization=4bit", "bitsandbytes", "pip install bitsandbytes")
    transformers = importlib.import_module("transformers")
    config: object = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return config


def _use_liger(base: BaseModel) -> None:
    _need("model.liger", "liger_kernel", "pip install liger-kernel")
    kernels = importlib.import_module("liger_kernel.transformers")
    # Its fused loss is left out: the loss here is of the labelled tokens alone.
    options = {"fused_linear_cross_entropy": False}
    if base.checkpoint.kind == "qwen2_5_vl":
        kernels.apply_liger_kernel_to_qwen2_5_vl(**options)
    else:
        kernels.apply_liger_kernel_to_qwen3_vl(**options)


def _need(feature: str, package: str, install: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise MissingPackageError(feature, package, install)
