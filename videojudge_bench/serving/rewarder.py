"""Scores of a judge as rewards from 0 to 1."""

from __future__ import annotations

import asyncio
import atexit
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from videojudge_bench.answers.judging import build
from videojudge_bench.errors import ConfigError
from videojudge_bench.scale import RatingScale
from videojudge_bench.serving.reward_rows import Row
from videojudge_bench.serving.service import Answering, JudgeService, Limits, Line

logger = logging.getLogger(__name__)

JUDGED, UNPARSED, TRUNCATED = "judged", "unparsed", "truncated"

_ROOM = Limits(waiting_rows=1 << 20)


@dataclass(frozen=True)
class Reward:
    """Reward of a completion: from 0 to 1, or what was declared for its outcome; None drops it."""

    value: float | None
    score: float | None
    outcome: str


class Rewarder:
    """Asks a judge about completions, and counts what has no verdict.

    Args:
        judge: `NAME[,option=value…]`.
        videos: folder with the video files, for a judge in this process.
        journal: folder for journals; a completion that is there is not judged again.
        low: the score that becomes 0; by default the low end of the judge's scale.
        high: the score that becomes 1; beyond both, rewards are clipped.
        unparsed: reward of a completion without a verdict; None drops it.
        truncated: reward of a completion that was cut off, which is not judged; None drops it.

    Raises:
        ConfigError: no such judge, one that learns from a whole set, or one without a scale and
            neither `low` nor `high`.
    """

    def __init__(
        self,
        judge: str,
        *,
        videos: str | None = None,
        journal: str | None = None,
        low: float | None = None,
        high: float | None = None,
        unparsed: float | None = None,
        truncated: float | None = None,
    ) -> None:
        built = build(judge)
        self.name = built.name
        self._low, self._high = _ends(built.name, built.judge.scale, low, high)
        self._instead = {UNPARSED: unparsed, TRUNCATED: truncated}
        self._requires_video = "video" in built.judge.requires
        self.counts: Counter[str] = Counter()
        paths = [None if path is None else Path(path) for path in (videos, journal)]
        self._service = JudgeService(built, videos=paths[0], journal=paths[1], limits=_ROOM)
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
        asking = self._ask(rows)
        return self._given(rows, asking.lines())

    async def rewards_async(self, rows: Sequence[Row]) -> list[Reward]:
        """Return the rewards as `rewards`; rows of calls that wait together are judged together."""
        asking = self._ask(rows)
        await asyncio.wrap_future(asking.future)
        return self._given(rows, asking.lines())

    def _ask(self, rows: Sequence[Row]) -> Answering:
        if self._requires_video and not all(row.has_video for row in rows):
            raise ConfigError(
                f"judge {self.name} requires videos: expected a column `video_id` (or what "
                "`columns` names), got none"
            )
        return self._service.score([row.answer for row in rows if not row.truncated])

    def _given(self, rows: Sequence[Row], lines: Sequence[Line]) -> list[Reward]:
        left = iter(lines)
        rewards = [self._reward({} if row.truncated else next(left)) for row in rows]
        counted = Counter(reward.outcome for reward in rewards)
        self.counts += counted
        if counted[UNPARSED]:
            reason = next(line["unparsed"] for line in lines if "unparsed" in line)
            logger.warning(
                "judge %s: %d of %d completions have no verdict (%d of %d so far); the first: %s",
                self.name, counted[UNPARSED], len(rows),
                self.counts[UNPARSED], self.counts.total(), reason,
            )  # fmt: skip
        return rewards

    def _reward(self, line: Line) -> Reward:
        score = line.get("score")
        if not isinstance(score, (int, float)):
            outcome = UNPARSED if line else TRUNCATED
            return Reward(self._instead[outcome], None, outcome)
        share = (score - self._low) / (self._high - self._low)
        return Reward(min(max(share, 0.0), 1.0), float(score), JUDGED)


def _ends(
    name: str, scale: RatingScale | None, low: float | None, high: float | None
) -> tuple[float, float]:
    low = low if low is not None or scale is None else float(scale.low)
    high = high if high is not None or scale is None else float(scale.high)
    if low is None or high is None:
        raise ConfigError(
            f"judge {name} has no scale: expected low=… and high=…, the scores that become 0 and 1"
        )
    if not low < high:
        raise ConfigError(f"expected low < high, got {low} and {high}")
    return low, high
