"""A trained model as a folder that everybody can load: transformers 4.57 and 5, and servers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._hub_format import (
    PROMPT_OPTIONS,
    TRAINED_FILE,
    config_for_both,
    hub_name,
    processors_for_both,
    tokenizer_for_both,
)
from videojudge_bench.training.owned_folder import read_facts
from videojudge_bench.training.recipe_file import prompt_path
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.model import load_model, ties_words
from videojudge_bench.training.sft.model_card import Facts, model_card
from videojudge_bench.training.sft.recipe import Recipe
from videojudge_bench.training.sft.run_folder import write_json
from videojudge_bench.version import __version__

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from videojudge_bench.judges.engines._model_types import AdaptedModel, Model

_CONFIG, _TOKENIZER, _PROCESSOR = "config.json", "tokenizer_config.json", "processor_config.json"
_COPIED = (
    *("generation_config.json", "preprocessor_config.json", "video_preprocessor_config.json"),
    *("tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json"),
    *("special_tokens_map.json", "chat_template.jinja", "chat_template.json"),
)
_SHARD = "5GB"


def export(base: BaseModel, recipe: Recipe, weights: Path, folder: Path, *, facts: Facts) -> Path:
    """Write a trained model with all that is needed to load it; return its folder.

    The other files are those of the base model, adapters are merged, and the weights have the dtype
    of the base. The folder appears whole or not at all.

    Raises:
        ConfigError: the checkpoint cannot be loaded, or a file of the base is missing.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        # In full weights and without other kernels, whatever training was done with.
        plain = {"quantization": None, "liger": False}
        whole = replace(base, options=base.options.model_copy(update=plain))
        model = load_model(whole, weights=str(weights))
        for name, values in _json_files(base, tied=ties_words(model)):
            write_json(scratch / name, values)
        for name in _COPIED:
            source = _file(base, name)
            if source is not None and not (scratch / name).exists():
                shutil.copyfile(source, scratch / name)
        _write_weights(model, base, scratch)
        for option, name in PROMPT_OPTIONS.items():
            prompt = getattr(recipe.judge, option)
            if prompt is not None:
                shutil.copyfile(prompt_path(prompt), scratch / name)
        record: dict[str, Json] = {
            "videojudge_bench": __version__,
            "recipe": recipe.to_json(),
            "data_hash": facts.data_hash,
            "overlap": list(facts.overlap),
            "mrope": base.scheme,
            "made_by": list(facts.made_by),
            "judge": asking(recipe),
        }
        write_json(scratch / TRAINED_FILE, record)
        card = model_card(recipe, facts, asking(recipe))
        (scratch / "README.md").write_text(card, encoding="utf-8")
        scratch.chmod(0o755)  # a temporary folder is closed to others
        shutil.rmtree(folder, ignore_errors=True)
        scratch.replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def asking(recipe: Recipe) -> dict[str, Json]:
    """Return how a judge is to be asked as it was trained: options of `judge=videojudge`."""
    options: dict[str, Json] = {
        **recipe.judge.model_dump(mode="json"),
        **recipe.frames.model_dump(mode="json"),
    }
    options |= {name: file for name, file in PROMPT_OPTIONS.items() if options[name] is not None}
    return {name: value for name, value in options.items() if value is not None or name == "fps"}


def _json_files(base: BaseModel, *, tied: bool) -> Iterator[tuple[str, dict[str, Json]]]:
    config = _read(base, _CONFIG)
    assert config is not None, "a checkpoint has a config"
    yield _CONFIG, config_for_both(config, tied=tied)
    tokenizer = _read(base, _TOKENIZER)
    if tokenizer is not None:
        yield _TOKENIZER, tokenizer_for_both(tokenizer)
    processor = _read(base, _PROCESSOR)
    if processor is not None:
        yield from (
            (name, values)
            for name, values in processors_for_both(processor).items()
            if _file(base, name) is None
        )


def _read(base: BaseModel, name: str) -> dict[str, Json] | None:
    path = _file(base, name)
    return None if path is None else read_facts(path)


def _file(base: BaseModel, name: str) -> Path | None:
    folder = base.checkpoint.folder
    if folder is not None:
        path = folder / name
        return path if path.is_file() else None
    from transformers.utils.hub import cached_file

    cached = cached_file(
        base.options.pretrained,
        name,
        revision=base.options.revision,
        _raise_exceptions_for_missing_entries=False,
    )
    return Path(cached) if cached else None


def _write_weights(model: Model, base: BaseModel, folder: Path) -> None:
    import torch
    from huggingface_hub import split_torch_state_dict_into_shards
    from safetensors.torch import save_file

    if base.options.lora is not None:
        model = cast("AdaptedModel", model).merge_and_unload()
    dtype, tied = _saved_dtype(base), ties_words(model)
    tensors: dict[str, Tensor] = {
        hub_name(name, base.checkpoint.kind): tensor.detach().to(dtype).contiguous()
        for name, tensor in model.state_dict().items()
        if not (tied and name.endswith("lm_head.weight"))
    }
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ConfigError(
            "the trained weights hold numbers that are not finite, so training has diverged: give "
            "a lower training.learning_rate"
        )
    plan = split_torch_state_dict_into_shards(tensors, max_shard_size=_SHARD)
    for file, names in plan.filename_to_tensors.items():
        save_file({name: tensors[name] for name in names}, folder / file, metadata={"format": "pt"})
    if plan.is_sharded:
        index: Mapping[str, Json] = {
            "metadata": dict(plan.metadata),
            "weight_map": dict(plan.tensor_to_filename),
        }
        write_json(folder / "model.safetensors.index.json", index)


def _saved_dtype(base: BaseModel) -> torch.dtype:
    import torch

    config = base.checkpoint.config
    for section in (config, config.get_text_config()):
        saved = getattr(section, "dtype", None) or getattr(section, "torch_dtype", None)
        if saved is not None:
            return saved if isinstance(saved, torch.dtype) else getattr(torch, str(saved))
    return torch.float32
