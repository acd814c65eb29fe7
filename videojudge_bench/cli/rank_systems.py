"""The verb `videojudge rank-systems`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from videojudge_bench._util.command import opened_output
from videojudge_bench._util.terminal import note, say, say_json, show
from videojudge_bench.cli._options import Json, Output

if TYPE_CHECKING:
    from videojudge_bench._util.hashing import Json as JsonValue
    from videojudge_bench.answers.system_ranks import SystemRanks


def rank_systems(
    *verdicts: Annotated[Path, Parameter(help="files of videojudge judge, one per judge or date")],
    resamples: int = 10_000,
    output: Output | None = None,
    json: Json = False,
) -> None:
    r"""Test whether judges, or one judge on two dates, put systems into the same order.

    Shows mean and rank of each system under each judge and how far its rank shifts, Kendall's tau-b
    of the orders of every two judges, and which of two systems is better under all of them: "holds
    under all" where every judge has the same order and each interval of the difference leaves 0
    out. 95 % intervals, from resamples of videos, need 20 videos.

      videojudge judge answers.jsonl --judge compact -o compact.jsonl
      videojudge judge answers.jsonl --judge cider -o cider.jsonl
      videojudge rank-systems compact.jsonl cider.jsonl -o conclusions.csv

    Verdicts on pairs (--versus all) count as shares of wins. A system that a file lacks is shown
    without a rank.

    Args:
        resamples: of videos, for the intervals
        output: every two systems as .csv, or all numbers as .json; - for CSV on standard output
    """
    from videojudge_bench._util import tabular
    from videojudge_bench.answers.system_ranks import SystemRanks, read_verdicts
    from videojudge_bench.errors import ConfigError
    from videojudge_bench.metrics.bootstrap import Resampling

    if resamples < 1:
        raise ConfigError(f"--resamples: expected 1 or more, got {resamples}")
    with opened_output(output, *tabular.OUTPUTS) as target:
        judges = [read_verdicts(path) for path in verdicts]
        ranks = SystemRanks(judges, Resampling(resamples))
        if json:
            say_json(ranks.to_json())
        else:
            _print(ranks)
        if target is not None:
            _write(ranks, target)
            note(f"wrote {output}")


def _write(ranks: SystemRanks, target: Path) -> None:
    from json import dumps

    from videojudge_bench._util import tabular
    from videojudge_bench._util.files import write_whole

    if target.suffix == ".json":
        write_whole(target, dumps(ranks.to_json(), indent=1, ensure_ascii=False) + "\n")
    else:
        tabular.write_rows(ranks.conclusion_rows(), target)


def _print(ranks: SystemRanks) -> None:
    for title, rows in (
        ("Systems, rank 1 the best", ranks.system_rows()),
        ("Kendall's tau-b of the systems' order", ranks.agreement_rows()),
        ("Every two systems: A - B under each judge", ranks.conclusion_rows()),
    ):
        texts = [{k: _text(v) for k, v in row.items()} for row in rows]
        show(texts, as_json=False, title=title)
    counts = Counter(str(row["conclusion"]) for row in ranks.conclusion_rows())
    say(f"{conclusion}: {count}" for conclusion, count in counts.most_common())
    for name, judge in zip(ranks.names, ranks.judges, strict=True):
        if judge.missing:
            note(f"{name}: {judge.missing} answers without a verdict are left out")
    if len(ranks.videos) < 20:
        note(f"{len(ranks.videos)} videos: too few for intervals")


def _text(value: JsonValue) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
