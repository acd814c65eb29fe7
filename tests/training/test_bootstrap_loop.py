"""The step for one seed: rounds, the two acceptance rules, drafts that are no responses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from talk import made_seed

from videojudge_bench.engine import EngineError
from videojudge_bench.training.bootstrap.contracts import (
    TARGETS,
    Attempt,
    Draft,
    Evaluation,
    Outcome,
    Seed,
    Unable,
)
from videojudge_bench.training.bootstrap.loop import CALL_FAILED, Rules, bootstrap_seed
from videojudge_bench.training.bootstrap.usable import problem_of

SEED = made_seed(7)

Write = Callable[[int, int], str | EngineError]
Rate = Callable[[str], float | EngineError | None]


@dataclass
class Script:
    """Calls whose replies a test decides: by target and round, and by the draft's text."""

    write: Write
    rate: Rate
    asked: list[tuple[int, int]] = field(default_factory=list)
    rated: list[str] = field(default_factory=list)
    earlier: dict[tuple[int, int], tuple[Attempt, ...]] = field(default_factory=dict)
    refusals: list[tuple[int, int, str]] = field(default_factory=list)

    async def draft(
        self, seed: Seed, target: int, earlier: Sequence[Attempt]
    ) -> Draft | EngineError:
        number = len(earlier) + 1
        self.asked.append((target, number))
        self.earlier[target, number] = tuple(earlier)
        text = self.write(target, number)
        return text if isinstance(text, EngineError) else Draft(text)

    async def evaluation(
        self,
        seed: Seed,
        target: int,
        number: int,
        draft: Draft,
        unread: Sequence[Evaluation],
    ) -> Evaluation | EngineError:
        self.rated.append(draft.text)
        assert len(unread) == sum(text == draft.text for text in self.rated[-3:-1])
        rating = self.rate(draft.text)
        if isinstance(rating, EngineError):
            return rating
        return Evaluation(rating, "" if rating else "no rating in the reply")

    def refused(self, seed: Seed, target: int, number: int, why: str) -> None:
        self.refusals.append((target, number, why))


def _text(target: int, number: int) -> str:
    return f"Cat {target}.{number} sleeps."


def _honest(text: str) -> float:
    """The rating that `_text` was written for."""
    return float(text[4])


def _run(script: Script, rules: Rules) -> Outcome:
    return asyncio.run(bootstrap_seed(SEED, script, rules))


def test_when_all_agree_each_target_is_written_once() -> None:
    script = Script(_text, _honest)
    outcome = _run(script, Rules())
    assert script.asked == [(target, 1) for target in TARGETS]
    assert outcome.kept
    assert outcome.problem == ""
    assert [rated.target for rated in outcome.rated] == list(TARGETS)
    assert all(r.accepted and len(r.attempts) == 1 and not r.problem for r in outcome.rated)


def test_a_mismatch_is_written_again_with_all_earlier_rounds_in_hand() -> None:
    script = Script(_text, lambda text: 5.0 if text == "Cat 2.1 sleeps." else _honest(text))
    outcome = _run(script, Rules())
    assert outcome.kept
    assert script.asked == [(1, 1), (2, 1), (2, 2), (3, 1), (4, 1)]
    (before,) = script.earlier[2, 2]
    assert (before.draft.text, before.evaluation.rating) == ("Cat 2.1 sleeps.", 5.0)


@pytest.mark.parametrize(("alpha", "kept"), [(0.0, False), (0.5, False), (1.0, True)])
def test_alpha_is_the_largest_deviation_of_a_response(alpha: float, kept: bool) -> None:
    script = Script(_text, lambda text: _honest(text) + (text[4] == "3"))
    outcome = _run(script, Rules(alpha=alpha, max_rounds=2))
    assert outcome.kept is kept
    if not kept:
        assert script.asked == [(1, 1), (2, 1), (3, 1), (3, 2), (4, 1)]
        assert outcome.problem == "target 3: rated 4 after 2 rounds, and 3 was wanted"
        assert [rated.accepted for rated in outcome.rated] == [True, True, False, True]


def test_the_sum_rule_looks_at_all_responses_at_once() -> None:
    # Deviations 1, 0, 1, 0: each would do for alpha=1 alone, and together they are 2.
    def rate(text: str) -> float:
        return _honest(text) + (text[4] in "13")

    enough = _run(Script(_text, rate), Rules("instruction", alpha=2.0))
    assert enough.kept
    assert all(rated.accepted and len(rated.attempts) == 1 for rated in enough.rated)
    script = Script(_text, rate)
    short = _run(script, Rules("instruction", alpha=1.0, max_rounds=2))
    assert not short.kept
    assert short.problem == "the deviations sum to 2, and 1 is allowed"
    assert not any(rated.accepted for rated in short.rated)
    # Only those that deviate are written again.
    assert script.asked == [(1, 1), (2, 1), (3, 1), (4, 1), (1, 2), (3, 2)]


def test_the_sum_rule_stops_as_soon_as_the_sum_is_small_enough() -> None:
    script = Script(_text, lambda text: _honest(text) + (text in {_text(1, 1), _text(3, 1)}))
    outcome = _run(script, Rules("instruction", alpha=0.0, max_rounds=5))
    assert outcome.kept
    assert script.asked == [(1, 1), (2, 1), (3, 1), (4, 1), (1, 2), (3, 2)]


@pytest.mark.parametrize("acceptance", ["response", "instruction"])
def test_an_evaluation_without_a_rating_is_a_mismatch_with_a_reason_of_its_own(
    acceptance: str,
) -> None:
    rules = Rules(acceptance, alpha=9.0, max_rounds=2)  # type: ignore[arg-type]
    outcome = _run(Script(_text, lambda t: None if t[4] == "4" else _honest(t)), rules)
    assert not outcome.kept
    assert outcome.problem == "target 4: no rating in the reply (after 2 rounds)"
    assert len(outcome.rated[3].attempts) == 2


def test_an_evaluator_that_never_agrees_ends_after_max_rounds() -> None:
    script = Script(_text, lambda text: 5.0 if _honest(text) < 3 else 1.0)
    outcome = _run(script, Rules(max_rounds=4))
    assert not outcome.kept
    assert len(script.asked) == 4 * len(TARGETS)
    assert not any(rated.accepted for rated in outcome.rated)
    assert [rated.problem for rated in outcome.rated] == [
        f"rated {rating} after 4 rounds, and {target} was wanted"
        for target, rating in zip(TARGETS, (5, 5, 1, 1), strict=True)
    ]


def test_an_evaluator_that_always_says_5_keeps_nothing_at_alpha_0_and_only_fours_at_1() -> None:
    never = _run(Script(_text, lambda _: 5.0), Rules(max_rounds=1))
    assert [rated.accepted for rated in never.rated] == [False] * 4
    loose = _run(Script(_text, lambda _: 5.0), Rules(alpha=1.0, max_rounds=1))
    assert [rated.accepted for rated in loose.rated] == [False, False, False, True]


def test_a_draft_that_is_no_response_uses_a_round_and_is_not_rated() -> None:
    drafts = {(2, 1): "  ", (2, 2): "A 2-star answer, sorry."}
    script = Script(lambda t, n: drafts.get((t, n), _text(t, n)), _honest)
    outcome = _run(script, Rules())
    assert outcome.kept
    assert [a.evaluation.feedback for a in outcome.rated[1].attempts] == [
        "it is empty",
        "it gives away what it deserves, or speaks of itself: '2-star'",
        "",
    ]
    assert script.rated == [_text(1, 1), _text(2, 3), _text(3, 1), _text(4, 1)]
    assert [refusal[:2] for refusal in script.refusals] == [(2, 1), (2, 2)]
    # The next round is told why.
    assert script.earlier[2, 2][0].evaluation == Evaluation(None, "it is empty")


def test_equal_responses_of_one_seed_are_refused() -> None:
    script = Script(lambda _t, _n: "Cat 1 sleeps.", lambda _: 1.0)
    outcome = _run(script, Rules(max_rounds=1))
    assert [rated.accepted for rated in outcome.rated] == [True, False, False, False]
    assert "the same as another answer" in outcome.rated[1].problem


@pytest.mark.parametrize("role", ["generator", "evaluator"])
def test_a_failed_call_ends_the_seed_and_asks_for_another_try(role: str) -> None:
    lost = EngineError("the server is gone")
    script = Script(
        lambda t, n: lost if role == "generator" and t == 2 else _text(t, n),
        lambda text: lost if role == "evaluator" and text[4] == "2" else _honest(text),
    )
    outcome = _run(script, Rules())
    assert not outcome.kept
    assert outcome.problem == f"{CALL_FAILED}: {role}, target 2: the server is gone"
    assert script.asked == [(1, 1), (2, 1)]
    assert [rated.accepted for rated in outcome.rated] == [True, False, False, False]
    assert outcome.rated[3].problem == "not written"


def test_a_generator_that_cannot_serve_the_seed_is_not_asked_again_later() -> None:
    script = Script(lambda _t, _n: Unable("the gold answer has too few words"), _honest)
    outcome = _run(script, Rules())
    assert outcome.problem == "target 1: the gold answer has too few words"
    assert not outcome.problem.startswith(CALL_FAILED)


@pytest.mark.parametrize(
    "text",
    [
        "This is a 2-star answer.",
        "A cat sleeps. (Rating: 3)",
        "Score 1: a dog.",
        "Incorrect answer: a dog sleeps.",
        "wrong response - a dog",
        "Here is an answer that deserves 2: a dog sleeps.",
        "This answer contains two errors.",
        "A dog sleeps, which deserves a 2.",
        "I deliberately omitted the cat.",
        "As the reference answer says, it sleeps.",
        "It sleeps. 3/5",
        "It sleeps (2 stars).",
        "three out of five",
    ],
)
def test_a_response_that_leaks_its_target_is_found(text: str) -> None:
    assert "gives away" in problem_of(text, SEED, ())


@pytest.mark.parametrize(
    "text",
    [
        "Two dogs sleep on a 3 meter long sofa.",
        "A man scores 2 goals and raises his arms.",
        "The contestant gives the wrong answer and leaves the stage.",
        "The score is 3 to 2, then 3-3.",
        "Five stars shine above a house.",
        "He answers the phone, and the response is silence.",
        "She reads a level on a spirit level.",
        "A good answer is applauded by the audience.",
    ],
)
def test_words_about_the_video_are_no_leak(text: str) -> None:
    assert problem_of(text, SEED, ()) == ""


def test_words_that_the_gold_answer_uses_itself_give_nothing_away() -> None:
    seed = Seed("s", "made", "v", "What does she say?", "She rates the hotel 4 out of 5.")
    assert problem_of("He rates the hotel 4 out of 5.", seed, ()) == ""
    assert "gives away" in problem_of("He rates the hotel 3 out of 5.", seed, ())


@pytest.mark.parametrize("text", [SEED.gold, f" {SEED.gold.upper()} ", SEED.gold.rstrip(".")])
def test_the_gold_answer_is_no_response(text: str) -> None:
    assert problem_of(text, SEED, ()) == "it is the reference answer"
