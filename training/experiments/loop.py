"""Experiments with the bootstrap loop: its yield, and the effect of errors of known rates.

Generator and evaluator need no model: `perturb` knows what its drafts deserve and errs at the rate
`noise`, and the evaluators are those of `known_error`. So the accepted responses that deserve
another rating can be counted, which is impossible with two models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, cast

from videojudge_bench._util.markdown import table
from videojudge_bench.training.experiments.experiment import Experiment, Figure, Figures, cell

if TYPE_CHECKING:
    from videojudge_bench._util.options import Scalar
    from videojudge_bench.training.experiments.loop_measures import Subject

RATES = (0.0, 0.1, 0.3)
"""Rates of error of `refine`, for the generator and for the evaluator."""

ROUNDS = (1, 3, 5)

ALL = "1,2,3,4,5"
BIASES = (
    ("4", 1, 0.0),
    ("4", 1, 0.1),
    ("4", 1, 0.3),
    ("2", 1, 0.1),
    ("2", 1, 0.3),
    (ALL, 1, 0.1),
    (ALL, 1, 0.3),
    (ALL, 1, 1.0),
    (ALL, -1, 0.3),
)
"""Of `bias`: the ratings that are moved, by how much, and at which rate."""

KEPT, NOISE, CALLS = "kept", "label_noise", "calls_per_kept_seed"
GRADED, UNABLE, METRICS = COUNTED = ("graded", "unable", "metrics")


@dataclass(frozen=True)
class Errors:
    """An arm: error rates (shares, 0 to 1) of generator and evaluator, and the acceptance rule.

    `bias` has the ratings that are moved, by how much, and at which rate.
    """

    setting: Mapping[str, Scalar]
    noise: float
    error: float = 0.0
    bias: tuple[str, int, float] = (ALL, 0, 0.0)
    alpha: float = 0.0
    max_rounds: int = 3


def _refine() -> Iterator[Errors]:
    for noise, error, rounds in product(RATES, RATES, ROUNDS):
        setting = {"noise": noise, "error": error, "max_rounds": rounds}
        yield Errors(setting, noise, error, max_rounds=rounds)


def _bias() -> Iterator[Errors]:
    for noise, alpha, bias in product(RATES[:2], (0.0, 1.0), BIASES):
        when, shift, rate = bias
        named = f"{'all' if when == ALL else when} by {shift:+d}" if rate else "none"
        setting = {"bias": named, "rate": rate, "noise": noise, "alpha": alpha}
        yield Errors(setting, noise, bias=bias, alpha=alpha)


def _by_name(arms: Iterator[Errors]) -> dict[str, Errors]:
    return {", ".join(map(str, arm.setting.values())): arm for arm in arms}


def _measured(subject: Subject, arm: Errors) -> Figures:
    from videojudge_bench.training.experiments.loop_measures import figures_of

    return figures_of(subject, arm)


def _whole_run(subject: Subject, changes: Sequence[str]) -> Figures:
    from videojudge_bench.training.experiments.loop_measures import whole_run

    return whole_run(subject, changes)


def table_of(rows: Mapping[str, Figures], shares: Mapping[str, str]) -> list[str]:
    """Return a table with a row for each arm: its setting, shares in percent, calls."""
    settings = [name for name in next(iter(rows.values())) if name not in COUNTED]
    lines: list[list[str]] = []
    for row in rows.values():
        metrics = cast("Mapping[str, Figure]", row[METRICS])
        lines.append(
            [
                *(f"{v:g}" if isinstance(v := row[name], float) else str(v) for name in settings),
                str(row[GRADED]),
                *(_share(metrics[key], interval=key in _SHARES) for key in shares),
                cell(metrics[CALLS], ".1f", undefined="-"),
            ]
        )
    return table([*settings, GRADED, *shares.values(), "calls a kept seed"], lines)


def _share(figure: Figure, *, interval: bool) -> str:
    visible = figure if interval or isinstance(figure, str) else (figure[0], None, None)
    return cell(visible, ".1f", factor=100, undefined="-")


_SHARES = {KEPT: "kept %", NOISE: "label noise %"}
_BY_TARGET = {
    **{f"accepted_{target}": f"accepted {target} %" for target in range(1, 5)},
    **{f"{NOISE}_{target}": f"noise {target} %" for target in range(1, 5)},
}

EXPERIMENTS: Mapping[str, Experiment[Subject, Any]] = {
    "first": Experiment(
        "the embedded recipe on VATEX: yield, acceptance by round, confusion, similarity to "
        "the gold answer, what the text alone gives away",
        arms={"embedded": ()},
        measure=_whole_run,
    ),
    "first_nextqa": Experiment(
        "the same on NExT-QA, question and answer made one sentence",
        arms={"embedded": ("seeds.sources=[nextqa]", "seeds.allow_overlap=[]")},
        measure=_whole_run,
    ),
    "refine": Experiment(
        "one round against three and five, with a generator and an evaluator that err in 0, "
        "0.1 and 0.3 of what they do: seeds kept, label noise, calls",
        arms=_by_name(_refine()),
        measure=_measured,
        table=partial(table_of, shares=_SHARES),
    ),
    "bias": Experiment(
        "evaluators that move chosen ratings up or down: acceptance and label noise",
        arms=_by_name(_bias()),
        measure=_measured,
        table=partial(table_of, shares={**_SHARES, **_BY_TARGET}),
    ),
}
