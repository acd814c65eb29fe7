"""The parts of the fault suite: what each tries, how often, and what it gives back."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cases
import hostile
import replies
import servers
import soak
import stops
import streams
import videos
from trials import Ground, Tally, small_disk

SEED = 20

Json = dict[str, Any]


@dataclass(frozen=True)
class Amount:
    """How much is tried.

    Attributes:
        runner_kills: of the runner.
        bootstrap_kills: of the bootstrap loop.
        verb_kills: of each other command.
        replies: that are written and read.
        times: that each command meets each other trouble.
        stops: moments of SIGTERM.
        soak_rows: that a served judge is asked about.
        is_short: leaves out what takes long.
    """

    runner_kills: int
    bootstrap_kills: int
    verb_kills: int
    replies: int
    times: int
    stops: int
    soak_rows: int
    is_short: bool


FULL = Amount(100, 100, 6, 200_000, 5, 50, 100_000, is_short=False)
SHORT = Amount(6, 4, 1, 2_000, 1, 4, 2_000, is_short=True)

_SLOW = ("bootstrap", "experiments")
_QUICK = ("data add", "runner", "leaderboard add", "describe", "rubrics export")


def kills(folder: Path, amount: Amount) -> Json:
    """Kill -9 at random points; the same command goes on."""
    cases.import_all()
    ground, tallies = Ground(folder, SEED), []
    wanted = {"runner": amount.runner_kills, "bootstrap loop": amount.bootstrap_kills}
    for case in cases.CASES:
        if amount.is_short and case.name in _SLOW:
            continue
        tally = Tally(case.name)
        ground.kill(case, tally, wanted.get(case.name, amount.verb_kills))
        tallies.append(tally)
        _tell(tally)
    return _report(tallies)


def troubles(folder: Path, amount: Amount) -> Json:
    """Full disks, jumping clocks, two at once."""
    cases.import_all()
    ground, report = Ground(folder, SEED + 1), {}
    wanted = [
        case
        for case in cases.CASES
        # An experiment writes at its end alone, and takes longest.
        if case.name != "experiments" and (case.name in _QUICK or not amount.is_short)
    ]
    with small_disk(folder) as disk:
        for case in wanted:
            tallies = [Tally("writes fail"), Tally("full disk"), Tally("clocks jump"),
                       Tally("two at once")]  # fmt: skip
            ground.fill(case, tallies[0], amount.times)
            if disk is not None:
                ground.fill_disk(case, tallies[1], amount.times, disk)
            ground.jump(case, tallies[2], amount.times)
            ground.race(case, tallies[3], amount.times)
            report[case.name] = _report(tallies)
            for tally in tallies:
                _tell(tally, case.name)
    return {"lost": [line for each in report.values() for line in each["lost"]],
            "had_a_disk": disk is not None, "commands": report}  # fmt: skip


def server(folder: Path, amount: Amount) -> Json:
    """A server that fails a fifth of all requests."""
    cases.import_all()
    ground, tallies = Ground(folder, SEED + 2), []
    faults: dict[str, Any] = {}
    makers = [servers.judge_case] if amount.is_short else [servers.judge_case,
                                                           servers.bootstrap_case]  # fmt: skip
    for make in makers:
        tally = Tally(make("").name)
        for _ in range(1 if amount.is_short else 2):
            for name, count in servers.suffer(ground, make, tally).items():
                faults[name] = faults.get(name, 0) + count
        tallies.append(tally)
        _tell(tally)
    return {**_report(tallies), "faults": dict(sorted(faults.items()))}


def reply(_: Path, amount: Amount) -> Json:
    """Replies that were written from a verdict."""
    found = replies.fuzz(amount.replies, SEED)
    return {**vars(found), "lost": found.wrong}


def video(folder: Path, amount: Amount) -> Json:
    """Broken and odd videos."""
    return asdict(videos.look_at_all(folder, short=amount.is_short))


def hostility(folder: Path, amount: Amount) -> Json:
    """Servers that mean harm or speak oddly."""
    cases.import_all()
    kinds = hostile.QUICK if amount.is_short else hostile.KINDS
    return hostile.attack_all(Ground(folder, SEED + 3), kinds)


def stop(folder: Path, amount: Amount) -> Json:
    """SIGTERM at random moments."""
    cases.import_all()
    tally = Tally("runner with a server")
    stops.stop_often(Ground(folder, SEED + 4), tally, amount.stops)
    _tell(tally)
    return _report([tally])


def stream(folder: Path, amount: Amount) -> Json:
    """Closed and full streams, locales, folders."""
    every = 5 if amount.is_short else 1
    return streams.meet_all(folder, streams.TROUBLES[::every])


def soaked(folder: Path, amount: Amount) -> Json:
    """A served judge under load, killed twice."""
    return soak.soak(folder, amount.soak_rows, SEED + 5)


PARTS: dict[str, Callable[[Path, Amount], Json]] = {
    "kills": kills,
    "replies": reply,
    "videos": video,
    "server": server,
    "hostile": hostility,
    "stops": stop,
    "streams": stream,
    "troubles": troubles,
    "soak": soaked,
}


def run_part(name: str, amount: Amount) -> Json:
    """Run a part in a folder that is removed."""
    started, commit = time.monotonic(), _commit()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        report = PARTS[name](Path(folder), amount)
    return {"seconds": round(time.monotonic() - started, 1), "commit": commit, **report}


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    ended = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, check=False)
    return ended.stdout.decode().strip() or "unknown"


def _report(tallies: list[Tally]) -> Json:
    lost = [line for tally in tallies for line in tally.lost]
    return {"lost": lost, "trials": [tally.to_json() for tally in tallies]}


def _tell(tally: Tally, of: str = "") -> None:
    where = f"{of}, " if of else ""
    sys.stdout.write(f"  {where}{tally.what}: {tally.tried} tried, {len(tally.lost)} lost\n")
    sys.stdout.flush()
