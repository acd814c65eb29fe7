"""Our judges behind lmms-eval's interface for judges of answers: its own classes, our verdicts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from lmms_eval.llm_judge import ProviderFactory, Request, ResponseParser, ServerConfig, get_server
from loguru import logger

from videojudge_bench import Item, Judge, Rating, Unparsed
from videojudge_bench.errors import ConfigError, HostChangedError
from videojudge_bench.harness import plugin
from videojudge_bench.harness.llm_judge_provider import JUDGE_VARIABLE, VideoJudgeProvider

HERE = "test_llm_judge_provider"
ASKED = {"question": "What happens?", "answer": "A dog digs.", "prediction": "A dog digs a hole."}


class Level(Judge):
    """Rates by the number of words, 1 to 5, and notes what it saw."""

    seen: list[Item] = []  # noqa: RUF012 - the tests read it

    def rate(self, item: Item) -> Rating | Unparsed:
        type(self).seen.append(item)
        if item.response == "boom":
            raise ZeroDivisionError("boom")
        return Rating(len(item.response.split())) if item.response else Unparsed("says nothing")


class Looks(Level):
    """Wants to see the video."""

    requires = frozenset({"video"})


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Item]]:
    monkeypatch.delenv(JUDGE_VARIABLE, raising=False)
    plugin.manifests()  # what lmms-eval's entry points do
    Level.seen.clear()
    yield Level.seen
    Level.seen.clear()


@pytest.fixture
def warned() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}")
    yield lines
    logger.remove(sink)


def server(judge: str = f"{HERE}:Level", **config: object) -> VideoJudgeProvider:
    made = get_server("videojudge", ServerConfig(model_name=f"judge={judge}", **config))
    assert isinstance(made, VideoJudgeProvider)
    return made


def test_the_plug_in_registers_it() -> None:
    assert ProviderFactory._provider_classes["videojudge"] is VideoJudgeProvider


def test_the_plug_in_registers_it_when_the_registry_itself_leads_to_the_plug_in() -> None:
    program = (
        "import lmms_eval.llm_judge as judges; print(type(judges).__name__, 'videojudge' in "
        "judges.ProviderFactory._provider_classes)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["module", "True"]
    assert "is gone" not in ended.stderr


def test_a_host_without_the_registry_is_named() -> None:
    with pytest.raises(HostChangedError, match="register_provider is gone"):
        plugin.add_our_judges(ModuleType("lmms_eval.llm_judge.factory"))


def test_a_score_and_what_the_judge_was_shown(seen: list[Item]) -> None:
    response = server().evaluate(Request([], context="A garden.", **ASKED))
    assert (response.content, response.parsed_result) == ('{"score": 5}', 5.0)
    assert (response.success, response.model_used) == (True, f"{HERE}:Level")
    assert ResponseParser.parse_json_response(response.content) == {"score": 5}
    (item,) = seen
    assert (item.instruction, item.response) == ("What happens?", "A dog digs a hole.")
    assert (item.references, item.description) == (("A dog digs.",), "A garden.")


def test_scores_are_moved_to_the_range_of_the_task() -> None:
    response = server(score_range=(0, 10)).evaluate(Request([], question="?", prediction="a b c"))
    assert response.parsed_result == 5.0


def test_a_video_among_the_images_is_shown(tmp_path: Path, seen: list[Item]) -> None:
    video = tmp_path / "dog.mp4"
    video.write_bytes(b"")
    response = server(f"{HERE}:Looks").evaluate(Request([], images=["a.png", str(video)], **ASKED))
    assert response.success
    assert seen[0].video == video


@pytest.mark.parametrize(
    ("judge", "request_", "problem"),
    [
        (f"{HERE}:Looks", Request([], **ASKED), "requires a video: the path of its file belongs"),
        ("rouge_l", Request([], question="?", prediction="a"), "requires a reference: the request"),
        (
            f"{HERE}:Level",
            Request([{"role": "user", "content": "rate"}]),
            "a prompt of its own and",
        ),
        (f"{HERE}:Level", Request([], question="?", prediction=""), "says nothing"),
        (f"{HERE}:Level", Request([], question="?", prediction="boom"), "ZeroDivisionError: boom"),
    ],
)
def test_no_score_is_said_and_ends_nothing(
    judge: str, request_: Request, problem: str, warned: list[str]
) -> None:
    response = server(judge).evaluate(request_)
    assert (response.success, response.content, response.parsed_result) == (False, "", None)
    assert problem in response.error_message
    assert any(problem in line for line in warned)


@pytest.mark.parametrize(
    ("said", "output_format", "result"),
    [("a b c d", "0/1", 1), ("a b c", "0/1", 0), ("a b c d", "yes/no", True), ("", "0/1", 0)],
)
def test_right_is_above_the_middle_of_the_scale(said: str, output_format: str, result: int) -> None:
    for judge in (server(), server(score_range=(0, 100))):  # the task's range moves no middle
        found = judge.evaluate_binary("?", "a", said, output_format)
        assert found["result"] == result
        assert found["success"] is bool(said)


def test_a_judge_without_a_scale_cannot_say_what_is_right() -> None:
    found = server("longest").evaluate_binary("?", "a", "a b", "0/1")
    assert (found["result"], found["success"]) == (0, False)


def test_two_answers_get_a_score_each() -> None:
    found = server().evaluate_comparative("?", "a", "a b c d e", score_range=(1, 9))
    assert (found["scores"], found["raw_response"]) == ((1.0, 9.0), "1 9")
    assert ResponseParser.parse_comparative_response(str(found["raw_response"])) == (1.0, 9.0)
    assert server("longest").evaluate_comparative("?", "a", "a b")["scores"] == (1.0, 2.0)
    assert server().evaluate_comparative("?", "a", "")["scores"] == (-1.0, -1.0)


def test_the_variable_names_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JUDGE_VARIABLE, "random,seed=3")
    assert get_server("videojudge", ServerConfig(model_name="gpt-4o"))._name == "random,seed=3"
    assert get_server("videojudge").is_available()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpt-4o", "which judge\\? Set VIDEOJUDGE_JUDGE=NAME.*; found 'gpt-4o'"),
        ("judge=longst", "unknown judge 'longst'"),
        ("judge=cider", "judge cider learns from a whole set before it judges"),
    ],
)
def test_no_such_judge_is_said_when_the_task_is_loaded(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        get_server("videojudge", ServerConfig(model_name=name))


def test_tasks_share_a_judge_and_ask_it_from_several_threads(seen: list[Item]) -> None:
    one, two = server(), server()
    assert one._shared is two._shared
    requests = [Request([], question="?", prediction="a " * (1 + n % 5)) for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        scores = [r.parsed_result for r in pool.map(one.evaluate, requests)]
    assert scores == [1.0 + n % 5 for n in range(200)]
    assert len(seen) == 200
