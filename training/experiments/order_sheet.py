"""The sheet on which people put responses in order, the key to it, and what they wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from videojudge_bench.analysis.annotation_sheet import filled_rows, texts_hash
from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.jsonl import STRICT, read_object
from videojudge_bench.training.bootstrap.contracts import Seed
from videojudge_bench.training.experiments.order import LETTERS, Blind, Ordered, read_order

COLUMNS = (
    *("id", "video", "description", "references", "instruction"),
    *(f"answer_{letter}" for letter in LETTERS),
    "order",
)
_TEXTS = COLUMNS[4:-1]


class _Row(BaseModel):
    model_config = STRICT

    video_id: str
    ratings: tuple[int, ...]
    texts: str


class OrderKey(BaseModel):
    """What the responses of a sheet are labelled with.

    Attributes:
        rows: by id, the video, the rating of each answer from A on, and a hash of the texts.
    """

    model_config = STRICT

    rows: dict[str, _Row]


def rows_for(blinds: Sequence[Blind]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row, in the order of `COLUMNS`; `order` is empty."""
    for row_id, blind in _numbered(blinds):
        seed = blind.seed
        known = (seed.video or seed.video_id, seed.description or "", "\n".join(seed.references))
        yield (row_id, *known, seed.instruction, *blind.texts, "")


def key_of(blinds: Sequence[Blind]) -> OrderKey:
    """Return the key to the sheet of `rows_for`."""
    return OrderKey(
        rows={
            row_id: _Row(
                video_id=blind.seed.video_id,
                ratings=blind.ratings,
                texts=texts_hash([blind.seed.instruction, *blind.texts]),
            )
            for row_id, blind in _numbered(blinds)
        }
    )


def read_orders(sheet: Path, key_file: Path) -> list[Ordered]:
    """Return what a filled sheet says, one entry a row of the key.

    Rows may be sorted, left empty or taken out, and columns added.

    Raises:
        DataError: with file, line and field: a column is missing, an id is unknown or stands there
            twice, a text is not the one that was exported under its id, an order does not name
            each letter once, or no row has an order.
    """
    key = read_object(key_file, OrderKey)
    texts_of = {row_id: row.texts for row_id, row in key.rows.items()}
    rows = list(filled_rows(sheet, COLUMNS, _TEXTS, texts_of))
    found = {row_id: Ordered(_blind(row), None, "no order") for row_id, row in key.rows.items()}
    for line, row_id, row in rows:
        if not row["order"].strip():
            continue
        said = read_order(row["order"].lstrip("'"), len(LETTERS))
        if isinstance(said, str):
            problem = f"{said}; write them from the best to the worst, = between equal ones: CA=EBD"
            raise DataError(problem, path=sheet, line=line, field="order")
        found[row_id] = Ordered(found[row_id].blind, said)
    if all(each.scores is None for each in found.values()):
        problem = f"none of the {len(rows)} rows has an order; write one like CA=EBD"
        raise DataError(problem, path=sheet, field="order")
    return list(found.values())


def _numbered(blinds: Sequence[Blind]) -> Iterator[tuple[str, Blind]]:
    return ((f"r{number:03}", blind) for number, blind in enumerate(blinds, start=1))


def _blind(row: _Row) -> Blind:
    """Ratings and video are all that is compared."""
    return Blind(Seed("", "", row.video_id, "", ""), ("",) * len(row.ratings), row.ratings)
