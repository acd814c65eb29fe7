"""VideoJudgeLLaVA: answers made to deserve a rating, on seeds in the style of video chat.

VideoJudge (arXiv 2509.21451) §4.2: the generator-evaluator loop of its Algorithm 1 with alpha = 0
on seeds of LLaVA-Video; the gold answer is the response rated 5, so no item has references.
"""

from __future__ import annotations

from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.goldsets.released import ReleasedSet, read_our_rows

INFO = GoldSetInfo(
    name="llava",
    title="VideoJudgeLLaVA: answers in video chat, made to deserve a rating",
    kind="constructed",
    shape="ratings",
    licence="not stated (no public release was found)",
    source="VideoJudge, arXiv 2509.21451, section 4.2",
    how_to_get=(
        "no public release is known; rows of our schema go in by "
        "`videojudge data prepare llava --release FILE.jsonl --videos DIR`"
    ),
)

SET = ReleasedSet(INFO, read_our_rows(INFO), sample_file="llava.jsonl")

load = SET.load
