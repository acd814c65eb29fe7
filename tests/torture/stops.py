"""SIGTERM at random moments: what a server has answered is not asked for again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from children import Child, run
from servers import Fault, Server, judge_case, serving
from trials import Ground, Tally

AT_ONCE = 4
VIDEOS = 40  # of three answers each: 120 requests
_SECONDS_A_REPLY = 0.02


class SlowServer(Server):
    """Takes a moment for each sound answer, and counts the requests of the run alone."""

    def fault(self, prompt: str) -> Fault | None:
        """Wait, and return nothing: every answer is sound."""
        with self.lock:
            self.requests += ", in video" in prompt
        time.sleep(_SECONDS_A_REPLY)
        return None


def stop_often(ground: Ground, tally: Tally, moments: int) -> None:
    """Stop a run at so many moments, each time a new one; the same command then ends it."""
    with serving(SlowServer(0)) as server:
        case = judge_case(server.base_url, videos=VIDEOS, max_concurrency=AT_ONCE)
        with ground.fresh(case) as folder:
            whole = run(case.work, folder)
            assert whole.code == 0, whole.said
            sound, needed = _verdicts(folder), server.requests
        for _ in range(moments):
            server.requests, until = 0, ground.draw.randrange(needed)
            with ground.fresh(case) as folder:
                child = Child(case.work, folder)
                time.sleep(ground.draw.uniform(0.0, _SECONDS_A_REPLY))
                while server.requests < until:
                    time.sleep(0.001)
                os.kill(child.pid, signal.SIGTERM)
                stopped, ended = child.end(), run(case.work, folder)
                verdicts = _verdicts(folder)
            tally.tried += 1
            tally.kills += stopped.code != 0
            tally.asked_again += server.requests - needed
            story = f"SIGTERM after {until} requests"
            if stopped.broke or ended.code:
                words = (stopped if stopped.broke else ended).last_words
                tally.lost.append(f"{story}: {words}")
            if verdicts != sound:
                tally.lost.append(f"{story}: other verdicts than undisturbed")
            if server.requests - needed > AT_ONCE:
                tally.lost.append(f"{story}: {server.requests} requests for {needed} answers, "
                                  f"{AT_ONCE} in flight")  # fmt: skip


def _verdicts(folder: Path) -> str:
    path = folder / "verdicts.jsonl"
    return path.read_text(encoding="utf-8") if path.exists() else ""
