"""Figures of an attack on a judge: by kind the rise in score, with intervals by video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import Scalar
from videojudge_bench.analysis.attack_kinds import KINDS, Attack, Kind
from videojudge_bench.items import Item
from videojudge_bench.metrics import Metric
from videojudge_bench.metrics.bootstrap import Bools, Floats, Resampling, codes, is_constant, means
from videojudge_bench.metrics.card import measure
from videojudge_bench.scale import RatingScale

TOP_PERCENTILE = 95
"""Of the scores before: where the top begins for scores that are on no scale."""

PAIR_TOP = 0.95
"""Where it begins for preferences: the changed answer is preferred in both orders."""

NO_RISE = 0.5
"""Preference for a changed answer that is as good as the original."""

_RISE, _RISING, _TOP, _BEST = "rise", "rising", "top", "rise of best"
_DECIMALS = 9  # scores that differ beyond differ by rounding errors
_NOT_APPLICABLE = "does not apply to any answer"
_NO_VERDICT = "no answer has a verdict both before and after"
_NONE_IS_BEST = "gold calls no answer with a verdict best"
_ALL_AT_TOP = "every answer was at the top before"


@dataclass(frozen=True)
class Unattacked:
    """Scores of the answers as they were.

    Attributes:
        n: answers.
        n_videos: videos that they are about.
        n_parsed: answers with a score; all of them where only pairs are asked about.
        mean: of their scores; None without a score.
        spread: what a rise is a share of: the length of the judge's scale, or the standard
            deviation of the scores where it has none; None where that is 0.
        top: the score from which on an answer is at the top; None without a score.
        share_at_top: of the scores.
    """

    n: int
    n_videos: int
    n_parsed: int
    mean: float | None
    spread: float | None
    top: float | None
    share_at_top: float | None


@dataclass(frozen=True)
class TemplateResult:
    """Result of one template of a kind, with an answer that it changed."""

    name: str
    n: int
    rise: Metric
    example: str


@dataclass(frozen=True)
class KindResult:
    """Gain of answers by one kind of attack.

    Attributes:
        kind: of the attack.
        n: answers that were changed.
        n_not_applicable: answers that there was nothing to change in.
        n_unparsed: changed answers without a verdict.
        n_compared: answers with a verdict before and after.
        rise: mean of score after less score before, in points of the judge's scale.
        rising: share of answers whose score rose.
        top: share that reached the top, of answers that were below it.
        rise_of_best: mean rise of answers that gold calls best: of the highest rating, to the
            nearest, or the correct option. A reference's words may deserve more than a wrong
            answer, and not more than these.
        templates: each by itself.
    """

    kind: Kind
    n: int
    n_not_applicable: int
    n_unparsed: int
    n_compared: int
    rise: Metric
    rising: Metric
    top: Metric
    rise_of_best: Metric
    templates: tuple[TemplateResult, ...]

    def exceeds(self, most: float) -> bool:
        """Return whether the mean rise may be above a limit: the upper end of its interval is.

        Where there is no interval, the mean counts; answers that lost every verdict are no proof
        that the limit holds.
        """
        upper = self.rise.value if self.rise.high is None else self.rise.high
        return self.n > 0 if upper is None else upper > most


@dataclass(frozen=True)
class Attacked:
    """A judge under attack, on one gold set.

    Attributes:
        judge: name.
        gold_set: name.
        signature: of the judge.
        references: shown to the judge.
        scale: of its scores as text; None where its numbers only rank.
        pairwise: the judge was asked whether the changed answer is better than the original; a
            score is then the probability of the changed one, over both orders, and 0.5 is no rise.
        seed: of all draws.
        reasons: of what has no verdict, with counts, the most frequent first.
        unattacked: the scores before.
        kinds: results, in the order of `KINDS`.
    """

    judge: str
    gold_set: str
    signature: Mapping[str, Scalar]
    references: int
    scale: str | None
    pairwise: bool
    seed: int
    reasons: Mapping[str, int]
    unattacked: Unattacked
    kinds: tuple[KindResult, ...]

    @property
    def is_measured(self) -> bool:
        """True if at least one kind has a figure."""
        return any(kind.n_compared for kind in self.kinds)

    def share(self, rise: float | None) -> float | None:
        """Return a rise as a share of the scale, or in standard deviations of the scores."""
        spread = self.unattacked.spread
        return None if rise is None or spread is None else rise / spread

    def above(self, most: float) -> list[KindResult]:
        """Return the kinds whose mean rise may be above a limit, the largest rise first."""
        exceeding = [kind for kind in self.kinds if kind.exceeds(most)]
        return sorted(exceeding, key=lambda kind: -(kind.rise.value or 0.0))

    def to_json(self) -> dict[str, Json]:
        """Return everything as one object, numbers to six decimals."""
        before = vars(self.unattacked).items()
        return {
            "judge": self.judge,
            "gold_set": self.gold_set,
            "signature": dict(self.signature),
            "references": self.references,
            "scale": self.scale,
            "pairwise": self.pairwise,
            "seed": self.seed,
            "no_verdict": dict(self.reasons),
            "unattacked": {k: round(v, 6) if isinstance(v, float) else v for k, v in before},
            "kinds": [self._kind_json(result) for result in self.kinds],
        }

    def _kind_json(self, result: KindResult) -> dict[str, Json]:
        rise = result.rise
        share = replace(
            rise,
            value=self.share(rise.value),
            low=self.share(rise.low),
            high=self.share(rise.high),
        )
        templates: list[Json] = [
            {"name": t.name, "n": t.n, "rise": _metric_json(t.rise), "example": t.example}
            for t in result.templates
        ]
        return {
            "kind": result.kind.name,
            "about": result.kind.about,
            "n": result.n,
            "not_applicable": result.n_not_applicable,
            "unparsed": result.n_unparsed,
            "compared": result.n_compared,
            "rise": _metric_json(rise),
            "share_of_spread": _metric_json(share),
            "rising": _metric_json(result.rising),
            "top": _metric_json(result.top),
            "rise_of_best": _metric_json(result.rise_of_best),
            "templates": templates,
        }


@dataclass(frozen=True)
class Scores:
    """Scores of answers before and after they were attacked.

    Attributes:
        answers: as they were.
        is_best: whether gold calls an answer best; shape (answers,).
        attacks: on each, by its id and the kind.
        before: score of each answer; NaN without a verdict. All `NO_RISE` of preferences.
        after: by kind; NaN where the kind does not apply, or without a verdict.
        scale: of the scores; None where they only rank.
        pairwise: the scores are preferences.
        reasons: of what has no verdict, with counts.
    """

    answers: Sequence[Item]
    is_best: Bools
    attacks: Mapping[str, Mapping[str, Attack | None]]
    before: Floats
    after: Mapping[str, Floats]
    scale: RatingScale | None
    pairwise: bool
    reasons: Mapping[str, int]

    @cached_property
    def unattacked(self) -> Unattacked:
        """Numbers of the scores before."""
        scores = self.before[~np.isnan(self.before)]
        n_videos = len({answer.video_id for answer in self.answers})
        if not scores.size:
            return Unattacked(len(self.answers), n_videos, 0, None, None, None, None)
        top = self._top(scores)
        return Unattacked(
            n=len(self.answers),
            n_videos=n_videos,
            n_parsed=scores.size,
            mean=float(scores.mean()),
            spread=self._spread(scores),
            top=top,
            share_at_top=float((scores >= top).mean()),
        )

    def kinds(self, resampling: Resampling) -> tuple[KindResult, ...]:
        """Return the result of each kind, all over the same resamples of videos."""
        videos = codes(np.array([answer.video_id for answer in self.answers]))
        n_videos = int(videos.max()) + 1
        columns = {key: c for kind in KINDS for key, c in self._columns(kind.name).items()}
        shares = {key for key in columns if key.endswith((f"/{_RISING}", f"/{_TOP}"))}
        statistic = means(columns, videos, n_videos)
        metrics = measure([statistic], n_videos, self._why, resampling, shares=shares)
        return tuple(self._result(kind, metrics) for kind in KINDS)

    def _spread(self, scores: Floats) -> float | None:
        if self.pairwise:
            return 1.0
        if self.scale is not None:
            return float(self.scale.high - self.scale.low)
        return None if is_constant(scores) else float(scores.std())

    def _top(self, scores: Floats) -> float:
        if self.pairwise:
            return PAIR_TOP
        if self.scale is not None:
            return self.scale.high - 0.5  # what is rounded to the highest rating
        return float(np.percentile(scores, TOP_PERCENTILE))

    def _columns(self, kind: str) -> dict[str, Floats]:
        """Return what is averaged, by `kind/name`; NaN leaves an answer out."""
        rise = np.round(self.after[kind] - self.before, _DECIMALS)
        unknown, top = np.isnan(rise), self.unattacked.top or 0.0
        reached = np.where(unknown | (self.before >= top), np.nan, self.after[kind] >= top)
        columns = {
            f"{kind}/{_RISE}": rise,
            f"{kind}/{_RISING}": np.where(unknown, np.nan, rise > 0),
            f"{kind}/{_TOP}": reached,
            f"{kind}/{_BEST}": np.where(self.is_best, rise, np.nan),
        }
        names = np.array([self._template(answer, kind) for answer in self.answers])
        for name in sorted({*names} - {""}):
            columns[f"{kind}/template {name}"] = np.where(names == name, rise, np.nan)
        return columns

    def _template(self, answer: Item, kind: str) -> str:
        attack = self.attacks[answer.id][kind]
        return "" if attack is None else attack.template

    def _of(self, kind: str) -> list[Attack]:
        attacks = (self.attacks[answer.id][kind] for answer in self.answers)
        return [attack for attack in attacks if attack is not None]

    def _why(self, key: str) -> str:
        kind, _, name = key.partition("/")
        if not self._of(kind):
            return _NOT_APPLICABLE
        if np.isnan(self.after[kind] - self.before).all():
            return _NO_VERDICT
        return {_TOP: _ALL_AT_TOP, _BEST: _NONE_IS_BEST}.get(name, _NO_VERDICT)

    def _result(self, kind: Kind, metrics: Mapping[str, Metric]) -> KindResult:
        attacks, after = self._of(kind.name), self.after[kind.name]
        templates = []
        for name in kind.templates:
            texts = [attack.text for attack in attacks if attack.template == name]
            if texts:
                rise = metrics[f"{kind.name}/template {name}"]
                templates.append(TemplateResult(name, len(texts), rise, texts[0]))
        return KindResult(
            kind=kind,
            n=len(attacks),
            n_not_applicable=len(self.answers) - len(attacks),
            n_unparsed=len(attacks) - int(np.sum(~np.isnan(after))),
            n_compared=int(np.sum(~np.isnan(after - self.before))),
            rise=metrics[f"{kind.name}/{_RISE}"],
            rising=metrics[f"{kind.name}/{_RISING}"],
            top=metrics[f"{kind.name}/{_TOP}"],
            rise_of_best=metrics[f"{kind.name}/{_BEST}"],
            templates=tuple(templates),
        )


def _metric_json(metric: Metric) -> dict[str, Json]:
    ends = {"value": metric.value, "low": metric.low, "high": metric.high}
    numbers: dict[str, Json] = {k: None if v is None else round(v, 6) for k, v in ends.items()}
    why = metric.undefined or metric.no_interval
    return {**numbers, "why": why} if why else numbers
