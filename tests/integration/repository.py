"""Where the checkout is, and how to install from it without a network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from running import environment

ROOT = Path(__file__).parents[2]


def pip(arguments: Sequence[str | Path], folder: Path) -> None:
    """Run pip in a folder; nothing is downloaded."""
    python(["-m", "pip", "--disable-pip-version-check", "--quiet", *arguments], folder)


def python(arguments: Sequence[str | Path], folder: Path) -> str:
    """Run this interpreter in a folder; return what it wrote, fail when it failed."""
    ended = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=environment(folder, {"PIP_NO_INDEX": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout
