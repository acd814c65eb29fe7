"""Numbers that take long, computed once and kept in the user's cache folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from videojudge_bench._util.files import packaged, write_whole
from videojudge_bench._util.hashing import Json, content_hash, file_hash
from videojudge_bench.errors import VideoJudgeError
from videojudge_bench.version import installed_version

T = TypeVar("T")


def computed_once(kind: str, key: Json, adapter: TypeAdapter[T], compute: Callable[[], T]) -> T:
    """Return a value from the cache, or compute it and keep it there.

    The key has to name everything that the value depends on; the code of the metrics and the
    versions of the libraries that compute are added. A cache that cannot be read or written is no
    error.

    Args:
        kind: folder of such values.
        key: hashed into the name of the file.
        adapter: between the value and its JSON, which has to keep it exactly.
        compute: called without a value in the cache.
    """
    packages = [installed_version(name) for name in ("videojudge-bench", "numpy", "scipy")]
    path = cache_folder() / kind / f"{content_hash([key, packages, _code_hash()])}.json"
    with suppress(OSError, ValueError):
        return adapter.validate_json(path.read_bytes())
    value = compute()
    with suppress(OSError, VideoJudgeError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, adapter.dump_json(value))
    return value


@cache
def _code_hash() -> str:
    """Hash of the code of the metrics: in development it changes while the version does not."""
    return content_hash([file_hash(path) for path in sorted(packaged("metrics").glob("*.py"))])


def cache_folder() -> Path:
    """Return the folder of such values below the user's cache folder (`XDG_CACHE_HOME` or ~)."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "videojudge_bench" / "numbers"
