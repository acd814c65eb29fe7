"""Holm's correction and rank clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videojudge_bench.metrics.compare import holm, rank_clusters


def test_holm_by_hand() -> None:
    # Sorted: .01 x 3 = .03; .03 x 2 = .06; .04 x 1 = .04, raised to .06 by the one before.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@settings(max_examples=20)  # statsmodels collects garbage at every call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values)
    assert np.all(np.diff(np.array(corrected)[order]) >= 0)
    assert sorted(holm(p_values[::-1])) == pytest.approx(sorted(corrected))


def test_rank_clusters_by_hand() -> None:
    # c is below b but not below a, so it stays in their cluster; d is below all three; e is below
    # all three as well, but not below d.
    below = {("b", "a"): False, ("c", "a"): False, ("c", "b"): True, ("e", "d"): False}
    ranks = rank_clusters("abcde", lambda judge, other: below.get((judge, other), True))
    assert ranks == {"a": 1, "b": 1, "c": 1, "d": 4, "e": 4}
    assert rank_clusters([], lambda *_: True) == {}


@given(st.integers(1, 8), st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7))))
def test_rank_clusters_are_competition_ranks(count: int, below: set[tuple[int, int]]) -> None:
    names = [str(k) for k in range(count)]
    asked: set[tuple[int, int]] = set()

    def significantly_below(judge: str, other: str) -> bool:
        asked.add((int(judge), int(other)))
        return (int(judge), int(other)) in below

    ranks = list(rank_clusters(names, significantly_below).values())
    assert ranks[0] == 1
    for k in range(1, count):
        # A judge shares the rank of the one above it, or ranks after all that are above it.
        assert ranks[k] in (ranks[k - 1], k + 1)
        cluster = range(ranks[k - 1] - 1, k)
        assert (ranks[k] == k + 1) == all((k, member) in below for member in cluster)
    assert all(judge > other for judge, other in asked)
