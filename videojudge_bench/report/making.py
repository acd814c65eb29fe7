"""Pages of one run, of two side by side, or of a leaderboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from videojudge_bench import metrics
from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError
from videojudge_bench.leaderboard import rows, tables
from videojudge_bench.leaderboard.comparing import Compared, PairedTest, compare_runs, read_tests
from videojudge_bench.leaderboard.importing import check_numbers, to_stored
from videojudge_bench.leaderboard.opening import OpenRun, with_distinct_names
from videojudge_bench.leaderboard.stored import StoredRun, interval_of, read_all
from videojudge_bench.metrics.keys import label_of
from videojudge_bench.report.figures import Figure, figures_of
from videojudge_bench.report.items import disagreements_of, payload, worst_first
from videojudge_bench.report.looking import prompts_of, thumbnails
from videojudge_bench.report.page import Fact, Page, Table, write
from videojudge_bench.report.standings import Card, ceiling_of, figure_of, headline_of, standings_of
from videojudge_bench.verdicts import Unparsed
from videojudge_bench.version import __version__

INDEX = "index.html"

_HINTS = {
    "max_tokens": "Raise max_tokens",
    "video missing": "Give the folder of the videos: videos=DIR",
}

ON_RANKS = (
    "A judge opens a new rank when it is significantly below every judge of the rank above: paired "
    "permutation test by video, Holm's correction over all pairs of the set, p < 0.05."
)
ON_INTERVALS = (
    "Intervals are 95 %, by resampling videos; they leave out the variance of decoding and of "
    "training. Fewer than 20 videos: no interval, no rank. Nothing is averaged across sets."
)


def board_page(board: rows.Board) -> Page:
    """Return the page of a leaderboard."""
    headline, cards = headline_of(board)
    return Page(
        title="Judges of video understanding",
        lead="How well each judge agrees with people, or finds the correct answer. Every number is "
        "worked out from stored verdicts, but for those marked †.",
        headline=headline,
        cards=cards,
        standings=standings_of(board),
        notes=(ON_RANKS, ON_INTERVALS, f"Made by videojudge-bench {__version__}."),
    )


def many_page(runs: Sequence[OpenRun], known_tests: Sequence[PairedTest] = ()) -> Page:
    """Return the leaderboard of runs; raises DataError as `runs_page`.

    `known_tests` are reused as by `paired_tests`.
    """
    stored = [_numbered(run) for run in with_distinct_names(runs)]
    return board_page(rows.build(stored, known_tests=known_tests))


def runs_page(
    runs: Sequence[OpenRun], *, worst: int, videos: Path | None = None, resamples: int = 10_000
) -> Page:
    """Return the page of one run, or of two side by side.

    Raises:
        ConfigError: two runs that were measured differently, or no folder of videos.
        DataError: stored numbers do not follow from their verdicts.
    """
    runs = with_distinct_names(runs)
    compared = compare_runs(*runs, resamples=resamples) if len(runs) == 2 else None
    stored = [_numbered(run, resamples) for run in runs]
    board = rows.build(stored)
    names = [run.name for run in runs]
    info = runs[0].info
    lead = f"{info.title}. Gold: {info.kind}."
    if info.kind == "model":
        lead += " A sample: its gold was written by a model."
    return Page(
        title=f"{' and '.join(names)} on {info.task}",
        lead=lead,
        headline=f"{metrics.primary_key(info)}, and what could be read",
        cards=_cards(runs, board),
        runs=names,
        facts=[*_facts(runs), *([] if compared is None else _difference(compared))],
        standings=standings_of(board),
        figures=figures_of(runs),
        numbers=_numbers(stored),
        items=_items(runs, worst, videos),
        notes=(ON_RANKS, ON_INTERVALS, f"Made by videojudge-bench {__version__}."),
    )


def _numbered(run: OpenRun, resamples: int = 10_000) -> StoredRun:
    """Return the run with its numbers, stored and checked or computed."""
    if run.kept is None:
        return to_stored(run.record, resamples=resamples)
    check_numbers(run.kept)
    return replace(run.kept, name=run.name)


def _cards(runs: Sequence[OpenRun], board: rows.Board) -> list[Card]:
    """Return the main figure of each run, that of people, and the most frequent missing verdict."""
    (table,) = tables.by_table(board.rows)
    judges = {row.judge: row for row in table if row.role == "judge"}
    scores = [figure_of(judges[run.name]) for run in runs]
    return [*scores, *ceiling_of(table), *map(_diagnosis, runs)]


def _diagnosis(run: OpenRun) -> Card:
    """Return the card of the replies that could be read, and why others could not."""
    verdicts = [judgement.verdict for judgement in run.judgements.values()]
    reasons = Counter(v.reason for v in verdicts if isinstance(v, Unparsed))
    share = 1 - reasons.total() / max(1, len(verdicts))
    text = "Every item has a verdict."
    if reasons:
        (reason, count), *_ = reasons.most_common(1)
        hint = next((f". {hint}" for start, hint in _HINTS.items() if start in reason), "")
        text = f"{count:,} of {len(verdicts):,} have none: {reason[:160]}{hint}"
    return Card(f"{run.name}: items with a verdict", f"{100 * share:.1f} %", "", text)


def _facts(runs: Sequence[OpenRun]) -> list[Fact]:
    return [
        Fact("items judged", [_progress(run) for run in runs]),
        Fact("replies read", [_read(run) for run in runs]),
        Fact("references shown", [str(run.record.references) for run in runs]),
    ]


def _progress(run: OpenRun) -> str:
    done, there = len(run.judgements), len(run.gold_set.examples)
    unfinished = "" if done == there else ": not the whole set, or not finished yet"
    return f"{done:,} of {there:,}{unfinished}"


def _read(run: OpenRun) -> str:
    unread = sum(isinstance(j.verdict, Unparsed) for j in run.judgements.values())
    return f"{len(run.judgements) - unread:,}; {unread:,} without a verdict"


def _difference(compared: Compared) -> list[Fact]:
    test, interval = compared.test, "no interval: fewer than 20 videos"
    if compared.interval is not None:
        interval = "95 %: {:+.3f} to {:+.3f}".format(*compared.interval)
    *nearer, _ = compared.nearer()
    return [
        Fact(test.statistic, [f"{test.a:.3f}", f"{test.b:.3f}"]),
        Fact(
            "difference",
            [f"{test.difference:+.3f} ({interval})", f"p = {test.p_value:.4f}, paired, by video"],
        ),
        Fact("nearer to gold on", [f"{n:,} items" for n in nearer]),
    ]


def _numbers(stored: Sequence[StoredRun]) -> list[Fact]:
    keys = [key for key in stored[0].numbers if not key.endswith(("_low", "_high"))]
    info = stored[0].info
    return [Fact(label_of(key, info), [_number(run, key) for run in stored]) for key in keys]


def _number(run: StoredRun, key: str) -> str:
    value, interval = run.numbers.get(key), interval_of(run.numbers, key)
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" + ("" if interval is None else " ({:.3f} to {:.3f})".format(*interval))


def _items(runs: Sequence[OpenRun], worst: int, videos: Path | None) -> dict[str, Json]:
    if worst < 0:
        raise ConfigError(f"--worst {worst}: expected a number from 0 up")
    far = disagreements_of(runs)
    order = worst_first(runs, far)
    chosen = order[:worst]
    unit = "0 to 1"  # of a disagreement
    if runs[0].info.shape == "ratings":
        unit = "points" if all(run.record.on_scale for run in runs) else "places, 0 to 1"
    return {
        "runs": [run.name for run in runs],
        "shape": runs[0].info.shape,
        "unit": unit,
        **payload(runs, far, order),
        "videos": thumbnails(runs[0], chosen, videos),
        "prompts": dict(prompts_of(runs, chosen)),
    }


Rows = Sequence[tuple[str, ...]]


def parity_page(
    gold_set: str,
    judges: tuple[str, str],
    facts: Rows,
    findings: Rows,
    items: tuple[Sequence[str], Rows],
    *,
    notes: Sequence[str],
) -> Page:
    """Return the page of a parity; the last of `findings` is its result."""
    *rows_of_both, (_, result) = findings
    return Page(
        title=f"{judges[0]} and {judges[1]} on videojudge_{gold_set}",
        lead=f"{result[:1].upper()}{result[1:]}.",
        runs=[f"{letter}: {name}" for letter, name in zip("AB", judges, strict=True)],
        facts=[Fact(name, values) for name, *values in facts],
        tables=[
            Table("The comparison", ("of both", "finding"), rows_of_both),
            Table("Items, those that differ first", *items),
        ],
        notes=[*notes, f"Made by videojudge-bench {__version__}."],
    )


def attack_page(
    judge: str,
    gold_set: str,
    facts: Rows,
    tables: Sequence[Table],
    chart: Markup,
    *,
    notes: Sequence[str],
) -> Page:
    """Return the page of an attack on a judge."""
    caption = "Mean rise in score, with 95 % intervals by resampling videos."
    return Page(
        title=f"Attacks on {judge}, videojudge_{gold_set}",
        lead="How much answers gain by changes that make them no better.",
        runs=[judge],
        facts=[Fact(name, values) for name, *values in facts],
        figures=[Figure("Mean rise by kind of attack", caption, chart)] if chart else (),
        tables=tables,
        notes=[*notes, f"Made by videojudge-bench {__version__}."],
    )


@dataclass(frozen=True)
class Built:
    """A leaderboard, its `written` files, and warnings of runs whose numbers were not checked."""

    board: rows.Board
    written: tuple[Path, ...]
    warnings: tuple[str, ...]


def build_pages(results: Path) -> Built:
    """Write the tables and the page of a folder of results; raises ConfigError without runs."""
    runs = read_all(results / "runs")
    if not runs:
        raise ConfigError(
            f"{results / 'runs'} has no runs; add one: videojudge leaderboard add RUN"
        )
    warnings = tuple(
        f"{run.gold_set}/{run.folder_name} is self-reported: the set {run.gold_set} (data: "
        f"{run.info.data}) is not on this machine, so its numbers were not worked out again and it "
        "has no rank"
        for run in runs
        if not check_numbers(run)
    )
    board = rows.build(
        runs,
        published=rows.read_published(results / "published" / "figures.json"),
        known_tests=read_tests(results / tables.TESTS),
    )
    written = (*tables.write_tables(board, results), results / INDEX)
    write(board_page(board), written[-1])
    return Built(board, written, warnings)
