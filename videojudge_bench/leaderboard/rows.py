"""From stored runs to the rows of the leaderboard: human rows, ranks, published figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Literal

from videojudge_bench import goldsets, metrics
from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.hashing import Json
from videojudge_bench.leaderboard.stored import Number, StoredRun, rounded
from videojudge_bench.metrics.compare import compare, holm, rank_clusters
from videojudge_bench.metrics.imputation import count_against
from videojudge_bench.verdicts import Unparsed

SIGNIFICANCE = 0.05
LEAST_COVERAGE = 0.95
PERMUTATIONS = 10_000

Role = Literal["judge", "human", "published"]


@dataclass(frozen=True)
class Row:
    """One leaderboard line.

    Attributes:
        judge: name.
        role: a `judge` that was run, the agreement of `human` raters, or a `published` figure.
        gold_set: name of the set.
        gold_kind: where its gold comes from.
        data: `full`, or which sample.
        part: part of the set that the numbers are about.
        references: how many references were shown.
        signature: measurement half and judge half, joined by `||`; empty for published figures.
        numbers: by key, as `ScoreCard.flat` gives them.
        rank: among the rows with the same measurement half, or None.
        unranked: why there is no rank.
        overlap: gold sets that the judge was trained on.
        source: where a published figure stands.
    """

    judge: str
    role: Role
    gold_set: str
    gold_kind: str
    data: str
    part: str
    references: int
    signature: str
    numbers: Mapping[str, Number]
    rank: int | None = None
    unranked: str = ""
    overlap: tuple[str, ...] = ()
    source: str = ""

    @property
    def measurement(self) -> str:
        """The half of the signature that rows must share to be compared."""
        return self.signature.partition("||")[0]

    def to_json(self) -> dict[str, Json]:
        """Return the row as it stands in `leaderboard.json`."""
        return {
            "judge": self.judge,
            "role": self.role,
            "gold_set": self.gold_set,
            "gold_kind": self.gold_kind,
            "data": self.data,
            "part": self.part,
            "references": self.references,
            "signature": self.signature,
            "n": self.numbers.get("n"),
            "coverage": self.numbers.get("coverage"),
            "metrics": _nested(self.numbers),
            "rank": self.rank,
            "unranked": self.unranked,
            "published": self.role == "published",
            "verified": self.role != "published",
            "same_recipe": False,
            "overlap": list(self.overlap),
            "source": self.source,
        }


@dataclass(frozen=True)
class PairedTest:
    """A paired permutation test between two runs, with Holm's correction over its gold set.

    Attributes:
        p_value: on the items that both judged and parsed.
        p_holm: corrected for the number of tests of the set; ranks are made from it.
        measurement: the half of the signatures that both runs share.
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

    def to_json(self) -> dict[str, Json]:
        """Return the test as it stands in `comparisons.json`."""
        return {**vars(self), "verdicts": list(self.verdicts)}


@dataclass(frozen=True)
class Board:
    """Everything that the tables show."""

    rows: tuple[Row, ...]
    tests: tuple[PairedTest, ...] = field(default=())


def build(
    runs: Sequence[StoredRun],
    *,
    published: Sequence[Row] = (),
    known_tests: Sequence[PairedTest] = (),
    permutations: int = PERMUTATIONS,
) -> Board:
    """Return the board of all runs.

    Args:
        runs: the stored runs.
        published: figures from elsewhere, to stand beside.
        known_tests: tests made before; one is used again when both runs' verdicts are the same.
        permutations: of each test.
    """
    rows: list[Row] = []
    tests: list[PairedTest] = []
    for name in sorted({run.gold_set for run in runs}):
        mine = [run for run in runs if run.gold_set == name]
        made = _tests(mine, known_tests, permutations)
        tests += made
        rows += _ranked(mine, made)
        rows += _human_rows(name)
        rows += [row for row in published if row.gold_set == name]
    return Board(tuple(sorted(rows, key=_order)), tuple(tests))


def read_published(path: Path) -> list[Row]:
    """Return figures from elsewhere: a JSON list of objects with `gold_set`, `judge`, `references`,
    `metrics` (key to value) and `source`.

    Raises:
        DataError: the file is not that.
    """  # noqa: D205
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [_published_row(entry) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"not a list of published figures: {error!r}", path=path) from error


def read_tests(path: Path) -> list[PairedTest]:
    """Return the tests that were written with the tables; none when there is no such file.

    Raises:
        DataError: the file is not what was written.
    """
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [PairedTest(**{**entry, "verdicts": tuple(entry["verdicts"])}) for entry in entries]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"not the tests that the leaderboard wrote ({error!r}); delete the file, and they are "
            "made again",
            path=path,
        ) from error


def row_of(run: StoredRun) -> Row:
    """Return the row of one run, not ranked yet."""
    info = goldsets.info(run.gold_set)
    return Row(
        judge=run.name,
        role="judge",
        gold_set=run.gold_set,
        gold_kind=info.kind,
        data=info.data,
        part=run.part,
        references=run.references,
        signature=str(run.signature),
        numbers=run.numbers,
        unranked=_why_unranked(run, info),
        overlap=run.overlap,
    )


def _why_unranked(run: StoredRun, info: GoldSetInfo) -> str:
    key = metrics.primary_key(info)
    value, coverage = run.numbers.get(key), run.numbers.get("coverage")
    whole = len(goldsets.load(run.gold_set).examples)
    reasons = {
        "trained on this set": run.gold_set in run.overlap,
        "labels of a model": info.kind == "model",
        f"{len(run.verdicts)} of {whole} items": len(run.verdicts) < whole,
        str(value): not isinstance(value, (int, float)),
        "fewer than 20 videos": not isinstance(run.numbers.get(f"{key}_low"), (int, float)),
        f"coverage below {LEAST_COVERAGE}": not isinstance(coverage, float)
        or coverage < LEAST_COVERAGE,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _tests(
    runs: Sequence[StoredRun], known: Sequence[PairedTest], permutations: int
) -> list[PairedTest]:
    """All pairs that can be compared, in one family for Holm's correction."""
    cached = {(t.verdicts, t.statistic, t.measurement): t for t in known}
    ranked = [run for run in runs if not row_of(run).unranked]
    pairs = [
        (a, b)
        for a, b in combinations(ranked, 2)
        if a.signature.measurement_text == b.signature.measurement_text
    ]
    made = [_test(a, b, cached, permutations) for a, b in pairs]
    corrected = holm([test.p_value for test in made])
    return [replace(test, p_holm=p) for test, p in zip(made, corrected, strict=True)]


def _test(
    a: StoredRun,
    b: StoredRun,
    cached: Mapping[tuple[tuple[str, str], str, str], PairedTest],
    permutations: int,
) -> PairedTest:
    gold_set = goldsets.load(a.gold_set)
    statistic = metrics.primary_key(gold_set.info)
    measurement = a.signature.measurement_text
    key = ((a.verdicts_hash, b.verdicts_hash), statistic, measurement)
    if key in cached:
        return replace(cached[key], a=a.name, b=b.name)
    judged = [run.judgements for run in (a, b)]
    test = partial(compare, gold_set, statistic=statistic, permutations=permutations, part=a.part)
    found = everything = test(*judged)
    if any(isinstance(v, Unparsed) for run in (a, b) for v in run.verdicts.values()):
        worst = [count_against(gold_set, run.judgements, on_scale=run.on_scale) for run in (a, b)]
        everything = test(*worst)
    return PairedTest(
        gold_set=a.gold_set,
        references=a.references,
        a=a.name,
        b=b.name,
        statistic=statistic,
        difference=found.difference,
        p_value=found.p_value,
        p_holm=found.p_value,
        p_value_all=everything.p_value,
        n=found.n,
        measurement=measurement,
        verdicts=key[0],
    )


def _ranked(runs: Sequence[StoredRun], tests: Iterable[PairedTest]) -> list[Row]:
    p_values = {(t.references, frozenset((t.a, t.b))): t.p_holm for t in tests}
    rows: list[Row] = []
    for half in sorted({run.signature.measurement_text for run in runs}):
        group = [row_of(r) for r in runs if r.signature.measurement_text == half]
        able = sorted((row for row in group if not row.unranked), key=_worst_last)
        shown = group[0].references

        def significantly_below(lower: str, upper: str, shown: int = shown) -> bool:
            return p_values[shown, frozenset((lower, upper))] < SIGNIFICANCE

        ranks = rank_clusters([row.judge for row in able], significantly_below)
        rows += [replace(row, rank=ranks.get(row.judge)) for row in group]
    return rows


def _human_rows(name: str) -> list[Row]:
    gold_set = goldsets.load(name)
    return [
        Row(
            judge=f"{label}",
            role="human",
            gold_set=name,
            gold_kind=gold_set.info.kind,
            data=gold_set.info.data,
            part="all",
            references=0,
            signature="",
            numbers=rounded(card.flat()),
            unranked="people, not a judge",
        )
        for label, card in metrics.human_cards(gold_set).items()
    ]


def _published_row(entry: Mapping[str, object]) -> Row:
    info = goldsets.info(str(entry["gold_set"]))
    numbers = entry["metrics"]
    if not isinstance(numbers, dict):
        raise TypeError("metrics is not an object")
    return Row(
        judge=str(entry["judge"]),
        role="published",
        gold_set=info.name,
        gold_kind=info.kind,
        data=info.data,
        part="all",
        references=int(str(entry["references"])),
        signature="",
        numbers=numbers,
        unranked="published elsewhere",
        source=str(entry["source"]),
    )


def _worst_last(row: Row) -> tuple[float, str]:
    value = row.numbers.get(metrics.primary_key(goldsets.info(row.gold_set)))
    number = float(value) if isinstance(value, (int, float)) else float("-inf")
    return (-number, row.judge)


def _order(row: Row) -> tuple[str, int, int, float, str]:
    """Sets by name; judges before people before papers; best first."""
    roles = ("judge", "human", "published")
    return (row.gold_set, roles.index(row.role), row.references, *_worst_last(row))


def _nested(numbers: Mapping[str, Number]) -> dict[str, Json]:
    """`{key: value, key_low: …}` as `{key: {value, low, high}}`."""
    nested: dict[str, Json] = {}
    for key, value in numbers.items():
        if key.endswith(("_low", "_high")):
            continue
        low, high = numbers.get(f"{key}_low"), numbers.get(f"{key}_high")
        nested[key] = {"value": value, "low": low, "high": high}
    return nested
