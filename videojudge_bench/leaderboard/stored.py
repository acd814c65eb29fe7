"""Stored runs of the leaderboard: `run.json` and gzipped ids and verdicts, without texts."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Union

from pydantic import BaseModel

from videojudge_bench import goldsets
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import DataError, NoDataError, UnknownNameError
from videojudge_bench.goldsets.base import GoldKind, GoldSet, GoldSetInfo, Shape, model_names
from videojudge_bench.goldsets.jsonl import STRICT, read_object
from videojudge_bench.goldsets.store import ScaleEnds
from videojudge_bench.scale import RatingScale
from videojudge_bench.signature import Signature
from videojudge_bench.verdicts import (
    Judgement,
    Preference,
    Rating,
    Unparsed,
    Verdict,
    criteria_from_json,
)

RUN_FILE = "run.json"
VERDICTS_FILE = "verdicts.jsonl.gz"
MAX_VERDICTS_BYTES = 1 << 20

Part = Literal["all", "test"]
Number = Union[float, int, str, None]


@dataclass(frozen=True)
class StoredRun:
    """One judge on one gold set.

    Attributes:
        info: facts about its gold set, as `kept_info`, for machines without the set.
        examples: how many the set has.
        verdicts: by item id.
        criteria: by item id the verdicts of each criterion, of a judge that rates by criteria.
        numbers: `ScoreCard.flat` at the time when the run was added.
        confusion: gold level by rounded prediction, or None.
        versions: of the software that made the run.
        overlap: gold sets whose videos or texts the judge was trained on.
        served: statements of servers about themselves (model, fingerprint, version), in their
            order. More than one is a change in the middle of the run.
    """

    name: str
    info: GoldSetInfo
    examples: int
    references: int
    part: Part
    on_scale: bool
    signature: Signature
    verdicts: Mapping[str, Verdict]
    numbers: Mapping[str, Number] = field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    overlap: tuple[str, ...] = ()
    served: tuple[Mapping[str, str], ...] = ()
    criteria: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)

    @property
    def gold_set(self) -> str:
        """Name of the set."""
        return self.info.name

    @property
    def judgements(self) -> dict[str, Judgement]:
        """The verdicts as judgements."""
        rated = self.criteria
        return {i: Judgement(i, v, criteria=rated.get(i, {})) for i, v in self.verdicts.items()}

    @property
    def folder_name(self) -> str:
        """Name of the run's folder, see `folder_name`."""
        return folder_name(self.name, self.references, self.info.data)

    @property
    def verdicts_hash(self) -> str:
        """Changes when any verdict changes."""
        return hash_of_verdicts(self.verdicts)


def hash_of_verdicts(verdicts: Mapping[str, Verdict]) -> str:
    """Return a hash of verdicts by item id that changes when any of them changes."""
    return content_hash([[i, _to_json(v)] for i, v in sorted(verdicts.items())])


class _SetFile(BaseModel):
    model_config = STRICT

    name: str
    title: str
    kind: GoldKind
    shape: Shape
    recipe: Literal["emscore"] | None
    scale: ScaleEnds
    data: str
    version: str
    systems: bool
    examples: int


class _RunFile(BaseModel):
    model_config = STRICT

    name: str
    gold_set: str
    set: _SetFile
    references: int
    part: Part
    on_scale: bool
    measurement: dict[str, Scalar]
    judge: dict[str, Scalar]
    versions: dict[str, str]
    overlap: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...] | None
    numbers: dict[str, Number]
    served: tuple[dict[str, str], ...] = ()


_AS_THEY_ARE = (
    "name", "gold_set", "references", "part", "on_scale", "versions", "overlap", "confusion",
    "numbers", "served",
)  # fmt: skip
"""Fields that a run and its file share."""


def number_of(numbers: Mapping[str, Number], key: str) -> float | None:
    """Return a number by its key; None where it is missing, or undefined and so a text."""
    value = numbers.get(key)
    return float(value) if isinstance(value, (int, float)) else None


def interval_of(numbers: Mapping[str, Number], key: str) -> tuple[float, float] | None:
    """Return the interval of a number; None where it has none."""
    low, high = (number_of(numbers, f"{key}_{end}") for end in ("low", "high"))
    return None if low is None or high is None else (low, high)


def kept_info(info: GoldSetInfo) -> GoldSetInfo:
    """Return the facts that a run keeps of its gold set: no licence, source or way to get it."""
    return replace(info, licence="", source="", how_to_get="")


def gold_set_of(info: GoldSetInfo) -> GoldSet | None:
    """Return a gold set in the form `info.data`, None if that is not on this machine."""
    try:
        return goldsets.load(info.name, info.data)
    except (NoDataError, UnknownNameError):
        return None


def folder_name(name: str, references: int, data: str = "full") -> str:
    """Return the name of a run's folder: the judge, the references that were shown, the data."""
    return f"{_slug(name)}-{references}ref" + (f"-{_slug(data)}" if data != "full" else "")


def write_run(run: StoredRun, runs_folder: Path) -> Path:
    """Write a run to `<runs_folder>/<gold set>/<judge>` and return that folder.

    Raises DataError where the verdicts take more than a megabyte.
    """
    folder = runs_folder / run.gold_set / run.folder_name
    lines = "".join(
        json.dumps(
            [i, _to_json(v), *([dict(run.criteria[i])] if i in run.criteria else [])],
            ensure_ascii=False,
        )
        + "\n"
        for i, v in sorted(run.verdicts.items())
    )
    packed = gzip.compress(lines.encode("utf-8"), mtime=0)
    if len(packed) > MAX_VERDICTS_BYTES:
        raise DataError(
            f"{len(packed)} bytes; a run in the leaderboard takes at most {MAX_VERDICTS_BYTES}",
            path=folder / VERDICTS_FILE,
        )
    info = {**vars(run.info), "scale": (run.info.scale.low, run.info.scale.high)}
    known = {name: info[name] for name in _SetFile.model_fields if name in info}
    facts = _RunFile(
        **{name: getattr(run, name) for name in _AS_THEY_ARE},
        set=_SetFile(**known, examples=run.examples),  # pydantic refuses a set without gold
        measurement=dict(run.signature.measurement),
        judge=dict(run.signature.judge),
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / VERDICTS_FILE, packed)
    kept = facts.model_dump(exclude=None if run.served else {"served"})
    text = json.dumps(kept, ensure_ascii=False, indent=1) + "\n"
    write_whole(folder / RUN_FILE, text)
    return folder


def read_run(folder: Path) -> StoredRun:
    """Return the run in a folder; raises DataError, with file and field, for invalid files."""
    facts = read_object(folder / RUN_FILE, _RunFile)
    info = _info_of(facts, folder / RUN_FILE)
    path = folder / VERDICTS_FILE
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines = [(i, _from_json(value), *rest) for i, value, *rest in map(json.loads, file)]
            verdicts = {i: verdict for i, verdict, *_ in lines}
            criteria = {i: criteria_from_json(rated) for i, _, *rest in lines for rated in rest}
    except (OSError, EOFError, zlib.error, ValueError, TypeError) as error:
        problem = f"not stored verdicts: {type(error).__name__}: {error}"
        raise DataError(problem, path=path) from error
    return StoredRun(
        **{name: getattr(facts, name) for name in _AS_THEY_ARE if name != "gold_set"},
        info=info,
        examples=facts.set.examples,
        signature=Signature(facts.measurement, facts.judge),
        verdicts=verdicts,
        criteria=criteria,
    )


def read_all(runs_folder: Path) -> list[StoredRun]:
    """Return all runs below a folder, sorted by gold set and name of their folder."""
    return [read_run(path.parent) for path in sorted(runs_folder.glob(f"*/*/{RUN_FILE}"))]


def overlap_of(judge: Mapping[str, Scalar]) -> tuple[str, ...]:
    """Return the gold sets that a judge was trained on, by its setting `overlap`."""
    return tuple(str(judge["overlap"]).split("+")) if judge.get("overlap") else ()


def makers_of(judge: Mapping[str, Scalar]) -> frozenset[str]:
    """Return the models that made a judge's training data, by its setting `made_by`."""
    return model_names(str(judge.get("made_by") or ""))


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-.")


def _info_of(facts: _RunFile, path: Path) -> GoldSetInfo:
    """Return the facts about the set; two places that name it must agree."""
    kept, half = facts.set, facts.measurement
    for field_name, value, expected in (
        ("gold_set", facts.gold_set, kept.name),
        ("measurement.set", half.get("set"), kept.name),
        ("measurement.data", half.get("data"), kept.data),
        ("measurement.v", half.get("v"), kept.version),
    ):
        if value != expected:
            problem = f"found {value!r}, and the field 'set' says {expected!r}; add the run again"
            raise DataError(problem, path=path, field=field_name)
    known = {**vars(kept), "scale": RatingScale(*kept.scale)}
    del known["examples"]
    return GoldSetInfo(**known, licence="", source="", how_to_get="")


def _to_json(verdict: Verdict) -> Json:
    if isinstance(verdict, Rating):
        return verdict.value
    if isinstance(verdict, Preference):
        return {"p_first": verdict.p_first}
    return {"unparsed": verdict.reason}


def _from_json(value: object) -> Verdict:
    if isinstance(value, (int, float)):
        return Rating(float(value))
    if isinstance(value, dict) and "p_first" in value:
        return Preference(float(value["p_first"]))
    if isinstance(value, dict) and "unparsed" in value:
        return Unparsed(str(value["unparsed"]))
    raise ValueError(f"not a verdict: {value!r}")
