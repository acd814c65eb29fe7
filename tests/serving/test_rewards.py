"""Rewards: called exactly as TRL 1.16, verl 0.9.1 and ms-swift 4.6 call them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judge_servers import ROOT, serving

from videojudge_bench.analysis.calibration import read_map
from videojudge_bench.answers.judging import build
from videojudge_bench.errors import ConfigError
from videojudge_bench.serving.chat_scale import MAPS
from videojudge_bench.serving.rewards import (
    RewardFunction,
    compute_score,
    compute_score_async,
    reward_function,
)
from videojudge_bench.signature import render

JUDGES = Path(__file__).with_name("judges_to_serve.py")
END = 7
SAID = ("A dog digs.", "A cat.")
REFERENCES = ("a dog digs", "a dog digs")


def _said(*texts: str) -> list[list[dict[str, str]]]:
    return [[{"role": "assistant", "content": text}] for text in texts]


def _asked(text: str) -> list[dict[str, object]]:
    parts = [{"type": "image"}, {"type": "text", "text": text}]
    return [{"role": "system", "content": "Answer."}, {"role": "user", "content": parts}]


def _called(
    function: RewardFunction,
    completions: Sequence[object],
    prompts: Sequence[object] | None = None,
    ids: Sequence[Sequence[int]] | None = None,
    **dataset: Sequence[object],
) -> tuple[list[float | None], dict[str, float]]:
    """Call a function as TRL does; return the rewards and what was logged."""
    logged: dict[str, float] = {}
    rewards = function(
        prompts=prompts or ["What happens?"] * len(completions),
        completions=completions,
        completion_ids=ids or [[1, END]] * len(completions),
        trainer_state=object(),
        log_extra=lambda *_: None,
        log_metric=logged.__setitem__,
        **dataset,
    )
    return rewards, logged


def test_trl_gets_a_share_of_the_declared_range() -> None:
    function = reward_function("longest", low=1, high=5)
    assert function.__name__ == "judge_longest"
    rewards, logged = _called(function, ["", "one", "one two three", "a " * 9])
    assert rewards == [0, 0, 0.5, 1]
    assert logged == {"judge/unparsed": 0, "judge/truncated": 0, "judge/score": 3.25}


def test_trl_messages_and_columns() -> None:
    function = reward_function("rouge_l", low=0, high=1, columns={"references": "solution"})
    rewards, logged = _called(
        function,
        _said("A dog digs.", "A cat.", "A dog digs."),
        [_asked("What happens?")] * 3,
        solution=["a dog digs", ["A cat.", "a cow"], None],
        images=[[], [], []],
    )
    assert rewards == [1, 1, None]
    assert logged == {"judge/unparsed": 1 / 3, "judge/truncated": 0, "judge/score": 1}


def test_a_declared_value_stands_for_no_verdict_and_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    function = reward_function("rouge_l", low=0, high=1, unparsed=0.25)
    with caplog.at_level(logging.WARNING):
        assert _called(function, ["A dog."])[0] == [0.25]
        assert _called(function, ["A dog."])[0] == [0.25]
    assert "1 of 1 completions have no verdict (2 of 2 so far)" in caplog.text


def test_a_completion_that_is_cut_off_is_not_judged() -> None:
    function = reward_function("longest", low=0, high=4, end_tokens=[END])
    rewards, logged = _called(function, ["a b"] * 3, ids=[[1, 2, END], [1, 2], []])
    assert rewards == [0.5, None, 0.5]
    assert logged["judge/truncated"] == 1 / 3
    declared = reward_function("longest", low=0, high=4, end_tokens=[END], truncated=0)
    assert _called(declared, ["a b"], ids=[[1]])[0] == [0]


def test_trl_does_not_say_what_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        reward_function("random", end_tokens=[END])
        assert not caplog.text
        reward_function("random")
    assert "without end_tokens=[tokenizer.eos_token_id] completions that are cut off" in caplog.text


def test_against_the_others_of_the_group() -> None:
    """By words, 1 < 2 < 4: better than none, one and both of the others of its prompt."""
    function = reward_function("longest", against="group", end_tokens=[END])
    rewards, logged = _called(
        function,
        ["a", "a b", "a b c d", "a b c", "a", "a", "a b"],
        [*["What happens?"] * 4, *["Who digs?"] * 2, "Where?"],
        [*[[END]] * 3, [1], *[[END]] * 3],
    )
    # The fourth is cut off and compared with nobody; equal ones are a tie; the last is alone.
    assert rewards == [0, 0.5, 1, None, 0.5, 0.5, None]
    assert logged["judge/truncated"] == logged["judge/unparsed"] == 1 / 7


def test_against_a_reference() -> None:
    function = reward_function("longest", against="reference")
    rewards, _ = _called(
        function, ["a", "a b", "a b c", "a b c"], references=[["x y", "x"]] * 3 + [[]]
    )
    assert rewards == [0, 0.5, 1, None]
    # The reference that an answer is compared with is none that the judge measures both by.
    function = reward_function("rouge_l", against="reference")
    rewards, _ = _called(
        function, ["a dog digs", "a cat"], references=[["a cow", "a dog digs"]] * 2
    )
    assert rewards == [1, 0.5]
    assert _called(function, ["a dog digs"], references=[["a cow"]])[0] == [None]


def _map(path: Path, judge: str, **parts: object) -> str:
    signature = "set:vatex||" + render(build(judge).signature())
    text = {"signature": signature, "scale": [1, 5], **parts}
    path.write_text(json.dumps(text), "utf-8")
    return str(path)


def test_a_map_brings_scores_to_a_rating_scale(tmp_path: Path) -> None:
    knots = _map(tmp_path / "a.json", "longest", method="isotonic", knots=[[1, 1], [3, 2], [5, 5]])
    function = reward_function("longest", calibration=knots)
    answers = ["a", "a b", "a b c", "a b c d", "a b c d e f"]
    assert _called(function, answers)[0] == [0, 0.125, 0.25, 0.625, 1]
    line = _map(tmp_path / "b.json", "longest", method="affine", slope=1, intercept=0)
    assert _called(reward_function("longest", calibration=line), answers)[0] == [
        0, 0.25, 0.5, 0.75, 1,
    ]  # fmt: skip
    narrow = reward_function("longest", calibration=line, low=3)
    assert _called(narrow, answers)[0] == [0, 0, 0, 0.5, 1]


def test_compact_brings_its_map_along() -> None:
    rewards, logged = _called(reward_function("compact"), SAID, references=REFERENCES)
    scale = read_map(MAPS / "compact.json").score_map
    raw, _ = _called(reward_function("compact", low=-1, high=1), SAID, references=REFERENCES)
    mapped = [(float(scale(np.array(2 * (each or 0) - 1))) - 1) / 4 for each in raw]
    assert rewards == pytest.approx(mapped, abs=1e-5)
    assert logged["judge/unparsed"] == 0


def test_a_map_of_another_judge_is_refused(tmp_path: Path) -> None:
    other = _map(tmp_path / "a.json", "rouge_l", method="affine", slope=1)
    with pytest.raises(ConfigError, match="expected a map for this judge, got one with"):
        reward_function("longest", calibration=other)
    (tmp_path / "b.json").write_text("{}", "utf-8")
    with pytest.raises(ConfigError, match="expected a map, as `videojudge calibrate RUN"):
        reward_function("longest", calibration=str(tmp_path / "b.json"))


def test_a_group_of_rollouts_is_judged_together(tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    judge = f"{JUDGES}:Gated,gate={tmp_path}/gate,log={tmp_path}/log"
    function = reward_function(judge, low=0, high=10)
    rewards, _ = _called(function, ["a", "bb", "a"], video_id=["v"] * 3)
    assert rewards == [0.1, 0.2, 0.1]
    assert len((tmp_path / "log").read_text("utf-8").splitlines()) == 1


def test_videos_are_found_by_their_column(tmp_path: Path) -> None:
    (tmp_path / "garden.mp4").write_bytes(b"123")
    function = reward_function(f"{JUDGES}:Watches", videos=str(tmp_path), low=0, high=6)
    assert _called(function, ["a", "b"], video_id=["garden", "none"])[0] == [0.5, None]
    assert _called(function, ["a"], videos=[["/data/garden.mp4"]])[0] == [0.5]
    with pytest.raises(ConfigError, match="expected a column `video_id`"):
        _called(function, ["a"])


def test_a_served_judge_gives_the_same_rewards() -> None:
    with serving("compact") as server:
        served = reward_function(f"remote,url={server.url}", low=0, high=1)
        assert served.__name__ == "judge_compact"
        there = _called(served, SAID, references=REFERENCES)
        compared = reward_function(f"remote,url={server.url}", against="group")
        assert _called(compared, SAID, references=REFERENCES)[0] == [1, 0]
    here = _called(reward_function("compact", low=0, high=1), SAID, references=REFERENCES)
    # The last digit of an encoder depends on how many texts are encoded together.
    assert there[0] == pytest.approx(here[0], abs=1e-5)
    assert there[1] == pytest.approx(here[1], abs=1e-5)
    assert here[0][0] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("judge", "options", "said"),
    [
        ("longest", {}, "has no scale: expected low="),
        ("longest", {"low": 1}, "has no scale: expected low="),
        ("random", {"low": 5}, "expected low < high"),
        ("random", {"hight": 5}, "Did you mean 'high'"),
        ("cider", {"low": 0, "high": 1}, "learns from a whole gold set"),
        ("nonesuch", {}, "unknown judge"),
        ("longest", {"against": "group", "low": 1}, "rewards are probabilities"),
        ("longest", {"against": "mean"}, "against"),
    ],
)
def test_options_that_cannot_work(judge: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        reward_function(judge, **options)


def test_no_instruction_is_an_error() -> None:
    function = reward_function("random")
    with pytest.raises(ConfigError, match="expected an instruction"):
        _called(function, ["a"], [[{"role": "system", "content": "x"}]])


OPTIONS: dict[str, Any] = {"judge": "rouge_l", "low": 0, "high": 1, "unparsed": 0.1}
INFO = {"question": "What happens?", "video_id": "garden", "index": 3}


def test_verl_gets_the_same_keys_for_every_answer() -> None:
    good = compute_score(
        data_source="x", solution_str="A dog digs.", ground_truth="a dog digs", extra_info=INFO,
        **OPTIONS,
    )  # fmt: skip
    assert good == {"score": 1, "unparsed": 0, "truncated": 0}
    bare = compute_score("x", "A dog digs.", None, INFO, **OPTIONS)
    assert bare == {"score": 0.1, "unparsed": 1, "truncated": 0}
    cut = compute_score("x", "A dog", "a dog digs", {**INFO, "truncated": True}, **OPTIONS)
    assert cut == {"score": 0.1, "unparsed": 0, "truncated": 1}
    with pytest.raises(ConfigError, match="verl takes no None"):
        compute_score("x", "a", "b", INFO, judge="rouge_l", low=0, high=1)
    compared: dict[str, Any] = {"judge": "longest", "against": "reference", "unparsed": 0}
    assert compute_score("x", "A dog digs.", "A dog.", INFO, **compared)["score"] == 1
    with pytest.raises(ConfigError, match="verl gives one at a time"):
        compute_score("x", "a", "b", INFO, judge="longest", unparsed=0, against="group")
    with pytest.raises(ConfigError, match="in extra_info"):
        compute_score("x", "a", "b", {}, **OPTIONS)


def test_answers_that_verl_awaits_together_are_judged_together(tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    judge = f"{JUDGES}:Gated,gate={tmp_path}/gate,log={tmp_path}/log"
    options: dict[str, Any] = {"judge": judge, "low": 0, "high": 8, "unparsed": 0}

    async def all_of_a_group() -> list[dict[str, float]]:
        asked = (compute_score_async("x", "y" * n, None, INFO, **options) for n in range(8))
        return await asyncio.gather(*asked)

    assert [each["score"] for each in asyncio.run(all_of_a_group())] == [n / 8 for n in range(8)]
    batches = (tmp_path / "log").read_text("utf-8").splitlines()
    assert len(batches) < 8
    assert asyncio.iscoroutinefunction(compute_score_async)


@pytest.mark.slow
@pytest.mark.parametrize("script", ["trl_steps.py", "swift_rewards.py", "verl_rewards.py"])
def test_the_real_trainer_takes_the_rewards(script: str, tmp_path: Path) -> None:
    """Install the trainer without what it pins, and run it with a tiny model."""
    packages = {
        "trl_steps.py": ["trl==1.16.0"],
        "swift_rewards.py": [
            "ms-swift==4.6.0", "modelscope", "modelscope-hub", "cryptography", "json_repair",
            "dacite", "cffi",
        ],
        "verl_rewards.py": [
            "verl==0.9.1", "ray", "tensordict==0.10.0", "omegaconf",
            "antlr4-python3-runtime==4.9.3", "hydra-core", "codetiming", "pyvers", "orjson",
            "msgpack", "jsonschema", "referencing", "rpds-py", "jsonschema-specifications",
        ],
    }[script]  # fmt: skip
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*install, *packages], check=True, timeout=900)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(script)), str(tmp_path / "work")],
        env=env, timeout=900, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "ok"
