"""Calibration of a judge's scores to ratings: a map fitted on dev videos, measured on test videos.

A judge may rank well and still be lenient, strict or on another scale. The map is fitted on the
mean gold of the dev part alone; its effect on the errors is reported on the test part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Union, cast

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, model_validator

from videojudge_bench import goldsets
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet, examples_hash
from videojudge_bench.items import Example, RatingGold
from videojudge_bench.leaderboard.importing import FoundRun
from videojudge_bench.metrics import Measurement
from videojudge_bench.metrics.asked import asked
from videojudge_bench.metrics.bootstrap import Floats, Resampling, is_constant
from videojudge_bench.metrics.card import FEWEST_VIDEOS, Metric, measure
from videojudge_bench.metrics.rating_statistics import Rated, errors
from videojudge_bench.metrics.ratings import NOT_ON_SCALE
from videojudge_bench.scale import RatingScale
from videojudge_bench.signature import Signature
from videojudge_bench.verdicts import Rating
from videojudge_bench.version import __version__

MEASURED = ("rmse", "mae", "calibration_error", "bias")
"""Metrics that a map changes; rank statistics stay those of the raw scores."""

Method = Literal["isotonic", "affine"]


@dataclass(frozen=True)
class Isotonic:
    """A map that never falls: straight lines between knots, level beyond the outer ones.

    Attributes:
        scores: of the knots, rising.
        ratings: of the knots, never falling, on the gold set's scale.
    """

    scores: tuple[float, ...]
    ratings: tuple[float, ...]

    def __call__(self, scores: Floats) -> Floats:
        """Return ratings on the gold set's scale, shape as given."""
        return np.asarray(np.interp(scores, self.scores, self.ratings), dtype=np.float64)

    def to_json(self) -> dict[str, Json]:
        """Return the method and the knots, each a score and its rating."""
        knots: list[Json] = [list(knot) for knot in zip(self.scores, self.ratings, strict=True)]
        return {"method": "isotonic", "knots": knots}

    def __str__(self) -> str:
        if is_constant(np.array(self.ratings)):
            return f"isotonic: every score becomes {self.ratings[0]:.3f}"
        low, high = (f"{self.scores[i]:.4g} -> {self.ratings[i]:.3f}" for i in (0, -1))
        return f"isotonic: {len(self.scores)} knots from {low} to {high}"


@dataclass(frozen=True)
class Affine:
    """A straight line, clipped to the gold set's scale."""

    slope: float
    intercept: float
    scale: RatingScale

    def __call__(self, scores: Floats) -> Floats:
        """Return ratings on the gold set's scale, shape as given."""
        line = self.slope * scores + self.intercept
        return np.asarray(np.clip(line, self.scale.low, self.scale.high), dtype=np.float64)

    def to_json(self) -> dict[str, Json]:
        """Return the method, the line and the scale that it is clipped to."""
        line = {"slope": self.slope, "intercept": self.intercept}
        return {"method": "affine", **line, "clipped_to": [self.scale.low, self.scale.high]}

    def __str__(self) -> str:
        return f"affine: {self.slope:.4g} x score + {self.intercept:.4g}, clipped to {self.scale}"


ScoreMap = Union[Isotonic, Affine]


class SavedMap(BaseModel):
    """A file that `Calibration.write` wrote.

    Attributes:
        scale: of the ratings.
        signature: of the numbers that the map was fitted on.
    """

    method: Literal["isotonic", "affine"]
    knots: list[tuple[FiniteFloat, FiniteFloat]] = Field(default_factory=list)
    slope: FiniteFloat = 0.0
    intercept: FiniteFloat = 0.0
    scale: tuple[int, int]
    signature: str

    @model_validator(mode="after")
    def _usable(self) -> SavedMap:
        if self.method == "isotonic" and (not self.knots or self.knots != sorted(self.knots)):
            raise ValueError("expected knots with rising scores")
        RatingScale(*self.scale)
        return self

    @property
    def score_map(self) -> ScoreMap:
        """The map."""
        if self.method == "affine":
            return Affine(self.slope, self.intercept, RatingScale(*self.scale))
        return Isotonic(tuple(s for s, _ in self.knots), tuple(r for _, r in self.knots))


def read_map(path: Path) -> SavedMap:
    """Return a map from its file.

    Raises:
        ConfigError: the file is no map of `videojudge calibrate`.
    """
    try:
        return SavedMap.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: expected a map, as `videojudge calibrate RUN -o FILE` writes it, got {error}"
        ) from error


@dataclass(frozen=True)
class Scored:
    """The parsed items of one part, with the judge's scores."""

    examples: tuple[Example, ...]
    scores: Floats

    @property
    def gold(self) -> Floats:
        """Mean rating of each item."""
        return np.array([cast(RatingGold, e.gold).mean for e in self.examples], dtype=np.float64)

    @property
    def n_videos(self) -> int:
        """Number of distinct videos."""
        return len({example.item.video_id for example in self.examples})


@dataclass(frozen=True)
class Calibration:
    """A map fitted on `dev`, and its effect on `test`.

    Attributes:
        run: the run whose scores were mapped.
        raw: by the names in `MEASURED`; undefined for scores that are not on the rating scale.
        calibrated: the same of the mapped scores, over the same resamples of videos.
    """

    run: FoundRun
    score_map: ScoreMap
    dev: Scored
    test: Scored
    raw: Mapping[str, Metric]
    calibrated: Mapping[str, Metric]

    def to_json(self) -> dict[str, Json]:
        """Return the map with what it was fitted on; nothing in it depends on the test part."""
        examples = self.dev.examples
        gold_set = goldsets.load(self.run.gold_set, self.run.data)
        measurement = Measurement(gold_set, part="dev", references=self.run.references)
        half = measurement.signature([example.item.id for example in examples])
        return {
            **self.score_map.to_json(),
            "scale": [gold_set.info.scale.low, gold_set.info.scale.high],
            "fitted_on": {
                "items": len(examples),
                "videos": self.dev.n_videos,
                "sha256": examples_hash(examples),
            },
            "signature": str(Signature(half, self.run.judge)),
            "videojudge_bench": __version__,
        }

    def measures(self) -> list[dict[str, Json]]:
        """Return the errors of raw and mapped scores, a row for each name in `MEASURED`."""
        return [
            {
                "metric": key,
                **{f"raw_{name}": value for name, value in vars(raw).items()},
                **{f"calibrated_{name}": v for name, v in vars(self.calibrated[key]).items()},
            }
            for key, raw in self.raw.items()
        ]

    def write(self, path: Path) -> None:
        """Write the map as JSON; an older file is replaced."""
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=1) + "\n"
        write_whole(path, text)


def calibrate(
    run: FoundRun, method: Method = "isotonic", *, resamples: int = 10_000
) -> Calibration:
    """Return the map that brings a run's scores nearest to gold on dev, measured on test.

    Unparsed items are left out of both. Constant scores give the mean gold of dev.

    Args:
        run: of a rated set with a dev part.
        method: `isotonic`, any map that never falls; `affine`, a straight line clipped to the
            scale. Both have the least squared error on dev.
        resamples: of the test videos, for the 95 % intervals.

    Raises:
        ConfigError: the set is not rated or has no dev part; fewer than 20 dev videos, or no test
            video, have a verdict.
        NoDataError: the set is not on this machine.
    """
    gold_set = goldsets.load(run.gold_set, run.data)
    dev, test = _parts(run, gold_set)
    score_map = fit(dev.scores, dev.gold, method, gold_set.info.scale)
    resampling = Resampling(resamples)
    raw = {key: Metric(None, undefined=NOT_ON_SCALE) for key in MEASURED}
    if run.on_scale:
        raw = _measured(test.examples, test.scores, gold_set.info.scale, resampling)
    mapped = score_map(test.scores)
    calibrated = _measured(test.examples, mapped, gold_set.info.scale, resampling)
    return Calibration(run, score_map, dev, test, raw, calibrated)


def fit(scores: Floats, gold: Floats, method: Method, scale: RatingScale) -> ScoreMap:
    """Return the map from scores to mean gold ratings, both (items,), of least squared error."""
    if method == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        fitted = IsotonicRegression(increasing=True, out_of_bounds="clip").fit(scores, gold)
        return Isotonic(tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))
    if is_constant(scores):
        return Affine(0.0, float(gold.mean()), scale)
    from sklearn.linear_model import LinearRegression

    line = LinearRegression().fit(scores[:, None], gold)
    return Affine(float(line.coef_[0]), float(line.intercept_), scale)


def _parts(run: FoundRun, gold_set: GoldSet) -> tuple[Scored, Scored]:
    info = gold_set.info
    if info.shape != "ratings":
        raise ConfigError(
            f"{info.task} has {info.shape}, no ratings to map scores to; calibrate a run on a "
            "rated set, such as videojudge_vatex"
        )
    if not info.has_dev:
        raise ConfigError(
            f"{info.task} is a sample here ({info.data}), and samples have no dev part to fit a "
            f"map on. Get the full set: {info.how_to_get}"
        )
    answers = asked(gold_set, run.judgements)
    parts = {}
    for part, fewest in (("dev", FEWEST_VIDEOS), ("test", 1)):
        parsed = [(e, v.value) for e, v in answers.only(part).answers if isinstance(v, Rating)]
        parts[part] = Scored(tuple(e for e, _ in parsed), np.array([v for _, v in parsed]))
        if parts[part].n_videos < fewest:
            raise ConfigError(
                f"{run.name} has ratings on {parts[part].n_videos} {part} videos of {info.task}, "
                f"and at least {fewest} are needed; judge more of the set (no --limit)"
            )
    return parts["dev"], parts["test"]


def _measured(
    examples: Sequence[Example], scores: Floats, scale: RatingScale, resampling: Resampling
) -> dict[str, Metric]:
    rated = Rated.of(examples, scores.tolist())
    measured = measure(errors(rated, scale), rated.n_videos, lambda _: "", resampling)
    return {key: measured[key] for key in MEASURED}
