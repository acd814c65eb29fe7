"""The interval of a difference: against a naive bootstrap that scores every resample anew."""

from __future__ import annotations

import numpy as np
import pytest
from rated_sets import made_up, rated
from scipy.stats import spearmanr

from videojudge_bench import goldsets
from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import RatingGold
from videojudge_bench.metrics.bootstrap import Resampling, resampled_weights
from videojudge_bench.metrics.compare import compare
from videojudge_bench.metrics.paired import difference_interval
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

RESAMPLING = Resampling(60)
VIDEOS = [f"video{k:02}" for k in range(25)]


def two_judges() -> tuple[GoldSet, dict[str, Judgement], dict[str, Judgement]]:
    rows = made_up(VIDEOS, whole=False)
    gold_set, a = rated(rows)
    b = {i: Judgement(i, Rating(5 * unit_interval("b", i))) for i in a}
    return gold_set, a, b


@pytest.mark.parametrize("statistic", ["spearman", "mae"])
def test_of_ratings(statistic: str) -> None:
    gold_set, a, b = two_judges()
    gone = gold_set.examples[0].item.id
    b[gone] = Judgement(gone, Unparsed("?"))
    found = difference_interval(gold_set, a, b, statistic=statistic, resampling=RESAMPLING)
    kept = [e for e in gold_set.examples if e.item.id != gone]
    differences = []
    for block in resampled_weights(len(VIDEOS), RESAMPLING):
        for weights in block:
            drawn = [
                e for v, w in zip(VIDEOS, weights, strict=True) for e in kept * int(w)
                if e.item.video_id == v
            ]  # fmt: skip
            values = []
            for judged in (a, b):
                scores = np.array([judged[e.item.id].verdict.value for e in drawn])  # type: ignore[union-attr]
                gold = np.array([e.gold.mean for e in drawn if isinstance(e.gold, RatingGold)])
                mae = float(np.abs(scores - gold).mean())
                values.append(mae if statistic == "mae" else spearmanr(scores, gold).statistic)
            differences.append(values[0] - values[1])
    assert found == pytest.approx(np.percentile(differences, [2.5, 97.5]))


def test_of_questions_and_pairs() -> None:
    for name, statistic in (("nextqa", "psup"), ("pairwise", "accuracy")):
        gold_set = goldsets.load(name)
        right: dict[str, Judgement] = {}
        for example in gold_set.examples:
            item_id = example.item.id
            says = unit_interval("says", item_id)
            verdict = Rating(says) if name == "nextqa" else Preference(round(says))
            right[item_id] = Judgement(item_id, verdict)
        found = difference_interval(
            gold_set, right, right, statistic=statistic, resampling=RESAMPLING
        )
        # The sample of pairs has 7 videos.
        assert found == ((0.0, 0.0) if name == "nextqa" else None)
        test = compare(gold_set, right, right, statistic=statistic, permutations=5)
        assert test.difference == 0
