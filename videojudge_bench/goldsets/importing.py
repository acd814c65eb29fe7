"""A foreign source written as rows of our schema: bad rows are counted, not fatal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from videojudge_bench._util.hashing import content_hash
from videojudge_bench.errors import DataError
from videojudge_bench.goldsets import jsonl, schema, sources, store
from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.goldsets.expressions import Row
from videojudge_bench.goldsets.map_values import BadRowError, shortened
from videojudge_bench.goldsets.mapping import RowMap
from videojudge_bench.goldsets.sources import RawRow

ANNOTATOR = "annotator"
"""The label of a row with the ratings of one annotator: a hash of the name."""

_HOPELESS = 1_000
"""So many bad rows and not one good one: the mapping is wrong."""

_FEW, _MOST_BARS = 5, 12
_FLIPPED = {"a": "b", "b": "a", "tie": "tie"}


@dataclass
class _Bad:
    value: str
    count: int = 0
    places: list[str] = field(default_factory=list)


@dataclass
class Report:
    """Counts of the rows of a source (with `explode`, of their parts)."""

    read: int = 0
    dropped: int = 0
    merged: int = 0
    bad: dict[tuple[str, str], _Bad] = field(default_factory=dict)

    @property
    def n_bad(self) -> int:
        """Number of rows that are left out for a fault."""
        return sum(bad.count for bad in self.bad.values())

    def add_bad(self, place: str, error: BadRowError) -> None:
        """Count a bad row; the first of each problem are named."""
        bad = self.bad.setdefault((error.field, error.problem), _Bad(error.got))
        bad.count += 1
        if len(bad.places) < _FEW:
            bad.places.append(place)

    def lines(self) -> list[str]:
        """Return the counts, then a line for each problem of bad rows, the most frequent first."""
        counts = {"dropped": self.dropped, "bad": self.n_bad, "merged by annotator": self.merged}
        parts = [f"{count:,} {name}" for name, count in counts.items() if count]
        rows = f"{self.read:,} row{'s' if self.read != 1 else ''} read"
        return [", ".join([rows, *parts]), *self.problems()]

    def problems(self) -> list[str]:
        """Return a line for each problem of bad rows, the most frequent first."""
        lines = []
        for (name, problem), bad in sorted(self.bad.items(), key=lambda item: -item[1].count):
            places = ", ".join(bad.places) + (", …" if bad.count > len(bad.places) else "")
            got = f"; got {bad.value}" if bad.value else ""
            where = f"{name}: " if name else ""
            lines.append(f"  {bad.count:,} bad: {where}{problem}{got} ({places})")
        return lines


def convert(source: str, row_map: RowMap, target: Path, name: str) -> Report:
    """Write the rows of a source that are good to a compressed JSON Lines file in our schema.

    Args:
        source: as of `sources.rows`.
        row_map: the mapping.
        target: the file.
        name: of the gold set; annotators' names are hashed together with it.

    Raises:
        ConfigError: the mapping reads a column that is nowhere, or the source cannot be read.
        DataError: a file cannot be read, or no row is good.
    """
    report = Report()
    seen: set[str] = set()
    rows = _examples(source, row_map, report, seen)
    if row_map.file.annotator is not None:
        rows = _merged(rows, report, row_map, name)
    jsonl.write_lines(target, _consistent(rows, report, row_map))
    if report.read:
        row_map.check_columns(seen)
    if report.read == report.dropped + report.n_bad:
        raise _nothing(source, report)
    return report


Mapped = tuple[str, str, schema.Row]
"""Place, annotator (may be empty) and row."""


def _examples(source: str, row_map: RowMap, report: Report, seen: set[str]) -> Iterator[Mapped]:
    for raw in sources.rows(source, row_map.select, row_map.file.files):
        yield from _of_row(raw, row_map, report, seen)
        if report.n_bad == report.read >= _HOPELESS:
            row_map.check_columns(seen)
            raise _nothing(source, report)


def _of_row(raw: RawRow, row_map: RowMap, report: Report, seen: set[str]) -> Iterator[Mapped]:
    seen.update(raw.values)
    try:
        if raw.problem:
            raise BadRowError("", raw.problem)
        for place, values in row_map.parts(raw):
            seen.update(values)
            if (mapped := _of_part(place, values, row_map, report)) is not None:
                yield mapped
    except BadRowError as error:
        report.read += 1
        report.add_bad(raw.place, error)


def _of_part(place: str, values: Row, row_map: RowMap, report: Report) -> Mapped | None:
    report.read += 1
    try:
        if not row_map.is_dropped(values):
            return place, row_map.annotator(values) or "", row_map.row(values)
        report.dropped += 1
    except BadRowError as error:
        report.add_bad(place, error)
    return None


def _nothing(source: str, report: Report) -> DataError:
    of_all = (
        f"of {report.read:,} rows read, {report.dropped:,} are dropped and {report.n_bad:,} bad"
    )
    return DataError(
        "\n".join([f"there is no good row: {of_all}", *report.problems()]), path=source
    )


def _merged(rows: Iterable[Mapped], report: Report, row_map: RowMap, name: str) -> Iterator[Mapped]:
    """Yield one row for all that agree but in their gold; the only step that keeps all rows."""
    answers: dict[str, dict[str, tuple[str, schema.Row]]] = {}
    for place, annotator, row in rows:
        of_answer = answers.setdefault(row.identity, {})
        who = f"r{content_hash([name, annotator])[:8]}"
        if who in of_answer:
            report.add_bad(place, BadRowError("annotator", "has rated this answer before"))
        else:
            of_answer[who] = (place, row)
    for of_answer in answers.values():
        place = next(iter(of_answer.values()))[0]
        report.merged += len(of_answer) - 1
        yield place, "", _joined({who: of_answer[who][1] for who in sorted(of_answer)}, row_map)


def _joined(rows: dict[str, schema.Row], row_map: RowMap) -> schema.Row:
    """Return one row with the gold of all; of a single annotator it has the label."""
    who, first = next(iter(rows.items()))
    if isinstance(first, schema.PairRow):
        given = [
            preference if row.response_a == first.response_a else _FLIPPED[preference]
            for row in rows.values()
            if isinstance(row, schema.PairRow)
            for preference in row.preferences
        ]
        changes: dict[str, object] = {"preferences": tuple(given)}
    else:
        golds = [row for row in rows.values() if isinstance(row, schema.RatingRow)]
        changes = {
            "ratings": _together((gold.ratings for gold in golds), row_map),
            "criteria": {
                name: _together((gold.criteria[name] for gold in golds), row_map)
                for name in row_map.file.criteria
            },
        }
    if len(rows) == 1:
        changes["labels"] = {**first.labels, ANNOTATOR: who}
    return first.model_copy(update=changes)


def _together(golds: Iterable[tuple[float, ...]], row_map: RowMap) -> tuple[float, ...]:
    ratings = tuple(rating for gold in golds for rating in gold)
    return (fmean(ratings),) if row_map.file.average else ratings


def _consistent(rows: Iterable[Mapped], report: Report, row_map: RowMap) -> Iterator[str]:
    """Yield as JSON the rows that go together: no two alike, with equally many ratings."""
    first: schema.Row | None = None
    earlier: set[int] = set()  # hashes: there may be millions
    files: dict[str, str] = {}
    for place, _, row in rows:
        key = hash(row.identity)
        try:
            _check_among(row, first or row, row_map)
            if (fault := schema.other_file(row, files)) is not None:
                raise BadRowError(*fault)
            if key in earlier:
                raise BadRowError("id" if row.id else "", "the same as an earlier row; map an `id`")
            line = store.line_of(row)
        except BadRowError as error:
            report.add_bad(place, error)
        except DataError as error:
            report.add_bad(place, BadRowError("", str(error)))
        else:
            first = first or row
            earlier.add(key)
            yield line


def _check_among(row: schema.Row, first: schema.Row, row_map: RowMap) -> None:
    n, n_first = (
        len(each.ratings) if isinstance(each, schema.RatingRow) else 0 for each in (row, first)
    )
    if n != n_first:
        problem = f"found {n} ratings, and the first row has {n_first}"
        raise BadRowError("ratings", f"{problem}; `average: true` makes one of them")
    if (fault := schema.problem_among(row, first, row_map.scales[1])) is not None:
        raise BadRowError(*fault)


class Tally:
    """Counts of the rows of a set, filled as they pass."""

    def __init__(self) -> None:
        self.rows = 0
        self.raters = 0
        self.files: dict[str, str | None] = {}
        self.gold: Counter[str] = Counter()
        self.systems: Counter[str] = Counter()
        self.first: list[schema.Row] = []

    def counted(self, rows: Iterable[schema.Row]) -> Iterator[schema.Row]:
        """Yield the rows unchanged."""
        for row in rows:
            self.rows += 1
            self.files[row.video_id] = self.files.get(row.video_id) or row.video
            if len(self.first) < 3:
                self.first.append(row)
            self._count_gold(row)
            yield row

    def _count_gold(self, row: schema.Row) -> None:
        if isinstance(row, schema.RatingRow):
            self.raters = len(row.ratings)
            self.gold.update(f"{rating:.2f}" for rating in row.ratings)
            if row.system:
                self.systems[row.system] += 1
        elif isinstance(row, schema.PairRow):
            self.gold.update(row.preferences)
        else:
            self.gold[str(row.correct)] += 1

    def lines(self, info: GoldSetInfo) -> list[str]:
        """Return the distribution of the gold, the systems, and three rows as examples."""
        what = {"ratings": "ratings", "options": "correct options", "pairs": "preferences"}
        lines = [f"{what[info.shape]}: {self._distribution(info)}"]
        if self.systems:
            few = ", ".join(f"{name} {n:,}" for name, n in self.systems.most_common(_FEW))
            more = ", …" if len(self.systems) > _FEW else ""
            lines.append(f"{len(self.systems)} systems: {few}{more}")
        return lines + [f"row {n}: {_brief(row)}" for n, row in enumerate(self.first, start=1)]

    def _distribution(self, info: GoldSetInfo) -> str:
        if info.shape != "ratings":
            return ", ".join(f"{name} {n:,}" for name, n in sorted(self.gold.items()))
        counts = Counter({float(value): n for value, n in self.gold.items()})
        if len(counts) <= _MOST_BARS:
            return ", ".join(f"{value:g}: {counts[value]:,}" for value in sorted(counts))
        low, width = info.scale.low, (info.scale.high - info.scale.low) / 10
        bars: Counter[int] = Counter()
        for value, n in counts.items():
            bars[min(int((value - low) / width), 9)] += n
        return ", ".join(
            f"{low + bar * width:g} to {low + (bar + 1) * width:g}: {bars[bar]:,}"
            for bar in range(10)
        )


def _brief(row: schema.Row) -> str:
    """Return a row as JSON with long texts cut."""

    def brief(value: object) -> object:
        if isinstance(value, str):
            return shortened(value, 100)
        if isinstance(value, list):
            return [brief(each) for each in value]
        return value

    fields = json.loads(row.model_dump_json(exclude_defaults=True))
    return json.dumps({name: brief(value) for name, value in fields.items()}, ensure_ascii=False)
