"""Prints how good the samples are: agreement of the two passes, and what text alone gives away.

Agreement is computed before anything is dropped. The text-only classifier (TF-IDF of words and
pairs of words, logistic regression) is tested on one video at a time and trained on the others;
beside it stands what it reaches when the ratings of each instruction are shuffled: chance.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score

sys.path.insert(0, str(Path(__file__).parents[1]))
import samples

SHUFFLES = 100

Rows = list[samples.Row]


def main() -> None:
    """Print one JSON object."""
    rated = {name: samples.passes(name) for name in ("llava", "vcg")}
    everything = [row for rows in rated.values() for row in rows]
    questions = samples.passes("longvideobench")
    pairs = samples.passes("pairwise_h")
    kept = [row for row in everything if _gap(row) < 2]
    report = {
        "agreement before anything is dropped": {
            name: _agreement(rows) for name, rows in {**rated, "both": everything}.items()
        },
        "questions": len(questions),
        "questions answered alike and without doubt": len(
            [row for row in questions if row["first"] == row["second"] and row["sure"]]
        ),
        "pairs of 2 against 3": len(pairs),
        "pairs of 2 against 3 with the same preference": len(
            [row for row in pairs if row["first"] == row["second"]]
        ),
        "responses kept": len(kept),
        "words by rating (mean)": _words(kept),
        "text-only classifier": _text_only(kept),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


def _agreement(rows: Rows) -> dict[str, float | int]:
    first, second = _column(rows, "first"), _column(rows, "second")
    return {
        "responses": len(rows),
        "quadratic kappa": _rounded(cohen_kappa_score(first, second, weights="quadratic")),
        "equal": _rounded(np.mean(first == second)),
        "differ by 1": _rounded(np.mean(abs(first - second) == 1)),
        "dropped (differ by 2 or more)": int(np.sum(abs(first - second) >= 2)),
    }


def _text_only(rows: Rows) -> dict[str, float | list[float]]:
    ratings = _column(rows, "first")
    videos = np.array([str(row["video_id"]) for row in rows])
    texts = np.array([f"{row['instruction']} {row['response']}" for row in rows])
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(texts)
    found = _cross_validated(features, ratings, videos)
    rng = np.random.default_rng(0)
    groups = [f"{row['video_id']} {row['instruction']}" for row in rows]
    by_chance = [
        _cross_validated(features, shuffled, videos)
        for shuffled in (_shuffled(ratings, groups, rng) for _ in range(SHUFFLES))
    ]
    accuracy, rho = np.array(by_chance).T
    return {
        "accuracy": _rounded(found[0]),
        "accuracy by chance (mean, 2.5 %, 97.5 %)": _range(accuracy),
        "spearman": _rounded(found[1]),
        "spearman by chance (mean, 2.5 %, 97.5 %)": _range(rho),
        "share of the most frequent rating": _rounded(max(Counter(ratings).values()) / len(rows)),
    }


def _cross_validated(
    features: NDArray[np.float64], ratings: NDArray[np.int64], videos: NDArray[np.str_]
) -> tuple[float, float]:
    """Accuracy, and Spearman's rho of the expected rating, each video held out in turn."""
    expected, named = np.zeros(len(ratings)), np.zeros(len(ratings), dtype=np.int64)
    for video in np.unique(videos):
        held_out = videos == video
        model = LogisticRegression(max_iter=200).fit(features[~held_out], ratings[~held_out])
        probabilities = model.predict_proba(features[held_out])
        expected[held_out] = probabilities @ model.classes_
        named[held_out] = model.classes_[probabilities.argmax(axis=1)]
    return float(np.mean(named == ratings)), float(spearmanr(expected, ratings).statistic)


def _shuffled(
    ratings: NDArray[np.int64], groups: list[str], rng: np.random.Generator
) -> NDArray[np.int64]:
    made: NDArray[np.int64] = ratings.copy()
    names = np.array(groups)
    for name in np.unique(names):
        made[names == name] = rng.permutation(made[names == name])
    return made


def _words(rows: Rows) -> dict[str, float]:
    lengths: dict[int, list[int]] = {}
    for row in rows:
        lengths.setdefault(int(str(row["first"])), []).append(len(str(row["response"]).split()))
    return {str(rating): _rounded(np.mean(lengths[rating])) for rating in sorted(lengths)}


def _gap(row: samples.Row) -> int:
    return abs(int(str(row["first"])) - int(str(row["second"])))


def _column(rows: Rows, key: str) -> NDArray[np.int64]:
    return np.array([int(str(row[key])) for row in rows], dtype=np.int64)


def _range(values: NDArray[np.float64]) -> list[float]:
    return [_rounded(v) for v in (values.mean(), *np.percentile(values, (2.5, 97.5)))]


def _rounded(value: float | np.floating) -> float:
    return round(float(value), 3)


if __name__ == "__main__":
    main()
