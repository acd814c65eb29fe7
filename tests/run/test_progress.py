"""What the progress line says."""

from __future__ import annotations

import time

import pytest

from videojudge_bench.run.progress import Tally, progress_line


def test_nothing_is_known_before_the_first() -> None:
    tally = Tally()
    assert (tally.coverage, tally.spent) == ("-", "")


@pytest.mark.parametrize(
    ("done", "seconds", "rate"), [(50, 5.0, "10.0/s"), (30, 60.0, "30.0/min"), (0, 1.0, "0.0/min")]
)
def test_the_rate_is_a_second_or_a_minute(done: int, seconds: float, rate: str) -> None:
    assert Tally(done=done, started=time.monotonic() - seconds).rate == rate


def test_coverage_and_cost() -> None:
    tally = Tally(done=3, parsed=2, cost=0.25)
    assert (tally.coverage, tally.spent) == ("66.7 %", "cost 0.2500")


def test_a_line_is_shown_in_a_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_line("judging", total=2, done=0) as advance:
        advance(parsed=True, cost=0.1)
        advance(parsed=False)
    assert capsys.readouterr().err == ""
