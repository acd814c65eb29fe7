"""One judge under a grid of settings: a run for each, and one table of their results.

Every run keeps a journal of its own: a stopped sweep resumes, and a setting that was measured
before costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from videojudge_bench import goldsets, metrics, registry
from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import Scalar, scalar, without_secrets
from videojudge_bench.errors import ConfigError, VideoJudgeError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.goldsets.view import checked_references
from videojudge_bench.leaderboard.stored import Number
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import Usage

REFERENCES = "references"

Settings = Mapping[str, Scalar]


@dataclass(frozen=True)
class SweepPlan:
    """Options of a sweep.

    Attributes:
        vary: the values of each setting that varies: options of the judge, and `references`.
        options: of the judge, the same in every run.
        run: options of every run; `references` may vary instead.
        limit: the first so many items of every set.
    """

    judge: str
    sets: Sequence[str]
    vary: Mapping[str, Sequence[Scalar]]
    options: Settings = field(default_factory=dict)
    run: RunOptions = field(default_factory=RunOptions)
    limit: int | None = None


@dataclass(frozen=True)
class Cell:
    """One run of a sweep, checked and ready."""

    settings: Settings
    run: Run
    item_ids: tuple[str, ...]

    def waiting(self) -> int:
        """Return how many items the judge has still to be asked about."""
        return 0 if self.run.refusal else len(self.run.waiting(self.item_ids))


@dataclass(frozen=True)
class SweepRow:
    """Result of one run.

    Attributes:
        numbers: `ScoreCard.flat` with six decimals; empty with a `problem`.
        usage: of all its judgements, those from the journal too.
        failed: whether the problem is a failure, rather than a judge that does not suit the set.
    """

    cell: Cell
    numbers: Mapping[str, Number] = field(default_factory=dict)
    usage: Usage = Usage()
    problem: str = ""
    failed: bool = False

    @property
    def info(self) -> GoldSetInfo:
        """Facts about the gold set."""
        return self.cell.run.gold_set.info

    def to_json(self) -> dict[str, Json]:
        """Return the row as a flat object; the numbers come last."""
        run, used = self.cell.run, self.usage
        return {
            "gold_set": self.info.name,
            "data": self.info.data,
            "judge": run.built.name,
            **without_secrets(self.cell.settings),
            "references": run.view.references,
            "part": run.part,
            "problem": self.problem,
            "signature": str(run.signature(self.cell.item_ids)),
            "input_tokens": used.input_tokens,
            "output_tokens": used.output_tokens,
            "seconds": round(used.seconds, 3),
            "cost": used.cost,
            **self.numbers,
        }


def read_vary(words: Sequence[str]) -> dict[str, list[Scalar]]:
    """Return the values of each setting in words such as `max_frames=30,60`.

    Raises ConfigError for a word of another form, and a setting or value that comes twice.
    """
    vary: dict[str, list[Scalar]] = {}
    for word in words:
        name, equals, values = word.partition("=")
        texts = [text.strip() for text in values.split(",")]
        if not equals or not name or not all(texts):
            raise ConfigError(f"--vary {word!r} is not option=value,value, as in seed=1,2,3")
        if name in vary:
            raise ConfigError(f"--vary {name} is given twice; write all its values in one")
        if len(set(texts)) < len(texts):
            raise ConfigError(f"--vary {word!r} has a value twice")
        vary[name] = [scalar(text) for text in texts]
    return vary


def prepare(plan: SweepPlan) -> list[Cell]:
    """Return all runs of a sweep, checked before the first one starts.

    Raises:
        UnknownNameError: no such judge or gold set.
        ConfigError: an option that the judge does not have, a value that it refuses, an option
            that both varies and is fixed, nothing that varies, or a limit below 1.
        NoDataError: a set is not on this machine.
    """
    _check(plan)
    sets = [goldsets.load(name) for name in plan.sets]
    grid = [dict(zip(plan.vary, values, strict=True)) for values in product(*plan.vary.values())]
    judges: dict[str, BuiltJudge] = {}
    cells = {}
    for number, settings in enumerate(grid):
        options = {**plan.options, **settings}
        options.pop(REFERENCES, None)
        # Runs that differ in their references share a judge, and so one loading of its model.
        key = json.dumps(options)
        judges[key] = judges.get(key) or registry.build(plan.judge, options)
        for place, gold_set in enumerate(sets):
            cells[place, number] = _cell(plan, settings, judges[key], gold_set)
    return [cells[key] for key in sorted(cells)]


def run_sweep(
    cells: Sequence[Cell], *, resamples: int = 10_000, on_row: Callable[[SweepRow], None]
) -> list[SweepRow]:
    """Judge, and return a row for each run, in the order of `cells`.

    A run that fails becomes a row with its problem; the others continue.
    """
    judges = {id(cell.run.built): cell.run.built for cell in cells}
    rows: dict[int, SweepRow] = {}
    for key, built in judges.items():
        try:
            for place, cell in enumerate(cells):
                if id(cell.run.built) == key:
                    rows[place] = _row(cell, resamples)
                    on_row(rows[place])
        finally:
            built.judge.close()
    return [rows[place] for place in sorted(rows)]


def title_of(plan: SweepPlan) -> str:
    """Return the title of both tables."""
    title = f"{plan.judge} on {', '.join(f'videojudge_{name}' for name in plan.sets)}"
    return title if plan.limit is None else f"{title}, the first {plan.limit} items of each set"


def plan_rows(cells: Sequence[Cell]) -> tuple[list[dict[str, str]], int]:
    """Return a row for each run, and how many times a judge will be called."""
    rows, total = list[dict[str, str]](), 0
    for cell in cells:
        calls = cell.waiting()
        total += calls
        rows.append(
            {
                "set": cell.run.gold_set.info.name,
                **_settings(cell),
                "items": str(len(cell.item_ids)),
                "judge calls": str(calls),
                "": f"not applicable: {cell.run.refusal}" if cell.run.refusal else "",
            }
        )
    return rows, total


def result_rows(rows: Sequence[SweepRow]) -> list[dict[str, str]]:
    """Return a row of text for each run; costs that no run has are left out."""
    costs = [_costs(row) for row in rows]
    known = [name for name in costs[0] if any(cost[name] for cost in costs)]
    return [
        {
            "set": row.info.name,
            **_settings(row.cell),
            **_results(row),
            **{name: cost[name] for name in known},
        }
        for row, cost in zip(rows, costs, strict=True)
    ]


def problem_of(row: SweepRow) -> str:
    """Return why a run has no numbers, with its settings."""
    settings = ",".join(f"{name}={value}" for name, value in _settings(row.cell).items())
    return f"{row.info.task}, {settings}: {row.problem}"


def _check(plan: SweepPlan) -> None:
    if not plan.vary:
        raise ConfigError("nothing varies; give --vary option=value,value")
    if plan.limit is not None and plan.limit < 1:
        raise ConfigError(f"--limit {plan.limit}: at least 1 item is needed")
    both = sorted(plan.vary.keys() & plan.options.keys())
    if REFERENCES in plan.vary and plan.run.references is not None:
        both.append(REFERENCES)
    if both:
        raise ConfigError(f"{', '.join(both)}: given both with --vary and with one value")
    if REFERENCES in plan.options:
        raise ConfigError("references is no option of a judge here; give --references N")
    if len(set(plan.sets)) < len(plan.sets):
        raise ConfigError(f"--gold-set {','.join(plan.sets)}: a set is named twice")
    given = [name for name in (*plan.options, *plan.vary) if name != REFERENCES]
    registry.check_options(
        plan.judge, given, engine=plan.options.get("engine"), also_allowed=[REFERENCES]
    )


def _cell(plan: SweepPlan, settings: Settings, built: BuiltJudge, gold_set: GoldSet) -> Cell:
    references = plan.run.references
    if REFERENCES in settings:
        references = checked_references(settings[REFERENCES])
    run = Run(built, gold_set, replace(plan.run, references=references))
    ids = tuple(example.item.id for example in gold_set.examples[: plan.limit])
    return Cell(settings, run, ids)


def _row(cell: Cell, resamples: int) -> SweepRow:
    run = cell.run
    if run.refusal is not None:
        return SweepRow(cell, problem=f"not applicable: {run.refusal}")
    try:
        judgements = run.judge(cell.item_ids)
        card = run.measurement.card(judgements, resamples=resamples)
    except VideoJudgeError as error:
        return SweepRow(cell, problem=str(error), failed=True)
    used = sum((judgement.usage for judgement in judgements.values()), Usage())
    return SweepRow(cell, card.numbers(), used)


def _settings(cell: Cell) -> dict[str, str]:
    return {name: str(value) for name, value in without_secrets(cell.settings).items()}


def _results(row: SweepRow) -> dict[str, str]:
    key = metrics.primary_key(row.info)
    if row.problem:
        what = "failed" if row.failed else "not applicable"
        text = f"{what}: {row.problem.removeprefix('not applicable: ')}"
        return {"statistic": key, "value": text, "coverage": "", "n": ""}
    value, low, high, coverage = (
        row.numbers[name] for name in (key, f"{key}_low", f"{key}_high", "coverage")
    )
    text = _three_places(value)
    if isinstance(low, float) and isinstance(high, float):
        text += f" [{low:.3f}, {high:.3f}]"
    elif isinstance(value, float):
        text += f" (interval {low})"
    numbers = {"coverage": _three_places(coverage), "n": str(row.numbers["n"])}
    return {"statistic": key, "value": text, **numbers}


def _costs(row: SweepRow) -> dict[str, str]:
    """Return the cost of a run as text; empty where it is not known."""
    used = row.usage
    return {
        "tokens in": str(used.input_tokens or ""),
        "tokens out": str(used.output_tokens or ""),
        "seconds": f"{used.seconds:.1f}" if used.seconds else "",
        "cost": f"{used.cost:.4f}" if used.cost else "",
    }


def _three_places(value: float | int | str | None) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
