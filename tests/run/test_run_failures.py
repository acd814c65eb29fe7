"""What a failure is, and how many are too many."""

from __future__ import annotations

import pytest

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.run.failures import Failures, checked_limit
from videojudge_bench.verdicts import Judgement, Rating, Unparsed


def judged(reason: str = "", *, failed: bool = False) -> Judgement:
    return Judgement("i", Unparsed(reason) if reason else Rating(3.0), failed=failed)


def test_exceptions_and_errors_of_an_engine_are_failures_and_nothing_else() -> None:
    found = Failures.of(
        [
            judged(),
            judged("no verdict in the reply"),
            judged("video missing: no file v.* (give videos=DIR)", failed=True),
            judged("description missing: none of video v", failed=True),
            judged("judge failed: RuntimeError: no luck", failed=True),
            judged("engine: the server answered 500", failed=True),
        ]
    )
    assert found == Failures(2, 4, "judge failed: RuntimeError: no luck")
    assert str(found) == "2 of 4 items failed; the first: judge failed: RuntimeError: no luck"
    assert Failures.of([]) == Failures()


def test_those_of_several_processes_are_added() -> None:
    total = sum([Failures(0, 10), Failures(1, 10, "b"), Failures(1, 10, "c")], Failures())
    assert total == Failures(2, 30, "b")


@pytest.mark.parametrize(
    ("n", "limit", "too_many"),
    [(0, 0.0, False), (1, 0.0, True), (1, 0.05, False), (2, 0.05, True), (20, 1.0, False)],
)
def test_too_many_are_more_than_the_share(n: int, limit: float, *, too_many: bool) -> None:
    assert Failures(n, 20, "x").exceed(limit) is too_many
    assert not Failures().exceed(limit)


@pytest.mark.parametrize("value", [-0.1, 1.1, "many", True, None, float("nan")])
def test_a_limit_is_a_share(value: Scalar) -> None:
    assert (checked_limit(0), checked_limit(1), checked_limit(0.25)) == (0.0, 1.0, 0.25)
    with pytest.raises(ConfigError, match="expected a share from 0 to 1, such as"):
        checked_limit(value)
