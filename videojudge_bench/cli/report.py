"""The verbs `videojudge compare` and `videojudge report`."""

from __future__ import annotations

from pathlib import Path

from videojudge_bench._util.command import opened_output
from videojudge_bench._util.terminal import note, say, say_json, show
from videojudge_bench.cli._options import Json, Output


def compare(
    a: Path, b: Path, /, *, statistic: str | None = None, items: int = 10, json: Json = False
) -> None:
    r"""Test whether one judge is better than another, on what both judged.

    Shows the statistic of each run, the difference with a 95 % interval, a paired permutation test
    that swaps the judges per video, and the items on which one is nearer to gold than the other.
    Runs that were measured differently (other items, other references) are refused.

      videojudge compare results/runs/vatex/minilm-9ref \
        results/runs/vatex/cider-9ref

    Args:
        a: folder with one run: its journal, or a folder of results/runs
        b: another run on the same items
        statistic: default: the one that ranks judges on this set
        items: how many of the items that flipped most to show
    """
    from videojudge_bench.leaderboard.comparing import compare_runs
    from videojudge_bench.leaderboard.opening import open_run, with_distinct_names

    runs = [open_run(path) for path in (a, b)]
    one, other = with_distinct_names(runs)
    both = compare_runs(one, other, statistic=statistic)
    if json:
        say_json(both.to_json(items))
        return
    title = f"{both.a.info.task}: {both.a.name} minus {both.b.name}"
    show([both.test_row()], as_json=False, title=title)
    how = f"two-sided, {both.test.permutations:,} permutations"
    note(f"p: paired permutation test by video, {how}, not corrected for other comparisons.")
    in_a, in_b, alike = both.nearer()
    counts = f"{both.a.name} on {in_a} items, {both.b.name} on {in_b}"
    say([f"Nearer to gold: {counts}, both alike on {alike}."])
    if flips := both.flip_rows(items):
        show(flips, as_json=False, title="The items that flipped most")


def report(
    run: Path,
    other: Path | None = None,
    /,
    *,
    output: Output,
    worst: int = 24,
    videos: Path | None = None,
) -> None:
    """Write one HTML page: a run, two beside each other, or a leaderboard.

    The page loads nothing: numbers with intervals, plots, and every item with its reply, verdict
    and gold, worst disagreements first. Of two runs the items that flipped can be shown. A folder
    with many runs gives their leaderboard.

      videojudge report results/runs/vatex/minilm-9ref -o report.html
      videojudge report runs/mine runs/other --videos DIR -o report.html

    Args:
        run: a journal, a folder of results/runs, or a folder with many runs
        other: another run, beside
        output: the page, .html; - for standard output
        worst: how many of the worst disagreements to show with frames and prompt
        videos: folder with the video files, for the frames
    """
    from videojudge_bench.leaderboard.comparing import read_tests
    from videojudge_bench.leaderboard.opening import open_run, open_runs
    from videojudge_bench.leaderboard.tables import TESTS
    from videojudge_bench.report import making, page

    with opened_output(output, ".html") as target:
        runs = open_runs(run) if other is None else [open_run(path) for path in (run, other)]
        note(*(f"{run.title}: {len(run.judgements):,} items" for run in runs))
        if other is None and len(runs) > 1:
            content = making.many_page(runs, read_tests(run / TESTS))
        else:
            content = making.runs_page(runs, worst=worst, videos=videos)
        page.write(content, target)
        note(f"wrote {output} ({target.stat().st_size / 1e6:.1f} MB)")
