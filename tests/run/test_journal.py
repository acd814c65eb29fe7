"""The journal under kill -9, damage, several processes and odd text."""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videojudge_bench.errors import JournalBusyError, RunStoppedError
from videojudge_bench.run import journal as journal_module
from videojudge_bench.run.journal import RUN_FILE, Journal, read_journal
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

# Appends judgement after judgement from a given number on, and says so after each.
WRITER = """
import sys, time
from pathlib import Path
from videojudge_bench.run.journal import Journal
from videojudge_bench.verdicts import Judgement, Rating

folder, number, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with Journal(folder) as journal:
    while True:
        journal.append(f"key-{number}", Judgement(str(number), Rating(number % 5 + 1), "é" * size))
        print(number, flush=True)
        number += 1
        time.sleep(0.001)
"""

HOLDER = """
import sys, time
from pathlib import Path
from videojudge_bench.run.journal import Journal

with Journal(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def _good(name: str, value: float = 3.0) -> Judgement:
    return Judgement(name, Rating(value))


def _failed(name: str, reason: str = "boom") -> Judgement:
    return Judgement(name, Unparsed(reason), failed=True)


@contextmanager
def _running(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _kill_after(process: subprocess.Popen[str], acknowledged: int, delay_seconds: float) -> int:
    """Kill -9 some time after so many lines; return how many there were."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(acknowledged)]
    time.sleep(delay_seconds)
    process.send_signal(signal.SIGKILL)
    return len([*lines, *process.stdout.read().splitlines()])


def test_what_was_appended_is_read_back_under_its_key(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when missing"
    with Journal(folder) as journal:
        journal.append("k1", _good("a"))
        journal.append("k2", _failed("b"))
        assert read_journal(folder) == {"k1": _good("a"), "k2": _failed("b")}  # not only at the end
    assert read_journal(folder) == {"k1": _good("a"), "k2": _failed("b")}


def test_a_folder_that_is_not_there_is_an_empty_journal(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none") == {}


def test_entering_twice_appends(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with Journal(tmp_path) as journal:
            journal.append(name, _good(name))
    assert list(read_journal(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("size", [10, 500_000], ids=["short lines", "lines of 1 MB"])
def test_kill_9_at_random_points_loses_nothing_acknowledged(tmp_path: Path, size: int) -> None:
    rng = np.random.default_rng(size)
    written = 0
    for _ in range(4):
        with _running(WRITER, tmp_path, written, size) as process:
            # Without the delay the kill would always come right after a line.
            told = _kill_after(process, int(rng.integers(1, 8)), float(rng.uniform(0, 0.02)))
        with Journal(tmp_path):
            pass
        assert (tmp_path / "judgements-0.jsonl").read_bytes().endswith(b"\n")
        found = read_journal(tmp_path)
        assert [*found] == [f"key-{number}" for number in range(len(found))]
        assert len(found) >= written + told
        for number, judgement in enumerate(found.values()):
            assert judgement == Judgement(str(number), Rating(number % 5 + 1), "é" * size)
        written = len(found)


def test_a_line_cut_at_any_byte_is_cut_off_and_appending_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Journal(tmp_path) as journal:
        journal.append("a", _good("a"))
        journal.append("b", Judgement("b", Rating(1.0), reply="héllo\n\ud800"))
    path = tmp_path / "judgements-0.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole)):
        path.write_bytes(whole[:end])
        caplog.clear()
        with Journal(tmp_path) as journal:
            assert path.read_bytes() == whole[:first]
            journal.append("c", _good("c"))
        assert list(read_journal(tmp_path)) == ["a", "c"]
        cut = [record.getMessage() for record in caplog.records]
        lost = f"{path}: cut {end - first} bytes of a line that a crash left unfinished"
        assert cut == ([lost] if end > first else [])


def test_a_torn_line_in_the_file_of_a_dead_rank_is_left_out(tmp_path: Path) -> None:
    with Journal(tmp_path, rank=1) as journal:
        journal.append("a", _good("a"))
        journal.append("b", _good("b"))
    path = tmp_path / "judgements-1.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    with Journal(tmp_path) as journal:  # the run goes on with one process
        assert read_journal(tmp_path) == {"a": _good("a")}
        journal.append("b", _good("b"))
    assert read_journal(tmp_path) == {"a": _good("a"), "b": _good("b")}


# Around the 64 KiB that the search for the last newline reads at a time.
@pytest.mark.parametrize("size", [1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 3 << 16])
@pytest.mark.parametrize("before", [b"", b'{"key": "a", "id": "a", "rating": 3.0}\n'])
def test_a_long_line_without_its_end_is_cut(tmp_path: Path, size: int, before: bytes) -> None:
    path = tmp_path / "judgements-0.jsonl"
    path.write_bytes(before + b"x" * size)
    with Journal(tmp_path):
        pass
    assert path.read_bytes() == before


def test_an_empty_file_and_a_whole_file_are_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "judgements-0.jsonl"
    for content in (b"", b'{"key": "a", "id": "a", "rating": 3.0}\n'):
        path.write_bytes(content)
        with Journal(tmp_path):
            pass
        assert path.read_bytes() == content
    assert caplog.messages == []


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"garbage",
        b"\xff\xfe\x00\x01",
        b"\x00" * 100,
        b"[1, 2]",
        b"3",
        b'"text"',
        b"null",
        b"{}",
        b'{"key": "x"}',
        b'{"id": "x", "rating": 3}',
        b'{"key": "x", "id": "x", "rating": "3"}',
        b'{"key": "x", "id": "x", "rating": NaN}',
        b'{"key": 5, "id": "x", "rating": 3}',
        b'{"key": ["x"], "id": "x", "rating": 3}',
        b'{"key": "x", "id": "x", "rating": 1' + b"0" * 400 + b"}",
        b'{"key": "x", "id": "x", "rating": 3, "usage": [Infinity, 0, 0]}',
        b"[" * 200_000,
    ],
    ids=lambda line: repr(line[:40]),
)
def test_a_line_that_cannot_be_read_is_left_out_and_said(
    tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "judgements-0.jsonl"
    good = b'{"key": "%s", "id": "a", "rating": 3.0}\n'
    path.write_bytes(good % b"a" + line + b"\n" + good % b"b")
    assert read_journal(tmp_path) == {"a": _good("a"), "b": _good("a")}
    (message,) = caplog.messages
    assert message.startswith(f"{path}, line 2 left out: ")


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    with _running(HOLDER, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(JournalBusyError) as caught, Journal(tmp_path):
            pytest.fail("two writers")
        assert str(caught.value) == (
            f"another process is writing {tmp_path / 'judgements-0.jsonl'}. Wait for it, or give "
            "this run a journal of its own with journal=DIR"
        )
        with Journal(tmp_path, rank=1) as other:  # another rank is another file
            other.append("b", _good("b"))
        process.send_signal(signal.SIGKILL)
        process.wait()
        with Journal(tmp_path) as journal:
            journal.append("a", _good("a"))
    assert read_journal(tmp_path) == {"a": _good("a"), "b": _good("b")}


def test_the_lock_is_given_back_on_leaving_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Journal(tmp_path) as journal:
        journal.append("a", _good(str(1 // 0)))
    with Journal(tmp_path) as journal:
        journal.append("a", _good("a"))
    assert list(read_journal(tmp_path)) == ["a"]


def test_files_of_several_ranks_are_merged(tmp_path: Path) -> None:
    for rank in (0, 1, 2, 10):
        with Journal(tmp_path, rank=rank) as journal:
            journal.append(f"key-{rank}", _good(str(rank)))
    assert read_journal(tmp_path) == {f"key-{r}": _good(str(r)) for r in (0, 1, 10, 2)}


@pytest.mark.parametrize("ranks", [(0, 0), (0, 1), (1, 0)])
def test_a_failure_never_replaces_a_good_judgement(tmp_path: Path, ranks: tuple[int, int]) -> None:
    for rank, judgement in zip(ranks, (_good("a"), _failed("a")), strict=True):
        with Journal(tmp_path, rank=rank) as journal:
            journal.append("k", judgement)
    assert read_journal(tmp_path) == {"k": _good("a")}


def test_a_good_judgement_replaces_a_failure(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append("k", _failed("a"))
        journal.append("k", _good("a"))
    assert read_journal(tmp_path) == {"k": _good("a")}


@pytest.mark.parametrize(
    ("one", "other"),
    [(_good("a", 1.0), _good("a", 2.0)), (_failed("a", "first"), _failed("a", "second"))],
    ids=["good", "failed"],
)
def test_of_two_of_a_kind_the_later_line_counts(
    tmp_path: Path, one: Judgement, other: Judgement
) -> None:
    with Journal(tmp_path) as journal:
        journal.append("k", one)
        journal.append("k", other)
    assert read_journal(tmp_path) == {"k": other}


@pytest.mark.parametrize(
    "text",
    ["naïve 東京 🎬", "\ud800 \udfff", "line\u2028sep\u2029\x85\r\n\x0b\x0c", "\x00\x1b", '"\\'],
)
def test_any_text_survives(tmp_path: Path, text: str) -> None:
    judgement = Judgement(text, Unparsed(text), reply=text, probabilities={text: 0.5})
    with Journal(tmp_path) as journal:
        journal.append(text, judgement)
        journal.append("after", _good("b"))
    assert read_journal(tmp_path) == {text: judgement, "after": _good("b")}


@settings(max_examples=25)
@given(names=st.lists(st.text(st.characters(), max_size=8), max_size=8, unique=True))
def test_any_keys_come_back_in_order(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    with Journal(folder) as journal:
        for name in names:
            journal.append(name, _good(name))
    assert list(read_journal(folder)) == names


def test_writes_in_small_pieces_are_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_write = os.write
    monkeypatch.setattr("os.write", lambda fd, data: whole_write(fd, data[:7]))
    with Journal(tmp_path) as journal:
        journal.append("k", Judgement("a", Rating(3.0), reply="longer than seven bytes"))
    assert read_journal(tmp_path)["k"].reply == "longer than seven bytes"


def test_a_full_disk_is_said_and_what_was_written_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "judgements-0.jsonl"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(tmp_path) as journal:
        journal.append("a", _good("a"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limits[1]))
        try:
            with pytest.raises(RunStoppedError) as caught:
                journal.append("b", _good("b"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == (
        f"{path} cannot be written (File too large). Make room, and run the same command again: "
        "what was recorded is kept, and is not asked for again"
    )
    with Journal(tmp_path) as journal:
        journal.append("c", _good("c"))
    assert read_journal(tmp_path) == {"a": _good("a"), "c": _good("c")}


@pytest.mark.parametrize(("lines", "syncs"), [(3, 0), (256, 1), (600, 2)])
def test_lines_go_to_the_disk_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int, syncs: int
) -> None:
    called: list[int] = []
    monkeypatch.setattr("os.fsync", called.append)
    monkeypatch.setattr(journal_module, "SYNC_EVERY_SECONDS", 1e9)
    with Journal(tmp_path) as journal:
        for number in range(lines):
            journal.append(str(number), _good("a"))
        assert len(called) == syncs
    assert len(called) == syncs + 1  # and once on leaving


def test_run_facts_are_replaced_as_a_whole(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.write_run({"judge": "a much longer name", "n": 1})
        journal.write_run({"judge": "é"})
    assert json.loads((tmp_path / RUN_FILE).read_text()) == {"judge": "é"}
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_run_facts_take_any_text(tmp_path: Path) -> None:
    # An option that is a path of bytes that are not UTF-8 holds lone surrogates.
    with Journal(tmp_path) as journal:
        journal.write_run({"signature": {"replies": "caf\udce9.jsonl"}})
    assert json.loads((tmp_path / RUN_FILE).read_text()) == {
        "signature": {"replies": "caf\udce9.jsonl"}
    }


def test_lines_are_plain_json_objects(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append("k", _good("a"))
    text = (tmp_path / "judgements-0.jsonl").read_text(encoding="utf-8")
    assert json.loads(text) == {"key": "k", "id": "a", "rating": 3.0}


@pytest.fixture(autouse=True)
def _warnings_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="videojudge_bench.run.journal")
