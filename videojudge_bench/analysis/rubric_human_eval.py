"""Blinded comparison of two sets of rubrics by annotators: the sheet, and its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench._util.tabular import csv_text
from videojudge_bench.analysis.annotation_sheet import filled_rows, texts_hash
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets.jsonl import STRICT, read_object
from videojudge_bench.metrics.bootstrap import wilson_interval
from videojudge_bench.prompts.rubric_book import Group, RubricBook

COLUMNS = ("id", "video_id", "instruction", "rubric_1", "rubric_2", "better")
ANSWERS = ("1", "2", "tie")

_TEXTS = ("instruction", "rubric_1", "rubric_2")


class _Row(BaseModel):
    model_config = STRICT

    a_is: Literal[1, 2]
    texts: str


class _Side(BaseModel):
    model_config = STRICT

    file: str
    sha256: str


class SheetKey(BaseModel):
    """Origin of each rubric of a sheet, the content of `key.json`.

    Files are named by their names and the first 12 digits of their hashes; a row by its id, with
    the side of the rubric of `a` and a hash of its texts.
    """

    model_config = STRICT

    a: _Side
    b: _Side
    seed: int
    rows: dict[str, _Row]


@dataclass(frozen=True)
class Sheet:
    """A sheet for annotators, with the key that they must not see.

    Attributes:
        rows: the cells of each row, in the order of `COLUMNS`.
        n_both: instructions for which both files have a rubric.
        n_identical: of those, the ones with two identical rubrics, left out.
    """

    rows: tuple[tuple[str, ...], ...]
    key: SheetKey
    n_both: int
    n_identical: int

    def csv_text(self) -> str:
        """Return the sheet as CSV; cells that a spreadsheet would compute begin with `'`."""
        return csv_text(COLUMNS, self.rows, line_end="\r\n")


@dataclass(frozen=True)
class Answers:
    """Annotators' verdicts on two sets of rubrics; the rubric of A wins or loses.

    Attributes:
        n_empty: rows without an answer, or taken out of the sheet.
        share: share of the answers that prefer A, ties half, 0..1.
        low: lower end of its 95 % Wilson interval, rows taken as independent; `high` the upper.
        p_value: of the exact two-sided sign test, ties left out; None when all are ties.
    """

    wins: int
    ties: int
    losses: int
    n_empty: int
    share: float
    low: float
    high: float
    p_value: float | None

    def rows(self) -> list[dict[str, str]]:
        """Return the counts as rows of text."""
        p_value = "undefined (only ties)" if self.p_value is None else f"{self.p_value:.4f}"
        texts = {
            "A is better": str(self.wins),
            "tie": str(self.ties),
            "B is better": str(self.losses),
            "no answer": str(self.n_empty),
            "prefer A, ties half": f"{self.share:.3f} [{self.low:.3f}, {self.high:.3f}]",
            "p, sign test": p_value,
        }
        return [{"rows": name, "": text} for name, text in texts.items()]


def make_sheet(a: RubricBook, b: RubricBook, *, limit: int, seed: int) -> Sheet:
    """Return the sheet that compares two files of rubrics.

    Order, choice under `limit` and sides are drawn by a hash of the seed, the contents of both
    files and the instruction.

    Raises:
        ConfigError: a limit below 1, or there is no instruction for which both have a rubric and
            the two differ.
    """
    if limit < 1:
        raise ConfigError(f"limit={limit}: a sheet has at least 1 row")
    both = sorted(set(a.groups) & set(b.groups))
    pairs = {group: (_rubric(a, group), _rubric(b, group)) for group in both}
    differing = [group for group, (one, two) in pairs.items() if one != two]
    if not differing:
        raise ConfigError(
            f"{a.path} has {len(a.groups)} rubrics and {b.path} {len(b.groups)}; both have one for "
            f"{len(both)} instructions, and all of those are identical. There is nothing to compare"
        )
    drawn = (str(seed), a.sha, b.sha)
    differing.sort(key=lambda group: unit_interval("order", *drawn, *group))
    rows, keys = [], {}
    for number, group in enumerate(differing[:limit], start=1):
        row_id, one, two = f"r{number:03}", *pairs[group]
        a_is: Literal[1, 2] = 1 if unit_interval("side", *drawn, *group) < 0.5 else 2
        texts = (group[1], *((one, two) if a_is == 1 else (two, one)))
        rows.append((row_id, group[0], *texts, ""))
        keys[row_id] = _Row(a_is=a_is, texts=texts_hash(texts))
    sides = [_Side(file=book.path.name, sha256=book.sha) for book in (a, b)]
    key = SheetKey(a=sides[0], b=sides[1], seed=seed, rows=keys)
    return Sheet(tuple(rows), key, len(both), len(both) - len(differing))


def read_answers(sheet: Path, key_file: Path) -> tuple[Answers, SheetKey]:
    """Return the counts of a filled sheet, and its key; raises DataError as `filled_rows`."""
    key = read_object(key_file, SheetKey)
    texts_of = {row_id: row.texts for row_id, row in key.rows.items()}
    rows = list(filled_rows(sheet, COLUMNS, _TEXTS, texts_of))
    outcomes: list[float] = []
    for line, row_id, row in rows:
        answer = row["better"].strip().lower()
        if answer not in ("", *ANSWERS):
            problem = f"found {row['better'].strip()!r}; allowed are 1, 2, tie, or nothing"
            raise DataError(problem, path=sheet, line=line, field="better")
        if answer == "tie":
            outcomes.append(0.5)
        elif answer:
            outcomes.append(float(answer == str(key.rows[row_id].a_is)))
    if not outcomes:
        problem = f"none of the {len(rows)} rows has an answer; write 1, 2 or tie"
        raise DataError(problem, path=sheet, field="better")
    return _counts(outcomes, len(key.rows) - len(outcomes)), key


def _counts(outcomes: Sequence[float], n_empty: int) -> Answers:
    from scipy.stats import binomtest

    wins, ties, losses = (outcomes.count(value) for value in (1.0, 0.5, 0.0))
    share = sum(outcomes) / len(outcomes)
    low, high = wilson_interval(share, len(outcomes))
    decided = wins + losses
    p_value = float(binomtest(wins, decided).pvalue) if decided else None
    return Answers(wins, ties, losses, n_empty, share, low, high, p_value)


def _rubric(book: RubricBook, group: Group) -> str:
    return (book.rubric(group) or "").strip()
