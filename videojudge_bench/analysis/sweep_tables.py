"""Tables of a sweep as text: the plan before it, the results after it."""

from __future__ import annotations

from collections.abc import Sequence

from videojudge_bench import metrics
from videojudge_bench._util.options import without_secrets
from videojudge_bench.analysis.sweep import Cell, SweepPlan, SweepRow


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
