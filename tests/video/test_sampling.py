"""Which frames are taken: pure maths."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videojudge_bench.video.sampling import Clock, Run, choose, clock, plan, shown_at, targets


def steady(frames: int, fps: float) -> Clock:
    return clock([k / fps for k in range(frames)], end_seconds=frames / fps, declared_seconds=0)


gaps = st.lists(st.floats(0.001, 5.0), min_size=1, max_size=60)
policies = st.tuples(st.integers(1, 80), st.none() | st.floats(0.05, 60.0))


@st.composite
def clocks(draw: st.DrawFn) -> Clock:
    distances = draw(gaps)
    times = [sum(distances[:k]) for k in range(len(distances))]
    end = times[-1] + distances[-1]
    return clock(times, end_seconds=end, declared_seconds=end + draw(st.floats(-5, 30)))


@given(clocks(), policies)
def test_frames_are_distinct_ascending_and_at_most_as_many_as_asked(
    times: Clock, policy: tuple[int, float | None]
) -> None:
    chosen = choose(times, max_frames=policy[0], fps=policy[1])
    assert chosen == sorted(set(chosen))
    assert 1 <= len(chosen) <= policy[0]
    assert 0 <= chosen[0] <= chosen[-1] < len(times.times_seconds)


@given(clocks(), policies)
def test_each_target_gets_the_last_frame_that_begins_at_or_before_it(
    times: Clock, policy: tuple[int, float | None]
) -> None:
    wanted = targets(times, max_frames=policy[0], fps=policy[1])
    # By hand: the frames one after another; a frame within a microsecond after counts as begun.
    expected = set()
    for target in wanted:
        shown = 0
        for position, begins in enumerate(times.times_seconds):
            if begins <= target + 1e-6:
                shown = position
        expected.add(shown)
    assert shown_at(times.times_seconds, wanted) == sorted(expected)


@given(clocks(), policies)
def test_targets_lie_within_the_video(times: Clock, policy: tuple[int, float | None]) -> None:
    wanted = targets(times, max_frames=policy[0], fps=policy[1])
    assert wanted == sorted(wanted)
    assert all(0 <= target <= times.duration_seconds for target in wanted)


@given(clocks(), st.integers(2, 80))
def test_an_even_spread_has_the_first_and_the_last_frame(times: Clock, count: int) -> None:
    chosen = choose(times, max_frames=count, fps=None)
    assert (chosen[0], chosen[-1]) == (0, len(times.times_seconds) - 1)


def test_one_frame_per_second_of_ten_seconds() -> None:
    assert choose(steady(300, 30), max_frames=180, fps=1.0) == list(range(0, 300, 30))


def test_a_rate_that_gives_too_many_becomes_a_spread() -> None:
    assert choose(steady(300, 30), max_frames=4, fps=1.0) == [0, 99, 199, 299]


def test_just_as_many_as_allowed_are_no_spread() -> None:
    assert choose(steady(300, 30), max_frames=10, fps=1.0) == list(range(0, 300, 30))


def test_a_slow_video_gives_each_frame_once() -> None:
    assert choose(steady(3, 0.5), max_frames=180, fps=1.0) == [0, 1, 2]


def test_one_frame_is_the_middle_one() -> None:
    assert choose(steady(101, 10), max_frames=1, fps=None) == [50]


def test_a_single_frame_without_length_is_taken() -> None:
    still = clock([0.0], end_seconds=0.0, declared_seconds=0.0)
    assert (choose(still, max_frames=180, fps=1.0), still.fps) == ([0], 0.0)


def test_a_cut_video_keeps_its_length_and_assumes_the_frames_that_are_lost() -> None:
    cut = clock([0.0, 0.5, 1.0, 1.5], end_seconds=2.0, declared_seconds=4.0)
    assert cut == Clock((0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5), 4, 4.0)
    assert cut.fps == 2.0


@pytest.mark.parametrize("declared", [0.0, 1.0, 2.9])
def test_a_header_that_is_a_little_off_is_no_cut(declared: float) -> None:
    whole = clock([0.0, 0.5, 1.0, 1.5], end_seconds=2.0, declared_seconds=declared)
    assert (whole.available, whole.duration_seconds) == (4, 2.0)


def test_a_header_that_declares_centuries_is_bounded() -> None:
    endless = clock([0.0, 0.1], end_seconds=0.2, declared_seconds=1e12)
    assert len(endless.times_seconds) == 2 + (1 << 20)


# What has to be decoded.

# The file's order of two groups I P b b of pictures; the second begins with an open keyframe:
# its b are shown before it.
OPEN = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]


@pytest.mark.parametrize(
    ("wanted", "runs"),
    [
        ([], ()),
        ([0], (Run(0, 0),)),
        ([3], (Run(0, 3),)),
        ([4], (Run(4, 4),)),
        ([7], (Run(4, 7),)),
        ([5], (Run(0, 5),)),  # shown at 4, before the keyframe at 6: it needs the first group
        ([1, 7], (Run(0, 1), Run(4, 7))),
        ([4, 5], (Run(0, 5),)),
        ([3, 7], (Run(0, 7),)),  # nothing lies between the packets of the two
    ],
)
def test_the_fewest_packets_that_the_wanted_ones_need(
    wanted: list[int], runs: tuple[Run, ...]
) -> None:
    assert plan(OPEN, [0, 4], wanted) == runs


def test_without_keyframes_decoding_begins_with_the_file() -> None:
    assert plan(list(range(5)), [], [3]) == (Run(0, 3),)


@given(
    st.permutations(range(30)),
    st.sets(st.integers(0, 29), max_size=8),
    st.sets(st.integers(0, 29), max_size=10),
)
def test_every_wanted_packet_is_in_a_run_that_begins_where_decoding_can(
    shown: list[int], keyframes: set[int], wanted: set[int]
) -> None:
    runs = plan(shown, sorted(keyframes), sorted(wanted))
    assert all(a.last + 1 < b.first for a, b in pairwise(runs))
    assert all(run.first == 0 or run.first in keyframes for run in runs)
    for packet in wanted:
        run = next(run for run in runs if run.first <= packet <= run.last)
        assert run.first == 0 or shown[run.first] <= shown[packet]
