"""What the plots of a page are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from videojudge_bench._util.charts import Mark
from videojudge_bench.metrics.bootstrap import Floats, Ints, Resampling, means
from videojudge_bench.metrics.card import measure

RESAMPLING = Resampling(1000)


@dataclass(frozen=True)
class Figure:
    """A plot with what it shows."""

    title: str
    caption: str
    svg: Markup
    run: str = ""


def mean_marks(places: Floats, values: Floats, videos: Ints) -> list[Mark]:
    """Return the mean of the values at each place, with 95 % intervals by resampling videos.

    Args:
        places: of each item, on the horizontal axis; shape (items,).
        values: shape (items,).
        videos: codes; shape (items,).
    """
    n_videos = int(videos.max()) + 1
    at = np.unique(places)
    columns = {str(k): np.where(places == place, values, np.nan) for k, place in enumerate(at)}
    found = measure([means(columns, videos, n_videos)], n_videos, str, RESAMPLING, shares=())
    return [
        Mark(float(place), metric.value, int(np.sum(places == place)), metric.low, metric.high)
        for place, metric in zip(at, found.values(), strict=True)
        if metric.value is not None
    ]


def tenths(shares: Floats) -> Floats:
    """Return the middle of the tenth that each share is in."""
    return np.asarray(np.clip(np.floor(shares * 10), 0, 9) / 10 + 0.05, dtype=np.float64)
