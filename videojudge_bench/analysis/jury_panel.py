"""The members of a jury out of stored runs: their verdicts on the items that all were asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from videojudge_bench import registry
from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.analysis.jury_model import fit_model
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.view import view_of
from videojudge_bench.items import Example, Item, OptionGold, PreferenceGold, RatingGold, part_of
from videojudge_bench.leaderboard.opening import OpenRun, open_run, with_distinct_names
from videojudge_bench.metrics.bootstrap import Bools, Floats, codes, estimate
from videojudge_bench.metrics.disagreement import share_below
from videojudge_bench.metrics.paired import rated_statistics, statistic_of
from videojudge_bench.metrics.rating_statistics import Rated
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

FOLDS = 5
"""Parts of dev for cross-validation, by video."""

_LEVELS = 20  # of ranks, for alpha


@dataclass(frozen=True)
class Panel:
    """The members' verdicts on the items that all of them were asked about.

    Attributes:
        runs: one per member, with distinct names, on one gold set.
        examples: asked of all.
        scores: shape (items, members); the probability of the first of a pair; NaN: no verdict.
    """

    runs: tuple[OpenRun, ...]
    examples: tuple[Example, ...]
    scores: Floats

    @property
    def gold_set(self) -> GoldSet:
        """The set that all judged."""
        return self.runs[0].gold_set

    @property
    def names(self) -> list[str]:
        """Names of the members."""
        return [run.name for run in self.runs]

    @cached_property
    def gold(self) -> Floats:
        """Mean rating, 1 for a correct option, or the probability of the first, of each item."""
        return np.array([_gold_of(example) for example in self.examples])

    @cached_property
    def is_dev(self) -> Bools:
        """Of each item, whether it is in the dev part; all are where there is none."""
        has_dev = self.gold_set.info.has_dev
        parts = (part_of(example.item.video_id) for example in self.examples)
        return np.array([part == "dev" or not has_dev for part in parts], dtype=np.bool_)

    @property
    def reported(self) -> Bools:
        """Of each item, whether it is in the part that numbers are reported on."""
        has_dev = self.gold_set.info.has_dev
        return ~self.is_dev if has_dev else np.ones(len(self.examples), dtype=np.bool_)

    @cached_property
    def folds(self) -> Floats:
        """Fold of each item, by video."""
        shares = [unit_interval("jury", example.item.video_id) for example in self.examples]
        return np.asarray(np.floor(FOLDS * np.array(shares)), dtype=np.float64)

    def judgements(self, scores: Floats, some: Bools) -> dict[str, Judgement]:
        """Return scores (items,) of some items as judgements."""
        kind = Preference if self.gold_set.info.shape == "pairs" else Rating
        parsed = some & ~np.isnan(scores)
        return {
            e.item.id: Judgement(
                e.item.id, kind(float(score)) if is_parsed else Unparsed("too few members")
            )
            for e, score, is_parsed, is_some in zip(
                self.examples, scores, parsed, some, strict=True
            )
            if is_some
        }

    def value(self, scores: Floats, some: Bools, statistic: str) -> float:
        """Return a statistic of scores on some items; NaN where it is undefined."""
        kept = some & ~np.isnan(scores)
        if len({e.item.video_id for e, k in zip(self.examples, kept, strict=True) if k}) < 2:
            return np.nan
        if self.gold_set.info.shape != "ratings":
            judgements = self.judgements(scores, some)
            return statistic_of(self.gold_set, judgements, statistic=statistic)
        columns = {f.name: getattr(self._rated, f.name)[kept] for f in fields(Rated)}
        columns |= {name: codes(columns[name]) for name in ("videos", "groups", "systems")}
        rated = Rated(**{**columns, "scores": scores[kept]})
        known = estimate(
            rated_statistics(rated, statistic, self.gold_set.info.scale), rated.n_videos
        )
        return known[statistic]

    def alpha(self) -> float | None:
        """Return Krippendorff's alpha of the members' ranks (interval), None where undefined."""
        import krippendorff

        ranks = np.round(_LEVELS * self._ranks.T)
        if len(ranks) < 2 or len(np.unique(ranks[~np.isnan(ranks)])) < 2:
            return None
        alpha = krippendorff.alpha(reliability_data=ranks, level_of_measurement="interval")
        return None if np.isnan(alpha) else float(alpha)

    def error_correlations(self) -> list[list[float | None]]:
        """Return Pearson's r of the members' errors (rank minus rank of the gold) on dev."""
        import pandas as pd

        dev = self.is_dev
        errors = self._ranks[dev] - share_below(self.gold[dev])[:, None]
        rows = pd.DataFrame(errors).corr().to_numpy().tolist()
        return [[None if np.isnan(r) else r for r in row] for row in rows]

    @cached_property
    def _rated(self) -> Rated:
        return Rated.of(self.examples, [0.0] * len(self.examples))

    @cached_property
    def _ranks(self) -> Floats:
        """The members' scores as ranks among all items, shape (items, members)."""
        return fit_model(self.scores, None, "mean").common(self.scores)


def open_panel(sources: Sequence[str]) -> Panel:
    """Return the members' verdicts.

    Args:
        sources: folders with a run each, or CSV files of scores by item id, `FILE.csv[:COLUMN]`.

    Raises:
        ConfigError: no run, runs on different items, or a source that cannot be opened.
    """
    folders = [source for source in sources if ".csv" not in source]
    if not folders:
        raise ConfigError("expected the folder of a run, which names the gold set, got none")
    opened = {source: open_run(Path(source)) for source in folders}
    like = opened[folders[0]]
    runs = [opened.get(source) or _csv_member(source, like) for source in sources]
    for run in runs:
        if run.gold_set.content_hash != like.gold_set.content_hash:
            raise ConfigError(
                f"expected runs on one gold set, got {like.title} and {run.title}; give runs on "
                "the same form of one set"
            )
    asked = set.intersection(*(set(run.judgements) for run in runs))
    examples = tuple(e for e in like.gold_set.examples if e.item.id in asked)
    if len({example.item.video_id for example in examples}) < 2:
        raise ConfigError("expected items of 2 videos or more that all members judged, got fewer")
    columns = [[_number(run.judgements[e.item.id]) for e in examples] for run in runs]
    return Panel(tuple(with_distinct_names(runs)), examples, np.array(columns).T)


def _csv_member(source: str, like: OpenRun) -> OpenRun:
    """Return scores of a CSV file as a run on the same items; the judge `precomputed` reads it."""
    stem, ending, column = source.partition(".csv")
    ending, _, column = f"{ending}{column}".partition(":")
    options = {"scores": f"{stem}{ending}", **({"column": column} if column else {})}
    built = registry.build("precomputed", options)
    view = view_of(like.gold_set, 0, None, None)
    items = (view.item(item_id) for item_id in like.judgements)
    judgements = {i.id: Judgement(i.id, built.judge.rate(i)) for i in items if isinstance(i, Item)}
    record = replace(
        like.record,
        name=column or f"{stem}{ending}".rpartition("/")[2],
        on_scale=False,
        judge=built.signature(),
        judgements=judgements,
    )
    return OpenRun(record, like.gold_set)


def _number(judgement: Judgement) -> float:
    verdict = judgement.verdict
    if isinstance(verdict, Unparsed):
        return np.nan
    return verdict.value if isinstance(verdict, Rating) else verdict.p_first


def _gold_of(example: Example) -> float:
    gold = example.gold
    if isinstance(gold, RatingGold):
        return gold.mean
    if isinstance(gold, OptionGold):
        return float(gold.correct)
    return gold.p_first if isinstance(gold, PreferenceGold) else np.nan
