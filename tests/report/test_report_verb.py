"""`videojudge report`: what it prints, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from measured_runs import board_set
from pages import Parsed, judged, renamed
from registered import registered

from videojudge_bench.cli.main import main
from videojudge_bench.goldsets.base import GoldSet


@pytest.fixture(autouse=True)
def gold_set() -> Iterator[GoldSet]:
    with registered(board_set(4)) as gold_set:
        yield gold_set


@pytest.fixture
def journal(gold_set: GoldSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal in the current folder."""
    monkeypatch.chdir(tmp_path)
    return judged(gold_set, tmp_path, "random", {})


def report(*words: Path | str) -> int:
    return main(["report", *map(str, words)])


def test_a_journal_becomes_a_page(
    gold_set: GoldSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = judged(gold_set, tmp_path, "random", {})
    output = tmp_path / "page.html"
    assert report(journal, "-o", output, "--worst", "1") == 0
    printed = capsys.readouterr().out
    assert "random on videojudge_tinyboard, 0 references: 12 items\n" in printed
    assert f"wrote {output} (0.0 MB)" in printed or f"wrote {output} (0.1 MB)" in printed
    assert len(Parsed(output.read_text(encoding="utf-8")).data["prompts"]) == 1


def test_a_kept_run_becomes_a_page(gold_set: GoldSet, tmp_path: Path) -> None:
    journal = judged(gold_set, tmp_path / "journal", "random", {})
    results = tmp_path / "results"
    assert main(["leaderboard", "add", str(journal), "--results", str(results)]) == 0
    kept = results / "runs" / "tinyboard" / "random-0ref"
    assert report(kept, journal, "-o", tmp_path / "page.html") == 0
    data = Parsed((tmp_path / "page.html").read_text(encoding="utf-8")).data
    assert data["runs"] == ["random (1)", "random (2)"]
    assert all(item[6][:2] == item[7][:2] for item in data["items"])


def test_a_run_that_has_just_begun(
    gold_set: GoldSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = judged(gold_set, tmp_path, "random", {})
    (journal / "judgements-0.jsonl").write_text("", encoding="utf-8")
    assert report(journal, "-o", tmp_path / "page.html") == 2
    error = capsys.readouterr().err
    assert "the run of random on videojudge_tinyboard has no judgement yet; it has just" in error
    assert not (tmp_path / "page.html").exists()


def test_a_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(tmp_path, "-o", tmp_path / "page.html") == 2
    assert f"{tmp_path} holds no run: neither a journal" in capsys.readouterr().err


def test_two_runs_that_were_measured_differently(
    gold_set: GoldSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = judged(gold_set, tmp_path / "a", "random", {})
    with registered(renamed(gold_set, "othername")) as other:
        b = judged(other, tmp_path / "b", "random", {})
        assert report(a, b, "-o", tmp_path / "page.html") == 2
    assert "\n  - set: tinyboard against othername\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "nowhere/page.html"], "--output nowhere/page.html: there is no folder nowhere"),
        (["-o", "."], "--output .: expected a file, got a folder; name a file in it"),
        (["-o", "page.html", "--worst", "-1"], "--worst -1: expected a number from 0 up"),
        (["-o", "page.html", "--videos", "nowhere"], "nowhere"),
    ],
)
def test_what_is_refused(
    words: list[str], message: str, journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(journal, *words) == 2
    assert message in capsys.readouterr().err
