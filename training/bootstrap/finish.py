"""What is made of a run when all its seeds are through: rows to train on, and the report."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from videojudge_bench.training.bootstrap.calls import read_calls, spent_on
from videojudge_bench.training.bootstrap.card import write_card
from videojudge_bench.training.bootstrap.export import write_rows
from videojudge_bench.training.bootstrap.options import ReportKind
from videojudge_bench.training.bootstrap.report import ReportFacts, write_report
from videojudge_bench.training.bootstrap.rows import RowOptions
from videojudge_bench.training.bootstrap.run_folder import RunFolder

FULL_FROM = 10_000
"""Seeds from which on the whole report costs little beside the run."""

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
    """The options with a share for validation that holds a video, where there are two or more."""
    if not rows.validation or rows.part_label is not None:
        return rows
    videos = {outcome.seed.video_id for outcome in folder.outcomes() if outcome.kept}
    lowest = min(map(rows.drawn, videos), default=0.0)
    if len(videos) < 2 or lowest < rows.validation:
        return rows
    return replace(rows, validation=math.nextafter(lowest, 1.0))
