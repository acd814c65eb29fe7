"""Score card of a rated set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import RatingGold, part_of
from videojudge_bench.metrics import rating_statistics as stats
from videojudge_bench.metrics.asked import Asked, asked, score_ends, worst_ratings
from videojudge_bench.metrics.bootstrap import Floats, Resampling, Statistic, is_constant
from videojudge_bench.metrics.card import Metric, ScoreCard, assemble, coverage, measure
from videojudge_bench.metrics.keys import SYSTEM_ACCURACY, UNDEFINED_GROUPS, Key
from videojudge_bench.metrics.rating_statistics import Rated
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Rating

NOT_ON_SCALE = "not on the rating scale"

_OF_PAIRS = frozenset({"acc_eq", "acc_eq_cal", "tie_rate_gold", "tie_rate_judge"})


def rated_card(
    gold_set: GoldSet,
    judgements: Mapping[str, Judgement],
    *,
    on_scale: bool,
    part: str,
    resampling: Resampling,
) -> ScoreCard:
    """Return the score card of a rated set; see `Measurement.card`."""
    info = gold_set.info
    everything = asked(gold_set, judgements)
    reported = everything.only(part)
    run = _Run.of(gold_set, everything, on_scale=on_scale)
    main = _parsed(reported)
    n, n_parsed, n_missing = len(reported.answers), reported.n_parsed, reported.n_missing_video
    values = imputed = run.metrics(_parsed, reported, resampling)
    if n_parsed < n:
        ends = score_ends(main.scores.tolist(), info.scale, on_scale=on_scale)
        imputed = run.metrics(lambda some: _imputed(some, info.scale, ends), reported, None)
    return ScoreCard(
        assemble(info, values, imputed, lambda key: run.why_absent(key, reported)),
        n=n,
        n_parsed=n_parsed,
        n_missing_video=n_missing,
        coverage=coverage(n, n_parsed, n_missing),
        confusion=stats.confusion(main, info.scale) if on_scale and n_parsed else None,
        part=part,
    )


@dataclass(frozen=True)
class _Run:
    """One judge on one rated set, with the values fitted on dev.

    Attributes:
        test: the answers on the test part.
        constant: mean gold of the whole dev part, asked or not; None without a dev part.
        epsilon: the largest difference of scores that counts as a tie, fitted on the parsed dev
            items; None when they hold no pair.
    """

    info: GoldSetInfo
    test: Asked
    on_scale: bool
    constant: float | None
    epsilon: float | None

    @classmethod
    def of(cls, gold_set: GoldSet, everything: Asked, *, on_scale: bool) -> _Run:
        if not gold_set.info.has_dev:
            return cls(gold_set.info, Asked(()), on_scale, None, None)
        dev_gold = [
            cast(RatingGold, example.gold).mean
            for example in gold_set.examples
            if part_of(example.item.video_id) == "dev"
        ]
        return cls(
            info=gold_set.info,
            test=everything.only("test"),
            on_scale=on_scale,
            constant=float(np.mean(dev_gold)) if dev_gold else None,
            epsilon=_parsed(everything.only("dev")).within.best_epsilon(),
        )

    def metrics(
        self, scored: Callable[[Asked], Rated], reported: Asked, resampling: Resampling | None
    ) -> dict[str, Metric]:
        metrics: dict[str, Metric] = {}
        main, test = scored(reported), scored(self.test)
        if main.n_videos:
            statistics = self._of_reported(main)
            why = _Why(main, self.info)
            metrics |= measure(statistics, main.n_videos, why, resampling)
            metrics[UNDEFINED_GROUPS] = Metric(int(np.isnan(main.within.tau_b()).sum()))
        if test.n_videos:
            why = _Why(test, self.info)
            metrics |= measure(self._of_test(test), test.n_videos, why, resampling)
        return metrics

    def _of_reported(self, rated: Rated) -> list[Statistic]:
        statistics = [stats.correlations(rated), *stats.inside_groups(rated)]
        if self.info.recipe == "emscore":
            statistics += stats.emscore(rated)
        if self.on_scale:
            statistics += stats.errors(rated, self.info.scale)
        if self.info.systems:
            statistics.append(stats.system_accuracy(rated))
        return statistics

    def _of_test(self, rated: Rated) -> list[Statistic]:
        statistics = []
        if self.on_scale and self.constant is not None:
            statistics.append(stats.skill(rated, self.constant))
        if self.epsilon is not None:
            statistics.append(stats.calibrated_accuracy(rated, self.epsilon))
        return statistics

    def why_absent(self, key: Key, reported: Asked) -> str:
        if key.on_scale and not self.on_scale:
            return NOT_ON_SCALE
        if key.fitted and self.constant is None:
            return "no dev part"
        if key.fitted and reported.n_parsed:
            if not self.test.n_parsed:
                return "no parsed item in the test part"
            return "no dev group of 2 or more parsed items"
        return reported.why_nothing()


@dataclass(frozen=True)
class _Why:
    """Reasons why a statistic of rated items is undefined."""

    rated: Rated
    info: GoldSetInfo

    def __call__(self, key: str) -> str:
        if key in _OF_PAIRS:
            return "no group of 2 or more items"
        if key == "skill":
            return "constant gold"
        return self._of_systems() if key == SYSTEM_ACCURACY else self._of_correlations(key)

    def _of_correlations(self, key: str) -> str:
        scores, targets = self._compared(key)
        if len(scores) < 2:
            return "fewer than 2 items"
        if is_constant(scores):
            return "constant judge"
        if any(is_constant(target) for target in targets.T):
            return "constant gold"
        return "in every group, all scores or all gold are tied"

    def _of_systems(self) -> str:
        if self.rated.n_systems < 2:
            return "fewer than 2 systems"
        if is_constant(self.rated.scores):
            return "constant judge"
        return "all systems have the same mean gold"

    def _compared(self, key: str) -> tuple[Floats, Floats]:
        rated = self.rated.without_0() if key.endswith("_without_0") else self.rated
        if key.startswith("emscore_"):
            return np.round(rated.scores, stats.EMSCORE_DECIMALS), rated.raters
        if key == "qwk":
            scale = self.info.scale
            return stats.rounded_to(scale, rated.scores), stats.rounded_to(scale, rated.raters)
        return rated.scores, rated.gold_levels[:, None]


def _parsed(some: Asked) -> Rated:
    parsed = [(e, v.value) for e, v in some.answers if isinstance(v, Rating)]
    return Rated.of([e for e, _ in parsed], [value for _, value in parsed])


def _imputed(some: Asked, scale: RatingScale, ends: tuple[float, float] | None) -> Rated:
    worst = worst_ratings(some, scale, ends)
    return _parsed(Asked(tuple((e, worst.get(e.item.id, v)) for e, v in some.answers)))
