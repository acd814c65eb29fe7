"""The properties by which a set's examples are grouped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videojudge_bench import goldsets
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.labels import groups_of, label_names, label_of


def labelled(gold_set: GoldSet, *labels: dict[str, str]) -> GoldSet:
    """Return the set with these labels on its first examples."""
    examples = list(gold_set.examples)
    for number, found in enumerate(labels):
        examples[number] = replace(examples[number], labels=found)
    return GoldSet(gold_set.info, tuple(examples))


def test_numbers_come_by_size_then_texts_then_those_without(rated_set: GoldSet) -> None:
    values = ("600", "15", "long", "3600", "Brief", "60")
    gold_set = labelled(rated_set, *({"length": value} for value in values))
    found = groups_of(gold_set, "length")
    assert list(found) == ["15", "60", "600", "3600", "Brief", "long", "(none)"]
    ids = [example.item.id for example in gold_set.examples]
    assert found["600"] == {ids[0]}
    assert found["(none)"] == {ids[6], ids[7]}


def test_an_unknown_label_is_told_with_those_that_there_are(rated_set: GoldSet) -> None:
    gold_set = labelled(rated_set, {"topic": "food", "kind": "count"})
    with pytest.raises(UnknownNameError) as error:
        groups_of(gold_set, "topics")
    assert str(error.value) == (
        "unknown label of videojudge_tinyrated 'topics'. Did you mean 'topic'? "
        "Known: kind, source, temporal, topic."
    )


def test_a_label_that_names_items_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        groups_of(_many(), "row")
    assert str(error.value) == (
        "videojudge_many: the label 'row' has 101 values, more than 100: it names items, and no "
        "groups. Labels here: row, source"
    )


def _many() -> GoldSet:
    vatex = goldsets.load("vatex")
    examples = (replace(e, labels={"row": str(k)}) for k, e in enumerate(vatex.examples[:101]))
    return GoldSet(replace(vatex.info, name="many"), tuple(examples))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"question_category": "E3E"}, "order"),
        ({"question_category": "T2A"}, "other"),
        ({"type": "TN"}, "order"),
        ({"type": "TC"}, "other"),
        ({"kind": "order"}, "order"),
        ({"kind": "count"}, "other"),
        ({"kind": "count", "type": "TP"}, "order"),
        ({"temporal": "my own"}, "my own"),
        ({"topic": "food"}, None),
    ],
)
def test_what_needs_the_order_of_events(
    rated_set: GoldSet, labels: dict[str, str], expected: str | None
) -> None:
    example = replace(rated_set.examples[0], labels=labels)
    assert label_of(example, "temporal", rated_set.info) == expected


def test_topic_and_duration_mean_the_same_on_every_set(rated_set: GoldSet) -> None:
    longvideobench = goldsets.load("longvideobench")
    assert set(label_names(longvideobench)) >= {"topic", "duration", "temporal", "source"}
    assert groups_of(longvideobench, "duration") == groups_of(longvideobench, "duration_group")
    assert groups_of(longvideobench, "topic") == groups_of(longvideobench, "topic_category")
    mine = labelled(rated_set, {"topic": "food", "topic_category": "another"})
    assert label_of(mine.examples[0], "topic", mine.info) == "food"


def test_the_source_is_the_set_unless_the_examples_say_another(rated_set: GoldSet) -> None:
    assert list(groups_of(rated_set, "source")) == ["tinyrated"]
    mine = labelled(rated_set, {"source": "a"}, {"source": "b"})
    assert list(groups_of(mine, "source")) == ["a", "b", "tinyrated"]
