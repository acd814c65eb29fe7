"""Import of runs into the leaderboard, with all numbers computed from their verdicts.

A run is a journal of ours, or the folder that `lmms_eval --log_samples --output_path` wrote for a
stock model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Union, cast

from pydantic import BaseModel, TypeAdapter

from videojudge_bench import goldsets
from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import Scalar, parse_options, without_secrets
from videojudge_bench.errors import ConfigError, DataError, NoDataError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.jsonl import STRICT, numbered_rows, read_object
from videojudge_bench.leaderboard.memo import computed_once
from videojudge_bench.leaderboard.stored import (
    RUN_FILE,
    Number,
    Part,
    StoredRun,
    folder_name,
    gold_set_of,
    hash_of_verdicts,
    kept_info,
    overlap_of,
    read_run,
)
from videojudge_bench.metrics import Measurement, criterion_numbers
from videojudge_bench.run import journal
from videojudge_bench.signature import Signature
from videojudge_bench.verdicts import Judgement
from videojudge_bench.version import installed_version

SAMPLES = "_samples_videojudge_"
_MOST_SAMPLE_BYTES = 1 << 26
ROUNDING = 2e-6
"""Stored numbers have six decimals, and processors differ beyond them."""


@dataclass(frozen=True)
class FoundRun:
    """Judgements in a folder, with the judge and the measurement that they belong to.

    `data` is the form of the gold set: `full`, `sample-105`, …; `served` the statements of servers
    about themselves, in their order.
    """

    name: str
    gold_set: str
    data: str
    references: int
    part: Part
    on_scale: bool
    judge: Mapping[str, Scalar]
    judgements: Mapping[str, Judgement]
    served: tuple[Mapping[str, str], ...] = ()

    def folder_name(self, name: str) -> str:
        """Return the name of the folder that keeps this run when its judge is called `name`."""
        return folder_name(name, self.references, self.data)


class _SampleLine(BaseModel):
    judgement: dict[str, object]


class _JournalFile(BaseModel):
    model_config = STRICT

    videojudge_bench: str
    gold_set: str
    gold_set_version: str
    gold_set_hash: str
    references: int
    part: Part
    on_scale: bool
    judge: str
    signature: dict[str, Scalar]
    served: tuple[dict[str, str], ...] = ()


def find_runs(folder: Path) -> list[FoundRun]:
    """Return the runs in a folder: a journal, a folder of journals, or lmms-eval's output.

    Raises:
        ConfigError: there is none, or one is about an unknown set.
        NoDataError: one is about a set whose data are not on this machine.
        DataError: a file is invalid.
    """
    if not folder.is_dir():
        raise ConfigError(f"no folder {folder}; give a journal or the --output_path of a run")
    journals = sorted(path.parent for path in folder.rglob(journal.RUN_FILE))
    runs = [_from_journal(path) for path in journals]
    runs += [run for path in sorted(folder.rglob(f"*{SAMPLES}*.jsonl")) for run in _stock(path)]
    if not runs:
        raise ConfigError(
            f"{folder} holds no run: neither a journal (run.json, judgements-*.jsonl) nor samples "
            "of lmms-eval (run it with --log_samples --output_path DIR, and give DIR)"
        )
    return runs


def check_no_other(folder: Path, run: FoundRun, name: str) -> None:
    """Raise ConfigError if a folder of stored runs has another run under the name of this one.

    That is one with another signature or with more verdicts.
    """
    there = folder / run.gold_set / run.folder_name(name)
    if not (there / RUN_FILE).exists():
        return
    other = read_run(there)
    problem = ""
    if dict(other.signature.judge) != dict(run.judge):
        problem = "a run with another signature"
    elif len(other.verdicts) > len(run.judgements):
        problem = f"{len(other.verdicts)} verdicts, and this run has {len(run.judgements)}"
    if problem:
        raise ConfigError(
            f"{there} holds {problem}. Give this one a name of its own with --name, or replace "
            "that one with --overwrite"
        )


def to_stored(run: FoundRun, *, name: str | None = None, resamples: int = 10_000) -> StoredRun:
    """Return a run with all its numbers, computed from its verdicts.

    Raises:
        DataError: a verdict is about an item that the gold set does not have.
        NoDataError: the set, or that form of it, is not on this machine.
    """
    gold_set = goldsets.load(run.gold_set, run.data)
    if not run.judgements:
        raise DataError(f"no judgements of {run.name}", path=gold_set.info.task)
    check_known(run, gold_set, run.gold_set)
    measurement = measurement_of(run, gold_set)
    numbers, confusion = _computed(measurement, run.judgements, resamples)
    return StoredRun(
        name=name or run.name,
        info=kept_info(gold_set.info),
        examples=len(gold_set.examples),
        references=run.references,
        part=run.part,
        on_scale=run.on_scale,
        signature=Signature(measurement.signature(run.judgements), run.judge),
        verdicts={i: j.verdict for i, j in run.judgements.items()},
        numbers=numbers,
        criteria={i: j.criteria for i, j in run.judgements.items() if j.criteria},
        confusion=confusion,
        versions=versions(),
        overlap=overlap_of(run.judge),
        served=run.served,
    )


def check_numbers(run: StoredRun) -> bool:
    """Check that a stored run's numbers, but for intervals, follow from its verdicts.

    Returns:
        False when the run's set, or that form of it, is not on this machine: nothing was checked.

    Raises:
        DataError: a number does not, or the run was measured on another version of the set.
    """
    gold_set = gold_set_of(run.info)
    if gold_set is None:
        return False
    _check_set(run, gold_set)
    again = rescored(run, resamples=1).numbers
    for key, value in run.numbers.items():
        if key.endswith(("_low", "_high")):
            continue
        recomputed = again.get(key)
        if isinstance(value, float) and isinstance(recomputed, float):
            same = abs(value - recomputed) <= ROUNDING
        else:
            same = value == recomputed
        if not same:
            raise DataError(
                f"{run.name} says {value}, and its verdicts give {recomputed}; add the run again",
                path=f"{run.gold_set}/{run.folder_name}",
                field=key,
            )
    return True


def rescored(run: StoredRun, *, resamples: int = 10_000) -> StoredRun:
    """Return a stored run with its numbers computed again from its verdicts."""
    measurement = measurement_of(run, goldsets.load(run.gold_set, run.info.data))
    numbers, confusion = _computed(measurement, run.judgements, resamples)
    return replace(run, numbers=numbers, confusion=confusion)


_Confusion = Union[tuple[tuple[int, ...], ...], None]
_COMPUTED = TypeAdapter(tuple[dict[str, Number], _Confusion])


def _computed(
    measurement: Measurement, judgements: Mapping[str, Judgement], resamples: int
) -> tuple[dict[str, Number], _Confusion]:
    """Return all numbers and the confusion of judgements, from the cache where they are there."""

    def compute() -> tuple[dict[str, Number], _Confusion]:
        card = measurement.card(judgements, resamples=resamples)
        by_criterion = criterion_numbers(measurement, judgements, resamples=resamples)
        return {**card.numbers(), **by_criterion}, card.confusion

    criteria: Json = {i: dict(j.criteria) for i, j in judgements.items() if j.criteria}
    verdicts = hash_of_verdicts({i: j.verdict for i, j in judgements.items()})
    key: list[Json] = [
        *(measurement.signature(judgements), measurement.gold_set.content_hash),
        *(measurement.on_scale, verdicts, criteria, resamples),
    ]
    return computed_once("cards", key, _COMPUTED, compute)


def check_known(run: FoundRun, gold_set: GoldSet, path: str | Path) -> None:
    """Raise DataError, with the path, where a judgement is about an item that the set lacks."""
    unknown = run.judgements.keys() - gold_set.by_id.keys()
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(run.judgements)} judgements are about items that "
            f"{gold_set.info.task} does not have, such as {min(unknown)!r}; they were made with "
            "another version of the set",
            path=path,
        )


def measurement_of(run: FoundRun | StoredRun, gold_set: GoldSet) -> Measurement:
    """Return how the judgements of a run on a set are measured."""
    return Measurement(gold_set, run.on_scale, run.part, run.references)


def versions() -> dict[str, str]:
    """Return the versions of the packages that numbers depend on."""
    packages = ("videojudge-bench", "lmms-eval", "numpy", "scipy", "torch", "transformers")
    return {package: version for package in packages if (version := installed_version(package))}


def _from_journal(folder: Path) -> FoundRun:
    facts = read_object(folder / journal.RUN_FILE, _JournalFile)
    gold_set = _with_hash(facts.gold_set, facts.gold_set_hash, folder)
    return FoundRun(
        name=facts.judge,
        gold_set=gold_set.info.name,
        data=gold_set.info.data,
        references=facts.references,
        part=facts.part,
        on_scale=facts.on_scale,
        judge=facts.signature,
        judgements=journal.last_judgements(folder),
        served=facts.served,
    )


def _with_hash(name: str, made_with: str, folder: Path) -> GoldSet:
    forms = list(_forms(name))
    for gold_set in forms:
        if gold_set.content_hash == made_with:
            return gold_set
    raise DataError(
        f"made with another version of {forms[0].info.task} (content {made_with[:12]}, here "
        f"{forms[0].content_hash[:12]}); run the judge again",
        path=folder,
    )


def _forms(name: str) -> Iterator[GoldSet]:
    """Yield the forms of a set on this machine: that of its task, then its sample if it has one."""
    yield goldsets.load(name)
    try:
        yield goldsets.released_set(name).sample
    except (NoDataError, UnknownNameError):
        return


def _check_set(run: StoredRun, gold_set: GoldSet) -> None:
    """Check that a run was measured on the set that is here, with the same facts about it.

    Its title and the version of the metrics may differ: the numbers are computed again.
    """
    half = measurement_of(run, gold_set).signature(run.verdicts)
    expected = {f"measurement.{key}": value for key, value in half.items() if key != "metrics"}
    stored = {key: run.signature.measurement.get(key.partition(".")[2]) for key in expected}
    here = {**vars(kept_info(gold_set.info)), "examples": len(gold_set.examples)}
    there = {**vars(run.info), "examples": run.examples}
    fields = ("kind", "shape", "recipe", "scale", "systems", "examples")
    expected |= {f"set.{field}": here[field] for field in fields}
    stored |= {f"set.{field}": there[field] for field in fields}
    for field, value in expected.items():
        if stored[field] != value:
            raise DataError(
                f"found {stored[field]}, and {gold_set.info.task} has {value} here: the run was "
                "made with another version of the set; run the judge again and add it, or remove "
                "this folder",
                path=f"{run.gold_set}/{run.folder_name}",
                field=field,
            )


def _stock(samples: Path) -> Iterator[FoundRun]:
    stamp, _, task = samples.stem.partition("_samples_")
    results = samples.with_name(f"{stamp}_results.json")
    try:
        config = json.loads(results.read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"expected lmms-eval's results beside {samples.name}, which name the model: {error}",
            path=results,
        ) from error
    if config.get("model") == "videojudge":
        return  # its journal is another run here, with the whole signature
    rows = numbered_rows(samples, _SampleLine, unique=(), most_bytes=_MOST_SAMPLE_BYTES)
    records = [row.judgement for _, row in rows]
    if all(record.keys() == {"id"} for record in records):
        return  # the one document of a set without data, which the wildcard of all tasks includes
    references = {int(str(record.get("references", 0))) for record in records}
    if len(references) != 1:
        raise DataError("samples with different numbers of references", path=samples)
    judgements = {j.item_id: j for record in records if (j := _judgement(record, samples))}
    forms = list(_forms(task.removeprefix("videojudge_")))
    # The first form that has all these items, else that of the task.
    info = next((f for f in forms if f.by_id.keys() >= judgements.keys()), forms[0]).info
    options = without_secrets({**parse_options(str(config.get("model_args", "")))})
    yield FoundRun(
        name=str(config.get("model")),
        gold_set=info.name,
        data=info.data,
        references=references.pop(),
        part="all",
        on_scale=True,
        judge={
            "judge": str(config.get("model")),
            "model_args": ",".join(f"{name}={value}" for name, value in options.items()),
            "host": f"lmms-eval {installed_version('lmms-eval') or ''}",
            "frames": "chosen by the model",
            "gen_kwargs": str(config.get("gen_kwargs")),
        },
        judgements=judgements,
    )


def _judgement(record: Mapping[str, object], samples: Path) -> Judgement | None:
    verdict = record.get("verdict")
    if verdict is None:
        return None
    try:
        return Judgement.from_json(cast("dict[str, object]", verdict))
    except (ValueError, AttributeError) as error:
        raise DataError(
            f"item {record.get('id')!r}: {error}", path=samples, field="verdict"
        ) from error
