"""Two sets of rubrics before people who do not know which is whose: the sheet, and its answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets.border import STRICT, read_object
from videojudge_bench.hashing import content_hash, unit_interval
from videojudge_bench.rubrics import Group, RubricBook
from videojudge_bench.statistics import wilson_interval

COLUMNS = ("id", "video_id", "instruction", "rubric_1", "rubric_2", "better")
ANSWERS = ("1", "2", "tie")

_TEXTS = ("instruction", "rubric_1", "rubric_2")
_FORMULA = ("=", "+", "-", "@")
_DELIMITERS = ",;\t"  # a spreadsheet saves with that of its user's country


class _Row(BaseModel):
    model_config = STRICT

    a_is: Literal[1, 2]
    texts: str


class _Side(BaseModel):
    model_config = STRICT

    file: str
    sha256: str


class SheetKey(BaseModel):
    """Which rubric of a sheet is whose: what `key.json` holds.

    Attributes:
        a: the first file of rubrics, by name and the first 12 digits of its hash.
        b: the second.
        seed: of the draw.
        rows: by id, on which side the rubric of `a` stands, and a hash of the row's texts.
    """

    model_config = STRICT

    a: _Side
    b: _Side
    seed: int
    rows: dict[str, _Row]


@dataclass(frozen=True)
class Sheet:
    """A sheet for people, with the key that they are not shown.

    Attributes:
        rows: the cells of each row, in the order of `COLUMNS`.
        key: which side is whose.
        n_both: instructions of which both files have a rubric.
        n_identical: of those, the ones with two identical rubrics, left out.
    """

    rows: tuple[tuple[str, ...], ...]
    key: SheetKey
    n_both: int
    n_identical: int

    def csv_text(self) -> str:
        """Return the sheet as CSV; cells that a spreadsheet would compute begin with `'`."""
        file = io.StringIO()
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([_as_text(cell) for cell in row] for row in self.rows)
        return file.getvalue()


@dataclass(frozen=True)
class Answers:
    """What people said of two sets of rubrics.

    Attributes:
        wins: rows in which the rubric of A is better.
        ties: rows without a better one.
        losses: rows in which the rubric of B is better.
        n_empty: rows without an answer, or taken out of the sheet.
        share: share of the answers that prefer A, ties half, 0..1.
        low: lower end of its 95 % Wilson interval, rows taken as independent.
        high: upper end.
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
    pairs = {group: (_of(a, group), _of(b, group)) for group in both}
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
        keys[row_id] = _Row(a_is=a_is, texts=_texts_hash(texts))
    sides = [_Side(file=book.path.name, sha256=book.sha) for book in (a, b)]
    key = SheetKey(a=sides[0], b=sides[1], seed=seed, rows=keys)
    return Sheet(tuple(rows), key, len(both), len(both) - len(differing))


def read_answers(sheet: Path, key_file: Path) -> tuple[Answers, SheetKey]:
    """Return what a filled sheet says, and its key.

    Rows may be sorted, left empty or taken out, and columns added.

    Raises:
        DataError: with file, line and field: a column is missing, an id is unknown or stands there
            twice, a text is not the one that was exported under its id, an answer is neither 1,
            2 nor tie, or no row has an answer.
    """
    key = read_object(key_file, SheetKey)
    seen: dict[str, int] = {}
    outcomes: list[float] = []
    for line, row in _rows(sheet):
        field, problem = _problem(row, key, seen)
        if problem:
            raise DataError(problem, path=sheet, line=line, field=field)
        row_id = row["id"].strip()
        seen[row_id] = line
        answer = row["better"].strip().lower()
        if answer == "tie":
            outcomes.append(0.5)
        elif answer:
            outcomes.append(float(answer == str(key.rows[row_id].a_is)))
    if not outcomes:
        problem = f"none of the {len(seen)} rows has an answer; write 1, 2 or tie"
        raise DataError(problem, path=sheet, field="better")
    return _counted(outcomes, len(key.rows) - len(outcomes)), key


def _counted(outcomes: Sequence[float], n_empty: int) -> Answers:
    from scipy.stats import binomtest

    wins, ties, losses = (outcomes.count(value) for value in (1.0, 0.5, 0.0))
    share = sum(outcomes) / len(outcomes)
    low, high = wilson_interval(share, len(outcomes))
    decided = wins + losses
    p_value = float(binomtest(wins, decided).pvalue) if decided else None
    return Answers(wins, ties, losses, n_empty, share, low, high, p_value)


def _of(book: RubricBook, group: Group) -> str:
    return (book.rubric(group) or "").strip()


def _as_text(cell: str) -> str:
    return f"'{cell}" if cell.lstrip().startswith(_FORMULA) else cell


def _texts_hash(texts: Sequence[str]) -> str:
    """A hash that survives a spreadsheet: line ends, space at the ends, the mark of a text."""
    return content_hash([" ".join(text.lstrip("'").split()) for text in texts])[:16]


def _problem(row: Mapping[str, str], key: SheetKey, seen: Mapping[str, int]) -> tuple[str, str]:
    """What is wrong with a row: the field and the problem, both empty when nothing is."""
    row_id, answer = row["id"].strip(), row["better"].strip()
    if row_id not in key.rows:
        return "id", f"unknown id {row_id!r}; the key knows {_ends(list(key.rows))}"
    if row_id in seen:
        return "id", f"{row_id!r} stands in line {seen[row_id]} too; remove one of the two"
    if _texts_hash([row[name] for name in _TEXTS]) != key.rows[row_id].texts:
        return "rubric_1", (
            f"the texts of row {row_id!r} are not those that the key was written with: it belongs "
            "to another sheet, or a text was edited"
        )
    if answer.lower() not in ("", *ANSWERS):
        return "better", f"found {answer!r}; allowed are 1, 2, tie, or nothing"
    return "", ""


def _ends(ids: Sequence[str]) -> str:
    return f"{ids[0]} to {ids[-1]}" if len(ids) > 1 else ids[0]


def _rows(sheet: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line on which each row begins, and the row; empty lines are passed over."""
    try:
        text = sheet.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error}); save it as CSV, UTF-8", path=sheet) from error
    head = text.partition("\n")[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=head.count), strict=True
    )
    line = 1
    try:
        names = [name.strip() for name in next(reader, [])]
        _check_columns(names, sheet)
        line = reader.line_num + 1
        for cells in reader:
            if any(cells):
                padded = [*cells, *[""] * (len(names) - len(cells))]
                yield line, dict(zip(names, padded, strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        problem = f"not CSV ({error}); save the sheet as CSV"
        raise DataError(problem, path=sheet, line=line) from error


def _check_columns(names: Sequence[str], sheet: Path) -> None:
    for name in COLUMNS:
        if names.count(name) != 1:
            found = ", ".join(filter(None, names)) or "nothing"
            problem = f"the column must be there once; the first line has {found}"
            raise DataError(problem, path=sheet, line=1, field=name)
