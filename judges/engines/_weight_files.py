"""Files of weights, read without loading them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

from videojudge_bench.errors import ConfigError

WEIGHTS = ("*.safetensors", "*.bin")

_CONTENT = (
    *WEIGHTS,
    *("*config.json", "*.index.json", "videojudge.json"),
    *("tokenizer*", "vocab*", "merges.txt", "*.model", "*.tiktoken", "special_tokens_map.json"),
    *("added_tokens.json", "chat_template*", "additional_chat_templates/*"),
)
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16


def weight_counts(path: Path) -> dict[str, int]:
    """Return how many numbers each tensor of a safetensors file has, by name.

    Raises:
        ConfigError: the file is damaged.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(length)) if 0 < length < path.stat().st_size else None
        except ValueError:
            header = None
    if not isinstance(header, dict):
        raise ConfigError(
            f"{path.name} is damaged, without a safetensors header; download it again"
        )
    return {
        name: math.prod(map(int, entry["shape"]))
        for name, entry in header.items()
        if name != "__metadata__"
    }


def folder_hash(folder: Path) -> str:
    """Return a hash of all files that prompts, pixels and numbers depend on; weights sampled."""
    digest = hashlib.sha256()
    for path in sorted({path for glob in _CONTENT for path in folder.glob(glob)}):
        digest.update(path.relative_to(folder).as_posix().encode())
        for block in _sampled(path):
            digest.update(block)
    return digest.hexdigest()[:12]


def _sampled(path: Path) -> Iterator[bytes]:
    """Whole small files; of large ones size, beginning and blocks at equal distances.

    A header alone is equal for all fine-tuned versions of a model, a whole file takes minutes.
    """
    size = path.stat().st_size
    yield str(size).encode()
    with path.open("rb") as file:
        if size <= _SAMPLES * _SAMPLE_BYTES:
            yield file.read()
            return
        for number in range(_SAMPLES):
            file.seek(number * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
            yield file.read(_SAMPLE_BYTES)
