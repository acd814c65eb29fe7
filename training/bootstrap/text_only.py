"""Text-only baseline: a classifier of responses that takes no video input.

Words, pairs of words, runs of characters and length go into a logistic regression, which is tested
on the videos that it has not been fitted on.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.metrics.bootstrap import Resampling, bootstrap, codes, means

MOST_ROWS = 20_000  # of more rows so many are used, whole videos in the order of a hash
MOST_RUNS = 20_000  # runs of characters that are used, the most frequent ones
FOLDS = 5
RESAMPLES = 2_000

Row = tuple[str, int, str]  # a response, its rating, and its video's id


@dataclass(frozen=True)
class TextOnly:
    """Accuracy of the classifier.

    Attributes:
        rows: responses that it was tested on.
        accuracy: share of them whose rating it predicts.
        low: lower end of the 95 % interval (percentile, resamples of videos).
        chance: accuracy of the most frequent rating.
    """

    rows: int
    accuracy: float
    low: float
    high: float
    chance: float


def text_only_accuracy(rows: Sequence[Row], most: int = MOST_ROWS) -> TextOnly | None:
    """Return a text classifier's accuracy on the ratings, cross-validated by video.

    None when there are fewer than `FOLDS` videos, or only one rating.
    """
    taken = _drawn(rows, most)
    videos = np.array([video for _, _, video in taken])
    ratings = np.array([rating for _, rating, _ in taken], dtype=np.int64)
    if len(set(videos.tolist())) < FOLDS or len(set(ratings.tolist())) < 2:
        return None
    named = _named([text for text, _, _ in taken], ratings, videos)
    right = named == ratings
    clusters = codes(videos)
    n_videos = int(clusters.max()) + 1
    shares = means({"right": right.astype(np.float64)}, clusters, n_videos)
    drawn = bootstrap([shares], n_videos, Resampling(RESAMPLES))["right"]
    low, high = map(float, np.percentile(drawn, (2.5, 97.5)))
    return TextOnly(
        rows=len(taken),
        accuracy=float(right.mean()),
        low=low,
        high=high,
        chance=max(Counter(ratings.tolist()).values()) / len(taken),
    )


def _drawn(rows: Sequence[Row], most: int) -> list[Row]:
    if len(rows) <= most:
        return list(rows)
    counts = Counter(video for _, _, video in rows)
    kept: set[str] = set()
    left = most
    for video in sorted(counts, key=lambda name: unit_interval("text_only", name)):
        if counts[video] > left:
            break
        kept.add(video)
        left -= counts[video]
    return [row for row in rows if row[2] in kept]


def _named(
    texts: Sequence[str], ratings: NDArray[np.int64], videos: NDArray[np.str_]
) -> NDArray[np.int64]:
    """Return the classifier's label of each text, learnt on the videos of the other folds."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    shared = {"sublinear_tf": True, "dtype": np.float32}
    # The vocabulary is that of all texts; the weights are learnt from the other folds.
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, **shared),
        TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), min_df=5, max_features=MOST_RUNS, **shared
        ),
        make_pipeline(
            FunctionTransformer(_lengths), StandardScaler(), FunctionTransformer(np.float32)
        ),
    ).fit_transform(texts)
    model = LogisticRegression(max_iter=40, tol=1e-3)
    with warnings.catch_warnings():
        # Forty steps are enough to see whether there is anything to find.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(
            cross_val_predict(model, features, ratings, groups=videos, cv=GroupKFold(FOLDS))
        )


def _lengths(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([(len(text), len(text.split())) for text in texts], dtype=np.float64)
