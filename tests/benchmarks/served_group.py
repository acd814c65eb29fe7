"""Prints what the eight answers of one GRPO group cost a judge server, together and apart.

A tiny random Qwen2.5-VL, one thread, behind `videojudge serve`; a clip of 90 frames of 504 x 280,
8,100 vision tokens. `apart` are eight requests one after another, `together` the same answers in
one request, as a trainer's reward function sends them, and `at_once` eight requests of eight
clients. CPU seconds of the server and its children; the clip's frames are decoded before. The ways
take turns, and no answer is asked about twice.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from videojudge_bench.judges.tiny_qwen import build

sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))
from judge_servers import Server, serving

ANSWERS, REPEATS, SECONDS = 8, 2, 90
WIDTH, HEIGHT = 504, 280
OPTIONS = "device=cpu,dtype=float32,score=expected,feedback=false,lost_mass=1,max_frames=90"
"""Of the judge; a random model thinks of other words than scores."""

_number = count()


def main() -> None:
    """Print one JSON object."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = build(Path(scratch) / "model")
        (videos := Path(scratch) / "videos").mkdir()
        _clip(videos / "noise.mp4")
        judge = f"qwen2_5_vl,pretrained={folder},{OPTIONS}"
        with serving(judge, "--videos", str(videos)) as server:
            report = _measured(server)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


def _measured(server: Server) -> dict[str, object]:
    ways: dict[str, Callable[[Server], list[Any]]] = {
        "apart": _apart, "together": _together, "at_once": _at_once,
    }  # fmt: skip
    _judged(server.score(_row()))
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    tokens = 0
    for _ in range(REPEATS):
        for way, ask in ways.items():
            before = _cpu(server)
            lines = ask(server)
            seconds[way].append(_cpu(server) - before)
            tokens = _judged(lines)
            sys.stderr.write(f"{way}: {seconds[way][-1]:.1f} s\n")
    middle = {way: statistics.median(spent) for way, spent in seconds.items()}
    return {
        "answers": ANSWERS,
        "prompt_tokens": tokens,
        "cpu_seconds": {way: [round(each, 2) for each in spent] for way, spent in seconds.items()},
        "share_of_apart": {
            way: round(middle[way] / middle["apart"], 3) for way in ("together", "at_once")
        },
    }


def _apart(server: Server) -> list[Any]:
    return [line for _ in range(ANSWERS) for line in server.score(_row())]


def _together(server: Server) -> list[Any]:
    return server.score(*(_row() for _ in range(ANSWERS)))


def _at_once(server: Server) -> list[Any]:
    with ThreadPoolExecutor(ANSWERS) as clients:
        return [*clients.map(lambda row: server.score(row)[0], [_row() for _ in range(ANSWERS)])]


def _row() -> dict[str, object]:
    number = next(_number)
    response = " ".join(f"A dog runs {number}." for _ in range(15 + number % ANSWERS))
    return {"video_id": "noise", "instruction": "What happens?", "response": response}


def _judged(lines: list[Any]) -> int:
    """Check that the model was asked about each; the longest prompt."""
    unread = [line["unparsed"] for line in lines if line["score"] is None]
    if unread:
        raise SystemExit(unread[0])
    return max(int(line["input_tokens"]) for line in lines)


def _cpu(server: Server) -> float:
    process = psutil.Process(server.process.pid)
    used = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system for each in used))


def _clip(path: Path) -> None:
    """Write a clip of one frame a second."""
    draw = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for _ in range(SECONDS):
            pixels = draw.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
