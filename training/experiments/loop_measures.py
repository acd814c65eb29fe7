"""Measures of the bootstrap loop: seeds kept, label noise, calls, with intervals over videos."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError
from videojudge_bench.metrics.bootstrap import (
    Floats,
    Resampling,
    Statistic,
    cluster_sums,
    codes,
    ratio,
)
from videojudge_bench.metrics.card import Metric, measure
from videojudge_bench.training.bootstrap.calls import read_calls, spent_on
from videojudge_bench.training.bootstrap.contracts import (
    TARGETS,
    Attempt,
    Draft,
    DraftReply,
    Evaluation,
    EvaluationReply,
    Outcome,
    Seed,
    Unable,
)
from videojudge_bench.training.bootstrap.known_error import BiasedTruthEvaluator
from videojudge_bench.training.bootstrap.loop import Rules, bootstrap_seed
from videojudge_bench.training.bootstrap.options import load_options
from videojudge_bench.training.bootstrap.perturb import Perturb
from videojudge_bench.training.bootstrap.report import REPORT_FILE, ReportFacts, write_report
from videojudge_bench.training.bootstrap.run import run_bootstrap
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.training.bootstrap.seeds import collect_seeds
from videojudge_bench.training.bootstrap.tallies import Tallies
from videojudge_bench.training.experiments import loop
from videojudge_bench.training.experiments.experiment import Figures, run

RESAMPLING = Resampling()
_RECIPE = "embedded"


@dataclass
class Subject:
    """Seeds of VATEX, and generators whose drafts all evaluators share."""

    n: int
    folder: Path
    resampling: Resampling = RESAMPLING
    _drafts: dict[tuple[float, str, int, int], Draft | Unable] = field(default_factory=dict)

    @cached_property
    def seeds(self) -> list[Seed]:
        """The seeds, and the corpus of the generators."""
        return list(collect_seeds(load_options(_RECIPE, [f"seeds.n={self.n}"]).seeds).seeds)

    @cached_property
    def generators(self) -> dict[float, Perturb]:
        """Generators by the rate of their errors."""
        return {noise: Perturb(self.seeds, noise=noise) for noise in loop.RATES}

    def draft(self, noise: float, seed: Seed, target: int, number: int) -> Draft | Unable:
        """Return the draft of a round, from 0: `perturb` uses no feedback, so it serves all."""
        key = (noise, seed.id, target, number)
        if key not in self._drafts:
            self._drafts[key] = self.generators[noise].draft(seed, target, number)
        return self._drafts[key]


class _Calls:
    def __init__(self, subject: Subject, arm: loop.Errors) -> None:
        self._subject, self._noise = subject, arm.noise
        self._evaluator = BiasedTruthEvaluator(*arm.bias, error=arm.error)
        self.unable: set[str] = set()

    async def draft(self, seed: Seed, target: int, earlier: Sequence[Attempt]) -> DraftReply:
        draft = self._subject.draft(self._noise, seed, target, len(earlier))
        if isinstance(draft, Unable):
            self.unable.add(seed.id)
        return draft

    async def evaluation(
        self, seed: Seed, target: int, number: int, draft: Draft, unread: Sequence[Evaluation]
    ) -> EvaluationReply:
        return await self._evaluator.rate(seed, draft, unread)

    def refused(self, seed: Seed, target: int, number: int, why: str) -> None:
        """Note nothing: the attempt says it too."""


def outcomes_of(subject: Subject, arm: loop.Errors) -> list[Outcome]:
    """Return the outcomes of the seeds, by the loop itself, without those that cannot be served."""
    calls, rules = _Calls(subject, arm), Rules(alpha=arm.alpha, max_rounds=arm.max_rounds)

    async def all_of() -> list[Outcome]:
        return [await bootstrap_seed(seed, calls, rules) for seed in subject.seeds]

    return [each for each in asyncio.run(all_of()) if each.seed.id not in calls.unable]


def figures_of(subject: Subject, arm: loop.Errors) -> Figures:
    """Return the figures of an arm: its setting, `graded`, `unable` and `metrics`.

    `unable` counts the seeds that the generator cannot serve, which are left out. The metrics are
    those of `metrics_of`: value, low and high, or why one is undefined.

    Raises:
        ConfigError: the generator can serve none of the seeds.
    """
    graded, n = outcomes_of(subject, arm), len(subject.seeds)
    if not graded:
        raise ConfigError(
            f"none of the {n} seeds can be graded in five: their answers are too short, or "
            "too few to take wrong phrases from. Give more (--seeds 1000)"
        )
    metrics: dict[str, Json] = {
        key: metric.undefined or [metric.value, metric.low, metric.high]
        for key, metric in metrics_of(graded, subject.resampling).items()
    }
    counts = {loop.GRADED: len(graded), loop.UNABLE: n - len(graded)}
    return {**arm.setting, **counts, loop.METRICS: metrics}


def metrics_of(outcomes: Sequence[Outcome], resampling: Resampling) -> dict[str, Metric]:
    """Return the metrics of an arm, with 95 % intervals over resampled videos.

    `kept`, share of the seeds; `label_noise`, share of the responses of kept seeds, gold answers
    apart, that deserve another rating; `calls_per_kept_seed`, drafts and evaluations of all seeds
    over the seeds kept; `accepted_T` and `label_noise_T`, the share of the seeds whose response to
    target T was accepted, and of those responses that deserve another rating.
    """
    one = np.ones(len(outcomes))
    kept = np.array([outcome.kept for outcome in outcomes], dtype=np.float64)
    good = np.array([[r.accepted for r in o.rated] for o in outcomes], dtype=np.float64)
    wrong = np.array(
        [
            [r.accepted and r.attempts[-1].draft.truth != r.target for r in o.rated]
            for o in outcomes
        ],
        dtype=np.float64,
    )
    # A draft and its evaluation, of which drafts that are no responses have none.
    attempts = [[a for rated in outcome.rated for a in rated.attempts] for outcome in outcomes]
    calls = np.array(
        [sum(1 + (a.evaluation.rating is not None) for a in each) for each in attempts],
        dtype=np.float64,
    )
    parts = {
        loop.KEPT: (kept, one),
        loop.NOISE: (kept * wrong.sum(axis=1), kept * len(TARGETS)),
        loop.CALLS: (calls, kept),
    }
    for at, target in enumerate(TARGETS):
        parts[f"accepted_{target}"] = (good[:, at], one)
        parts[f"{loop.NOISE}_{target}"] = (wrong[:, at], good[:, at])
    videos = codes(np.array([outcome.seed.video_id for outcome in outcomes]))
    n_videos = int(videos.max()) + 1
    sums = cluster_sums([c for pair in parts.values() for c in pair], videos, n_videos)

    def evaluate(weights: Floats) -> dict[str, Floats]:
        total = weights @ sums
        return dict(zip(parts, ratio(total[:, ::2], total[:, 1::2]).T, strict=True))

    contributing = dict(zip(parts, np.count_nonzero(sums[:, 1::2], axis=0).tolist(), strict=True))
    return measure(
        [Statistic(evaluate, contributing)],
        n_videos,
        lambda key: "no seed was kept" if key in (loop.NOISE, loop.CALLS) else "none was accepted",
        resampling,
        shares=parts.keys() - {loop.CALLS},
    )


def whole_run(subject: Subject, changes: Sequence[str]) -> Figures:
    """Return the counts of a run of the recipe; its report and plots go to the subject's folder."""
    options = load_options(_RECIPE, [*changes, f"seeds.n={subject.n}"])
    with tempfile.TemporaryDirectory(prefix="videojudge-") as scratch:
        run_bootstrap(options, Path(scratch))
        output, tallies = RunFolder(Path(scratch)), Tallies()
        for outcome in output.outcomes():
            tallies.add(outcome)
        spent = spent_on(call for path in output.journals() for call in read_calls(path))
        # By rule, a response is as far from the gold answer as its rating says.
        facts = ReportFacts(subject.folder.name, independent=False, spent=spent)
        write_report(output.outcomes, subject.folder, facts)
    return tallies.to_json()


def run_experiment(name: str, n: int, folder: Path) -> list[Path]:
    """Run one of `loop.EXPERIMENTS`; return the files of its results. The same call resumes."""
    experiment, subject = loop.EXPERIMENTS[name], Subject(n, folder)
    folder.mkdir(parents=True, exist_ok=True)
    log, report, data = (folder / file for file in (".arms.jsonl", REPORT_FILE, "rows.json"))
    rows = run(experiment, subject, log, [name, n])
    if experiment.table is None:
        (figures,) = rows.values()
        data = folder / "tallies.json"
    else:
        lines = [f"# {name}", "", f"{len(subject.seeds)} seeds of VATEX.", ""]
        write_whole(report, "\n".join([*lines, *experiment.table(rows)]) + "\n")
        figures = {
            "experiment": name,
            "seeds": len(subject.seeds),
            "generator": dict(subject.generators[0.0].settings()),
            "rows": list(rows.values()),
        }
    write_whole(data, json.dumps(figures, ensure_ascii=False, indent=1) + "\n")
    log.unlink()
    return [report, data]
