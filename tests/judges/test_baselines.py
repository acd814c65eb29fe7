"""The judges that look at nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item, Pair
from videojudge_bench.judges.baselines import Constant, Longest, Random
from videojudge_bench.registry import build
from videojudge_bench.run.runner import Run
from videojudge_bench.verdicts import Preference, Rating


def item(number: int, response: str = "a cat") -> Item:
    return Item(f"v{number}/x", f"v{number}", "What is it?", response)


def test_random_rating_is_the_hash_of_seed_and_id() -> None:
    # The definition, written out anew: the first 64 bits of the SHA-256 as a fraction of 1.
    digest = hashlib.sha256(b"7\x1fv3/x").hexdigest()
    expected = 1 + 5 * int(digest[:16], 16) // 2**64
    assert Random(seed=7).rate(item(3)) == Rating(expected)


def test_random_ratings_are_spread_evenly_and_change_with_the_seed() -> None:
    ratings = [Random().rate(item(n)).value for n in range(5000)]
    counts = Counter(ratings)
    assert set(counts) == {1, 2, 3, 4, 5}
    # Binomial, n = 5000, p = 1/5: standard deviation 28; five of them are allowed.
    assert all(abs(count - 1000) < 140 for count in counts.values())
    others = [Random(seed=1).rate(item(n)).value for n in range(5000)]
    # Independent draws agree in a fifth of the cases.
    assert abs(sum(a == b for a, b in zip(ratings, others, strict=True)) - 1000) < 140


def test_random_rating_does_not_depend_on_the_response() -> None:
    assert Random().rate(item(1, "good")) == Random().rate(item(1, "bad"))


@given(first=st.text(), second=st.text(), seed=st.integers(0, 5))
def test_random_names_the_same_response_when_a_pair_is_swapped(
    first: str, second: str, seed: int
) -> None:
    pair = Pair("v/ab", "v", "What is it?", first, second)
    swapped = replace(pair, id="v/ba", first=second, second=first)
    judge = Random(seed)
    assert judge.prefer(pair).p_first + judge.prefer(swapped).p_first == 1.0
    assert (judge.prefer(pair).p_first == 0.5) == (first == second)


def test_random_coin_is_fair_and_tossed_anew_for_each_question() -> None:
    tosses = [
        Random().prefer(Pair(f"{n}", "one video", f"Question {n}?", "yes", "no")).p_first
        for n in range(5000)
    ]
    # Binomial, n = 5000, p = 1/2: standard deviation 0.0071; five of them are allowed.
    assert abs(fmean(tosses) - 0.5) < 0.036


def test_constant_is_fitted_on_dev() -> None:
    judge = Constant()
    assert judge.fits_on_dev
    assert judge.rate(item(0)) == Rating(3.0), "the middle of the scale before any fit"
    judge.fit_dev([(item(0), 5.0), (item(1), 4.0), (item(2), 1.5)])
    assert judge.rate(item(9)) == Rating(3.5)  # (5 + 4 + 1.5) / 3
    judge.fit_dev([])
    assert judge.rate(item(9)) == Rating(3.0), "another set, without a dev part"


def test_constant_with_a_level_is_never_fitted() -> None:
    judge = Constant(level=4)
    assert not judge.fits_on_dev
    judge.fit_dev([(item(0), 1.0)])
    assert judge.rate(item(0)) == Rating(4.0)
    assert judge.prefer(Pair("p", "v", "?", "good", "bad")) == Preference(0.5)


def test_constant_in_a_run_is_the_mean_of_the_dev_gold(rated_set: GoldSet) -> None:
    run = Run(build("constant", {}), rated_set)
    judgements = run.judge([example.item.id for example in rated_set.examples])
    # v2 and v3 are dev: means 5, 1, 3.5 and 1.5, so 11 / 4.
    assert {judgement.verdict for judgement in judgements.values()} == {Rating(2.75)}
    assert run.part == "test"


def test_constant_refuses_a_level_that_is_no_number() -> None:
    with pytest.raises(ConfigError, match="level=nan: expected a finite number"):
        build("constant", {"level": float("nan")})


@pytest.mark.parametrize("level", [0.5, 6.0])
def test_constant_refuses_a_level_off_the_scale(level: float) -> None:
    with pytest.raises(ConfigError) as caught:
        build("constant", {"level": level})
    assert str(caught.value) == (
        f"level={level!r} is not on the scale 1-5. Give a number from 1 to 5, "
        "or leave it out to fit it on the dev part."
    )


def test_longest_counts_words() -> None:
    judge = Longest()
    assert judge.scale is None
    assert judge.rate(item(0, "a  t-shirt,\nred")) == Rating(3.0)
    assert judge.rate(item(0, " ")) == Rating(0.0)
    assert judge.prefer(Pair("p", "v", "?", "one two", "one")) == Preference(1.0)
    assert judge.prefer(Pair("p", "v", "?", "one", "two")) == Preference(0.5)
