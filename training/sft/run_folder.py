"""The folder of a training run, and its lock.

recipe.json                all options
<stage>/rows.json          a hash of the rows
<stage>/dropped.jsonl      rows that were left out, with the reason
<stage>/checkpoint-N/      weights, optimiser and random states; whole when `complete.json` is there
<stage>/log.jsonl          losses and evaluations by step
<stage>/evaluations/       the verdicts of each evaluation
<stage>/done.json          of a finished stage: its best checkpoint and its numbers
model/                     the trained model, in the form of the Hugging Face hub
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from safetensors import SafetensorError

from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError, RunStoppedError
from videojudge_bench.training.owned_folder import owned, read_facts, refuse_change
from videojudge_bench.training.sft.recipe import Recipe

RECIPE_FILE, ROWS_FILE, DONE_FILE, MODEL_FOLDER = "recipe.json", "rows.json", "done.json", "model"
DROPPED_FILE, LOG_FILE, VIDEOS_FILE = "dropped.jsonl", "log.jsonl", "videos_left_out.jsonl"

_MAY_DIFFER = ("workers", "log_every", "report_to", "save_every")


class SftFolder:
    """The files of one training run; of the processes that train together, only `main` writes."""

    def __init__(self, path: Path, *, main: bool) -> None:
        self.path, self.main = path, main

    def locked(self) -> AbstractContextManager[None]:
        """Keep other runs from writing to the folder; raises as `owned`."""
        return owned(self.path, RECIPE_FILE, "training run") if self.main else nullcontext()

    def begin(self, recipe: Recipe) -> None:
        """Record the recipe; raise ConfigError, with the differences, if there is another one."""
        if not self.main:
            return
        path = self.path / RECIPE_FILE
        new = recipe.to_json()
        if path.exists():
            refuse_change(self.path, _fixed(read_facts(path)), _fixed(new))
        write_json(path, new)

    def begin_stage(self, name: str, data_hash: str) -> None:
        """Record the hash of a stage's rows; raise ConfigError if another one is recorded."""
        path = self.path / name / ROWS_FILE
        if not self.main:
            return
        if path.exists() and json.loads(path.read_bytes()).get("data_hash") != data_hash:
            raise ConfigError(
                f"stage {name} was begun with other rows than data.rows holds now; give those rows "
                "back, or another folder"
            )
        write_json(path, {"data_hash": data_hash})

    def done(self, name: str) -> dict[str, Json] | None:
        """Return the record of a finished stage, else None."""
        path = self.path / name / DONE_FILE
        return read_facts(path) if path.exists() else None


@contextmanager
def stopped_by_a_full_disk() -> Iterator[None]:
    """Turn errors of a full disk into one that says how to go on."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        # torch's writer and safetensors' wrap what the system says.
        if not _is_full(error):
            raise
        raise RunStoppedError(
            "the disk is full. Complete checkpoints are kept: make room, and the same command "
            "resumes from the last of them"
        ) from error


def _is_full(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause).lower()
        if any(sign in text for sign in ("no space left", "file too large", "disk quota")):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def write_json(path: Path, value: Mapping[str, Json]) -> None:
    """Write a JSON file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n", sync=True)


def _fixed(recipe: Json) -> dict[str, Json]:
    return {k: v for k, v in _flat(recipe).items() if k.split(".")[-1] not in _MAY_DIFFER}


def _flat(value: Json, place: str = "") -> dict[str, Json]:
    if isinstance(value, dict):
        inner = [(f"{place}.{key}".lstrip("."), each) for key, each in value.items()]
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        inner = [(f"{place}.{number}", each) for number, each in enumerate(value)]
    else:
        return {place: value}
    flat: dict[str, Json] = {}
    for key, each in inner:
        flat |= _flat(each, key)
    return flat
