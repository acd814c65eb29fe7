"""`videojudge compare A B`: the paired test, the interval, what flipped, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from boards import Rate, board_set, nearly_perfect, noise, often_unparsed, perfect, stored
from registered import registered

from videojudge_bench.cli.main import main
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example
from videojudge_bench.leaderboard.comparing import compare_runs
from videojudge_bench.leaderboard.opening import open_run, with_distinct_names
from videojudge_bench.leaderboard.stored import write_run
from videojudge_bench.metrics.compare import compare
from videojudge_bench.verdicts import Rating, Verdict


@pytest.fixture(autouse=True)
def gold_set() -> Iterator[GoldSet]:
    with registered(board_set()) as gold_set:
        yield gold_set


def kept(gold_set: GoldSet, rate: Rate, folder: Path, **more: int) -> Path:
    return write_run(stored(gold_set, rate, **more), folder)  # type: ignore[arg-type]


def one_point_up(example: Example) -> Verdict:
    verdict = perfect(example)
    assert isinstance(verdict, Rating)
    return Rating(min(5.0, verdict.value + 1))


def test_the_numbers_are_those_of_the_paired_test(gold_set: GoldSet, tmp_path: Path) -> None:
    a = open_run(kept(gold_set, perfect, tmp_path))
    b = open_run(kept(gold_set, noise, tmp_path))
    found = compare_runs(a, b, permutations=200, resamples=200)
    expected = compare(gold_set, a.judgements, b.judgements, statistic="spearman", permutations=200)
    assert found.test == expected
    assert found.interval is not None
    low, high = found.interval
    assert low < expected.difference < high
    assert (found.n_both, len(found.flips)) == (120, sum(flip.b > 0 for flip in found.flips))
    assert all(flip.a == 0 and flip.gain < 0 for flip in found.flips)
    gains = [abs(flip.gain) for flip in found.flips]
    assert gains == sorted(gains, reverse=True)


def test_from_two_folders_to_the_table(
    gold_set: GoldSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = kept(gold_set, nearly_perfect, tmp_path)
    b = kept(gold_set, one_point_up, tmp_path)
    assert main(["compare", str(a), str(b), "--statistic", "mae", "--items", "1"]) == 0
    printed = capsys.readouterr().out
    assert "videojudge_tinyboard: nearly_perfect minus one_point_up" in printed
    (line,) = (line.split() for line in printed.splitlines() if line.strip().startswith("mae"))
    # One item of 120 is 3 points off, against 1 point on every item that is not rated 5.
    fives = sum(isinstance(v := perfect(e), Rating) and v.value == 5 for e in gold_set.examples)
    assert line[1:3] == ["0.025", f"{(120 - fives) / 120:.3f}"]
    assert "p: paired permutation test by video, two-sided, 10,000 permutations" in printed
    nearer = f"nearly_perfect on {119 - fives} items, one_point_up on 1, both alike on {fives}."
    assert f"Nearer to gold: {nearer}" in printed
    (item,) = (line.split() for line in printed.splitlines() if "video00/1" in line)
    assert item == ["video00/1", "1", "4", "2", "nothing", "at", "all"]


def test_what_one_of_them_could_not_read_is_left_out(gold_set: GoldSet, tmp_path: Path) -> None:
    a = open_run(kept(gold_set, perfect, tmp_path))
    b = open_run(kept(gold_set, often_unparsed, tmp_path))
    found = compare_runs(a, b, permutations=20, resamples=20)
    assert (
        found.test.n
        == found.n_both
        == sum(isinstance(judgement.verdict, Rating) for judgement in b.judgements.values())
    )
    assert found.flips == ()


def test_runs_that_were_measured_differently_are_refused_and_told_in_what(
    gold_set: GoldSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = kept(gold_set, perfect, tmp_path)
    half = kept(gold_set, noise, tmp_path, references=1, limit=60)
    assert main(["compare", str(whole), str(half)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        "videojudge: error: perfect on videojudge_tinyboard, 0 references and noise on "
        "videojudge_tinyboard, 1 reference were measured differently and cannot be compared:\n"
        "  - items: "
    )
    assert "\n  - refs: 0 against 1\n" in error
    assert "\n  - items asked: 120 of 120 against 60 of 120\n" in error


def test_another_set_is_refused(
    gold_set: GoldSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with registered(board_set(name="other", videos=25)) as other:
        a, b = kept(gold_set, perfect, tmp_path), kept(other, perfect, tmp_path)
        assert main(["compare", str(a), str(b)]) == 2
    error = capsys.readouterr().err
    assert "  - set: tinyboard against other\n" in error
    assert "  - refs" not in error


def test_runs_of_one_name_are_told_apart(gold_set: GoldSet, tmp_path: Path) -> None:
    runs = [
        open_run(write_run(stored(gold_set, noise, options=options), tmp_path / str(number)))
        for number, options in enumerate(({"seed": 1}, {"seed": 2}, {"seed": 2}))
    ]
    assert [run.name for run in with_distinct_names(runs[:2])] == ["noise, seed=1", "noise, seed=2"]
    assert [run.name for run in with_distinct_names(runs[1:])] == ["noise (1)", "noise (2)"]
    assert [run.name for run in with_distinct_names(runs[:1])] == ["noise"]


def test_few_videos_have_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with registered(board_set(name="small", videos=5)) as small:
        a, b = kept(small, perfect, tmp_path), kept(small, noise, tmp_path)
        assert main(["compare", str(a), str(b), "--items", "0"]) == 0
    printed = capsys.readouterr().out
    assert "no interval: fewer than 20 videos" in printed
    assert "The items that flipped most" not in printed
