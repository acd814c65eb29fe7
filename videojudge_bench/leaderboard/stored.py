"""A run as the leaderboard keeps it: `run.json` and the gzipped ids and verdicts, no texts."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Union

from pydantic import BaseModel

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.border import STRICT, read_object
from videojudge_bench.hashing import Json, content_hash
from videojudge_bench.signature import Scalar, Signature
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Verdict

RUN_FILE = "run.json"
VERDICTS_FILE = "verdicts.jsonl.gz"
MAX_VERDICTS_BYTES = 1 << 20

Part = Literal["all", "test"]
Number = Union[float, int, str, None]


@dataclass(frozen=True)
class StoredRun:
    """One judge on one gold set.

    Attributes:
        name: of the judge, as the table shows it.
        gold_set: name of the set.
        references: how many references were shown.
        part: the part that the numbers are about.
        on_scale: whether the ratings are on the set's scale.
        signature: both halves.
        verdicts: by item id.
        numbers: what `ScoreCard.flat` gave when the run was added.
        confusion: gold level by rounded prediction, or None.
        versions: of the software that made the run.
        overlap: gold sets whose videos or texts the judge was trained on.
    """

    name: str
    gold_set: str
    references: int
    part: Part
    on_scale: bool
    signature: Signature
    verdicts: Mapping[str, Verdict]
    numbers: Mapping[str, Number] = field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    overlap: tuple[str, ...] = ()

    @property
    def judgements(self) -> dict[str, Judgement]:
        """The verdicts as judgements."""
        return {i: Judgement(i, verdict) for i, verdict in self.verdicts.items()}

    @property
    def folder_name(self) -> str:
        """Name of the run's folder: the judge and the references that were shown."""
        return folder_name(self.name, self.references)

    @property
    def verdicts_hash(self) -> str:
        """Changes when any verdict changes."""
        return content_hash([[i, _to_json(v)] for i, v in sorted(self.verdicts.items())])


class _RunFile(BaseModel):
    model_config = STRICT

    name: str
    gold_set: str
    references: int
    part: Part
    on_scale: bool
    measurement: dict[str, Scalar]
    judge: dict[str, Scalar]
    versions: dict[str, str]
    overlap: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...] | None
    numbers: dict[str, Number]


def rounded(numbers: Mapping[str, Number]) -> dict[str, Number]:
    """Return numbers with six decimals: what is beyond differs between processors."""
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in numbers.items()}


def folder_name(name: str, references: int) -> str:
    """Return the name of a run's folder: the judge and the references that were shown."""
    slug = re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-.")
    return f"{slug}-{references}ref"


def write_run(run: StoredRun, runs_folder: Path) -> Path:
    """Write a run to `<runs_folder>/<gold set>/<judge>` and return that folder.

    Raises:
        DataError: the verdicts take more than a megabyte.
    """
    folder = runs_folder / run.gold_set / run.folder_name
    lines = "".join(
        json.dumps([i, _to_json(v)], ensure_ascii=False) + "\n"
        for i, v in sorted(run.verdicts.items())
    )
    packed = gzip.compress(lines.encode("utf-8"), mtime=0)
    if len(packed) > MAX_VERDICTS_BYTES:
        raise DataError(
            f"{len(packed)} bytes; a run in the leaderboard takes at most {MAX_VERDICTS_BYTES}",
            path=folder / VERDICTS_FILE,
        )
    facts = _RunFile(
        name=run.name,
        gold_set=run.gold_set,
        references=run.references,
        part=run.part,
        on_scale=run.on_scale,
        measurement=dict(run.signature.measurement),
        judge=dict(run.signature.judge),
        versions=dict(run.versions),
        overlap=run.overlap,
        confusion=run.confusion,
        numbers=dict(run.numbers),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VERDICTS_FILE).write_bytes(packed)
    text = json.dumps(facts.model_dump(), ensure_ascii=False, indent=1) + "\n"
    (folder / RUN_FILE).write_text(text, encoding="utf-8")
    return folder


def read_run(folder: Path) -> StoredRun:
    """Return the run in a folder.

    Raises:
        DataError: with file and field, when a file is missing or is not what `write_run` writes.
    """
    facts = read_object(folder / RUN_FILE, _RunFile)
    path = folder / VERDICTS_FILE
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            verdicts = {i: _from_json(value) for i, value in map(json.loads, file)}
    except (OSError, EOFError, zlib.error, ValueError, TypeError) as error:
        problem = f"not stored verdicts: {type(error).__name__}: {error}"
        raise DataError(problem, path=path) from error
    return StoredRun(
        name=facts.name,
        gold_set=facts.gold_set,
        references=facts.references,
        part=facts.part,
        on_scale=facts.on_scale,
        signature=Signature(facts.measurement, facts.judge),
        verdicts=verdicts,
        numbers=facts.numbers,
        confusion=facts.confusion,
        versions=facts.versions,
        overlap=facts.overlap,
    )


def read_all(runs_folder: Path) -> list[StoredRun]:
    """Return all runs below a folder, sorted by gold set and name of their folder."""
    return [read_run(path.parent) for path in sorted(runs_folder.glob(f"*/*/{RUN_FILE}"))]


def overlap_of(judge: Mapping[str, Scalar]) -> tuple[str, ...]:
    """Return the gold sets that a judge says it was trained on (its setting `overlap`)."""
    return tuple(str(judge["overlap"]).split("+")) if judge.get("overlap") else ()


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
