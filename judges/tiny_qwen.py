"""A tiny Qwen2.5-VL or Qwen3-VL with random weights, made on the spot: for tests and first steps.

It is the real architecture in the real file format, small enough that a CPU judges a few small
frames in a fraction of a second. Untrained, its replies are noise, and so are its judgements.
Nothing is downloaded: the tokenizer is trained on texts that come with this package. Make one with

    python -m videojudge_bench.judges.tiny_qwen FOLDER
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from videojudge_bench import goldsets
from videojudge_bench._util.command import new_app, run
from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench._util.terminal import say
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.items import Item
from videojudge_bench.judges import _tiny_qwen_format as form
from videojudge_bench.judges._tiny_qwen_format import (
    DEFAULT_SIZE,
    FAMILIES,
    SPECIAL_TOKENS,
    Family,
    TinySize,
)
from videojudge_bench.judges.engines._hub_format import hub_name
from videojudge_bench.prompts import PROMPTS_FOLDER

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["DEFAULT_SIZE", "FAMILIES", "RECORD", "SPECIAL_TOKENS", "Family", "TinySize", "build"]

RECORD = "tiny_qwen.json"
"""The file of a made folder that says what it was made from."""

_RECIPE = 1  # to be raised when the same arguments give another model
_TEXTS_FROM, _TEXTS_EXAMPLES, _PROMPTS_TIMES = "vatex", 2_000, 100
_JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_FOLDER_MODE = 0o755  # a temporary folder is closed to others


def build(
    folder: Path,
    *,
    family: Family = "qwen2_5_vl",
    seed: int = 0,
    size: TinySize = DEFAULT_SIZE,
    texts: Sequence[str] | None = None,
) -> Path:
    """Make a tiny model; return its folder, complete as from the Hugging Face hub.

    The folder, which must not exist or be empty, gets float32 weights (`model.safetensors`), their
    configuration, a tokenizer, a processor and a chat template in Qwen's format, all or nothing.
    The tokenizer is trained on `texts`, by default our prompts and captions of VATEX-EVAL. The same
    arguments give the same bytes; a folder already made from them is returned as it is.

    Raises:
        UnknownNameError: there is no such family.
        ConfigError: the folder holds something else, or the seed is negative.
    """
    if family not in FAMILIES:
        raise UnknownNameError("family", family, FAMILIES)
    if seed < 0:
        raise ConfigError(f"seed={seed}: must be 0 or more")
    train_on = _own_texts() if texts is None else list(texts)
    made_from: dict[str, Json] = {
        "recipe": _RECIPE,
        "family": family,
        "seed": seed,
        "size": asdict(size),
        "texts": content_hash(train_on),
    }
    if _is_made(folder, made_from):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    neighbour = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(neighbour, family, seed, size, _tokenizer(train_on, size.vocabulary))
        written = sorted(path.name for path in neighbour.iterdir())
        _write_json(neighbour / RECORD, {**made_from, "files": written})
        neighbour.chmod(_FOLDER_MODE)
        _move(neighbour, folder, made_from)
    finally:
        shutil.rmtree(neighbour, ignore_errors=True)
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    """Make a tiny model and print its folder; return 0 when done, 2 when used wrongly."""
    app = new_app("python -m videojudge_bench.judges.tiny_qwen", "")

    @app.default
    def make(
        folder: Path,
        /,
        *,
        family: Family = "qwen2_5_vl",
        seed: int = 0,
        size: Annotated[TinySize, Parameter(name="*")] = DEFAULT_SIZE,
    ) -> None:
        """Make a tiny Qwen2.5-VL or Qwen3-VL with random weights, for tests.

        Args:
            folder: the folder of the model
            family: the architecture
            seed: of the random weights
            size: how large it is
        """
        say([str(build(folder, family=family, seed=seed, size=size))])

    return run(app, argv, program="tiny_qwen")


def _own_texts() -> list[str]:
    """Return our prompts, often, and what the first items of VATEX-EVAL say, each text once."""
    # Named one by one: a further prompt would change the tokenizer, and with it every tiny model.
    names = ("describe.jinja", "prefer.jinja", "rate.jinja")
    sources = [(PROMPTS_FOLDER / name).read_text(encoding="utf-8") for name in names]
    texts: list[str] = []
    for example in goldsets.load(_TEXTS_FROM).examples[:_TEXTS_EXAMPLES]:
        if isinstance(example.item, Item):
            texts += (example.item.instruction, example.item.response, *example.item.references)
    # A judge reads a prompt with every item.
    return _PROMPTS_TIMES * [_JINJA.sub("", s) for s in sources] + list(dict.fromkeys(texts))


def _is_made(folder: Path, made_from: Mapping[str, Json]) -> bool:
    """Return whether a folder holds just this model already; False where nothing is there."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    record = _record(folder)
    missing = [name for name in _files(record) if not (folder / name).is_file()]
    others = [key for key in made_from if record.get(key) != made_from[key]]
    if not missing and not others:
        return True
    what = "something else than a tiny model"
    if record and missing:
        what = f"a tiny model that lacks {', '.join(missing)}"
    elif record:
        what = f"a tiny model with another {' and another '.join(others)}"
    raise ConfigError(f"{folder} holds {what}: remove it, or give another folder")


def _record(folder: Path) -> dict[str, Json]:
    try:
        record: object = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _files(record: Mapping[str, Json]) -> list[str]:
    files = record.get("files")
    return [name for name in files if isinstance(name, str)] if isinstance(files, list) else []


def _move(source: Path, target: Path, made_from: Mapping[str, Json]) -> None:
    try:
        source.replace(target)
    except OSError:
        # Another process may have made the same model meanwhile.
        if not _is_made(target, made_from):
            raise


def _tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Return a byte-level BPE tokenizer in Qwen's form, trained on texts."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
    from tokenizers.pre_tokenizers import ByteLevel, Split
    from tokenizers.pre_tokenizers import Sequence as Steps
    from tokenizers.processors import ByteLevel as Offsets
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    bytes_of = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = Steps([Split(Regex(form.CUT), behavior="isolated"), bytes_of])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = Offsets(trim_offsets=False)
    trainer = BpeTrainer(
        vocab_size=vocabulary - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # Added last: an ordinary token takes no id above them, as in Qwen.
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS]
    )
    return tokenizer


def _write(folder: Path, family: Family, seed: int, size: TinySize, tokenizer: Tokenizer) -> None:
    """Write all files of a model but its record."""
    vocabulary = tokenizer.get_vocab()
    ids = {text: vocabulary[text] for text in SPECIAL_TOKENS}
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.model.save(str(folder))
    config = form.model_config(family, size, len(vocabulary), ids)
    files = {
        "config.json": config,
        "generation_config.json": form.generation_config(ids),
        "tokenizer_config.json": form.tokenizer_config(family, ids),
        **form.processor_configs(family, size),
    }
    for name, values in files.items():
        _write_json(folder / name, values)
    (folder / "chat_template.jinja").write_text(form.chat_template(family), encoding="utf-8")
    _write_weights(folder, family, seed, size.weight_std)


def _write_weights(folder: Path, family: Family, seed: int, std: float) -> None:
    import numpy as np
    import torch
    from safetensors.torch import save_file

    auto = importlib.import_module("transformers")  # its types differ by version
    config = auto.AutoConfig.from_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        model = auto.AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    weights: dict[str, torch.Tensor] = {}
    for own_name, tensor in model.state_dict().items():
        name = hub_name(own_name, family)
        if tensor.ndim < 2:  # norms and biases
            weights[name] = torch.full_like(tensor, 0.0 if name.endswith("bias") else 1.0)
            continue
        # Drawn by name, so that neither the order of the parameters nor the way in which a
        # version of transformers initialises them matters.
        digest = hashlib.sha256(name.encode()).digest()
        draw = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
        values = draw.standard_normal(tuple(tensor.shape), dtype=np.float32)
        weights[name] = torch.from_numpy(values * np.float32(std))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _write_json(path: Path, value: Mapping[str, Json]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
