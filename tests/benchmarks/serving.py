"""Prints what a server costs beside its judge: CPU milliseconds a row, and the rate in process.

    python tests/benchmarks/serving.py [JUDGE …]

Judges are asked about captions of VATEX-EVAL with one reference, 64 rows in flight: in process, and
through servers by requests of eight rows and of one, each on a connection of its own. All is CPU
time of the process that judges: other work on the machine and the clients do not count. The ways
take turns, each time with rows that no judge has seen, and medians over the rounds are printed.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil

from videojudge_bench import Item, goldsets
from videojudge_bench.registry import build
from videojudge_bench.run.live import LiveRun

sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))
from judge_servers import Server, serving

JUDGES = ("longest", "compact")
IN_FLIGHT, ROUNDS, ROUND_ROWS, ROWS_A_REQUEST = 64, 5, 192, (8, 1)

Seconds = dict[str, list[float]]


def main(judges: Sequence[str]) -> None:
    """Print one JSON object."""
    examples = goldsets.load("vatex").examples[: (ROUNDS + 1) * ROUND_ROWS]
    items = [_with_one_reference(e.item) for e in examples if isinstance(e.item, Item)]
    report = {
        "rows": ROUNDS * ROUND_ROWS,
        "in_flight": IN_FLIGHT,
        "judges": {judge: _summary(_measured(judge, items)) for judge in judges},
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


def _measured(judge: str, items: Sequence[Item]) -> Seconds:
    """CPU seconds a row of each round, by the way of asking; the first round warms up."""
    seconds: Seconds = {}
    with ExitStack() as stack:
        run = LiveRun(build(judge, {}))
        servers = {n: stack.enter_context(serving(judge)) for n in ROWS_A_REQUEST}
        for part in _parts(items, ROUND_ROWS):
            ways = {"in_process": _in_process(run, part)}
            ways |= {f"{n}_rows_a_request": _served(servers[n], part, n) for n in ROWS_A_REQUEST}
            for way, spent in ways.items():
                seconds.setdefault(way, []).append(spent / len(part))
    return {way: spent[1:] for way, spent in seconds.items()}


def _in_process(run: LiveRun, items: Sequence[Item]) -> float:
    started = time.process_time()
    for part in _parts(items, IN_FLIGHT):
        run.judge_batch({item.id: item for item in part})
    return time.process_time() - started


def _served(server: Server, items: Sequence[Item], rows: int) -> float:
    asked = [[_row(item) for item in part] for part in _parts(items, rows)]
    before = _cpu(server)
    with ThreadPoolExecutor(IN_FLIGHT // rows) as clients:
        answers = list(clients.map(lambda part: server.score(*part), asked))
    assert sum(map(len, answers)) == len(items)
    return _cpu(server) - before


def _summary(seconds: Seconds) -> Mapping[str, object]:
    own = seconds["in_process"]
    report: dict[str, object] = {"in_process": {"cpu_ms_a_row": _median_ms(own)}}
    for n in ROWS_A_REQUEST:
        served = seconds[f"{n}_rows_a_request"]
        beside = [there - here for there, here in zip(served, own, strict=True)]
        rates = [here / there for there, here in zip(served, own, strict=True)]
        report[f"{n}_rows_a_request"] = {
            "cpu_ms_a_row": _median_ms(served),
            "beside_the_judge_ms": _median_ms(beside),
            "of_the_rate_in_process": round(statistics.median(rates), 2),
            "lowest_and_highest": [round(min(rates), 2), round(max(rates), 2)],
        }
    return report


def _median_ms(seconds: Sequence[float]) -> float:
    return round(1000 * statistics.median(seconds), 2)


def _with_one_reference(item: Item) -> Item:
    return Item(item.id, item.video_id, item.instruction, item.response, item.references[:1])


def _row(item: Item) -> dict[str, object]:
    return {
        "id": item.id,
        "video_id": item.video_id,
        "instruction": item.instruction,
        "response": item.response,
        "references": list(item.references),
    }


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _cpu(server: Server) -> float:
    used = psutil.Process(server.process.pid).cpu_times()
    return float(used.user + used.system)


if __name__ == "__main__":
    main(sys.argv[1:] or JUDGES)
