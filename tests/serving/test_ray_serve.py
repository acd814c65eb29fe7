"""`videojudge serve --executor ray` on a local Ray of two CPUs: one video, one replica."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from judge_servers import SERVE, Server, pair, row, serving

from videojudge_bench.registry import build
from videojudge_bench.run.identity import JudgeIdentity

JUDGE = f"{Path(__file__).with_name('judges_to_serve.py')}:Names"
VIDEOS = [f"v{number}" for number in range(40)]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed"
)


@pytest.fixture(autouse=True)
def _two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"CPU": 2}')
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))


def _on_ray(folder: Path) -> AbstractContextManager[Server]:
    options = ("--executor", "ray", "--replicas", "2", "--journal", str(folder / "journal"))
    return serving(JUDGE, *options)


def _judged_by(server: Server, number: int) -> dict[str, int]:
    """The process that judged each video, asked in one request and in the order of `number`."""
    videos = VIDEOS[number:] + VIDEOS[:number]
    rows = [row(f"answer {number}", id=f"{video}-{number}", video_id=video) for video in videos]
    lines = server.score(*rows)
    assert [line["video_id"] for line in lines] == videos
    return {line["video_id"]: int(line["score"]) for line in lines}


@needs_ray
def test_a_video_goes_to_one_replica_and_the_application_is_the_same(tmp_path: Path) -> None:
    with _on_ray(tmp_path) as server:
        with ThreadPoolExecutor(8) as clients:
            judged_by = [*clients.map(lambda n: _judged_by(server, n), range(8))]
        assert judged_by == judged_by[:1] * 8
        assert len({*judged_by[0].values()}) == 2
        built = build(JUDGE, {})
        identity = JudgeIdentity.of(built, scale=None, learned={}).hash
        assert server.get("/v1/judge").json["identity"] == identity
        (line,) = server.post("/v1/prefer", {"rows": [pair("a", "b")]}).json["results"]
        assert (line["preference"], len(line["orders"])) == ("tie", 2)
        (broken,) = server.score(row("break"))
        assert broken["unparsed"] == "judge failed: ValueError: it was told to"
        assert server.post("/v1/score", {"rows": [{}]}).status == 422
        assert server.post("/v1/score", {"rows": [row()] * 10_000}).status == 413
        assert server.get("/health").status == 200
        assert server.stop() == 0
    with _on_ray(tmp_path) as server:  # the journals of both replicas are read by both
        assert _judged_by(server, 3) == judged_by[0]
        assert server.stop() == 0


def test_replicas_are_for_ray_alone() -> None:
    refused = subprocess.run(
        [*SERVE, "longest", "--replicas", "2"], capture_output=True, text=True, check=False
    )
    assert "--replicas and --gpus are for --executor ray" in refused.stderr
    assert refused.returncode == 2
