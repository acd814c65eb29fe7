"""The judge `openai` through lmms-eval: a made-up server that sees frames, and a real one."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_server import Request, chat_server, count_images, text_of
from running import (
    OUTPUT,
    Ran,
    assert_clean_failure,
    assert_numbers_are_plain,
    environment,
    evaluation,
    once,
    run,
)

from videojudge_bench import goldsets
from videojudge_bench.items import Item
from videojudge_bench.judges import tiny_qwen
from videojudge_bench.run.journal import read_journal

TASK, LIMIT, FRAMES = "videojudge_vcg", 6, 3
SECRET = "sk-never-to-be-written-down"
SMALL = f"max_frames={FRAMES},max_pixels=12544"
START_SECONDS = 120
RECORD = "ran.json"  # what `once` keeps of the runs for other tests

needs_serving = pytest.mark.skipif(
    importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("uvicorn") is None,
    reason="`transformers serve` needs fastapi and uvicorn",
)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """A server that rates by the length of the answer, asked twice: the second run resumes."""

    def make(here: Path) -> dict[str, Ran]:
        with chat_server(_rating) as server:
            command = evaluation(_arguments(server.base_url), tasks=TASK, limit=LIMIT)
            first = run(command, here, variables={"OPENAI_API_KEY": SECRET})
        (here / "requests.json").write_text(json.dumps(server.requests), encoding="utf-8")
        (here / OUTPUT).rename(here / "first")
        with chat_server(_rating) as other:  # the address is no part of what a run is
            options = f"{_arguments(other.base_url)},api_key={SECRET}"
            again = run(evaluation(options, tasks=TASK, limit=LIMIT), here)
        (here / "again.json").write_text(json.dumps(other.requests), encoding="utf-8")
        return {"first": first, "again": again}

    return once(tmp_path_factory, "openai", make)


@pytest.fixture(scope="session")
def requests(runs: dict[str, Ran]) -> list[Request]:
    found: list[Request] = json.loads((runs["first"].folder / "requests.json").read_text("utf-8"))
    return found


def test_every_item_is_judged_with_its_frames(
    runs: dict[str, Ran], requests: list[Request]
) -> None:
    ran = runs["again"]
    assert runs["first"].code == 0, runs["first"].output
    assert ran.code == 0, ran.output
    numbers = ran.numbers(TASK)
    assert_numbers_are_plain(numbers)
    assert (numbers["n"], numbers["n_parsed"]) == (LIMIT, LIMIT)
    assert [count_images(request) for request in requests] == [FRAMES] * LIMIT
    asked = [example.item for example in goldsets.load("vcg").examples[:LIMIT]]
    responses = {item.response for item in asked if isinstance(item, Item)}
    assert {_response(text_of(request["messages"][1])) for request in requests} == responses


def test_a_group_has_the_same_beginning(requests: list[Request]) -> None:
    shared = {json.dumps(request["messages"][1]["content"][:-1]) for request in requests}
    groups = {example.item.group for example in goldsets.load("vcg").examples[:LIMIT]}
    assert len(shared) == len({video for video, _ in groups})


def test_a_second_run_asks_for_nothing(runs: dict[str, Ran]) -> None:
    assert json.loads((runs["again"].folder / "again.json").read_text("utf-8")) == []


def test_the_key_is_written_nowhere(runs: dict[str, Ran]) -> None:
    folder = runs["first"].folder
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != RECORD]
    assert sum("_results.json" in path.name for path in files) == 2
    assert any("journal" in path.parts for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    for ran in runs.values():  # the second has it among its model arguments
        assert SECRET not in ran.output
        assert "prints and stores its model arguments" not in ran.output


def test_the_key_of_the_model_arguments_is_used(tmp_path: Path) -> None:
    """Two runs of one configuration file have a key each.

    Under the host's own command it cannot be kept out of what the host prints: it is warned of.
    """
    keys = [f"{SECRET}-{number}" for number in range(2)]
    with chat_server(_rating) as server:
        text = _arguments(server.base_url)
        given = [f"{text},api_key={key}" for key in keys]
        runs = [
            {"model": "videojudge", "model_args": arguments, "tasks": task, "limit": 1}
            for arguments, task in zip(given, ("videojudge_vcg", "videojudge_llava"), strict=True)
        ]
        (tmp_path / "runs.json").write_text(json.dumps(runs), encoding="utf-8")
        ran = run(["lmms_eval", "--config", "runs.json", "--output_path", OUTPUT], tmp_path)
        assert ran.code == 0, ran.output
        used = list(server.authorizations)
        (tmp_path / "runs.json").unlink()
        assert SECRET not in ran.output
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
        plain = evaluation(given[0], tasks=TASK, limit=1, program=["lmms-eval"])
        warned = run(plain, tmp_path).output
    # Each run tries what the server takes, and then asks about its one item.
    assert used == [f"Bearer {key}" for key in keys for _ in range(2)]
    assert warned.count("lmms-eval prints and stores its model arguments, api_key among them") == 1
    assert "set the variable OPENAI_API_KEY" in warned


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (
            "base_url=http://127.0.0.1:{port}/v1,model=m",
            ("no server at base_url=http://127.0.0.1:{port}/v1: ", "Start it, or correct"),
        ),
        (
            "base_url=127.0.0.1:{port},model=m,max_concurrency=0",
            (
                "engine 'openai', 2 problems:",
                "max_concurrency=0: expected a whole number from 1 up",
            ),
        ),
        ("base_url=http://127.0.0.1:{port}/v1", ("option 'model' is missing",)),
        (
            "base_url=http://127.0.0.1:{port}/v1,model=m,max_frame=3",
            ("unknown option 'max_frame'. Did you mean 'max_frames'",),
        ),
    ],
)
def test_what_cannot_work_ends_the_run_without_the_key(
    tmp_path: Path, options: str, texts: tuple[str, ...]
) -> None:
    port = _free_port()
    arguments = f"judge=openai,{options.format(port=port)},api_key={SECRET},journal=journal"
    ran = run(evaluation(arguments, tasks=TASK, limit=2), tmp_path)
    assert_clean_failure(ran, *(text.format(port=port) for text in texts))
    assert SECRET not in ran.output
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """`transformers serve` with a tiny random Qwen2.5-VL: its address, and the model's name."""
    here = tmp_path_factory.mktemp("serve")
    model = str(tiny_qwen.build(here / "model"))
    port = _free_port()
    command = ["transformers", "serve", model, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--device", "cpu", "--dtype", "float32"]
    with (here / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=here, env=environment(here), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, here / "log")
        yield f"http://127.0.0.1:{port}/v1", model
    finally:
        process.terminate()
        process.wait(30)


@needs_serving
def test_a_real_server_judges_frames(served: tuple[str, str], tmp_path: Path) -> None:
    """Its weights are random, so nothing can be parsed; it must have read every prompt."""
    base_url, model = served
    options = f"judge=openai,base_url={base_url},model={model},{SMALL},max_tokens=8,journal=journal"
    ran = run(evaluation(options, tasks=TASK, limit=LIMIT), tmp_path)
    assert ran.code == 0, ran.output
    (journal,) = {path.parent for path in (tmp_path / "journal").rglob("*.jsonl")}
    judgements = read_journal(journal).values()
    assert len(judgements) == LIMIT
    assert not [judgement for judgement in judgements if judgement.failed]
    for judgement in judgements:
        assert judgement.usage.input_tokens > 100  # the words, and 16 at most for each frame
        assert judgement.usage.output_tokens == 8


@needs_serving
def test_a_real_server_that_has_another_model_says_so(
    served: tuple[str, str], tmp_path: Path
) -> None:
    base_url, model = served
    options = f"judge=openai,base_url={base_url},model=other,api_key={SECRET},{SMALL}"
    ran = run(evaluation(options, tasks=TASK, limit=1), tmp_path)
    assert_clean_failure(ran, f"unknown model 'other'. Known: {model}")
    assert SECRET not in ran.output


def _arguments(base_url: str) -> str:
    return f"judge=openai,base_url={base_url},model=made-up,{SMALL},journal=journal"


def _rating(prompt: str) -> str:
    return f"<thinking>Fine.</thinking><score>{1 + len(_response(prompt)) % 5}</score>"


def _response(prompt: str) -> str:
    return prompt.rpartition("The answer:\n\n")[2].rstrip("\n")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"transformers serve did not start:\n{log.read_text('utf-8')}")
