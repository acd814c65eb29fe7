"""Numbers that are computed once: reused for the same key, and only for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from measured_runs import board_set
from pydantic import TypeAdapter
from registered import registered

from videojudge_bench import registry
from videojudge_bench.leaderboard import comparing, importing, memo
from videojudge_bench.leaderboard.opening import open_run
from videojudge_bench.metrics import Measurement
from videojudge_bench.run.runner import Run, RunOptions

ADAPTER = TypeAdapter(list[float])


def test_a_value_is_computed_once_for_each_key() -> None:
    calls: list[str] = []

    def compute() -> list[float]:
        calls.append("computed")
        return [0.1 + 0.2, 1.0]

    for key in ("a", "b", "a"):
        assert memo.computed_once("kind", key, ADAPTER, compute) == [0.1 + 0.2, 1.0]
    assert len(calls) == 2


@pytest.mark.parametrize("content", ["", "[", '["x"]'])
def test_a_damaged_file_is_computed_again(content: str) -> None:
    memo.computed_once("kind", "a", ADAPTER, lambda: [1.0])
    (path,) = memo.cache_folder().rglob("*.json")
    path.write_text(content)
    assert memo.computed_once("kind", "a", ADAPTER, lambda: [2.0]) == [2.0]
    assert memo.computed_once("kind", "a", ADAPTER, lambda: [3.0]) == [2.0]


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert memo.computed_once("kind", "a", ADAPTER, lambda: [1.0]) == [1.0]


def test_runs_that_were_compared_are_not_resampled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registered(board_set(25)) as gold_set:
        runs = []
        for seed in (0, 1, 2):
            options = RunOptions(journal=tmp_path)
            run = Run(registry.build("random", {"seed": seed}), gold_set, options)
            run.judge(list(gold_set.by_id))
            runs.append(open_run(run.folder))
        a, b, other = runs
        first = comparing.compare_runs(a, b, permutations=50, resamples=50)
        stored = importing.to_stored(a.record, resamples=50)

        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("computed again")

        with monkeypatch.context() as patched:
            patched.setattr(comparing, "difference_interval", refuse)
            patched.setattr(Measurement, "card", refuse)
            again = comparing.compare_runs(a, b, permutations=50, resamples=50)
            assert (again.test, again.interval) == (first.test, first.interval)
            assert importing.to_stored(a.record, resamples=50) == stored
            with pytest.raises(AssertionError, match="computed again"):
                comparing.compare_runs(a, other, permutations=50, resamples=50)
            with pytest.raises(AssertionError, match="computed again"):
                comparing.compare_runs(a, b, permutations=50, resamples=60)
            with pytest.raises(AssertionError, match="computed again"):
                importing.to_stored(b.record, resamples=50)
