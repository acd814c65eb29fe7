"""Checkpoint format of Qwen's models on the Hugging Face hub, for transformers 4.57 and 5.

What transformers 5 saves by itself does not load under 4.57: it names a class of tokenizers that
4.57 does not know, writes `rope_parameters` where 4.57 looks for `rope_scaling`, and keeps image
and video processor in one file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, cast

from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError

TRAINED_FILE = "videojudge.json"
"""What `videojudge train` writes into a model's folder: the rows that it comes from."""

PROMPT_OPTIONS: Mapping[str, str] = {
    "prompt": "rate.jinja",
    "pair_prompt": "prefer.jinja",
    "criteria": "criteria.yaml",
}
"""Options of a judge that name a file, and what the file is called in a model's folder."""

_Part = TypeVar("_Part", str, list[Json], dict[str, Json])
_PROCESSORS: Mapping[str, tuple[str, str]] = {
    "image_processor": ("preprocessor_config.json", "image_processor_type"),
    "video_processor": ("video_preprocessor_config.json", "video_processor_type"),
}
_TOKENIZER_OF_5 = "TokenizersBackend"


def trained_on(folder: Path | None) -> dict[str, Scalar]:
    """Return what is noted in a model's folder of the rows that it was trained on, as settings."""
    noted = {
        "overlap": _noted(folder, "overlap", list),
        "made_by": _noted(folder, "made_by", list, optional=True),
    }
    return {part: "+".join(map(str, names)) for part, names in noted.items() if names}


def asked_as_trained(folder: Path | None) -> dict[str, Scalar]:
    """Return the judge's options with which a model was trained; {} where nothing is noted."""
    options = cast("dict[str, Scalar]", _noted(folder, "judge", dict))
    return {
        name: str(Path(folder or "") / str(value)) if name in PROMPT_OPTIONS else value
        for name, value in options.items()
    }


def recorded_scheme(folder: Path | None) -> str | None:
    """Return the M-RoPE scheme that a model was trained with; None where none is noted."""
    return _noted(folder, "mrope", str, optional=True) or None


def _noted(folder: Path | None, part: str, kind: type[_Part], *, optional: bool = False) -> _Part:
    path = folder / TRAINED_FILE if folder is not None else None
    if path is None or not path.is_file():
        return kind()
    try:
        note = json.loads(path.read_bytes())
        value = note.get(part, kind()) if optional else note[part]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is not what `videojudge train` writes ({error!r})") from error
    if not isinstance(value, kind):
        raise ConfigError(f"{path} is not what `videojudge train` writes ({part}: {value!r})")
    return value


def hub_name(name: str, family: str) -> str:
    """Return the name that a parameter has on the hub: Qwen2.5-VL's are older than the module's."""
    if family != "qwen2_5_vl":
        return name
    name = re.sub(r"^model\.visual\.", "visual.", name)
    return re.sub(r"^model\.language_model\.", "model.", name)


def config_for_both(config: Mapping[str, Json], *, tied: bool) -> dict[str, Json]:
    """Return `config.json` with the names that transformers 4.57 looks for beside those of 5.

    `tied` says whether input and output embeddings are one matrix: 4.57 looks for it in the text's
    part, 5 in the outer one.
    """
    both = dict(config)
    for section in (both, both.get("text_config")):
        if isinstance(section, dict):
            _add_rope(section)
            section["tie_word_embeddings"] = tied
            if "dtype" in section and "torch_dtype" not in section:
                section["torch_dtype"] = section["dtype"]
    return both


def _add_rope(section: dict[str, Json]) -> None:
    rope = section.get("rope_parameters")
    if not isinstance(rope, dict):
        return
    if "rope_theta" in rope:
        section.setdefault("rope_theta", rope["rope_theta"])
    scaling: dict[str, Json] = {k: v for k, v in rope.items() if k != "rope_theta"}
    if "mrope_section" in scaling and not scaling.get("mrope_interleaved"):
        scaling["type"] = scaling["rope_type"] = "mrope"
    section.setdefault("rope_scaling", scaling)


def tokenizer_for_both(config: Mapping[str, Json]) -> dict[str, Json]:
    """Return `tokenizer_config.json` with a class that both versions know."""
    both = dict(config)
    if both.get("tokenizer_class") == _TOKENIZER_OF_5:
        both["tokenizer_class"] = "Qwen2Tokenizer"
    if isinstance(both.get("extra_special_tokens"), list):  # a table in 4.57
        both["additional_special_tokens"] = both.pop("extra_special_tokens")
    return both


def processors_for_both(config: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    """Return the files that 4.57 has for the parts of a `processor_config.json`, by name."""
    files: dict[str, dict[str, Json]] = {}
    for part, (file, kind) in _PROCESSORS.items():
        section = config.get(part)
        if isinstance(section, dict):
            files[file] = {"processor_class": config.get("processor_class"), **section}
            if part == "image_processor":
                # 4.57 calls the one that works on tensors Fast, 5 has no other.
                name = str(cast("str", section.get(kind, ""))).removesuffix("Fast")
                files[file][kind] = name
    return files
