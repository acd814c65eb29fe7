"""VideoJudge-Pairwise-H: answers made for ratings 2 and 3; gold is what two people agree on.

VideoJudge (arXiv 2509.21451) §5.2: 250 pairs, two annotators, 237 pairs on which they agree. The
label of the pipeline that made the pair is another field (`labels.pipeline`), and never gold.
"""

from __future__ import annotations

from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.goldsets.released import ReleasedSet, read_our_rows

INFO = GoldSetInfo(
    name="pairwise_h",
    title="VideoJudge-Pairwise-H: ratings 2 against 3, the preference that two raters share",
    kind="human",
    shape="pairs",
    licence="not stated (no public release was found)",
    source="VideoJudge, arXiv 2509.21451, section 5.2",
    how_to_get=(
        "no public release is known; rows of our schema go in by "
        "`videojudge data prepare pairwise_h --release FILE.jsonl --videos DIR`"
    ),
)

SET = ReleasedSet(INFO, read_our_rows(INFO), sample_file="pairwise_h.jsonl", units=237)

load = SET.load
