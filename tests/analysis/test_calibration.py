"""Calibration: the two maps against their oracles, what they may see, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured_runs import board_set, found, score
from registered import registered
from sklearn.isotonic import IsotonicRegression

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.analysis.calibration import MEASURED, Affine, Isotonic, Method, calibrate, fit
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, RatingGold, part_of
from videojudge_bench.leaderboard.importing import FoundRun
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Rating, Unparsed, Verdict

SCALE = RatingScale(1, 5)
RESAMPLES = 200
METHODS: tuple[Method, ...] = ("isotonic", "affine")


def too_kind(example: Example) -> Verdict:
    """Order the responses as gold does, one point too high, the best two alike."""
    assert isinstance(example.gold, RatingGold)
    return Rating(min(example.gold.mean + 1, 5.0))


def noise(example: Example) -> Verdict:
    """Give a rating that has nothing to do with the response."""
    return Rating(float(1 + int(5 * unit_interval("noise", example.item.id))))


def cosine(example: Example) -> Verdict:
    """Order the responses as gold does, between -1 and 1."""
    assert isinstance(example.gold, RatingGold)
    return Rating((example.gold.mean - 3) / 2)


def always_four(_: Example) -> Verdict:
    """Give everything the same rating."""
    return Rating(4.0)


def silent(example: Example) -> Verdict:
    """Rate the test videos alone."""
    return Unparsed("no") if part_of(example.item.video_id) == "dev" else Rating(3.0)


@pytest.fixture
def board() -> Iterator[GoldSet]:
    with registered(board_set(videos=100)) as gold_set:
        yield gold_set


def off_scale(run: FoundRun) -> FoundRun:
    return replace(run, on_scale=False)


def with_other_gold(gold_set: GoldSet, part: str) -> GoldSet:
    """The set with every rating of one part turned round."""
    turned = [
        replace(e, gold=RatingGold(tuple(6 - r for r in e.gold.ratings)))
        if isinstance(e.gold, RatingGold) and part_of(e.item.video_id) == part
        else e
        for e in gold_set.examples
    ]
    return GoldSet(gold_set.info, tuple(turned))


def test_pools_adjacent_violators_by_hand() -> None:
    # 3 and 2 are out of order: both become 2.5.
    fitted = fit(np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, 3.0, 2.0, 5.0]), "isotonic", SCALE)
    assert fitted(np.array([0.1, 0.2, 0.3, 0.4])).tolist() == [1.0, 2.5, 2.5, 5.0]
    assert fitted(np.array([-9.0, 0.15, 9.0])) == pytest.approx([1.0, 1.75, 5.0])


def test_affine_is_the_line_by_hand_and_stays_on_the_scale() -> None:
    # The line through (0, 2) and (1, 4) meets both pairs of points halfway.
    fitted = fit(np.array([0.0, 0.0, 1.0, 1.0]), np.array([1.0, 3.0, 3.0, 5.0]), "affine", SCALE)
    assert fitted(np.array([0.0, 0.5, 1.0, 2.0, -2.0])) == pytest.approx([2, 3, 4, 5, 1])


@given(
    st.lists(
        st.tuples(st.integers(-50, 50).map(lambda n: n / 10), st.sampled_from((1, 2, 3, 4, 5))),
        min_size=2,
        max_size=40,
    )
)
def test_maps_stay_on_the_scale_and_isotonic_is_sklearns(points: list[tuple[float, int]]) -> None:
    scores, gold = (np.array(column, dtype=np.float64) for column in zip(*points, strict=True))
    anywhere = np.linspace(-8, 8, 33)
    isotonic, affine = (fit(scores, gold, method, SCALE)(anywhere) for method in METHODS)
    for ratings in (isotonic, affine):
        assert ratings.min() >= 1 - 1e-9
        assert ratings.max() <= 5 + 1e-9
    oracle = IsotonicRegression(out_of_bounds="clip").fit(scores, gold)
    assert isotonic == pytest.approx(oracle.predict(anywhere))
    assert np.all(np.diff(isotonic) >= -1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_both_columns_are_what_scoring_gives(board: GoldSet, method: Method) -> None:
    run = found(board, too_kind)
    made = calibrate(run, method, resamples=RESAMPLES)
    mapped = {
        e.item.id: Judgement(e.item.id, Rating(float(value)))
        for e, value in zip(made.test.examples, made.score_map(made.test.scores), strict=True)
    }
    for column, judgements in ((made.raw, run.judgements), (made.calibrated, mapped)):
        card = score(board, judgements, on_scale=True, part="test", resamples=RESAMPLES)
        assert column == {key: card.metrics[key] for key in MEASURED}
        assert all(metric.low is not None for metric in column.values())


def test_a_kind_judge_becomes_fair(board: GoldSet) -> None:
    made = calibrate(found(board, too_kind), resamples=RESAMPLES)
    raw, calibrated = (
        {k: m.value or 0.0 for k, m in c.items()} for c in (made.raw, made.calibrated)
    )
    assert raw["bias"] > 0.5
    assert abs(calibrated["bias"]) < 0.15
    for key in ("rmse", "mae", "calibration_error"):
        assert calibrated[key] < raw[key] / 2


@pytest.mark.parametrize("method", METHODS)
def test_the_test_part_never_enters_the_map(method: Method) -> None:
    with registered(board_set(videos=100)) as board:
        before = calibrate(found(board, noise), method, resamples=RESAMPLES)
        kept, values = before.to_json(), before.calibrated
    with registered(with_other_gold(board, "test")) as other:
        after = calibrate(found(other, noise), method, resamples=RESAMPLES)
        assert after.to_json() == kept
        assert after.calibrated != values
    with registered(with_other_gold(board, "dev")) as other:
        assert calibrate(found(other, noise), method, resamples=RESAMPLES).to_json() != kept


def test_neither_do_the_scores_on_test_videos(board: GoldSet) -> None:
    run = found(board, noise)
    others = {
        item_id: Judgement(item_id, Rating(1.0)) if part_of(item_id.split("/")[0]) == "test" else j
        for item_id, j in run.judgements.items()
    }
    changed = calibrate(replace(run, judgements=others), resamples=RESAMPLES)
    assert changed.to_json() == calibrate(run, resamples=RESAMPLES).to_json()


@pytest.mark.parametrize("method", METHODS)
def test_scores_off_the_scale_get_one(board: GoldSet, method: Method) -> None:
    made = calibrate(off_scale(found(board, cosine)), method, resamples=RESAMPLES)
    assert {m.undefined for m in made.raw.values()} == {"not on the rating scale"}
    assert made.calibrated["rmse"].value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_constant_scores_become_the_mean_gold_of_dev(board: GoldSet, method: Method) -> None:
    made = calibrate(found(board, always_four), method, resamples=RESAMPLES)
    assert set(made.score_map(made.test.scores).round(9)) == {round(float(made.dev.gold.mean()), 9)}
    assert all(metric.value is not None for metric in made.calibrated.values())


def test_an_isotonic_map_of_a_judge_that_ranks_backwards_is_level() -> None:
    fitted = fit(np.array([1.0, 2.0, 3.0]), np.array([5.0, 3.0, 1.0]), "isotonic", SCALE)
    assert str(fitted) == "isotonic: every score becomes 3.000"


def test_maps_say_what_they_are() -> None:
    line = "isotonic: 2 knots from 0 -> 1.000 to 0.5 -> 4.000"
    assert str(Isotonic((0.0, 0.5), (1.0, 4.0))) == line
    assert str(Affine(2.0, -1.5, SCALE)) == "affine: 2 x score + -1.5, clipped to 1-5"


def test_the_file_names_the_dev_items_and_the_run(board: GoldSet) -> None:
    made = calibrate(found(board, too_kind, options={"seed": 7}), "affine", resamples=RESAMPLES)
    kept = made.to_json()
    n_dev = sum(part_of(e.item.video_id) == "dev" for e in board.examples)
    fitted_on = kept["fitted_on"]
    assert isinstance(fitted_on, dict)
    assert fitted_on["items"] == n_dev
    assert fitted_on["videos"] == n_dev // 3
    signature = str(kept["signature"])
    assert f"part:dev|items:{str(fitted_on['sha256'])[:12]}" in signature
    assert signature.endswith("||judge:too_kind|seed:7")
    assert kept["clipped_to"] == [1, 5]


def test_a_sample_is_refused(rated_set: GoldSet) -> None:
    sample = GoldSet(replace(rated_set.info, data="sample-8"), rated_set.examples)
    with registered(sample), pytest.raises(ConfigError, match="samples have no dev part"):
        calibrate(found(sample, always_four))


def test_sets_without_ratings_are_refused(option_set: GoldSet, pair_set: GoldSet) -> None:
    for gold_set in (option_set, pair_set):
        shape = f"{gold_set.info.task} has {gold_set.info.shape}, no ratings"
        with registered(gold_set), pytest.raises(ConfigError, match=shape):
            calibrate(found(gold_set, always_four))


def test_too_few_dev_videos_are_refused(board: GoldSet) -> None:
    with pytest.raises(ConfigError, match=r"on 0 dev videos of .*, and at least 20 are needed"):
        calibrate(found(board, silent))
