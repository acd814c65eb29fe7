"""The cost of a server beside its judge: CPU milliseconds a row, and the rate against in process.

    python tests/benchmarks/serving.py [JUDGE] [ROWS]

CPU is that of whole processes, so that other work on the machine does not count; the rate is wall
time, and on a busy machine only its ratio says something. In flight are always 64 rows.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path

import psutil

from videojudge_bench import Item, goldsets
from videojudge_bench.registry import build
from videojudge_bench.run.live import LiveRun

sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))
from judge_servers import Server, serving

IN_FLIGHT = 64
REFERENCES = 1


def main(judge: str, n_rows: int) -> None:
    """Print a line for each way of asking."""
    examples = goldsets.load("vatex").examples[:n_rows]
    items = [example.item for example in examples if isinstance(example.item, Item)]
    own_cpu, own_seconds = in_process(judge, items)
    _say("in process, 64 rows a call", own_cpu, own_seconds, n_rows)
    for rows in (8, 1):
        with serving(judge) as server, ThreadPoolExecutor(IN_FLIGHT // rows) as clients:
            asked = [list(part) for part in _parts(items, rows)]
            asked, rest = asked[: len(asked) // 8], asked[len(asked) // 8 :]
            list(clients.map(lambda part, s=server: _ask(s, part), asked))  # warm
            n = sum(map(len, rest))
            cpu, started = _cpu(server), time.monotonic()
            list(clients.map(lambda part, s=server: _ask(s, part), rest))
            seconds, cpu = time.monotonic() - started, _cpu(server) - cpu
            batches = server.figure("videojudge_batch_rows_count")
            together = server.figure("videojudge_batch_rows_sum") / batches
        _say(f"served, {rows} rows a request", cpu, seconds, n)
        beside = 1000 * (cpu / n - own_cpu / n_rows)
        rate = (n / seconds) / (n_rows / own_seconds)
        print(  # noqa: T201
            f"  beside the judge {beside:.2f} ms CPU a row, {rate:.2f} of the rate in process, "
            f"batches of {together:.0f}"
        )


def in_process(judge: str, items: Sequence[Item]) -> tuple[float, float]:
    """Return CPU and wall seconds of the judge, 64 rows at a time."""
    run = LiveRun(build(judge, {}))
    shown = [_shown(item) for item in items]
    run.judge_batch({item.id: item for item in shown[:IN_FLIGHT]})
    cpu, started = time.process_time(), time.monotonic()
    for part in _parts(shown, IN_FLIGHT):
        run.judge_batch({item.id: item for item in part})
    return time.process_time() - cpu, time.monotonic() - started


def _shown(item: Item) -> Item:
    return Item(
        item.id, item.video_id, item.instruction, item.response, item.references[:REFERENCES]
    )


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Rows of one group in one request, as a trainer sends them, `size` at most."""
    if size == IN_FLIGHT:
        yield from (items[k : k + size] for k in range(0, len(items), size))
        return
    for _, group in groupby(items, key=lambda item: item.group):
        while part := list(islice(group, size)):
            yield part


def _ask(server: Server, items: Sequence[Item]) -> None:
    rows = [
        {
            "id": item.id, "video_id": item.video_id, "instruction": item.instruction,
            "response": item.response, "references": list(item.references[:REFERENCES]),
        }
        for item in items
    ]  # fmt: skip
    assert len(server.score(*rows)) == len(rows)


def _cpu(server: Server) -> float:
    used = psutil.Process(server.process.pid).cpu_times()
    return float(used.user + used.system)


def _say(title: str, cpu: float, seconds: float, n: int) -> None:
    print(f"{title}: {1000 * cpu / n:.2f} ms CPU a row, {n / seconds:.0f} rows/s")  # noqa: T201


if __name__ == "__main__":
    given = sys.argv[1:]
    main(given[0] if given else "compact", int(given[1]) if len(given) > 1 else 4000)
