"""The permutation test of a paired difference: pure numerics, exact, many permutations at once.

Under the hypothesis that two judges are exchangeable, swapping their scores on any video changes
nothing. So the observed difference of a statistic is compared with its differences under random
swaps, one coin a video: the items of a video share its difficulty and are swapped together.

A swap is a sign per video: +1 leaves it, -1 swaps it. Sums over items are then linear in the signs,
and sums over pairs of items, which rank correlations are made of, are quadratic.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from videojudge_bench.metrics.bootstrap import Bools, Floats, Ints, ratio

Mix = Callable[[Floats], tuple[Floats, Floats]]
"""From signs (videos, m) to the statistic (m,) of each judge after m swaps; NaN where undefined."""

TAU, RHO = 2, 3
"""The rank correlations by the exponent in which their formulas differ, see `rank_mix`."""

TOLERANCE = 1e-12
"""Differences closer than this are equal: what float64 rounding leaves of two equal statistics."""

_BATCH = 256  # permutations at a time: the matrix products are at full speed, the memory is small
_BLOCK_ITEMS = 16  # rows at a time of the items x items comparison: they stay in the CPU's cache
_BLOCK_VIDEOS = 512  # rows at a time of the quadratic form


def permutation_test(
    mix: Mix, n_videos: int, *, permutations: int, seed: int
) -> tuple[float, float, float]:
    """Return both observed statistics and the two-sided p-value of their difference.

    p = (1 + #{|permuted difference| >= |observed difference|}) / (1 + permutations), from Phipson
    and Smyth (2010). An undefined permuted difference counts as extreme, which only raises p.
    """
    values = mix(np.ones((n_videos, 1)))
    first, second = float(values[0][0]), float(values[1][0])
    bar = abs(first - second) - TOLERANCE
    rng, extreme = np.random.default_rng(seed), 0
    for done in range(0, permutations, _BATCH):
        size = (min(_BATCH, permutations - done), n_videos)
        permuted = permuted_differences(mix, rng.integers(0, 2, size, dtype=np.bool_))
        extreme += int(np.sum(~(np.abs(permuted) < bar)))
    return first, second, (1 + extreme) / (1 + permutations)


def permuted_differences(mix: Mix, swaps: Bools) -> Floats:
    """Return first judge - second judge (m,) under `swaps` (m, videos), True where swapped."""
    first, second = mix(np.ascontiguousarray(np.where(swaps, -1.0, 1.0).T))
    return first - second


def sums_mix(a: Floats, b: Floats, starts: Ints, finish: Callable[[Floats], Floats]) -> Mix:
    """Return the mix of a statistic `finish(means)`, from means (m, terms) to statistics (m,).

    The means are over the terms of each judge, `a` and `b` (units, terms), with units sorted by
    video; `starts` are the indices of each video's first unit.
    """
    middle = (a + b).sum(axis=0) / 2
    half_gap = np.add.reduceat(a - b, starts, axis=0) / 2

    def mix(signs: Floats) -> tuple[Floats, Floats]:
        swing = signs.T @ half_gap
        return finish((middle + swing) / len(a)), finish((middle - swing) / len(a))

    return mix


def rank_mix(a: Floats, b: Floats, gold: Floats, *, starts: Ints, exponent: int) -> Mix:
    """Return the mix of a rank correlation with each column of gold, averaged over the columns.

    With c the sizes of groups of tied values and r midranks, tau-b (`exponent` TAU) is
    sum_ij sgn(x_i - x_j) sgn(y_i - y_j) / sqrt((n^2 - sum c_x^2) (n^2 - sum c_y^2)), and Spearman's
    rho (RHO) is 3 sum_ij sgn(x_i - x_j) (r_i - r_j) / sqrt((n^3 - sum c_x^3) (n^3 - sum c_y^3)),
    because midranks are sums of signs: r_i = (n + 1) / 2 + sum_j sgn(y_i - y_j) / 2. So mixed
    scores need not be ranked anew, ties between judges included. The judges are mixed by midrank.

    Takes n^2 time once and videos^2 memory, then videos^2 time per permutation.

    Args:
        a: scores of the first judge (n,), sorted by video, not all equal.
        b: the same of the second judge.
        gold: (n, columns), no column constant.
        starts: the index of each video's first item.
        exponent: TAU or RHO.
    """
    from scipy import sparse
    from scipy.stats import rankdata

    n = len(a)
    levels, codes = np.unique(np.concatenate([rankdata(a), rankdata(b)]), return_inverse=True)
    constant, linear, quadratic = _pair_sums(
        codes[:n].astype(np.int32), codes[n:].astype(np.int32), _pair_gold(gold, exponent), starts
    )
    # Of each level, how many items have it: half of what both judges say, give or take the swing.
    video = np.repeat(np.arange(len(starts)), np.diff(starts, append=n))
    middle = np.bincount(codes) / 2
    half_gap = sparse.csr_matrix(
        (np.repeat([0.5, -0.5], n), (codes, np.tile(video, 2))), shape=(len(levels), len(starts))
    )

    def mix(signs: Floats) -> tuple[Floats, Floats]:
        even, odd = constant + _form(quadratic, signs), linear @ signs
        ties, tilt = _tie_sums(middle, half_gap @ signs, exponent)
        pairs = n**exponent - ties
        return (
            ratio(even + odd, np.sqrt(pairs - tilt)),
            ratio(even - odd, np.sqrt(pairs + tilt)),
        )

    return mix


def _tie_sums(middle: Floats, swing: Floats, exponent: int) -> tuple[Floats, Floats]:
    """Return E and O (m,) with sum over levels of (middle ± swing)^exponent = E ± O.

    Multiplied out, because no array of the size of `swing` (levels, m) is then made.
    """
    if exponent == TAU:
        squares = np.einsum("um,um->m", swing, swing)
        return middle @ middle + squares, 2 * (middle @ swing)
    weighted = np.einsum("u,um,um->m", middle, swing, swing)
    cubes = np.einsum("um,um,um->m", swing, swing, swing)
    return np.sum(middle**3) + 3 * weighted, 3 * (middle**2 @ swing) + cubes


def _pair_gold(gold: Floats, exponent: int) -> Callable[[slice], Floats]:
    """Return a function from a range of items to their gold factors with every item, (rows, n)."""
    from scipy.stats import rankdata

    ranks = rankdata(gold, axis=0)
    distinct, kind = np.unique(ranks, axis=0, return_inverse=True)
    kind = kind.reshape(-1)  # NumPy 2.0 gives it a second axis
    counts = [np.unique(column, return_counts=True)[1].astype(np.float64) for column in ranks.T]
    pairs = [len(ranks) ** exponent - np.sum(count**exponent) for count in counts]
    weights = [1 / (len(pairs) * np.sqrt(untied)) for untied in pairs]

    def factors(items: slice) -> Floats:
        terms = np.zeros((items.stop - items.start, len(distinct)))
        for weight, mine, other in zip(weights, ranks[items].T, distinct.T, strict=True):
            apart = mine[:, None] - other
            terms += weight * (np.sign(apart) if exponent == TAU else 3 * apart)
        # Raters leave few distinct rows, so that looking up is cheaper than comparing all items.
        return np.take(terms, kind, axis=1)

    return factors


def _pair_sums(
    a: npt.NDArray[np.int32],
    b: npt.NDArray[np.int32],
    pair_gold: Callable[[slice], Floats],
    starts: Ints,
) -> tuple[float, Floats, Floats]:
    """Return C, L (videos,) and Q (videos, videos), symmetric, of a sum over pairs of items.

    Under signs e the sum is C + sum_v e_v L_v + sum_vw e_v e_w Q_vw. To see it, write the sign of
    two mixed scores as sum_cd (1 ± e_i)/2 (1 ± e_j)/2 sgn(c_i - d_j) over judges c and d, with +
    for the first judge, multiply out, and use that sign and gold factor both turn around when i
    and j change places.
    """
    n, n_videos = len(a), len(starts)
    ends = np.append(starts, n)
    constant, linear = 0.0, np.empty(n_videos)
    quadratic = np.empty((n_videos, n_videos))
    step = max(1, _BLOCK_ITEMS * n_videos // n)
    for first in range(0, n_videos, step):
        last = min(first + step, n_videos)
        items, inner = slice(ends[first], ends[last]), starts[first:last] - starts[first]
        gold = pair_gold(items)
        aa, ab = _signs(a[items], a), _signs(a[items], b)
        ba, bb = _signs(b[items], a), _signs(b[items], b)
        constant += float(((aa + ab + ba + bb) * gold).sum()) / 4
        linear[first:last] = np.add.reduceat(((aa + ab - ba - bb) * gold).sum(axis=1), inner) / 2
        by_video = np.add.reduceat((aa - ab - ba + bb) * gold, inner, axis=0)
        quadratic[first:last] = np.add.reduceat(by_video, starts, axis=1) / 4
    return constant, linear, quadratic


def _signs(rows: npt.NDArray[np.int32], columns: npt.NDArray[np.int32]) -> npt.NDArray[np.int8]:
    above, below = rows[:, None] > columns, rows[:, None] < columns
    return above.view(np.int8) - below.view(np.int8)


def _form(quadratic: Floats, signs: Floats) -> Floats:
    """Return sum_vw e_v e_w Q_vw (m,) of each column e of `signs`, for a symmetric Q."""
    total = np.zeros(signs.shape[1])
    for first in range(0, len(quadratic), _BLOCK_VIDEOS):
        here, later = slice(first, first + _BLOCK_VIDEOS), slice(first + _BLOCK_VIDEOS, None)
        # By symmetry, what lies below the diagonal is counted twice above it: half the work.
        image = quadratic[here, here] @ signs[here] + 2 * (quadratic[here, later] @ signs[later])
        total += np.einsum("vm,vm->m", signs[here], image)
    return total
