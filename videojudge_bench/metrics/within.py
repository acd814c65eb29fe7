"""Agreement inside groups: pairs of responses to one instruction about one video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videojudge_bench.metrics.bootstrap import Bools, Floats, Ints, ratio

_SAME = 1 + 1e-9  # 0.3 - 0.2 and 0.2 - 0.1 are one difference


@dataclass(frozen=True)
class Within:
    """All pairs of items that share a group.

    Attributes:
        group: for each pair its group, 0..n_groups-1.
        gap: absolute difference of the two scores.
        gold_tied: whether the two have equal gold.
        concordant: whether scores and gold order the two alike, and neither ties them.
        group_video: for each group its video, shape (n_groups,).
    """

    group: Ints
    gap: Floats
    gold_tied: Bools
    concordant: Bools
    group_video: Ints

    @classmethod
    def of(cls, scores: Floats, gold: Floats, groups: Ints, videos: Ints) -> Within:
        """Return the pairs; all arguments have the shape (items,), groups and videos are codes."""
        first, second = _pairs(groups)
        difference, gold_difference = scores[first] - scores[second], gold[first] - gold[second]
        group_video = np.zeros(groups.max(initial=-1) + 1, dtype=np.int64)
        group_video[groups] = videos
        return cls(
            group=groups[first],
            gap=np.abs(difference),
            gold_tied=gold_difference == 0,
            concordant=np.sign(difference) * np.sign(gold_difference) > 0,
            group_video=group_video,
        )

    @property
    def pair_video(self) -> Ints:
        """The video of each pair, shape (pairs,)."""
        return self.group_video[self.group]

    @property
    def judge_tied(self) -> Bools:
        """True where the two scores are equal, shape (pairs,)."""
        return np.equal(self.gap, 0)

    def tau_b(self) -> Floats:
        """Return Kendall's tau-b of each group, shape (n_groups,).

        NaN for groups of one item and where all gold or all scores are tied.
        """
        neither = ~self.gold_tied & ~self.judge_tied
        score = 2 * self._count(self.concordant) - self._count(neither)
        untied = self._count(~self.gold_tied) * self._count(~self.judge_tied)
        return ratio(score, np.sqrt(untied))

    def acc_eq(self, epsilon: float = 0.0) -> Floats:
        """Return the share of pairs ordered or tied as in gold, of each group; NaN without pairs.

        Scores that differ by at most `epsilon` count as tied. Deutsch, Foster and Freitag 2023,
        "Ties Matter" (arXiv 2305.14324): (concordant + tied in both) / all pairs.
        """
        tied = self.gap <= epsilon * _SAME
        return ratio(
            self._count(np.where(tied, self.gold_tied, self.concordant)),
            np.bincount(self.group, minlength=len(self.group_video)).astype(np.float64),
        )

    def best_epsilon(self) -> float | None:
        """Return the smallest epsilon with the highest mean `acc_eq`; None where there is no pair.

        Tried are 0 and every difference of scores that occurs, all in one sweep: as epsilon grows
        past a pair's gap, the pair becomes right if gold ties it and wrong if it was concordant.
        """
        if not self.group.size:
            return None
        weight = 1 / np.bincount(self.group)[self.group]
        order = np.argsort(self.gap, kind="stable")
        change = weight * (self.gold_tied * 1.0 - self.concordant)
        gained = np.concatenate([[0.0], np.cumsum(change[order])])
        candidates = np.union1d([0.0], self.gap)
        reached = np.searchsorted(self.gap[order], candidates * _SAME, side="right")
        # rounded, so that the order of the additions does not choose among equals
        return float(candidates[np.argmax(np.round(gained[reached] / len(self.group_video), 12))])

    def _count(self, pairs: Bools) -> Floats:
        counts = np.bincount(self.group, pairs, minlength=len(self.group_video))
        return counts.astype(np.float64)


def _pairs(groups: Ints) -> tuple[Ints, Ints]:
    """Return the two items of every pair inside a group, each of shape (pairs,)."""
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    first, second = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for size in np.unique(sizes[sizes > 1]):
        members = order[starts[sizes == size][:, None] + np.arange(size)]
        one, other = np.triu_indices(size, 1)
        first.append(members[:, one].ravel())
        second.append(members[:, other].ravel())
    return np.concatenate(first), np.concatenate(second)
