"""A whole bootstrap: seeds drawn, shards worked on, here or by Ray, and costs counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, RunStoppedError
from videojudge_bench.training.bootstrap.calls import Meter, read_calls, spent_on
from videojudge_bench.training.bootstrap.card import write_card
from videojudge_bench.training.bootstrap.contracts import Outcome, Role
from videojudge_bench.training.bootstrap.executors import ShardWork, Tally
from videojudge_bench.training.bootstrap.export import write_rows
from videojudge_bench.training.bootstrap.options import BootstrapOptions, Executor, ReportKind
from videojudge_bench.training.bootstrap.ray_work import run_on_ray
from videojudge_bench.training.bootstrap.report import ReportFacts, write_report
from videojudge_bench.training.bootstrap.roles import Roles, build_roles
from videojudge_bench.training.bootstrap.rows import RowOptions
from videojudge_bench.training.bootstrap.run_folder import RunFolder, Shard
from videojudge_bench.training.bootstrap.seeds import collect_seeds

Progress = Callable[[Tally, int], None]
"""Called with the tally so far, and the number of seeds."""


@dataclass(frozen=True)
class Result:
    """Result of a run."""

    tally: Tally
    seeds: int
    budget: str = ""


def run_bootstrap(
    options: BootstrapOptions,
    output: Path,
    *,
    executor: Executor = "local",
    workers: int | None = None,
    roles: Roles | None = None,
    on_progress: Progress = lambda _tally, _seeds: None,
) -> Result:
    """Make rated responses for drawn seeds in a folder; resume an earlier run.

    `roles` stand in for those of the options in local runs, and the caller closes them.
    `on_progress` is called after each seed; with Ray, after each batch of shards.

    Raises:
        ConfigError: options that cannot work, or not those that the folder was begun with.
        JournalBusyError: another run writes the folder.
        DataError: a file of seeds is malformed.
        RunStoppedError: calls fail one after another, or the disk is full; what was done is kept.
    """
    if executor == "ray" and roles is not None:
        raise ConfigError("executor=ray makes its generators and evaluators from the options")
    folder = RunFolder(output.absolute())
    with folder.locked():
        for part, values in options.identity().items():
            folder.record(part, values)
        if not folder.has_seeds():
            draw = collect_seeds(options.seeds)
            folder.write_seeds(draw.seeds, draw.counts.to_json())
        active = roles or build_roles(
            options.roles, seeds=folder.seeds, concurrency=options.concurrency
        )
        with closing(active) if roles is None else nullcontext():
            folder.record("generator", _settings(active.generator))
            folder.record("evaluator", _settings(active.evaluator))
            if active.rubrics is not None or "rubric" in folder.facts():
                folder.record("rubric", _settings(active.rubrics))
            folder.note("run", options.all_else())
            run = _Run(options, folder, on_progress, writes_rubrics=active.rubrics is not None)
            return run.on_ray(workers) if executor == "ray" else run.here(active)


class _Run:
    def __init__(
        self,
        options: BootstrapOptions,
        folder: RunFolder,
        on_progress: Progress,
        *,
        writes_rubrics: bool,
    ) -> None:
        self._options, self._folder, self._on_progress = options, folder, on_progress
        self._writes_rubrics = writes_rubrics
        shards = folder.shards()
        self._seeds = sum(shard.seeds for shard in shards)
        self._tally = Tally()
        self._pending = [shard for shard in shards if not self._is_done(shard)]
        for shard in shards:
            for call in read_calls(folder.journal_path(shard)):
                if call.role != "check":
                    self._tally.requests += 1
                    self._tally.cost += call.reply.usage.cost
        on_progress(self._tally, self._seeds)

    def here(self, roles: Roles) -> Result:
        tally = self._tally
        meter = Meter(self._options.limits, requests=tally.requests, cost=tally.cost)

        def spent() -> None:
            tally.requests, tally.cost = meter.requests, meter.cost

        def count(outcome: Outcome) -> None:
            tally.add(outcome)
            spent()
            self._on_progress(tally, self._seeds)

        work = ShardWork(self._folder, roles, meter, self._options, on_outcome=count)
        work.run(self._pending)
        spent()
        if meter.trouble:
            raise RunStoppedError(f"{meter.trouble}. The same command resumes")
        return Result(tally, self._seeds, meter.budget)

    def on_ray(self, workers: int | None) -> Result:
        tally = self._tally
        if not self._pending:
            return Result(tally, self._seeds)

        def count(more: Tally) -> None:
            for field in fields(Tally):
                setattr(tally, field.name, getattr(tally, field.name) + getattr(more, field.name))
            self._on_progress(tally, self._seeds)

        budget = run_on_ray(
            self._options, self._folder, self._pending, tally, workers=workers, on_progress=count
        )
        return Result(tally, self._seeds, budget)

    def _is_done(self, shard: Shard) -> bool:
        """Return whether a shard is complete; count its seeds if so."""
        if not self._folder.has_outcomes(shard):
            return False
        tally = Tally()
        for outcome in self._folder.outcomes(shard):
            tally.add(outcome)
            has_rubric = bool(outcome.rubric or outcome.rubric_problem)
            needs_rubric = outcome.kept and self._options.export.need_rubric(outcome.seed.id)
            if self._writes_rubrics and needs_rubric and not has_rubric:
                return False
        if tally.failed:
            return False
        self._tally.seeds += tally.seeds
        self._tally.kept += tally.kept
        return True


def _settings(role: Role | None) -> dict[str, Scalar]:
    if role is None:
        return {"kind": "none: put together from the responses"}
    return {"kind": type(role).__name__, **role.settings()}


FULL_FROM = 10_000
"""Number of seeds from which on the full report costs little beside the run."""

_BY_RULE = ("perturb", "small_world")


def finish(folder: RunFolder, rows: RowOptions, report: ReportKind = "auto") -> list[Path]:
    """Write `data/`, the report and the card; return what was written."""
    rows = _with_validation(rows, folder)
    counts = write_rows(folder.outcomes(), folder.path, rows)
    generator = folder.facts().get("generator")
    # By rule, a response is as far from the gold answer as its rating says.
    by_rule = isinstance(generator, dict) and generator.get("generator") in _BY_RULE
    spent = spent_on(call for path in folder.journals() for call in read_calls(path))
    seeds = sum(shard.seeds for shard in folder.shards())
    full = report == "full" or (report == "auto" and seeds >= FULL_FROM)
    facts = ReportFacts(folder.path.name, full, independent=not by_rule, spent=spent)
    page = write_report(folder.outcomes, folder.path, facts)
    card = write_card(folder.path, counts, rows)
    return [*(folder.path / "data" / f"{name}.jsonl" for name in counts), page, card]


def _with_validation(rows: RowOptions, folder: RunFolder) -> RowOptions:
    """The options with a validation share that holds a video, where there are two or more."""
    if not rows.validation or rows.part_label is not None:
        return rows
    videos = {outcome.seed.video_id for outcome in folder.outcomes() if outcome.kept}
    lowest = min(map(rows.drawn, videos), default=0.0)
    if len(videos) < 2 or lowest < rows.validation:
        return rows
    return replace(rows, validation=math.nextafter(lowest, 1.0))
