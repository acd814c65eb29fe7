"""A measurement: how judgements of a set become numbers, and what the signature says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videojudge_bench.goldsets.base import GoldSet, examples_hash
from videojudge_bench.items import RatingGold, part_of
from videojudge_bench.metrics import METRIC_VERSION, Measurement
from videojudge_bench.verdicts import Judgement, Rating


def _judged(gold_set: GoldSet) -> dict[str, Judgement]:
    return {i: Judgement(i, Rating(1 + n % 5)) for n, i in enumerate(gold_set.by_id)}


@pytest.mark.parametrize("on_scale", [True, False])
@pytest.mark.parametrize("part", ["all", "test"])
def test_the_card_is_that_of_the_part_and_the_scale(
    rated_set: GoldSet, part: str, on_scale: bool
) -> None:
    measurement = Measurement(rated_set, on_scale, part)
    card = measurement.card(_judged(rated_set), resamples=9, seed=3)
    assert card.part == part
    assert (card.metrics["rmse"].value is not None) is on_scale


def test_numbers_have_six_decimals(rated_set: GoldSet) -> None:
    card = Measurement(rated_set).card(_judged(rated_set), resamples=9)
    flat, numbers = card.flat(), card.numbers()
    assert list(numbers) == list(flat)
    assert numbers["rmse"] == round(float(flat["rmse"]), 6) != flat["rmse"]
    assert numbers["rmse_low"] == flat["rmse_low"] == "undefined (fewer than 20 videos)"


@pytest.mark.parametrize("part", ["all", "test", "dev"])
def test_the_signature_names_the_items_of_the_part(rated_set: GoldSet, part: str) -> None:
    ids = ["v2/cat", "v0/cat"]
    kept = [i for i in ids if part in ("all", part_of(rated_set.by_id[i].item.video_id))]
    assert Measurement(rated_set, part=part, references=2).signature(ids) == {
        "set": "tinyrated",
        "v": "1",
        "data": "full",
        "part": part,
        "items": examples_hash([rated_set.by_id[i] for i in kept])[:12],
        "refs": 2,
        "metrics": METRIC_VERSION,
    }


def test_the_signature_of_the_whole_set_is_that_of_its_content(rated_set: GoldSet) -> None:
    whole = Measurement(rated_set).signature(rated_set.by_id)
    assert whole["items"] == rated_set.content_hash[:12]
    first = replace(rated_set.examples[0], gold=RatingGold((1.0, 1.0)))
    changed = replace(rated_set, examples=(first, *rated_set.examples[1:]))
    assert Measurement(changed).signature(rated_set.by_id)["items"] != whole["items"]
