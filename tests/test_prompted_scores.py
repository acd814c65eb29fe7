"""Verdicts of prompted judges beyond the text of one reply: expected scores, samples."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from fake_engine import FakeEngine, Replies, items, make_judge
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import EngineError, PromptGroup, Reply
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Pair
from videojudge_bench.judge import Ability
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Usage

PAIR = Pair("p", "v", "do", "x", "y")


class SureEngine(FakeEngine):
    """Gives probabilities, the same ones each time."""

    capabilities = frozenset({"video", "logprobs"})
    probabilities: Mapping[str, float] = {}

    async def same(self, group: PromptGroup) -> Replies:
        text = group.reply_start or self.reply
        return [Reply(text, self.probabilities, Usage(7, 1, 0.1)) for _ in group.continuations]


class Rater(PromptedJudge):
    """Has a prompt for single responses alone."""

    prompts: Mapping[Ability, str] = {"rate": "rate.jinja"}  # type: ignore[misc]


def make_sure(
    probabilities: Mapping[str, float], cls: type[PromptedJudge] = PromptedJudge, **options: Scalar
) -> tuple[PromptedJudge, FakeEngine]:
    engine = f"{__name__}:SureEngine"
    judge = cls(engine=engine, score="expected", **options)  # type: ignore[arg-type]
    assert isinstance(judge.engine, SureEngine)
    judge.engine.probabilities = probabilities
    return judge, judge.engine


# The expected score.


def test_the_expected_score_is_the_renormalised_mean() -> None:
    """By hand: (1 x .1 + 3 x .3 + 4 x .5) / .9 = 3 / .9."""
    seen = {"1": 0.1, "3": 0.3, "4": 0.5}
    judge, _ = make_sure(seen, feedback=False)
    (found,) = judge.judge(items(1))
    assert isinstance(found.verdict, Rating)
    assert found.verdict.value == pytest.approx(3.0 / 0.9)
    assert found.probabilities == seen  # the lost mass is what lacks to 1


@given(
    st.lists(st.floats(0, 1), min_size=5, max_size=5).filter(lambda ps: sum(ps) > 0),
    st.floats(0.81, 1),
)
def test_the_expected_score_is_on_the_scale_and_rises_with_every_probability_moved_up(
    weights: list[float], mass: float
) -> None:
    shares = [mass * w / sum(weights) for w in weights]
    values = []
    for order in (shares, sorted(shares)):
        judge, _ = make_sure(dict(zip("12345", order, strict=True)), feedback=False)
        (item,) = items(1)
        verdict = judge.rate(item)
        assert isinstance(verdict, Rating)
        assert 1 <= verdict.value <= 5
        values.append(verdict.value)
    assert values[0] <= values[1] + 1e-9


@pytest.mark.parametrize("feedback", [True, False])
def test_the_verdict_comes_at_once_or_behind_the_reasoning(feedback: bool) -> None:
    judge, engine = make_sure({"4": 1.0, "A": 1.0}, feedback=feedback)
    (item,) = items(1)
    judge.rate(item)
    judge.prefer(PAIR)
    starts = [group.reply_start for group in engine.groups]
    assert starts == (["", ""] if feedback else ["<score>", "<answer>"])
    choices = [group.choices for group in engine.groups]
    assert choices == [("1", "2", "3", "4", "5"), ("A", "B")]
    asked = [("<thinking>" in group.prefix.text) for group in engine.groups]
    assert asked == [feedback, feedback]


def test_a_rubric_that_is_written_comes_before_the_expected_score() -> None:
    judge, engine = make_sure({"4": 1.0}, feedback=False, rubric="write")
    judge.rate(items(1)[0])
    assert engine.groups[0].reply_start == ""


def test_a_preference_is_normalised_over_the_two_labels() -> None:
    judge, _ = make_sure({"A": 0.6, "B": 0.3}, feedback=False)
    verdict = judge.prefer(PAIR)
    assert isinstance(verdict, Preference)
    assert verdict.p_first == pytest.approx(2 / 3)


def test_two_expected_ratings_make_a_preference() -> None:
    judge, engine = make_sure({}, Rater, feedback=False)

    async def by_response(group: PromptGroup) -> Replies:
        better = ["x" in tail.text.split() for tail in group.continuations]
        return [Reply("<score>", {"4": 0.6 if b else 0.5, "3": 0.4}) for b in better]

    engine.answer = by_response
    assert judge.prefer(PAIR) == Preference(1.0)


@pytest.mark.parametrize(
    ("probabilities", "reason"),
    [
        ({}, "no probabilities: the reply has no verdict in its tag, or none came"),
        ({"1": 0.3, "2": 0.4}, "lost mass 0.30: 0.2 may go to what is no verdict"),
        ({"A": 0.0, "4": 0.0}, "lost mass 1.00: 0.2 may go to what is no verdict"),
    ],
)
def test_mass_that_is_lost_is_no_verdict(probabilities: dict[str, float], reason: str) -> None:
    judge, _ = make_sure(probabilities)
    assert judge.rate(items(1)[0]) == Unparsed(reason)


def test_how_much_mass_may_be_lost_is_an_option_and_part_of_the_signature() -> None:
    """By hand: (1 x .01 + 4 x .03) / .04 = 3.25."""
    judge, _ = make_sure({"1": 0.01, "4": 0.03}, feedback=False, lost_mass=1)
    verdict = judge.rate(items(1)[0])
    assert isinstance(verdict, Rating)
    assert verdict.value == pytest.approx(3.25)
    assert judge.settings()["lost_mass"] == 1.0
    default, _ = make_sure({}, feedback=False, lost_mass=0.2)
    assert "lost_mass" not in default.settings()
    none, _ = make_sure({"1": 0.0, "A": 0.0}, feedback=False, lost_mass=1)
    assert none.rate(items(1)[0]) == Unparsed("lost mass 1.00: 1 may go to what is no verdict")


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"lost_mass: expected a share from 0 to 1, got 1\.5"):
        make_sure({}, feedback=False, lost_mass=1.5)
    with pytest.raises(ConfigError, match="lost_mass is for score=expected alone"):
        PromptedJudge(engine=f"{__name__}:SureEngine", lost_mass=1.0)


def test_a_reasoning_that_was_cut_off_has_no_expected_score() -> None:
    judge, engine = make_sure({})

    async def cut(group: PromptGroup) -> Replies:
        return [Reply("<thinking>so", {"4": 1.0}, finished=False)]

    engine.answer = cut
    assert judge.rate(items(1)[0]) == Unparsed("cut off at max_tokens")


def test_the_choices_are_the_values_of_the_gold_sets_scale() -> None:
    judge, engine = make_sure({str(v): 0.1 for v in range(10)}, feedback=False)
    judge.scale = RatingScale(0, 9)
    verdict = judge.rate(items(1)[0])
    assert isinstance(verdict, Rating)
    assert verdict.value == pytest.approx(4.5)
    assert engine.groups[0].choices == tuple("0123456789")
    judge.scale = RatingScale(1, 20)
    assert isinstance(judge.rate(items(1)[0]), Rating)
    judge.scale = RatingScale(0, 100)
    with pytest.raises(ConfigError, match="scales of up to 20 values, and 0-100 has 101"):
        judge.rate(items(1)[0])


# Samples.


def test_samples_are_asked_for_one_by_one_and_their_mean_counts() -> None:
    judge, engine = make_judge(samples=3, temperature=0.7)

    async def vary(group: PromptGroup) -> Replies:
        return [
            Reply(f"<score>{2 + n % 3}</score>", usage=Usage(5, 1, 1.0, 0.25))
            for n in range(len(group.continuations))
        ]

    engine.answer = vary
    found = list(judge.judge(items(1, each=2)))
    assert engine.asked == [["v0/0", "v0/0~1", "v0/0~2", "v0/1", "v0/1~1", "v0/1~2"]]
    replies = "<score>2</score>\n\n<score>3</score>\n\n<score>4</score>"
    spread = {"2": 1 / 3, "3": 1 / 3, "4": 1 / 3}
    usage = Usage(15, 3, 3.0, 0.75)
    assert found == [Judgement(f"v0/{n}", Rating(3.0), replies, spread, usage) for n in (0, 1)]
    assert [Judgement.from_json(j.to_json()) for j in found] == found


@pytest.mark.parametrize(
    ("texts", "verdict"),
    [
        (["A", "B", "A"], Preference(2 / 3)),
        (["A", "?", "B"], Preference(0.5)),
        (["?", "?", "B"], Unparsed("2 of 3 samples have no verdict; the first: ")),
    ],
)
def test_samples_of_a_preference(texts: list[str], verdict: Preference | Unparsed) -> None:
    judge, engine = make_judge(samples=3, temperature=1.0)

    async def vary(group: PromptGroup) -> Replies:
        return [Reply(f"<answer>{text}</answer>") for text in texts]

    engine.answer = vary
    (found,) = judge.judge([PAIR])
    if isinstance(verdict, Unparsed):
        assert isinstance(found.verdict, Unparsed)
        assert found.verdict.reason.startswith(verdict.reason)
    else:
        assert found.verdict == verdict


def test_samples_that_failed_are_asked_again_when_too_few_are_left() -> None:
    judge, engine = make_judge(samples=2, temperature=1.0)

    async def fail(group: PromptGroup) -> Replies:
        return [Reply("<score>2</score>"), EngineError("503")]

    engine.answer = fail
    (found,) = judge.judge(items(1))
    assert found.failed
    assert found.verdict == Unparsed("1 of 2 samples have no verdict; the first: engine: 503")


def test_samples_without_a_verdict_are_left_out_of_mean_and_spread() -> None:
    judge, engine = make_judge(samples=3, temperature=1.0)

    async def fail(group: PromptGroup) -> Replies:
        return [Reply("<score>2</score>"), EngineError("503"), Reply("<score>5</score>")]

    engine.answer = fail
    (found,) = judge.judge(items(1))
    assert (found.verdict, found.failed) == (Rating(3.5), False)
    assert found.probabilities == {"2": 0.5, "5": 0.5}


def test_the_spread_of_expected_samples_is_the_mean_of_their_distributions() -> None:
    """By hand: (2.5 + 5) / 2."""
    judge, engine = make_sure({}, samples=2, temperature=1.0)

    async def vary(group: PromptGroup) -> Replies:
        return [Reply("r", {"2": 0.5, "3": 0.5}), Reply("r", {"5": 1.0})]

    engine.answer = vary
    (found,) = judge.judge(items(1))
    assert found.verdict == Rating(3.75)
    assert found.probabilities == {"2": 0.25, "3": 0.25, "5": 0.5}


def test_sampling_a_verdict_that_is_not_written_is_refused() -> None:
    for options in ({"samples": 3, "temperature": 1.0}, {"temperature": 1.0}, {"samples": 3}):
        with pytest.raises(ConfigError) as caught:
            make_sure({}, feedback=False, **options)
        assert str(caught.value) == (
            "judge PromptedJudge: with score=expected and feedback=false nothing is sampled; give "
            "samples=1 and temperature=0"
        )
    make_sure({}, feedback=True, samples=3, temperature=1.0)
