"""Rows of the leaderboard: stored runs with their ranks, human agreement, published figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, TypeAdapter

from videojudge_bench import goldsets, metrics
from videojudge_bench._util.hashing import Json
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.goldsets.jsonl import STRICT, read_json
from videojudge_bench.leaderboard.comparing import PERMUTATIONS, PairedTest, paired_tests
from videojudge_bench.leaderboard.memo import computed_once
from videojudge_bench.leaderboard.stored import (
    Number,
    StoredRun,
    gold_set_of,
    interval_of,
    kept_info,
    makers_of,
    number_of,
)
from videojudge_bench.metrics.compare import rank_clusters

SIGNIFICANCE = 0.05
LEAST_COVERAGE = 0.95
PEOPLE = "people, not a judge"
SELF_REPORTED = "self-reported: the set is not on this machine"

Role = Literal["judge", "human", "published"]
Table = tuple[bool, str, str, str, str, str, str]
"""Whether a sample; then name, data, version, kind, shape and recipe of a gold set."""


@dataclass(frozen=True)
class Row:
    """One leaderboard line.

    Attributes:
        role: a `judge` that was run, the agreement of `human` raters, or a `published` figure.
        part: of the set, which the numbers are about.
        references: number of references shown.
        signature: measurement half and judge half, joined by `||`; empty for published figures.
        rank: among the rows with the same measurement half, or None.
        unranked: why there is no rank.
        overlap: gold sets that the judge was trained on.
        same_recipe: whether a model that made the judge's training data made the gold set, too.
        self_reported: whether the numbers came with the run and were not computed again, because
            its set, or that form of it, is not on this machine.
    """

    judge: str
    role: Role
    info: GoldSetInfo
    part: str
    references: int
    signature: str
    numbers: Mapping[str, Number]
    rank: int | None = None
    unranked: str = ""
    overlap: tuple[str, ...] = ()
    same_recipe: bool = False
    source: str = ""
    self_reported: bool = False

    @property
    def verified(self) -> bool:
        """True if the numbers were computed on this machine, from verdicts or ratings."""
        return self.role != "published" and not self.self_reported

    @property
    def is_sample(self) -> bool:
        """True if the row is about a sample, which stands apart from the full sets."""
        return self.table[0]

    @property
    def table(self) -> Table:
        """Key that the rows of one table share; tables of samples are the last ones."""
        return _table_of(self.info)

    @property
    def measurement(self) -> str:
        """The half of the signature that rows must share to be compared."""
        return self.signature.partition("||")[0]

    def to_json(self) -> dict[str, Json]:
        """Return the row as it stands in `leaderboard.json`."""
        return {
            "judge": self.judge,
            "role": self.role,
            "gold_set": self.info.name,
            "gold_kind": self.info.kind,
            "data": self.info.data,
            "part": self.part,
            "references": self.references,
            "signature": self.signature,
            "n": self.numbers.get("n"),
            "coverage": self.numbers.get("coverage"),
            "metrics": _nested(self.numbers),
            "rank": self.rank,
            "unranked": self.unranked,
            "published": self.role == "published",
            "verified": self.verified,
            "same_recipe": self.same_recipe,
            "overlap": list(self.overlap),
            "source": self.source,
        }


@dataclass(frozen=True)
class Board:
    """Rows and paired tests of the leaderboard."""

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

    A run whose set, or that form of it, is not on this machine keeps its numbers and has no rank.
    `known_tests` are reused as by `paired_tests`; numbers are checked by `importing.check_numbers`.
    """
    rows: list[Row] = []
    tests: list[PairedTest] = []
    for table in sorted({_table_of(run.info) for run in runs}):
        mine = [run for run in runs if _table_of(run.info) == table]
        gold_set = gold_set_of(mine[0].info)
        if gold_set is None:
            rows += [row_of(run, None) for run in mine]
        else:
            able = [run for run in mine if not row_of(run, gold_set).unranked]
            table_tests = paired_tests(gold_set, able, known_tests, permutations)
            tests += table_tests
            rows += [*_ranked(gold_set, mine, table_tests), *_human_rows(gold_set)]
        rows += [row for row in published if row.table == table]
    return Board(tuple(sorted(rows, key=_order)), tuple(tests))


class _Published(BaseModel):
    model_config = STRICT

    gold_set: str
    judge: str
    references: int
    metrics: dict[str, float]
    source: str


_CARDS = TypeAdapter(dict[str, dict[str, Number]])
_PUBLISHED = TypeAdapter(tuple[_Published, ...])


def read_published(path: Path) -> list[Row]:
    """Return published figures in a JSON list of objects; none without the file."""
    return [
        Row(
            judge=entry.judge,
            role="published",
            info=kept_info(goldsets.info(entry.gold_set)),
            part="all",
            references=entry.references,
            signature="",
            numbers=dict(entry.metrics),
            unranked="published elsewhere",
            source=entry.source,
        )
        for entry in (read_json(path, _PUBLISHED) if path.exists() else ())
    ]


def row_of(run: StoredRun, gold_set: GoldSet | None) -> Row:
    """Return the row of one run, not ranked yet; without its gold set it cannot be ranked."""
    gold_makers = frozenset() if gold_set is None else gold_set.made_by
    same_recipe = bool(gold_makers & makers_of(run.signature.judge))
    return Row(
        judge=run.name,
        role="judge",
        info=run.info,
        part=run.part,
        references=run.references,
        signature=str(run.signature),
        numbers=run.numbers,
        unranked=SELF_REPORTED if gold_set is None else _why_unranked(run, same_recipe=same_recipe),
        overlap=run.overlap,
        same_recipe=same_recipe,
        self_reported=gold_set is None,
    )


def _table_of(info: GoldSetInfo) -> Table:
    """Return the key of a set's table, without the title, which may change."""
    facts = (info.name, info.data, info.version, info.kind, info.shape, info.recipe or "")
    return (info.data.startswith("sample"), *facts)


def _why_unranked(run: StoredRun, *, same_recipe: bool) -> str:
    key = metrics.primary_key(run.info)
    coverage = number_of(run.numbers, "coverage")
    reasons = {
        "trained on this set": run.gold_set in run.overlap,
        "trained on data of a model that made this set": same_recipe,
        "a sample": _table_of(run.info)[0],
        "labels of a model": run.info.kind == "model",
        f"{len(run.verdicts)} of {run.examples} items": len(run.verdicts) < run.examples,
        str(run.numbers.get(key)): number_of(run.numbers, key) is None,
        "fewer than 20 videos": interval_of(run.numbers, key) is None,
        f"coverage below {LEAST_COVERAGE}": coverage is None or coverage < LEAST_COVERAGE,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _ranked(gold_set: GoldSet, runs: Sequence[StoredRun], tests: Iterable[PairedTest]) -> list[Row]:
    p_values = {(t.references, frozenset((t.a, t.b))): t.p_holm for t in tests}
    rows: list[Row] = []
    for half in sorted({run.signature.measurement_text for run in runs}):
        group = [row_of(r, gold_set) for r in runs if r.signature.measurement_text == half]
        able = sorted((row for row in group if not row.unranked), key=_worst_last)
        references = group[0].references

        def significantly_below(lower: str, upper: str, references: int = references) -> bool:
            return p_values[references, frozenset((lower, upper))] < SIGNIFICANCE

        ranks = rank_clusters([row.judge for row in able], significantly_below)
        rows += [replace(row, rank=ranks.get(row.judge)) for row in group]
    return rows


def _human_rows(gold_set: GoldSet) -> list[Row]:
    """Return the agreement among annotators, where it can be computed."""
    if gold_set.info.kind != "human":
        return []
    key = metrics.primary_key(gold_set.info)

    def compute() -> dict[str, dict[str, Number]]:
        return {n: {**card.numbers()} for n, card in metrics.human_cards(gold_set).items()}

    made_from = [gold_set.content_hash, gold_set.info.recipe, metrics.METRIC_VERSION]
    cards = computed_once("people", made_from, _CARDS, compute)
    return [
        Row(
            judge=label,
            role="human",
            info=kept_info(gold_set.info),
            part="all",
            references=0,
            signature="",
            numbers=numbers,
            unranked=PEOPLE if gold_set.info.recipe else f"{PEOPLE}; against single raters",
        )
        for label, numbers in cards.items()
        if isinstance(numbers[key], float)
    ]


def _worst_last(row: Row) -> tuple[float, str]:
    value = number_of(row.numbers, metrics.primary_key(row.info))
    return (float("inf") if value is None else -value, row.judge)


def _order(row: Row) -> tuple[Table, int, int, bool, float, str]:
    """Sort by set, samples last; judges before annotators before papers; ranked and best first."""
    role = ("judge", "human", "published").index(row.role)
    return (row.table, role, row.references, bool(row.unranked), *_worst_last(row))


def _nested(numbers: Mapping[str, Number]) -> dict[str, Json]:
    """Return `{key: value, key_low: …}` as `{key: {value, low, high}}`."""
    return {
        key: {
            "value": value,
            "low": numbers.get(f"{key}_low"),
            "high": numbers.get(f"{key}_high"),
        }
        for key, value in numbers.items()
        if not key.endswith(("_low", "_high"))
    }
