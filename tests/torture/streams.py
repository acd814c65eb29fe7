"""Streams that are closed or full, locales, folders that are gone or not writable."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_VERB = (sys.executable, "-m", "videojudge_bench.cli")
# Root may write everywhere, but not without this capability.
_AS_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
_LOCALES = ({"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"LC_ALL": "nowhere"}, {"LC_ALL": "C.UTF-8"},
            {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"},
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})  # fmt: skip


@dataclass(frozen=True)
class Trouble:
    """What stands in a command's way.

    Attributes:
        what: in words.
        redirect: of its streams, in the shell's words.
        before: what the shell does first.
        variables: of the environment.
        output: where it writes.
        says_so: it must end with an error.
    """

    what: str
    redirect: str = ""
    before: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    output: str = "out.jsonl"
    says_so: bool = False


TROUBLES = (
    Trouble("standard output closed", ">&-", says_so=True),
    Trouble("both streams closed", ">&- 2>&-", says_so=True),
    Trouble("all streams closed", "<&- >&- 2>&-", says_so=True),
    Trouble("standard output full", ">/dev/full", says_so=True),
    Trouble("both streams full", ">/dev/full 2>/dev/full", says_so=True),
    Trouble("standard error closed", "2>&-"),
    Trouble("standard error full", "2>/dev/full"),
    *(Trouble(" ".join(f"{n}={v}" for n, v in each.items()), variables=each) for each in _LOCALES),
    Trouble("a folder that is not writable", output="closed/out.jsonl", says_so=True),
    Trouble("the current folder is gone", before="cd gone && rmdir ../gone &&", says_so=True),
)
COMMANDS = (
    ("judge", ("judge", "IN", "--judge", "longest", "-o", "OUT")),
    ("data list", ("data", "list")),
    ("help", ("--help",)),
)


def meet_all(folder: Path, troubles: tuple[Trouble, ...] = TROUBLES) -> dict[str, Any]:
    """Run each command in each trouble.

    Returns:
        `tried`, `refused` (ended with an error), and `lost`: promises that were broken, in words.
    """
    lost: list[str] = []
    tried = refused = 0
    sound = _scores(_run(COMMANDS[0][1], Trouble("nothing"), folder / "undisturbed")[1])
    assert len(sound) == 1
    for name, words in COMMANDS:
        for trouble in troubles:
            is_writing = "OUT" in words
            if (trouble.output.startswith("closed") and not is_writing) or (
                trouble.before and not is_writing
            ):
                continue
            ended, out = _run(words, trouble, folder / f"{name}{tried}")
            tried += 1
            refused += ended.returncode != 0
            lost += [f"{name}, {trouble.what}: {p}" for p in _problems(trouble, ended)]
            needs_file = is_writing and trouble.output == "out.jsonl" and not trouble.before
            if needs_file and _scores(out) != sound:
                lost.append(f"{name}, {trouble.what}: its output is not whole")
    return {"lost": lost, "tried": tried, "refused": refused}


def _run(
    words: tuple[str, ...], trouble: Trouble, folder: Path
) -> tuple[subprocess.CompletedProcess[str], Path]:
    (folder / "gone").mkdir(parents=True)
    (folder / "closed").mkdir(mode=0o555)
    row = {
        "video_id": "v",
        "instruction": "What?",
        "response": "A d\u00f6g \u4e16 runs",
        "system": "s",
    }
    source = folder / "answers \u4e16.jsonl"
    source.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    places = {"IN": str(source), "OUT": str(folder / trouble.output)}
    whole = [*_VERB, *(places.get(word, word) for word in words)]
    if not os.geteuid() and shutil.which("setpriv"):
        whole = [*_AS_OTHERS, *whole]
    command = " ".join(map(shlex.quote, whole))
    homes = {name: str(folder) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        ["sh", "-c", f"{trouble.before} exec {command} {trouble.redirect}"],
        cwd=folder,
        env={**paths, **homes, **trouble.variables},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return ended, folder / trouble.output


def _problems(trouble: Trouble, ended: subprocess.CompletedProcess[str]) -> list[str]:
    said = ended.stdout + ended.stderr
    problems = ["a traceback"] * ("Traceback" in said)
    if ended.returncode < 0 or (ended.returncode != 0) != trouble.says_so:
        problems.append(f"ended with {ended.returncode}")
    return problems


def _scores(path: Path) -> list[float]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line)["score"] for line in lines]
