"""Prints what comparing two judges costs: CPU seconds (all threads) by statistic and kind of judge.

The gold set has the size of VATEX-EVAL: 3,000 videos x 6 items x 3 raters; 10,000 permutations.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np

from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.items import Example, Item, RatingGold
from videojudge_bench.metrics.compare import compare
from videojudge_bench.verdicts import Judgement, Rating

VIDEOS, ITEMS, RATERS, PERMUTATIONS = 3_000, 6, 3, 10_000

INFO = GoldSetInfo(
    name="benchmark",
    title="made up",
    kind="human",
    shape="ratings",
    licence="none",
    source="made up",
    how_to_get="It is made on the spot.",
)


def main() -> None:
    """Print one JSON object."""
    rng = np.random.default_rng(0)
    quality = rng.normal(4, 1, (VIDEOS * ITEMS, 1))
    ratings = np.clip(np.rint(quality + rng.normal(0, 0.7, (len(quality), RATERS))), 1, 5)
    examples = []
    for k, row in enumerate(ratings.tolist()):
        video = f"v{k // ITEMS}"
        item = Item(id=f"{video}/{k}", video_id=video, instruction="", response="")
        examples.append(Example(item, RatingGold(tuple(row)), unit=video))
    gold_set, names = GoldSet(INFO, tuple(examples)), [example.item.id for example in examples]
    scores = quality + rng.normal(0, 1, (len(quality), 2))
    judges = {"continuous": scores, "integer": np.clip(np.rint(scores), 1, 5)}
    seconds: dict[str, dict[str, float]] = {}
    for kind, columns in judges.items():
        a, b = (
            {name: Judgement(name, Rating(x)) for name, x in zip(names, column, strict=True)}
            for column in columns.T.tolist()
        )
        for statistic in ("emscore_tau_b", "emscore_rho", "spearman", "kendall_tau_b", "rmse"):
            started = time.process_time()
            compare(gold_set, a, b, statistic=statistic, permutations=PERMUTATIONS)
            spent = time.process_time() - started
            seconds.setdefault(kind, {})[statistic] = round(spent, 2)
    report = {
        "videos": VIDEOS,
        "items": len(examples),
        "raters": RATERS,
        "permutations": PERMUTATIONS,
        "cpu_seconds": seconds,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
