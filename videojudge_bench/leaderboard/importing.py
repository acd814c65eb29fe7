"""From a run that was made to a run that the leaderboard keeps, every number worked out anew.

A run is a journal of ours, or the folder that `lmms_eval --log_samples --output_path` wrote for a
stock model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

import jsonlines
from pydantic import BaseModel

from videojudge_bench import goldsets, journal, metrics
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets.base import GoldSet, examples_hash
from videojudge_bench.goldsets.border import STRICT, read_object
from videojudge_bench.items import part_of
from videojudge_bench.leaderboard.stored import Part, StoredRun, overlap_of, rounded
from videojudge_bench.options import parse_options, without_secrets
from videojudge_bench.runner import measurement_half
from videojudge_bench.signature import Scalar, Signature
from videojudge_bench.verdicts import Judgement

SAMPLES = "_samples_videojudge_"
ROUNDING = 2e-6
"""Stored numbers have six decimals, and processors differ beyond them."""


@dataclass(frozen=True)
class FoundRun:
    """Judgements found in a folder, with what is known of how they were made."""

    name: str
    gold_set: str
    references: int
    part: Part
    on_scale: bool
    judge: Mapping[str, Scalar]
    judgements: Mapping[str, Judgement]


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


def find_runs(folder: Path) -> list[FoundRun]:
    """Return the runs in a folder: a journal, a folder of journals, or lmms-eval's output.

    Raises:
        ConfigError: there is none.
        DataError: a file is not what it should be.
    """
    if not folder.is_dir():
        raise ConfigError(f"no folder {folder}; give a journal or the --output_path of a run")
    journals = sorted(path.parent for path in folder.rglob(journal.RUN_FILE))
    found = [_from_journal(path) for path in journals]
    found += [run for path in sorted(folder.rglob(f"*{SAMPLES}*.jsonl")) for run in _stock(path)]
    if not found:
        raise ConfigError(
            f"{folder} holds no run: neither a journal (run.json, judgements-*.jsonl) nor samples "
            "of lmms-eval (run it with --log_samples --output_path DIR, and give DIR)"
        )
    return found


def to_stored(found: FoundRun, *, name: str | None = None, resamples: int = 10_000) -> StoredRun:
    """Return a found run with all its numbers, worked out from its verdicts.

    Raises:
        DataError: a verdict is about an item that the gold set does not have.
    """
    gold_set = goldsets.load(found.gold_set)
    asked = [e for e in gold_set.examples if e.item.id in found.judgements]
    if not found.judgements:
        raise DataError(f"no judgements of {found.name}", path=gold_set.info.task)
    unknown = found.judgements.keys() - gold_set.by_id.keys()
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(found.judgements)} judgements are about items that "
            f"{gold_set.info.task} does not have, such as {min(unknown)!r}; they "
            "were made with another version of the set",
            path=found.gold_set,
        )
    card = metrics.score(
        gold_set,
        found.judgements,
        on_scale=found.on_scale,
        part=found.part,
        resamples=resamples,
    )
    if found.part == "test":
        asked = [e for e in asked if part_of(e.item.video_id) == "test"]
    half = measurement_half(
        gold_set,
        references=found.references,
        part=found.part,
        items=examples_hash(asked)[:12],
    )
    return StoredRun(
        name=name or found.name,
        gold_set=found.gold_set,
        references=found.references,
        part=found.part,
        on_scale=found.on_scale,
        signature=Signature(half, found.judge),
        verdicts={i: j.verdict for i, j in found.judgements.items()},
        numbers=rounded(card.flat()),
        confusion=card.confusion,
        versions=versions(),
        overlap=overlap_of(found.judge),
    )


def check_numbers(run: StoredRun) -> None:
    """Check that a stored run's numbers follow from its verdicts, intervals left out.

    Raises:
        DataError: naming the first number that does not.
    """
    again = rescored(run, resamples=1).numbers
    for key, value in run.numbers.items():
        if key.endswith(("_low", "_high")):
            continue
        found = again.get(key)
        if isinstance(value, float) and isinstance(found, float):
            same = abs(value - found) <= ROUNDING
        else:
            same = value == found
        if not same:
            raise DataError(
                f"{run.name} says {value}, and its verdicts give {found}; add the run again",
                path=f"{run.gold_set}/{run.folder_name}",
                field=key,
            )


def rescored(run: StoredRun, *, resamples: int = 10_000) -> StoredRun:
    """Return a stored run with its numbers worked out anew from its verdicts."""
    gold_set = goldsets.load(run.gold_set)
    card = metrics.score(
        gold_set, run.judgements, on_scale=run.on_scale, part=run.part, resamples=resamples
    )
    return replace(run, numbers=rounded(card.flat()), confusion=card.confusion)


def versions() -> dict[str, str]:
    """Return the versions of the packages that numbers depend on."""
    packages = ("videojudge-bench", "lmms-eval", "numpy", "scipy", "torch", "transformers")
    return {package: found for package in packages if (found := _version(package))}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _from_journal(folder: Path) -> FoundRun:
    facts = read_object(folder / journal.RUN_FILE, _JournalFile)
    gold_set = goldsets.load(facts.gold_set)
    _check_hash(gold_set, facts.gold_set_hash, folder)
    # An item without a video may be there twice, once from before its video was found.
    judgements = sorted(journal.read_journal(folder).values(), key=lambda j: not j.failed)
    return FoundRun(
        name=facts.judge,
        gold_set=gold_set.info.name,
        references=facts.references,
        part=facts.part,
        on_scale=facts.on_scale,
        judge=facts.signature,
        judgements={judgement.item_id: judgement for judgement in judgements},
    )


def _check_hash(gold_set: GoldSet, made_with: str, folder: Path) -> None:
    if gold_set.content_hash != made_with:
        raise DataError(
            f"made with another version of {gold_set.info.task} (content {made_with[:12]}, here "
            f"{gold_set.content_hash[:12]}); run the judge again",
            path=folder,
        )


def _stock(samples: Path) -> Iterator[FoundRun]:
    stamp, _, task = samples.stem.partition("_samples_")
    results = samples.with_name(f"{stamp}_results.json")
    try:
        config = json.loads(results.read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"cannot be read beside {samples.name}: {error}; it tells which model answered",
            path=results,
        ) from error
    if config.get("model") == "videojudge":
        return  # its journal has the whole signature, and is found by itself
    records = list(_records(samples))
    references = {int(str(record.get("references", 0))) for record in records}
    if len(references) != 1:
        raise DataError("samples with different numbers of references", path=samples)
    yield FoundRun(
        name=str(config.get("model")),
        gold_set=task.removeprefix("videojudge_"),
        references=references.pop(),
        part="all",
        on_scale=True,
        judge={
            "judge": str(config.get("model")),
            "model_args": _hidden(str(config.get("model_args", ""))),
            "host": f"lmms-eval {_version('lmms-eval')}",
            "frames": "chosen by the model",
            "gen_kwargs": str(config.get("gen_kwargs")),
        },
        judgements={j.item_id: j for record in records if (j := _judgement(record, samples))},
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


def _records(samples: Path) -> Iterator[dict[str, object]]:
    try:
        with jsonlines.open(samples) as reader:
            for line, row in enumerate(reader.iter(type=dict, skip_empty=True), start=1):
                record = row.get("judgement")
                if not isinstance(record, dict):
                    raise DataError("missing", path=samples, line=line, field="judgement")
                yield record
    except jsonlines.InvalidLineError as error:
        raise DataError(str(error), path=samples, line=error.lineno) from error


def _hidden(arguments: str) -> str:
    """The model arguments as they may be written down."""
    kept = without_secrets({**parse_options(arguments)})
    return ",".join(f"{name}={value}" for name, value in kept.items())
