"""Items a second of judge `compact` on VATEX-EVAL, with 1 and 9 references, on two threads.

Prints JSON. Seconds are those of the clock, and CPU seconds shared out to the cores, which is what
a machine would take that has nothing else to do. Items come in the set's order, so that the six
captions of a video share its references.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace

import torch

from videojudge_bench import Item, Judge, goldsets, registry

ITEMS, THREADS = 1_200, 2
WAYS = [(count, dtype) for count in (1, 9) for dtype in ("float32", "bfloat16")]


def measured(judge: Judge, items: list[Item]) -> dict[str, float]:
    """Return items per second of the clock, and per CPU second of a core times the cores."""
    clock, cpu = time.perf_counter(), time.process_time()
    done = sum(1 for _ in judge.judge(items))
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    return {
        "items_per_second": round(done / clock, 1),
        "items_per_second_of_free_cores": round(done / (cpu / THREADS), 1),
    }


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(THREADS)
    examples = goldsets.load("vatex").examples[:ITEMS]
    items = [example.item for example in examples if isinstance(example.item, Item)]
    report: dict[str, object] = {
        "what": f"judge compact, {ITEMS} captions of VATEX-EVAL, {THREADS} threads",
    }
    for count, dtype in WAYS:
        judge = registry.build("compact", {"dtype": dtype}).judge
        shown = [replace(item, references=item.references[:count]) for item in items]
        measured(judge, shown[:60])
        judge.close()
        report[f"{count}_references_{dtype}"] = measured(judge, shown)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
