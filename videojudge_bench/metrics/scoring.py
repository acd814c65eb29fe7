"""Judgements and gold in, a score card out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet, examples_hash
from videojudge_bench.items import part_of
from videojudge_bench.metrics.asked import PARTS
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.metrics.card import ScoreCard
from videojudge_bench.metrics.ratings import rated_card
from videojudge_bench.metrics.units import option_card, pair_card
from videojudge_bench.verdicts import Judgement

METRIC_VERSION: str = "1"


@dataclass(frozen=True)
class Measurement:
    """One way to measure judges on a gold set: the owner of what turns judgements into numbers.

    Attributes:
        gold_set: the examples.
        on_scale: whether ratings are on the gold set's scale; False where numbers only rank.
        part: of the set that is reported, as `score` takes it.
        references: how many each item showed; they are in the signature.
    """

    gold_set: GoldSet
    on_scale: bool = True
    part: str = "all"
    references: int = 0

    def card(
        self, judgements: Mapping[str, Judgement], *, resamples: int = 10_000, seed: int = 0
    ) -> ScoreCard:
        """Return the numbers of one judge; see `score`."""
        return score(
            self.gold_set,
            judgements,
            on_scale=self.on_scale,
            part=self.part,
            resamples=resamples,
            seed=seed,
        )

    def signature(self, judged: Collection[str]) -> dict[str, Scalar]:
        """Return the half of a signature that must be equal for two rows to be compared."""
        item_ids = frozenset(judged)
        examples = [e for e in self.gold_set.examples if e.item.id in item_ids]
        if self.part != "all":
            examples = [e for e in examples if part_of(e.item.video_id) == self.part]
        # The hash of the whole set is kept; over many runs of one set that is most of the work.
        is_whole = len(examples) == len(self.gold_set.examples)
        items = self.gold_set.content_hash if is_whole else examples_hash(examples)
        info = self.gold_set.info
        return {
            "set": info.name,
            "v": info.version,
            "data": info.data,
            "part": self.part,
            "items": items[:12],
            "refs": self.references,
            "metrics": METRIC_VERSION,
        }


def score(
    gold_set: GoldSet,
    judgements: Mapping[str, Judgement],
    *,
    on_scale: bool,
    part: str = "all",
    resamples: int = 10_000,
    seed: int = 0,
) -> ScoreCard:
    """Return the numbers of one judge on one gold set.

    Unparsed items are excluded and seen in `coverage`; the `_all` twins impute the end of the scale
    farthest from gold (off the scale, of the judge's own scores), or a lost question or pair. Items
    whose video is missing are excluded everywhere. Intervals are 95 %, by resampling videos. The
    order of examples and judgements does not matter.

    Args:
        gold_set: the examples.
        judgements: by item id, of the items that were asked: all, or fewer under a limit.
        on_scale: whether ratings are on the gold set's scale; False where numbers only rank.
        part: `all`, or `test` to report test videos only. What is fitted (`skill`, `acc_eq_cal`) is
            fitted on dev videos and reported on test videos in either case.
        resamples: how many resamples of videos.
        seed: of the resamples.

    Raises:
        ConfigError: unknown part, a part of a set without parts, no resamples, judgements of items
            that are not in the set, or verdicts of the wrong kind.
        DataError: a question with two correct options, a pair whose ids name no order.
    """
    _check(gold_set, part, resamples)
    resampling = Resampling(resamples, seed)
    if gold_set.info.shape == "pairs":
        return pair_card(gold_set, judgements, part=part, resampling=resampling)
    card = rated_card if gold_set.info.shape == "ratings" else option_card
    return card(gold_set, judgements, on_scale=on_scale, part=part, resampling=resampling)


def _check(gold_set: GoldSet, part: str, resamples: int) -> None:
    info = gold_set.info
    if part not in PARTS:
        raise ConfigError(f"unknown part {part!r}; scoring reports {' or '.join(PARTS)}")
    if part != "all" and not info.has_dev:
        raise ConfigError(
            f"{info.task}: part {part!r} was asked, but {info.data} has no parts; use part 'all'"
        )
    if resamples < 1:
        raise ConfigError(f"resamples must be at least 1, got {resamples}; 10000 is usual")
