"""lmms-eval's command line with activitynetqa's functions, and a judge in place of an API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from judge_servers import serving
from lmms_eval_tasks import share_of

from videojudge_bench.answers import judge_answers

RESPONSE = "A dog is digging a hole."
ROWS = (
    ("what is the dog doing", "A dog digs a hole."),
    ("who is in the kitchen", "A woman fries eggs."),
    ("what happened", "Stock markets fell sharply on Monday."),
    ("what is seen", "An animal in a garden."),
)
YAML = """
task: my_activities
dataset_path: json
dataset_kwargs:
  data_files: activities.jsonl
test_split: train
output_type: generate_until
doc_to_visual: !function my_activities.activitynetqa_doc_to_visual
doc_to_text: !function my_activities.activitynetqa_doc_to_text
doc_to_target: !function my_activities.activitynetqa_doc_to_answer
process_results: !function my_activities.activitynetqa_process_results
metric_list:
  - metric: gpt_eval_score
    aggregation: !function my_activities.activitynetqa_aggregate_score
    higher_is_better: true
  - metric: gpt_eval_accuracy
    aggregation: !function my_activities.activitynetqa_aggregate_accuracy
    higher_is_better: true
"""
NAMES = (
    *("doc_to_visual", "doc_to_text", "doc_to_answer", "process_results"),
    *("aggregate_score", "aggregate_accuracy"),
)


def test_activitynetqa_is_scored_without_a_key(tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "my_activities.yaml").write_text(YAML)
    names = ", ".join(f"activitynetqa_{name}" for name in NAMES)
    (folder / "my_activities.py").write_text(
        f"from lmms_eval.tasks.activitynetqa.utils import {names}\n"
    )
    docs = [
        {"question": q, "answer": a, "video_name": str(n), "question_id": str(n), "type": "1"}
        for n, (q, a) in enumerate(ROWS)
    ]
    (tmp_path / "activities.jsonl").write_text("".join(f"{json.dumps(doc)}\n" for doc in docs))
    videos = tmp_path / "hf/activitynetqa/all_test"
    videos.mkdir(parents=True)
    for n in range(len(ROWS)):
        (videos / f"v_{n}.mp4").touch()
    with serving("compact") as server:
        results = _evaluated(tmp_path, server.url)
    rows = [
        {"video_id": "v", "instruction": q, "references": [a], "response": RESPONSE}
        for q, a in ROWS
    ]
    lines = judge_answers(rows, "compact").lines
    shares = [share_of("compact", float(str(line["score"]))) for line in lines]
    scores = [int(5 * share + 0.5) for share in shares]
    assert results["gpt_eval_score,none"] == sum(scores) / len(scores)
    assert results["gpt_eval_accuracy,none"] == 100 * sum(s >= 0.5 for s in shares) / len(shares)
    assert len({*scores}) > 1


def _evaluated(folder: Path, url: str) -> dict[str, float]:
    """Run lmms-eval without a key, and return the metrics of the task."""
    env = {key: value for key, value in os.environ.items() if key != "OPENAI_API_KEY"}
    env |= {"OPENAI_API_URL": f"{url}/v1/chat/completions", "HF_HOME": str(folder / "hf")}
    env |= {"HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable, "-m", "lmms_eval", "--model", "dummy", "--model_args",
        f"response='{RESPONSE}'", "--include_path", "tasks", "--tasks", "my_activities",
        "--batch_size", "1", "--output_path", "out",
    ]  # fmt: skip
    ended = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stderr
    (path,) = (folder / "out").rglob("*_results.json")
    results: dict[str, float] = json.loads(path.read_text())["results"]["my_activities"]
    return results
