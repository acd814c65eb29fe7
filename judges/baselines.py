"""Baselines that ignore video and references: a lower bound for every other judge."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Preference, Rating


class Random(Judge):
    """Rates 1 to 5 and tosses a fair coin for pairs, from a hash of seed and item.

    The order of work, `--limit` and the number of processes change nothing. A pair shown the other
    way round gets the same winner; two equal responses are a tie.

    Args:
        seed: another seed, other verdicts.
    """

    scale: RatingScale = RatingScale(1, 5)

    def __init__(self, seed: int = 0) -> None:
        self.seed = str(seed)

    def rate(self, item: Item) -> Rating:
        """Return a whole number of the scale, each as likely; it depends on seed and id alone."""
        values = self.scale.values
        return Rating(values[int(len(values) * unit_interval(self.seed, item.id))])

    def prefer(self, pair: Pair) -> Preference:
        """Return 1.0 or 0.0, each as likely; 0.5 for equal responses. The order does not matter."""
        if pair.first == pair.second:
            return Preference(0.5)
        earlier, later = sorted((pair.first, pair.second))
        coin = unit_interval(self.seed, *pair.group, earlier, later)
        return Preference(float(pair.first == (earlier if coin < 0.5 else later)))


class Constant(Judge):
    """Gives every response the same rating, so every pair is a tie.

    Its error is what a judge has to beat before its ratings say anything.

    Args:
        level: the rating, 1 to 5. Left out, it is the mean gold rating of the dev part, which
            has the smallest squared error, and numbers are reported on the test part; without a
            dev part it is 3, the middle of the scale.

    Raises:
        ConfigError: when `level` is not a number within the scale.
    """

    scale: RatingScale = RatingScale(1, 5)

    def __init__(self, level: float | None = None) -> None:
        if level is not None and level not in self.scale:
            raise ConfigError(
                f"level={level!r} is not on the scale {self.scale}. Give a number from "
                f"{self.scale.low} to {self.scale.high}, or leave it out to fit it on the dev part."
            )
        self.level = self.scale.middle if level is None else float(level)
        self.fits_on_dev = level is None

    def fit_dev(self, dev: Sequence[tuple[Item, float]]) -> None:
        """Take the mean gold rating of the dev part; with no item there the middle stays."""
        if self.fits_on_dev:
            self.level = fmean(gold for _, gold in dev) if dev else self.scale.middle

    def rate(self, item: Item) -> Rating:
        """Return the level, whatever the item."""
        return Rating(self.level)


class Longest(Judge):
    """Ranks responses by their number of words, as the baseline of length."""

    scale = None

    def rate(self, item: Item) -> Rating:
        """Return the number of words (stretches without a space); 0 for an empty response."""
        return Rating(float(len(item.response.split())))
