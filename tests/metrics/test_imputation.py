"""Replies that could not be read, counted against the judge."""

from __future__ import annotations

import pytest
from measured_runs import score

from videojudge_bench import (
    Example,
    Item,
    Judgement,
    OptionGold,
    Pair,
    Preference,
    PreferenceGold,
    Rating,
    RatingGold,
    RatingScale,
    Unparsed,
)
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo, Shape
from videojudge_bench.items import Gold
from videojudge_bench.metrics.asked import Asked, count_against, worst_ratings
from videojudge_bench.verdicts import MISSING_VIDEO, Verdict

UNREAD = Unparsed("no verdict")
UNSEEN = Unparsed(f"{MISSING_VIDEO}: no file")


def gold_set(shape: Shape, examples: list[Example]) -> GoldSet:
    info = GoldSetInfo("t", "test", "human", shape, "none", "none", "none")
    return GoldSet(info, tuple(examples))


def option(name: str, correct: bool, unit: str = "q") -> Example:
    return Example(Item(name, "v", "what?", name), OptionGold(correct), unit)


def pair(name: str, gold: float) -> Example:
    return Example(Pair(name, "v", "what?", "x", "y"), PreferenceGold(gold), "p")


def verdicts_of(
    gold: GoldSet, given: dict[str, Verdict], *, on_scale: bool = True
) -> dict[str, Verdict]:
    judgements = {i: Judgement(i, verdict) for i, verdict in given.items()}
    return {i: j.verdict for i, j in count_against(gold, judgements, on_scale=on_scale).items()}


@pytest.mark.parametrize(("gold", "worst"), [(1.0, 5.0), (2.9, 5.0), (3.0, 1.0), (4.7, 1.0)])
def test_worst_rating_is_the_far_end(gold: float, worst: float) -> None:
    # At the middle both ends are as far; the low one counts.
    answer = (Example(Item("a", "v", "q", "r"), RatingGold((gold,)), "v"), UNREAD)
    ratings = worst_ratings(Asked((answer,)), RatingScale(1, 5), (1.0, 5.0))
    assert ratings == {"a": Rating(worst)}


def test_ratings_on_scale_take_the_ends_of_the_scale() -> None:
    golds: list[tuple[str, Gold]] = [("a", RatingGold((1.0,))), ("b", RatingGold((5.0,)))]
    rated = gold_set("ratings", [Example(Item(i, "v", "q", i), g, "v") for i, g in golds])
    assert verdicts_of(rated, {"a": UNREAD, "b": UNREAD}) == {"a": UNREAD, "b": UNREAD}
    assert verdicts_of(rated, {"a": UNREAD, "b": Rating(2.0)}) == {
        "a": Rating(5.0),
        "b": Rating(2.0),
    }


def test_ratings_off_scale_take_the_ends_that_were_seen() -> None:
    examples = [
        Example(Item(i, "v", "q", i), RatingGold((g,)), "v")
        for i, g in (("a", 1.0), ("b", 5.0), ("c", 3.5), ("d", 2.0))
    ]
    given: dict[str, Verdict] = {"a": UNREAD, "b": UNREAD, "c": Rating(-7.0), "d": Rating(40.0)}
    assert verdicts_of(gold_set("ratings", examples), given, on_scale=False) == {
        **given,
        "a": Rating(40.0),
        "b": Rating(-7.0),
    }


def test_a_question_with_an_unread_option_is_lost_and_others_stay() -> None:
    examples = [option("a", True), option("b", False), option("c", True, "r")]
    examples.append(option("d", False, "r"))
    given: dict[str, Verdict] = {
        "a": Rating(5.0), "b": UNREAD, "c": Rating(4.0), "d": Rating(2.0),
    }  # fmt: skip
    gold = gold_set("options", examples)
    worst = verdicts_of(gold, given)
    assert worst == {**given, "a": Rating(0.0), "b": Rating(1.0)}
    # The figures of the transformed verdicts are the `_all` figures of the original ones.
    original = score(gold, {i: Judgement(i, v) for i, v in given.items()}, on_scale=True)
    transformed = score(gold, {i: Judgement(i, v) for i, v in worst.items()}, on_scale=True)
    for key in ("psup", "psup_strict", "top1"):
        assert transformed.metrics[key].value == original.metrics[f"{key}_all"].value == 0.5


def test_a_pair_with_an_unread_order_is_lost_in_both() -> None:
    gold = gold_set("pairs", [pair("p/ab", 1.0), pair("p/ba", 0.0)])
    worst = verdicts_of(gold, {"p/ab": Preference(1.0), "p/ba": UNREAD})
    assert worst == {"p/ab": Preference(0.0), "p/ba": Preference(1.0)}
    judged = {i: Judgement(i, v) for i, v in worst.items()}
    assert score(gold, judged, on_scale=True).metrics["accuracy"].value == 0.0


@pytest.mark.parametrize("shape", ["ratings", "options"])
def test_a_missing_video_is_not_counted_against_the_judge(shape: Shape) -> None:
    gold: list[Gold] = [RatingGold((1.0,)), RatingGold((5.0,))]
    if shape == "options":
        gold = [OptionGold(True), OptionGold(False)]
    examples = [Example(Item(i, "v", "q", i), g, "u") for i, g in zip("ab", gold, strict=True)]
    given: dict[str, Verdict] = {"a": UNSEEN, "b": Rating(3.0)}
    assert verdicts_of(gold_set(shape, examples), given) == given
