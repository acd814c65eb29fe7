"""Result of the probe: torch, GPUs, lmms-eval with our plug-in, judges that need no options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping

from pydantic import BaseModel

SECONDS = 300.0
"""Time limit of the probe: importing torch from a slow network disk takes minutes."""


class Gpu(BaseModel):
    """A GPU that torch can use."""

    name: str
    free_bytes: int
    total_bytes: int


class Torch(BaseModel):
    """Facts about the installed torch."""

    version: str
    cuda: str | None
    gpus: list[Gpu]
    mps: bool


class Plugin(BaseModel):
    """State of our plug-in in lmms-eval: model registered, task manager hooked."""

    model: bool
    tasks: bool


class Host(BaseModel):
    """Result of the probe; `torch` and `plugin` are None if torch and lmms-eval do not import.

    Attributes:
        judges: problem by judge that needs no options, empty where it can be made.
        died: last line of a probe that failed; empty where it did not.
    """

    torch: Torch | None = None
    plugin: Plugin | None = None
    judges: Mapping[str, str] = {}
    died: str = ""

    @property
    def gpus(self) -> list[Gpu]:
        """GPUs that torch can use."""
        return self.torch.gpus if self.torch else []


class Probe:
    """A running probe; `result` waits for its end."""

    def __init__(self) -> None:
        # The parent's own search path: this package may be on it by no installation.
        start = "import sys; sys.path[:] = sys.argv[1:]; from videojudge_bench.doctor import probe"
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{start}; probe.main()", *sys.path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "HF_HUB_OFFLINE": "1"},  # looking is not downloading
        )

    def result(self) -> Host:
        """Wait for the probe and return its result."""
        died = ""
        try:
            out, errors = self._process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, errors = self._process.communicate()
            died = f"it took more than {SECONDS:g} s"
        if self._process.returncode and not died:
            last = errors.strip().splitlines()[-1:]
            died = last[0] if last else f"exit status {self._process.returncode}"
        return read_lines(out.splitlines(), died)

    def close(self) -> None:
        """Kill it, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def read_lines(lines: Iterable[str], died: str) -> Host:
    """Return what the lines of a probe say."""
    facts: dict[str, dict[str, object]] = {}
    for line in lines:
        for name, values in json.loads(line).items():
            facts.setdefault(name, {}).update(values)
    return Host.model_validate({**facts, "died": died})
