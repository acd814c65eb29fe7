"""The policy of the small world that GRPO trains against a judge."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from videojudge_bench.errors import ConfigError
from videojudge_bench.training.experiments import grpo
from videojudge_bench.training.experiments.experiment import Figures
from videojudge_bench.training.experiments.over_optimisation import FALL, JUDGE, LONGEST, TRUTH
from videojudge_bench.training.experiments.policy import (
    END_TOKEN,
    MOST_TOKENS,
    PAD_TOKEN,
    Start,
    build_policy,
    log_p,
    sampled,
    taught,
)
from videojudge_bench.training.small_world.world import KINDS, answer, read_answer, scene_of

ROOT = Path(__file__).parents[3]


def test_a_policy_reads_what_is_true_or_the_kind_alone() -> None:
    scene = scene_of("test-00000")
    first, *_, last = Start().rows("test", 2)
    facts = " ".join(answer(scene, kind) for kind in KINDS)
    assert first["prompt"] == f"{facts} attribute"
    assert (last["video_id"], last["kind"]) == ("test-00001", "order")
    assert Start(sees=False).rows("test", 1)[-1]["prompt"] == "order"


def test_half_of_the_words_that_are_taught_are_right() -> None:
    rows = Start().rows("train", 200)
    texts = [Start().draw(row) for row in rows]
    assert all(read_answer(row["kind"], t) for row, t in zip(rows, texts, strict=True))  # type: ignore[arg-type]
    columns = {name: [row[name] for row in rows] for name in ("video_id", "kind")}
    deserved = grpo.truth(completions=texts, **columns)
    # 5 less two wrong words, and 1 at least, as rewards from 0 to 1.
    assert np.mean([value or 0 for value in deserved]) == pytest.approx(0.5, abs=0.03)
    free = Start(free=1.0)
    lengths = {len(free.draw(row).split()) for row in rows}
    assert lengths == set(range(1, LONGEST + 1))


def test_the_probability_of_an_answer_counts_its_end_and_nothing_behind() -> None:
    policy = build_policy(0)
    ids, start = sampled(policy, ["order", "count"], seed=1)
    short = torch.cat([ids[:1, :start], torch.tensor([[7, END_TOKEN, PAD_TOKEN, PAD_TOKEN]])], 1)
    alone = log_p(policy.model, short[:, : start + 2], start)
    assert log_p(policy.model, short, start) == pytest.approx(alone, abs=1e-5)
    with torch.no_grad():
        logs = policy.model(short[:, : start + 1]).logits[0].log_softmax(-1)
    assert alone.item() == pytest.approx(
        float(logs[start - 1, 7] + logs[start, END_TOKEN]), abs=1e-5
    )


def test_a_policy_is_no_distance_from_itself_and_is_measured_by_question() -> None:
    policy, rows = taught(Start(free=0.5), 2, 0), Start(free=0.5).rows("test", 2)
    judged, true, distance, words = grpo.measured(policy, policy.model, rows, grpo.truth, samples=3)
    assert len(judged) == len(rows) == 8
    assert judged == pytest.approx(true)
    assert distance == pytest.approx(np.zeros(8), abs=1e-5)
    assert 0 < words.mean() <= MOST_TOKENS
    other = grpo.measured(policy, build_policy(1).model, rows, grpo.truth, samples=3)
    assert other[2].mean() > 0


def test_answers_without_a_reward_score_lowest() -> None:
    policy, rows = build_policy(0), Start().rows("test", 1)
    scores, *_ = grpo.measured(
        policy, policy.model, rows, lambda **of: [None] * len(of["completions"]), samples=2
    )
    assert scores.tolist() == [1, 1, 1, 1]


def test_a_rule_on_the_form_stands_beside_the_judge() -> None:
    reward = grpo.in_form(lambda **of: [0.9 for _ in of["completions"]])
    texts = ["", "up", "up down left left", "up down left left left", "red down left left"]
    assert reward(completions=texts, kind=["motion"] * 5) == [0, 0, 0.9, 0, 0]


def test_the_experiment_says_that_trl_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(ConfigError, match=r"expected TRL, got none; pip install 'trl"):
        grpo.check_installed()


def test_curves_by_step_are_a_table_and_a_chart() -> None:
    by_step: Figures = {
        **{name: {"0": [2.0, 1.9, 2.1], "5": [3.0, 2.9, 3.1]} for name in grpo.CURVES},
        FALL: {"points": [0.0, 0.0, 0.0]},
        "peak": 5,
    }
    lines = list(grpo.table_of({"free": by_step}))
    assert "| | | 0 | 5 | highest at | change after |" in lines
    assert any(line.startswith(f"| free | {JUDGE} | 2.00 [1.90, 2.10] |") for line in lines)
    drawn = grpo.chart(by_step)
    assert drawn.count("<polyline") == 2
    assert TRUTH in drawn
    assert "steps of GRPO" in drawn


@pytest.mark.slow
def test_trl_trains_a_policy_towards_what_a_judge_likes(tmp_path: Path) -> None:
    packages = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(tmp_path),
    ]
    subprocess.run([*packages, "trl==1.16.0"], check=True, timeout=900)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("grpo_steps.py")), str(tmp_path / "loop")],
        env=env, timeout=900, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "ok"
