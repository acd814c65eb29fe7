"""`videojudge leaderboard by LABEL`: from a journal or the kept runs to a table per set."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from boards import board_set, perfect, stored
from registered import registered

from videojudge_bench import registry
from videojudge_bench.cli.main import main
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.leaderboard.groups import group_rows, with_label
from videojudge_bench.leaderboard.opening import open_runs
from videojudge_bench.leaderboard.stored import write_run
from videojudge_bench.metrics import Measurement, by_label
from videojudge_bench.run.runner import Run, RunOptions

KINDS = ("count", "order")
SYSTEMS = ("x", "y", "z")


def labelled() -> GoldSet:
    """Return 40 videos, 24 of kind order and 16 of kind count, each answered by three systems."""
    made = board_set()
    examples = [
        replace(e, labels={"kind": KINDS[k // 3 < 24]}, system=SYSTEMS[k % 3])
        for k, e in enumerate(made.examples)
    ]
    return GoldSet(replace(made.info, systems=True), tuple(examples))


@pytest.fixture(autouse=True)
def gold_set() -> Iterator[GoldSet]:
    with registered(labelled()) as gold_set:
        yield gold_set


@pytest.fixture
def journal(gold_set: GoldSet, tmp_path: Path) -> Path:
    """A journal of the judge `random`."""
    run = Run(registry.build("random", {}), gold_set, RunOptions(journal=tmp_path / "journal"))
    run.judge([example.item.id for example in gold_set.examples])
    return tmp_path / "journal"


def test_a_row_has_the_numbers_of_its_group(gold_set: GoldSet, journal: Path) -> None:
    (run,) = open_runs(journal)
    rows = group_rows([run], "kind", resamples=50)
    cards = by_label(Measurement(gold_set), run.judgements, "kind", resamples=50)
    assert [(row.value, row.n_videos, row.card.n) for row in rows] == [
        ("count", 16, 48),
        ("order", 24, 72),
    ]
    assert {row.value: row.card for row in rows} == cards
    flat = rows[1].to_json()
    assert (flat["judge"], flat["label"], flat["value"]) == ("random", "kind", "order")
    assert flat["spearman"] == pytest.approx(cards["order"].metrics["spearman"].value, abs=1e-6)


def test_from_a_journal_to_the_table(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "kinds.csv"
    words = ["leaderboard", "by", "kind", str(journal), "--resamples", "50", "-o", str(sheet)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "videojudge_tinyboard: tinyboard, made for tests; by kind" in printed
    count, order = (line.split() for line in printed.splitlines() if " random " in line)
    assert count[:5] == ["count", "random", "0", "48", "16"]
    assert count[6] == "*"
    assert order[:5] == ["order", "random", "0", "72", "24"]
    assert order[6].startswith("[")
    assert "* fewer than 20 videos: no interval" in printed
    assert "95 % intervals from 50 resamples of videos" in printed
    with sheet.open(encoding="utf-8") as file:
        assert [row["value"] for row in csv.DictReader(file)] == ["count", "order"]


def test_the_runs_that_the_leaderboard_keeps(
    gold_set: GoldSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(stored(gold_set, perfect), tmp_path / "results" / "runs")
    sheet = tmp_path / "kinds.json"
    words = ["by", "temporal", "--resamples", "20", "--results", str(tmp_path / "results")]
    assert main(["leaderboard", *words, "-o", str(sheet)]) == 0
    assert f"wrote {sheet}" in capsys.readouterr().out
    rows = json.loads(sheet.read_text(encoding="utf-8"))
    assert [(row["value"], row["spearman"]) for row in rows] == [("order", 1.0), ("other", 1.0)]


def test_systems_are_ranked(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "by", "system", str(journal), "--resamples", "20"]) == 0
    printed = capsys.readouterr().out
    _, _, table = printed.partition("The answering systems, best gold first")
    lines = [line.split() for line in table.splitlines() if line.strip().startswith("random")]
    assert [(line[2], line[3], line[-2]) for line in lines] == [
        ("x", "40", "1"),
        ("y", "40", "2"),
        ("z", "40", "3"),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kinds"], "unknown label of videojudge_tinyboard 'kinds'. Did you mean 'kind'?"),
        (["kind", "--gold-set", "vatex"], "unknown set with a run 'vatex'. Known: tinyboard."),
        (["kind", "--resamples", "0"], "--resamples: expected 1 or more, got 0"),
        (["kind", "-o", "kinds.txt"], "--output kinds.txt: the name must end in .csv or .json"),
    ],
)
def test_what_is_refused(
    words: list[str], message: str, journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", "by", words[0], str(journal), *words[1:]]) == 2
    assert message in capsys.readouterr().err


def test_runs_on_sets_without_the_label_are_left_out(journal: Path) -> None:
    with registered(board_set(name="plain")) as plain:
        run = Run(registry.build("random", {}), plain, RunOptions(journal=journal))
        run.judge([example.item.id for example in plain.examples])
        runs = open_runs(journal)
        assert [run.info.name for run in runs] == ["plain", "tinyboard"]
        assert [run.info.name for run in with_label(runs, "kind")] == ["tinyboard"]
