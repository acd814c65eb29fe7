"""Scores of completions: rated one by one, or compared within their group or with a reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from videojudge_bench.analysis.calibration import ScoreMap, read_map
from videojudge_bench.answers.reading import AnswerRow
from videojudge_bench.errors import ConfigError
from videojudge_bench.run.live import LiveRun
from videojudge_bench.serving.chat_scale import ChatScale, chat_scale, misfit
from videojudge_bench.serving.service import Answering, JudgeService, Line

Against = Literal["group", "reference"]

Score = tuple[float | None, str]
"""A score, or None and the reason."""

Asked = tuple[Answering, Callable[[Sequence[Line]], list[Score]]]
"""Rows that are being judged, and the scores that their lines amount to."""

NO_OTHER = "no other whole completion in its group"
NO_REFERENCE = "no reference to compare with"


def ask(service: JudgeService, answers: Sequence[AnswerRow], against: Against | None) -> Asked:
    """Begin to judge answers.

    Args:
        service: that judges.
        answers: single ones.
        against: `group`: compare every two of one question, and a score is the mean probability of
            being better than another. `reference`: compare with the first reference, which the
            judge is then not shown as one. None rates them.

    Raises:
        ConfigError: the judge cannot.
        QueueFullError: no room.
    """
    if against is None:
        return service.score(answers), lambda lines: [_score(line, "score") for line in lines]
    if against == "group":
        groups: dict[object, list[int]] = {}
        for place, row in enumerate(answers):
            groups.setdefault((row.video_id, row.instruction, row.references), []).append(place)
        places = [two for group in groups.values() for two in combinations(group, 2)]
        pairs = [_pair(answers[i], answers[j].texts[0], answers[i].references) for i, j in places]
        return service.prefer(pairs), lambda lines: _won(len(answers), places, lines)
    able = [place for place, row in enumerate(answers) if row.references]
    pairs = [_pair(row, row.references[0], row.references[1:]) for row in answers if row.references]

    def scores(lines: Sequence[Line]) -> list[Score]:
        by_place = dict(zip(able, lines, strict=True))
        return [
            _score(by_place[place], "p_a") if place in by_place else (None, NO_REFERENCE)
            for place in range(len(answers))
        ]

    return service.prefer(pairs), scores


def _pair(row: AnswerRow, other: str, references: Sequence[str]) -> AnswerRow:
    sides = {"response": None, "response_a": row.texts[0], "response_b": other}
    return row.model_copy(update={**sides, "references": tuple(references)})


def _score(line: Line, name: str) -> Score:
    score = line.get(name)
    if isinstance(score, (int, float)):
        return float(score), ""
    return None, str(line.get("unparsed", ""))


def _won(n: int, places: Sequence[tuple[int, int]], lines: Sequence[Line]) -> list[Score]:
    shares: list[list[float]] = [[] for _ in range(n)]
    reasons = [NO_OTHER] * n
    for (i, j), line in zip(places, lines, strict=True):
        p, reason = _score(line, "p_a")
        if p is None:
            reasons[i] = reasons[j] = reason
        else:
            shares[i].append(p)
            shares[j].append(1 - p)
    return [
        (math.fsum(won) / len(won), "") if won else (None, reason)
        for won, reason in zip(shares, reasons, strict=True)
    ]


def share_of(
    run: LiveRun, low: float | None, high: float | None, calibration: str | None
) -> Callable[[float], float]:
    """Return the map from a judge's score to 0 to 1.

    Args:
        run: of the judge.
        low: the score that becomes 0; by default the low end of the judge's scale, or of the
            packaged map of a judge without one.
        high: the score that becomes 1; beyond both, the map is level.
        calibration: file of `videojudge calibrate`, which brings scores to a rating scale first.

    Raises:
        ConfigError: there is no scale, or the file is no map for this judge.
    """
    name, scale = run.built.name, run.scale
    rating: Callable[[float], float] = float
    ends = None if scale is None else (scale.low, scale.high)
    if calibration is not None:
        saved = read_map(Path(calibration))
        if problem := misfit(saved, run):
            raise ConfigError(
                f"calibration={calibration}: expected a map for this judge, got one with "
                f"{problem}; fit one on a run of it by `videojudge calibrate RUN -o FILE`"
            )
        rating, ends = _rating(saved.score_map), saved.scale
    elif low is None and high is None and isinstance(own := chat_scale(run, None), ChatScale):
        rating, ends = own.rating, (own.scale.low, own.scale.high)
    if ends is not None:
        low, high = (ends[0] if low is None else low), (ends[1] if high is None else high)
    if low is None or high is None:
        raise ConfigError(
            f"judge {name} has no scale: expected low=… and high=…, the scores that become 0 and "
            "1, or calibration=FILE, a map that `videojudge calibrate RUN -o FILE` has fitted"
        )
    bottom, width = low, high - low
    if not width > 0:
        raise ConfigError(f"expected low < high, got {low} and {high}")
    return lambda score: min(max((rating(score) - bottom) / width, 0.0), 1.0)


def _rating(score_map: ScoreMap) -> Callable[[float], float]:
    return lambda score: float(score_map(np.array(score)))
