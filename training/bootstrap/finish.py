"""What is made of a run when all its seeds are through: rows to train on, and the report."""

from __future__ import annotations

from pathlib import Path

from videojudge_bench.training.bootstrap.calls import read_calls, spent_on
from videojudge_bench.training.bootstrap.card import write_card
from videojudge_bench.training.bootstrap.export import write_rows
from videojudge_bench.training.bootstrap.report import ReportFacts, write_report
from videojudge_bench.training.bootstrap.rows import RowOptions
from videojudge_bench.training.bootstrap.run_folder import RunFolder

_BY_RULE = ("perturb", "small_world")


def finish(folder: RunFolder, rows: RowOptions) -> list[Path]:
    """Write `data/`, the report with its plots, and the card; return what was written."""
    counts = write_rows(folder.outcomes(), folder.path, rows)
    generator = folder.facts().get("generator")
    # By rule, a response is as far from the gold answer as its rating says.
    by_rule = isinstance(generator, dict) and generator.get("generator") in _BY_RULE
    spent = spent_on(call for path in folder.journals() for call in read_calls(path))
    facts = ReportFacts(folder.path.name, independent=not by_rule, spent=spent)
    report = write_report(folder.outcomes, folder.path, facts)
    card = write_card(folder.path, counts, rows)
    return [*(folder.path / "data" / f"{name}.jsonl" for name in counts), report, card]
