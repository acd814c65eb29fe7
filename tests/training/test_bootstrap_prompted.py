"""Generator and evaluator that ask a model: what they show it, what they hide, what they read."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from talk import TalkEngine, made_seed

from videojudge_bench.engine import EngineError, Reply
from videojudge_bench.errors import ConfigError
from videojudge_bench.training.bootstrap.contracts import Attempt, Draft, Evaluation
from videojudge_bench.training.bootstrap.prompted import (
    PromptedEvaluator,
    PromptedGenerator,
    evaluation_of,
    last_tagged,
)
from videojudge_bench.training.bootstrap.roles import RoleOptions, build_role
from videojudge_bench.verdicts import Usage

SEED = made_seed(3)
EARLIER = Attempt(Draft("A red ball rolls."), Evaluation(1.0, "The colour is wrong."))


def _written(engine: TalkEngine, target: int, *earlier: Attempt) -> Draft:
    draft = asyncio.run(PromptedGenerator(engine=engine).write(SEED, target, earlier))
    assert isinstance(draft, Draft)
    return draft


def _said(text: str, *, finished: bool = True) -> Evaluation:
    return evaluation_of(Reply(text, usage=Usage(7, 5, 0.5, 0.1), finished=finished))


def test_the_generator_sees_description_instruction_gold_and_target() -> None:
    engine = TalkEngine()
    draft = _written(engine, 4)
    (prompt,) = engine.prompts
    assert SEED.description is not None
    for shown in (SEED.description, SEED.instruction, SEED.gold, "deserves 4, no more"):
        assert shown in prompt
    assert "An earlier answer" not in prompt
    assert draft.text.startswith("A ")
    assert draft.usage.input_tokens == len(prompt) // 4


def test_a_later_round_sees_the_earlier_text_its_rating_and_the_feedback() -> None:
    engine = TalkEngine()
    _written(engine, 2, EARLIER)
    (prompt,) = engine.prompts
    assert EARLIER.draft.text in prompt
    assert "gave it 1 and said: The colour is wrong." in prompt
    assert "It must be better than the earlier one." in prompt
    _written(engine, 2, Attempt(EARLIER.draft, Evaluation(4.5, "Nearly right.")))
    assert "gave it 4.5 and said: Nearly right." in engine.prompts[1]
    assert "It must be worse than the earlier one." in engine.prompts[1]


def test_a_draft_that_was_no_response_is_said_to_be_none() -> None:
    engine = TalkEngine()
    _written(engine, 2, Attempt(Draft(""), Evaluation(None, "it is empty")))
    (prompt,) = engine.prompts
    assert "It was:\n\n(empty)\n\nIt cannot be used: it is empty\n" in prompt
    assert "must be" not in prompt


def test_the_evaluator_sees_the_gold_answer_and_nothing_of_the_target() -> None:
    engine = TalkEngine()
    evaluator = PromptedEvaluator(engine=engine)
    for truth in (1, 4):
        draft = Draft("A green ball rolls past house 3.", truth=truth, changes=("colour",))
        evaluation = asyncio.run(evaluator.rate(SEED, draft))
        assert isinstance(evaluation, Evaluation)
        assert (evaluation.rating, evaluation.feedback) == (4.0, "The ball is green.")
    first, second = engine.prompts
    assert first == second
    assert len(set(engine.ids)) == 1
    assert SEED.gold in first
    assert "A green ball rolls past house 3." in first


def test_a_seed_without_a_description_is_shown_without_one() -> None:
    engine = TalkEngine()
    bare = replace(SEED, description=None)
    asyncio.run(PromptedGenerator(engine=engine).write(bare, 1, ()))
    asyncio.run(PromptedEvaluator(engine=engine).rate(bare, Draft("A red ball.")))
    for prompt in engine.prompts:
        assert "What the video shows" not in prompt
        assert "None" not in prompt


def test_calls_have_ids_of_their_own_for_the_engines_random_numbers() -> None:
    engine = TalkEngine()
    _written(engine, 1)
    _written(engine, 1, EARLIER)
    _written(engine, 2)
    assert engine.ids == ["s3/1/1", "s3/1/2", "s3/2/1"]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("<answer>A cat sleeps.</answer>", "A cat sleeps."),
        ("Of course!\n<ANSWER>\nA cat\nsleeps.\n</answer>\nHope it helps.", "A cat\nsleeps."),
        ("<answer>first</answer> or rather <answer>second</answer>", "second"),
        ("<think><answer>no</answer></think>\n<answer>yes</answer>", "yes"),
        ("as <answer> tags ask: <answer>A cat.</answer>", "A cat."),
        ("<answer>cut", ""),
        ("A cat sleeps.", ""),
        ("<think>A cat? <answer>A cat", ""),
        ("<answer> </answer>", ""),
        ("", ""),
    ],
)
def test_what_stands_around_the_tags_is_cut(reply: str, answer: str) -> None:
    assert last_tagged(reply, "answer") == answer


@pytest.mark.parametrize(
    ("reply", "rating", "feedback"),
    [
        ("<feedback>No cat.</feedback><score>2</score>", 2.0, "No cat."),
        ("<feedback>It\nis a dog.</feedback>\n\n<score> 1 </score>\n", 1.0, "It\nis a dog."),
        ("<feedback>No <score>5</score>.</feedback><score>3</score>", 3.0, "No <score>5</score>."),
        ("<think>Score: 5</think><feedback>Fine.</feedback><score>4</score>", 4.0, "Fine."),
        ("<score>4</score>", 4.0, ""),
        ("<score>4</score>\n<feedback>Late.</feedback>", 4.0, "Late."),
    ],
)  # fmt: skip
def test_ratings_and_feedback_are_read(reply: str, rating: float, feedback: str) -> None:
    assert _said(reply) == Evaluation(rating, feedback, Usage(7, 5, 0.5, 0.1), raw=reply)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "empty reply"),
        ("<feedback>No cat.</feedback>", "empty reply"),
        ("<feedback>No cat.</feedback><score>7</score>", "7"),
        ("Hard to say.", "nothing in a form that states one"),
    ],
)
def test_a_reply_without_a_rating_says_why(reply: str, why: str) -> None:
    evaluation = _said(reply)
    assert evaluation.rating is None
    assert evaluation.feedback.startswith("the evaluator gave no rating: ")
    assert why in evaluation.feedback
    assert evaluation.usage == Usage(7, 5, 0.5, 0.1)


def test_a_reply_that_was_cut_off_says_so() -> None:
    assert "cut off at max_tokens" in _said("<feedback>No c", finished=False).feedback


def test_a_failed_call_is_handed_on() -> None:
    engine = TalkEngine()
    lost = EngineError("gone")
    engine.answer = lambda _: lost
    assert asyncio.run(PromptedGenerator(engine=engine).write(SEED, 1, ())) == lost
    assert asyncio.run(PromptedEvaluator(engine=engine).rate(SEED, Draft("x"))) == lost


def test_settings_change_with_the_prompt_and_the_decoding(tmp_path: Path) -> None:
    plain = PromptedGenerator(engine=TalkEngine()).settings()
    assert plain["engine"] == "TalkEngine"
    assert plain["model"] == "talk-1"
    assert PromptedGenerator(engine=TalkEngine(), temperature=0.1).settings() != plain
    own = tmp_path / "own.jinja"
    own.write_text(
        "{% block system %}Write.{% endblock %}{% block shared %}{{ gold }}{% endblock %}"
        "{% block response %} {{ target }}{% endblock %}"
    )
    changed = PromptedGenerator(engine=TalkEngine(), prompt=str(own)).settings()
    assert {k for k in plain if plain[k] != changed[k]} == {"prompt"}
    engine = TalkEngine()
    engine.answer = lambda _: "<answer>x</answer>"
    asyncio.run(PromptedGenerator(engine=engine, prompt=str(own)).write(SEED, 2, ()))
    assert engine.prompts == [f"Write.{SEED.gold} 2"]


def test_a_prompt_that_asks_for_what_there_is_not_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text(
        "{% block system %}{% endblock %}{% block shared %}{{ target }}{% endblock %}"
        "{% block response %}{% endblock %}"
    )
    evaluator = PromptedEvaluator(engine=TalkEngine(), prompt=str(own))
    with pytest.raises(ConfigError, match=r"'target' is undefined.*evaluators sees: description"):
        asyncio.run(evaluator.rate(SEED, Draft("x")))


def test_roles_are_built_by_name_with_the_engines_options() -> None:
    talk: dict[str, Any] = {"engine": "talk:TalkEngine", "delay_seconds": 0.5, "max_tokens": 99}
    made = build_role("generator", RoleOptions(kind="prompted", **talk), lambda: iter(()), 8)
    assert made.settings()["max_tokens"] == 99
    server: dict[str, Any] = {
        "engine": "openai", "base_url": "http://localhost:1/v1", "model": "m",
    }  # fmt: skip
    rates = build_role("evaluator", RoleOptions(kind="prompted", **server), lambda: iter(()), 300)
    assert isinstance(rates, PromptedEvaluator)
    # The engine alone would let 64 requests through at once.
    assert rates._engine.max_concurrency == 300  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("promted", {}, "unknown generator 'promted'. Did you mean 'prompted'?"),
        ("prompted", {}, "generator 'prompted': option 'engine' is missing"),
        ("prompted", {"engine": "opnai"}, "unknown engine 'opnai'. Did you mean 'openai'?"),
        (
            "prompted",
            {"engine": "talk:TalkEngine", "temperatur": 0.5},
            "unknown option 'temperatur'. Did you mean 'temperature'?",
        ),
        ("prompted", {"engine": "talk:TalkEngine", "max_tokens": 0}, "at least 1"),
        ("talk:TalkEngine", {}, "expected a method `write`"),
    ],
)
def test_roles_that_cannot_be_built(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_role("generator", RoleOptions(kind=kind, **options), lambda: iter(()), 8)
    assert message in str(caught.value)


def test_a_generator_that_learns_from_the_seeds_gets_them() -> None:
    learner = RoleOptions.model_validate({"kind": f"{__name__}:Learner", "extra": 2})
    made = build_role("generator", learner, lambda: iter([SEED]), 1)
    assert made.settings() == {"learnt": 1, "extra": 2}


class Learner:
    """Has a parameter `corpus`."""

    def __init__(self, corpus: object, extra: int = 0) -> None:
        self._learnt = len(list(corpus))  # type: ignore[call-overload]
        self._extra = extra

    async def write(self, *_: object) -> Draft:
        return Draft("x")

    def settings(self) -> dict[str, int]:
        return {"learnt": self._learnt, "extra": self._extra}

    def close(self) -> None:
        """Nothing to give back."""
