"""The verbs `videojudge compare` and `videojudge report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.command import opened_output
from videojudge_bench._util.terminal import note, say, say_json, table
from videojudge_bench.cli._options import Json, Output

if TYPE_CHECKING:
    from videojudge_bench.leaderboard.comparing import Compared


def compare(
    a: Path, b: Path, /, *, statistic: str | None = None, items: int = 10, json: Json = False
) -> None:
    """Test whether one judge is better than another, on what both judged.

    Shows the statistic of each run, the difference with a 95 % interval, a paired
    permutation test that swaps the judges per video, and the items on which one is
    nearer to gold than the other. Runs that were measured differently (other items,
    other references) are refused.

      videojudge compare results/runs/vatex/minilm-9ref \\
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
        say_json(both.to_json(max(0, items)))
        return
    _print_test(both)
    _print_flips(both, max(0, items))


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

    The page loads nothing: numbers with intervals, plots, and every item with its
    reply, verdict and gold, worst disagreements first. Of two runs the items that
    flipped can be shown. A folder with many runs gives their leaderboard.

      videojudge report results/runs/vatex/minilm-9ref -o report.html
      videojudge report runs/mine runs/other --videos DIR -o report.html

    Args:
        run: a journal, a folder of results/runs, or a folder with many runs
        other: another run, beside
        output: the page, .html; - for standard output
        worst: how many of the worst disagreements to show with frames and prompt
        videos: folder with the video files, for the frames
    """
    from videojudge_bench.leaderboard.opening import open_run, open_runs
    from videojudge_bench.report import making, page

    with opened_output(output, ".html") as target:
        if other is None:
            runs = open_runs(run)
        else:
            runs = [open_run(folder) for folder in (run, other)]
        note(*(f"{run.title}: {len(run.judgements):,} items" for run in runs))
        if other is None and len(runs) > 1:
            content = making.many_page(runs)
        else:
            content = making.runs_page(runs, worst=worst, videos=videos)
        page.write(content, target)
        note(f"wrote {output} ({target.stat().st_size / 1e6:.1f} MB)")


def _print_test(found: Compared) -> None:
    test, shown = found.test, "no interval: fewer than 20 videos"
    if found.interval is not None:
        shown = "[{:+.3f}, {:+.3f}]".format(*found.interval)
    head = ("statistic", found.a.name, found.b.name, "difference", "95 %", "p", "n", "videos")
    cells = (
        test.statistic,
        f"{test.a:.3f}",
        f"{test.b:.3f}",
        f"{test.difference:+.3f}",
        shown,
        f"{test.p_value:.4f}",
        str(test.n),
        str(test.n_videos),
    )
    info = found.a.info
    table(head, [cells], title=f"{info.task}: {found.a.name} less {found.b.name}")
    how = f"paired permutation test by video, two-sided, {test.permutations:,} permutations"
    say([f"p: {how}, not corrected for other comparisons."])


def _print_flips(found: Compared, most: int) -> None:
    from videojudge_bench.leaderboard.tables import gold_text, response_text, verdict_text

    nearer_b = sum(flip.gain > 0 for flip in found.flips)
    nearer_a = len(found.flips) - nearer_b
    alike = found.n_both - len(found.flips)
    counts = f"{found.a.name} on {nearer_a} items, {found.b.name} on {nearer_b}"
    say([f"Nearer to gold: {counts}, both alike on {alike}."])
    if not found.flips[:most]:
        return
    rows = []
    for flip in found.flips[:most]:
        example = found.a.gold_set.by_id[flip.item_id]
        verdicts = (run.judgements[flip.item_id].verdict for run in (found.a, found.b))
        rows.append(
            (
                flip.item_id,
                gold_text(example.gold),
                *(verdict_text(verdict) for verdict in verdicts),
                response_text(example.item),
            )
        )
    head = ("item", "gold", found.a.name, found.b.name, "response")
    table(head, rows, title="The items that flipped most")
