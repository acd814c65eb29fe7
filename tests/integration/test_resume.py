"""A run that was killed or interrupted goes on where it stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import (
    TIMEOUT_SECONDS,
    Ran,
    assert_clean_failure,
    evaluation,
    once,
    output_of,
    run,
    start,
    write_module,
)

from videojudge_bench import goldsets

TASK = "videojudge_vatex"
LIMIT = 30
BEFORE_IT_HANGS = 10

# Notes every call, and from a number of calls on takes forever over each.
JUDGE = """\
import os
import time
from pathlib import Path

from videojudge_bench import Judge, Rating


class Slow(Judge):
    def __init__(self):
        self.calls = 0

    def rate(self, item):
        with Path(os.environ["CALLS"]).open("a") as file:
            file.write(item.id + "\\n")
        self.calls += 1
        if self.calls > int(os.environ["HANGS_AFTER"]):
            time.sleep(3600)
        return Rating(1 + len(item.response) % 5)
"""
COMMAND = evaluation("judge=slow_judge:Slow", limit=LIMIT)
NEVER = 10**6


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """One command on one journal: killed, refused meanwhile, interrupted, and let finish.

    Each notes its calls in a file of its name.
    """

    def make(here: Path) -> dict[str, Ran]:
        with _started(here, "killed") as process:
            refused = run(COMMAND, here, variables=_variables(here, "refused", NEVER))
            process.kill()
            killed = Ran(process.wait(), output_of(process), here)
        with _started(here, "interrupted") as process:
            process.send_signal(signal.SIGINT)
            written = output_of(process)
            interrupted = Ran(process.returncode, written, here)
        finished = run(COMMAND, here, variables=_variables(here, "finished", NEVER))
        return {
            "killed": killed,
            "refused": refused,
            "interrupted": interrupted,
            "finished": finished,
        }

    return once(tmp_path_factory, "resume", make)


@pytest.fixture(scope="session")
def finished(story: dict[str, Ran]) -> Ran:
    return story["finished"]


def test_a_killed_run_goes_on_where_it_stopped(finished: Ran) -> None:
    calls = [_calls(finished.folder, name) for name in ("killed", "interrupted", "finished")]
    wanted = [e.item.id for e in goldsets.load("vatex").examples[:LIMIT]]
    # The last call of a run that stopped was in flight: it is the only one to be asked again.
    assert calls[0] == wanted[: BEFORE_IT_HANGS + 1]
    assert calls[1] == wanted[BEFORE_IT_HANGS : 2 * BEFORE_IT_HANGS + 1]
    assert calls[2] == wanted[2 * BEFORE_IT_HANGS :]


def test_its_numbers_are_those_of_an_uninterrupted_run(finished: Ran, tmp_path: Path) -> None:
    whole = run(COMMAND, tmp_path, variables=_variables(tmp_path, "calls", NEVER))
    assert whole.code == finished.code == 0, finished.output
    assert finished.numbers(TASK) == whole.numbers(TASK)
    assert finished.judgements(TASK) == whole.judgements(TASK)


def test_the_journal_holds_every_judgement_once(finished: Ran) -> None:
    journals = finished.folder / "cache" / "videojudge_bench" / "journals"
    (path,) = journals.rglob("judgements-*.jsonl")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == LIMIT
    assert len({line["id"] for line in lines}) == LIMIT


def test_ctrl_c_ends_a_run_quietly_and_says_how_to_go_on(story: dict[str, Ran]) -> None:
    ran = story["interrupted"]
    assert ran.code == 130
    assert_clean_failure(
        ran,
        "lmms_eval: interrupted; run the same command again to go on",
        f"{2 * BEFORE_IT_HANGS} of {LIMIT} judgements are in",
    )


def test_a_second_process_is_refused(story: dict[str, Ran]) -> None:
    refused = story["refused"]
    assert_clean_failure(
        refused,
        "another process is writing",
        "judgements-0.jsonl",
        "Wait for it, or give this run a journal of its own with journal=DIR",
    )
    assert _calls(refused.folder, "refused") == []


def _variables(folder: Path, calls: str, hangs_after: int) -> dict[str, str]:
    return {
        **write_module(folder, "slow_judge", JUDGE),
        "CALLS": str(folder / calls),
        "HANGS_AFTER": str(hangs_after),
    }


@contextmanager
def _started(folder: Path, calls: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command and go on when it hangs, with one call in flight."""
    process = start(COMMAND, folder, variables=_variables(folder, calls, BEFORE_IT_HANGS))
    deadline = time.monotonic() + TIMEOUT_SECONDS
    try:
        while len(_calls(folder, calls)) <= BEFORE_IT_HANGS:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"it never got to work:\n{output_of(process)}")
            time.sleep(0.05)
        yield process
    finally:
        process.kill()


def _calls(folder: Path, name: str) -> list[str]:
    path = folder / name
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
