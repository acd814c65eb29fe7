"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from videojudge_bench._util.files import cannot_write, check_output, system_error, write_whole
from videojudge_bench.errors import ConfigError, RunStoppedError


@pytest.mark.parametrize("content", ["naïve 🎬 \ud83e", b"\x00\xff"])
def test_a_file_is_replaced_as_a_whole(content: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("something much longer than that")
    write_whole(path, content)
    wanted = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    assert path.read_bytes() == wanted
    assert list(tmp_path.iterdir()) == [path]


def test_without_room_the_old_file_stays_and_no_half_of_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(path, "n" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_to_do_is_said() -> None:
    error = cannot_write("runs/a.jsonl", OSError(errno.ENOSPC, "No space left on device"))
    assert isinstance(error, RunStoppedError)
    assert str(error) == (
        "runs/a.jsonl cannot be written (No space left on device). Make room, and run the same "
        "command again: what was recorded is kept, and is not asked for again"
    )


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("table.txt", "the name must end in .csv or .json"),
        ("none/table.csv", "there is no folder"),
        ("folder.csv", "expected a file, got a folder; name a file in it"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(
    tmp_path: Path, name: str, problem: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError) as caught:
        check_output(tmp_path / name, ".csv", ".json")
    assert str(caught.value).startswith(f"--output {tmp_path / name}: {problem}")


def test_a_folder_that_may_not_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_output(tmp_path / "table.csv")
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK))
    with pytest.raises(ConfigError, match=r"table\.csv: you may not write there; name another fo"):
        check_output(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "Make it writable, or name another place, and run the same command again"),
        (errno.EROFS, "Make it writable, or name another place, and run the same command again"),
        (errno.EBADF, "Start the command with its streams open (no `>&-`), and run"),
        (errno.EDQUOT, "Make room, and run the same command again"),
        (errno.EDEADLK, "Run the same command again"),
    ],
)
def test_the_advice_is_against_the_cause(number: int, advice: str) -> None:
    error = OSError(number, os.strerror(number), "runs/a.jsonl")
    said = str(cannot_write("runs/a.jsonl", error))
    assert said.startswith(f"runs/a.jsonl cannot be written ({os.strerror(number)}). {advice}")
    assert system_error(error).startswith(f"runs/a.jsonl: {os.strerror(number)}")
