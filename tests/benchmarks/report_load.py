"""How long the page of a run of 18,000 items takes to be ready in headless Chromium.

The run is VATEX-EVAL judged by `longest`, with a reply of 600 characters put to every item. Ready
is when the page's own script has built the list: milliseconds since navigation, by the browser's
clock, five loads with an empty cache. Prints JSON; times depend on the machine, and on a busy one
the renderer's CPU seconds are the figure to look at.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from videojudge_bench import goldsets, registry
from videojudge_bench.leaderboard.opening import OpenRun, open_run
from videojudge_bench.report import making, page
from videojudge_bench.run.runner import Run, RunOptions

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

from browser import Browser, drive

LOADS = 5
REPLY = "The answer names what the video shows, and in the order in which it happens. "
CHARACTERS = 600


def the_run(folder: Path) -> OpenRun:
    """Return a run on all items of VATEX-EVAL, with replies."""
    gold_set = goldsets.load("vatex")
    run = Run(registry.build("longest", {}), gold_set, RunOptions(references=9, journal=folder))
    run.judge([example.item.id for example in gold_set.examples])
    opened = open_run(folder)
    reply = (REPLY * CHARACTERS)[:CHARACTERS]
    judgements = {
        i: replace(judgement, reply=f"{i} {reply}") for i, judgement in opened.judgements.items()
    }
    return replace(opened, record=replace(opened.record, judgements=judgements))


@dataclass(frozen=True)
class Load:
    """One load: the page's own milliseconds, and the CPU seconds of the process that rendered."""

    ready_ms: int
    cpu_seconds: float


def load(path: Path) -> Load:
    """Open the page in a new browser with an empty cache."""
    found: list[Load] = []

    async def look(browser: Browser) -> None:
        await browser.open(path)
        ready_ms = int(await browser.value("document.documentElement.dataset.readyMs"))
        children = psutil.Process(browser.process_id).children(recursive=True)
        renderers = [child for child in children if "--type=renderer" in child.cmdline()]
        times = [child.cpu_times() for child in renderers]
        found.append(Load(ready_ms, max(spent.user + spent.system for spent in times)))

    drive(look)
    return found[0]


def _spread(values: Sequence[float]) -> dict[str, float]:
    found = {"min": min(values), "median": statistics.median(values), "max": max(values)}
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.process_time()
        made = making.runs_page([the_run(folder)], worst=24, resamples=1000)
        path = folder / "page.html"
        page.write(made, path)
        if len(sys.argv) > 1:  # to look at it
            page.write(made, Path(sys.argv[1]))
        cpu_seconds = time.process_time() - start
        load(path)  # fills the file cache
        loads = [load(path) for _ in range(LOADS)]
        size = path.stat().st_size
    report = {
        "what": "page of 18,000 items in headless Chromium: ms from navigation to a ready list",
        "loads": LOADS,
        "megabytes": round(size / 1e6, 1),
        "ready_ms": _spread([one.ready_ms for one in loads]),
        "renderer_cpu_seconds": _spread([one.cpu_seconds for one in loads]),
        "making_it_cpu_seconds": round(cpu_seconds, 1),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
