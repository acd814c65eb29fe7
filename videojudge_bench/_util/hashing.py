"""Stable hashes: the same on every machine, in every process and in every order of work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Union

from videojudge_bench.errors import ConfigError

Json = Union[str, int, float, bool, None, Mapping[str, "Json"], Sequence["Json"]]


def content_hash(value: Json) -> str:
    """Return the SHA-256 (64 hex digits) of a JSON value in canonical form."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_hash(path: Path) -> str:
    """Return the SHA-256 (64 hex digits) of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def unit_interval(*parts: str) -> float:
    """Return a number in [0, 1) that depends on `parts` alone.

    Random choices about an item are made from this, so that they do not depend on the order of
    work, on `--limit` or on the number of processes.
    """
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()
    # 53 bits are what a float holds: more of them could round up to 1.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def others_by_hash(names: Sequence[str], *, what: str, of: str) -> dict[str, str]:
    """Return a derangement of distinct names, drawn by their hashes; their order does not matter.

    Raises:
        ConfigError: there are fewer than two names; the error calls them `of`, a plural, and names
            `what`, the option that needs them.
    """
    if len(names) < 2:
        raise ConfigError(f"{what} needs at least two {of}, and there are {len(names)} here")
    drawn = sorted(names, key=lambda name: (unit_interval("shuffled", name), name))
    return dict(zip(drawn, [*drawn[1:], drawn[0]], strict=True))
