"""Statistics by label and by system: the same as on a set that holds nothing but the group."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from measured_runs import score
from rated_sets import INFO, rated

from videojudge_bench import goldsets
from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.adding import Request, add
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import OptionGold
from videojudge_bench.metrics import Measurement, SystemMeans, by_label, by_system
from videojudge_bench.verdicts import Judgement, Rating, Unparsed, Verdict

RESAMPLES = 50


def labelled_set(videos: int = 50) -> tuple[GoldSet, dict[str, Judgement]]:
    """Return a set whose first half is labelled a, the rest b, two items a video."""
    rows = [
        (
            f"v{number:03}",
            [float(1 + (number + k) % 5)],
            5 * unit_interval("said", str(number), str(k)),
        )
        for number in range(videos)
        for k in range(2)
    ]
    gold_set, judgements = rated(rows)
    examples = tuple(
        replace(e, labels={"half": "a" if k < videos else "b"})
        for k, e in enumerate(gold_set.examples)
    )
    return GoldSet(gold_set.info, examples), judgements


def test_a_group_is_scored_as_if_nothing_else_had_been_asked() -> None:
    gold_set, judgements = labelled_set()
    cards = by_label(Measurement(gold_set), judgements, "half", resamples=RESAMPLES)
    assert list(cards) == ["a", "b"]
    for value, card in cards.items():
        kept = {e.item.id for e in gold_set.examples if e.labels["half"] == value}
        alone = {i: judgement for i, judgement in judgements.items() if i in kept}
        assert card == score(gold_set, alone, on_scale=True, resamples=RESAMPLES)
        assert card.n == 50
        assert card.metrics["spearman"].low is not None


def test_a_group_of_few_videos_has_no_interval() -> None:
    gold_set, judgements = labelled_set(38)
    card = by_label(Measurement(gold_set), judgements, "half", resamples=RESAMPLES)["a"]
    metric = card.metrics["spearman"]
    assert metric.value is not None
    assert (metric.low, metric.no_interval) == (None, "fewer than 20 videos")


def test_groups_that_were_not_asked_have_no_card() -> None:
    gold_set, judgements = labelled_set()
    asked = {e.item.id for e in gold_set.examples if e.labels["half"] == "b"}
    some = {i: judgement for i, judgement in judgements.items() if i in asked}
    assert list(by_label(Measurement(gold_set), some, "half", resamples=RESAMPLES)) == ["b"]


def test_judgements_of_another_set_are_refused() -> None:
    gold_set, judgements = labelled_set()
    judgements["elsewhere"] = Judgement("elsewhere", Rating(1.0))
    with pytest.raises(ConfigError, match="1 judgements are of items that the set does not have"):
        by_label(Measurement(gold_set), judgements, "half", resamples=RESAMPLES)


def test_questions_are_grouped_whole() -> None:
    gold_set = goldsets.load("nextqa")
    judgements = {
        e.item.id: Judgement(e.item.id, Rating(float(e.gold == OptionGold(True))))
        for e in gold_set.examples
    }
    cards = by_label(Measurement(gold_set, on_scale=False), judgements, "temporal", resamples=2)
    assert {value: (card.n, card.n_left_out) for value, card in cards.items()} == {
        "order": (2375 + 140, 0),
        "other": (13020 - 2515, 0),
    }
    assert cards["order"].metrics["psup"].value == 1.0
    apart = by_label(Measurement(gold_set, on_scale=False), judgements, "option", resamples=2)
    assert apart["0"].metrics["psup"].undefined == "no complete question"
    assert apart["0"].n_left_out == apart["0"].n


def test_a_label_of_a_set_that_a_user_added(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    text = '{{"video_id": "v{0}", "instruction": "i", "response": "r{0}", "ratings": [{0}], '
    text += '"labels": {{"kind": "{1}"}}}}\n'
    lines = [text.format(number, "order" if number > 2 else "count") for number in range(1, 6)]
    rows.write_text("".join(lines), encoding="utf-8")
    add(Request(rows, "labelled"))
    gold_set = goldsets.load("labelled")
    judgements = {e.item.id: Judgement(e.item.id, Rating(3.0)) for e in gold_set.examples}
    cards = by_label(Measurement(gold_set), judgements, "kind")
    assert {kind: card.n for kind, card in cards.items()} == {"count": 2, "order": 3}
    assert cards["order"].metrics["bias"].value == -1.0


SYSTEMS = replace(INFO, systems=True)


def systems() -> tuple[GoldSet, dict[str, Judgement]]:
    """Three systems on two videos. Means of gold: a 2, b 4, c 4; of the judge: 3, 1, 5."""
    rows: dict[str, tuple[tuple[float, float | Verdict], ...]] = {
        "a": ((1.0, 2.0), (3.0, 4.0)),
        "b": ((5.0, 1.0), (3.0, 1.0)),
        "c": ((4.0, 5.0), (4.0, Unparsed("?"))),
    }
    flat = [(n, *row) for n, pair in rows.items() for row in pair]
    made = [(f"v{k % 2}", [gold], said) for k, (_, gold, said) in enumerate(flat)]
    gold_set, judgements = rated(made)
    named = [replace(e, system=n) for e, (n, *_) in zip(gold_set.examples, flat, strict=True)]
    return GoldSet(SYSTEMS, tuple(named)), judgements


def test_systems_by_hand() -> None:
    found = by_system(*systems(), resamples=RESAMPLES)
    assert [_figures(row) for row in found] == [
        ("b", 2, 4.0, 1.0, 1, 3),
        ("c", 1, 4.0, 5.0, 1, 1),
        ("a", 2, 2.0, 3.0, 3, 2),
    ]
    assert {row.gold.no_interval for row in found} == {"fewer than 20 videos"}


def _figures(row: SystemMeans) -> tuple[str, int, float | None, float | None, int, int]:
    return row.system, row.n, row.gold.value, row.judge.value, row.gold_rank, row.judge_rank


def test_a_system_that_is_always_right_has_no_interval_of_a_share() -> None:
    # All ratings 1: a mean of 1.0 is no share of 1, and resamples do not vary.
    gold_set, judgements = rated([(f"v{k:02}", [1.0], 1.0) for k in range(30)])
    named = tuple(replace(e, system="a") for e in gold_set.examples)
    (row,) = by_system(GoldSet(SYSTEMS, named), judgements, resamples=RESAMPLES)
    assert (row.judge.value, row.judge.low, row.judge.high) == (1.0, 1.0, 1.0)


def test_a_set_without_systems_is_told_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="does not name the answering systems; give every row"):
        by_system(*labelled_set())


def test_systems_need_a_verdict() -> None:
    gold_set, judgements = systems()
    silent = {i: Judgement(i, Unparsed("?")) for i in judgements}
    with pytest.raises(ConfigError, match="no response has a verdict, so no system is rated"):
        by_system(gold_set, silent)
