"""CPU time of the runner per further item, from 100 to 18,000 items, and of the journal alone.

Prints JSON. The marginal cost between two sizes is the difference of their times by the difference
of their sizes, so that what a run costs once (journal, lock) is left out.
`ratio_to_first` says whether it grows with the number of items.
"""

from __future__ import annotations

import gc
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from videojudge_bench import Judgement, Rating, goldsets, registry
from videojudge_bench.run.journal import Journal
from videojudge_bench.run.runner import Run, RunOptions

SIZES = (100, 1_000, 6_000, 18_000)
REPEATS = 15


def runner_ms(size: int) -> float:
    """Return CPU milliseconds of a fresh run of `longest` on the first `size` items."""
    gold_set = goldsets.load("vatex")
    ids = [example.item.id for example in gold_set.examples[:size]]
    with tempfile.TemporaryDirectory() as folder:
        run = Run(registry.build("longest", {}), gold_set, RunOptions(journal=Path(folder)))
        start = time.process_time()
        run.judge(ids)
        return 1000 * (time.process_time() - start)


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
    gc.freeze()  # as our lmms-eval model does before it judges
    # In turn, so that a change of the machine's speed meets all sizes.
    rounds = [{size: runner_ms(size) for size in SIZES} for _ in range(REPEATS)]
    times = {size: min(times[size] for times in rounds) for size in SIZES}
    steps = list(itertools.pairwise(SIZES))
    marginal = {f"{a}-{b}": (times[b] - times[a]) / (b - a) for a, b in steps}
    first = next(iter(marginal.values()))
    report = {
        "what": "milliseconds; runner: CPU, longest on VATEX-EVAL, least of the repeats; "
        "journal: wall, median of the repeats",
        "repeats": REPEATS,
        "runner_ms": {str(size): round(ms, 2) for size, ms in times.items()},
        "marginal_ms_per_item": {step: round(ms, 4) for step, ms in marginal.items()},
        "ratio_to_first": {step: round(ms / first, 3) for step, ms in marginal.items()},
        "journal_ms_per_judgement": round(
            statistics.median(journal_ms(SIZES[-1]) for _ in range(REPEATS)), 4
        ),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
