"""Means, intervals and tests: by hand, and the same as the statistics of the benchmark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from answer_rows import ASKED, BAD, GOOD, Row, answers_of
from scipy.stats import permutation_test as scipy_permutation_test

from videojudge_bench.answers.human import HumanRatings
from videojudge_bench.answers.pair_summary import summarise_pairs
from videojudge_bench.answers.reading import Unit, read_answers, units_of
from videojudge_bench.answers.summary import FEWEST_RATED, paired_test, summarise
from videojudge_bench.answers.tables import is_turned, sheets_of
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed


def single(*rows: Row) -> tuple[Unit, ...]:
    return units_of(read_answers(rows), None)


def rated(units: tuple[Unit, ...], scores: list[float | None]) -> dict[str, Judgement]:
    return {
        unit.id: Judgement(unit.id, Unparsed("no tag") if score is None else Rating(score))
        for unit, score in zip(units, scores, strict=True)
    }


def asked(video: str, system: str) -> Row:
    return {"video_id": video, "instruction": "?", "response": system, "system": system}


def test_means_and_coverage_by_hand() -> None:
    units = single(*(asked(v, s) for v in ("v0", "v1", "v2") for s in ("x", "y")))
    found = summarise(units, rated(units, [5, 3, 4, 1, None, 2]))
    x, y = found.systems
    assert (x.system, x.n, x.n_videos, x.score.value) == ("x", 3, 3, 4.5)
    assert x.coverage == pytest.approx(2 / 3)
    assert (y.score.value, y.coverage, y.score.no_interval) == (2.0, 1.0, "fewer than 20 videos")
    assert (x.human, x.corrected) == (None, None)
    (between,) = found.differences
    # On v0 and v1, which both have scores for: (5 + 4) / 2 - (3 + 1) / 2.
    assert (between.difference, between.n, between.n_videos) == (2.5, 2, 2)
    # Swapping gives 2 + 3, 2 - 3, 3 - 2 and -2 - 3: half of them as far apart.
    assert between.p_value == pytest.approx(0.5, abs=0.02)


def test_means_by_criterion() -> None:
    units = single(*(asked(v, s) for v in ("v0", "v1") for s in ("x", "y")))
    judged = rated(units, [5, 3, 4, 1])
    verdicts: list[dict[str, float | None]] = [
        {"right": 5.0, "polite": 1.0},
        {"right": 3.0, "polite": None},
        {"right": 4.0},
        {},
    ]
    for unit, criteria in zip(units, verdicts, strict=True):
        judged[unit.id] = replace(judged[unit.id], criteria=criteria)
    summary = summarise(units, judged)
    found = [{n: m.value for n, m in row.criteria.items()} for row in summary.systems]
    assert found == [{"right": 4.5, "polite": 1.0}, {"right": 3.0, "polite": None}]
    sheet = sheets_of(summary, judge="j", answers="a", scale="1-5")[1]
    assert (sheet.title, sheet.head) == ("Mean by criterion", ("system", "right", "polite"))
    assert sheet.rows == (("x", "4.500", "1.000"), ("y", "3.000", "undefined (no verdict)"))
    plain = sheets_of(summarise(units, rated(units, [5, 3, 4, 1])), judge="", answers="", scale="")
    assert "Mean by criterion" not in [each.title for each in plain]


def test_a_missing_video_is_no_failure_of_the_judge() -> None:
    units = single(asked("v0", "x"), asked("v1", "x"))
    judged = rated(units, [4, None])
    judged[units[1].id] = Judgement(units[1].id, Unparsed("video missing: no file"), failed=True)
    (x,) = summarise(units, judged).systems
    assert (x.n, x.coverage) == (2, 1.0)


def test_an_answer_that_is_not_judged_yet_is_left_out() -> None:
    units = single(asked("v0", "x"), asked("v1", "x"))
    assert summarise(units, rated(units[:1], [4])).systems[0].n == 1
    assert summarise(units, {}).systems == ()


def test_intervals_are_by_video() -> None:
    # Ten answers a video, all alike: as many independent units as videos.
    units = single(
        *({**asked(f"v{v}", "x"), "response": str(k)} for v in range(30) for k in range(10))
    )
    scores = [float(v % 2) for v in range(30) for _ in range(10)]
    (x,) = summarise(units, rated(units, list(scores))).systems
    assert x.score.value == 0.5
    assert x.score.low is not None
    assert x.score.high is not None
    assert x.score.high - x.score.low == pytest.approx(2 * 1.96 * 0.5 / 30**0.5, rel=0.1)


def test_systems_are_compared_in_pairs_and_by_holm() -> None:
    units = single(*(asked(f"v{v}", s) for v in range(30) for s in "xyz"))
    scores = [base + 0.1 * (v % 3) for v in range(30) for base in (4.0, 3.0, 3.0)]
    found = {(d.a, d.b): d for d in summarise(units, rated(units, list(scores))).differences}
    assert found["x", "y"].difference == pytest.approx(1.0)
    assert found["x", "y"].p_value == pytest.approx(1 / 10_001)
    assert found["x", "y"].p_holm == pytest.approx(3 / 10_001)
    assert found["y", "z"].p_value == 1.0


def test_the_test_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(3.3, 1, 24), rng.normal(3, 1, 24)
    difference, p_value = paired_test(a, b, [f"v{i}" for i in range(24)])
    oracle = scipy_permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=20_000, rng=np.random.default_rng(1),
    )  # fmt: skip
    assert difference == pytest.approx(oracle.statistic)
    assert p_value == pytest.approx(oracle.pvalue, abs=0.02)


def test_systems_without_a_question_in_common_are_not_compared() -> None:
    units = single(asked("v0", "x"), asked("v1", "y"))
    (found,) = summarise(units, rated(units, [4, 3])).differences
    assert (found.difference, found.p_value, found.p_holm) == (None, None, None)
    assert found.problem == "scores for the same questions on 0 videos; 2 are needed"


def test_with_human_ratings_the_means_are_corrected() -> None:
    units = single(*answers_of(60))
    truth = [3.0 + (u.item.video_id > "v30") - (u.systems[0] == "y") for u in units]
    kind = [t + (1.5 if u.systems[0] == "y" else 0.0) for t, u in zip(truth, units, strict=True)]
    human = {u.id: t for t, u in zip(truth, units, strict=True) if int(u.item.video_id[1:]) % 2}
    found = summarise(units, rated(units, list(kind)), HumanRatings(human, 0))
    x, y = found.systems
    assert x.score.value is not None
    assert y.score.value is not None
    assert x.corrected is not None
    assert y.corrected is not None
    assert y.score.value > x.score.value, "the judge is partial to y"
    assert x.corrected.value == pytest.approx(np.mean(truth[::2]), abs=0.02)
    assert y.corrected.value == pytest.approx(np.mean(truth[1::2]), abs=0.02)
    assert y.n_human == 30
    (between,) = found.differences
    assert between.difference == pytest.approx(-0.5)
    assert between.corrected is not None
    assert between.corrected.low is not None
    assert between.corrected.low > 0.9


def test_too_few_ratings_correct_nothing() -> None:
    units = single(*answers_of(30))
    numbers = [3.0 + (n % 4) / 4 for n in range(len(units))]
    rated_of_x = [u.id for u in units if u.systems[0] == "x"][: FEWEST_RATED - 1]
    rated_of_y = [u.id for u in units if u.systems[0] == "y"][:FEWEST_RATED]
    human = dict.fromkeys([*rated_of_x, *rated_of_y], 4.0)
    found = summarise(units, rated(units, list(numbers)), HumanRatings(human, 0))
    x, y = (system.corrected for system in found.systems)
    assert x is not None
    assert (x.value, x.undefined) == (None, "fewer than 10 human ratings")
    assert y is not None
    assert y.value is not None
    (between,) = found.differences
    assert between.corrected is not None
    assert between.corrected.undefined == "fewer than 10 human ratings"


def test_a_correction_that_turns_the_order_round_is_said() -> None:
    units = single(*answers_of(60))
    kind = [4.0 if u.systems[0] == "y" else 3.0 for u in units]
    human = {u.id: 4.0 if u.systems[0] == "x" else 2.0 for u in units}
    (between,) = summarise(units, rated(units, list(kind)), HumanRatings(human, 0)).differences
    *_, sheet = sheets_of(
        summarise(units, rated(units, list(kind)), HumanRatings(human, 0)),
        judge="j",
        answers="a",
        scale="1-5",
    )
    assert is_turned(between)
    assert sheet.notes[-1].startswith(
        "The judge puts y above x; corrected by human ratings, x is above y (x - y: 2.000"
    )
    (same,) = summarise(
        units, rated(units, [7 - k for k in kind]), HumanRatings(human, 0)
    ).differences
    assert not is_turned(same)


def test_a_system_that_nobody_rated_is_not_corrected() -> None:
    units = single(GOOD, BAD)
    x, y = summarise(units, rated(units, [4, 3]), HumanRatings({units[0].id: 5.0}, 0)).systems
    assert x.human is not None
    assert x.human.value == 5.0
    assert x.corrected is not None
    assert (x.corrected.value, x.corrected.undefined) == (None, "fewer than 10 human ratings")
    assert y.corrected is not None
    assert (y.corrected.value, y.corrected.undefined) == (None, "no human rating")


def duels(*verdicts: tuple[str, str, float | None, float | None]) -> list[Row]:
    return [
        {**ASKED, "video_id": f"v{n}", "system_a": a, "system_b": b, "response_a": "1",
         "response_b": "2"}
        for n, (a, b, _, _) in enumerate(verdicts)
    ]  # fmt: skip


def judged_pairs(
    *verdicts: tuple[str, str, float | None, float | None],
) -> tuple[tuple[Unit, ...], dict[str, Judgement]]:
    """Each: system a, system b, P(first) shown as a, b, and P(first) shown as b, a."""
    units = units_of(read_answers(duels(*verdicts)), None)
    found = {}
    for unit, (_, _, there, back) in zip(units, verdicts, strict=True):
        for item_id, p in zip(unit.item_ids, (there, back), strict=True):
            verdict = Unparsed("no tag") if p is None else Preference(p)
            found[item_id] = Judgement(item_id, verdict)
    return units, found


def test_wins_by_hand_whichever_side_a_system_stands_on() -> None:
    found = summarise_pairs(
        *judged_pairs(
            ("x", "y", 1.0, 0.0),  # x both times
            ("y", "x", 1.0, 0.0),  # y both times
            ("y", "x", 0.0, 1.0),  # x both times
            ("x", "y", 1.0, 1.0),  # whoever stands first: a tie
            ("x", "y", 1.0, None),
        )
    )
    (duel,) = found.duels
    assert (duel.a, duel.b, duel.n, duel.wins, duel.ties, duel.losses) == ("x", "y", 5, 2, 1, 1)
    assert duel.coverage == 0.8
    assert duel.win_rate.value == 0.625
    assert duel.order_consistency.value == 0.75
    assert duel.first_position_rate.value == pytest.approx((0.5 + 0.5 + 0.5 + 1) / 4)
    assert found.overall == {}


def test_win_rates_over_all_opponents_best_first() -> None:
    found = summarise_pairs(
        *judged_pairs(("x", "y", 0.0, 1.0), ("y", "z", 1.0, 0.0), ("x", "z", 0.5, 0.5))
    )
    values = {system: metric.value for system, metric in found.overall.items()}
    assert list(values.items()) == [("y", 1.0), ("x", 0.25), ("z", 0.25)]


def test_a_clear_winner_is_significant() -> None:
    found = summarise_pairs(*judged_pairs(*[("x", "y", 0.9, 0.2)] * 30))
    (duel,) = found.duels
    assert duel.p_value == pytest.approx(1 / 10_001)
    assert duel.win_rate.value == 1.0
    assert duel.win_rate.low == pytest.approx(0.8865, abs=1e-3), "Wilson, 30 of 30"
