"""The sets of the VideoJudge paper (arXiv 2509.21451), of which no public release was found.

- `llava`, `vcg` (section 4.2): answers written to target a rating, by the generator-evaluator loop
  of its Algorithm 1 with alpha = 0, on seeds of LLaVA-Video and of Video-ChatGPT. The gold answer
  is the response rated 5, so no item has references.
- `pairwise`: two such answers, of which that with the higher target rating is better; 500 pairs, by
  the smallest number that every reported accuracy is a fraction of (no size is printed).
- `pairwise_h` (section 5.2): targets 2 and 3, 250 pairs, two annotators; gold is the preference
  that they share on 237 of them. The label of the pipeline that made a pair is another field
  (`labels.pipeline`), and never gold.
"""

from __future__ import annotations

from videojudge_bench.goldsets.base import GoldKind, GoldSetInfo, Shape
from videojudge_bench.goldsets.released import ReleasedSet


def _set(
    name: str,
    title: str,
    *,
    kind: GoldKind = "constructed",
    shape: Shape = "ratings",
    section: str = "",
    units: int | None = None,
) -> ReleasedSet:
    info = GoldSetInfo(
        name=name,
        title=title,
        kind=kind,
        shape=shape,
        licence="not stated (no public release was found)",
        source=f"VideoJudge, arXiv 2509.21451{section}",
        how_to_get=(
            "no public release is known; rows of our schema go in by "
            f"`videojudge data prepare {name} --release FILE.jsonl --videos DIR`"
        ),
    )
    return ReleasedSet(info, sample_file=f"{name}.jsonl", units=units)


LLAVA = _set(
    "llava",
    "VideoJudgeLLaVA: answers in video chat, made to deserve a rating",
    section=", section 4.2",
)
VCG = _set(
    "vcg",
    "VideoJudgeVCG: descriptions and answers about time, made to deserve a rating",
    section=", section 4.2",
)
PAIRWISE = _set(
    "pairwise",
    "VideoJudge-Pairwise: the answer made for the higher rating is better",
    shape="pairs",
    units=500,
)
PAIRWISE_H = _set(
    "pairwise_h",
    "VideoJudge-Pairwise-H: ratings 2 against 3, the preference that two raters share",
    kind="human",
    shape="pairs",
    section=", section 5.2",
    units=237,
)
