"""Executors of shards: one event loop in this process, or Ray Data's workers.

Both run the same `ShardWork`; a shard's result does not depend on where it is worked on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from videojudge_bench.errors import VideoJudgeError
from videojudge_bench.training.bootstrap.calls import CallJournal, HaltError, JournalledCalls, Meter
from videojudge_bench.training.bootstrap.contracts import Outcome, Seed
from videojudge_bench.training.bootstrap.loop import CALL_FAILED, bootstrap_seed, with_rubric
from videojudge_bench.training.bootstrap.options import BootstrapOptions
from videojudge_bench.training.bootstrap.roles import Roles
from videojudge_bench.training.bootstrap.run_folder import RunFolder, Shard


@dataclass
class Tally:
    """Counts of the seeds' outcomes so far.

    Attributes:
        failed: seeds rejected because a call failed; they are tried again.
        requests: replies, recorded ones of earlier runs included.
        cost: of the same, in the unit of the engines' prices.
    """

    seeds: int = 0
    kept: int = 0
    failed: int = 0
    requests: int = 0
    cost: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count a seed."""
        self.seeds += 1
        self.kept += outcome.kept
        self.failed += is_failed(outcome)


def is_failed(outcome: Outcome) -> bool:
    """Return whether a seed is rejected because a call failed, and is to be tried again."""
    return outcome.problem.startswith(CALL_FAILED)


class _OpenShard:
    def __init__(
        self, folder: RunFolder, shard: Shard, roles: Roles, meter: Meter, disk: Executor
    ) -> None:
        self.shard = shard
        self.journal = CallJournal(folder.journal_path(shard), disk)
        self.calls = JournalledCalls(
            roles.generator, roles.evaluator, meter, self.journal, roles.rubrics
        )
        self._folder = folder
        self._outcomes: dict[int, Outcome] = {}

    def put(self, place: int, outcome: Outcome) -> bool:
        """Take an outcome; return whether it was the last one that was missing."""
        self._outcomes[place] = outcome
        return len(self._outcomes) == self.shard.seeds

    def finish(self) -> None:
        try:
            # Let go of as they are written: the next shard fills meanwhile.
            ordered = (self._outcomes.pop(number) for number in range(self.shard.seeds))
            self._folder.write_outcomes(self.shard, ordered)
        finally:
            self.journal.close()


class ShardWork:
    """Works on shards, so many seeds at a time; `on_outcome` gets each seed's outcome."""

    def __init__(
        self,
        folder: RunFolder,
        roles: Roles,
        meter: Meter,
        options: BootstrapOptions,
        *,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._folder, self._roles, self._meter = folder, roles, meter
        self._options, self._on_outcome = options, on_outcome
        self._open: dict[int, _OpenShard] = {}
        self._error: VideoJudgeError | None = None

    def run(self, shards: Iterable[Shard]) -> None:
        """Work until all shards are written, or the meter stops.

        Raises:
            VideoJudgeError: going on is impossible; calls in flight have been waited for.
        """
        # The event loop must not wait for the disk: hundreds of replies would wait with it.
        with ThreadPoolExecutor(2, "videojudge-disk") as self._disk:
            asyncio.run(self._run(shards))
        if self._error is not None:
            raise self._error

    async def _run(self, shards: Iterable[Shard]) -> None:
        feed = self._feed(shards)
        workers = [asyncio.create_task(self._work(feed)) for _ in range(self._options.concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            for shard in self._open.values():
                shard.journal.close()
            self._open.clear()

    def _feed(self, shards: Iterable[Shard]) -> Iterator[tuple[_OpenShard, int, Seed]]:
        for shard in shards:
            work = _OpenShard(self._folder, shard, self._roles, self._meter, self._disk)
            self._open[shard.number] = work
            for place, seed in enumerate(self._folder.seeds(shard)):
                yield work, place, seed

    async def _work(self, feed: Iterator[tuple[_OpenShard, int, Seed]]) -> None:
        options = self._options
        try:
            for work, place, seed in feed:
                outcome = await bootstrap_seed(seed, work.calls, options.rules)
                if outcome.kept and options.export.need_rubric(seed.id):
                    outcome = await with_rubric(outcome, work.calls, options.rules)
                if work.put(place, outcome):
                    del self._open[work.shard.number]
                    await asyncio.wrap_future(self._disk.submit(work.finish))
                self._on_outcome(outcome)
                await asyncio.sleep(0)  # for Ctrl-C, where no call ever waits
        except HaltError:
            return
        except VideoJudgeError as error:
            self._error = self._error or error
            self._meter.halt(str(error))
