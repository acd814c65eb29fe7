"""Measurement of judgements against gold: score cards and their signatures."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet, examples_hash
from videojudge_bench.items import part_of
from videojudge_bench.metrics.asked import check_part
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.metrics.card import ScoreCard
from videojudge_bench.metrics.ratings import rated_card
from videojudge_bench.metrics.units import option_card, pair_card
from videojudge_bench.verdicts import Judgement

METRIC_VERSION: str = "1"


@dataclass(frozen=True)
class Measurement:
    """One way to measure judges on a gold set, which turns judgements into numbers.

    Attributes:
        on_scale: whether ratings are on the gold set's scale; False where numbers only rank.
        part: `all`, or `test` to report test videos only. What is fitted (`skill`, `acc_eq_cal`) is
            fitted on dev videos and reported on test videos in either case.
        references: how many each item showed, for the signature.
    """

    gold_set: GoldSet
    on_scale: bool = True
    part: str = "all"
    references: int = 0

    def card(
        self, judgements: Mapping[str, Judgement], *, resamples: int = 10_000, seed: int = 0
    ) -> ScoreCard:
        """Return the numbers of one judge.

        Unparsed items are excluded and counted in `coverage`; the `_all` twins impute the end of
        the scale farthest from gold (off the scale, of the judge's own scores), or a lost question
        or pair. Items whose video is missing are excluded everywhere. Intervals are 95 %, by
        resampling videos. The order of examples and judgements does not matter.

        Args:
            judgements: by item id, of the items that were asked: all, or fewer under a limit.
            resamples: of videos.
            seed: of the resamples.

        Raises:
            ConfigError: unknown part, a part of a set without parts, no resamples, judgements of
                items that are not in the set, or verdicts of the wrong kind.
            DataError: a question with two correct options, a pair whose ids lack the order.
        """
        shape = self.gold_set.info.shape
        check_part(self.gold_set.info, self.part)
        if resamples < 1:
            raise ConfigError(f"resamples must be at least 1, got {resamples}; 10000 is usual")
        part, resampling = self.part, Resampling(resamples, seed)
        if shape == "pairs":
            return pair_card(self.gold_set, judgements, part=part, resampling=resampling)
        make = rated_card if shape == "ratings" else option_card
        return make(
            self.gold_set, judgements, on_scale=self.on_scale, part=part, resampling=resampling
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
