"""Replies that cannot be read: what is told, what is asked again, and what that costs."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from talk import COLOURS, TalkEngine, made_seed, options_for, outputs

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.engine import EngineError, Reply
from videojudge_bench.training.bootstrap import loop
from videojudge_bench.training.bootstrap.contracts import (
    Attempt,
    Draft,
    Evaluation,
    Outcome,
)
from videojudge_bench.training.bootstrap.loop import FREE_DRAFTS, rounds_of
from videojudge_bench.training.bootstrap.prompted import (
    PromptedEvaluator,
    PromptedGenerator,
    PromptedRubrics,
    draft_of,
    evaluation_of,
)
from videojudge_bench.training.bootstrap.roles import Roles
from videojudge_bench.training.bootstrap.run import run_bootstrap
from videojudge_bench.training.bootstrap.run_folder import RunFolder

SEED = made_seed(3)
GRADER = "The answer to grade:"
WANTED = re.compile(r"(?:to the instruction|another one) that deserves (\d)")


@pytest.mark.parametrize(
    ("reply", "finished", "problem"),
    [
        ("", True, "it is empty. Write the tags: <answer>, the answer, </answer>"),
        ("<think>Hm.</think> \n", True, "it is empty. Write the tags"),
        ("A cat sleeps.", True, "it has no <answer> tag. Write the tags"),
        ("<think><answer>no</answer></think> A cat.", True, "it has no <answer> tag. Write"),
        ("Sure! <answer>A cat sleeps.", True, "its <answer> tag is not closed. Write the tags"),
        ("<ANSWER>A cat", False, "its <answer> tag is not closed; the reply was cut off at max_to"),
        ("<answer> </answer>", True, "nothing stands between its <answer> tags. Write the tags"),
    ],
)
def test_a_reply_without_an_answer_says_what_to_write(
    reply: str, finished: bool, problem: str
) -> None:
    draft = draft_of(Reply(reply, finished=finished), "answer")
    assert draft.text == ""
    assert draft.problem.startswith(problem)
    assert draft.raw == reply


def test_a_reply_with_an_answer_has_no_problem() -> None:
    assert draft_of(Reply("Sure! <answer>A cat.</answer>"), "answer") == Draft(
        "A cat.", raw="Sure! <answer>A cat.</answer>"
    )


@pytest.mark.parametrize(
    ("reply", "feedback"),
    [
        ('{"feedback": "No cat.", "score": 2}', "No cat."),
        ('```json\n{"score": 2, "Reason": "No cat."}\n```', "No cat."),
        ('{"score": 2, "explanation": " It is a dog. "}', "It is a dog."),
        ('{"score": 2}', ""),
        ('{"score": 2, "feedback": ["No cat."]}', ""),
        ('<feedback>Tagged.</feedback>{"score": 2, "feedback": "No cat."}', "Tagged."),
    ],
)
def test_feedback_survives_a_reply_in_json(reply: str, feedback: str) -> None:
    assert evaluation_of(Reply(reply)) == Evaluation(2.0, feedback, raw=reply)


def test_the_next_call_says_what_was_wrong_and_what_was_said_of_the_round_before() -> None:
    engine = TalkEngine()
    rated = Attempt(Draft("A red ball rolls."), Evaluation(1.0, "The colour is wrong."))
    problem = "it has no <answer> tag. Write the tags: <answer>, the answer, </answer>"
    unread = Attempt(Draft("", problem=problem), Evaluation(None, problem))
    generator = PromptedGenerator(engine=engine)
    asyncio.run(generator.write(SEED, 2, (unread,)))
    asyncio.run(generator.write(SEED, 2, (rated, unread, unread)))
    asyncio.run(generator.write(SEED, 2, (rated, unread, rated)))
    first, second, third = engine.prompts
    assert f"Your last reply could not be used: {problem}" in first
    assert "Write an answer to the instruction that deserves 2" in first
    assert f"Your last 2 replies could not be used: {problem}" in second
    assert "A red ball rolls." in second
    assert "gave it 1 and said: The colour is wrong." in second
    assert "could not be used" not in third
    assert engine.ids == ["s3/2/2", "s3/2/4", "s3/2/4"]


def test_an_evaluator_is_told_why_it_is_asked_again_and_nothing_else() -> None:
    engine = TalkEngine()
    evaluator, draft = PromptedEvaluator(engine=engine), Draft("A green ball.", truth=4)
    lost = evaluation_of(Reply("Hard to say."))
    asyncio.run(evaluator.rate(SEED, draft))
    asyncio.run(evaluator.rate(SEED, draft, (lost,)))
    plain, again = engine.prompts
    told = again.removeprefix(plain)
    assert told.startswith(" Your last reply could not be read: ")
    assert "nothing in a form that states one" in told
    assert told.endswith("Write both pairs of tags.")
    assert [call_id.count("/") for call_id in engine.ids] == [2, 3]


def _attempts(pattern: str) -> list[Attempt]:
    """A `.` is a draft that was read, and a `?` one that was not."""
    read = Attempt(Draft("A cat."), Evaluation(1.0))
    unread = Attempt(Draft("", problem="no tags"), Evaluation(None, "no tags"))
    return [read if mark == "." else unread for mark in pattern]


@pytest.mark.parametrize(
    ("pattern", "rounds"),
    [
        ("", 0),
        ("..", 2),
        ("?", 0),
        ("?.", 1),
        ("??.?.", 2),
        ("????", 0),
        ("????.?", 2),
        ("???????", 3),
    ],
)
def test_four_drafts_that_cannot_be_read_are_no_rounds(pattern: str, rounds: int) -> None:
    assert FREE_DRAFTS == 4
    assert len(list(rounds_of(_attempts(pattern)))) == rounds


# Runs.


class Model:
    """A generator and an evaluator made of rules, whose form fails at known rates.

    The generator's reply is empty, without tags or unclosed at the rate `untagged`, and at the rate
    `told` where it was told to write the tags; two in five of its answers deserve another rating.
    The evaluator's reply states nothing at the rate `unrated`, and at the rate `told` likewise.
    """

    def __init__(self, *, untagged: float, unrated: float, told: float) -> None:
        self._untagged, self._unrated, self._told = untagged, unrated, told

    def __call__(self, prompt: str) -> str:
        again = "could not be read: " in prompt or "could not be used: " in prompt
        kind = unit_interval("kind", prompt)
        if GRADER in prompt:
            if unit_interval("form", prompt) < (self._told if again else self._unrated):
                return ("Hard to say.", "<feedback>Fine.</feedback>", "")[int(3 * kind)]
            said = prompt.partition(GRADER)[2]
            level = next(n for n, colour in COLOURS.items() if f"A {colour} ball" in said)
            return f"<feedback>It is {COLOURS[level]}.</feedback><score>{level}</score>"
        found = WANTED.search(prompt)
        assert found
        level = int(found[1]) + (unit_interval("level", prompt) < 0.4)
        text = f"A {COLOURS[level]} ball rolls by {unit_interval('place', prompt):.6f}."
        if unit_interval("form", prompt) < (self._told if again else self._untagged):
            return ("", text, f"<answer>{text}")[int(3 * kind)]
        return f"<answer>{text}</answer>"


def _run(folder: Path, model: Callable[[str], str | EngineError], seeds: int = 40) -> TalkEngine:
    engine = TalkEngine()
    engine.answer = model
    roles = Roles(PromptedGenerator(engine=engine), PromptedEvaluator(engine=engine))
    run_bootstrap(options_for(folder, seeds, "concurrency=4"), folder / "out", roles=roles)
    return engine


def _outcomes(folder: Path) -> list[Outcome]:
    return list(RunFolder(folder / "out").outcomes())


def _journal(folder: Path) -> list[dict[str, object]]:
    (path,) = RunFolder(folder / "out").journals()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _rewrites(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """Rounds after the first of each target, and those of them that follow an unread draft."""
    rewrites = burnt = 0
    for outcome in outcomes:
        for rated in outcome.rated:
            rounds = list(rounds_of(rated.attempts))
            rewrites += len(rounds[1:])
            burnt += sum(bool(attempt.draft.problem) for attempt in rounds[:-1])
    return rewrites, burnt


@pytest.mark.parametrize("told", [0.05, 0.35], ids=["told, it writes tags", "it never learns"])
def test_hardly_a_rewrite_is_spent_on_tags(
    told: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(untagged=0.35, unrated=0.0, told=told)
    _run(tmp_path, model)
    outcomes = _outcomes(tmp_path)
    drafts = [a.draft for o in outcomes for rated in o.rated for a in rated.attempts]
    problems = Counter(draft.problem.partition(".")[0] for draft in drafts if draft.problem)
    assert len(problems) == 3
    assert sum(problems.values()) > 0.2 * len(drafts)
    rewrites, burnt = _rewrites(outcomes)
    assert rewrites > 50
    assert burnt <= 0.05 * rewrites
    # Where every such draft uses up a round, a third of the rewrites goes there.
    monkeypatch.setattr(loop, "FREE_DRAFTS", 0)
    _run(tmp_path / "before", Model(untagged=0.35, unrated=0.0, told=0.35))
    rewrites, burnt = _rewrites(_outcomes(tmp_path / "before"))
    assert burnt > 0.3 * rewrites


def test_an_evaluator_that_cannot_be_read_makes_nobody_write_again(tmp_path: Path) -> None:
    engine = _run(tmp_path, Model(untagged=0.0, unrated=0.3, told=0.0))
    graded = [prompt for prompt in engine.prompts if GRADER in prompt]
    again = [prompt for prompt in graded if "could not be read: " in prompt]
    assert len(again) > 20
    outcomes = _outcomes(tmp_path)
    assert all(
        attempt.evaluation.rating is not None
        for outcome in outcomes
        for rated in outcome.rated
        for attempt in rated.attempts
    )
    # One draft for each evaluation that could be read.
    assert len(engine.prompts) - len(graded) == len(graded) - len(again)
    tries = [line for line in _journal(tmp_path) if line.get("try") == 2]
    assert len(tries) == len(again)


def test_no_evaluator_is_told_what_was_aimed_at(tmp_path: Path) -> None:
    engine = _run(tmp_path, Model(untagged=0.35, unrated=0.3, told=0.35))
    graded = [prompt for prompt in engine.prompts if GRADER in prompt]
    assert len(graded) > 100
    assert not any("deserves" in prompt.partition(GRADER)[2] for prompt in graded)
    targets = {int(found[1]) for found in map(WANTED.search, engine.prompts) if found}
    assert targets == {1, 2, 3, 4}
    # Two drafts of one text get one prompt, whatever they were written for.
    shown = {prompt.partition(GRADER)[2].partition(" Your last ")[0] for prompt in graded}
    first = [prompt for prompt in graded if "could not be read: " not in prompt]
    assert len(shown) == len(first) == len(set(first))


def test_every_reply_is_in_the_journal_as_it_came_in(tmp_path: Path) -> None:
    said: list[str] = []
    model = Model(untagged=0.35, unrated=0.3, told=0.35)

    def noted(prompt: str) -> str:
        said.append(model(prompt))
        return said[-1]

    _run(tmp_path, noted, seeds=10)
    lines = [line for line in _journal(tmp_path) if line["role"] != "check"]
    raw = [line["reply"].get("raw", "") for line in lines]  # type: ignore[attr-defined]
    assert sorted(raw) == sorted(said)
    assert "raw" not in (tmp_path / "out" / "shards" / "00000.jsonl").read_text(encoding="utf-8")


def test_replies_that_cannot_be_read_are_paid_once(tmp_path: Path) -> None:
    model = Model(untagged=0.35, unrated=0.3, told=0.35)
    _run(tmp_path / "whole", model)
    calls = len([line for line in _journal(tmp_path / "whole") if line["role"] != "check"])
    asked: list[str] = []
    folder = tmp_path / "parts"
    for budget in (50, 51, 200, calls):
        engine = TalkEngine()
        engine.answer = model
        roles = Roles(PromptedGenerator(engine=engine), PromptedEvaluator(engine=engine))
        changes = ("concurrency=4", f"max_requests={budget}")
        run_bootstrap(options_for(folder, 40, *changes), folder / "out", roles=roles)
        asked += engine.prompts
        assert len(asked) == budget
    assert outputs(folder / "out") == outputs(tmp_path / "whole" / "out")


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_a_text_is_rated_once_at_temperature_0(temperature: float, tmp_path: Path) -> None:
    engine = TalkEngine()

    def model(prompt: str) -> str:
        if GRADER in prompt:
            return "<score>5</score>"
        found = WANTED.search(prompt)
        assert found
        return f"<answer>A {COLOURS[int(found[1])]} ball rolls by.</answer>"

    engine.answer = model
    evaluator = PromptedEvaluator(engine=engine, temperature=temperature)
    roles = Roles(PromptedGenerator(engine=engine), evaluator)
    for _ in range(2):  # the second time, all replies are there
        run_bootstrap(options_for(tmp_path, 3), tmp_path / "out", roles=roles)
    graded = [prompt for prompt in engine.prompts if GRADER in prompt]
    assert len(graded) == 3 * 4 * (1 if temperature == 0 else 3)
    outcomes = _outcomes(tmp_path)
    assert all(len(rated.attempts) == 3 for outcome in outcomes for rated in outcome.rated)


def test_a_rubric_without_tags_is_told_so() -> None:
    engine = TalkEngine()
    engine.answer = lambda _: "1: nothing\n2: little"
    written = asyncio.run(PromptedRubrics(engine=engine).rubric(SEED, 1, ""))
    assert isinstance(written, Draft)
    assert written.problem.startswith("it has no <rubric> tag. Write the tags: <rubric>, the rub")
