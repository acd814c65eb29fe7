"""CPU time per item of the runner, from 100 to 18,000 items, and of the journal alone.

Prints JSON. `ratio_to_smallest` says whether the cost of an item grows with the number of items.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from videojudge_bench import Judgement, Rating, goldsets, registry
from videojudge_bench.journal import Journal
from videojudge_bench.runner import Run, RunOptions

SIZES = (100, 1_000, 6_000, 18_000)
REPEATS = 5


def runner_ms(size: int) -> float:
    """Return CPU milliseconds per item of a fresh run of `longest` on `size` items."""
    gold_set = goldsets.load("vatex")
    ids = [example.item.id for example in gold_set.examples[:size]]
    # Small runs are repeated until as many items have passed as in the largest one.
    rounds = max(1, SIZES[-1] // size // 4)
    spent = 0.0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            options = RunOptions(journal=Path(folder))
            run = Run(registry.build("longest", {}), gold_set, options)
            start = time.process_time()
            run.judge(ids)
            spent += time.process_time() - start
    return 1000 * spent / (rounds * size)


def journal_ms(size: int) -> float:
    """Return wall milliseconds per judgement of appending `size` judgements, syncs included."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with Journal(Path(folder)) as journal:
            for number in range(size):
                reply = "<thinking>The answer fits the video.</thinking><score>4</score>"
                journal.append(f"{number:032x}", Judgement(f"video/{number}", Rating(4.0), reply))
        return 1000 * (time.perf_counter() - start) / size


def main() -> None:
    """Measure and print."""
    runner_ms(SIZES[0])
    per_size = {size: statistics.median(runner_ms(size) for _ in range(REPEATS)) for size in SIZES}
    report = {
        "what": "milliseconds per item; runner: CPU, longest on VATEX-EVAL; journal: wall",
        "repeats": REPEATS,
        "runner_ms_per_item": {str(s): round(ms, 4) for s, ms in per_size.items()},
        "ratio_to_smallest": {
            str(s): round(ms / per_size[SIZES[0]], 3) for s, ms in per_size.items()
        },
        "journal_ms_per_judgement": round(
            statistics.median(journal_ms(SIZES[-1]) for _ in range(REPEATS)), 4
        ),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
