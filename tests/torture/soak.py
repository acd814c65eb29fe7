"""A served judge under load: many clients, broken rows, and kill -9 of the server on the way."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psutil
from judge_servers import started
from soak_judge import BREAKS, NOTHING

from videojudge_bench.serving.client import JudgeClient, RowsRefusedError

CLIENTS, ROWS_A_REQUEST, KILLS, SHARE_BROKEN = 32, 16, 2, 0.05
WARM_ROWS = 10_000
MOST_GROWTH = 1.1
PATIENCE_SECONDS = 1800

Row = dict[str, Any]

_JUDGE = Path(__file__).with_name("soak_judge.py")
_PLACE = re.compile(r"rows\[(\d+)\]")
_BROKEN: Mapping[str, tuple[Row, str]] = {
    "the judge raises": ({"response": BREAKS}, "judge failed: ValueError: it was told to"),
    "the judge has no verdict": ({"response": NOTHING}, "nothing to say"),
    "too long": ({"response": "x" * ((1 << 20) + 1)}, "row too long: "),
    "no answer": ({"response": None}, "there is no answer"),
    "an unknown field": ({"rating": 5}, "the field is unknown"),
    "a video by URL": ({"video": "http://localhost/a.mp4"}, "got a URL"),
    "a path out of the folder": ({"video": "../a.mp4"}, "a path inside its folder is needed"),
}
"""What is wrong with a row: its fields, and what must be said of it."""

_RARE = "too long"
"""A megabyte each: one in a hundred broken rows."""


@dataclass
class Soak:
    """What was asked, what came back, and how the server fared.

    Attributes:
        rows: by id; what is to be said of each is in `expected`.
        expected: the score, or a part of the error.
        broken: rows of each kind.
        answers: what was said, by id.
        waiting: ids of rows that were sent and not answered.
        kills: one line for each kill.
        memory: MiB of each life of the server: the most while it warms up, and in all.
    """

    rows: Mapping[str, Row]
    expected: Mapping[str, float | str]
    broken: Mapping[str, int]
    answers: dict[str, float | str] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    kills: list[Row] = field(default_factory=list)
    memory: list[Row] = field(default_factory=list)
    cpu_seconds: float = 0.0


def soak(folder: Path, n_rows: int, seed: int) -> Row:
    """Return what the fault suite writes down."""
    run = _drawn(n_rows, random.Random(seed))
    log = folder / "asked"
    asyncio.run(_all(run, folder, log, random.Random(seed + 1)))
    asked = Counter(log.read_text("utf-8").split())
    again = {name for name, n in asked.items() if n > 1}
    most = max(asked.values())
    in_flight = {name for kill in run.kills for name in kill.pop("rows")}
    lost = [*_wrong(run), *(f"{name} was judged again, and not in flight" for name in
                            sorted(again - in_flight)[:5])]  # fmt: skip
    lost += [f"a row was judged {most} times"] * (most > KILLS + 1)
    grown = [life for life in run.memory if life["growth"] > MOST_GROWTH]
    lost += [f"memory grew from {life['warm_mib']} to {life['most_mib']} MiB" for life in grown]
    return {
        "lost": lost,
        "rows": n_rows,
        "broken": dict(sorted(run.broken.items())),
        "clients": CLIENTS,
        "rows_a_request": ROWS_A_REQUEST,
        "answered": len(run.answers),
        "judged_again": sum(asked.values()) - len(asked),
        "kills": run.kills,
        "memory": run.memory,
        "server_cpu_ms_a_row": round(1000 * run.cpu_seconds / n_rows, 2),
    }


def _drawn(n_rows: int, draw: random.Random) -> Soak:
    rows: dict[str, Row] = {}
    expected: dict[str, float | str] = {}
    broken: Counter[str] = Counter()
    kinds = [kind for kind in _BROKEN if kind != _RARE]
    for number in range(n_rows):
        name = f"r{number}"
        row = {"id": name, "video_id": f"v{number // 8}", "instruction": "What happens?",
               "response": "x" * draw.randint(1, 60) + name}  # fmt: skip
        expected[name] = len(row["response"])
        if draw.random() < SHARE_BROKEN:
            kind = _RARE if draw.random() < 0.01 else draw.choice(kinds)
            broken[kind] += 1
            fields, expected[name] = _BROKEN[kind]
            row |= fields
        rows[name] = row
    return Soak(rows, expected, broken)


def _wrong(run: Soak) -> list[str]:
    wrong = []
    for name, expected in run.expected.items():
        answer = run.answers.get(name, "nothing")
        is_error = isinstance(expected, str) and isinstance(answer, str)
        if not (str(expected) in str(answer) if is_error else expected == answer):
            wrong.append(f"{name}: expected {expected!r}, got {str(answer)[:200]!r}")
    return wrong[:5]


async def _all(run: Soak, folder: Path, log: Path, draw: random.Random) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    names = list(run.rows)
    requests = [names[k : k + ROWS_A_REQUEST] for k in range(0, len(names), ROWS_A_REQUEST)]
    requests.reverse()
    options = ("--port", str(port), "--journal", str(folder / "journal"))
    clients = [asyncio.create_task(_client(run, requests, port)) for _ in range(CLIENTS)]
    everything = asyncio.gather(*clients)
    for number in range(KILLS + 1):
        share = (number + draw.uniform(0.8, 1.2)) / (KILLS + 1)
        until = share * len(names) if number < KILLS else float("inf")
        server = started(f"{_JUDGE}:Counts,log={log}", *options)
        try:
            await _watched(run, server, everything, until)
        finally:
            server.kill()
            server.communicate()
    await everything


async def _watched(
    run: Soak, server: subprocess.Popen[str], everything: asyncio.Future[Any], until: float
) -> None:
    """Note the memory of a server until so many rows are answered, and kill it."""
    assert server.stdout is not None
    assert await asyncio.to_thread(server.stdout.readline), "the server did not start"
    process = psutil.Process(server.pid)
    first, warm, most = len(run.answers), 0.0, 0.0
    while len(run.answers) < until and not everything.done():
        await asyncio.wait([everything], timeout=0.05)
        memory = process.memory_info().rss / 2**20
        if len(run.answers) - first < WARM_ROWS:
            warm = max(warm, memory)
        most = max(most, memory)
    used = process.cpu_times()
    run.cpu_seconds += used.user + used.system
    if not everything.done():
        in_flight = set(run.waiting)
        server.kill()
        run.kills.append({"answered": len(run.answers), "in_flight": len(in_flight),
                          "rows": in_flight})  # fmt: skip
    run.memory.append({"warm_mib": round(warm), "most_mib": round(most),
                       "growth": round(most / warm, 3)})  # fmt: skip


async def _client(run: Soak, requests: list[list[str]], port: int) -> None:
    """Send requests until none is left; a request that is refused goes on without the row named."""
    client = JudgeClient(f"http://127.0.0.1:{port}", patience_seconds=PATIENCE_SECONDS)
    while requests:
        names = requests.pop()
        while names:
            run.waiting.update(names)
            try:
                answer = await client.post("/v1/score", {"rows": [run.rows[n] for n in names]})
                _take(run, cast("Sequence[Mapping[str, Any]]", answer["results"]))
                names = []
            except RowsRefusedError as error:
                place = _PLACE.search(str(error))
                if place is None:
                    raise
                refused = names.pop(int(place[1]))
                run.answers[refused] = str(error)
                run.waiting.discard(refused)


def _take(run: Soak, lines: Sequence[Mapping[str, Any]]) -> None:
    for line in lines:
        score = line["score"]
        run.answers[line["id"]] = line["unparsed"] if score is None else score
        run.waiting.discard(line["id"])
