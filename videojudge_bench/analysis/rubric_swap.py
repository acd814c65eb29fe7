"""Rubric swap: changes of a judge's verdicts under the rubric of another instruction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from videojudge_bench import goldsets, metrics
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.leaderboard.importing import FoundRun, measurement_of
from videojudge_bench.metrics import Metric
from videojudge_bench.metrics.asked import asked
from videojudge_bench.metrics.bootstrap import Ints, Resampling, Statistic, codes, means
from videojudge_bench.metrics.card import SHARES, measure
from videojudge_bench.metrics.rank import rank_agreement
from videojudge_bench.metrics.units import FIRST_SHARE
from videojudge_bench.verdicts import Preference, Rating, Unparsed, Verdict

CHANGED = "changed by 1 or more"
FLIPPED = "flipped"

_SWAP = "swap_rubrics"
_DECIMALS = 12  # 4.1 - 3.1 is a little less than 1


@dataclass(frozen=True)
class SwapEffect:
    """Changes of a judge's verdicts under another instruction's rubric.

    Attributes:
        changes: by name; changes are verdict under the swapped rubric minus verdict under its own.
        statistic: the name of the set's primary statistic.
        own: its value in the first run, on the `n` of `n_judged` items that both runs parsed.
        swapped: its value in the second run.
    """

    changes: Mapping[str, Metric]
    statistic: str
    own: Metric
    swapped: Metric
    n: int
    n_judged: int
    n_videos: int

    def rows(self) -> list[dict[str, str | float]]:
        """Return a row for each change, then the statistic with both kinds of rubrics."""
        measured = {
            **self.changes,
            f"{self.statistic}, own rubrics": self.own,
            f"{self.statistic}, swapped rubrics": self.swapped,
        }
        return [
            {"own against swapped rubrics": name, **metric.cells()}
            for name, metric in measured.items()
        ]


def swap_effect(run: FoundRun, swapped: FoundRun, resampling: Resampling) -> SwapEffect:
    """Return what changes when a judge is given the rubrics of other instructions.

    `changes` of ratings: `mean |change|`, `mean change`, `changed by 1 or more` (share) and
    `spearman` between the two runs. Of pairs, by the probability of the first: the same, with
    `flipped` (share that names the other response; to a tie or from one counts half) as the third.

    Raises:
        ConfigError: the runs differ in more than `swap_rubrics`, which is true for the second
            alone, or there is no item that both judged and parsed.
    """
    _check_same(run, swapped)
    gold_set = goldsets.load(run.gold_set, run.data)
    answers = asked(gold_set, run.judgements).only(run.part).answers
    others = {e.item.id: v for e, v in asked(gold_set, swapped.judgements).answers}
    both = [(e, verdict, others[e.item.id]) for e, verdict in answers if e.item.id in others]
    joint = [row for row in both if not any(isinstance(v, Unparsed) for v in row[1:])]
    if not joint:
        raise ConfigError(
            f"{len(both)} items of {gold_set.info.task} are in both runs, and none of them has a "
            "verdict in both; there is nothing to compare"
        )
    videos = codes(np.array([example.item.video_id for example, *_ in joint]))
    n_videos = int(videos.max()) + 1
    own, other = [verdict for _, verdict, _ in joint], [verdict for *_, verdict in joint]
    ids = [example.item.id for example, *_ in joint]
    return SwapEffect(
        changes=measure(
            _changes(own, other, videos, n_videos),
            n_videos,
            lambda _: "all verdicts of a run are equal",
            resampling,
            shares=SHARES | {CHANGED, FLIPPED},
        ),
        statistic=metrics.primary_key(gold_set.info),
        own=_primary(run, gold_set, ids, resampling),
        swapped=_primary(swapped, gold_set, ids, resampling),
        n=len(joint),
        n_judged=len(both),
        n_videos=n_videos,
    )


def _check_same(run: FoundRun, swapped: FoundRun) -> None:
    one, two = _identity(run), _identity(swapped)
    if (one.get(_SWAP), two.get(_SWAP)) == (True, False):
        raise ConfigError("the first run has swap_rubrics=true; give it second")
    wrong = [key for key in {**one, **two} if key != _SWAP and one.get(key) != two.get(key)]
    if (one.get(_SWAP), two.get(_SWAP)) != (False, True):
        wrong.append(_SWAP)
    problems = [
        f"{key}: {one.get(key, 'not there')} and {two.get(key, 'not there')}" for key in wrong
    ]
    if problems:
        options = "with rubric=FILE and with rubric=FILE,swap_rubrics=true"
        title = f"the two runs must be of one judge on one set, {options}"
        raise ConfigError.all_of(title, problems)


def _identity(run: FoundRun) -> dict[str, Scalar]:
    facts: dict[str, Scalar] = {
        "set": run.gold_set,
        "data": run.data,
        "references": run.references,
        "part": run.part,
    }
    return {**facts, **run.judge}


def _changes(
    own: Sequence[Verdict], other: Sequence[Verdict], videos: Ints, n_videos: int
) -> list[Statistic]:
    before, after = (np.array([_number(v) for v in some]) for some in (own, other))
    change = after - before
    if isinstance(own[0], Preference):
        was, became = (
            np.array([FIRST_SHARE[cast(Preference, v).choice] for v in some])
            for some in (own, other)
        )
        third = {FLIPPED: np.abs(became - was)}
    else:
        third = {CHANGED: (np.round(np.abs(change), _DECIMALS) >= 1).astype(np.float64)}
    values = {"mean |change|": np.abs(change), "mean change": change, **third}
    agreement = rank_agreement(before, after[:, None], videos, n_videos)
    spearman = Statistic(lambda w: {"spearman": agreement(w)[1][:, 0]}, {"spearman": n_videos})
    return [means(values, videos, n_videos), spearman]


def _number(verdict: Verdict) -> float:
    return verdict.value if isinstance(verdict, Rating) else cast(Preference, verdict).p_first


def _primary(
    run: FoundRun, gold_set: GoldSet, ids: Collection[str], resampling: Resampling
) -> Metric:
    card = measurement_of(run, gold_set).card(
        {item_id: run.judgements[item_id] for item_id in ids},
        resamples=resampling.resamples,
        seed=resampling.seed,
    )
    return card.metrics[metrics.primary_key(gold_set.info)]
