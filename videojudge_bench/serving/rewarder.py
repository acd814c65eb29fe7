"""Scores of a judge as rewards from 0 to 1."""

from __future__ import annotations

import asyncio
import atexit
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from videojudge_bench.answers.judging import build
from videojudge_bench.errors import ConfigError
from videojudge_bench.serving.reward_rows import Row
from videojudge_bench.serving.reward_score import Against, Asked, Score, ask, share_of
from videojudge_bench.serving.service import JudgeService, Limits

logger = logging.getLogger(__name__)

JUDGED, UNPARSED, TRUNCATED = "judged", "unparsed", "truncated"

_ROOM = Limits(waiting_rows=1 << 20)


@dataclass(frozen=True)
class Reward:
    """Reward of a completion: from 0 to 1, or what was declared for its outcome; None drops it."""

    value: float | None
    score: float | None
    outcome: str


@dataclass(frozen=True)
class RewardOptions:
    """Options for a judge as a reward.

    Attributes:
        judge: `NAME[,option=value…]`.
        videos: folder with the video files, for a judge in this process.
        journal: folder for journals; a completion that is there is not judged again.
        low: the score that becomes 0; by default the low end of the judge's scale.
        high: the score that becomes 1; beyond both, rewards are clipped.
        calibration: map of `videojudge calibrate`, which brings scores to a rating scale first.
        against: `group`: each completion is compared with all others of its prompt, in both orders,
            and the reward is the mean probability of being better. `reference`: compared with its
            first reference. None rates each by itself.
        unparsed: reward of a completion without a verdict; None drops it.
        truncated: reward of a completion that was cut off, which is not judged; None drops it.
    """

    judge: str
    videos: str | None = None
    journal: str | None = None
    low: float | None = None
    high: float | None = None
    calibration: str | None = None
    against: Against | None = None
    unparsed: float | None = None
    truncated: float | None = None


class Rewarder:
    """Asks a judge about completions, and counts what has no verdict.

    Raises:
        ConfigError: no such judge, one that learns from a whole set or cannot be asked so, or one
            without a scale and neither a map nor `low` and `high`.
    """

    def __init__(self, options: RewardOptions) -> None:
        built = build(options.judge)
        self.name = built.name
        self._against = options.against
        self._instead = {UNPARSED: options.unparsed, TRUNCATED: options.truncated}
        self._requires_video = "video" in built.judge.requires
        self.counts: Counter[str] = Counter()
        videos, journal = (
            None if path is None else Path(path) for path in (options.videos, options.journal)
        )
        self._service = JudgeService(built, videos=videos, journal=journal, limits=_ROOM)
        self._share = _share(self._service, options)
        self._service.__enter__()
        atexit.register(self.close)

    def close(self) -> None:
        """Close the judge and the journal; nothing can be asked any more."""
        atexit.unregister(self.close)
        self._service.__exit__(None, None, None)

    def rewards(self, rows: Sequence[Row]) -> list[Reward]:
        """Return the reward of each completion, in their order.

        Raises:
            ConfigError: the judge requires videos and a row names none, or its options cannot work.
        """
        answering, scores = self._ask(rows)
        return self._given(rows, scores(answering.lines()))

    async def rewards_async(self, rows: Sequence[Row]) -> list[Reward]:
        """Return the rewards as `rewards`; rows of calls that wait together are judged together."""
        answering, scores = self._ask(rows)
        await asyncio.wrap_future(answering.future)
        return self._given(rows, scores(answering.lines()))

    def _ask(self, rows: Sequence[Row]) -> Asked:
        if self._requires_video and not all(row.has_video for row in rows):
            raise ConfigError(
                f"judge {self.name} requires videos: expected a column `video_id` (or what "
                "`columns` names), got none"
            )
        whole = [row.answer for row in rows if not row.truncated]
        return ask(self._service, whole, self._against)

    def _given(self, rows: Sequence[Row], scores: Sequence[Score]) -> list[Reward]:
        left = iter(scores)
        rewards = [self._reward(None if row.truncated else next(left)) for row in rows]
        counted = Counter(reward.outcome for reward in rewards)
        self.counts += counted
        if counted[UNPARSED]:
            reason = next(reason for score, reason in scores if score is None)
            logger.warning(
                "judge %s: %d of %d completions have no verdict (%d of %d so far); the first: %s",
                self.name, counted[UNPARSED], len(rows),
                self.counts[UNPARSED], self.counts.total(), reason,
            )  # fmt: skip
        return rewards

    def _reward(self, scored: Score | None) -> Reward:
        score = scored[0] if scored is not None else None
        if score is None:
            outcome = TRUNCATED if scored is None else UNPARSED
            return Reward(self._instead[outcome], None, outcome)
        return Reward(self._share(score), score, JUDGED)


def _share(service: JudgeService, options: RewardOptions) -> Callable[[float], float]:
    built, against = service.run.built, options.against
    needed = "rate" if against is None else "prefer"
    if needed not in built.judge.abilities:
        fix = "give against=group or reference" if against is None else "leave against= out"
        raise ConfigError(f"judge {built.name} cannot {needed}: {fix}")
    if against is None:
        return share_of(service.run, options.low, options.high, options.calibration)
    if any(each is not None for each in (options.low, options.high, options.calibration)):
        raise ConfigError(
            f"against={against}: expected no low=, high= or calibration=, because rewards are "
            "probabilities then; leave them out"
        )
    return float
