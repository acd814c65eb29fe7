"""What the loop does to the data when generator and evaluator err at known rates.

The generator is `perturb`, which knows what its drafts deserve and errs at the rate `noise`; the
evaluators are those of `known_error`. So it can be counted how many of the accepted responses truly
deserve the rating that they were accepted for, which nobody can do for a loop of two models.
Everything runs in memory: the drafts of a noise rate are made once and serve all evaluators.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

import numpy as np

from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import EngineError
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
from videojudge_bench.training.bootstrap.contracts import (
    TARGETS,
    Attempt,
    Draft,
    Evaluation,
    Evaluator,
    Generator,
    Outcome,
    Seed,
    Unable,
)
from videojudge_bench.training.bootstrap.known_error import RATINGS, BiasedEvaluator, TruthEvaluator
from videojudge_bench.training.bootstrap.loop import Rules, bootstrap_seed
from videojudge_bench.training.bootstrap.perturb import Perturb

RATES = (0.0, 0.1, 0.3)
"""Rates of error of `refine`, for the generator and for the evaluator."""

ROUNDS = (1, 3, 5)

BIASES: Sequence[tuple[tuple[int, ...], int, float]] = (
    ((4,), 1, 0.0),
    ((4,), 1, 0.1),
    ((4,), 1, 0.3),
    ((2,), 1, 0.1),
    ((2,), 1, 0.3),
    (tuple(RATINGS), 1, 0.1),
    (tuple(RATINGS), 1, 0.3),
    (tuple(RATINGS), 1, 1.0),
    (tuple(RATINGS), -1, 0.3),
)
"""Of `bias`: the ratings that are moved, by how much, and at which rate."""

RESAMPLING = Resampling()

KEPT, NOISE, CALLS = "kept", "label_noise", "calls_per_kept_seed"

Reply = Union[Draft, EngineError]


@dataclass(frozen=True)
class Row:
    """What one setting gave.

    Attributes:
        setting: rates, bias and rules, by name.
        seeds: how many could be graded; those that the generator is unable to serve are left out.
        unable: how many those are.
        metrics: with 95 % intervals over resampled videos: `kept`, share of the seeds;
            `label_noise`, share of the responses of kept seeds, gold answers apart, that truly
            deserve another rating; `calls_per_kept_seed`, drafts and evaluations of all seeds over
            the seeds kept; `accepted_T` and `label_noise_T`, the share of the seeds whose response
            to target T was accepted, and the share of those responses that deserve another rating.
    """

    setting: Mapping[str, Scalar]
    seeds: int
    unable: int
    metrics: Mapping[str, Metric]


class Drafts:
    """The drafts of a generator, each made once and shown to one evaluator after another.

    Args:
        generator: who writes; one that uses no feedback, so that a draft is the same for all.
    """

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._made: dict[tuple[str, int, int], Reply] = {}

    async def get(self, seed: Seed, target: int, earlier: Sequence[Attempt]) -> Reply:
        """Return the draft of the round after `earlier`."""
        key = (seed.id, target, len(earlier))
        if key not in self._made:
            self._made[key] = await self._generator.write(seed, target, earlier)
        return self._made[key]


class _Counted:
    """Makes the calls of a step, and counts them."""

    def __init__(self, drafts: Drafts, evaluator: Evaluator) -> None:
        self._drafts, self._evaluator = drafts, evaluator
        self.made, self.unable = 0, False

    async def draft(self, seed: Seed, target: int, earlier: Sequence[Attempt]) -> Reply:
        found = await self._drafts.get(seed, target, earlier)
        self.made += 1
        self.unable = self.unable or isinstance(found, Unable)
        return found

    async def evaluation(
        self, seed: Seed, target: int, number: int, draft: Draft
    ) -> Union[Evaluation, EngineError]:
        self.made += 1
        return await self._evaluator.rate(seed, draft)

    def refused(self, seed: Seed, target: int, number: int, why: str) -> None:
        """Count nothing: its draft was counted."""


def refine(seeds: Sequence[Seed], resampling: Resampling = RESAMPLING) -> Iterator[Row]:
    """Yield what one, three and five rounds give, for each pair of rates of error.

    Args:
        seeds: what to work on, and the corpus of the generator.
        resampling: of the videos.

    Raises:
        ConfigError: the generator can serve none of the seeds.
    """
    for noise in RATES:
        drafts = Drafts(Perturb(seeds, noise=noise))
        for error in RATES:
            for rounds in ROUNDS:
                setting = {"noise": noise, "error": error, "max_rounds": rounds}
                ran = run(seeds, drafts, TruthEvaluator(error), Rules(max_rounds=rounds))
                yield _row(setting, ran, resampling)


def bias(seeds: Sequence[Seed], resampling: Resampling = RESAMPLING) -> Iterator[Row]:
    """Yield what evaluators give that move chosen ratings and err in nothing else.

    With a generator that never errs and one that errs in a tenth of its drafts, and with both
    alpha 0 and 1; three rounds. Arguments and errors are those of `refine`.
    """
    for noise in RATES[:2]:
        drafts = Drafts(Perturb(seeds, noise=noise))
        for alpha in (0.0, 1.0):
            for when, shift, rate in BIASES:
                moved = ",".join(map(str, when)) if len(when) < len(RATINGS) else "all"
                setting: dict[str, Scalar] = {
                    "bias": f"{moved} by {shift:+d}" if rate else "none",
                    "rate": rate,
                    "noise": noise,
                    "alpha": alpha,
                }
                evaluator = BiasedEvaluator(TruthEvaluator(), when, shift=shift, rate=rate)
                yield _row(setting, run(seeds, drafts, evaluator, Rules(alpha=alpha)), resampling)


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a seed, how many calls that took, and whether it could be graded at all."""

    outcome: Outcome
    calls: int
    unable: bool


def run(seeds: Sequence[Seed], drafts: Drafts, evaluator: Evaluator, rules: Rules) -> list[Ran]:
    """Return what becomes of the seeds, by the loop itself."""

    async def all_of() -> list[Ran]:
        found: list[Ran] = []
        for seed in seeds:
            calls = _Counted(drafts, evaluator)
            outcome = await bootstrap_seed(seed, calls, rules)
            found.append(Ran(outcome, calls.made, calls.unable))
        return found

    return asyncio.run(all_of())


def _row(setting: Mapping[str, Scalar], ran: Sequence[Ran], resampling: Resampling) -> Row:
    graded = [each for each in ran if not each.unable]
    if not graded:
        raise ConfigError(
            f"none of the {len(ran)} seeds can be graded in five: their answers are too short, or "
            "too few to take wrong phrases from. Give more (--seeds 1000)"
        )
    return Row(setting, len(graded), len(ran) - len(graded), metrics_of(graded, resampling))


def metrics_of(ran: Sequence[Ran], resampling: Resampling) -> dict[str, Metric]:
    """Return the metrics of a row, each a sum over seeds over another sum; see `Row`.

    Args:
        ran: one seed at least.
        resampling: of the videos.
    """
    one = np.ones(len(ran))
    kept = np.array([each.outcome.kept for each in ran], dtype=np.float64)
    good = np.array([[r.accepted for r in each.outcome.rated] for each in ran], dtype=np.float64)
    wrong = np.array([[_is_wrong(each, t) for t in TARGETS] for each in ran], dtype=np.float64)
    calls = np.array([each.calls for each in ran], dtype=np.float64)
    parts = {
        KEPT: (kept, one),
        NOISE: (kept * wrong.sum(axis=1), kept * len(TARGETS)),
        CALLS: (calls, kept),
    }
    for at, target in enumerate(TARGETS):
        parts[f"accepted_{target}"] = (good[:, at], one)
        parts[f"{NOISE}_{target}"] = (wrong[:, at], good[:, at])
    videos = codes(np.array([each.outcome.seed.video_id for each in ran]))
    n_videos = int(videos.max()) + 1
    sums = cluster_sums([c for pair in parts.values() for c in pair], videos, n_videos)

    def evaluate(weights: Floats) -> dict[str, Floats]:
        total = weights @ sums
        return dict(zip(parts, ratio(total[:, ::2], total[:, 1::2]).T, strict=True))

    contributing = dict(zip(parts, np.count_nonzero(sums[:, 1::2], axis=0).tolist(), strict=True))
    return measure(
        [Statistic(evaluate, contributing)],
        n_videos,
        lambda key: "no seed was kept" if key in (NOISE, CALLS) else "none was accepted",
        resampling,
        shares=parts.keys() - {CALLS},
    )


def _is_wrong(ran: Ran, target: int) -> bool:
    """Whether the accepted response to a target deserves another rating."""
    rated = ran.outcome.rated[TARGETS.index(target)]
    return rated.accepted and rated.attempts[-1].draft.truth != target
