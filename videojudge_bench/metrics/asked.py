"""The examples that a judge was asked about, with its verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, part_of
from videojudge_bench.verdicts import (
    MISSING_VIDEO,
    Judgement,
    Preference,
    Rating,
    Unparsed,
    Verdict,
)

PARTS = ("all", "test")


@dataclass(frozen=True)
class Asked:
    """Examples with their verdicts, by video and then by id, so that no result hangs on order."""

    answers: tuple[tuple[Example, Verdict], ...]

    def only(self, part: str) -> Asked:
        """Return those of `dev` or `test` videos; `all` keeps all."""
        if part == "all":
            return self
        return Asked(tuple(a for a in self.answers if part_of(a[0].item.video_id) == part))

    @property
    def n_parsed(self) -> int:
        """Number of examples with a verdict."""
        return sum(not isinstance(verdict, Unparsed) for _, verdict in self.answers)

    @property
    def n_missing_video(self) -> int:
        """Number of examples that had no video to look at."""
        return sum(is_missing_video(verdict) for _, verdict in self.answers)

    def why_nothing(self) -> str:
        """Return why there is no parsed verdict."""
        if not self.answers:
            return "no judgements"
        if self.n_missing_video == len(self.answers):
            return "video missing for every item"
        return "no parsed verdict"


def asked(gold_set: GoldSet, judgements: Mapping[str, Judgement]) -> Asked:
    """Return the examples that were asked, with their verdicts.

    Raises:
        ConfigError: on judgements of items that the gold set does not have, or with a verdict that
            its shape cannot use (a preference about a single response).
    """
    unknown = [item_id for item_id in judgements if item_id not in gold_set.by_id]
    if unknown:
        raise ConfigError(
            f"{gold_set.info.task}: {len(unknown)} judgements are of items that the set does not "
            f"have, such as {unknown[0]!r}. They belong to another set or version; judge again."
        )
    wanted = Preference if gold_set.info.shape == "pairs" else Rating
    found = []
    for item_id, judgement in judgements.items():
        verdict = judgement.verdict
        if not isinstance(verdict, (wanted, Unparsed)):
            raise ConfigError(
                f"{gold_set.info.task}: item {item_id!r} was judged with a "
                f"{type(verdict).__name__}; {gold_set.info.shape} need a {wanted.__name__}"
            )
        found.append((gold_set.by_id[item_id], verdict))
    return Asked(tuple(sorted(found, key=lambda a: (a[0].item.video_id, a[0].item.id))))


def is_missing_video(verdict: Verdict) -> bool:
    """Return whether there is no verdict because there was no video to look at."""
    return isinstance(verdict, Unparsed) and verdict.reason.startswith(MISSING_VIDEO)
