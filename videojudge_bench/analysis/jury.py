"""A jury out of stored runs: what the members agree on, what each adds, how many pay.

Everything that is chosen or fitted is so on the dev part, by cross-validation over its videos; the
test part is looked at for the figures of the report alone, and these looks are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np

from videojudge_bench._util.hashing import Json
from videojudge_bench.analysis.jury_model import (
    FITTED,
    Combine,
    JuryModel,
    Knots,
    Member,
    SavedJury,
    Scales,
    enough_of,
    fit_model,
)
from videojudge_bench.analysis.jury_panel import FOLDS, Panel
from videojudge_bench.errors import ConfigError
from videojudge_bench.metrics.bootstrap import Bools, Floats, Resampling
from videojudge_bench.metrics.compare import compare
from videojudge_bench.metrics.keys import primary_key
from videojudge_bench.metrics.paired import difference_intervals

WITHIN = "tau_b_within"
_RIVALS = 2  # members that the jury is tested against


@dataclass(frozen=True)
class JuryOptions:
    """Options of a jury out of stored runs: those of `fit_model`, and these.

    Attributes:
        dev_only: leave the test part closed, for choosing.
        resamples: of videos, for intervals; and permutations of the test.
    """

    combine: Combine = "fitted"
    scales: Scales = "rank"
    min_members: int | None = None
    seed: int = 0
    dev_only: bool = False
    resamples: int = 1000


@dataclass
class Study:
    """A jury of the members of a panel, with what is worth knowing of it.

    Attributes:
        looks: statistics of the test part that were worked out so far.

    Raises:
        ConfigError: a rule that learns, of a set without a dev part or of pairs.
    """

    panel: Panel
    options: JuryOptions = field(default_factory=JuryOptions)
    looks: int = 0

    def __post_init__(self) -> None:
        info, options = self.panel.gold_set.info, self.options
        enough_of(len(self.members), options.min_members)
        learns = options.combine in FITTED or options.scales == "map"
        if learns and (not info.has_dev or info.shape == "pairs"):
            raise ConfigError(
                f"a rule that learns (combine={options.combine}, scales={options.scales}): "
                f"expected ratings or options with a dev part, got {info.task} ({info.data}, "
                f"{info.shape}); use mean or median of ranks"
            )
        learned = [run.name for run in self.panel.runs if run.record.part == "test"]
        if learns and learned:
            raise ConfigError(
                f"{learned[0]} has itself learned from the gold of dev, so that no weight can be "
                "fitted there; leave it out, or use mean or median of ranks"
            )

    @property
    def members(self) -> tuple[int, ...]:
        """Places of the members."""
        return tuple(range(len(self.panel.runs)))

    @property
    def statistics(self) -> tuple[str, ...]:
        """The statistics of the jury that are reported, the primary one first."""
        primary = primary_key(self.panel.gold_set.info)
        if self.panel.gold_set.info.shape != "ratings":
            return (primary,)
        second = "emscore_rho" if primary == "emscore_tau_b" else "kendall_tau_b"
        return (primary, second, WITHIN)

    @cached_property
    def model(self) -> JuryModel:
        """The rule, fitted on dev."""
        return self._fit(self.members, self.panel.is_dev)

    @cached_property
    def alone(self) -> list[float]:
        """The primary statistic of each member on dev; NaN where it is undefined."""
        return [
            self.panel.value(column, self.panel.is_dev, self.statistics[0])
            for column in self.panel.scores.T
        ]

    def on_dev(self, members: Sequence[int], combine: Combine | None = None) -> float:
        """Return the primary statistic on dev, every video scored by a rule fitted on others."""
        panel, scores = self.panel, np.full(len(self.panel.examples), np.nan)
        for fold in range(FOLDS):
            out = panel.is_dev & (panel.folds == fold)
            rest = panel.is_dev & ~out
            if out.any() and rest.any():
                if fold not in self._maps:
                    self._maps[fold] = self._fit(self.members, rest, "mean").maps
                maps = [self._maps[fold][k] for k in members]
                model = self._fit(members, rest, combine, maps)
                scores[out] = model(panel.scores[np.ix_(out, np.array(members))])
        return panel.value(scores, panel.is_dev, self.statistics[0])

    @property
    def path(self) -> Combine:
        """The rule by which subsets are compared: trees take too long."""
        return "fitted" if self.options.combine == "trees" else self.options.combine

    @cached_property
    def subsets(self) -> list[tuple[tuple[int, ...], float]]:
        """The best members by number, each the one before and the member that adds most on dev."""
        best = list[tuple[tuple[int, ...], float]]()
        chosen: tuple[int, ...] = ()
        while len(chosen) < len(self.members):
            options = [(*chosen, k) for k in self.members if k not in chosen]
            values = [_low(self._tried(some)) for some in options]
            chosen, value = options[int(np.argmax(values))], max(values)
            best.append((chosen, value))
        return best

    def adds(self, member: int) -> float | None:
        """Return what a jury of all gains by a member, on dev; None for a member alone."""
        rest = [k for k in self.members if k != member]
        return self._tried(self.members) - self._tried(rest) if rest else None

    def test_value(self, model: JuryModel, members: Sequence[int], statistic: str) -> float | None:
        """Return a statistic on the reported part; None where that stays closed."""
        if self.options.dev_only:
            return None
        self.looks += 1
        scores = model(self.panel.scores[:, members])
        return _or_none(self.panel.value(scores, self.panel.reported, statistic))

    def rivals(self) -> list[dict[str, Json]]:
        """Return the jury against the members that are best on dev: differences and tests."""
        if self.options.dev_only or len(self.members) < 2:
            return []
        order = sorted(self.members, key=lambda k: -_low(self.alone[k]))
        jury = self.model(self.panel.scores)
        return [row for k in order[:_RIVALS] for row in self._against(jury, k)]

    def saved(self) -> SavedJury:
        """Return the jury as a file keeps it."""
        info, panel = self.panel.gold_set.info, self.panel
        return SavedJury(
            members=[
                Member(name=r.name, judge=dict(r.record.judge), references=r.record.references)
                for r in panel.runs
            ],
            model=self.model,
            fitted_on={
                "set": info.name,
                "data": info.data,
                "part": "dev" if info.has_dev else "all",
                "items": int(panel.is_dev.sum()),
                "seed": self.options.seed,
            },
        )

    def to_json(self) -> dict[str, Json]:
        """Return everything; numbers of the test part are None where it stays closed."""
        panel, options = self.panel, self.options
        members: list[Json] = [self._member(k) for k in self.members]
        sizes: list[Json] = [self._size(some, value) for some, value in self.subsets]
        test = {key: self.test_value(self.model, self.members, key) for key in self.statistics}
        correlations = cast("list[Json]", panel.error_correlations())
        return {
            "task": panel.gold_set.info.task,
            "references": max(run.record.references for run in panel.runs),
            "combine": options.combine,
            "scales": options.scales,
            "min_members": self.model.min_members,
            "seed": options.seed,
            "statistic": self.statistics[0],
            "items": {"dev": int(panel.is_dev.sum()), "test": int(panel.reported.sum())},
            "members": members,
            "alpha": panel.alpha(),
            "error_correlations": correlations,
            "jury": {
                "dev": _or_none(self.on_dev(self.members)),
                "test": cast("dict[str, Json]", test),
                "hash": self.model.hash,
            },
            "against": cast("list[Json]", self.rivals()),
            "compared_by": self.path,
            "sizes": sizes,
            "resamples": options.resamples,
            "looks_at_test": self.looks,
        }

    def _member(self, k: int) -> dict[str, Json]:
        run, column = self.panel.runs[k], self.panel.scores[:, k]
        adds = self.adds(k)
        return {
            "name": run.name,
            "references": run.record.references,
            "missing": int(np.isnan(column).sum()),
            "dev": _or_none(self.alone[k]),
            "adds": None if adds is None else _or_none(adds),
            "weight": self.model.weights[k] if self.model.weights else None,
        }

    def _size(self, some: tuple[int, ...], value: float) -> dict[str, Json]:
        test = None
        if not self.options.dev_only:
            model = self._fit(some, self.panel.is_dev, self.path)
            test = self.test_value(model, some, self.statistics[0])
        names: list[Json] = [self.panel.names[k] for k in some]
        return {"members": names, "dev": value if np.isfinite(value) else None, "test": test}

    def _against(self, jury: Floats, k: int) -> list[dict[str, Json]]:
        """Return the jury against a member on what both judged, a row for each statistic."""
        panel, resamples, member = self.panel, self.options.resamples, self.panel.scores[:, k]
        judged = [panel.judgements(scores, panel.reported) for scores in (jury, member)]
        both = panel.reported & ~np.isnan(jury) & ~np.isnan(member)
        try:
            test = compare(
                panel.gold_set, *judged, statistic=self.statistics[0], permutations=resamples
            )
        except ConfigError:
            return []  # too few items that both judged, or a constant member
        resampling = Resampling(resamples)
        ends = difference_intervals(
            panel.gold_set, *judged, statistics=self.statistics, resampling=resampling
        )
        rows = list[dict[str, Json]]()
        for key in self.statistics:
            self.looks += 1
            one, other = (panel.value(scores, both, key) for scores in (jury, member))
            low, high = ends[key] or (None, None)
            rows.append(
                {
                    "member": panel.names[k],
                    "statistic": key,
                    "jury": one,
                    "alone": other,
                    "difference": one - other,
                    "low": low,
                    "high": high,
                    "p": test.p_value if key == test.statistic else None,
                }
            )
        return rows

    def _fit(
        self,
        members: Sequence[int],
        some: Bools,
        combine: Combine | None = None,
        maps: Sequence[Knots] | None = None,
    ) -> JuryModel:
        options, fewest = self.options, self.options.min_members
        return fit_model(
            self.panel.scores[np.ix_(some, np.array(members))],
            self.panel.gold[some],
            combine or options.combine,
            scales=options.scales,
            min_members=None if fewest is None else min(fewest, len(members)),
            scale=self.panel.gold_set.info.scale,
            seed=options.seed,
            maps=maps,
        )

    def _tried(self, members: Sequence[int]) -> float:
        """The value on dev of a jury by the rule for subsets; NaN of one that cannot be fitted."""
        key = tuple(sorted(members))
        if key not in self._known:
            try:
                self._known[key] = self.on_dev(key, self.path)
            except ConfigError:
                self._known[key] = np.nan
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[int, ...], float]:
        return {}

    @cached_property
    def _maps(self) -> dict[int, list[Knots]]:
        """The maps of all members without the videos of each fold."""
        return {}


def _low(value: float) -> float:
    return -np.inf if np.isnan(value) else value


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
