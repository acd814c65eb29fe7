"""Two runs against each other: a statistic, its difference, and the items that flipped."""

from __future__ import annotations

from dataclasses import dataclass

from videojudge_bench import metrics
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError
from videojudge_bench.leaderboard.opening import OpenRun
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.metrics.compare import Comparison, compare
from videojudge_bench.metrics.disagreement import Flip, disagreements, flips
from videojudge_bench.metrics.paired import difference_interval


@dataclass(frozen=True)
class Compared:
    """Two runs, compared.

    Attributes:
        a: the first run.
        b: the second run.
        test: the paired permutation test.
        interval: of the difference a - b, 95 %; None with fewer than 20 videos.
        flips: the items on which one judge is nearer to gold than the other, most first.
        n_both: items that both judged and parsed.
    """

    a: OpenRun
    b: OpenRun
    test: Comparison
    interval: tuple[float, float] | None
    flips: tuple[Flip, ...]
    n_both: int

    def to_json(self, items: int) -> dict[str, Json]:
        """Return the comparison, with the so many items that flipped most."""
        nearer_b = sum(flip.gain > 0 for flip in self.flips)
        low, high = self.interval or (None, None)
        return {
            "task": self.a.info.task,
            "judge_a": self.a.name,
            "judge_b": self.b.name,
            **vars(self.test),
            "low": low,
            "high": high,
            "nearer_to_gold": {
                "a": len(self.flips) - nearer_b,
                "b": nearer_b,
                "alike": self.n_both - len(self.flips),
            },
            "flips": [{"id": flip.item_id, "gain": flip.gain} for flip in self.flips[:items]],
        }


def compare_runs(
    a: OpenRun,
    b: OpenRun,
    *,
    statistic: str | None = None,
    permutations: int = 10_000,
    resamples: int = 10_000,
) -> Compared:
    """Return the comparison of two runs on what both judged and parsed.

    Args:
        a: the first run.
        b: the second run.
        statistic: as `metrics.compare.compare` takes it; None is the one that ranks judges.
        permutations: of the test.
        resamples: of videos, for the interval.

    Raises:
        ConfigError: the runs were measured differently; else as `metrics.compare.compare`.
    """
    check_same_measurement(a, b)
    gold_set, part = a.gold_set, a.found.part
    statistic = statistic or metrics.primary_key(gold_set.info)
    test = compare(
        gold_set,
        a.judgements,
        b.judgements,
        statistic=statistic,
        permutations=permutations,
        part=part,
    )
    interval = difference_interval(
        gold_set,
        a.judgements,
        b.judgements,
        statistic=statistic,
        part=part,
        resampling=Resampling(resamples),
    )
    far_a, far_b = both_disagreements(a, b)
    flipped = tuple(flips(far_a, far_b))
    return Compared(a, b, test, interval, flipped, len(far_a.keys() & far_b.keys()))


def both_disagreements(a: OpenRun, b: OpenRun) -> tuple[dict[str, float], dict[str, float]]:
    """Return the disagreements of both with gold, in points only where both are on the scale."""
    on_scale = a.found.on_scale and b.found.on_scale
    first, second = (disagreements(r.gold_set, r.judgements, on_scale=on_scale) for r in (a, b))
    return first, second


def check_same_measurement(a: OpenRun, b: OpenRun) -> None:
    """Check that two runs can be compared.

    Raises:
        ConfigError: naming each part of the measurement in which they differ.
    """
    one, other = a.signature.measurement, b.signature.measurement
    problems = [
        f"{key}: {one.get(key)} against {other.get(key)}"
        for key in dict.fromkeys((*one, *other))
        if one.get(key) != other.get(key)
    ]
    if not problems:
        return
    if one.get("items") != other.get("items"):
        asked = [f"{len(run.judgements)} of {len(run.gold_set.examples)}" for run in (a, b)]
        problems.append(f"items asked: {asked[0]} against {asked[1]}")
    raise ConfigError(
        f"{a.title} and {b.title} were measured differently and cannot be compared:"
        + "".join(f"\n  - {problem}" for problem in problems)
        + "\nRun both judges on the same items of the same set, with the same references"
    )
