"""Runs against each other: two in detail, and the paired tests of all ranked runs of a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Union

from pydantic import TypeAdapter

from videojudge_bench import metrics
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.jsonl import read_json
from videojudge_bench.leaderboard.memo import computed_once
from videojudge_bench.leaderboard.opening import OpenRun
from videojudge_bench.leaderboard.shown import gold_text, response_text, verdict_text
from videojudge_bench.leaderboard.stored import StoredRun, hash_of_verdicts
from videojudge_bench.metrics.asked import count_against
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.metrics.compare import Comparison, compare, holm
from videojudge_bench.metrics.disagreement import Flip, disagreements, flips
from videojudge_bench.metrics.paired import difference_interval
from videojudge_bench.verdicts import Unparsed

_COMPUTED = TypeAdapter(tuple[Comparison, Union[tuple[float, float], None]])


@dataclass(frozen=True)
class Compared:
    """Comparison of two runs.

    Attributes:
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

    def test_row(self) -> dict[str, str]:
        """Return the test as a row of text."""
        test, interval = self.test, "no interval: fewer than 20 videos"
        if self.interval is not None:
            interval = "[{:+.3f}, {:+.3f}]".format(*self.interval)
        return {
            "statistic": test.statistic,
            self.a.name: f"{test.a:.3f}",
            self.b.name: f"{test.b:.3f}",
            "difference": f"{test.difference:+.3f}",
            "95 %": interval,
            "p": f"{test.p_value:.4f}",
            "n": str(test.n),
            "videos": str(test.n_videos),
        }

    def nearer(self) -> tuple[int, int, int]:
        """Return on how many items each judge is nearer to gold, and on how many both alike."""
        nearer_b = sum(flip.gain > 0 for flip in self.flips)
        return len(self.flips) - nearer_b, nearer_b, self.n_both - len(self.flips)

    def flip_rows(self, most: int) -> list[dict[str, str]]:
        """Return the items that flipped most, at most so many, as rows of text."""
        rows = list[dict[str, str]]()
        for flip in self.flips[: max(0, most)]:
            example = self.a.gold_set.by_id[flip.item_id]
            row = {"item": flip.item_id, "gold": gold_text(example.gold)}
            for run in (self.a, self.b):
                row[run.name] = verdict_text(run.judgements[flip.item_id].verdict)
            rows.append({**row, "response": response_text(example.item)})
        return rows

    def to_json(self, items: int) -> dict[str, Json]:
        """Return the comparison, with the items that flipped most, at most so many."""
        low, high = self.interval or (None, None)
        return {
            "task": self.a.info.task,
            "judge_a": self.a.name,
            "judge_b": self.b.name,
            **vars(self.test),
            "low": low,
            "high": high,
            "nearer_to_gold": dict(zip(("a", "b", "alike"), self.nearer(), strict=True)),
            "flips": [
                {"id": flip.item_id, "gain": flip.gain} for flip in self.flips[: max(0, items)]
            ],
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

    Statistics are those of `metrics.compare.compare`; by default the one that ranks judges.

    Raises:
        ConfigError: the runs were measured differently; else as `metrics.compare.compare`.
    """
    check_same_measurement(a, b)
    gold_set, part = a.gold_set, a.record.part
    statistic = statistic or metrics.primary_key(gold_set.info)
    judged = (gold_set, a.judgements, b.judgements)
    verdicts = [
        hash_of_verdicts({i: j.verdict for i, j in run.judgements.items()}) for run in (a, b)
    ]

    def compute() -> tuple[Comparison, tuple[float, float] | None]:
        test = compare(*judged, statistic=statistic, permutations=permutations, part=part)
        interval = difference_interval(
            *judged, statistic=statistic, part=part, resampling=Resampling(resamples)
        )
        return test, interval

    measured = dict(a.signature.measurement)
    key: list[Json] = [
        measured,
        gold_set.content_hash,
        verdicts,
        statistic,
        permutations,
        resamples,
    ]
    test, interval = computed_once("comparisons", key, _COMPUTED, compute)
    far_a, far_b = both_disagreements(a, b)
    flipped = tuple(flips(far_a, far_b))
    return Compared(a, b, test, interval, flipped, len(far_a.keys() & far_b.keys()))


def both_disagreements(a: OpenRun, b: OpenRun) -> tuple[dict[str, float], dict[str, float]]:
    """Return the disagreements of both with gold, in points only where both are on the scale."""
    on_scale = a.record.on_scale and b.record.on_scale
    first, second = (disagreements(r.gold_set, r.judgements, on_scale=on_scale) for r in (a, b))
    return first, second


def check_same_measurement(a: OpenRun, b: OpenRun) -> None:
    """Raise ConfigError with the parts of the measurement in which two runs differ, if any."""
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


PERMUTATIONS, SEED = 10_000, 0

_TESTED = TypeAdapter(tuple[Comparison, Comparison])
TestKey = tuple[tuple[str, str], str, str, tuple[bool, bool], int, int]


@dataclass(frozen=True)
class PairedTest:
    """A paired permutation test between two runs, with Holm's correction over its gold set.

    It holds everything that its p-values depend on, and is repeated when any of it changes.

    Attributes:
        p_value: on the items that both judged and parsed.
        p_holm: corrected for the number of tests of the set; ranks are made from it.
        measurement: the half of the signatures that both runs share: set, items with their gold,
            part, version of the metrics.
        verdicts: hashes of both runs' verdicts.
        on_scale: whether the ratings of each are on the set's scale.
        p_value_all: with every Unparsed counted against its judge; equal to `p_value` when both
            judges parsed everything.
    """

    gold_set: str
    references: int
    a: str
    b: str
    statistic: str
    difference: float
    p_value: float
    p_holm: float
    p_value_all: float
    n: int
    measurement: str
    verdicts: tuple[str, str]
    on_scale: tuple[bool, bool]
    permutations: int
    seed: int

    @property
    def made_from(self) -> TestKey:
        """Everything that the p-values depend on."""
        return (
            self.verdicts, self.statistic, self.measurement, self.on_scale, self.permutations,
            self.seed,
        )  # fmt: skip

    def to_json(self) -> dict[str, Json]:
        """Return the test as it stands in `comparisons.json`."""
        return {**vars(self), "verdicts": list(self.verdicts), "on_scale": list(self.on_scale)}


def read_tests(path: Path) -> list[PairedTest]:
    """Return the tests stored with the tables, none without that file; raises as `read_json`."""
    return list(read_json(path, TypeAdapter(tuple[PairedTest, ...])) if path.exists() else ())


def paired_tests(
    gold_set: GoldSet, runs: Sequence[StoredRun], known: Sequence[PairedTest], permutations: int
) -> list[PairedTest]:
    """Return the tests of all pairs that can be compared, one family for Holm's correction.

    A test in `known` of the same verdicts and settings is reused.
    """
    cached = {test.made_from: test for test in known}
    pairs = [
        (a, b)
        for a, b in combinations(runs, 2)
        if a.signature.measurement_text == b.signature.measurement_text
    ]
    tests = [_test(gold_set, pair, cached, permutations) for pair in pairs]
    corrected = holm([test.p_value for test in tests])
    return [replace(test, p_holm=p) for test, p in zip(tests, corrected, strict=True)]


def _test(
    gold_set: GoldSet,
    runs: tuple[StoredRun, StoredRun],
    cached: Mapping[TestKey, PairedTest],
    permutations: int,
) -> PairedTest:
    a, b = runs
    statistic = metrics.primary_key(gold_set.info)
    measurement = a.signature.measurement_text
    verdicts, on_scale = (a.verdicts_hash, b.verdicts_hash), (a.on_scale, b.on_scale)
    key = (verdicts, statistic, measurement, on_scale, permutations, SEED)
    if key in cached:
        return replace(cached[key], a=a.name, b=b.name)
    judged = [run.judgements for run in runs]
    test = partial(
        compare, gold_set, statistic=statistic, part=a.part, permutations=permutations, seed=SEED
    )

    def compute() -> tuple[Comparison, Comparison]:
        parsed = everything = test(*judged)
        if any(isinstance(v, Unparsed) for run in runs for v in run.verdicts.values()):
            worst = [count_against(gold_set, run.judgements, on_scale=run.on_scale) for run in runs]
            everything = test(*worst)
        return parsed, everything

    parsed, everything = computed_once(
        "tests", [list(map(str, key)), gold_set.content_hash], _TESTED, compute
    )
    return PairedTest(
        gold_set=a.gold_set,
        references=a.references,
        a=a.name,
        b=b.name,
        statistic=statistic,
        difference=parsed.difference,
        p_value=parsed.p_value,
        p_holm=parsed.p_value,
        p_value_all=everything.p_value,
        n=parsed.n,
        measurement=measurement,
        verdicts=verdicts,
        on_scale=on_scale,
        permutations=permutations,
        seed=SEED,
    )
