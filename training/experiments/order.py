"""Blind check of the labels: an annotator or a model orders responses without seeing ratings."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.analysis.annotation_sheet import filled_rows, texts_hash
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.goldsets.jsonl import STRICT, read_object
from videojudge_bench.metrics.bootstrap import Resampling, codes, means
from videojudge_bench.metrics.card import Metric, measure
from videojudge_bench.metrics.within import Within
from videojudge_bench.training.bootstrap.contracts import Outcome, Seed
from videojudge_bench.training.bootstrap.rows import responses_of
from videojudge_bench.training.bootstrap.run_folder import FACTS_FILE, RunFolder

LETTERS = "ABCDE"
RESAMPLING = Resampling()

TAU, EXACT = "tau", "exact"
SWAPPED, TIED = "swapped_{}_{}", "tied_{}_{}"

_BETWEEN = re.compile(r"[\s>,;.]+")
_ORDER = re.compile(r"[A-Z](?:=?[A-Z])*")


@dataclass(frozen=True, slots=True)
class Blind:
    """The responses to one instruction in a random order, and the ratings that stay hidden."""

    seed: Seed
    texts: tuple[str, ...]
    ratings: tuple[int, ...]

    def without_gold(self) -> Blind:
        """Return the same without the gold answer, for those who compare with it."""
        left = [(t, r) for t, r in zip(self.texts, self.ratings, strict=True) if r < len(LETTERS)]
        texts, ratings = zip(*left, strict=True)
        return Blind(self.seed, texts, ratings)


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order of the responses to one instruction.

    Attributes:
        scores: one a response, higher is better, equal ones are ties; None with a `problem`.
    """

    blind: Blind
    scores: tuple[float, ...] | None
    problem: str = ""


@dataclass(frozen=True)
class OrderCheck:
    """Agreement of the blind orders with the labels.

    Attributes:
        metrics: with 95 % intervals over resampled videos: `tau`, the mean over instructions of
            Kendall's tau-b between order and labels (those that tie all responses have none);
            `exact`, share of the instructions in exactly the order of the labels; `swapped_1_2` and
            so on, share with the worse response of two neighbouring ratings before the better one,
            and `tied_1_2`, share with the two equal.
        chance: expectation of each for a random order.
    """

    metrics: dict[str, Metric]
    chance: dict[str, float]
    n: int
    problems: tuple[str, ...]

    def rows(self) -> list[tuple[str, str, str]]:
        """Return name, value with interval, and chance of each metric; ties where there are any."""
        return [
            (_name(key), str(metric), f"{self.chance[key]:.3f}")
            for key, metric in self.metrics.items()
            if metric.value or not key.startswith("tied")
        ]


def _name(key: str) -> str:
    what, _, pair = key.partition("_")
    if not pair:
        return {TAU: "Kendall's tau with the labels", EXACT: "exactly the labels' order"}[key]
    low, high = pair.split("_")
    return f"{low} put before {high}" if what == "swapped" else f"{low} and {high} equal"


def drawn(data: Path, limit: int, seed: int) -> list[Blind]:
    """Return the responses of the folder of a bootstrap, drawn by `blinded`."""
    if limit < 1:
        raise ConfigError(f"--limit: expected 1 or more, got {limit}")
    if not (data / FACTS_FILE).is_file():
        raise ConfigError(f"{data} has no {FACTS_FILE}; give the output of `videojudge bootstrap`")
    blinds = blinded(RunFolder(data).outcomes(), limit, seed=seed)
    if not blinds:
        raise ConfigError(
            f"{data}: expected an instruction with all five rated responses, got none; give the "
            "folder of a bootstrap that kept some"
        )
    return blinds


def blinded(outcomes: Iterable[Outcome], most: int, *, seed: int) -> list[Blind]:
    """Return kept instructions with their five responses, instructions and order drawn by hash."""
    kept = (outcome for outcome in outcomes if outcome.kept)
    drawn = heapq.nsmallest(
        most, kept, key=lambda outcome: unit_interval(f"order-{seed}", outcome.seed.id)
    )
    return [_blind(outcome, seed) for outcome in drawn]


def _blind(outcome: Outcome, seed: int) -> Blind:
    responses = sorted(
        responses_of(outcome),
        key=lambda r: unit_interval(f"letters-{seed}", outcome.seed.id, str(r.rating)),
    )
    return Blind(outcome.seed, tuple(r.text for r in responses), tuple(r.rating for r in responses))


def read_order(text: str, n: int) -> tuple[float, ...] | str:
    """Return one score a letter, in the order of the letters, or why a text is no order.

    `text` has `n` letters from the best to the worst, `=` between equal ones: `C A=E B D`; commas
    and `>` are optional.
    """
    letters = LETTERS[:n]
    plain = _BETWEEN.sub("", text.strip().upper())
    named = plain.replace("=", "")
    if not _ORDER.fullmatch(plain) or sorted(named) != list(letters):
        return f"{text.strip()[:40]!r} does not name each of {', '.join(letters)} once"
    scores: dict[str, float] = {}
    level = float(n)
    for place, letter in enumerate(plain):
        if letter == "=":
            continue
        level -= place > 0 and plain[place - 1] != "="
        scores[letter] = level
    return tuple(scores[letter] for letter in letters)


def check_orders(ordered: Sequence[Ordered], resampling: Resampling = RESAMPLING) -> OrderCheck:
    """Return how orders agree with the labels."""
    scored = [(each.blind, each.scores) for each in ordered if each.scores is not None]
    problems = tuple(each.problem for each in ordered if each.scores is None)
    if not scored:
        return OrderCheck({}, {}, 0, problems)
    by_rating = [dict(sorted(zip(blind.ratings, scores, strict=True))) for blind, scores in scored]
    videos = codes(np.array([blind.seed.video_id for blind, _ in scored]))
    groups = np.repeat(np.arange(len(scored)), [len(scores) for _, scores in scored])
    within = Within.of(
        np.array([score for scores in by_rating for score in scores.values()]),
        np.array([float(rating) for scores in by_rating for rating in scores]),
        groups,
        videos[groups],
    )
    exact = [all(a < b for a, b in pairwise(scores.values())) for scores in by_rating]
    values = {TAU: within.tau_b(), EXACT: np.array(exact, dtype=float)}
    chance = {TAU: 0.0, EXACT: sum(1 / math.factorial(len(s)) for s in by_rating) / len(scored)}
    for low, high in pairwise(range(1, len(LETTERS) + 1)):
        gaps = np.array([s.get(high, np.nan) - s.get(low, np.nan) for s in by_rating])
        if np.isnan(gaps).all():
            continue
        for name, holds, expected in ((SWAPPED, gaps < 0, 0.5), (TIED, gaps == 0, 0.0)):
            values[name.format(low, high)] = np.where(np.isnan(gaps), np.nan, holds)
            chance[name.format(low, high)] = expected
    n_videos = int(videos.max()) + 1
    metrics = measure(
        [means(values, videos, n_videos)],
        n_videos,
        lambda _: "all responses tie in every order",
        resampling,
        shares=values.keys() - {TAU},
    )
    return OrderCheck(metrics, chance, len(scored), problems)


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
    """Labels of the responses of a sheet: by row id, video, ratings and a hash of the texts."""

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
    """Return the orders of a filled sheet, one entry a row of the key.

    Rows may be sorted, left empty or taken out, and columns added.

    Raises:
        DataError: with file, line and field: a column is missing, an id is unknown or repeated, a
            text was changed, an order does not name each letter once, or no row has an order.
    """
    key = read_object(key_file, OrderKey)
    texts_of = {row_id: row.texts for row_id, row in key.rows.items()}
    rows = list(filled_rows(sheet, COLUMNS, _TEXTS, texts_of))
    # Ratings and video are all that is compared.
    blinds = {
        row_id: Blind(Seed("", "", row.video_id, "", ""), ("",) * len(row.ratings), row.ratings)
        for row_id, row in key.rows.items()
    }
    by_id = {row_id: Ordered(blind, None, "no order") for row_id, blind in blinds.items()}
    for line, row_id, row in rows:
        if not row["order"].strip():
            continue
        order = read_order(row["order"].lstrip("'"), len(LETTERS))
        if isinstance(order, str):
            problem = f"{order}; write them from best to worst, = between equal ones: CA=EBD"
            raise DataError(problem, path=sheet, line=line, field="order")
        by_id[row_id] = Ordered(blinds[row_id], order)
    if all(each.scores is None for each in by_id.values()):
        problem = f"none of the {len(rows)} rows has an order; write one like CA=EBD"
        raise DataError(problem, path=sheet, field="order")
    return list(by_id.values())


def _numbered(blinds: Sequence[Blind]) -> Iterator[tuple[str, Blind]]:
    return ((f"r{number:03}", blind) for number, blind in enumerate(blinds, start=1))
