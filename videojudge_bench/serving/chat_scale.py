"""From a judge's scores to the scale of a task: by the judge's own scale, or by a fitted map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videojudge_bench._util.hashing import file_hash
from videojudge_bench.analysis.calibration import SavedMap, read_map
from videojudge_bench.errors import ConfigError
from videojudge_bench.run.live import LiveRun
from videojudge_bench.scale import RatingScale
from videojudge_bench.signature import render

MAPS = Path(__file__).with_name("maps")
"""Maps that travel with the package: JUDGE.json, fitted on that judge's scores."""

_MAY_DIFFER = ("dtype", "transformers")
"""Parts of a signature that move a score by less than a map can tell."""


@dataclass(frozen=True)
class ChatScale:
    """The way from a judge's score to a rating, and so to any task's scale."""

    name: str
    rating: Callable[[float], float]
    scale: RatingScale

    def share(self, score: float) -> float:
        """Return how far up the scale a score is, from 0 to 1."""
        low, high = self.scale.low, self.scale.high
        return (self.scale.clip(self.rating(score)) - low) / (high - low)


def chat_scale(run: LiveRun, calibration: Path | None) -> ChatScale | str:
    """Return the scale of a served judge, or why there is none.

    Without a map of the user's, the judge's own scale is taken, or the map in the package.

    Raises:
        ConfigError: the file is no map, or was fitted on the scores of another judge.
    """
    name = run.built.name
    if calibration is None and run.scale is not None:
        return ChatScale(f"linear from {run.scale}", float, run.scale)
    path = calibration or MAPS / f"{name}.json"
    fix = (
        "fit one on a run of it by `videojudge calibrate RUN -o FILE`, and give --calibration FILE"
    )
    if calibration is None and not path.exists():
        return f"judge {name} has no rating scale and there is no map to one; {fix}"
    saved = read_map(path)
    if problem := misfit(saved, run) or _other_references(saved, run):
        problem = f"expected a map for this judge, got one with {problem}; {fix}"
        if calibration is not None:
            raise ConfigError(f"--calibration {path}: {problem}")
        return problem
    score_map = saved.score_map
    fitted_on = _parts(saved.signature.partition("||")[0]).get("set", "unknown")
    return ChatScale(
        f"map {path.name}@{file_hash(path)[:12]}, fitted on ratings of {fitted_on}",
        lambda score: float(score_map(np.array(score))),
        RatingScale(*saved.scale),
    )


def misfit(saved: SavedMap, run: LiveRun) -> str:
    """Return in what the judge of a map differs from this one; "" if in nothing that matters."""
    here = _parts(render(run.identity.signature))
    there = _parts(saved.signature.partition("||")[2])
    for key in sorted({*here, *there} - {*_MAY_DIFFER}):
        if here.get(key) != there.get(key):
            return f"{key} {there.get(key, 'none')} in the place of {here.get(key, 'none')}"
    return ""


def _other_references(saved: SavedMap, run: LiveRun) -> str:
    references = _parts(saved.signature.partition("||")[0]).get("refs")
    if "references" in run.built.judge.requires and references != "1":
        return f"references={references} in the place of 1, as judging prompts have one"
    return ""


def _parts(half: str) -> Mapping[str, str]:
    return {key: value for key, _, value in (part.partition(":") for part in half.split("|"))}
