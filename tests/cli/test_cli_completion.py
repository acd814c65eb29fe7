"""Tab completion, as a bash asks for it: verbs, options, judges and their options, gold sets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from videojudge_bench import goldsets, registry
from videojudge_bench.cli.main import app

ROOT = Path(__file__).parents[2]

ASK = """\
source "$1"; shift
COMP_WORDS=(videojudge "$@"); COMP_CWORD=$#; COMPREPLY=()
_videojudge
printf '%s\\n' "${COMPREPLY[@]//\\\\/}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script for bash, and the command that it calls."""
    folder = tmp_path_factory.mktemp("completion")
    script = app.generate_completion(prog_name="videojudge", shell="bash")
    (folder / "script").write_text(script, encoding="utf-8")
    command = folder / "videojudge"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m videojudge_bench.cli "$@"\n')
    command.chmod(0o755)
    return folder


def completed(folder: Path, *words: str) -> set[str]:
    """Return what a Tab after the words offers."""
    ended = subprocess.run(
        ["bash", "-c", ASK, "bash", str(folder / "script"), *words],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(ended.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="values need cyclopts 5")
def test_a_tab_offers_what_can_stand_there(folder: Path) -> None:
    assert completed(folder, "jud") == {"judge", "judges"}
    assert {"list", "rouge_l", "qwen2_5_vl"} <= completed(folder, "judges", "")
    assert completed(folder, "sweep", "--gold") == {"--gold-set"}
    assert completed(folder, "judge", "x", "--judge", "") == set(registry.names())
    assert completed(folder, "judge", "x", "--judge", "qwen2_5_vl,max_f") == {
        "qwen2_5_vl,max_frames="
    }
    assert completed(folder, "data", "verify", "") == set(goldsets.names())
    assert completed(folder, "train", "--recipe", "smo") == {"smoke_cpu"}
