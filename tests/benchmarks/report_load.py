"""How long the page of a run of 18,000 items takes to be ready in headless Chromium.

The run is VATEX-EVAL judged by `longest`, with a reply of 600 characters put to every item. Ready
is when the page's own script has built the list: milliseconds since navigation, by the browser's
clock, five loads with an empty cache. Prints JSON; times depend on the machine.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from videojudge_bench import goldsets, registry
from videojudge_bench.leaderboard.opening import OpenRun, open_run
from videojudge_bench.report import making, page
from videojudge_bench.runner import Run, RunOptions

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
    opened = open_run(folder, what="A benchmark takes")
    reply = (REPLY * CHARACTERS)[:CHARACTERS]
    judgements = {
        i: replace(judgement, reply=f"{i} {reply}") for i, judgement in opened.judgements.items()
    }
    return replace(opened, found=replace(opened.found, judgements=judgements))


def ready_ms(path: Path) -> int:
    """Return the milliseconds from navigation to the page's own word that it is ready."""
    found: list[int] = []

    async def look(browser: Browser) -> None:
        await browser.open(path)
        found.append(int(await browser.value("document.documentElement.dataset.readyMs")))

    drive(look)
    return found[0]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.process_time()
        made = making.runs_page([the_run(folder)], worst=24, resamples=1000)
        path = folder / "page.html"
        page.write(made, path)
        cpu_seconds = time.process_time() - start
        ready_ms(path)  # fills the file cache
        loads = [ready_ms(path) for _ in range(LOADS)]
        size = path.stat().st_size
    times = sorted(loads)
    report = {
        "what": "page of 18,000 items in headless Chromium: ms from navigation to a ready list",
        "loads": LOADS,
        "megabytes": round(size / 1e6, 1),
        "ready_ms": {"min": times[0], "median": statistics.median(times), "max": times[-1]},
        "making_it_cpu_seconds": round(cpu_seconds, 1),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
