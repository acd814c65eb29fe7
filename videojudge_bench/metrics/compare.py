"""Tests of differences between judges: paired permutations, Holm's correction, rank clusters.

This module prepares the values that each statistic needs; `permutation` has the numerics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet, Shape
from videojudge_bench.items import Example, OptionGold, PreferenceGold
from videojudge_bench.metrics.asked import asked, check_part
from videojudge_bench.metrics.bootstrap import Floats, Ints, is_constant, ratio
from videojudge_bench.metrics.permutation import (
    RHO,
    TAU,
    TOLERANCE,
    Mix,
    permutation_test,
    rank_mix,
    sums_mix,
)
from videojudge_bench.metrics.rating_statistics import EMSCORE_DECIMALS, Rated
from videojudge_bench.metrics.units import pair_scores, question_scores
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Verdict


@dataclass(frozen=True)
class Comparison:
    """Difference of two judges on one gold set, with its permutation test.

    Attributes:
        a: the statistic of the first judge on what both judged and parsed; `b` of the second.
        difference: `a - b`; for `mae` and `rmse` the better judge is the lower one.
        p_value: two-sided, between 1 / (1 + `permutations`) and 1; not corrected for other
            comparisons, see `holm`.
        n: ratings, questions or pairs that both judged and parsed, on `n_videos` videos, which are
            swapped.
    """

    statistic: str
    a: float
    b: float
    difference: float
    p_value: float
    n: int
    n_videos: int
    permutations: int


def compare(
    gold_set: GoldSet,
    a: Mapping[str, Judgement],
    b: Mapping[str, Judgement],
    *,
    statistic: str,
    permutations: int = 10_000,
    seed: int = 0,
    part: str = "all",
) -> Comparison:
    """Return the paired permutation test of two judges on what both judged and parsed.

    p = (1 + #{|permuted difference| >= |observed difference|}) / (1 + permutations), Phipson and
    Smyth (2010). A permutation in which a mixed judge is constant has no correlation and counts as
    extreme, which can only raise p. p is never below 2^(1-m), m the videos on which the judges
    differ. Rank correlations mix the judges' midranks, Pearson their z-scores, so that judges on
    different scales can be mixed; the other statistics mix the scores themselves. `mae` and `rmse`
    are for judges on the rating scale only.

    Args:
        gold_set: what was judged.
        a: judgements of the first judge by item id.
        b: of the second judge.
        statistic: sets of ratings: emscore_tau_b, emscore_rho (scores rounded to 4 decimals,
            against each rater, averaged), spearman, kendall_tau_b, pearson, mae, rmse (against the
            mean of the raters). Options: psup, psup_strict, top1. Pairs: accuracy.
        permutations: how many swaps to draw.
        seed: of the draw.
        part: `all`, or `test` for test videos only.

    Raises:
        ConfigError: a statistic or a part that the set does not have, no permutation, judgements
            of another set, fewer than 2 videos that both judges judged and parsed, or a
            correlation of constants.
    """
    shape = gold_set.info.shape
    if statistic not in _STATISTICS[shape]:
        raise UnknownNameError(f"statistic of a set of {shape}", statistic, _STATISTICS[shape])
    check_part(gold_set.info, part)
    if permutations < 1:
        raise ConfigError(f"permutations must be at least 1, got {permutations}; 10000 is usual")
    units, starts = joint_units(gold_set, a, b, part)
    mix = _STATISTICS[shape][statistic](units, starts)
    first, second, p_value = permutation_test(
        mix, len(starts), permutations=permutations, seed=seed
    )
    return Comparison(
        statistic=statistic,
        a=first,
        b=second,
        difference=first - second,
        p_value=max(p_value, _least_p_value(units)),
        n=len(units),
        n_videos=len(starts),
        permutations=permutations,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values, each in 0..1, corrected for their number by Holm (1979), in their order."""
    if len(p_values) < 2:  # nothing to correct, and the library takes two seconds to import
        return [float(p) for p in p_values]
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def rank_clusters(
    names_best_first: Sequence[str], significantly_below: Callable[[str, str], bool]
) -> dict[str, int]:
    """Return the rank of each judge: 1 + the number of judges in the clusters above its own.

    From the top, a judge opens a new cluster when it is significantly below every member of the
    current one, and joins it otherwise. Judges that share a cluster share a rank (1, 1, 3).
    """
    ranks: dict[str, int] = {}
    cluster: list[str] = []
    for above, name in enumerate(names_best_first):
        if all(significantly_below(name, member) for member in cluster):
            cluster, rank = [], above + 1
        cluster.append(name)
        ranks[name] = rank
    return ranks


def _least_p_value(units: Sequence[JointUnit]) -> float:
    """Return the smallest p-value that the videos on which the judges differ can give.

    With m of them there are 2^(m-1) ways to swap that differ by more than the sign. Rank statistics
    need this bound: one different score moves the ranks of all items a little, also where the
    judges agree, and every swap of those would then look less extreme than the observed difference.
    """
    differing = {unit.video_id for unit in units if unit.a != unit.b}
    return float(2.0 ** (1 - max(1, len(differing))))


@dataclass(frozen=True)
class JointUnit:
    """A rated response, a question or a pair with the verdicts of both judges, all parsed."""

    examples: tuple[Example, ...]
    a: tuple[Verdict, ...]
    b: tuple[Verdict, ...]

    @property
    def video_id(self) -> str:
        """The video that it is about."""
        return self.examples[0].item.video_id


_Builder = Callable[[Sequence[JointUnit], Ints], Mix]
"""From units sorted by video, and the index of each video's first, to a `Mix`."""


def joint_units(
    gold_set: GoldSet, a: Mapping[str, Judgement], b: Mapping[str, Judgement], part: str
) -> tuple[list[JointUnit], Ints]:
    """Return the units that both judged and parsed, sorted by video, and where each video starts.

    Raises ConfigError as `compare`.
    """
    of_a, of_b = (asked(gold_set, judgements).only(part).answers for judgements in (a, b))
    verdicts_b = {example.item.id: verdict for example, verdict in of_b}
    both: dict[str, list[tuple[Example, Verdict, Verdict]]] = {}
    for example, verdict in of_a:
        item_id = example.item.id
        if item_id in verdicts_b:
            key = item_id if gold_set.info.shape == "ratings" else example.unit
            both.setdefault(key, []).append((example, verdict, verdicts_b[item_id]))
    units = [JointUnit(*zip(*answers, strict=True)) for answers in both.values()]
    units = sorted(filter(_is_complete, units), key=lambda unit: unit.video_id)
    videos = [unit.video_id for unit in units]
    starts = [k for k, video in enumerate(videos) if k == 0 or video != videos[k - 1]]
    if len(starts) < 2:
        raise ConfigError(
            f"{gold_set.info.task}, part {part!r}: the judges have {len(of_a)} and {len(of_b)} "
            f"judgements, and what both judged and parsed is {len(units)} {gold_set.info.shape} "
            f"on {len(starts)} videos. A comparison needs at least 2 videos; judge more with both."
        )
    return units, np.array(starts, dtype=np.int64)


def _is_complete(unit: JointUnit) -> bool:
    """Return whether all is parsed, with both orders of a pair, or options to choose from."""
    if any(isinstance(verdict, Unparsed) for verdict in (*unit.a, *unit.b)):
        return False
    gold = unit.examples[0].gold
    if isinstance(gold, OptionGold):
        return len({example.gold for example in unit.examples}) == 2
    if isinstance(gold, PreferenceGold):
        return len(unit.examples) == 2 and gold.p_first != 0.5
    return True


UnitValue = Callable[[Sequence[Example], Sequence[Verdict]], float]


def _mean_of(value: UnitValue) -> _Builder:
    """Return the builder of a mean over units of their values."""

    def build(units: Sequence[JointUnit], starts: Ints) -> Mix:
        a = np.array([[value(unit.examples, unit.a)] for unit in units])
        b = np.array([[value(unit.examples, unit.b)] for unit in units])
        return sums_mix(a, b, starts, lambda means: means[:, 0])

    return build


def _of_question(key: str) -> UnitValue:
    def value(examples: Sequence[Example], verdicts: Sequence[Verdict]) -> float:
        scores = [cast(Rating, verdict).value for verdict in verdicts]
        correct = [cast(OptionGold, example.gold).correct for example in examples].index(True)
        return question_scores(scores.pop(correct), scores)[key]

    return value


def _pair_accuracy(examples: Sequence[Example], verdicts: Sequence[Verdict]) -> float:
    orders = {e.item.id.rpartition("/")[2]: k for k, e in enumerate(examples)}
    ab, ba = (cast(Preference, verdicts[orders[order]]) for order in ("ab", "ba"))
    gold = cast(PreferenceGold, examples[orders["ab"]].gold)
    return pair_scores(ab, ba, a_is_better=gold.p_first > 0.5)["accuracy"]


UNIT_VALUES: Mapping[str, UnitValue] = {
    **{key: _of_question(key) for key in ("psup", "psup_strict", "top1")},
    "accuracy": _pair_accuracy,
}
"""By statistic, the value of one question or pair, whose mean the statistic is."""


def rated_by_both(units: Sequence[JointUnit]) -> tuple[Rated, Rated]:
    """Return the arrays of rated responses with the first and with the second judge's scores."""
    examples = [unit.examples[0] for unit in units]
    a = Rated.of(examples, [cast(Rating, unit.a[0]).value for unit in units])
    return a, Rated.of(examples, [cast(Rating, unit.b[0]).value for unit in units])


def _mae(units: Sequence[JointUnit], starts: Ints) -> Mix:
    a, b = (np.abs(rated.scores - rated.gold)[:, None] for rated in rated_by_both(units))
    return sums_mix(a, b, starts, lambda means: means[:, 0])


def _rmse(units: Sequence[JointUnit], starts: Ints) -> Mix:
    a, b = ((rated.scores - rated.gold)[:, None] ** 2 for rated in rated_by_both(units))
    return sums_mix(a, b, starts, lambda means: np.sqrt(means[:, 0]))


def _pearson(units: Sequence[JointUnit], starts: Ints) -> Mix:
    a, b = rated_by_both(units)
    _refuse_constants(a.scores, b.scores, a.gold_levels[:, None])
    z_a, z_b, z_gold = ((x - x.mean()) / x.std() for x in (a.scores, b.scores, a.gold))

    def finish(means: Floats) -> Floats:
        mean, square, product = means.T
        variance = square - mean**2
        return ratio(product, np.sqrt(np.where(variance > TOLERANCE, variance, 0)))

    terms_a, terms_b = (np.stack([z, z * z, z * z_gold], axis=1) for z in (z_a, z_b))
    return sums_mix(terms_a, terms_b, starts, finish)


def _rank_correlation(exponent: int) -> _Builder:
    def build(units: Sequence[JointUnit], starts: Ints) -> Mix:
        a, b = rated_by_both(units)
        gold = a.gold_levels[:, None]
        _refuse_constants(a.scores, b.scores, gold)
        return rank_mix(a.scores, b.scores, gold, starts=starts, exponent=exponent)

    return build


def _emscore(exponent: int) -> _Builder:
    def build(units: Sequence[JointUnit], starts: Ints) -> Mix:
        rated, _ = pair = rated_by_both(units)
        a, b = (np.round(judge.scores, EMSCORE_DECIMALS) for judge in pair)
        _refuse_constants(a, b, rated.raters)
        return rank_mix(a, b, rated.raters, starts=starts, exponent=exponent)

    return build


def _refuse_constants(a: Floats, b: Floats, gold: Floats) -> None:
    columns = [("the first judge", a), ("the second judge", b)]
    columns += [("the gold", column) for column in gold.T]
    for who, column in columns:
        if is_constant(column):
            raise ConfigError(
                f"no correlation is defined: {who} has {column[0]:g} for all {len(column)} ratings "
                "that both judges judged and parsed. Compare by mae or rmse if both judges are on "
                "the rating scale, or leave this comparison out."
            )


_STATISTICS: Mapping[Shape, Mapping[str, _Builder]] = {
    "ratings": {
        "emscore_tau_b": _emscore(TAU),
        "emscore_rho": _emscore(RHO),
        "spearman": _rank_correlation(RHO),
        "kendall_tau_b": _rank_correlation(TAU),
        "pearson": _pearson,
        "mae": _mae,
        "rmse": _rmse,
    },
    "options": {key: _mean_of(UNIT_VALUES[key]) for key in ("psup", "psup_strict", "top1")},
    "pairs": {"accuracy": _mean_of(UNIT_VALUES["accuracy"])},
}
