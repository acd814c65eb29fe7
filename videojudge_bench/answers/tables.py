"""The tables of a summary, for the terminal and for `print`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from videojudge_bench.answers.pair_summary import Duel, PairSummary
from videojudge_bench.answers.summary import FEWEST_RATED, Summary, SystemDifference, SystemScore
from videojudge_bench.metrics.card import FEWEST_VIDEOS, Metric

NOT_HUMAN = "judge score, not human score"

INTERVALS = (
    "Brackets hold 95 % intervals from resamples of videos; under "
    f"{FEWEST_VIDEOS} videos there are none."
)


@dataclass(frozen=True)
class Sheet:
    """One table."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        cells = [self.head, *self.rows]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.head))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
        return "\n".join([self.title, *lines, *self.notes])


def sheets_of(
    summary: Summary | PairSummary, *, judge: str, answers: str, scale: str
) -> list[Sheet]:
    """Return the tables of a summary."""
    if isinstance(summary, PairSummary):
        return _pair_sheets(summary, f"{judge} on {answers}: wins of A against B, not human wins")
    corrected = any(system.human is not None for system in summary.systems)
    on = f" ({scale})" if scale else " (on no scale: it only ranks)"
    title = f"{judge} on {answers}: {NOT_HUMAN}{on}"
    if corrected:
        title = f"{judge} on {answers}: judge score{on}, and corrected by human ratings"
    sheets = [_systems(summary.systems, title, corrected=corrected)]
    if names := dict.fromkeys(name for row in summary.systems for name in row.criteria):
        rows = (
            (row.system or "(not named)", *(_metric(row.criteria.get(name)) for name in names))
            for row in summary.systems
        )
        sheets.append(Sheet("Mean by criterion", ("system", *names), tuple(rows), (_CRITERIA,)))
    if summary.weighted:
        sheets[0] = replace(sheets[0], notes=(*sheets[0].notes, _WEIGHTED))
    if summary.differences:
        sheets.append(_differences(summary.differences, corrected=corrected))
    return sheets


def _systems(systems: Sequence[SystemScore], title: str, *, corrected: bool) -> Sheet:
    human = ("rated by people", "human mean", "corrected") if corrected else ()
    return Sheet(
        title,
        ("system", "answers", "videos", "coverage", "judge score", *human),
        tuple(
            (
                row.system or "(not named)",
                str(row.n),
                str(row.n_videos),
                _share(row.coverage),
                _metric(row.score),
                *((str(row.n_human), _metric(row.human), _metric(row.corrected)) if human else ()),
            )
            for row in systems
        ),
        (INTERVALS, *((_CORRECTED,) if corrected else (_UNCORRECTED,))),
    )


_CORRECTED = (
    "Corrected: what people would give on average to all answers of the system, estimated from all "
    "judge scores and from what the judge gets wrong where people have rated "
    "(prediction-powered inference). It holds if those answers were chosen at random, and is shown "
    f"from {FEWEST_RATED} rated answers of a system on: below, the human mean alone is as good."
)
_CRITERIA = "Each on its own scale, over the answers with a verdict on it; yes is 1, no is 0."
_WEIGHTED = (
    "Ratings are weighted by the probabilities with which `videojudge label` drew the answers, in "
    "the human mean too."
)
_UNCORRECTED = (
    "The judge may be kind, strict or partial: with human ratings of some answers, chosen at "
    "random, --gold-subset FILE corrects for that."
)
_PAIRED = (
    "Paired permutation test: the two systems' scores for the same questions are swapped video by "
    "video; p (Holm) is corrected for the number of comparisons."
)


def _differences(differences: Sequence[SystemDifference], *, corrected: bool) -> Sheet:
    more = ("corrected A - B",) if corrected else ()
    return Sheet(
        "The judge's scores, paired",
        ("A", "B", "questions", "videos", "A - B", "p", "p (Holm)", *more),
        tuple(
            (
                *map(str, (row.a, row.b, row.n, row.n_videos)),
                row.problem if row.difference is None else f"{row.difference:+.3f}",
                _p(row.p_value),
                _p(row.p_holm),
                *((_metric(row.corrected),) if corrected else ()),
            )
            for row in differences
        ),
        (_PAIRED, *(_turned(row) for row in differences if is_turned(row))),
    )


def is_turned(row: SystemDifference) -> bool:
    """Return whether the corrected scores rank the two systems the other way around."""
    corrected = None if row.corrected is None else row.corrected.value
    return (row.difference or 0.0) * (corrected or 0.0) < 0


def _turned(row: SystemDifference) -> str:
    first, second = (row.a, row.b) if (row.difference or 0) > 0 else (row.b, row.a)
    return (
        f"The judge puts {first} above {second}; corrected by human ratings, {second} is above "
        f"{first} ({row.a} - {row.b}: {row.corrected})."
    )


def _pair_sheets(summary: PairSummary, title: str) -> list[Sheet]:
    head = (
        "A", "B", "pairs", "videos", "coverage", "wins", "ties", "losses", "win rate of A",
        "order consistency", "first position", "p", "p (Holm)",
    )  # fmt: skip
    sheets = [Sheet(title, head, tuple(map(_duel, summary.duels)), (INTERVALS, _DUELS))]
    if summary.overall:
        rows = tuple((system, str(metric)) for system, metric in summary.overall.items())
        sheets.append(Sheet("Win rate over all pairs", ("system", "win rate"), rows))
    return sheets


_DUELS = (
    "Every pair is judged in both orders. Order consistency: share of pairs with the same winner "
    "in both. First position: share of verdicts for the answer shown first, 0.5 without a bias."
)


def _duel(row: Duel) -> tuple[str, ...]:
    counts = (row.wins, row.ties, row.losses)
    metrics = (row.win_rate, row.order_consistency, row.first_position_rate)
    return (
        *map(str, (row.a, row.b, row.n, row.n_videos)),
        _share(row.coverage),
        *map(str, (*counts, *metrics)),
        _p(row.p_value),
        _p(row.p_holm),
    )


def _metric(metric: Metric | None) -> str:
    return "" if metric is None else str(metric)


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"


def _p(p_value: float | None) -> str:
    if p_value is None:
        return "-"
    return f"{p_value:.4f}" if p_value >= 0.0001 else "<0.0001"
