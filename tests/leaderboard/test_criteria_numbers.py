"""Verdicts by criteria against gold by criteria: from a journal to the row and the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boards import board_set
from registered import registered
from scipy.stats import spearmanr

from videojudge_bench import load_run, registry
from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import RatingGold
from videojudge_bench.leaderboard.importing import check_numbers, find_runs, to_stored
from videojudge_bench.leaderboard.rows import row_of
from videojudge_bench.leaderboard.stored import StoredRun, read_run, write_run
from videojudge_bench.metrics import Measurement, by_criterion
from videojudge_bench.replies.criteria import format_criteria
from videojudge_bench.report.making import runs_page
from videojudge_bench.report.page import render
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

CRITERIA = """
- name: right
  question: Is it right?
- name: polite
  question: Is it polite?
  scale: yes/no
- name: brief
  question: Is it brief?
"""


def _gold(item_id: str, name: str) -> float:
    return 1.0 + int(5 * unit_interval(name, item_id))


def _said(item_id: str) -> int:
    return 1 + int(5 * (0.6 * unit_interval("right", item_id) + 0.4 * unit_interval("x", item_id)))


@pytest.fixture
def gold_set() -> Iterator[GoldSet]:
    """A set with gold on two of the criteria, on one of them for half of the items."""
    plain, examples = board_set(videos=25), []
    for number, example in enumerate(plain.examples):
        gold = {"right": (_gold(example.item.id, "right"),)} if number % 2 else {}
        polite = float(unit_interval("polite", example.item.id) > 0.5)
        assert isinstance(example.gold, RatingGold)
        rated = replace(example.gold, criteria={**gold, "polite": (polite, 1.0), "odd": (3.0,)})
        examples.append(replace(example, gold=rated))
    with registered(GoldSet(plain.info, tuple(examples))) as known:
        yield known


@pytest.fixture
def journal(gold_set: GoldSet, tmp_path: Path) -> Path:
    criteria, replies = tmp_path / "criteria.yaml", tmp_path / "replies.jsonl"
    criteria.write_text(CRITERIA, encoding="utf-8")
    lines = []
    for n, example in enumerate(gold_set.examples):
        values: dict[str, int | str] = {"right": _said(example.item.id), "brief": 3}
        if n % 5:
            values["polite"] = "yes" if n % 2 else "no"
        lines.append({"id": example.item.id, "reply": format_criteria(values)})
    replies.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    options = {"engine": "scripted", "replies": str(replies), "criteria": str(criteria)}
    judge = registry.build("videojudge_bench.prompted:PromptedJudge", options)
    run = Run(judge, gold_set, RunOptions(journal=tmp_path / "journal"))
    run.judge([example.item.id for example in gold_set.examples])
    return run.folder


@pytest.fixture
def stored(journal: Path) -> StoredRun:
    (run,) = find_runs(journal)
    return to_stored(run, resamples=100)


def test_numbers_are_the_correlations_on_each_criterion(
    gold_set: GoldSet, stored: StoredRun
) -> None:
    ids = [example.item.id for example in gold_set.examples][1::2]
    expected = spearmanr([_said(i) for i in ids], [_gold(i, "right") for i in ids]).statistic
    numbers = stored.numbers
    assert numbers["criterion.right.spearman"] == pytest.approx(expected, abs=1e-6)
    assert float(str(numbers["criterion.right.spearman_low"])) < expected
    assert (numbers["criterion.right.n"], numbers["criterion.right.coverage"]) == (len(ids), 1.0)
    assert numbers["criterion.polite.n"] == 75
    assert numbers["criterion.polite.coverage"] == 0.8
    known = {key.split(".")[1] for key in numbers if key.startswith("criterion.")}
    assert known == {"right", "polite"}  # gold has nothing of `brief`, the judge nothing of `odd`


def test_a_stored_run_keeps_its_criteria_and_they_are_checked(
    stored: StoredRun, tmp_path: Path
) -> None:
    folder = write_run(stored, tmp_path / "runs")
    assert read_run(folder) == stored
    assert check_numbers(stored)
    key = "criterion.right.spearman"
    changed = replace(stored, numbers={**stored.numbers, key: 0.99})
    with pytest.raises(DataError, match=r"field 'criterion\.right\.spearman'"):
        check_numbers(changed)


def test_the_row_and_the_page_show_each_criterion(
    gold_set: GoldSet, stored: StoredRun, journal: Path
) -> None:
    row = row_of(stored, gold_set).to_json()
    metrics: Any = row["metrics"]
    assert (
        metrics["criterion.right.spearman"]["value"] == stored.numbers["criterion.right.spearman"]
    )
    run = load_run(journal)
    assert "criterion.polite.spearman" in render(runs_page([run], worst=0, resamples=100))
    assert run.by_criterion().keys() == {"right", "polite"}


def test_without_criteria_on_both_sides_there_are_no_cards(gold_set: GoldSet) -> None:
    plain = board_set(videos=25)
    ids = [example.item.id for example in plain.examples]
    judged = {i: Judgement(i, Rating(3.0), criteria={"right": 3.0}) for i in ids}
    assert by_criterion(Measurement(plain), judged, resamples=10) == {}
    bare = {i: Judgement(i, Rating(3.0)) for i in ids}
    assert by_criterion(Measurement(gold_set), bare, resamples=10) == {}


def test_a_missing_video_is_no_missing_verdict(gold_set: GoldSet) -> None:
    ids = [example.item.id for example in gold_set.examples]
    judged = {i: Judgement(i, Rating(3.0), criteria={"polite": 1.0}) for i in ids}
    judged[ids[0]] = Judgement(ids[0], Unparsed("video missing: no file"), failed=True)
    card = by_criterion(Measurement(gold_set), judged, resamples=10)["polite"]
    assert (card.n_missing_video, card.coverage) == (1, 1.0)
    assert card.metrics["spearman"].undefined == "constant judge"
