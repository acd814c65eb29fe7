"""Judgements of a gold set by a judge: the only caller of a judge.

What is asked is planned in `run.plan`. Here it is asked, the items of a group together; whatever a
judge does wrong with one item becomes a recorded failure of that item, and every judgement is in
the journal before the next one is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace

from videojudge_bench.errors import ConfigError, JudgeFailedError, RunStoppedError
from videojudge_bench.items import Item, RatingGold, part_of
from videojudge_bench.judge import Judge
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run._early_replies import EarlyReplies
from videojudge_bench.run.journal import SERVED, Journal
from videojudge_bench.run.plan import AnyItem, Plan, RunOptions
from videojudge_bench.run.progress import progress_line
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Verdict

__all__ = ["Run", "RunOptions", "answers_of"]

logger = logging.getLogger(__name__)

FAILED = "judge failed"
NO_VERDICT = f"{FAILED}: the judge gave no verdict"
REPLACED = "its video was replaced again and again while it was judged"

MAX_PASSES = 3
"""Maximum number of passes over the items while their videos are being replaced."""


class Run(Plan):
    """A plan that can be carried out."""

    def judge(self, item_ids: Sequence[str]) -> dict[str, Judgement]:
        """Return a judgement for each item, from the journal where it has one.

        An item whose video is replaced in the meantime is judged again.

        Raises:
            ConfigError: the judge does not suit the set, or finds that its options cannot work.
            JudgeFailedError: the judge failed on every item it was asked about.
            JournalBusyError: another process writes the same journal.
            RunStoppedError: a video was replaced, and the judge had learned from all of them.
        """
        return self.judge_shown(self.items(item_ids))

    def judge_shown(self, items: Mapping[str, AnyItem]) -> dict[str, Judgement]:
        """Return a judgement for each item, which need not be in the gold set; as `judge`.

        Args:
            items: by id, as the judge sees them.
        """
        if self.refusal is not None:
            raise ConfigError(f"not applicable: {self.refusal}")
        self.tell_scale()
        unsuited = self.unsuited(items)
        reader = self.built.judge.reader_version
        with Journal(self.folder, rank=self.options.rank, reader=reader) as journal:
            self._served = journal.servers()
            self._write_facts(journal)
            answers = self.judge_items(journal, items, unsuited)
        self._check_videos()
        self._complain_if_all_failed([j for i, j in answers.items() if i not in unsuited])
        return answers

    def judge_items(
        self, journal: Journal, items: Mapping[str, AnyItem], unsuited: Mapping[str, Judgement]
    ) -> dict[str, Judgement]:
        """Return a judgement for each item, in their order, with an open journal.

        The items, by id, are as the judge sees them; it is not asked about those with an `unsuited`
        judgement.
        """
        keys, answers = self._keys(items), dict[str, Judgement]()
        for item_id, judgement in unsuited.items():
            journal.append(keys[item_id], judgement)
        pending = {i: item for i, item in items.items() if i not in unsuited}
        for _ in range(MAX_PASSES):
            self._pass(journal, pending, keys, answers)
            pending = self._stale(pending, keys, answers)
            if not pending:
                break
            keys |= self._keys(pending)
        answers |= {item_id: _failure(item_id, REPLACED) for item_id in pending}
        answers |= unsuited
        return {item_id: answers[item_id] for item_id in items}

    def _pass(
        self,
        journal: Journal,
        items: Mapping[str, AnyItem],
        keys: Mapping[str, str],
        answers: dict[str, Judgement],
    ) -> None:
        """Add what is recorded of the items, and what the judge says of the others."""
        expected = {item_id: keys[item_id] for item_id in items}
        for item_id, judgement in self.recorded(items, expected, journal.records).items():
            if not judgement.failed:
                answers[item_id] = judgement
                journal.keep(keys[item_id], judgement)
        waiting = [item for item_id, item in items.items() if item_id not in answers]
        if waiting:
            self._fit()
        try:
            with EarlyReplies(journal.folder, keys, rank=self.options.rank) as early:
                self.built.judge.early_replies = early
                for judgement in self._ask(_grouped(waiting), done=len(answers)):
                    item_id = judgement.item_id
                    if self._is_current(items[item_id], keys[item_id]):
                        answers[item_id] = judgement
                        self._note_server(journal)
                        journal.append(keys[item_id], judgement)
        except KeyboardInterrupt:
            logger.warning(
                "interrupted: %d of %d judgements are in %s; the same command goes on there",
                len(answers), len(items), self.folder,
            )  # fmt: skip
            raise
        finally:
            self.built.judge.early_replies = None

    def _note_server(self, journal: Journal) -> None:
        """Record what a server says of itself before the first judgement that it made."""
        statements = self.built.judge.server_statements()
        new = [statement for statement in statements if statement not in self._served]
        if not new:
            return
        if self._served and new[0] == statements[0]:  # of a change in this run, its engine warns
            logger.warning(
                "earlier judgements of this run were made by another server: expected %s, got %s",
                dict(self._served[-1]), dict(new[0]),
            )  # fmt: skip
        self._served += new
        self._write_facts(journal)

    def _write_facts(self, journal: Journal) -> None:
        served = {SERVED: self._served} if self._served else {}
        journal.write_run({**self.facts(), **served})

    def _keys(self, items: Mapping[str, AnyItem]) -> dict[str, str]:
        return {item_id: self.key(item) for item_id, item in items.items()}

    def _is_current(self, item: AnyItem, key: str) -> bool:
        """Return whether the item's video is the one that the key was made from."""
        return item.video is None or self.key(item) == key

    def _stale(
        self, items: Mapping[str, AnyItem], keys: Mapping[str, str], answers: dict[str, Judgement]
    ) -> dict[str, AnyItem]:
        """Remove and return the items whose video was replaced while others were judged."""
        stale = {
            item_id: item
            for item_id, item in items.items()
            if item_id not in answers or not self._is_current(item, keys[item_id])
        }
        for item_id in stale:
            answers.pop(item_id, None)
        return stale

    def _check_videos(self) -> None:
        learned = self.identity.learned.get("videos")
        if learned is not None and learned != self.videos_hash():
            raise RunStoppedError(
                "a video was replaced during the run, and the judge had been given all of them at "
                "its start; run the same command again"
            )

    def _fit(self) -> None:
        judge = self.built.judge
        if type(judge).fit is not Judge.fit:  # most judges learn nothing: do not build 18,000 items
            judge.fit([self.item(item_id) for item_id in self.gold_set.by_id])
        if judge.fits_on_dev:
            judge.fit_dev(self._dev())

    def _dev(self) -> list[tuple[Item, float]]:
        dev: list[tuple[Item, float]] = []
        for example in self.gold_set.examples:
            item = self.item(example.item.id)
            if (
                isinstance(item, Item)
                and isinstance(example.gold, RatingGold)
                and part_of(item.video_id) == "dev"
            ):
                dev.append((item, example.gold.mean))
        return dev if self.gold_set.info.has_dev else []

    def _ask(self, items: Sequence[AnyItem], *, done: int) -> Iterator[Judgement]:
        title = f"{self.built.name} on {self.gold_set.info.task}"
        with progress_line(title, total=done + len(items), done=done) as advance:
            for judgement in self._checked(items):
                parsed = not isinstance(judgement.verdict, Unparsed)
                advance(parsed=parsed, cost=judgement.usage.cost)
                yield judgement

    def _checked(self, items: Sequence[AnyItem]) -> Iterator[Judgement]:
        by_id = {item.id: item for item in items}
        for judgement in answers_of(self.built, items):
            yield self._sound(by_id[judgement.item_id], judgement)

    def _sound(self, item: AnyItem, judgement: Judgement) -> Judgement:
        """Return the judgement as the journal stores it; an invalid verdict becomes a failure."""
        try:
            problem = self._problem(item, judgement.verdict)
            if problem is not None:
                verdict = Unparsed(f"{FAILED}: {problem}")
                judgement = replace(judgement, verdict=verdict, failed=True)
            return Judgement.from_json(judgement.to_json())
        except ValueError as error:
            return _failure(item.id, str(error))

    def _problem(self, item: AnyItem, verdict: Verdict) -> str | None:
        expected = Rating if isinstance(item, Item) else Preference
        if not isinstance(verdict, (expected, Unparsed)):
            return f"the judge returned {verdict!r}; it must return {expected.__name__} or Unparsed"
        scale = self.built.judge.scale
        if isinstance(verdict, Rating) and scale is not None and verdict.value not in scale:
            return f"the judge returned {verdict.value}, outside its scale {scale}"
        return None

    def _complain_if_all_failed(self, judgements: Sequence[Judgement]) -> None:
        if not judgements or not all(judgement.failed for judgement in judgements):
            return
        verdict = judgements[0].verdict
        reason = verdict.reason if isinstance(verdict, Unparsed) else str(verdict)
        raise JudgeFailedError(
            f"judge {self.built.name} failed on all {len(judgements)} items of "
            f"{self.gold_set.info.task}; the first: {reason}"
        )


def answers_of(built: BuiltJudge, items: Sequence[AnyItem]) -> Iterator[Judgement]:
    """Yield exactly one judgement per item: the item boundary.

    When the judge raises, the items that it had taken and not answered are asked for one by one,
    so that the failure is pinned to the item that caused it, and the rest of the stream goes on.
    """
    waiting = {item.id: item for item in items}
    while waiting:
        taken: list[AnyItem] = []
        error = yield from _stream(built, list(waiting.values()), taken, waiting)
        if error is None or not waiting:
            for item_id in waiting:
                yield Judgement(item_id, Unparsed(NO_VERDICT), failed=True)
            return
        begun = [item for item in taken if item.id in waiting]
        for item in begun or [next(iter(waiting.values()))]:
            alone = error
            if len(begun) != 1:
                alone = (yield from _stream(built, [item], [], waiting)) or error
            if waiting.pop(item.id, None) is not None:
                yield _failure(item.id, f"{type(alone).__name__}: {alone}")


def _stream(
    built: BuiltJudge, batch: Sequence[AnyItem], taken: list[AnyItem], waiting: dict[str, AnyItem]
) -> Generator[Judgement, None, Exception | None]:
    def feed() -> Iterator[AnyItem]:
        for item in batch:
            taken.append(item)
            yield item

    try:
        for judgement in built.judge.judge(feed()):
            if waiting.pop(judgement.item_id, None) is not None:
                yield judgement
    except ConfigError:
        raise  # every other item would fail in the same way
    except Exception as error:  # the item boundary: it becomes a recorded failure
        logger.debug("judge %s raised", built.name, exc_info=True)
        return error
    return None


def _failure(item_id: str, reason: str) -> Judgement:
    return Judgement(item_id, Unparsed(f"{FAILED}: {reason}"), failed=True)


def _grouped(items: Sequence[AnyItem]) -> list[AnyItem]:
    """Items of one group one after another, groups in the order of their first item."""
    groups: dict[tuple[str, str], list[AnyItem]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    return [item for group in groups.values() for item in group]
