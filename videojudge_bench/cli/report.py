"""The verbs `videojudge compare` and `videojudge report`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.files import check_output
from videojudge_bench._util.terminal import Verbs, add_verb, say, table

if TYPE_CHECKING:
    from videojudge_bench.leaderboard.comparing import Compared

RUN_HELP = "folder with one run: its journal, or a folder of results/runs"

_COMPARE = """\
Compares two runs on the items that both judged and parsed: the statistic of each, the difference
with a 95 % interval, a paired permutation test that swaps the judges per video, and the items on
which one is nearer to gold than the other. Runs that were measured differently (other items, other
references) are refused.

  videojudge compare results/runs/vatex/minilm-9ref results/runs/vatex/cider-9ref"""

_REPORT = """\
Writes one self-contained page that loads nothing: numbers with intervals, plots, and every item
with its reply, verdict and gold, worst disagreements first. Of two runs the items that flipped can
be shown. A folder with many runs gives their leaderboard.

  videojudge report results/runs/vatex/minilm-9ref -o report.html
  videojudge report runs/mine runs/other --videos DIR -o report.html"""


def add_look(verbs: Verbs) -> None:
    """Add `compare` and `report` to a parser's verbs."""
    what = "is one judge better than another? A paired test, and the items that flipped"
    compare = add_verb(verbs, "compare", _compare, what, _COMPARE)
    compare.add_argument("a", type=Path, metavar="A", help=RUN_HELP)
    compare.add_argument("b", type=Path, metavar="B", help="another run on the same items")
    compare.add_argument(
        "--statistic", metavar="KEY", help="default: the one that ranks judges on this set"
    )
    compare.number("--items", "how many of the items that flipped most to show", default=10)
    what = "one HTML page to look at: a run, two beside each other, or a leaderboard"
    report = add_verb(verbs, "report", _report, what, _REPORT)
    what = "a journal, a folder of results/runs, or a folder with many runs"
    report.add_argument("run", type=Path, metavar="RUN", help=what)
    report.add_argument("other", type=Path, nargs="?", metavar="RUN2", help="another run, beside")
    report.path("-o --output", "FILE.html", "the page", required=True)
    what = "how many of the worst disagreements to show with frames and prompt"
    report.number("--worst", what, default=24)
    report.path("--videos", "DIR", "folder with the video files, for the frames")


def _report(arguments: argparse.Namespace) -> int:
    from videojudge_bench.leaderboard.opening import open_run, open_runs
    from videojudge_bench.report import making, page

    output: Path = arguments.output
    check_output(output)
    if arguments.other is None:
        runs = open_runs(arguments.run)
    else:
        folders = (arguments.run, arguments.other)
        runs = [open_run(folder) for folder in folders]
    say(f"{run.title}: {len(run.judgements):,} items" for run in runs)
    if arguments.other is None and len(runs) > 1:
        made = making.many_page(runs)
    else:
        made = making.runs_page(runs, worst=arguments.worst, videos=arguments.videos)
    page.write(made, output)
    say([f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)"])
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from videojudge_bench.leaderboard.comparing import compare_runs
    from videojudge_bench.leaderboard.opening import open_run, with_distinct_names

    runs = [open_run(path) for path in (arguments.a, arguments.b)]
    a, b = with_distinct_names(runs)
    found = compare_runs(a, b, statistic=arguments.statistic)
    _print_test(found)
    _print_flips(found, max(0, arguments.items))
    return 0


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
    from videojudge_bench.leaderboard.shown import gold_text, response_text, verdict_text

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
