"""Seeds, drafts, evaluations and outcomes as JSON: field names as keys, defaults left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from videojudge_bench._util.hashing import Json
from videojudge_bench.goldsets.jsonl import data_error
from videojudge_bench.training.bootstrap.contracts import Draft, Evaluation, Outcome, Seed

FormT = TypeVar("FormT", Seed, Draft, Evaluation, Outcome)

_KINDS = (Seed, Draft, Evaluation, Outcome)
_ADAPTERS: dict[type, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in _KINDS}


def to_json(value: Seed | Draft | Evaluation | Outcome) -> dict[str, Json]:
    """Return a value as a JSON object; `from_json` gives it back."""
    data: dict[str, Json] = _ADAPTERS[type(value)].dump_python(value, exclude_defaults=True)
    return data


def from_json(kind: type[FormT], data: object, *, path: Path, line: int) -> FormT:
    """Return the value of a JSON object that `to_json` wrote.

    Raises:
        DataError: a field is missing or of the wrong type; with file, line and field.
    """
    try:
        value: FormT = _ADAPTERS[kind].validate_python(data)
    except ValidationError as error:
        raise data_error(error, path, line) from error
    return value
