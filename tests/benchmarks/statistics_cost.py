"""Prints what scoring one judge costs: CPU seconds (all threads) by kind of judge, and memory.

The gold set has the size of VATEX-EVAL (3,000 videos x 6 items x 3 raters) and its recipe, so that
every number of a rated set is made; 10,000 resamples.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np

from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, Item, RatingGold
from videojudge_bench.metrics import Measurement, human_cards
from videojudge_bench.verdicts import Judgement, Rating

VIDEOS, ITEMS, RATERS, RESAMPLES = 3_000, 6, 3, 10_000

INFO = GoldSetInfo(
    name="benchmark",
    title="made up",
    kind="human",
    shape="ratings",
    licence="none",
    source="made up",
    how_to_get="It is made on the spot.",
    recipe="emscore",
)


def main() -> None:
    """Print one JSON object."""
    rng = np.random.default_rng(0)
    quality = rng.normal(4, 1, VIDEOS * ITEMS)
    noisy = quality[:, None] + rng.normal(0, 0.7, (len(quality), RATERS))
    examples = []
    for k, row in enumerate(np.clip(np.rint(noisy), 1, 5).tolist()):
        video = f"v{k // ITEMS}"
        item = Item(id=f"{video}/{k}", video_id=video, instruction="", response="")
        labels = {"candidate": str(k % ITEMS)}
        examples.append(Example(item, RatingGold(tuple(row)), unit=video, labels=labels))
    gold_set = GoldSet(INFO, tuple(examples))
    scores = np.clip(quality + rng.normal(0, 1, len(quality)), 1, 5)
    seconds: dict[str, float] = {}
    before = _peak_mib()
    for kind, column in (("integer", np.rint(scores)), ("continuous", scores)):
        judgements = {
            example.item.id: Judgement(example.item.id, Rating(value))
            for example, value in zip(examples, column.tolist(), strict=True)
        }
        started = time.process_time()
        Measurement(gold_set).card(judgements, resamples=RESAMPLES)
        seconds[kind] = round(time.process_time() - started, 2)
    started = time.process_time()
    human_cards(gold_set)
    seconds["human_rows"] = round(time.process_time() - started, 2)
    report = {
        "videos": VIDEOS,
        "items": len(examples),
        "raters": RATERS,
        "resamples": RESAMPLES,
        "cpu_seconds": seconds,
        "peak_rss_growth_mib": _peak_mib() - before,
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
