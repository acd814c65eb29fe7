"""VideoJudge-Pairwise: two answers made to deserve different ratings; the higher one is better.

VideoJudge (arXiv 2509.21451): 500 pairs, by the smallest number that every reported accuracy is a
fraction of (no size is printed).
"""

from __future__ import annotations

from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.goldsets.released import ReleasedSet, read_our_rows

INFO = GoldSetInfo(
    name="pairwise",
    title="VideoJudge-Pairwise: the answer made for the higher rating is better",
    kind="constructed",
    shape="pairs",
    licence="not stated (no public release was found)",
    source="VideoJudge, arXiv 2509.21451",
    how_to_get=(
        "no public release is known; rows of our schema go in by "
        "`videojudge data prepare pairwise --release FILE.jsonl --videos DIR`"
    ),
)

SET = ReleasedSet(INFO, read_our_rows(INFO), sample_file="pairwise.jsonl", units=500)

load = SET.load
