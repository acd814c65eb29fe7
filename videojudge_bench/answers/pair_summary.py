"""Summary of verdicts on pairs: win rates, ties and order consistency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from videojudge_bench.answers.reading import Unit
from videojudge_bench.answers.summary import paired_test
from videojudge_bench.answers.verdict_lines import verdict_of
from videojudge_bench.metrics.asked import is_missing_video
from videojudge_bench.metrics.bootstrap import Floats, Resampling, codes, means
from videojudge_bench.metrics.card import Metric, coverage, measure
from videojudge_bench.metrics.compare import holm
from videojudge_bench.metrics.units import pair_scores
from videojudge_bench.verdicts import Judgement, Preference, Verdict

WIN, CONSISTENT, FIRST_RATE = "accuracy", "order_consistency", "first_position_rate"


@dataclass(frozen=True)
class Duel:
    """Two systems against each other.

    Attributes:
        a: a system.
        b: another.
        n: pairs asked about.
        n_videos: they are about.
        coverage: share with a verdict, of those whose video is there; None where that is 0 / 0.
        wins: of a.
        ties: both answers are as good, the two orders contradict each other, or the same text.
        losses: of a.
        win_rate: of a, 0..1, a tie counts half.
        order_consistency: share of pairs with the same winner in both orders, or twice a tie.
        first_position_rate: share of verdicts for the answer shown first.
        p_value: that a and b win alike, two-sided, by permutation; None where there is none.
        p_holm: corrected by Holm for the number of duels.
    """

    a: str
    b: str
    n: int
    n_videos: int
    coverage: float | None
    wins: int
    ties: int
    losses: int
    win_rate: Metric
    order_consistency: Metric
    first_position_rate: Metric
    p_value: float | None = None
    p_holm: float | None = None


@dataclass(frozen=True)
class PairSummary:
    """Results of pairs."""

    duels: tuple[Duel, ...]
    overall: Mapping[str, Metric]


def summarise_pairs(
    units: Sequence[Unit], judgements: Mapping[str, Judgement], *, resamples: int = 10_000
) -> PairSummary:
    """Return who wins against whom, with 95 % intervals by video as `summarise` has them.

    Args:
        units: pairs; the two systems of a duel may stand in either order.
        judgements: by item id, both orders of each pair; a unit without them is left out.
        resamples: of videos.
    """
    met: dict[tuple[str, str], list[_Judged]] = {}
    for unit in units:
        verdict = verdict_of(unit, judgements)
        if verdict is None:
            continue
        a, b = unit.systems
        turned = (b, a) in met
        judged = _judged(unit, verdict, judgements, turned=turned)
        met.setdefault((b, a) if turned else (a, b), []).append(judged)
    resampling = Resampling(resamples)
    duels = [_duel(a, b, judged, resampling) for (a, b), judged in met.items()]
    corrected = iter(holm([d.p_value for d in duels if d.p_value is not None]))
    duels = [replace(d, p_holm=None if d.p_value is None else next(corrected)) for d in duels]
    return PairSummary(tuple(duels), _overall(met, resampling) if len(met) > 1 else {})


@dataclass(frozen=True)
class _Judged:
    """A pair with what its verdicts amount to; empty without a verdict."""

    video_id: str
    verdict: Verdict
    scores: Mapping[str, float]


def _judged(
    unit: Unit, verdict: Verdict, judgements: Mapping[str, Judgement], *, turned: bool
) -> _Judged:
    scores: dict[str, float] = {}
    if unit.identical:
        scores = {WIN: 0.5, CONSISTENT: np.nan, FIRST_RATE: np.nan}
    elif isinstance(verdict, Preference):
        ab, ba = (cast(Preference, judgements[i].verdict) for i in unit.item_ids)
        scores = pair_scores(ab, ba, a_is_better=not turned)
    return _Judged(unit.item.video_id, verdict, scores)


def _duel(a: str, b: str, judged: Sequence[_Judged], resampling: Resampling) -> Duel:
    parsed = [j for j in judged if j.scores]
    missing = sum(is_missing_video(j.verdict) for j in judged)
    won = [j.scores[WIN] for j in parsed]
    metrics = _measured(
        {key: [j.scores[key] for j in parsed] for key in (WIN, CONSISTENT, FIRST_RATE)},
        [j.video_id for j in parsed],
        resampling,
    )
    return Duel(
        a,
        b,
        n=len(judged),
        n_videos=len({j.video_id for j in judged}),
        coverage=coverage(len(judged), len(parsed), missing),
        wins=won.count(1.0),
        ties=won.count(0.5),
        losses=won.count(0.0),
        win_rate=metrics[WIN],
        order_consistency=metrics[CONSISTENT],
        first_position_rate=metrics[FIRST_RATE],
        p_value=_p_value(parsed),
    )


def _p_value(parsed: Sequence[_Judged]) -> float | None:
    videos = [j.video_id for j in parsed]
    if len(set(videos)) < 2:
        return None
    won = np.array([j.scores[WIN] for j in parsed], dtype=np.float64)
    return paired_test(won, 1 - won, videos)[1]


def _overall(
    met: Mapping[tuple[str, str], Sequence[_Judged]], resampling: Resampling
) -> dict[str, Metric]:
    """Every pair counts for both of its systems."""
    systems = list(dict.fromkeys(system for couple in met for system in couple))
    columns: dict[str, list[float]] = {system: [] for system in systems}
    videos: list[str] = []
    for (a, b), judged in met.items():
        for pair in (j for j in judged if j.scores):
            videos.append(pair.video_id)
            share = {a: pair.scores[WIN], b: 1 - pair.scores[WIN]}
            for system in systems:
                columns[system].append(share.get(system, np.nan))
    win_rates = _measured(columns, videos, resampling)
    return dict(
        sorted(win_rates.items(), key=lambda m: -(m[1].value if m[1].value is not None else -1))
    )


def _measured(
    columns: Mapping[str, Sequence[float]], videos: Sequence[str], resampling: Resampling
) -> dict[str, Metric]:
    if not videos:
        return dict.fromkeys(columns, Metric(None, undefined="no verdict"))
    clusters = codes(np.array(videos))
    n_videos = int(clusters.max()) + 1
    values: dict[str, Floats] = {k: np.array(v, dtype=np.float64) for k, v in columns.items()}
    statistic = means(values, clusters, n_videos)
    return measure(
        [statistic], n_videos, lambda _: "no pair of different texts", resampling, shares=values
    )
