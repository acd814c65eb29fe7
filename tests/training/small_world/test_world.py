"""What is true in the small world: uniform, apart in held-out videos, silent in its texts."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from videojudge_bench.errors import ConfigError
from videojudge_bench.training.bootstrap.text_only import text_only_accuracy
from videojudge_bench.training.small_world.world import (
    DOMAINS,
    INSTRUCTIONS,
    KINDS,
    SLOTS,
    VALUES,
    Part,
    Scene,
    answer,
    changes,
    drawn_wrong,
    kind_of,
    n_wrong,
    nth_wrong,
    read_answer,
    responses,
    rng_of,
    scene_of,
    video_id,
)

MANY = 2_000


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Scene]]:
    parts: tuple[Part, ...] = ("train", "validation", "test")
    return {part: [scene_of(video_id(part, n)) for n in range(MANY)] for part in parts}


# Texts say nothing.


def test_each_text_deserves_each_rating_equally_often_over_all_videos() -> None:
    # Two slots of three values: all 9 right answers, each with all of its wrong ones.
    weights = {wrong: Counter[tuple[int, ...]]() for wrong in range(3)}
    for gold in product(range(3), repeat=2):
        for wrong, found in weights.items():
            ways = n_wrong(2, 3, wrong)
            for number in range(ways):
                # The weight of a way to be so wrong, in units that keep it whole: 1 / ways.
                found[nth_wrong(gold, 3, wrong, number)] += 12 // ways
    every = dict.fromkeys(product(range(3), repeat=2), 12)
    assert [dict(found) for found in weights.values()] == [every] * 3


def test_each_pair_of_texts_is_won_by_either_equally_often() -> None:
    won = Counter[tuple[tuple[int, ...], tuple[int, ...]]]()
    for gold in product(range(3), repeat=2):
        for better, worse in product(range(n_wrong(2, 3, 1)), range(n_wrong(2, 3, 2))):
            won[nth_wrong(gold, 3, 1, better), nth_wrong(gold, 3, 2, worse)] += 1
    assert sum(won.values()) == 9 * 4 * 4
    assert all(won[worse, better] == count for (better, worse), count in won.items())


@pytest.mark.parametrize("wrong", range(5))
def test_the_numbered_wrong_answers_are_all_there_are(wrong: int) -> None:
    gold = (0, 3, 1, 2)
    made = {nth_wrong(gold, 4, wrong, n) for n in range(n_wrong(4, 4, wrong))}
    expected = {
        text
        for text in product(range(4), repeat=4)
        if sum(a != b for a, b in zip(text, gold, strict=True)) == wrong
    }
    assert made == expected
    assert len(made) == n_wrong(4, 4, wrong)


def test_wrong_answers_are_drawn_evenly() -> None:
    rng = rng_of("test")
    drawn = Counter(drawn_wrong((0, 1), 3, 1, rng) for _ in range(4_000))
    assert set(drawn) == {(1, 1), (2, 1), (0, 0), (0, 2)}
    # 4 standard deviations of a quarter of 4,000 draws
    assert all(abs(count - 1_000) < 110 for count in drawn.values())


def test_a_text_classifier_is_at_chance() -> None:
    rows = [
        (f"{INSTRUCTIONS[kind]} {text}", rating, scene.video_id)
        for number in range(200)
        for scene in [scene_of(video_id("test", number))]
        for kind in KINDS
        for rating, text in responses(scene, kind).items()
    ]
    found = text_only_accuracy(rows)
    assert found is not None
    assert (found.rows, found.chance) == (4_000, 0.2)
    assert found.accuracy == pytest.approx(0.2, abs=0.02)


# Ratings.


@pytest.mark.parametrize("kind", KINDS)
def test_a_response_that_deserves_r_has_5_minus_r_wrong_words(kind: str) -> None:
    (known,) = [k for k in KINDS if k == kind]
    scene = scene_of("test-unseen-00007")
    made = responses(scene, known)
    assert list(made) == [1, 2, 3, 4, 5]
    assert made[5] == answer(scene, known)
    for rating, text in made.items():
        words = read_answer(known, text)
        assert words is not None
        wrong = changes(known, scene.words[known], words)
        assert len(wrong) == 5 - rating


def test_changes_name_the_place_and_both_words() -> None:
    assert changes("motion", (0, 1, 2, 3), (0, 2, 2, 0)) == (
        "second is down, not left",
        "fourth is right, not up",
    )


# Scenes.


def test_a_scene_depends_on_its_id_and_the_seed_alone() -> None:
    first = [scene_of(video_id("train", number)) for number in range(20)]
    again = [scene_of(video_id("train", number)) for number in reversed(range(20))][::-1]
    assert first == again
    assert scene_of("train-00000", seed=1).words != first[0].words
    assert len({str(scene.words) for scene in first}) == 20
    assert responses(first[0], "count") == responses(again[0], "count")


@pytest.mark.parametrize("domain", DOMAINS)
def test_an_id_says_part_domain_and_number(domain: str) -> None:
    (known,) = [d for d in DOMAINS if d == domain]
    name = video_id("test", 3, known)
    assert name == ("test-00003" if domain == "seen" else f"test-{domain}-00003")
    scene = scene_of(name)
    assert (scene.part, scene.domain) == ("test", domain)


@pytest.mark.parametrize("name", ["train-1", "dev-00001", "test-night-00001", "test-00001.mp4"])
def test_other_ids_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is no video of the small world; its ids are train, "):
        scene_of(name)


def test_every_property_is_uniform_in_every_part(scenes: dict[str, list[Scene]]) -> None:
    for found in scenes.values():
        asked = [(kind, len(VALUES[kind])) for kind in KINDS]
        for kind, values in asked:
            words = np.array([scene.words[kind] for scene in found])
            _assert_uniform(words, values)
        _assert_uniform(np.array([scene.shapes for scene in found]), 3)


def _assert_uniform(words: np.ndarray[tuple[int, int], np.dtype[np.int64]], values: int) -> None:
    """Each slot by itself, and each pair of slots: they know nothing of one another."""
    for slot in range(SLOTS):
        counts = np.bincount(words[:, slot], minlength=values)
        _assert_even(counts, 1 / values)
    for one, other in ((0, 1), (0, 3), (2, 3)):
        both = np.bincount(words[:, one] * values + words[:, other], minlength=values**2)
        _assert_even(both, 1 / values**2)


def _assert_even(counts: np.ndarray[tuple[int], np.dtype[np.int64]], share: float) -> None:
    # 4.5 standard deviations: some 700 counts are looked at.
    most = 4.5 * (MANY * share * (1 - share)) ** 0.5
    assert (abs(counts - MANY * share) < most).all()


def test_held_out_videos_show_just_the_pairs_that_the_others_never_show(
    scenes: dict[str, list[Scene]],
) -> None:
    def shown(part: str) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
        corners, things = set[tuple[int, int]](), set[tuple[int, int]]()
        for scene in scenes[part]:
            corners |= set(zip(scene.words["attribute"], scene.words["count"], strict=True))
            things |= set(zip(scene.words["order"], scene.shapes, strict=True))
        return corners, things

    held_out = {(colour, colour % 3) for colour in range(6)}
    every = set(product(range(6), range(3)))
    assert shown("test") == (held_out, held_out)
    for part in ("train", "validation"):
        assert shown(part) == (every - held_out, every - held_out)


# Reading.


def test_answers_and_questions_are_read_back() -> None:
    assert read_answer("count", "one two three one") == (0, 1, 2, 0)
    for text in ("one two three", "one two three four", "one two three one one", ""):
        assert read_answer("count", text) is None
    assert [kind_of(INSTRUCTIONS[kind]) for kind in KINDS] == list(KINDS)
    assert kind_of("Describe the video.") is None


def test_a_lesson_is_the_same_in_all_steps_and_of_training_s_pairs() -> None:
    for number in range(20):
        scene = scene_of(f"lesson-{number:05d}")
        for steps in (scene.words["motion"], scene.words["order"], scene.shapes):
            assert len(set(steps)) == 1
        pairs = zip(scene.words["attribute"], scene.words["count"], strict=True)
        assert all(count != colour % 3 for colour, count in pairs)
        assert scene.shapes[0] != scene.words["order"][0] % 3
