"""Answers that people should rate next: drawn by chance, with known probabilities.

The variance that labels can take away from a corrected mean is, to first order, the sum of
(1 / p - 1) x residual^2 over the answers: the residual is what the judge, put on the scale of the
ratings, gets wrong about an answer, and p the probability of asking for its label. For a given
number of labels that sum is least for p proportional to the size of the residual (Zrnic and Candès
2024, arXiv 2403.03208). Sizes are not known before, but can be predicted: from the residuals of
earlier labels, by the judge's score and spread; before there are any, by the spread of the judge's
probabilities; without either they are equal. A wrong prediction costs width and no more: weights of
1 / p keep the estimate right.

Videos are the clusters. All answers to one question have one size and share a random number, so
that they are picked together: what makes a question hard for the judge cancels in differences of
systems, and a video is watched once. Numbers of the questions about one video are spread evenly, so
that a system's labels are of many videos.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videojudge_bench.metrics.bootstrap import Bools, Floats, Ints, cluster_sums, codes, ratio

UNIFORM = 0.3
"""Share of equal probabilities in the mixture: no probability is below 0.3 of the equal one."""

FEWEST_LABELS = 10
"""Labels from which on their residuals predict others."""

_RIDGE = 2.0
"""Labels' worth of "all residuals are of one size" in the regression of their sizes."""


@dataclass(frozen=True)
class Pool:
    """Answers to choose from, shape (answers,) each.

    Attributes:
        scores: of the judge, NaN without a verdict.
        spread: standard deviation of the judge's probabilities, NaN where it gives none.
        human: mean ratings so far, NaN without.
        systems: codes 0..n_systems-1.
        videos: codes 0..n_videos-1.
        questions: codes of video and instruction, 0..n_questions-1.
    """

    scores: Floats
    spread: Floats
    human: Floats
    systems: Ints
    videos: Ints
    questions: Ints


def predicted_sizes(pool: Pool) -> Floats:
    """Return the predicted size of each answer's residual, shape (answers,), above 0.

    Only proportions matter. An answer without a verdict has the mean of the others.
    """
    scored = ~np.isnan(pool.scores)
    labelled = scored & ~np.isnan(pool.human)
    if labelled.sum() < FEWEST_LABELS:
        sizes = np.where(scored, pool.spread, np.nan)
    else:
        sizes = np.where(scored, _regressed(pool, labelled), np.nan)
    if np.isnan(sizes).all() or np.nanmax(sizes) <= 0:
        return np.ones(len(sizes))
    mean = float(np.nanmean(sizes))
    floored = np.maximum(np.where(np.isnan(sizes), mean, sizes), 0.1 * mean)
    return np.asarray(floored, dtype=np.float64)


def _regressed(pool: Pool, labelled: Bools) -> Floats:
    """Return sizes of residuals as a linear function of score, spread and system."""
    systems = np.eye(int(pool.systems.max()) + 1)[pool.systems]
    scores = _centred_ranks(pool.scores, pool.systems)
    x = np.column_stack([systems, np.nan_to_num(pool.scores)])[labelled]
    human = pool.human[labelled]
    residuals = np.abs(human - x @ np.linalg.lstsq(x, human, rcond=None)[0])
    mean = residuals.mean()
    everyone = np.zeros_like(pool.systems)
    features = np.column_stack([systems, scores, _centred_ranks(pool.spread, everyone)])
    x = features[labelled]
    penalty = _RIDGE * np.eye(x.shape[1])
    slopes = np.linalg.solve(x.T @ x + penalty, x.T @ (residuals - mean))
    return np.asarray(mean + features @ slopes, dtype=np.float64)


def _centred_ranks(values: Floats, groups: Ints) -> Floats:
    """Return the places of values in their groups, -0.5..0.5; 0 for NaN."""
    ranks = np.zeros(len(values))
    for group in np.unique(groups):
        mine = np.flatnonzero((groups == group) & ~np.isnan(values))
        ranks[mine] = (codes(values[mine]) + 0.5) / (codes(values[mine]).max(initial=0) + 1) - 0.5
    return ranks


def draw(pool: Pool, sizes: Floats, n: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Return the places of `n` answers without a rating, and the probabilities of all answers.

    Probabilities are 0 for answers with a rating, and sum to n. Within a system the number of
    picks is fixed: Pareto sampling (Rosén 1997), whose probabilities are those asked for to about
    1 %.

    Args:
        pool: the answers; all of them are returned where there are fewer than n without a rating.
        sizes: as predicted, shape (answers,).
        n: number of labels.
        rng: source of the random numbers.
    """
    free = np.isnan(pool.human)
    columns = [sizes**2 * free, free.astype(np.float64)]
    squares, counts = cluster_sums(columns, pool.questions, int(pool.questions.max()) + 1).T
    shared = np.sqrt(np.nan_to_num(ratio(squares, counts)))[pool.questions]
    mixed = np.where(free, (1 - UNIFORM) * shared + UNIFORM * shared[free].mean(), 0.0)
    n_systems = int(pool.systems.max()) + 1
    expected = cluster_sums([_probabilities(mixed, n)], pool.systems, n_systems)[:, 0]
    numbers = _numbers(pool, rng)
    probabilities, chosen = np.zeros(len(sizes)), []
    for system, count in enumerate(_rounded(expected)):
        mine = np.flatnonzero(free & (pool.systems == system))
        p = probabilities[mine] = _probabilities(mixed[mine], count)
        u = numbers[mine]
        with np.errstate(divide="ignore"):
            keys = u / (1 - u) * (1 - p) / p
        chosen.append(mine[np.argsort(keys, kind="stable")[:count]])
    return np.concatenate(chosen), probabilities


def _probabilities(sizes: Floats, n: int) -> Floats:
    """Return probabilities proportional to sizes, at most 1, that sum to n (or all that are)."""
    p = np.zeros(len(sizes))
    open_ = sizes > 0
    left = min(n, int(open_.sum()))
    while left > 0:
        p[open_] = left * sizes[open_] / sizes[open_].sum()
        certain = open_ & (p >= 1)
        if not certain.any():
            break
        p[certain] = 1.0
        open_ &= ~certain
        left -= int(certain.sum())
    return p


def _numbers(pool: Pool, rng: np.random.Generator) -> Floats:
    """Return a number in 0..1 for each answer: uniform, the same for all answers to a question."""
    n_questions = int(pool.questions.max()) + 1
    video_of = np.zeros(n_questions, dtype=np.int64)
    video_of[pool.questions] = pool.videos
    order = np.lexsort((rng.random(n_questions), video_of))
    per_video = np.bincount(video_of)
    first = np.cumsum(per_video) - per_video
    place = np.empty(n_questions)
    place[order] = np.arange(n_questions) - first[video_of[order]]
    start = rng.random(len(per_video))
    return ((start[video_of] + place / per_video[video_of]) % 1.0)[pool.questions]


def _rounded(shares: Floats) -> list[int]:
    """Return whole numbers near shares, with their sum, by largest remainders."""
    whole = np.floor(shares + 1e-9).astype(np.int64)
    missing = round(float(shares.sum())) - int(whole.sum())
    whole[np.argsort(whole - shares, kind="stable")[:missing]] += 1
    return [int(count) for count in whole]
