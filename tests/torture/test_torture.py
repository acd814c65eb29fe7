"""The short form of the fault suite loses nothing; and the suite would notice if it did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import children
import pytest
from replies import fuzz
from reply_writer import Writer, Written

from videojudge_bench.verdicts import Rating, Unparsed

HERE = Path(__file__).parent
LEAST = {"kills": 15, "replies": 2_000, "videos": 30, "server": 15, "troubles": 15,
         "hostile": 10, "stops": 4, "streams": 9, "soak": 2_000}  # fmt: skip

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("part", sorted(LEAST))
def test_the_short_form_loses_nothing(part: str, tmp_path: Path) -> None:
    command = [sys.executable, str(HERE), part, "--short", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads((tmp_path / "reliability.json").read_text())[part]
    assert found["lost"] == []
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "reliability.md").read_text(encoding="utf-8")
    assert "**Lost: nothing.**" in page
    assert _tried(part, found) >= LEAST[part]


def _tried(part: str, found: dict[str, Any]) -> int:
    if part == "replies":
        assert found["right"] >= 0.8 * found["replies"]
        return int(found["replies"])
    if part == "videos":
        assert found["frames"] >= 10
    if part in {"videos", "streams"}:
        return int(found["tried"])
    if part == "hostile":
        return sum(row["attacked"] > 0 for row in found["rows"])
    if part == "soak":
        assert len(found["kills"]) == 2
        assert sum(found["broken"].values()) >= 0.03 * found["rows"]
        return int(found["answered"])
    if part == "server":
        assert sum(found["faults"].values()) >= 20
    each = found["commands"].values() if part == "troubles" else [found]
    return sum(t["kills"] or t["tried"] for one in each for t in one["trials"])


def test_an_unknown_part_is_named() -> None:
    done = subprocess.run(
        [sys.executable, HERE, "earthquakes"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no part is called earthquakes; there are kills, replies," in done.stderr


# The suite itself: it sees what is lost.


def test_a_reader_that_guesses_is_caught() -> None:
    tally = fuzz(200, 1, lambda _: Rating(3))
    assert tally.n_wrong > 100
    assert "was read as Rating(value=3.0), and says" in tally.wrong[0]


def test_a_reader_that_breaks_is_caught() -> None:
    def breaks(written: Written) -> object:
        raise ValueError(written.text)

    assert fuzz(50, 1, breaks).n_wrong == 50


def test_a_reader_that_reads_nothing_misses_verdicts() -> None:
    write = Writer(1)
    written = [write() for _ in range(300)]
    stated = [each for each in written if each.truth is not None and not each.may_be_unread]
    tally = fuzz(300, 1, lambda _: Unparsed("tired"))
    assert tally.n_wrong == 0
    assert sum(tally.missed.values()) == len(stated) > 100


def test_a_writer_writes_the_same_for_a_seed() -> None:
    one, two, other = Writer(1), Writer(1), Writer(2)
    texts = [one().text for _ in range(50)]
    assert texts == [two().text for _ in range(50)]
    assert texts != [other().text for _ in range(50)]


def _writes_lines() -> int:
    with Path("out").open("w") as file:
        for number in range(1000):
            file.write(f"{number}\n")
    return 0


@pytest.mark.parametrize(
    ("disturb", "left"),
    [(children.kill_at_operation(1), 0), (children.kill_in_write(100), 100)],
    ids=["change", "write"],
)
def test_a_child_is_killed_where_it_writes(
    disturb: children.Disturb, left: int, tmp_path: Path
) -> None:
    ended = children.run(_writes_lines, tmp_path, disturb)
    assert ended.killed
    kept = (tmp_path / "out").stat().st_size if (tmp_path / "out").exists() else 0
    assert kept == left


def test_changes_are_counted_and_a_traceback_is_a_break(tmp_path: Path) -> None:
    ended = children.run(_writes_lines, tmp_path, children.count_operations(tmp_path / "count"))
    assert (ended.code, (tmp_path / "count").read_text()) == (0, "1")

    def breaks() -> int:
        raise OSError("no room")

    ended = children.run(breaks, tmp_path)
    assert ended.broke
    assert ended.last_words == "OSError: no room"
