"""Answers are picked with the probabilities that are recorded, and where errors are large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from videojudge_bench.answers.ppi import Rated, corrected_means, design_weights
from videojudge_bench.labelling.picks import UNIFORM, Pool, draw, predicted_sizes
from videojudge_bench.metrics.bootstrap import Floats, estimate

NAN = float("nan")


def pool(videos: int, questions: int = 1, systems: int = 1, seed: int = 0) -> Pool:
    n = videos * questions * systems
    place = np.arange(n)
    return Pool(
        scores=np.random.default_rng(seed).normal(size=n),
        spread=np.full(n, NAN),
        human=np.full(n, NAN),
        systems=place % systems,
        videos=place // (systems * questions),
        questions=place // systems,
    )


def shares(answers: Pool, sizes: Floats, n: int, draws: int) -> tuple[Floats, Floats]:
    """How often each answer is drawn, and the probability that is recorded."""
    rng, counts = np.random.default_rng(0), np.zeros(len(sizes))
    for _ in range(draws):
        places, probabilities = draw(answers, sizes, n, rng)
        assert len(set(places.tolist())) == len(places) == n
        counts[places] += 1
    return counts / draws, probabilities


def test_answers_are_drawn_as_often_as_recorded() -> None:
    answers = pool(videos=8, questions=2, systems=2)
    sizes = np.linspace(0.2, 3, 32)
    drawn, recorded = shares(answers, sizes, 12, 600)
    assert recorded.sum() == pytest.approx(12)
    # Four standard errors, and what Pareto sampling is off by.
    assert np.all(np.abs(drawn - recorded) < 4 * np.sqrt(recorded / 600) + 0.02 * recorded)
    assert recorded.min() > UNIFORM * 12 / 32 * 0.99


def test_answers_to_one_question_are_picked_together() -> None:
    answers = pool(videos=20, systems=3)
    sizes = np.random.default_rng(1).uniform(0.5, 2, 60)
    places, probabilities = draw(answers, sizes, 15, np.random.default_rng(0))
    assert (
        sorted(np.bincount(answers.questions[places], minlength=20).tolist()) == [0] * 15 + [3] * 5
    )
    assert len({*np.round(probabilities[answers.questions == 4], 12).tolist()}) == 1


def test_labels_of_a_system_are_of_many_videos() -> None:
    answers = pool(videos=10, questions=6)
    for seed in range(5):
        places, _ = draw(answers, np.ones(60), 10, np.random.default_rng(seed))
        assert len({*answers.videos[places].tolist()}) == 10


def test_what_has_a_rating_is_not_picked_and_all_that_is_left_may_be() -> None:
    answers = replace(pool(videos=6), human=np.array([NAN, 3, NAN, NAN, 1, NAN]))
    places, probabilities = draw(answers, np.ones(6), 100, np.random.default_rng(0))
    assert sorted(places.tolist()) == [0, 2, 3, 5]
    assert probabilities.tolist() == [1, 0, 1, 1, 0, 1]


def test_sizes_before_and_after_labels() -> None:
    answers = pool(videos=400)
    assert {*predicted_sizes(answers).tolist()} == {1.0}
    spread = np.where(np.arange(400) % 2 == 0, 0.2, 0.6)
    assert predicted_sizes(replace(answers, spread=spread)).tolist() == spread.tolist()
    # People agree with high scores, and are far from low ones.
    rng = np.random.default_rng(1)
    human = answers.scores + rng.normal(0, np.where(answers.scores < 0, 1.0, 0.1))
    human[100:] = NAN
    sizes = predicted_sizes(replace(answers, human=human))
    low, high = sizes[answers.scores < -1].mean(), sizes[answers.scores > 1].mean()
    assert low > 2 * high > 0


def test_an_answer_without_a_verdict_has_the_mean_size() -> None:
    answers = pool(videos=5)
    scores = answers.scores.copy()
    scores[2] = NAN
    sizes = predicted_sizes(replace(answers, scores=scores, spread=np.array([1, 2, 9, 4, 5.0])))
    assert sizes.tolist() == [1, 2, 3, 4, 5]


def test_the_estimate_of_two_rounds_is_unbiased() -> None:
    """The second round is chosen by the labels of the first; some answers have no verdict."""
    rng = np.random.default_rng(3)
    answers = pool(videos=60)
    truth = 3 + 0.5 * answers.scores + rng.normal(0, np.where(answers.scores < 0, 1.2, 0.2))
    scores = np.where(np.arange(60) % 7 == 0, NAN, answers.scores)
    answers = replace(answers, scores=scores)
    filled = np.where(np.isnan(scores), np.nanmean(scores), scores)
    errors = []
    for _ in range(120):
        rounds, probabilities = np.zeros(60, dtype=np.int64), np.ones(60)
        for number, count in ((1, 10), (2, 14)):
            now = replace(answers, human=np.where(rounds > 0, truth, NAN))
            places, p = draw(now, predicted_sizes(now), count, rng)
            rounds[places], probabilities[places] = number, p[places]
        mine, weights = rounds > 0, np.zeros(60)
        weights[mine] = design_weights(rounds[mine], probabilities[mine], 60)
        rated = Rated(filled, np.where(mine, truth, NAN), np.arange(60), weights)
        errors.append(estimate([corrected_means({"x": rated}, 60)], 60)["x"] - truth.mean())
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(120)
