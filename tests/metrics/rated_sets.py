"""Small rated sets for the tests of their statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, Item, RatingGold, part_of
from videojudge_bench.metrics import ScoreCard
from videojudge_bench.verdicts import Judgement, Rating, Verdict

INFO = GoldSetInfo("made_up", "made up", "human", "ratings", "none", "none", "It is made here.")
VATEX = replace(INFO, name="vatex_like", recipe="emscore")
SAMPLE = replace(INFO, data="sample-4")

DEV, TEST = (
    [v for v in (f"v{k}" for k in range(200)) if part_of(v) == part] for part in ("dev", "test")
)


def rated(
    rows: Sequence[tuple[str, Sequence[float], float | Verdict]], info: GoldSetInfo = INFO
) -> tuple[GoldSet, dict[str, Judgement]]:
    """Return a gold set and judgements of (video, ratings, score or verdict); a group a video."""
    examples: list[Example] = []
    judgements = {}
    for k, (video, ratings, said) in enumerate(rows):
        position = sum(e.item.video_id == video for e in examples)
        item = Item(f"{video}/{k:04d}", video, "Describe.", f"response {k}")
        labels = {"candidate": str(position)}
        examples.append(Example(item, RatingGold(tuple(ratings)), unit=video, labels=labels))
        verdict = Rating(said) if isinstance(said, (int, float)) else said
        judgements[item.id] = Judgement(item.id, verdict)
    return GoldSet(info, tuple(examples)), judgements


def made_up(
    videos: Sequence[str], *, whole: bool, seed: int = 0
) -> list[tuple[str, list[float], float]]:
    """Return four items a video with three raters, and whole or continuous scores."""
    rng = np.random.default_rng(seed)
    rows = []
    for video in videos:
        for quality in rng.normal(3.2, 1.1, 4):
            ratings = np.clip(np.rint(quality + rng.normal(0, 0.8, 3)), 1, 5).tolist()
            said = float(np.clip(quality + rng.normal(0.2, 1), 1, 5))
            rows.append((video, ratings, round(said) if whole else round(said, 5)))
    return rows


def values(card: ScoreCard) -> dict[str, float | None]:
    return {key: metric.value for key, metric in card.metrics.items()}
