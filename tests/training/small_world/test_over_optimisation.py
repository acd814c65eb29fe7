"""Best of n in the small world: exact expectations, and a judge whose weakness costs the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import cast, get_args

import numpy as np
import pytest

from videojudge_bench import goldsets
from videojudge_bench.items import Item, RatingGold
from videojudge_bench.training.experiments.over_optimisation import (
    DRAWS,
    JUDGE,
    MOST,
    TRUTH,
    Drawn,
    Policy,
    best_of,
    chart,
    deserved,
    divergence,
    draws,
    gains,
    table_of,
    write_gold,
)
from videojudge_bench.training.experiments.world_measures import Number, judged
from videojudge_bench.training.small_world.files import WorldOptions, make
from videojudge_bench.training.small_world.loop import LoopFolder, add_gold_set, own_home
from videojudge_bench.training.small_world.world import KINDS, answer, read_answer, scene_of
from videojudge_bench.verdicts import Rating

SCENE = scene_of("test-00003")


@pytest.mark.parametrize("scores", [[3, 1, 4, 5, 2, 9], [1, 2, 2, 2, 5, 5], [0, 0, 0, 0, 0, 0]])
@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_best_of_n_is_the_mean_over_all_subsets(scores: list[float], n: int) -> None:
    values = np.array([1.0, 5.0, 2.0, 4.0, 4.0, 3.0])
    means = []
    for subset in combinations(range(6), n):
        best = max(scores[i] for i in subset)
        means.append(np.mean([values[i] for i in subset if scores[i] == best]))
    assert best_of(np.array(scores, dtype=float), values, [n]) == pytest.approx([np.mean(means)])


def test_many_draws_neither_overflow_nor_lose_digits() -> None:
    ranks = np.arange(1.0, DRAWS + 1)
    expected = [n * (DRAWS + 1) / (n + 1) for n in (1, 16, 128, 256)]  # of the largest of n ranks
    assert best_of(ranks, ranks, [1, 16, 128, 256]) == pytest.approx(expected, rel=1e-9)
    assert divergence(1) == 0
    assert divergence(256) == pytest.approx(4.549, abs=1e-3)


def test_the_truth_of_any_answer() -> None:
    right = answer(SCENE, "order")
    first, *others = right.split()
    assert deserved(SCENE, "order", right) == 5
    assert deserved(SCENE, "order", " ".join(["up", *others])) == 4
    assert deserved(SCENE, "order", first) == 2
    assert deserved(SCENE, "order", f"{right} red") == 4
    assert deserved(SCENE, "order", f"{right} red red red red red") == 1
    assert deserved(SCENE, "order", "") == 1


@pytest.mark.parametrize("policy", get_args(Policy))
def test_draws_are_those_of_the_policy_and_the_same_each_time(policy: Policy) -> None:
    for kind in KINDS:
        texts = draws(SCENE, kind, policy)
        assert texts == draws(SCENE, kind, policy)
        assert len(texts) == DRAWS
        assert all(read_answer(kind, text) for text in texts) == (policy == "words")


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> LoopFolder:
    made = LoopFolder(tmp_path_factory.mktemp("loop"))
    make(made.world, WorldOptions(train=1, lessons=1, validation=1, test=20, domains=("seen",)))
    return made


def test_a_judge_that_likes_long_answers_is_optimised_into_them(
    loop: LoopFolder, tmp_path: Path
) -> None:
    with own_home(loop):
        add_gold_set(loop, write_gold(loop, "best_of_free", Drawn("free")), "best_of_free")
        gold_set = goldsets.load("best_of_free")
        drawn = judged(gold_set, {"judge": "random"}, tmp_path)
    honest, weak = {}, {}
    for item_id, example in gold_set.by_id.items():
        assert isinstance(example.item, Item)
        assert isinstance(example.gold, RatingGold)
        truth, words = example.gold.mean, len(example.item.response.split())
        honest[item_id] = replace(drawn[item_id], verdict=Rating(truth))
        weak[item_id] = replace(drawn[item_id], verdict=Rating(max(truth, words - 3.0)))
    right, wrong = (gains(gold_set, verdicts, Drawn("free")) for verdicts in (honest, weak))
    assert right[JUDGE] == right[TRUTH] == right[MOST]
    assert right["peak"] == 256
    assert cast("Mapping[str, Number]", right["fall"])["points"] == [0, 0, 0]
    _, low, high = cast("Mapping[str, list[float]]", wrong["fall"])["points"]
    assert low <= high < 0
    scores, ratings = (cast("Mapping[str, Number]", wrong[name]) for name in (JUDGE, TRUTH))
    assert scores["256"][0] == 5
    assert (ratings["256"][0] or 0) < (ratings["1"][0] or 0) + 0.1
    lines = list(table_of({"weak": wrong}))
    assert any("| truth |" in line for line in lines)
    assert chart(wrong).count("<polyline") == 3


def test_fewer_answers_are_the_first_of_all(loop: LoopFolder) -> None:
    few = Drawn("words", answers=16)
    assert few.sizes == [1, 2, 4, 8, 16]
    rows = [
        json.loads(line)
        for line in (loop.world / write_gold(loop, "few", few)).read_text().splitlines()
    ]
    first = [
        r["response"]
        for r in rows
        if (r["video_id"], r["labels"]["kind"]) == ("test-00001", "order")
    ]
    assert first == list(dict.fromkeys(draws(scene_of("test-00001"), "order", "words")[:16]))
