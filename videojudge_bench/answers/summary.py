"""Summary of verdicts by system: means, intervals by video, paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from videojudge_bench.answers.human import HumanRatings, Pick
from videojudge_bench.answers.ppi import (
    Rated,
    corrected_means,
    design_weights,
    difference_key,
    filled,
)
from videojudge_bench.answers.reading import Unit
from videojudge_bench.answers.verdict_lines import verdict_of
from videojudge_bench.metrics.asked import is_missing_video
from videojudge_bench.metrics.bootstrap import (
    Bools,
    Floats,
    Ints,
    Resampling,
    Statistic,
    codes,
    means,
)
from videojudge_bench.metrics.card import Metric, coverage, measure
from videojudge_bench.metrics.compare import holm
from videojudge_bench.metrics.permutation import permutation_test, sums_mix
from videojudge_bench.verdicts import Judgement, Rating, Unparsed, Verdict

if TYPE_CHECKING:
    from videojudge_bench.answers.pair_summary import Duel

PERMUTATIONS = 10_000

NO_HUMAN = "no human rating"
FEWEST_RATED = 10
"""Rated answers of a system from which on its corrected mean is shown.

Simulated with `ppi.corrected_means` (200 answers, n rated, ratings 1-5, 1,500 draws): root mean
squared error of the corrected mean, as a share of that of the human mean alone, by the correlation
of judge and people.

    n        2     5    10    20    50
    0.0   1.10  1.08  1.04  1.02  1.01
    0.4   1.07  1.03  0.99  0.95  0.93
    0.6   1.03  0.96  0.91  0.88  0.86
    0.8   0.97  0.83  0.75  0.73  0.70
"""

TOO_FEW_RATED = f"fewer than {FEWEST_RATED} human ratings"


@dataclass(frozen=True)
class SystemScore:
    """One system's answers.

    Attributes:
        system: its name; "" where the answers name none.
        n: answers asked about, on `n_videos` videos.
        coverage: share with a verdict, of those whose video is there; None where that is 0 / 0.
        human: mean rating of the `n_human` answers that annotators rated; None without ratings.
        corrected: prediction-powered mean human rating of all answers; None without, undefined
            below `FEWEST_RATED` rated answers.
        criteria: mean verdict of each criterion, of a judge that rates by criteria; yes is 1.
    """

    system: str
    n: int
    n_videos: int
    coverage: float | None
    score: Metric
    n_human: int = 0
    human: Metric | None = None
    corrected: Metric | None = None
    criteria: Mapping[str, Metric] = field(default_factory=dict)


@dataclass(frozen=True)
class SystemDifference:
    """Two systems on what both answered, the judge's scores paired.

    Attributes:
        difference: mean score of a minus that of b; None where they cannot be compared.
        n: questions (a video and an instruction) that both have a score for.
        n_videos: videos that they are about, which the test swaps.
        p_value: two-sided, by permutation, not corrected; None where there is none.
        p_holm: corrected by Holm for the number of comparisons.
        corrected: difference of the prediction-powered means; None without human ratings.
    """

    a: str
    b: str
    difference: float | None
    n: int
    n_videos: int
    p_value: float | None = None
    p_holm: float | None = None
    problem: str = ""
    corrected: Metric | None = None


@dataclass(frozen=True)
class Summary:
    """Results of single answers.

    Attributes:
        weighted: whether human ratings have the weights of `ppi.design_weights`.
    """

    systems: tuple[SystemScore, ...]
    differences: tuple[SystemDifference, ...]
    weighted: bool = False


def summarise(
    units: Sequence[Unit],
    judgements: Mapping[str, Judgement],
    human: HumanRatings | None = None,
    *,
    resamples: int = 10_000,
) -> Summary:
    """Return the mean score of each system, and the paired tests between them.

    Intervals are 95 %, percentile, from resamples of videos; fewer than 20 videos give none. Human
    means and corrected means need 20 videos with human ratings for theirs.

    Args:
        units: single answers.
        judgements: by item id; a unit without one is left out.
        human: ratings of answers that were chosen at random, with equal probabilities or those of
            their picks.
        resamples: of videos.
    """
    table = Table.of(units, judgements, human or HumanRatings({}, 0))
    if not table.units:
        return Summary((), ())
    resampling = Resampling(resamples)
    scores = table.measured(means(table.by_system(table.scores), *table.clustered), resampling)
    humans = table.human_means(resampling)
    corrected = table.corrected(resampling) if human is not None else {}
    criteria = table.criteria(judgements, resampling)
    systems = [
        replace(
            table.counted(system),
            score=scores[system],
            human=humans[system] if human is not None else None,
            corrected=corrected.get(system),
            criteria={name: by_system[system] for name, by_system in criteria.items()},
        )
        for system in table.systems
    ]
    differences = [table.difference(a, b) for a, b in combinations(table.systems, 2)]
    differences = [
        replace(d, corrected=corrected.get(difference_key(d.a, d.b))) for d in differences
    ]
    return Summary(tuple(systems), tuple(with_holm(differences)), weighted=bool(table.picks))


def paired_test(a: Floats, b: Floats, videos: Sequence[str]) -> tuple[float, float]:
    """Return mean(a) - mean(b) and the two-sided p-value of swapping the two per video.

    p is at least 2^(1-m) with m videos on which they differ: there are not more ways to swap. `a`
    and `b` have the shape (questions,), like `videos`, which names at least two distinct videos.
    """
    order = np.argsort(np.array(videos), kind="stable")
    clusters = codes(np.array(videos))[order]
    starts = np.flatnonzero(np.diff(clusters, prepend=-1)).astype(np.int64)
    mix = sums_mix(a[order, None], b[order, None], starts, lambda means: means[:, 0])
    first, second, p_value = permutation_test(mix, len(starts), permutations=PERMUTATIONS, seed=0)
    differing = len({v for v, x, y in zip(videos, a, b, strict=True) if x != y})
    return first - second, max(p_value, 2.0 ** (1 - max(1, differing)))


TestT = TypeVar("TestT", bound="SystemDifference | Duel")


def with_holm(tests: Sequence[TestT]) -> list[TestT]:
    """Return tests with their p-values corrected for the number of tests that have one."""
    corrected = iter(holm([t.p_value for t in tests if t.p_value is not None]))
    return [replace(t, p_holm=None if t.p_value is None else next(corrected)) for t in tests]


@dataclass(frozen=True)
class Table:
    """Units with their verdicts as columns, shape (units,); no verdict or rating is NaN."""

    units: Sequence[Unit]
    verdicts: Sequence[Verdict]
    scores: Floats
    human: Floats
    clusters: Ints
    picks: Mapping[str, Pick]

    @classmethod
    def of(
        cls, units: Sequence[Unit], judgements: Mapping[str, Judgement], human: HumanRatings
    ) -> Table:
        """Return the table of the units that are judged."""
        all_verdicts = [(unit, verdict_of(unit, judgements)) for unit in units]
        judged = [(unit, v) for unit, v in all_verdicts if v is not None]
        units = [unit for unit, _ in judged]
        scores = [v.value if isinstance(v, Rating) else np.nan for _, v in judged]
        return cls(
            units,
            [verdict for _, verdict in judged],
            np.array(scores, dtype=np.float64),
            np.array([human.means.get(unit.id, np.nan) for unit in units], dtype=np.float64),
            codes(np.array([unit.item.video_id for unit in units])),
            human.picks,
        )

    @property
    def systems(self) -> list[str]:
        """Names of the systems, in the order of their first answers."""
        return list(dict.fromkeys(unit.systems[0] for unit in self.units))

    @property
    def n_videos(self) -> int:
        """Number of videos."""
        return int(self.clusters.max()) + 1

    @property
    def clustered(self) -> tuple[Ints, int]:
        """Video of each unit, and the number of videos."""
        return self.clusters, self.n_videos

    def of_system(self, system: str) -> Bools:
        """Return which units are a system's."""
        return np.array([unit.systems[0] == system for unit in self.units], dtype=np.bool_)

    def by_system(self, values: Floats) -> dict[str, Floats]:
        """Return values with NaN in the place of other systems' units, for each system."""
        return {s: np.where(self.of_system(s), values, np.nan) for s in self.systems}

    def measured(self, statistic: Statistic, resampling: Resampling) -> dict[str, Metric]:
        """Return numbers with their intervals over resampled videos."""
        return measure([statistic], self.n_videos, self._why, resampling, shares=())

    def _why(self, key: str) -> str:
        parsed = ~np.isnan(self.scores)
        has_scores = all(parsed[self.of_system(name)].any() for name in key.split("\x1f"))
        return NO_HUMAN if has_scores else "no verdict"

    def rated(self) -> dict[str, Rated]:
        """Return the answers of each system, those without a score with its mean."""
        rated = {}
        for system in self.systems:
            mine = self.of_system(system)
            scores = [None if np.isnan(x) else float(x) for x in self.scores[mine]]
            weights = self._weights(np.flatnonzero(mine).tolist()) if self.picks else None
            rated[system] = Rated(filled(scores), self.human[mine], self.clusters[mine], weights)
        return rated

    def _weights(self, places: Sequence[int]) -> Floats:
        """Return weights of one system's answers; 0 of those without a rating.

        A rated answer without a pick is taken as drawn before, with equal probabilities.
        """
        is_rated = ~np.isnan(self.human[places])
        picks = [self.picks.get(self.units[i].id) for i in places]
        plain = sum(pick is None for pick, r in zip(picks, is_rated, strict=True) if r)
        before = Pick(0, plain / len(places))
        drawn = [pick or before for pick, r in zip(picks, is_rated, strict=True) if r]
        rounds = np.array([pick.round for pick in drawn], dtype=np.int64)
        weights = np.zeros(len(places))
        probabilities = np.array([pick.probability for pick in drawn], dtype=np.float64)
        weights[is_rated] = design_weights(rounds, probabilities, len(places))
        return weights

    def human_means(self, resampling: Resampling) -> dict[str, Metric]:
        """Return the mean human rating of each system, weighted where answers were picked."""
        if not self.picks:
            return self.measured(means(self.by_system(self.human), *self.clustered), resampling)
        blind = {s: replace(r, judge=np.zeros_like(r.judge)) for s, r in self.rated().items()}
        return self.measured(corrected_means(blind, self.n_videos), resampling)

    def corrected(self, resampling: Resampling) -> dict[str, Metric]:
        """Return each system's corrected mean, and each difference, by `difference_key`."""
        rated = self.rated()
        metrics = self.measured(corrected_means(rated, self.n_videos), resampling)
        few = {name for name, of in rated.items() if 0 < of.is_rated.sum() < FEWEST_RATED}
        withheld = Metric(None, undefined=TOO_FEW_RATED)
        return {k: m if few.isdisjoint(k.split("\x1f")) else withheld for k, m in metrics.items()}

    def criteria(
        self, judgements: Mapping[str, Judgement], resampling: Resampling
    ) -> dict[str, dict[str, Metric]]:
        """Return the mean verdict of each criterion and system."""
        none = Judgement("", Unparsed(""))
        rated = [judgements.get(unit.item.id, none).criteria for unit in self.units]
        metrics: dict[str, dict[str, Metric]] = {}
        for name in dict.fromkeys(name for values in rated for name in values):
            values = np.array([each.get(name) for each in rated], dtype=np.float64)
            mean = means(self.by_system(values), *self.clustered)
            metrics[name] = measure(
                [mean], self.n_videos, lambda _: "no verdict", resampling, shares=()
            )
        return metrics

    def counted(self, system: str) -> SystemScore:
        """Return the counts of a system, without its numbers."""
        mine = np.flatnonzero(self.of_system(system)).tolist()
        verdicts = [self.verdicts[i] for i in mine]
        parsed = sum(not isinstance(verdict, Unparsed) for verdict in verdicts)
        missing = sum(is_missing_video(verdict) for verdict in verdicts)
        return SystemScore(
            system,
            n=len(mine),
            n_videos=len(set(self.clusters[mine].tolist())),
            coverage=coverage(len(mine), parsed, missing),
            score=Metric(None),
            n_human=int((~np.isnan(self.human[mine])).sum()),
        )

    def _by_question(self, system: str) -> dict[tuple[str, str], float]:
        """Mean score of each question; a system may have answered it several times."""
        by_question: dict[tuple[str, str], list[float]] = {}
        for i in np.flatnonzero(self.of_system(system)).tolist():
            if not np.isnan(self.scores[i]):
                by_question.setdefault(self.units[i].item.group, []).append(float(self.scores[i]))
        return {group: sum(values) / len(values) for group, values in by_question.items()}

    def difference(self, a: str, b: str) -> SystemDifference:
        """Return the judge's scores of two systems, paired."""
        of_a, of_b = self._by_question(a), self._by_question(b)
        both = sorted(of_a.keys() & of_b.keys())
        videos = [video_id for video_id, _ in both]
        n_videos = len(set(videos))
        if n_videos < 2:
            problem = f"scores for the same questions on {n_videos} videos; 2 are needed"
            return SystemDifference(a, b, None, len(both), n_videos, problem=problem)
        one, two = (np.array([scores[group] for group in both]) for scores in (of_a, of_b))
        difference, p_value = paired_test(one, two, videos)
        return SystemDifference(a, b, difference, len(both), n_videos, p_value)
