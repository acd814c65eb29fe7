"""The score card of sets whose unit is a question or a pair: means over units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.metrics.bootstrap import Resampling, codes, means
from videojudge_bench.metrics.card import Metric, measure
from videojudge_bench.metrics.keys import keys_of


@dataclass(frozen=True)
class Units:
    """Scored questions or pairs."""

    scored: Sequence[tuple[str, Mapping[str, float]]]
    lost: Sequence[str]
    n_left_out: int


def unit_metrics(units: Units, resampling: Resampling) -> dict[str, Metric]:
    """Return the means over units with intervals; empty when no unit was scored."""
    return _means([v for v, _ in units.scored], [row for _, row in units.scored], resampling)


def imputed_metrics(info: GoldSetInfo, units: Units) -> dict[str, Metric]:
    """Return the means with 0 for every lost unit, without intervals; empty without any unit."""
    names = [key.name for key in keys_of(info) if key.imputed]
    loss = dict.fromkeys(names, 0.0)
    rows = [{name: row[name] for name in names} for _, row in units.scored]
    rows += [loss] * len(units.lost)
    return _means([*(v for v, _ in units.scored), *units.lost], rows, None)


def _means(
    videos: Sequence[str], rows: Sequence[Mapping[str, float]], resampling: Resampling | None
) -> dict[str, Metric]:
    if not rows:
        return {}
    values = {key: np.array([row[key] for row in rows], dtype=np.float64) for key in rows[0]}
    clusters = codes(np.array(videos))
    n_videos = int(clusters.max()) + 1
    return measure([means(values, clusters, n_videos)], n_videos, lambda _: "", resampling)
