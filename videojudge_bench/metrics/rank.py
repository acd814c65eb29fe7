"""Kendall's tau-b and Spearman's rho under resampling weights: exact, ties included.

Both are functions of counts. Where values are few, counts come from contingency tables, one per
video, added up by one matrix product. Where they are many, they come from running sums over the
sorted items, in time n log(levels of the gold) per resample. Counts are whole numbers and stay so:
nothing is binned, and the two ways agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from videojudge_bench.metrics.bootstrap import Floats, Ints, codes

MOST_CELLS = 256  # of a contingency table; measured: beyond it the running sums are as fast
_ROWS = 8  # resamples at a time, so that a block of 18,000 items stays in the processor's cache

RankAgreement = Callable[[Floats], tuple[Floats, Floats]]
"""Takes weights (resamples, clusters); returns tau-b and rho, each (resamples, columns)."""


def rank_agreement(
    values: Floats, columns: Floats, clusters: Ints, n_clusters: int
) -> RankAgreement:
    """Return the rank agreement of values with each column, as a function of cluster weights.

    A resample counts an item as often as its cluster is drawn; copies of an item are tied. NaN
    where values or a column are constant in a resample, or no item counts.

    Args:
        values: shape (items,).
        columns: shape (items, columns), such as one column per rater.
        clusters: shape (items,), the cluster of each item.
        n_clusters: number of clusters.
    """
    x = codes(values)
    ys = [codes(column) for column in columns.T]
    if all((x.max(initial=0) + 1) * (y.max(initial=0) + 1) <= MOST_CELLS for y in ys):
        return TableAgreement(x, ys, clusters, n_clusters)
    return SortedAgreement(x, ys, clusters)


def _tau_b(score: Floats, total: Floats, squares_x: Floats, squares_y: Floats) -> Floats:
    """Return tau-b from concordant minus discordant pairs and the tie groups' squared sizes.

    Pairs that are not tied in x: n(n-1)/2 - sum t(t-1)/2 = (n^2 - sum t^2) / 2. The order of the
    divisions is scipy's, so that both round alike.
    """
    untied_x, untied_y = (total**2 - squares_x) / 2, (total**2 - squares_y) / 2
    defined = (untied_x > 0) & (untied_y > 0)
    tau = np.full(score.shape, np.nan)
    tau[defined] = score[defined] / np.sqrt(untied_x[defined]) / np.sqrt(untied_y[defined])
    return np.asarray(np.clip(tau, -1.0, 1.0), dtype=np.float64)


def _rho(product: Floats, square_x: Floats, square_y: Floats) -> Floats:
    """Return Spearman's rho from sums over centred, doubled midranks (whole numbers)."""
    defined = (square_x > 0) & (square_y > 0)
    rho = np.full(product.shape, np.nan)
    rho[defined] = product[defined] / np.sqrt(square_x[defined] * square_y[defined])
    return np.asarray(np.clip(rho, -1.0, 1.0), dtype=np.float64)


class TableAgreement:
    """Rank agreement from contingency tables; for scores and gold with few distinct values."""

    def __init__(self, x: Ints, ys: Sequence[Ints], clusters: Ints, n_clusters: int) -> None:
        self._levels_x = int(x.max(initial=0)) + 1
        self._tables = [self._per_cluster(x, y, clusters, n_clusters) for y in ys]

    def _per_cluster(self, x: Ints, y: Ints, clusters: Ints, n_clusters: int) -> Floats:
        levels_y = int(y.max(initial=0)) + 1
        cells = self._levels_x * levels_y
        cell = clusters * cells + x * levels_y + y
        counts = np.bincount(cell, minlength=n_clusters * cells)
        return counts.reshape(n_clusters, cells).astype(np.float64)

    def __call__(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return tau-b and rho, each of shape (resamples, columns)."""
        both = [self._column(weights @ table) for table in self._tables]
        return np.column_stack([t for t, _ in both]), np.column_stack([r for _, r in both])

    def _column(self, cells: Floats) -> tuple[Floats, Floats]:
        table = cells.reshape(len(cells), self._levels_x, -1)
        level = np.arange(table.shape[2])
        below_x = np.cumsum(table, axis=1) - table
        signed = below_x @ np.sign(level[None, :] - level[:, None]).astype(np.float64)
        sizes_x, sizes_y = table.sum(axis=2), table.sum(axis=1)
        ranks_x, ranks_y = _centred_ranks(sizes_x), _centred_ranks(sizes_y)
        tau = _tau_b(
            (table * signed).sum(axis=(1, 2)),
            sizes_x.sum(axis=1),
            (sizes_x**2).sum(axis=1),
            (sizes_y**2).sum(axis=1),
        )
        rho = _rho(
            ((table @ ranks_y[:, :, None])[:, :, 0] * ranks_x).sum(axis=1),
            (sizes_x * ranks_x**2).sum(axis=1),
            (sizes_y * ranks_y**2).sum(axis=1),
        )
        return tau, rho


def _centred_ranks(sizes: Floats) -> Floats:
    """Return 2 (midrank - mean rank) of each level from the levels' sizes, both (rows, levels)."""
    upto = np.cumsum(sizes, axis=1)
    return np.asarray(2 * upto - sizes - upto[:, -1:], dtype=np.float64)


class SortedAgreement:
    """Rank agreement from running sums over sorted items; for any scores and gold."""

    def __init__(self, x: Ints, ys: Sequence[Ints], clusters: Ints) -> None:
        order = np.argsort(x, kind="stable")
        x = x[order]
        self._clusters = clusters[order]
        self._bounds = _level_bounds(x)
        self._first, self._last = self._bounds[x], self._bounds[x + 1]
        self._columns = [_Column.of(x, y[order]) for y in ys]

    def __call__(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return tau-b and rho, each of shape (resamples, columns)."""
        parts = [
            self._rows(weights[start : start + _ROWS].astype(np.int64))
            for start in range(0, len(weights), _ROWS)
        ]
        return np.concatenate([t for t, _ in parts]), np.concatenate([r for _, r in parts])

    def _rows(self, weights: Ints) -> tuple[Floats, Floats]:
        items = weights.take(self._clusters, axis=1)
        upto = _running(items)
        sizes = np.diff(upto.take(self._bounds, axis=1), axis=1)
        total = upto[:, -1:]
        ranks = upto.take(self._first, axis=1) + upto.take(self._last, axis=1) - total
        weighted = items * ranks
        squares, square = _dot(sizes, sizes), _dot(weighted, ranks)
        taus, rhos = [], []
        for column in self._columns:
            sizes_y = column.sizes(items)
            ranks_y = _centred_ranks(sizes_y.astype(np.float64))
            product = _dot(weighted, ranks_y.astype(np.int64).take(column.codes, axis=1))
            taus.append(
                _tau_b(
                    column.score(items),
                    total[:, 0].astype(np.float64),
                    squares,
                    _dot(sizes_y, sizes_y),
                )
            )
            rhos.append(_rho(product, square, (sizes_y * ranks_y**2).sum(axis=1)))
        return np.column_stack(taus), np.column_stack(rhos)


@dataclass(frozen=True)
class _Split:
    """Items of the lower and of the upper half of some ranges of y, each by range, then by x."""

    lower: Ints
    upper: Ints
    first: Ints  # for each upper item: how many lower items come before its x in its range …
    last: Ints  # … or share it, those of the ranges before included
    lower_bounds: Ints  # where each range begins and ends among the lower items
    upper_bounds: Ints

    @classmethod
    def of(cls, x: Ints, y: Ints, bit: int) -> _Split:
        range_of = y >> (bit + 1)
        by_range = np.argsort(range_of, kind="stable")
        is_upper = (y >> bit & 1).astype(bool)
        has_both = np.intersect1d(range_of[is_upper], range_of[~is_upper])
        by_range = by_range[np.isin(range_of[by_range], has_both)]
        upper, lower = by_range[is_upper[by_range]], by_range[~is_upper[by_range]]
        place = range_of * (x.max(initial=0) + 1) + x
        return cls(
            lower=lower,
            upper=upper,
            first=np.searchsorted(place[lower], place[upper], side="left"),
            last=np.searchsorted(place[lower], place[upper], side="right"),
            lower_bounds=np.append(0, np.searchsorted(range_of[lower], has_both, side="right")),
            upper_bounds=np.append(0, np.searchsorted(range_of[upper], has_both, side="right")),
        )

    def score(self, items: Ints) -> Floats:
        """Return concordant minus discordant pairs of a lower and an upper item of one range."""
        upto = _running(items.take(self.lower, axis=1))
        upper = items.take(self.upper, axis=1)
        in_range = np.diff(_running(upper).take(self.upper_bounds, axis=1), axis=1)
        bounds = upto.take(self.lower_bounds, axis=1)
        # an upper item scores (lower items before its x) - (lower items after its x):
        # (upto[first] - upto[begin]) - (upto[end] - upto[last])
        before_and_after = upto.take(self.first, axis=1) + upto.take(self.last, axis=1)
        return _dot(upper, before_and_after) - _dot(in_range, bounds[:, :-1] + bounds[:, 1:])


@dataclass(frozen=True)
class _Column:
    """One gold column: its levels, and the splits that set every two levels apart exactly once.

    Two levels differ first in one bit of their binary codes. For each bit, the pairs that differ
    there first are those of a lower and an upper half of a range of levels; so all pairs of items
    with different gold are counted in log2(levels) sweeps.
    """

    codes: Ints
    order: Ints
    bounds: Ints
    splits: tuple[_Split, ...]

    @classmethod
    def of(cls, x: Ints, y: Ints) -> _Column:
        bits = int(y.max(initial=0)).bit_length()
        splits = tuple(_Split.of(x, y, bit) for bit in reversed(range(bits)))
        return cls(y, np.argsort(y, kind="stable"), _level_bounds(np.sort(y)), splits)

    def sizes(self, items: Ints) -> Ints:
        """Return how many items each level has, shape (rows, levels)."""
        upto = _running(items.take(self.order, axis=1))
        return np.diff(upto.take(self.bounds, axis=1), axis=1)

    def score(self, items: Ints) -> Floats:
        """Return concordant minus discordant pairs, shape (rows,)."""
        return sum((split.score(items) for split in self.splits), start=np.zeros(len(items)))


def _level_bounds(in_order: Ints) -> Ints:
    """Return where each level of sorted codes begins, and the end of the last."""
    return np.searchsorted(in_order, np.arange(in_order.max(initial=0) + 2))


def _running(items: Ints) -> Ints:
    """Return running sums along the rows with a leading 0, shape (rows, items + 1)."""
    sums = np.zeros((items.shape[0], items.shape[1] + 1), dtype=np.int64)
    np.cumsum(items, axis=1, out=sums[:, 1:])
    return sums


def _dot(a: Ints, b: Ints) -> Floats:
    """Return row-wise dot products, exact in int64 up to 2 million items."""
    return np.asarray(np.einsum("ri,ri->r", a, b), dtype=np.float64)
