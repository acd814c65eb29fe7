"""How far single verdicts are from gold, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rated_sets import rated

from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.metrics.disagreement import Flip, disagreements, flips
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed


def judged(gold_set: GoldSet, *values: float) -> dict[str, Judgement]:
    ids = [example.item.id for example in gold_set.examples]
    return {i: Judgement(i, Rating(v)) for i, v in zip(ids, values, strict=False)}


def test_ratings_on_the_scale_are_points_apart() -> None:
    gold_set, judgements = rated(
        [("v0", [5, 4], 4.5), ("v1", [1, 2], 4), ("v2", [3, 3], Unparsed("?")), ("v3", [2, 2], 1)]
    )
    found = disagreements(gold_set, judgements, on_scale=True)
    assert list(found.values()) == [0.0, 2.5, 1.0]


def test_ratings_off_the_scale_are_compared_by_their_place() -> None:
    # Gold places the four items at 1/8, 4/8, 4/8, 7/8; the judge at 7/8, 1/8, 3/8, 5/8.
    gold_set, judgements = rated(
        [("v0", [1], 100), ("v1", [3], -5), ("v2", [3], 0), ("v3", [5], 20)]
    )
    found = disagreements(gold_set, judgements, on_scale=False)
    assert list(found.values()) == pytest.approx([6 / 8, 3 / 8, 1 / 8, 2 / 8])


def test_options_are_compared_with_the_correct_one(option_set: GoldSet) -> None:
    # The second of three is correct: above one, level with the other; then below both.
    found = disagreements(option_set, judged(option_set, 1, 2, 2, 9, 3, 5), on_scale=True)
    ids = [example.item.id for example in option_set.examples]
    assert [found[item_id] for item_id in ids] == [0.0, 0.25, 0.5, 1.0, 1.0, 1.0]


def test_a_question_without_its_correct_option_has_none(option_set: GoldSet) -> None:
    assert disagreements(option_set, judged(option_set, 1.0), on_scale=True) == {}


def test_pairs(pair_set: GoldSet) -> None:
    values = (1.0, 0.0, 0.25, 0.5)
    ids = [example.item.id for example in pair_set.examples]
    said = {i: Judgement(i, Preference(v)) for i, v in zip(ids, values, strict=True)}
    assert disagreements(pair_set, said, on_scale=True) == dict(
        zip(ids, [0.0, 0.0, 0.75, 0.5], strict=True)
    )


def test_nothing_parsed_is_nothing(rated_set: GoldSet) -> None:
    said = {e.item.id: Judgement(e.item.id, Unparsed("?")) for e in rated_set.examples}
    assert disagreements(rated_set, said, on_scale=True) == {}
    assert disagreements(rated_set, said, on_scale=False) == {}


def test_flips_come_with_the_largest_first() -> None:
    a = {"x": 1.0, "y": 0.0, "z": 2.0, "only a": 3.0, "same": 1.0}
    b = {"x": 0.5, "y": 2.0, "z": 0.0, "only b": 3.0, "same": 1.0 + 1e-12}
    found = flips(a, b)
    assert found == [Flip("y", 0.0, 2.0), Flip("z", 2.0, 0.0), Flip("x", 1.0, 0.5)]
    assert [flip.gain for flip in found] == [-2.0, 2.0, 0.5]
    assert replace(found[0], a=1.0).gain == -1.0
