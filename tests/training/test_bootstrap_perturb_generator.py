"""Tests of `perturb` on real captions: what its drafts deserve, and that texts do not tell it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from videojudge_bench.errors import ConfigError
from videojudge_bench.training.bootstrap.contracts import (
    TARGETS,
    Attempt,
    Draft,
    Evaluation,
    Seed,
    Unable,
)
from videojudge_bench.training.bootstrap.perturb import Perturb
from videojudge_bench.training.bootstrap.perturb.slots import content_stems, take_apart
from videojudge_bench.training.bootstrap.seed_sources import read_source
from videojudge_bench.training.bootstrap.text_only import text_only_accuracy

SEEDS = list(read_source("vatex"))
PERTURB = Perturb(SEEDS)


def drafts_of(seed: Seed, perturb: Perturb = PERTURB, round_: int = 0) -> list[Draft]:
    """Return the drafts of all four targets, none when the seed cannot be graded."""
    found = [perturb.draft(seed, target, round_) for target in TARGETS]
    drafts = [draft for draft in found if isinstance(draft, Draft)]
    return drafts if len(drafts) == len(TARGETS) else []


def wrong_words(draft: Draft) -> float:
    """Content words of the gold answer that the stated changes make wrong."""
    found = 0.0
    for change in draft.changes:
        name, _, rest = change.partition(": ")
        before = rest.split(" -> ")[0].strip("'\"")
        found += take_apart(before).content_words / (2 if name == "order" else 1)
    return found


def test_four_of_five_captions_can_be_graded() -> None:
    complete = [seed for seed in SEEDS if drafts_of(seed)]
    assert len(complete) >= 0.8 * len(SEEDS)


def test_drafts_deserve_their_target_by_the_share_of_what_is_wrong() -> None:
    seen = 0
    for seed in SEEDS[:300]:
        total = take_apart(seed.gold).content_words
        for target, draft in zip(TARGETS, drafts_of(seed), strict=False):
            assert draft.truth == target
            assert 4 * wrong_words(draft) / total == pytest.approx(5 - target, abs=0.5)
            seen += 1
    assert seen > 900


def test_nothing_wrong_is_said_of_the_video_elsewhere() -> None:
    for seed in SEEDS[:300]:
        known = content_stems("\n".join((seed.gold, *seed.references)))
        for draft in drafts_of(seed):
            for change in draft.changes:
                name, _, rest = change.partition(": ")
                said = rest.split(" -> ")[1]
                if name != "order":
                    assert content_stems(said).isdisjoint(known), (seed.gold, change)


def test_drafts_depend_on_seed_target_and_round_alone() -> None:
    seeds = SEEDS[:60]
    first = {seed.id: drafts_of(seed) for seed in seeds}
    again, another = Perturb(SEEDS), Perturb(SEEDS, seed=1)
    assert {seed.id: drafts_of(seed, again) for seed in reversed(seeds)} == first
    graded = [seed for seed in seeds if first[seed.id]]
    later = [draft.text for seed in graded for draft in drafts_of(seed, round_=1)]
    other = [draft.text for seed in graded for draft in drafts_of(seed, another)]
    texts = [draft.text for seed in graded for draft in first[seed.id]]
    for different in (later, other):
        assert sum(a != b for a, b in zip(texts, different, strict=True)) > 0.9 * len(texts)


def test_the_round_is_the_number_of_earlier_attempts() -> None:
    seed = next(seed for seed in SEEDS if drafts_of(seed))
    attempt = Attempt(drafts_of(seed)[0], Evaluation(3.0))
    written = asyncio.run(PERTURB.write(seed, 1, [attempt, attempt]))
    assert written == PERTURB.draft(seed, 1, 2)


def test_noise_is_the_share_of_drafts_that_deserve_another_rating() -> None:
    noisy = Perturb(SEEDS, noise=0.3)
    truths = Counter(
        (target, draft.truth)
        for seed in SEEDS[:1_000]
        for target, draft in zip(TARGETS, drafts_of(seed, noisy), strict=False)
    )
    n = truths.total() / len(TARGETS)
    for target in TARGETS:
        # 4 standard deviations
        assert truths[target, target] / n == pytest.approx(0.7, abs=4 * (0.21 / n) ** 0.5)
        for other in set(TARGETS) - {target}:
            assert truths[target, other] / n == pytest.approx(0.1, abs=4 * (0.09 / n) ** 0.5)
    assert {truth for _, truth in truths} == set(TARGETS)


@pytest.mark.parametrize("gold", ["", "A dog.", "...", "someone is shown with people"])
def test_an_answer_of_too_few_parts_cannot_be_graded(gold: str) -> None:
    seed = replace(SEEDS[0], gold=gold, references=())
    for target in TARGETS:
        found = PERTURB.draft(seed, target)
        assert isinstance(found, Unable)
        assert found.reason.startswith("too few phrases to grade in five")


def test_a_corpus_without_other_answers_gives_nothing() -> None:
    alone = Perturb(SEEDS[:1])
    assert isinstance(alone.draft(SEEDS[0], 3), Unable)


def test_one_video_does_not_lend_to_itself() -> None:
    one_video = [replace(seed, video_id="same") for seed in SEEDS[:400]]
    perturb = Perturb(one_video)
    assert not any(drafts_of(seed, perturb) for seed in one_video[:50])


def test_settings_tell_corpora_and_options_apart() -> None:
    settings = PERTURB.settings()
    assert settings == Perturb(SEEDS).settings()
    assert settings["corpus"] != Perturb(SEEDS[1:]).settings()["corpus"]
    assert {**settings, "noise": 0.2, "seed": 3} == Perturb(SEEDS, noise=0.2, seed=3).settings()


def test_noise_is_a_share() -> None:
    with pytest.raises(ConfigError, match=r"noise=2: expected a share of the drafts, from 0 to 1"):
        Perturb([], noise=2)


def test_lengths_and_words_do_not_depend_on_the_rating() -> None:
    texts: dict[int, list[str]] = {rating: [] for rating in (*TARGETS, 5)}
    for seed in SEEDS:
        if drafts := drafts_of(seed):
            texts[5].append(seed.gold)
            for target, draft in zip(TARGETS, drafts, strict=True):
                texts[target].append(draft.text)
    lengths = {rating: np.mean([len(t.split()) for t in all_]) for rating, all_ in texts.items()}
    assert max(lengths.values()) - min(lengths.values()) < 0.5
    counts = {r: Counter(w for text in t for w in set(text.split())) for r, t in texts.items()}
    for word in ("man", "woman", "guitar", "water", "is", "are", "playing", "his", "her", "an"):
        shares = [counts[rating][word] / len(texts[rating]) for rating in texts]
        # 5 standard deviations of the difference of two shares
        spread = 5 * (2 * shares[-1] / len(texts[5])) ** 0.5
        assert max(shares) - min(shares) < spread, (word, shares)


def test_a_text_classifier_finds_next_to_nothing() -> None:
    rows = [
        (text, rating, seed.video_id)
        for seed in SEEDS[:600]
        if (drafts := drafts_of(seed))
        for text, rating in [(seed.gold, 5), *((d.text, d.truth or 0) for d in drafts)]
    ]
    found = text_only_accuracy(rows)
    assert found is not None
    assert abs(found.accuracy - found.chance) < 0.05
