"""Rubrics out of replies, how specific they are, and what swapping them changes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured_runs import score
from registered import registered
from rubric_cases import (
    BADLY,
    INSTRUCTION,
    JUDGE,
    SCENES,
    book,
    info,
    judged,
    numbered,
    paired,
    rated,
    rubric_file,
    scripted,
)
from scipy.stats import spearmanr

from videojudge_bench.analysis.rubric_specificity import (
    Against,
    Specificity,
    _Draw,
    _mean_reciprocal,
    extract,
    instances_of,
    rubric_in,
    specificity,
)
from videojudge_bench.analysis.rubric_swap import SwapEffect, swap_effect
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, Item, OptionGold, RatingGold
from videojudge_bench.leaderboard.importing import FoundRun
from videojudge_bench.leaderboard.opening import open_run
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.prompts.rubric_book import RubricBook
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

FEW = Resampling(400)
HEEDFUL, DEAF = "rubric_cases:Heedful", "fake_engine:FakeEngine"


def measured(
    rubrics: RubricBook,
    gold_set: GoldSet,
    *,
    among: int = 20,
    against: Against = "responses",
    seed: int = 0,
) -> Specificity:
    resampling = replace(FEW, seed=seed)
    texts = instances_of(gold_set, against)
    return specificity(rubrics.rubrics, texts, among=among, resampling=resampling)


# Rubrics in replies.


@pytest.mark.parametrize(
    ("reply", "rubric"),
    [
        ("<rubric>\n5: a fox\n1: none </rubric><score>4</score>", "5: a fox\n1: none"),
        ("<RUBRIC>**5**: “a fox”</ rubric >", "**5**: “a fox”"),
        ("<think>so: <rubric>5: a draft</rubric></think><rubric>5: a fox</rubric>", "5: a fox"),
        ("<rubric>5: a fox</rubric><thinking>the <rubric> asks …</thinking>", "5: a fox"),
        ("<rubric>5: <score>5</score></rubric>", "5: <score>5</score>"),
        ("<rubric>5: a fox, and then the repl", ""),
        ("<rubric> </rubric><score>4</score>", ""),
        ("5: a fox</rubric>", ""),
        ("", ""),
    ],
)
def test_the_last_complete_rubric_of_a_reply_is_taken_as_written(reply: str, rubric: str) -> None:
    assert rubric_in(reply) == rubric


def test_an_instruction_has_the_rubric_of_its_first_response_that_has_one(tmp_path: Path) -> None:
    written = "<rubric>5: {}</rubric><thinking>so</thinking><score>4</score>"
    replies = {
        "v000/1": "no rubric here <score>4</score>",
        "v000/5": written.format("the second"),
        "v001/2": written.format("the first"),
        "v001/5": written.format("not this one"),
        "v002/3": "<rubric>5: cut off",
        "v002/5": "<score>2</score>",
        "v003/1": written.format("read, though it has no verdict").removesuffix("<score>4</score>"),
    }
    with registered(rated(SCENES[:4])) as gold_set:
        options = {"engine": "scripted", "replies": scripted(tmp_path / "r.jsonl", replies)}
        found = extract(only_run(judged(gold_set, tmp_path / "j", rubric="write", **options)))
    rows = {row.video_id: row.rubric for row in found.rows}
    assert rows == {
        "v000": "5: the second",
        "v001": "5: the first",
        "v003": "5: read, though it has no verdict",
    }
    assert {row.instruction for row in found.rows} == {INSTRUCTION}
    assert found.n_without == 1


def test_a_run_without_rubrics_is_refused(tmp_path: Path) -> None:
    with registered(rated(SCENES[:2])) as gold_set:
        folder = judged(gold_set, tmp_path, engine=DEAF)
        with pytest.raises(ConfigError) as caught:
            extract(only_run(folder))
        assert str(caught.value) == (
            f"none of the 4 replies of {JUDGE} on scenes holds a complete <rubric> block (its "
            "option rubric: none); run a judge with rubric=write"
        )
        judged(gold_set, tmp_path, engine=DEAF, rubric="write")
        with pytest.raises(ConfigError, match=r"expected one run, got 2: .*_scenes.*; .*_scenes.*"):
            only_run(tmp_path)


# Specificity.


def test_a_rubric_that_quotes_its_instance_finds_it(tmp_path: Path) -> None:
    quoting = (f"5: says that there is {text} in the video\n1: does not" for text in SCENES)
    found = measured(book(tmp_path / "r.jsonl", quoting), rated(SCENES))
    assert (found.accuracy.value, found.mrr.value) == (1.0, 1.0)
    # scipy.stats.binomtest(20, 20).proportion_ci(method="wilson"): 0.8389
    assert found.accuracy.low == pytest.approx(0.8389, abs=1e-4)
    assert (found.mrr.low, found.mrr.high) == (found.accuracy.low, found.accuracy.high)
    assert (found.n, found.n_videos, found.among, found.n_tied) == (20, 20, 20, 0)


@pytest.mark.parametrize("generic", ["5: correct\n1: wrong", f"5: {SCENES[0]}", "5: red or eats"])
def test_one_rubric_for_all_is_at_chance_exactly_when_all_are_candidates(
    generic: str, tmp_path: Path
) -> None:
    found = measured(book(tmp_path / "r.jsonl", [generic] * 20), rated(SCENES))
    assert found.accuracy.value == pytest.approx(1 / 20) == found.chance_accuracy
    harmonic = sum(1 / k for k in range(1, 21))
    assert found.mrr.value == pytest.approx(harmonic / 20)
    assert found.chance_mrr == pytest.approx(harmonic / 20)


def test_one_rubric_for_all_is_at_chance_among_some_drawn(tmp_path: Path) -> None:
    texts = [f"{one}, then {two}" for one, two in itertools.permutations(SCENES, 2)]
    found = measured(book(tmp_path / "r.jsonl", ["a red fox sleeps"] * 380), rated(texts), among=5)
    for metric, chance in (
        (found.accuracy, found.chance_accuracy),
        (found.mrr, found.chance_mrr),
    ):
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low < chance < metric.high
        assert metric.high - metric.low < 0.12
    assert found.among == 5


def test_by_hand(tmp_path: Path) -> None:
    """Three instances, all candidates, whose words are told apart by eye."""
    rubrics = book(tmp_path / "r.jsonl", ["red", "owl", "red"])
    found = measured(rubrics, rated(["red fox", "red owl", "blue cat"]))
    # `red` ties fox and owl: 1/2, and (1 + 1/2) / 2. `owl`: 1, 1. `red` for the cat: 0, and third.
    assert found.accuracy.value == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found.mrr.value == pytest.approx((3 / 4 + 1 + 1 / 3) / 3)
    assert found.n_tied == 1
    assert found.among == 3
    assert found.accuracy.no_interval == "fewer than 20 videos"
    # An instance of nothing but another's words, and one rubric of none of them: all three tie.
    nothing = measured(book(tmp_path / "r.jsonl", ["dog"]), rated(["red fox", "red owl", "cat"]))
    assert nothing.accuracy.value == pytest.approx(1 / 3)
    assert nothing.mrr.value == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


@given(rank=st.integers(1, 4), tied=st.integers(1, 4))
def test_ties_share_the_credit_of_all_their_orders(rank: int, tied: int) -> None:
    orders = list(itertools.permutations(range(tied)))
    mean = sum(1 / (rank + order.index(0)) for order in orders) / len(orders)
    assert _mean_reciprocal(rank, tied) == pytest.approx(mean)


def test_every_rubric_has_as_many_candidates_one_a_video() -> None:
    groups = [(f"v{n % 7}", f"i{n}") for n in range(30)]
    draw = _Draw.of(groups, 5, seed=0)
    for group in groups:
        own, *others = (groups[place] for place in draw.candidates(group))
        assert own == group
        assert len({video_id for video_id, _ in [own, *others]}) == 5
    again = [[groups[p] for p in _Draw.of(groups, 5, 0).candidates(g)] for g in groups]
    assert again == [[groups[p] for p in draw.candidates(g)] for g in groups]
    assert again != [[groups[p] for p in _Draw.of(groups, 5, 1).candidates(g)] for g in groups]
    assert _Draw.of(groups, 20, seed=0).n == 7
    drawn = {int(p) for seed in range(300) for p in _Draw.of(groups, 3, seed).candidates(groups[0])}
    assert drawn == {n for n, (video_id, _) in enumerate(groups) if video_id != "v0"} | {0}


def test_the_order_of_lines_and_examples_does_not_matter(tmp_path: Path) -> None:
    texts = [f"{text}, {n % 3} times" for n, text in enumerate(SCENES * 2)]
    some = [" ".join(text.split()[: 2 + n % 3]) for n, text in enumerate(texts)]
    rubrics = {(f"v{n:03}", INSTRUCTION): text for n, text in enumerate(some)}
    gold_set = rated(texts)
    one = measured(RubricBook(rubric_file(tmp_path / "a.jsonl", rubrics)), gold_set, among=8)
    backwards = rubric_file(tmp_path / "b.jsonl", dict(reversed(rubrics.items())))
    turned = GoldSet(gold_set.info, gold_set.examples[::-1])
    other = measured(RubricBook(backwards), turned, among=8)
    assert other == replace(one, accuracy=other.accuracy, mrr=other.mrr)
    assert other.accuracy.value == pytest.approx(one.accuracy.value)
    assert 0.1 < (one.accuracy.value or 0) < 0.95
    assert one.mrr.value is not None
    assert one.mrr.value > (one.accuracy.value or 1)
    assert measured(RubricBook(backwards), gold_set, among=8, seed=1).mrr.value != one.mrr.value


def test_an_instance_stands_for_its_references_or_its_best_responses(tmp_path: Path) -> None:
    bad = book(tmp_path / "bad.jsonl", [BADLY] * 20)
    assert measured(bad, rated(SCENES)).accuracy.value == pytest.approx(1 / 20)
    scenes = book(tmp_path / "good.jsonl", SCENES)
    # The better response of a set with references says nothing of the video; they do.
    useless = [
        replace(e, item=replace(e.item, response="it rains", references=(SCENES[n // 2],)))
        for n, e in enumerate(rated(SCENES).examples)
        if isinstance(e.item, Item)
    ]
    assert measured(scenes, GoldSet(info("scenes"), tuple(useless))).accuracy.value == 1.0
    assert measured(scenes, paired(SCENES)).accuracy.value == 1.0
    assert measured(bad, paired(SCENES)).accuracy.value == pytest.approx(1 / 20)
    options = [
        replace(e, gold=OptionGold(e.gold.ratings[0] == 5))
        for e in rated(SCENES).examples
        if isinstance(e.gold, RatingGold)
    ]
    chosen = GoldSet(info("scenes", "options"), tuple(options))
    assert measured(scenes, chosen).accuracy.value == 1.0


def test_an_instance_may_stand_for_its_instruction(tmp_path: Path) -> None:
    rubrics = book(tmp_path / "r.jsonl", SCENES)
    found = measured(rubrics, rated(SCENES), against="instruction")
    assert found.accuracy.value == pytest.approx(1 / 20)  # all have the same instruction
    assert found.n_tied == 20
    examples = tuple(
        Example(Item(f"i{n}", f"v{n}", f"Is there {text}?", "yes"), RatingGold((5.0,)), unit=f"{n}")
        for n, text in enumerate(SCENES)
    )
    asking = {(f"v{n}", f"Is there {text}?"): f"5: {text}" for n, text in enumerate(SCENES)}
    own = RubricBook(rubric_file(tmp_path / "own.jsonl", asking))
    gold_set = GoldSet(info("asking"), examples)
    assert measured(own, gold_set, against="instruction").accuracy.value == 1.0
    assert measured(own, gold_set).accuracy.value == pytest.approx(1 / 20)  # all answer yes


def test_rubrics_of_unknown_instructions_are_counted(tmp_path: Path) -> None:
    rubrics = {("v000", INSTRUCTION): SCENES[0], ("v000", "Who?"): "x", ("w", INSTRUCTION): "y"}
    some = RubricBook(rubric_file(tmp_path / "r.jsonl", rubrics))
    found = measured(some, rated(SCENES))
    assert (found.n, found.n_unknown, found.accuracy.value) == (1, 2, 1.0)
    elsewhere = Example(Item("x", "x", INSTRUCTION, "a cat"), RatingGold((5.0,)), unit="x")
    with pytest.raises(ConfigError) as caught:
        measured(some, GoldSet(info("other"), (elsewhere,)))
    assert str(caught.value) == (
        "none of the 3 rubrics is about one of these instructions; give the set that they were "
        "written for by --gold-set"
    )


@pytest.mark.parametrize(
    ("texts", "among", "message"),
    [
        (SCENES, 1, "among=1: a rubric's own instance and others are at least 2"),
        (SCENES[:1], 20, "the set has one video, and a rubric is sought among those of others"),
        (["a", "b"], 20, "no words to compare in the texts of 2 instances"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    texts: list[str], among: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        measured(book(tmp_path / "r.jsonl", texts), rated(texts), among=among)


def test_a_negative_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"seed=-1: a seed is a number from 0 up"):
        measured(book(tmp_path / "r.jsonl", SCENES), rated(SCENES), seed=-1)


# Swapped rubrics.


@pytest.fixture
def scenes() -> Iterator[GoldSet]:
    with registered(rated(SCENES)) as gold_set:
        yield gold_set


@pytest.fixture
def told(tmp_path: Path) -> str:
    return str(numbered(tmp_path / "told.jsonl", (f"give {1 + n % 4}" for n in range(20))))


def effect(gold_set: GoldSet, tmp_path: Path, engine: str, rubric: str) -> SwapEffect:
    own, other = runs(gold_set, tmp_path, engine, rubric)
    return swap_effect(own, other, FEW)


def only_run(folder: Path) -> FoundRun:
    return open_run(folder).record


def runs(gold_set: GoldSet, journals: Path, engine: str, rubric: str) -> tuple[FoundRun, FoundRun]:
    own = judged(gold_set, journals, engine=engine, rubric=rubric)
    other = judged(gold_set, journals, engine=engine, rubric=rubric, swap_rubrics=True)
    return only_run(own), only_run(other)


def test_a_judge_that_heeds_its_rubric_changes(scenes: GoldSet, tmp_path: Path, told: str) -> None:
    own, other = runs(scenes, tmp_path, HEEDFUL, told)
    found = swap_effect(own, other, FEW)
    ids = sorted(own.judgements)
    before, after = ([number(run.judgements[i]) for i in ids] for run in (own, other))
    assert before == [1 + int(i[1:4]) % 4 for i in ids]
    assert after != before
    change = np.array(after) - np.array(before)
    values = {name: metric.value for name, metric in found.changes.items()}
    assert values == {
        "mean |change|": pytest.approx(np.abs(change).mean()),
        "mean change": pytest.approx(0),  # as many verdicts as before, of others
        "changed by 1 or more": pytest.approx(np.mean(np.abs(change) >= 1)),
        "spearman": pytest.approx(spearmanr(before, after).statistic),
    }
    for metric in found.changes.values():
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low < (metric.value or 0) < metric.high
    assert (found.n, found.n_judged, found.n_videos, found.statistic) == (40, 40, 20, "spearman")
    for side, run in ((found.own, own), (found.swapped, other)):
        card = score(scenes, run.judgements, on_scale=True, resamples=400)
        assert side == card.metrics["spearman"]


def test_a_judge_that_does_not_heed_it_stays(scenes: GoldSet, tmp_path: Path, told: str) -> None:
    found = effect(scenes, tmp_path, DEAF, told)
    changes = found.changes
    assert (changes["mean |change|"].value, changes["mean change"].value) == (0, 0)
    share = changes["changed by 1 or more"]
    assert (share.value, share.low) == (0, 0)
    assert share.high == pytest.approx(1 - 0.8389, abs=1e-4)  # Wilson's, of 20 videos
    assert changes["spearman"].undefined == "all verdicts of a run are equal"
    assert found.own.undefined == "constant judge"


def test_only_what_has_a_verdict_in_both_runs_counts(
    scenes: GoldSet, tmp_path: Path, told: str
) -> None:
    own, other = runs(scenes, tmp_path, HEEDFUL, told)
    without = {"v000/5": Judgement("v000/5", Unparsed("engine: broken"))}
    fewer = {i: j for i, j in other.judgements.items() if i != "v001/5"}
    found = swap_effect(
        replace(own, judgements={**own.judgements, **without}),
        replace(other, judgements=fewer),
        FEW,
    )
    assert (found.n, found.n_judged, found.n_videos) == (38, 39, 20)
    joint = {i: j for i, j in own.judgements.items() if i not in ("v000/5", "v001/5")}
    card = score(scenes, joint, on_scale=True, resamples=400)
    assert found.own == card.metrics["spearman"]
    nothing = replace(own, judgements=without)
    with pytest.raises(
        ConfigError, match="1 items of videojudge_scenes are in both runs, and none"
    ):
        swap_effect(nothing, other, FEW)


def test_a_change_of_1_is_one_whatever_was_rounded(
    scenes: GoldSet, tmp_path: Path, told: str
) -> None:
    own, other = runs(scenes, tmp_path, HEEDFUL, told)
    assert 4.1 - 3.1 < 1
    runs_of = [
        replace(run, judgements={i: Judgement(i, Rating(value)) for i in own.judgements})
        for run, value in ((own, 3.1), (other, 4.1))
    ]
    assert swap_effect(runs_of[0], runs_of[1], FEW).changes["changed by 1 or more"].value == 1
    less = {i: Judgement(i, Rating(4.0)) for i in own.judgements}
    found = swap_effect(runs_of[0], replace(other, judgements=less), FEW)
    assert found.changes["changed by 1 or more"].value == 0


def test_pairs_flip(tmp_path: Path) -> None:
    told = str(numbered(tmp_path / "told.jsonl", (f"take {'AB'[n % 2]}" for n in range(20))))
    with registered(paired(SCENES)) as gold_set:
        own, other = runs(gold_set, tmp_path, HEEDFUL, told)
        found = swap_effect(own, other, FEW)
        ids = sorted(own.judgements)
        tied = {i: Judgement(i, Preference(0.5)) for i in ids}
        to_ties = swap_effect(own, replace(other, judgements=tied), FEW)
    before, after = ([number(run.judgements[i]) for i in ids] for run in (own, other))
    assert found.changes["flipped"].value == pytest.approx(np.mean(np.array(before) != after))
    assert 0 < (found.changes["flipped"].value or 0) < 1
    assert set(found.changes) == {"mean |change|", "mean change", "flipped", "spearman"}
    assert (found.statistic, found.own.value) == ("accuracy", 0.5)  # says the same in both orders
    assert to_ties.changes["flipped"].value == 0.5


@pytest.mark.parametrize(
    ("swaps", "engines", "message"),
    [
        ((True, False), (HEEDFUL, HEEDFUL), "the first run has swap_rubrics=true; give it second"),
        ((False, False), (HEEDFUL, HEEDFUL), "swap_rubrics: False and False"),
        ((True, True), (HEEDFUL, HEEDFUL), "swap_rubrics: True and True"),
        ((False, True), (HEEDFUL, DEAF), f"engine: {HEEDFUL} and {DEAF}"),
    ],
)
def test_runs_that_differ_in_more_are_refused(
    swaps: tuple[bool, bool], engines: tuple[str, str], message: str, tmp_path: Path, told: str
) -> None:
    with registered(rated(SCENES)) as gold_set:
        one, two = (
            only_run(judged(gold_set, tmp_path, engine=engine, rubric=told, swap_rubrics=swap))
            for swap, engine in zip(swaps, engines, strict=True)
        )
    with pytest.raises(ConfigError) as caught:
        swap_effect(one, two, FEW)
    assert message in str(caught.value)


def test_all_that_differs_is_named(scenes: GoldSet, tmp_path: Path, told: str) -> None:
    own, other = runs(scenes, tmp_path, HEEDFUL, told)
    judge = {k: v for k, v in other.judge.items() if k != "max_tokens"}
    changed = replace(other, references=2, judge={**judge, "rubric": "sha256:0", "fps": 1.0})
    with pytest.raises(ConfigError) as caught:
        swap_effect(own, changed, FEW)
    assert str(caught.value) == (
        "the two runs must be of one judge on one set, with rubric=FILE and with rubric=FILE,"
        "swap_rubrics=true, 4 problems:\n"
        "  - references: 0 and 2\n"
        f"  - rubric: {own.judge['rubric']} and sha256:0\n"
        "  - max_tokens: 1024 and not there\n"
        "  - fps: not there and 1.0"
    )


def number(judgement: Judgement) -> float:
    verdict = judgement.verdict
    assert isinstance(verdict, (Rating, Preference))
    return verdict.value if isinstance(verdict, Rating) else verdict.p_first
