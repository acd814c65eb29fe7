"""Runs commands of an installed videojudge-bench as a user does: each in a process of its own."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from filelock import FileLock

BIN = Path(sys.executable).parent
TIMEOUT_SECONDS = 300
OUTPUT = "out"

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STDERR = "_stderr"

Number = float | int | str
Json = dict[str, object]


@dataclass(frozen=True)
class Ran:
    """A command that has ended.

    Attributes:
        code: exit status.
        output: stdout, then stderr, without colours.
        folder: where it ran.
    """

    code: int
    output: str
    folder: Path

    @property
    def results(self) -> Json:
        """The one results file that lmms-eval wrote below `OUTPUT`."""
        (path,) = (self.folder / OUTPUT).rglob("*_results.json")
        return cast(Json, json.loads(path.read_text(encoding="utf-8")))

    def numbers(self, task: str) -> dict[str, Number]:
        """Return the metrics of a task by key, the host's own standard errors left out."""
        found = cast("dict[str, dict[str, Number]]", self.results["results"])[task]
        return {
            name.partition(",")[0]: value
            for name, value in found.items()
            if name != "alias" and _STDERR not in name
        }

    def samples(self, task: str) -> list[Json]:
        """Return the lines that `--log_samples` wrote for a task."""
        (path,) = (self.folder / OUTPUT).rglob(f"*_samples_{task}.jsonl")
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def judgements(self, task: str) -> list[Json]:
        """Return the records of `samples`."""
        return [cast(Json, sample["judgement"]) for sample in self.samples(task)]


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of a command: this interpreter's scripts, a home of its own, no hub."""
    measured = {key: value for key, value in os.environ.items() if key.startswith("COV")}
    return {
        "PATH": os.pathsep.join((str(BIN), os.defpath)),
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
        **measured,
        **(more or {}),
    }


def run(
    command: Sequence[str],
    folder: Path,
    *,
    variables: Mapping[str, str] | None = None,
) -> Ran:
    """Run a command in a folder to its end.

    Args:
        command: program and arguments; the program is looked for beside this interpreter.
        folder: working directory and home.
        variables: added to `environment`.
    """
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, variables),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return Ran(ended.returncode, _COLOUR.sub("", ended.stdout + ended.stderr), folder)


def start(
    command: Sequence[str], folder: Path, *, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a command in a folder and return at once; `output_of` waits for its end."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder, variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def output_of(process: subprocess.Popen[str]) -> str:
    """Return what a started command wrote, once it has ended, without colours."""
    text, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    return _COLOUR.sub("", text)


def evaluation(
    model_args: str,
    *,
    tasks: str = "videojudge_vatex",
    limit: int = 12,
    program: Sequence[str] = ("lmms_eval",),
    model: str = "videojudge",
) -> list[str]:
    """Return the command that evaluates a judge and logs its samples below `OUTPUT`."""
    return [
        *program,
        *("--model", model, "--model_args", model_args, "--tasks", tasks),
        *("--limit", str(limit), "--log_samples", "--output_path", OUTPUT),
    ]


def write_module(folder: Path, name: str, source: str) -> dict[str, str]:
    """Write a module and return the variables with which a command can import it."""
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


def once(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Mapping[str, Ran]]
) -> dict[str, Ran]:
    """Return what `make` returns for a new folder, made once for all workers of pytest-xdist.

    Starting lmms-eval takes seconds, so tests share runs even when they are spread over processes.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / "shared" / name
    kept = folder / "ran.json"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not kept.exists():
            made = {k: [r.code, r.output, str(r.folder)] for k, r in make(folder).items()}
            kept.write_text(json.dumps(made), encoding="utf-8")
    read = json.loads(kept.read_text(encoding="utf-8"))
    return {key: Ran(code, output, Path(where)) for key, (code, output, where) in read.items()}


def run_once(factory: pytest.TempPathFactory, name: str, command: Sequence[str]) -> Ran:
    """Return the end of a command that runs once for all tests, in a folder of that name."""
    return once(factory, name, lambda here: {name: run(command, here)})[name]


def assert_clean_failure(ran: Ran, *texts: str) -> None:
    """Assert that a command failed, said all of `texts`, and showed no traceback."""
    assert ran.code not in (0, None), ran.output
    for text in texts:
        assert text in ran.output, f"{text!r} is not in:\n{ran.output}"
    assert "Traceback" not in ran.output, ran.output


def assert_leaderboard_has(folder: Path, numbers: Mapping[str, Number]) -> None:
    """Assert that the run stored in a folder has the numbers that lmms-eval printed."""
    kept = json.loads((folder / "run.json").read_text(encoding="utf-8"))["numbers"]
    # It keeps six decimals.
    printed = {k: round(v, 6) if isinstance(v, float) else v for k, v in numbers.items()}
    assert {**kept, "judgement": printed["judgement"]} == printed


def assert_numbers_are_plain(numbers: Mapping[str, object]) -> None:
    """Assert that every metric is a number or the text `undefined (…)`."""
    assert numbers
    for key, value in numbers.items():
        plain = isinstance(value, (int, float)) and math.isfinite(value)
        undefined = isinstance(value, str) and re.fullmatch(r"undefined \(.+\)", value)
        assert plain or undefined, f"{key}: {value!r}"
