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


def started(folder: Path, seen: Seen, more: str = "") -> subprocess.Popen[bytes]:
    server = f"base_url={seen.base_url},model={MODEL},max_concurrency={IN_FLIGHT}"
    options = f"openai,video=none,{server}{more}"
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


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_samples_that_were_paid_for_are_not_drawn_again(
    tmp_path: Path, kill: signal.Signals
) -> None:
    def script(number: int, body: Json) -> Answer:
        text = f"<score>{1 + body['seed'] % 5}</score>"
        return Answer(completion(text).body, delay_seconds=0.01 + 0.03 * (number % 3))

    more, drawn = ",samples=3,temperature=1", 3 * ANSWERS
    with faulty_server(script) as seen:
        process = started(tmp_path, seen, more)
        while len(seen.requests) < AFTER and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(kill)
        assert process.wait(60) != 0
        assert AFTER <= len(seen.requests) < drawn
        assert list(tmp_path.rglob("replies-0.jsonl"))
        assert started(tmp_path, seen, more).wait(200) == 0
        assert len(seen.requests) + len(seen.probes) <= drawn + IN_FLIGHT
        killed = (tmp_path / "v.jsonl").read_bytes()
        assert not list(tmp_path.rglob("replies-*.jsonl"))
        (tmp_path / "sound").mkdir()
        assert started(tmp_path / "sound", seen, more).wait(200) == 0
    assert killed == (tmp_path / "sound" / "v.jsonl").read_bytes()
