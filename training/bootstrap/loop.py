"""Algorithm 1 for one seed: write, check, rate, write again.

The outcome of `bootstrap_seed` depends on the seed, the rules and the replies alone, fresh or read
from a journal. The targets of a seed are worked on one after another, because a response may not
repeat another one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Union

from videojudge_bench.engine import EngineError
from videojudge_bench.training.bootstrap.contracts import (
    TARGETS,
    Attempt,
    Draft,
    DraftReply,
    Evaluation,
    EvaluationReply,
    Outcome,
    Rated,
    Seed,
    Unable,
)
from videojudge_bench.training.bootstrap.usable import problem_of, read_rubric

Acceptance = Literal["response", "instruction"]

CALL_FAILED = "call failed"
"""Begins the problem of an outcome that is tried again when the run resumes."""

FREE_DRAFTS = 4
"""Replies of a generator to one target that cannot be read and use up no round."""

RATE_TRIES = 3  # replies of an evaluator on one draft, until the first that states a rating


@dataclass(frozen=True)
class Rules:
    """Conditions under which a response is accepted.

    Attributes:
        acceptance: `response`: each response by itself, when its deviation |target - rating| is at
            most `alpha`; else it is written again. `instruction`: all four at once, when the sum of
            their deviations is at most `alpha` (the rule in Figure 1 of the paper; the gold answer
            deviates by 0); until then each one that deviates at all is written again.
        alpha: the largest deviation, or sum of deviations, in points of the scale. An evaluation
            without a rating deviates more than any alpha.
        max_rounds: how often a response is written at most; unreadable replies do not count.
    """

    acceptance: Acceptance = "response"
    alpha: float = 0.0
    max_rounds: int = 3


class Calls(Protocol):
    """Makes the calls of a step, or returns their recorded replies."""

    async def draft(self, seed: Seed, target: int, earlier: Sequence[Attempt]) -> DraftReply:
        """Return the draft that comes after `earlier`."""

    async def evaluation(
        self, seed: Seed, target: int, number: int, draft: Draft, unread: Sequence[Evaluation]
    ) -> EvaluationReply:
        """Return the evaluation of draft `number`, counted from 1, after those without a rating."""

    def refused(self, seed: Seed, target: int, number: int, why: str) -> None:
        """Note why draft `number` is no response."""


class RubricCalls(Protocol):
    """Makes the calls for a rubric, or returns their recorded replies."""

    async def rubric(
        self, seed: Seed, number: int, problem: str
    ) -> Union[Draft, EngineError, None]:
        """Return the reply of round `number`; None without a writer."""


class _CallFailedError(Exception):
    """A call gave no reply, so that the seed has to wait for another run."""


async def bootstrap_seed(seed: Seed, calls: Calls, rules: Rules) -> Outcome:
    """Return the outcome of a seed.

    A draft that is no response (`usable.problem_of`) uses up a round without an evaluation, and the
    next call has the reason. A reply that cannot be read is asked for again with the problem: up to
    `FREE_DRAFTS` times without a round, and an evaluator has `RATE_TRIES` replies. When a call
    fails, the seed is rejected with the attempts so far.
    """
    attempts: dict[int, list[Attempt]] = {target: [] for target in TARGETS}
    failure = ""
    try:
        if rules.acceptance == "response":
            for target in TARGETS:
                while _is_open(attempts[target], target, rules, alpha=rules.alpha):
                    await _round(seed, target, attempts, calls)
        else:
            while _deviation(attempts) > rules.alpha:
                again = [t for t in TARGETS if _is_open(attempts[t], t, rules, alpha=0)]
                if not again:
                    break
                for target in again:
                    await _round(seed, target, attempts, calls)
    except _CallFailedError as error:
        failure = str(error)
    return _outcome(seed, attempts, rules, failure)


async def with_rubric(outcome: Outcome, calls: RubricCalls, rules: Rules) -> Outcome:
    """Return a kept outcome with a rubric for its instruction, or with why it has none.

    A text that is no rubric (`usable.read_rubric`) uses up a round. When a call fails, the seed is
    rejected until the run resumes.
    """
    problem = ""
    for number in range(1, rules.max_rounds + 1):
        reply = await calls.rubric(outcome.seed, number, problem)
        if reply is None:
            return outcome
        if isinstance(reply, Unable):
            return replace(outcome, rubric_problem=reply.reason)
        if isinstance(reply, EngineError):
            return replace(outcome, kept=False, problem=f"{CALL_FAILED}: rubric: {reply.reason}")
        rubric, problem = ("", reply.problem) if reply.problem else read_rubric(reply.text)
        if rubric:
            return replace(outcome, rubric=rubric)
    return replace(outcome, rubric_problem=problem)


async def _round(
    seed: Seed, target: int, attempts: Mapping[int, list[Attempt]], calls: Calls
) -> None:
    mine = attempts[target]
    draft = await calls.draft(seed, target, tuple(mine))
    if isinstance(draft, EngineError):
        raise _CallFailedError(_failed("generator", target, draft))
    others = [a[-1].draft.text for t, a in attempts.items() if t != target and a]
    why = draft.problem or problem_of(draft.text, seed, others)
    if why:
        calls.refused(seed, target, len(mine) + 1, why)
        mine.append(Attempt(draft, Evaluation(None, why)))
        return
    evaluation = await _evaluated(seed, target, len(mine) + 1, draft, calls)
    mine.append(Attempt(draft, evaluation))


async def _evaluated(
    seed: Seed, target: int, number: int, draft: Draft, calls: Calls
) -> Evaluation:
    unread: list[Evaluation] = []
    while True:
        evaluation = await calls.evaluation(seed, target, number, draft, tuple(unread))
        if isinstance(evaluation, EngineError):
            raise _CallFailedError(_failed("evaluator", target, evaluation))
        if evaluation.rating is not None or len(unread) == RATE_TRIES - 1:
            return evaluation
        unread.append(evaluation)


def rounds_of(attempts: Iterable[Attempt]) -> Iterator[Attempt]:
    """Yield the attempts at a target that were rounds: all but `FREE_DRAFTS` with a `problem`."""
    unread = 0
    for attempt in attempts:
        unread += bool(attempt.draft.problem)
        if not attempt.draft.problem or unread > FREE_DRAFTS:
            yield attempt


def _failed(role: str, target: int, error: EngineError) -> str:
    if isinstance(error, Unable):
        return f"target {target}: {error.reason}"
    return f"{CALL_FAILED}: {role}, target {target}: {error.reason}"


def _is_open(attempts: Sequence[Attempt], target: int, rules: Rules, *, alpha: float) -> bool:
    if not attempts:
        return True
    rounds = sum(1 for _ in rounds_of(attempts))
    return rounds < rules.max_rounds and not _is_met(attempts, target, alpha)


def _is_met(attempts: Sequence[Attempt], target: int, alpha: float) -> bool:
    rating = attempts[-1].evaluation.rating if attempts else None
    return rating is not None and abs(target - rating) <= alpha


def _deviation(attempts: Mapping[int, Sequence[Attempt]]) -> float:
    """Sum of |target - rating| over the last attempts; infinite where one has no rating."""
    total = 0.0
    for target, history in attempts.items():
        rating = history[-1].evaluation.rating if history else None
        total += abs(target - rating) if rating is not None else float("inf")
    return total


def _outcome(
    seed: Seed, attempts: Mapping[int, Sequence[Attempt]], rules: Rules, failure: str
) -> Outcome:
    if rules.acceptance == "response":
        met = {t: _is_met(history, t, rules.alpha) for t, history in attempts.items()}
    else:
        met = dict.fromkeys(attempts, _deviation(attempts) <= rules.alpha)
    rated = tuple(
        Rated(target, tuple(history), met[target], "" if met[target] else _why_not(history, target))
        for target, history in attempts.items()
    )
    if failure:
        return Outcome(seed, rated, kept=False, problem=failure)
    if all(met.values()):
        return Outcome(seed, rated, kept=True)
    deviation = _deviation(attempts)
    if rules.acceptance == "instruction" and deviation < float("inf"):
        problem = f"the deviations sum to {deviation:g}, and {rules.alpha:g} is allowed"
    else:
        # Of a rule for all four, only the targets whose own rating is off are to blame.
        failed = (
            r for r in rated if not r.accepted and r.attempts[-1].evaluation.rating != r.target
        )
        problem = "; ".join(f"target {r.target}: {r.problem}" for r in failed)
    return Outcome(seed, rated, kept=False, problem=problem)


def _why_not(attempts: Sequence[Attempt], target: int) -> str:
    if not attempts:
        return "not written"
    last, number = attempts[-1], sum(1 for _ in rounds_of(attempts))
    rounds = f"after {number} round{'s'[: number > 1]}"
    if last.evaluation.rating is None:
        return f"{last.evaluation.feedback} ({rounds})"
    if last.evaluation.rating == target:
        return "rated as wanted, and the others are not"
    return f"rated {last.evaluation.rating:g} {rounds}, and {target} was wanted"
