"""Calls of generator and evaluator: counted, paid once, and on disk before they are used."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar, Union

from videojudge_bench._util.files import cannot_write
from videojudge_bench.engine import EngineError
from videojudge_bench.errors import DataError
from videojudge_bench.run.journal import SYNC_EVERY_SECONDS, cut_torn_line
from videojudge_bench.training.bootstrap.contracts import (
    Attempt,
    Draft,
    DraftReply,
    Evaluation,
    EvaluationReply,
    Evaluator,
    Generator,
    RubricWriter,
    Seed,
    Unable,
    from_json,
    to_json,
)
from videojudge_bench.verdicts import Usage

logger = logging.getLogger(__name__)

Role = Literal["generator", "evaluator", "check", "rubric", "order"]
"""The role that was asked; a `check` asked nobody and says why a draft is no response."""

NO_TARGET = 0
"""The target of lines that are about an instruction, not about one of its responses."""

_RATED: Sequence[str] = ("evaluator", "check")

ReplyT = TypeVar("ReplyT", Draft, Evaluation)


@dataclass(frozen=True)
class Limits:
    """Limits at which a run stops.

    Attributes:
        max_cost: money that its replies may have cost in all, in the unit of the engines' prices.
        max_failures: so many calls that fail one after another end the run.
        call_cost: upper bound of a call's cost, until a dearer one has been made.
    """

    max_requests: int | None = None
    max_cost: float | None = None
    max_failures: int = 20
    call_cost: float = 0.0


class HaltError(Exception):
    """No further call may be made; the meter has the reason."""


class Meter:
    """Counts what a run spends, and decides when it must stop.

    Calls in flight are then still waited for. Requests and cost include those of earlier runs.

    Attributes:
        budget: why no more may be spent; empty while more may.
        trouble: why to give up; empty while there is no reason.
    """

    def __init__(self, limits: Limits, *, requests: int = 0, cost: float = 0.0) -> None:
        self.requests, self.cost = requests, cost
        self.budget, self.trouble = "", ""
        self._limits = limits
        self._in_flight = 0
        self._dearest = limits.call_cost
        self._failures = 0

    @property
    def stopped(self) -> bool:
        """True if no further call may begin."""
        return bool(self.budget or self.trouble)

    async def count(
        self, call: Callable[[], Awaitable[Union[ReplyT, EngineError]]]
    ) -> Union[ReplyT, EngineError]:
        """Return the result of a call, counted.

        Raises:
            HaltError: it may not begin.
        """
        if not self.stopped:
            self.budget = self._over_budget()
        if self.stopped:
            raise HaltError
        self._in_flight += 1
        try:
            reply = await call()
        finally:
            self._in_flight -= 1
        if isinstance(reply, EngineError):
            if isinstance(reply, Unable):
                return reply
            self._failures += 1
            if self._failures >= self._limits.max_failures:
                last = reply.reason
                self.halt(f"{self._failures} calls failed one after another; the last: {last}")
        else:
            self._failures = 0
            self.requests += 1
            self.cost += reply.usage.cost
            self._dearest = max(self._dearest, reply.usage.cost)
        return reply

    def halt(self, trouble: str) -> None:
        """Let no further call begin; the first reason counts."""
        self.trouble = self.trouble or trouble

    def _over_budget(self) -> str:
        limits = self._limits
        begun = self.requests + self._in_flight
        if limits.max_requests is not None and begun >= limits.max_requests:
            return f"max_requests={limits.max_requests} is used up"
        # Calls in flight, and this one, may each cost as much as the dearest so far.
        held = self.cost + (self._in_flight + 1) * self._dearest
        if limits.max_cost is not None and held > limits.max_cost:
            return (
                f"max_cost={limits.max_cost:g} would be passed: {self.cost:.4f} is spent, and each "
                f"of {self._in_flight + 1} calls may cost up to {self._dearest:.4f}"
            )
        return ""


class CallJournal:
    """The replies of one shard: those of earlier runs, and a line for each new one.

    Lines go to the operating system one by one, and to the disk, by the thread `disk`, about once a
    second.

    Raises:
        RunStoppedError: a line cannot be written; the file is left as it was before.
    """

    def __init__(self, path: Path, disk: Executor) -> None:
        self._path, self._disk = path, disk
        self._sync: Future[None] | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        cut_torn_line(path)
        self._known: dict[tuple[str, int], dict[tuple[int, Role, int], Draft | Evaluation]] = {}
        for call in read_calls(path):
            known = self._known.setdefault((call.seed, call.target), {})
            # What was read from a reply is all that is worked with.
            known[call.number, call.role, call.tries] = replace(call.reply, raw="")
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._synced_at = time.monotonic()

    def draft(self, seed: Seed, target: int, number: int, role: Role = "generator") -> Draft | None:
        """Return a draft by its number; None when nothing is recorded."""
        reply = self._known.get((seed.id, target), {}).get((number, role, 1))
        return reply if isinstance(reply, Draft) else None

    def evaluation(
        self, seed: Seed, target: int, number: int, role: Role, tries: int = 1
    ) -> Evaluation | None:
        """Return the evaluation of a draft in so many tries; None when nothing is recorded."""
        reply = self._known.get((seed.id, target), {}).get((number, role, tries))
        return reply if isinstance(reply, Evaluation) else None

    def forget_from(self, seed: Seed, target: int, number: int) -> None:
        """Forget the records of a draft and of later ones, which are about another draft."""
        known = self._known.get((seed.id, target), {})
        for later in [key for key in known if key[0] >= number]:
            del known[later]

    def add(self, call: Call) -> None:
        """Append a line."""
        line = {"seed": call.seed, "target": call.target, "round": call.number, "role": call.role}
        line |= {"try": call.tries} if call.tries > 1 else {}
        line |= {"reply": to_json(call.reply)}
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
        size = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, data)
            if written < len(data):  # the next write raises the error
                os.write(self._file, data[written:])
        except OSError as error:
            os.ftruncate(self._file, size)
            raise cannot_write(self._path, error) from error
        now = time.monotonic()
        is_due = now - self._synced_at >= SYNC_EVERY_SECONDS
        if is_due and (self._sync is None or self._sync.done()):
            self._sync, self._synced_at = self._disk.submit(os.fsync, self._file), now

    def close(self) -> None:
        """Write everything to disk, and wait for it."""
        if self._sync is not None:
            wait([self._sync])
        os.fsync(self._file)
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class Call:
    """A line of a journal: a reply of a role.

    `target` is the rating aimed at, or `NO_TARGET`. `number` counts drafts from 1 and is `round` in
    the file; `tries` counts requests for the same reply and is `try` in the file.
    """

    seed: str
    target: int
    number: int
    role: Role
    reply: Draft | Evaluation
    tries: int = 1


def read_calls(path: Path) -> Iterator[Call]:
    """Yield the lines of a journal; a later one of the same call replaces an earlier.

    An unreadable line (a damaged disk) is logged and left out, and its call is made again.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                data = json.loads(line)
                reply: Draft | Evaluation = (
                    from_json(Evaluation, data["reply"], path=path, line=number)
                    if data["role"] in _RATED
                    else from_json(Draft, data["reply"], path=path, line=number)
                )
                named = (data["seed"], data["target"], data["round"], data["role"])
                yield Call(*named, reply, data.get("try", 1))
            except DataError as error:
                logger.warning("left out: %s", error)
            except (ValueError, KeyError, TypeError) as error:
                logger.warning("left out: %s, line %d: %r", path, number, error)


@dataclass
class Spent:
    """Number of calls and their cost."""

    calls: int = 0
    usage: Usage = Usage()


def spent_on(calls: Iterable[Call]) -> dict[Role, Spent]:
    """Return what was spent on each role; checks cost nothing and are left out."""
    by_role: dict[Role, Spent] = {}
    for call in calls:
        if call.role != "check":
            spent = by_role.setdefault(call.role, Spent())
            spent.calls += 1
            spent.usage += call.reply.usage
    return by_role


class JournalledCalls:
    """Makes the calls of a shard's seeds, unless the journal has their replies."""

    def __init__(
        self,
        generator: Generator,
        evaluator: Evaluator,
        meter: Meter,
        journal: CallJournal,
        rubrics: RubricWriter | None = None,
    ) -> None:
        self._generator, self._evaluator, self._rubrics = generator, evaluator, rubrics
        self._meter, self._journal = meter, journal
        # Asked the same again, such an evaluator says the same again.
        self._is_fixed = evaluator.settings().get("temperature") == 0
        self._rated: dict[tuple[str, str], Evaluation] = {}

    async def draft(self, seed: Seed, target: int, earlier: Sequence[Attempt]) -> DraftReply:
        """Return the draft that comes after `earlier`.

        Raises:
            HaltError: the run has to stop.
            RunStoppedError: the reply cannot be recorded.
        """
        number = len(earlier) + 1
        known = self._journal.draft(seed, target, number)
        if known is not None:
            return known
        self._journal.forget_from(seed, target, number)
        draft = await self._meter.count(lambda: self._generator.write(seed, target, earlier))
        return self._kept(seed, target, number, "generator", draft)

    async def evaluation(
        self, seed: Seed, target: int, number: int, draft: Draft, unread: Sequence[Evaluation]
    ) -> EvaluationReply:
        """Return the evaluation of draft `number`; raises as `draft` does.

        A text of this seed that an evaluator at temperature 0 has rated is not rated again.
        """
        tries, text = len(unread) + 1, (seed.id, draft.text)
        reply: EvaluationReply | None = self._journal.evaluation(
            seed, target, number, "evaluator", tries
        )
        if reply is None and text in self._rated:
            return replace(self._rated[text], usage=Usage())
        if reply is None:
            reply = await self._meter.count(lambda: self._evaluator.rate(seed, draft, unread))
            reply = self._kept(seed, target, number, "evaluator", reply, tries=tries)
        if self._is_fixed and isinstance(reply, Evaluation) and reply.rating is not None:
            self._rated[text] = reply
        return reply

    def refused(self, seed: Seed, target: int, number: int, why: str) -> None:
        """Note why draft `number` is no response."""
        if self._journal.evaluation(seed, target, number, "check") is None:
            self._journal.add(Call(seed.id, target, number, "check", Evaluation(None, why)))

    async def rubric(
        self, seed: Seed, number: int, problem: str
    ) -> Union[Draft, EngineError, None]:
        """Return the rubric of round `number`, None without a writer; raises as `draft` does."""
        writer = self._rubrics
        if writer is None:
            return None
        known = self._journal.draft(seed, NO_TARGET, number, "rubric")
        if known is not None:
            return known
        self._journal.forget_from(seed, NO_TARGET, number)
        rubric = await self._meter.count(lambda: writer.rubric(seed, number, problem))
        return self._kept(seed, NO_TARGET, number, "rubric", rubric)

    def _kept(
        self,
        seed: Seed,
        target: int,
        number: int,
        role: Role,
        reply: Union[ReplyT, EngineError],
        *,
        tries: int = 1,
    ) -> Union[ReplyT, EngineError]:
        """The reply without the raw text, which only the journal keeps."""
        if isinstance(reply, EngineError):
            return reply
        self._journal.add(Call(seed.id, target, number, role, reply, tries))
        return replace(reply, raw="")
