"""Closed and full streams, locales, folders that are gone or not writable: a sentence each."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERB = [sys.executable, "-m", "videojudge_bench.cli"]
HOST = (
    "import sys; from videojudge_bench.harness.launcher import main; sys.exit(main(sys.argv[1:]))"
)
# Root may write everywhere, but not without this capability.
AS_OTHERS = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def ran(
    words: list[str | Path], redirect: str, folder: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of this checkout in a shell, with its streams as they are redirected."""
    command = " ".join(shlex.quote(str(word)) for word in words)
    homes = {name: str(folder) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["sh", "-c", f"exec {command} {redirect}"],
        cwd=folder,
        env={**paths, **homes, **more},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    row = {"video_id": "v", "instruction": "What?", "response": "A dög… \u4e16", "system": "s"}
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("words", "redirect", "status", "said"),
    [
        (["judges", "list"], ">&-", 1, "standard output: it is closed"),
        (
            ["judges", "list"],
            ">/dev/full",
            1,
            "cannot be written (No space left on device). Make room",
        ),
        (["judges", "--help"], ">/dev/full", 1, "No space left on device"),
        (["--version"], ">&-", 1, "standard output: it is closed"),
        (["judges", "list"], ">&- 2>&-", 1, ""),
        (["no-verb"], "2>&-", 2, ""),
        (["no-verb"], "2>/dev/full", 2, ""),
        (["judges", "list"], "2>&-", 0, ""),
    ],
)
def test_streams(
    words: list[str | Path], redirect: str, status: int, said: str, tmp_path: Path
) -> None:
    ended = ran([*VERB, *words], redirect, tmp_path)
    assert ended.returncode == status
    assert "Traceback" not in ended.stderr
    assert said in ended.stderr
    assert ended.stderr.count("\n") == bool(said)


@pytest.mark.parametrize("redirect", [">&-", ">&- 2>&-", ">/dev/full", "2>&-"])
def test_verdicts_are_written_whatever_the_streams(
    answers: Path, redirect: str, tmp_path: Path
) -> None:
    words: list[str | Path] = ["judge", answers, "--judge", "longest", "-o", tmp_path / "out.jsonl"]
    ended = ran([*VERB, *words], redirect, tmp_path)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == (0 if redirect == "2>&-" else 1)
    (line,) = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["score"] is not None


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}]
)
def test_texts_that_the_terminal_lacks_are_escaped(
    answers: Path, locale: dict[str, str], tmp_path: Path
) -> None:
    odd = answers.rename(tmp_path / "\u4e16.jsonl")
    words: list[str | Path] = ["judge", odd, "--judge", "longest", "-o", tmp_path / "out.jsonl"]
    ended = ran([*VERB, *words], "", tmp_path, **locale)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\u4e16.jsonl" in ended.stdout or "\\u4e16.jsonl" in ended.stdout


def test_a_current_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    evaluation = ["--model", "videojudge", "--tasks", "videojudge_vatex"]
    for words in ([*VERB, "judges", "list"], [sys.executable, "-c", HOST, *evaluation]):
        gone.mkdir()
        command = " ".join(shlex.quote(str(word)) for word in words)
        ended = ran(["sh", "-c", f"cd {gone} && rmdir {gone} && exec {command}"], "", tmp_path)
        assert ended.returncode == 2
        assert "error: the current folder does not exist any more" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_an_evaluation_without_standard_output(tmp_path: Path) -> None:
    words: list[str | Path] = [sys.executable, "-c", HOST, "--model", "videojudge"]
    ended = ran([*words, "--tasks", "videojudge_vatex"], ">&-", tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("lmms_eval: error: standard output is closed")


@pytest.mark.skipif(bool(AS_OTHERS) and not shutil.which("setpriv"), reason="root without setpriv")
def test_folders_that_may_not_be_written_to(answers: Path, tmp_path: Path) -> None:
    closed, out = tmp_path / "closed", tmp_path / "out.jsonl"
    closed.mkdir(mode=0o555)
    judge: list[str | Path] = [*AS_OTHERS, *VERB, "judge", answers, "--judge", "longest"]
    for more, status, said in (
        (["-o", closed / "out.jsonl"], 2, "you may not write there; name another folder"),
        (["-o", out, "--journal", closed / "runs"], 1, "runs/answers"),
        (["-o", out, "--journal", tmp_path / "runs"], 0, ""),
    ):
        ended = ran([*judge, *map(str, more)], "", tmp_path)
        assert "Traceback" not in ended.stderr
        assert (ended.returncode, ended.stderr.count("\n")) == (status, int(bool(said)))
        assert said in ended.stderr
        if status == 1:
            assert "cannot be written (Permission denied). Make it writable, or na" in ended.stderr
    assert out.exists()
