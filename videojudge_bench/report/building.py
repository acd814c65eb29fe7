"""The leaderboard's files out of the stored runs: tables, tests and the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from videojudge_bench.errors import ConfigError
from videojudge_bench.leaderboard import importing, rows, stored, tables
from videojudge_bench.leaderboard.comparing import read_tests
from videojudge_bench.report import making, page


@dataclass(frozen=True)
class Built:
    """A leaderboard whose files are written.

    Attributes:
        board: its rows and tests.
        written: its files.
        warnings: of runs whose numbers were not worked out again.
    """

    board: rows.Board
    written: tuple[Path, ...]
    warnings: tuple[str, ...]


def build_pages(results: Path) -> Built:
    """Write the tables and the page of a folder of results.

    Raises:
        ConfigError: it has no runs.
    """
    runs = stored.read_all(results / "runs")
    if not runs:
        raise ConfigError(
            f"{results / 'runs'} has no runs; add one: videojudge leaderboard add RUN"
        )
    warnings = tuple(
        f"{run.gold_set}/{run.folder_name} is self-reported: the set {run.gold_set} (data: "
        f"{run.info.data}) is not on this machine, so its numbers were not worked out again and it "
        "has no rank"
        for run in runs
        if not importing.check_numbers(run)
    )
    board = rows.build(
        runs,
        published=rows.read_published(results / "published" / "figures.json"),
        known_tests=read_tests(results / tables.TESTS),
    )
    written = (*tables.write_tables(board, results), results / making.INDEX)
    page.write(making.board_page(board), written[-1])
    return Built(board, written, warnings)
