"""A jury's rule: how the scores of its members become one score, fitted and kept in a file.

The members' scales are first brought together by a map for each: to ranks among the scores that the
rule was fitted on, or to ratings by calibration. A member without a verdict takes the mean of the
others', so that all rules work with what is there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, FiniteFloat, model_validator

from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import content_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.analysis import calibration
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.jsonl import STRICT, read_object
from videojudge_bench.metrics.bootstrap import Floats, is_constant
from videojudge_bench.metrics.disagreement import share_below
from videojudge_bench.scale import RatingScale
from videojudge_bench.version import __version__

Combine = Literal["mean", "median", "fitted", "trees"]
Scales = Literal["rank", "map"]

Knots = list[tuple[FiniteFloat, FiniteFloat]]
"""Of a map from one member's scores: a score and its value on the common scale, rising."""

FITTED = ("fitted", "trees")
"""Rules that learn from gold."""

_KNOTS = 201
_TREES = {"n_estimators": 150, "learning_rate": 0.05, "max_depth": 3, "subsample": 0.5}
_LEAF_ITEMS = 50
_RIDGE = 1e-6
_DECIMALS = 6


class Tree(BaseModel):
    """A regression tree: at node i go left where feature[i] <= threshold[i]; -1 is a leaf."""

    model_config = STRICT

    feature: list[int]
    threshold: list[FiniteFloat]
    left: list[int]
    right: list[int]
    value: list[FiniteFloat]

    @model_validator(mode="after")
    def _ends(self) -> Tree:
        nodes = range(len(self.feature))
        columns = (self.threshold, self.left, self.right, self.value)
        links = zip(nodes, self.left, self.right, strict=False)
        if not nodes or any(len(column) != len(nodes) for column in columns):
            raise ValueError("expected a feature, threshold, value and two children for each node")
        if any(
            not (left == right == -1 or (i < left < len(nodes) and i < right < len(nodes)))
            for i, left, right in links
        ):
            raise ValueError("expected children after their node, or -1")
        return self

    def __call__(self, rows: Floats) -> Floats:
        """Return the value of each row's leaf; as in scikit-learn, rows are compared in float32."""
        rows = rows.astype(np.float32)
        feature, threshold = np.array(self.feature), np.array(self.threshold)
        left, right = np.array(self.left), np.array(self.right)
        node = np.zeros(len(rows), dtype=np.int64)
        while np.any(inner := left[node] >= 0):
            at = node[inner]
            is_left = rows[inner, feature[at]] <= threshold[at]
            node[inner] = np.where(is_left, left[at], right[at])
        return np.array(self.value)[node]


class JuryModel(BaseModel):
    """The rule of a jury.

    Attributes:
        min_members: fewest members with a verdict for the jury to have one.
        maps: for each member, knots from its scores to the common scale.
        weights: of the members, of the rule `fitted`; none is negative.
        offset: added to the weighted sum, or to the sum of the trees.
    """

    model_config = STRICT

    combine: Combine
    scales: Scales
    min_members: int
    maps: list[Knots]
    weights: list[FiniteFloat] = []
    offset: FiniteFloat = 0.0
    trees: list[Tree] = []

    @model_validator(mode="after")
    def _fits(self) -> JuryModel:
        inner = (zip(t.feature, t.left, strict=True) for t in self.trees)
        features = [feature for links in inner for feature, left in links if left >= 0]
        if self.weights and len(self.weights) != len(self.maps):
            raise ValueError("expected a weight for each map")
        if any(not 0 <= feature < len(self.maps) for feature in features):
            raise ValueError("expected features of trees to be members")
        if not all(self.maps) or any(knots != sorted(knots) for knots in self.maps):
            raise ValueError("expected maps of knots with rising scores")
        enough_of(len(self.maps), self.min_members)
        return self

    def common(self, scores: Floats) -> Floats:
        """Return scores (items, members) on the common scale; NaN stays."""
        columns = zip(scores.T, self.maps, strict=True)
        lines = [(column, *np.array(knots).T) for column, knots in columns]
        return np.column_stack([np.interp(column, x, y) for column, x, y in lines])

    def __call__(self, scores: Floats) -> Floats:
        """Return the jury's score of each item, NaN where too few members have a verdict.

        Args:
            scores: shape (items, members), NaN for no verdict.
        """
        enough = (~np.isnan(scores)).sum(axis=1) >= self.min_members
        result = np.full(len(scores), np.nan)
        rows = self.common(scores)[enough]
        if len(rows):
            # From the 7th digit on, machines differ.
            result[enough] = np.round(self._combined(rows), _DECIMALS)
        return result

    def _combined(self, rows: Floats) -> Floats:
        if self.combine == "median":
            return np.asarray(np.nanmedian(rows, axis=1), dtype=np.float64)
        rows = filled(rows)
        if self.combine == "mean":
            return np.asarray(rows.mean(axis=1), dtype=np.float64)
        if self.combine == "fitted":
            return np.asarray(self.offset + rows @ np.array(self.weights), dtype=np.float64)
        return sum((tree(rows) for tree in self.trees), start=np.full(len(rows), self.offset))

    @property
    def hash(self) -> str:
        """12 hex digits that change when anything does."""
        return content_hash(self.model_dump(mode="json"))[:12]


class Member(BaseModel):
    """A member in a file: its name, its half of the signature, the references it was shown."""

    model_config = STRICT

    name: str
    judge: dict[str, Scalar]
    references: int


class SavedJury(BaseModel):
    """A file of `videojudge jury RUN RUN -o FILE`: nothing in it depends on the test part.

    Attributes:
        fitted_on: gold set, its data, the part, and the number of items.
    """

    model_config = STRICT

    members: list[Member]
    model: JuryModel
    fitted_on: dict[str, Scalar]
    videojudge_bench: str = __version__

    @property
    def hash(self) -> str:
        """12 hex digits of members and rule."""
        return content_hash(self.model_dump(mode="json", exclude={"videojudge_bench"}))[:12]

    def write(self, path: Path) -> None:
        """Write the file; an older one is replaced."""
        text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False)
        write_whole(path, text + "\n")


def read_jury(path: Path) -> SavedJury:
    """Return a jury from its file; raises ConfigError where it is none."""
    if not path.is_file():
        raise ConfigError(f"file={path}: there is no such file; videojudge jury -o FILE writes one")
    return read_object(path, SavedJury)


def filled(rows: Floats) -> Floats:
    """Return rows with the mean of its other members for each missing one; no row is empty."""
    return np.where(np.isnan(rows), np.nanmean(rows, axis=1, keepdims=True), rows)


def enough_of(n_members: int, min_members: int | None) -> int:
    """Return the fewest members with a verdict: as given, or half of them; checked."""
    fewest = (n_members + 1) // 2 if min_members is None else min_members
    if not 1 <= fewest <= n_members:
        raise ConfigError(f"min_members: expected 1 to {n_members}, the members, got {fewest}")
    return fewest


def fit_model(
    scores: Floats,
    gold: Floats | None,
    combine: Combine,
    *,
    scales: Scales = "rank",
    min_members: int | None = None,
    scale: RatingScale | None = None,
    seed: int = 0,
    maps: Sequence[Knots] | None = None,
) -> JuryModel:
    """Return the rule that fits these items.

    `fitted` and `trees` are fitted to the ranks of the gold, by least squares. A member that is
    constant here, or has no verdict, has no weight.

    Args:
        scores: shape (items, members), NaN for no verdict.
        gold: shape (items,); None suffices for mean and median of ranks.
        combine: the rule.
        scales: ranks among these scores, or calibration to the gold, by a map that never falls.
        min_members: default: half of the members.
        scale: of the gold, for `map`.
        seed: of the trees.
        maps: of the members, where they are known already.

    Raises:
        ConfigError: fewer than 2 items have a verdict and gold where these are needed, or no
            member's scores rise with the gold.
    """
    fewest = enough_of(scores.shape[1], min_members)
    if maps is None:
        maps = [_knots(column, gold if scales == "map" else None, scale) for column in scores.T]
    model = JuryModel(combine=combine, scales=scales, min_members=fewest, maps=[*maps])
    if combine not in FITTED:
        return model
    some = ~np.isnan(scores).all(axis=1)
    if gold is None or some.sum() < 2:
        raise ConfigError(f"combine={combine}: expected 2 rated items or more to fit, got fewer")
    rows, target = filled(model.common(scores[some])), share_below(gold[some])
    varies = [not is_constant(column[~np.isnan(column)]) for column in model.common(scores).T]
    rows = rows * np.array(varies)
    if combine == "fitted":
        return model.model_copy(update=_weights(rows, target))
    return model.model_copy(update=_boosted(rows, target, seed))


def _weights(rows: Floats, target: Floats) -> dict[str, object]:
    from scipy.optimize import nnls

    # A touch of ridge: two members that are the same, or opposites, have no other one solution.
    centred, n = rows - rows.mean(axis=0), rows.shape[1]
    ridge = np.sqrt(_RIDGE * len(rows)) * np.eye(n)
    weights, _ = nnls(
        np.vstack([centred, ridge]), np.concatenate([target - target.mean(), np.zeros(n)])
    )
    if not weights.any():
        raise ConfigError(
            "combine=fitted: no member's scores rise with the gold ratings, so every weight is 0; "
            "use other members, or combine=mean"
        )
    weights = np.round(weights, _DECIMALS)
    offset = float(np.round(target.mean() - rows.mean(axis=0) @ weights, _DECIMALS))
    return {"weights": weights.tolist(), "offset": offset}


def _boosted(rows: Floats, target: Floats, seed: int) -> dict[str, object]:
    from sklearn.ensemble import GradientBoostingRegressor

    leaf = max(1, min(_LEAF_ITEMS, len(rows) // 40))
    boosted = GradientBoostingRegressor(**_TREES, min_samples_leaf=leaf, random_state=seed)
    boosted.fit(rows, target)
    trees = []
    for (regressor,) in boosted.estimators_:
        tree = regressor.tree_
        values = np.round(boosted.learning_rate * tree.value[:, 0, 0], _DECIMALS + 2)
        trees.append(
            Tree(
                feature=tree.feature.tolist(),
                threshold=tree.threshold.tolist(),
                left=tree.children_left.tolist(),
                right=tree.children_right.tolist(),
                value=values.tolist(),
            )
        )
    return {"trees": trees, "offset": float(boosted.init_.constant_.item())}


def _knots(column: Floats, gold: Floats | None, scale: RatingScale | None) -> Knots:
    """Return the map of one member; of one without a verdict, or constant, the middle."""
    parsed = ~np.isnan(column)
    values = column[parsed]
    if not len(values):
        return [(0.0, 0.5)]
    if gold is not None:
        fitted = calibration.fit(values, gold[parsed], "isotonic", scale or RatingScale())
        assert isinstance(fitted, calibration.Isotonic)
        return list(zip(fitted.scores, fitted.ratings, strict=True))
    distinct, first = np.unique(values, return_index=True)
    shares = share_below(values)[first]
    some = np.unique(np.linspace(0, len(distinct) - 1, _KNOTS).round().astype(np.int64))
    return list(zip(distinct[some].tolist(), np.round(shares[some], 8).tolist(), strict=True))
