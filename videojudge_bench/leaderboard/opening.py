"""Runs opened from a journal or from the leaderboard's folder of stored runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from videojudge_bench import goldsets
from videojudge_bench.errors import ConfigError, DataError, NoDataError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.leaderboard.importing import FoundRun, check_known, find_runs, measurement_of
from videojudge_bench.leaderboard.stored import VERDICTS_FILE, StoredRun, read_run
from videojudge_bench.metrics import Measurement
from videojudge_bench.signature import Signature
from videojudge_bench.verdicts import Judgement

logger = logging.getLogger(__name__)

MOST_SETTINGS = 3
"""Settings in a name, of those in which runs of one name differ."""


@dataclass(frozen=True)
class OpenRun:
    """One judge on one gold set, both on this machine.

    Attributes:
        record: the run; its judgements have replies where it is a journal.
        kept: as the leaderboard keeps it; None for a journal.
    """

    record: FoundRun
    gold_set: GoldSet
    kept: StoredRun | None = None

    @property
    def name(self) -> str:
        """Name of the judge."""
        return self.record.name

    @property
    def info(self) -> GoldSetInfo:
        """Facts about the gold set."""
        return self.gold_set.info

    @property
    def judgements(self) -> Mapping[str, Judgement]:
        """By item id."""
        return self.record.judgements

    @property
    def title(self) -> str:
        """The judge, the set and what was shown."""
        count = self.record.references
        references = "1 reference" if count == 1 else f"{count} references"
        data = f" ({self.info.data})" if self.info.data != "full" else ""
        return f"{self.name} on {self.info.task}, {references}{data}"

    @property
    def measurement(self) -> Measurement:
        """The measurement of the run's judgements."""
        return measurement_of(self.record, self.gold_set)

    @cached_property
    def signature(self) -> Signature:
        """Signature of the run's numbers."""
        return Signature(self.measurement.signature(self.judgements), self.record.judge)


def open_runs(folder: Path) -> list[OpenRun]:
    """Return the runs in a folder, sorted by set and judge.

    That is a journal or a folder of journals, an output of `lmms_eval --log_samples`, a folder of
    `results/runs/`, or a whole folder of results. Of several runs, those that cannot be opened are
    left out with a warning.

    Raises:
        ConfigError: there is no run in it.
        NoDataError: the set of every run, or that form of it, is not on this machine.
        DataError: a file is invalid; or every run is empty or about another version of its set.
    """
    stored = [path.parent for path in sorted(folder.rglob(VERDICTS_FILE))]
    candidates: list[tuple[FoundRun, StoredRun | None]] = [_kept(path) for path in stored]
    candidates = candidates or [(run, None) for run in find_runs(folder)]
    runs, problems = list[OpenRun](), list[NoDataError | UnknownNameError | DataError]()
    for run, kept in candidates:
        try:
            runs.append(_opened(run, kept, folder))
        except (NoDataError, UnknownNameError, DataError) as error:
            problems.append(error)
    if not runs:
        raise problems[0]
    for problem in problems:
        logger.warning("left out: %s", problem)
    return sorted(
        runs, key=lambda run: (run.info.name, run.info.data, run.record.references, run.name)
    )


def open_run(folder: Path) -> OpenRun:
    """Return the one run in a folder; raises as `open_runs`, and ConfigError for several."""
    runs = open_runs(folder)
    if len(runs) > 1:
        titles = "; ".join([*(run.title for run in runs[:8]), *(["…"] if len(runs) > 8 else [])])
        raise ConfigError(
            f"{folder}: expected one run, got {len(runs)}: {titles}. Give the folder of one"
        )
    return runs[0]


def with_distinct_names(runs: Sequence[OpenRun]) -> list[OpenRun]:
    """Return the runs with names that are distinct on one measurement.

    `random` twice becomes `random, seed=0` and `random, seed=1`; runs with equal signatures are
    numbered.
    """
    alike: dict[tuple[str, str, int, str], list[int]] = {}
    for place, run in enumerate(runs):
        key = (run.info.name, run.info.data, run.record.references, run.name)
        alike.setdefault(key, []).append(place)
    named = list(runs)
    for places in alike.values():
        if len(places) < 2:
            continue
        names = _distinct_names([runs[place] for place in places])
        for place, name in zip(places, names, strict=True):
            named[place] = replace(runs[place], record=replace(runs[place].record, name=name))
    return named


def _distinct_names(runs: Sequence[OpenRun]) -> list[str]:
    halves = [run.record.judge for run in runs]
    keys = dict.fromkeys(key for half in halves for key in half)
    differing = [k for k in keys if len({str(half.get(k)) for half in halves}) > 1][:MOST_SETTINGS]
    names = [
        ", ".join([run.name, *(f"{key}={half.get(key)}" for key in differing)])
        for run, half in zip(runs, halves, strict=True)
    ]
    if len(set(names)) == len(names):
        return names
    return [f"{name} ({number})" for number, name in enumerate(names, start=1)]


def _kept(folder: Path) -> tuple[FoundRun, StoredRun]:
    run = read_run(folder)
    record = FoundRun(
        name=run.name,
        gold_set=run.gold_set,
        data=run.info.data,
        references=run.references,
        part=run.part,
        on_scale=run.on_scale,
        judge=run.signature.judge,
        judgements=run.judgements,
    )
    return record, run


def _opened(run: FoundRun, kept: StoredRun | None, folder: Path) -> OpenRun:
    gold_set = goldsets.load(run.gold_set, run.data)
    if not run.judgements:
        raise DataError(
            f"the run of {run.name} on {gold_set.info.task} has no judgement yet; it has just "
            "begun, or it failed. The command that made it resumes it",
            path=folder,
        )
    check_known(run, gold_set, folder)
    return OpenRun(run, gold_set, kept)
