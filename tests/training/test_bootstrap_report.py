"""The report and the card: every figure derived by hand from a few outcomes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from bootstrap_cases import aside, kept

from videojudge_bench.training.bootstrap.calls import Call, Role, Spent, spent_on
from videojudge_bench.training.bootstrap.card import write_card
from videojudge_bench.training.bootstrap.contracts import Attempt, Draft, Evaluation, Outcome, Rated
from videojudge_bench.training.bootstrap.report import ReportFacts, write_report
from videojudge_bench.training.bootstrap.rows import RowOptions
from videojudge_bench.training.bootstrap.similarity import falls, similarities
from videojudge_bench.training.bootstrap.tallies import Moments, Tallies
from videojudge_bench.verdicts import Usage

OUTCOMES = [*(kept(n, rounds=1 + n % 2) for n in range(6)), aside(6), aside(7)]


def tallied(outcomes: Iterable[Outcome]) -> Tallies:
    tallies = Tallies()
    for outcome in outcomes:
        tallies.add(outcome)
    return tallies


# Counting.


def test_shares_by_source_length_and_target() -> None:
    tallies = tallied(OUTCOMES)
    assert (tallies.seeds.part, tallies.seeds.whole) == (6, 8)
    assert {name: share.value for name, share in tallies.by_source.items()} == {"made": 0.75}
    # "Gold 0 runs home." has four words.
    assert {end: share.whole for end, share in tallies.by_length.items()} == {5: 8}
    assert {t: share.part for t, share in tallies.by_target.items()} == {1: 8, 2: 6, 3: 8, 4: 8}
    assert tallies.problems == {"rated # in round #": 2}


def test_acceptance_by_round_counts_those_that_entered_it() -> None:
    tallies = tallied(OUTCOMES)
    # Three of the six that were kept took two rounds; of the two set aside, target 2 failed.
    assert (tallies.by_round[1, 1].part, tallies.by_round[1, 1].whole) == (5, 8)
    assert (tallies.by_round[1, 2].part, tallies.by_round[1, 2].whole) == (3, 3)
    assert (tallies.by_round[2, 1].part, tallies.by_round[2, 1].whole) == (3, 8)


def test_confusions_are_of_the_first_round_of_all_and_of_the_truth() -> None:
    tallies = tallied(OUTCOMES)
    assert tallies.first_round[1, "5"] == 3
    assert tallies.first_round[1, "1"] == 5
    assert tallies.all_rounds[1, "1"] == 8
    assert tallies.error[1, "5"] == 3
    assert tallies.truth[1, "1"] == 8
    assert tallies.label_noise.value == 0.0


def test_label_noise_is_what_was_accepted_for_another_rating_than_it_deserves() -> None:
    outcome = kept(0)
    first = outcome.rated[0]
    wrong = Attempt(Draft("x", truth=3), Evaluation(1.0))
    noisy = replace(outcome, rated=(replace(first, attempts=(wrong,)), *outcome.rated[1:]))
    noise = tallied([noisy, kept(1)]).label_noise
    assert (noise.part, noise.whole) == (1, 8)


def test_a_reply_without_a_rating_is_unrated() -> None:
    silent = Rated(1, (Attempt(Draft("x"), Evaluation(None, "no rating found")),), accepted=False)
    outcome = kept(0)
    tallies = tallied([replace(outcome, rated=(silent, *outcome.rated[1:]), kept=False)])
    assert tallies.first_round[1, "unrated"] == 1


def test_lengths_and_what_stands_twice() -> None:
    tallies = tallied([kept(0), kept(0)])
    # "Draft 1.0 of 0." and the gold answer "Gold 0 runs home." have four words each.
    assert {r: (m.n, m.mean, m.deviation) for r, m in tallies.words.items()} == dict.fromkeys(
        range(1, 6), (2, 4.0, 0.0)
    )
    assert (tallies.repeated.part, tallies.repeated.whole) == (5, 10)


def test_what_it_cost() -> None:
    usage = Usage(10, 5, 0.5, 0.25)
    written, said = Draft("Text.", usage=usage), Evaluation(2.0, usage=usage)
    calls = [
        Call("s1", 2, 1, "generator", written),
        Call("s1", 2, 1, "evaluator", said),
        Call("s1", 3, 1, "generator", written),
        Call("s1", 3, 1, "check", Evaluation(None, "it is empty")),  # nobody was asked
        Call("s1", 0, 1, "rubric", written),
    ]
    assert spent_on(calls) == {
        "generator": Spent(2, Usage(20, 10, 1.0, 0.5)),
        "evaluator": Spent(1, usage),
        "rubric": Spent(1, usage),
    }


def test_moments_are_mean_and_sample_deviation() -> None:
    moments = Moments()
    for value in (2.0, 4.0, 9.0):
        moments.add(value)
    assert (moments.mean, moments.deviation) == pytest.approx((5.0, 13**0.5))
    assert Moments().deviation == 0.0


# Similarity.


def test_similarity_falls_when_less_and_less_is_said() -> None:
    gold = "a brown dog carries a long wooden stick across the green field"
    words = gold.split()
    rated = tuple(
        Rated(t, (Attempt(Draft(" ".join(words[: 3 * t])), Evaluation(float(t))),), accepted=True)
        for t in (1, 2, 3, 4)
    )
    outcome = kept(0)
    made = replace(outcome, seed=replace(outcome.seed, gold=gold), rated=rated)
    found = similarities([made, aside(1)])
    assert set(found) == {"BLEU-4", "MiniLM token F1"}
    for by_rating in found.values():
        assert list(by_rating) == [1, 2, 3, 4]
        assert falls(by_rating)
        assert by_rating[4].mean == pytest.approx(1.0, abs=1e-3)
    assert not falls({1: Moments(1, 0.5), 2: Moments(1, 0.5)})


# The report.


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    spent: dict[Role, Spent] = {"generator": Spent(1_234, Usage(9_000, 300, 7.0, 1.5))}
    return write_report(lambda: OUTCOMES, folder, ReportFacts("A run", spent=spent, unit="EUR"))


def test_the_report_says_all_of_it(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    for part in (
        "# A run",
        "| all | 8 | 6 | 75.0 % |",
        "| rating 2 | 8 | 6 | 75.0 % |",
        "| rated # in round # | 2 |",
        "| 1 | 5 of 8 | 3 of 3 |",
        "Label noise: 0 of 30 accepted responses (0.00 %)",
        "| aimed at \\ rated | 1 | 2 | 3 | 4 | 5 |",
        "Neither generator nor evaluator uses these measures.",
        "| generator | 1,234 | 9,000 | 300 | 7 | 1.50 EUR |",
    ):
        assert part in text
    assert "## Rubrics" not in text


def test_its_pictures_are_there(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    shown = set(re.findall(r"\((plots/\w+\.svg)\)", text))
    assert shown == {"plots/acceptance.svg", "plots/similarity.svg", "plots/confusion.svg"}
    for name in shown:
        root = ElementTree.parse(report.parent / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_the_report_counts_rubrics(tmp_path: Path) -> None:
    outcomes = [replace(kept(n), rubric="1: …") for n in range(3)]
    outcomes.append(replace(kept(3), rubric_problem="it has no line for the rating 4"))
    text = write_report(lambda: outcomes, tmp_path, ReportFacts("A run")).read_text("utf-8")
    assert "Written for 3 of 4 (75.0 %) instructions that need one." in text
    assert "| it has no line for the rating 4 | 1 |" in text


def test_measures_that_a_generator_uses_are_no_evidence(tmp_path: Path) -> None:
    path = write_report(lambda: OUTCOMES[:1], tmp_path, ReportFacts("A run", independent=False))
    assert "a check of the machinery and no evidence" in path.read_text(encoding="utf-8")


# The card.


@pytest.fixture
def card(tmp_path: Path) -> Callable[..., tuple[dict[str, Any], str]]:
    """Writes a card and returns its front matter and its text."""

    def write(**counts: Any) -> tuple[dict[str, Any], str]:
        source = {"read": 10, "drawn": 4, "licence": "CC BY 4.0"}
        seeds = {"by_source": {"vatex": source}, "dropped": {"too short": 6}, **counts}
        (tmp_path / "seeds.json").write_text(json.dumps(seeds), encoding="utf-8")
        facts = {"rules": {"alpha": 0.5}, "generator": {"prompt": "0123456789ab"}}
        (tmp_path / "bootstrap.json").write_text(json.dumps(facts), encoding="utf-8")
        path = write_card(
            tmp_path, {"pointwise_train": 1200, "pairwise_validation": 7}, RowOptions()
        )
        text = path.read_text(encoding="utf-8")
        return yaml.safe_load(text.split("---")[1]), text

    return write


def test_the_card_says_how_the_data_were_made(
    card: Callable[..., tuple[dict[str, Any], str]],
) -> None:
    front, text = card()
    assert front["license"] == "cc-by-4.0"
    assert front["size_categories"] == ["1K<n<10K"]
    assert [c["config_name"] for c in front["configs"]] == ["pairwise", "pointwise"]
    assert front["configs"][1]["data_files"] == [
        {"split": "train", "path": "data/pointwise_train.parquet"}
    ]
    for part in ("| alpha | 0.5 |", "| prompt | 0123456789ab |", "| vatex | CC BY 4.0 | 10 | 4 |"):
        assert part in text
    assert "no human gave them" in text


def test_the_card_names_the_gold_sets_that_the_data_overlap_with(
    card: Callable[..., tuple[dict[str, Any], str]],
) -> None:
    front, text = card(
        overlap={"vatex": 4, "nextqa": 0},
        gold_sets={"compared": ["llava"], "not_here": ["videoautoarena"]},
    )
    assert front["tags"] == ["videojudge", "overlap:vatex"]
    assert "**`overlap:vatex`**" in text
    assert "overlap:nextqa" not in text
    assert "Kept apart from the gold sets: llava." in text
    assert "nothing is known of: videoautoarena." in text
    assert "overlap:" not in str(card()[0]["tags"])


def test_licences_that_differ_are_other(card: Callable[..., tuple[dict[str, Any], str]]) -> None:
    two = {"a": {"licence": "MIT"}, "b": {"licence": None}}
    assert card(by_source=two)[0]["license"] == "other"
