"""Runs against a server that are killed in the middle: what was answered is not asked again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "judges"))
from chat_faults import MODEL, Answer, Json, Seen, completion, faulty_server  # noqa: E402

pytestmark = pytest.mark.timeout(300)

VIDEOS, EACH, IN_FLIGHT = 20, 6, 4
ANSWERS = VIDEOS * EACH
AFTER = 62


def answers(folder: Path) -> Path:
    path = folder / "answers.jsonl"
    rows = [
        {
            "video_id": f"v{video:02}",
            "instruction": "Describe the video.",
            "response": f"Answer {number} about video {video}.",
            "system": f"s{number}",
        }
        for video in range(VIDEOS)
        for number in range(EACH)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def started(folder: Path, seen: Seen) -> subprocess.Popen[bytes]:
    server = f"base_url={seen.base_url},model={MODEL},max_concurrency={IN_FLIGHT}"
    options = f"openai,video=none,{server}"
    command = ["judge", str(answers(folder)), "--judge", options, "-o", str(folder / "v.jsonl")]
    return subprocess.Popen(
        [sys.executable, "-m", "videojudge_bench.cli", *command],
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_more_is_asked_again_than_was_in_flight(tmp_path: Path, kill: signal.Signals) -> None:
    def script(number: int, _: Json) -> Answer:
        return Answer(completion().body, delay_seconds=0.01 + 0.03 * (number % 3))

    with faulty_server(script) as seen:
        process = started(tmp_path, seen)
        while len(seen.requests) < AFTER and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(kill)
        assert process.wait(60) != 0
        asked = len(seen.requests)
        assert AFTER <= asked < ANSWERS
        assert started(tmp_path, seen).wait(120) == 0
        assert len(seen.requests) + len(seen.probes) <= ANSWERS + IN_FLIGHT
    verdicts = (tmp_path / "v.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(verdicts) == ANSWERS
