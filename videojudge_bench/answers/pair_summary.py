"""Summary of verdicts on pairs: win rates, ties and order consistency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from videojudge_bench.answers.reading import Unit
from videojudge_bench.answers.summary import paired_test, with_holm
from videojudge_bench.answers.verdict_lines import verdict_of
from videojudge_bench.metrics.asked import is_missing_video
from videojudge_bench.metrics.bootstrap import Floats, Resampling
from videojudge_bench.metrics.card import Metric, coverage, measure_means
from videojudge_bench.metrics.units import pair_scores
from videojudge_bench.verdicts import Judgement, Preference, Verdict

WIN, CONSISTENT, FIRST_RATE = "accuracy", "order_consistency", "first_position_rate"


@dataclass(frozen=True)
class Duel:
    """Two systems against each other; wins, losses and win rate are those of `a`.

    Attributes:
        n: pairs asked about, on `n_videos` videos.
        coverage: share with a verdict, of those whose video is there; None where that is 0 / 0.
        ties: equal answers, orders that contradict each other, or identical texts.
        win_rate: 0..1, a tie counts half.
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
    """Return the win rates of all pairs of systems, with 95 % intervals by video as `summarise`.

    The two systems of a duel may stand in either order in `units`. A unit without the judgements of
    both its orders is left out.
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
    duels = with_holm([_duel(a, b, judged, resampling) for (a, b), judged in met.items()])
    return PairSummary(tuple(duels), _overall(met, resampling) if len(met) > 1 else {})


@dataclass(frozen=True)
class _Judged:
    """A pair with its scores; these are empty without a verdict."""

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
    won, videos = [j.scores[WIN] for j in parsed], [j.video_id for j in parsed]
    columns = {key: [j.scores[key] for j in parsed] for key in (WIN, CONSISTENT, FIRST_RATE)}
    metrics = _measured(columns, videos, resampling)
    p_value = None
    if len(set(videos)) > 1:
        wins = np.array(won, dtype=np.float64)
        p_value = paired_test(wins, 1 - wins, videos)[1]
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
        p_value=p_value,
    )


def _overall(
    met: Mapping[tuple[str, str], Sequence[_Judged]], resampling: Resampling
) -> dict[str, Metric]:
    """Return the win rate of each system over all its pairs, the best first."""
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
    values: dict[str, Floats] = {k: np.array(v, dtype=np.float64) for k, v in columns.items()}
    why = "no pair of different texts"
    return measure_means(values, np.array(videos), lambda _: why, resampling, shares=values)
