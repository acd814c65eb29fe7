"""Two runs on VATEX-EVAL side by side, with paired intervals of their differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videojudge_bench import goldsets
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import part_of
from videojudge_bench.leaderboard.stored import StoredRun, read_run
from videojudge_bench.metrics import rating_statistics as stats
from videojudge_bench.metrics.bootstrap import Resampling, Statistic, bootstrap, estimate
from videojudge_bench.metrics.rating_statistics import Rated
from videojudge_bench.verdicts import Rating

KEYS = ("emscore_tau_b", "emscore_rho", "emscore_tau_b_without_0", "tau_b_within", "acc_eq")


@dataclass(frozen=True)
class Difference:
    """One figure of two runs, and the 95 % interval of the first minus the second.

    The same resamples of videos are drawn for both: percentiles of the paired differences.
    """

    key: str
    one: float
    other: float
    low: float
    high: float


def differences(
    one: StoredRun, other: StoredRun, *, part: str = "test", resamples: int = 2_000
) -> list[Difference]:
    """Return the figures of two runs on the items that both judged and parsed."""
    gold_set = goldsets.load(one.gold_set, one.info.data)
    both = [_statistics(gold_set, run, (one, other), part) for run in (one, other)]
    (first, n_videos), (second, _) = both
    values = [estimate(each, n_videos) for each in (first, second)]
    drawn = [bootstrap(each, n_videos, Resampling(resamples)) for each in (first, second)]
    rows = []
    for key in KEYS:
        low, high = np.nanpercentile(drawn[0][key] - drawn[1][key], (2.5, 97.5))
        rows.append(Difference(key, values[0][key], values[1][key], float(low), float(high)))
    return rows


def report(paths: Sequence[Path], against: Path, part: str) -> list[str]:
    """Return a Markdown table: each run beside the one at `against`, all figures x 100."""
    other = read_run(against)
    lines = [
        f"| {part} videos, x 100 | figure | {other.name} | difference, 95 % |",
        "|---|---:|---:|---:|",
    ]
    for path in paths:
        run = read_run(path)
        lines += [
            f"| {run.name}: {row.key} | {100 * row.one:.2f} | {100 * row.other:.2f} | "
            f"{100 * (row.one - row.other):+.2f} [{100 * row.low:+.2f}, {100 * row.high:+.2f}] |"
            for row in differences(run, other, part=part)
        ]
    return lines


def _statistics(
    gold_set: GoldSet, run: StoredRun, both: Sequence[StoredRun], part: str
) -> tuple[list[Statistic], int]:
    examples = [
        example
        for example in gold_set.examples
        if part_of(example.item.video_id) == part
        and all(isinstance(each.verdicts.get(example.item.id), Rating) for each in both)
    ]
    verdicts = [run.verdicts[example.item.id] for example in examples]
    rated = Rated.of(examples, [v.value for v in verdicts if isinstance(v, Rating)])
    return [*stats.emscore(rated), *stats.inside_groups(rated)], rated.n_videos
