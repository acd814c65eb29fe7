"""Wall time of a 10-item run: our command against lmms-eval's own, in turn, five times each.

Prints JSON. The ratio is the figure to look at; single times depend on the machine.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 5
ARGUMENTS = (
    *("--model", "videojudge", "--model_args", "judge=longest"),
    *("--tasks", "videojudge_vatex", "--limit", "10"),
)


def seconds(command: str, folder: str) -> float:
    """Return the wall time of one run in seconds."""
    environment = {**os.environ, "XDG_CACHE_HOME": folder, "HF_HUB_OFFLINE": "1"}
    path = Path(sys.executable).parent / command
    start = time.perf_counter()
    subprocess.run([path, *ARGUMENTS], check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        for command in ("lmms_eval", "lmms-eval"):
            seconds(command, folder)  # fills the file cache
        ours, theirs = [], []
        for _ in range(RUNS):
            ours.append(seconds("lmms_eval", folder))
            theirs.append(seconds("lmms-eval", folder))
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    report = {
        "what": "wall seconds of a 10-item run, lmms_eval against lmms-eval, in turn",
        "runs": RUNS,
        "lmms_eval_median_seconds": round(statistics.median(ours), 2),
        "lmms-eval_median_seconds": round(statistics.median(theirs), 2),
        "ratio": {
            "min": round(ratios[0], 3),
            "median": round(statistics.median(ratios), 3),
            "max": round(ratios[-1], 3),
        },
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
