"""Agreement of annotators, widths of intervals, and the number of labels that are missing.

The variance of a corrected mean is what labels cannot change (the videos, and how ratings of their
answers differ), and the variance D that is due to the answers without a label. With z_v, the sum of
weighted residuals w x r / N over the labelled answers about video v (of a difference A - B those of
B with a minus), it is estimated by

    D = sum over videos of  z_v^2  -  sum over pairs (i, j) of its labels of  w r_i r_j / N^2,

w the larger weight of the two (of i = j its own): the second part is what z_v^2 would have if all
answers had labels. D falls with the number n of labels, of all N answers, as 1/n - 1/N. So n'
labels have an interval of the width

    3.92 x sqrt((width / 3.92)^2 - D (1 - (1/n' - 1/N) / (1/n - 1/N))).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from videojudge_bench._util.hashing import Json
from videojudge_bench.answers.human import HumanRatings
from videojudge_bench.answers.ppi import Rated, difference_key
from videojudge_bench.answers.summary import Table
from videojudge_bench.answers.tables import INTERVALS, Sheet
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.labelling.session import Session
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.metrics.card import Metric

_TWO_SIDES = 2 * 1.96


@dataclass(frozen=True)
class Goal:
    """A width that every system's interval should have, and two systems to tell apart."""

    width: float | None = None
    apart: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if self.width is not None and not self.width > 0:
            raise ConfigError(f"--width {self.width:g}: expected a width above 0, such as 0.2")


@dataclass(frozen=True)
class Estimate:
    """A corrected mean, or a difference of two.

    Attributes:
        name: the system, or `A - B`.
        n_labels: labelled answers, of `n` answers.
        width: that the interval should have; None without a goal.
        more: labels that it takes beyond those there are, as far as they tell; None where no number
            is enough, or there is no interval yet.
        least: width with labels of all answers, as far as those there are tell.
    """

    name: str
    n_labels: int
    n: int
    corrected: Metric
    width: float | None = None
    more: int | None = None
    least: float | None = None

    @property
    def width_so_far(self) -> float | None:
        """Width of the interval; None where there is none."""
        low, high = self.corrected.low, self.corrected.high
        return None if low is None or high is None else high - low

    @property
    def advice(self) -> str:
        """Number of labels that are missing, in words; empty without a goal."""
        if self.width is None:
            return ""
        if self.least is None:
            return "not known yet"
        if self.more is None:
            return f"all {self.n} give {self.least:.3f}"
        return f"{self.more:,} more" if self.more else "reached"

    def to_json(self) -> dict[str, Json]:
        """Return the estimate as JSON."""
        metric = self.corrected
        numbers: dict[str, Json] = {"corrected": metric.value, "low": metric.low}
        numbers |= {"high": metric.high, "width": self.width_so_far, "goal": self.width}
        numbers["width_of_all"] = self.least
        counts: dict[str, Json] = {"labels": self.n_labels, "answers": self.n, "more": self.more}
        return {"name": self.name, **counts, **numbers, "undefined": metric.undefined}


def estimates(session: Session, goal: Goal, resamples: int = 10_000) -> list[Estimate]:
    """Return each system's corrected mean, and the difference of the two to tell apart.

    Raises UnknownNameError where one of these two is not among the systems.
    """
    table = Table.of(session.units, session.judgements, session.human)
    for name in goal.apart or ():
        if name not in table.systems:
            raise UnknownNameError("system", name, table.systems)
    metrics = table.corrected(Resampling(resamples))
    rated = table.rated()
    rows = [
        _estimate(name or "(not named)", metrics[name], [(of, 1.0)], goal.width)
        for name, of in rated.items()
    ]
    if goal.apart is not None:
        a, b = sorted(goal.apart, key=table.systems.index)
        metric = metrics[difference_key(a, b)]
        width = None if metric.value is None else 2 * abs(metric.value)
        rows.append(_estimate(f"{a} - {b}", metric, [(rated[a], 1.0), (rated[b], -1.0)], width))
    return rows


def _estimate(
    name: str, metric: Metric, parts: Sequence[tuple[Rated, float]], width: float | None
) -> Estimate:
    n_labels = sum(int(of.is_rated.sum()) for of, _ in parts)
    n = sum(len(of.judge) for of, _ in parts)
    now = Estimate(name, n_labels, n, metric, width)
    if width is None or now.width_so_far is None:
        return now
    variance = label_variance(parts)
    needed = labels_for(width, now.width_so_far, variance, n_labels, n)
    least = _TWO_SIDES * math.sqrt(max(0.0, (now.width_so_far / _TWO_SIDES) ** 2 - variance))
    more = None if needed is None else needed - n_labels
    return replace(now, more=more, least=least)


def label_variance(parts: Sequence[tuple[Rated, float]]) -> float:
    """Return D, see above, of a sum of corrected means, each with its sign; at least 0."""
    terms, weights, videos = [], [], []
    for of, sign in parts:
        mine = of.is_rated
        w = (np.ones_like(of.judge) if of.weights is None else of.weights)[mine]
        w = w * len(of.judge) / w.sum()  # the estimate divides by the sum of the weights
        weights.append(w)
        terms.append(sign * of.residuals()[mine] / len(of.judge))
        videos.append(of.clusters[mine])
    term, weight, video = (np.concatenate(x) for x in (terms, weights, videos))
    total = 0.0
    for cluster in np.unique(video):
        t, w = term[video == cluster], weight[video == cluster]
        total += float((t @ w) ** 2 - t @ np.maximum.outer(w, w) @ t)
    return max(0.0, total)


def labels_for(width: float, now: float, variance: float, n: int, total: int) -> int | None:
    """Return the number of labels for an interval of a width; None where all are not enough.

    Args:
        width: that the interval should have.
        now: its width with `n` labels of `total` answers.
        variance: D, see above.
        n: labels so far.
        total: answers.
    """
    if now <= width:
        return n
    if n >= total or variance <= 0:
        return None
    lost = ((now / _TWO_SIDES) ** 2 - (width / _TWO_SIDES) ** 2) / variance
    inverse = (1 - lost) * (1 / n - 1 / total) + 1 / total
    needed = math.ceil(round(1 / inverse, 6)) if inverse > 0 else total + 1
    return needed if needed <= total else None


def alpha(human: HumanRatings) -> float | None:
    """Return Krippendorff's alpha (ordinal) of the annotators; None where it is undefined.

    It takes two annotators with labels of one answer, and labels that differ.
    """
    names = sorted({name for given in human.ratings.values() for name in given})
    rows = [[given.get(name, np.nan) for name in names] for given in human.ratings.values()]
    data = np.array([row for row in rows if np.count_nonzero(~np.isnan(row)) > 1])
    if data.size == 0 or np.nanmin(data) == np.nanmax(data):
        return None
    import krippendorff

    return float(krippendorff.alpha(reliability_data=data.T, level_of_measurement="ordinal"))


def sheet_of(session: Session, goal: Goal, resamples: int = 10_000) -> Sheet:
    """Return the table of what the labels so far give."""
    rows = estimates(session, goal, resamples) if session.human.means else []
    given = session.human.ratings.values()
    names = {name for ratings in given for name in ratings}
    agreement = alpha(session.human)
    note = (
        f"{len(session.human.means)} answers with labels, annotators: {len(names)}; Krippendorff's "
        f"alpha: {'undefined' if agreement is None else f'{agreement:.3f}'}"
    )
    return Sheet(
        "Means of human ratings, corrected",
        ("system", "labels", "answers", "corrected", "width", "goal", "labels needed"),
        tuple(
            (
                row.name,
                str(row.n_labels),
                str(row.n),
                str(row.corrected),
                "-" if row.width_so_far is None else f"{row.width_so_far:.3f}",
                "" if row.width is None else f"{row.width:.3f}",
                row.advice,
            )
            for row in rows
        ),
        (note, INTERVALS),
    )
