"""The score card of an option set: the correct option against the distractors of its question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from videojudge_bench.errors import DataError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, OptionGold
from videojudge_bench.metrics.asked import Asked, asked, is_missing_video
from videojudge_bench.metrics.bootstrap import Resampling
from videojudge_bench.metrics.card import ScoreCard, assemble, coverage
from videojudge_bench.metrics.keys import Key
from videojudge_bench.metrics.ratings import NOT_ON_SCALE
from videojudge_bench.metrics.units import Units, imputed_metrics, unit_metrics
from videojudge_bench.verdicts import Judgement, Rating, Verdict


def option_card(
    gold_set: GoldSet,
    judgements: Mapping[str, Judgement],
    *,
    on_scale: bool,
    part: str,
    resampling: Resampling,
) -> ScoreCard:
    """Return the score card of an option set; see `videojudge_bench.metrics.score`."""
    info = gold_set.info
    reported = asked(gold_set, judgements).only(part)
    whole = Counter(example.unit for example in gold_set.examples)
    units = _questions(reported, whole, task=info.task)
    values = unit_metrics(units, resampling)
    if not on_scale:
        values.pop("delta", None)
    n, n_parsed, n_missing = len(reported.answers), reported.n_parsed, reported.n_missing_video

    def why(key: Key) -> str:
        if key.on_scale and not on_scale:
            return NOT_ON_SCALE
        return "no complete question" if n_parsed else reported.why_nothing()

    return ScoreCard(
        assemble(info, values, imputed_metrics(info, units), why),
        n=n,
        n_parsed=n_parsed,
        n_missing_video=n_missing,
        n_left_out=units.n_left_out,
        coverage=coverage(n, n_parsed, n_missing),
        part=part,
    )


def _questions(reported: Asked, whole: Mapping[str, int], *, task: str) -> Units:
    """The questions, scored where all of their options were asked for; `whole` counts these."""
    questions: dict[str, list[tuple[Example, Verdict]]] = {}
    for example, verdict in reported.answers:
        questions.setdefault(example.unit, []).append((example, verdict))
    scored: list[tuple[str, dict[str, float]]] = []
    lost: list[str] = []
    for name, options in questions.items():
        right = [v for e, v in options if cast(OptionGold, e.gold).correct]
        wrong = [v for e, v in options if not cast(OptionGold, e.gold).correct]
        if len(right) > 1:
            problem = f"question {name!r} has {len(right)} correct options; scoring needs one"
            raise DataError(problem, path=task)
        if not (right and wrong) or len(options) < whole[name]:
            continue
        video = options[0][0].item.video_id
        scores = [v.value for v in (*right, *wrong) if isinstance(v, Rating)]
        if len(scores) == len(options):
            scored.append((video, question_scores(scores[0], scores[1:])))
        elif not any(is_missing_video(v) for _, v in options):
            lost.append(video)
    return Units(scored, lost, n_left_out=len(questions) - len(scored))


def question_scores(correct: float, distractors: Sequence[float]) -> dict[str, float]:
    """Return the values of one question from the scores of its options; a distractor is needed.

    psup_strict: share of distractors below the correct option. tie_rate: share level with it.
    psup: strict + half the ties. delta: score of the correct option - mean of the distractors.
    top1: 1/k where the correct option is one of the k best, 0 where it is not among them.
    """
    others = np.array(distractors, dtype=np.float64)
    strict, tied = float(np.mean(others < correct)), float(np.mean(others == correct))
    is_best = bool(np.all(others <= correct))
    return {
        "psup": strict + tied / 2,
        "psup_strict": strict,
        "delta": correct - float(others.mean()),
        "top1": 1 / (1 + int(np.sum(others == correct))) if is_best else 0.0,
        "tie_rate": tied,
    }
