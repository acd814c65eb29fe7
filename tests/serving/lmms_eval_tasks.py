"""Functions of lmms-eval's own tasks that ask a paid model, and what each makes of the answer."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from videojudge_bench.serving.chat_scale import MAPS

MODULES = (
    "activitynetqa.utils", "moviechat.utils", "video-tt.gpt_utils", "videochatgpt.utils",
    "video_detail_description.utils", "tempcompass.utils", "vitatecs.utils", "cvrr.utils",
    "funqa.utils", "worldqa.utils", "egothink.utils", "mmvu.utils", "videoevalpro.utils",
    "vrbench.utils",
)  # fmt: skip
OTHER = "A dog digs a hole."
"""Answer to another question about the same."""

Share = float
Run = Callable[[ModuleType, str, str, str], Any]
Rows = Callable[[str, str, str], list[tuple[str, str, str]]]


@contextmanager
def tasks_against(url: str, home: str) -> Iterator[dict[str, ModuleType]]:
    """Import the tasks' modules anew, with a server as their API; most read it at import."""
    with pytest.MonkeyPatch.context() as patch:
        variables = {
            "OPENAI_API_URL": f"{url}/v1/chat/completions", "OPENAI_API_KEY": "none needed",
            "API_TYPE": "openai", "GPT_EVAL_MODEL_NAME": "any", "HF_HOME": home,
            "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        for name, value in variables.items():
            patch.setenv(name, value)
        metric = ModuleType("bleurt_pytorch")  # funqa imports it for another metric
        for name in ("BleurtConfig", "BleurtForSequenceClassification", "BleurtTokenizer"):
            setattr(metric, name, None)
        patch.setitem(sys.modules, metric.__name__, metric)
        for name in MODULES:
            patch.delitem(sys.modules, f"lmms_eval.tasks.{name}", raising=False)
        yield {
            **{
                name.partition(".")[0]: importlib.import_module(f"lmms_eval.tasks.{name}")
                for name in MODULES
            },
            "llm_judge": importlib.import_module("lmms_eval.llm_judge"),
            "verifiers": importlib.import_module("lmms_eval.verifiers.openai"),
        }


def share_of(judge: str, score: float) -> float:
    """Return how far up 1 to 5 a score is: by the map of the package, or as it is."""
    if judge != "compact":
        return (score - 1) / 4
    knots = json.loads((MAPS / "compact.json").read_text())["knots"]
    scores, ratings = zip(*knots, strict=True)
    return (float(np.interp(score, scores, ratings)) - 1) / 4


def whole(high: int) -> Callable[[Share], int]:
    """Return the nearest whole number from 0 to `high`; halves go up."""
    return lambda share: int(high * share + 0.5)


def yes_no(no: str, yes: str) -> Callable[[Share], tuple[str, int]]:
    """Return the word for the half of the scale, and the score from 0 to 5."""
    return lambda share: (yes if share >= 0.5 else no, whole(5)(share))


@dataclass(frozen=True)
class Case:
    """A task's function.

    Attributes:
        task: its name.
        run: calls it with module, question, reference and prediction, and returns what it read.
        expected: what it is to read, from how far up the scale the judge's rating is.
        rows: the answers that it asks about, each with question and reference.
    """

    task: str
    run: Run
    expected: Callable[[Share], Any]
    rows: Rows = lambda question, reference, prediction: [(question, reference, prediction)]

    def __str__(self) -> str:
        return self.task


def _doc(question: str, answer: str) -> dict[str, Any]:
    """A row of any of the data sets."""
    return {
        "question": question, "answer": answer, "Q": question, "A": answer, "answer_text": answer,
        "video_name": "v", "question_id": "1", "id": "1", "type": "1", "video_id": "v",
        "capability": "c", "dim": "action", "VideoID": "v", "DimensionName": "d", "qa_type": "q",
        "question_type": "open-ended", "video_path": "data/Art/1.mp4", "question_idx": 1,
        "object_description": "o",
    }  # fmt: skip


def _activitynetqa(module: ModuleType, q: str, a: str, p: str) -> tuple[str, int]:
    read = module.activitynetqa_process_results(_doc(q, a), [p])["gpt_eval_score"]
    return read["Correctness"], read["score"]


def _moviechat(module: ModuleType, q: str, a: str, p: str) -> tuple[str, int]:
    read = module.moviechat_process_results_generic(_doc(q, a), [p])
    return read["gpt_eval_acc"]["acc"], read["gpt_eval_score"]["score"]


def _video_tt(module: ModuleType, q: str, a: str, p: str) -> tuple[str, float]:
    scores = module.gpt_score_process(_doc(q, a), [p])["videott_open_ended_score"]["scores"]
    return scores[0], scores[1]


def _videochatgpt(aspect: str) -> Run:
    def run(module: ModuleType, q: str, a: str, p: str) -> int:
        results = module.videochatgpt_process_results_generic(_doc(q, a), [p])
        return int(results[f"gpt_eval_score_{aspect}"]["score"])

    return run


def _temporal(module: ModuleType, q: str, a: str, p: str) -> int:
    results = module.videochatgpt_process_results_temporal(_doc(q, a), [p])
    return int(results["gpt_eval_score_temporal"]["score"])


def _consistency(module: ModuleType, q: str, a: str, p: str) -> int:
    review, _ = module.get_eval_consistency("What is seen?", q, a, OTHER, p, 64)
    return int(module.parse_score(review))


def _detail(module: ModuleType, q: str, a: str, p: str) -> int:
    results = module.video_detail_description_process_results_generic(_doc(q, a), [p])
    return int(results["gpt_eval_score"]["score"])


def _tempcompass(kind: str) -> Run:
    def run(module: ModuleType, q: str, a: str, p: str) -> int:
        read = getattr(module, f"tempcompass_process_results_{kind}")(_doc(q, a), [p])
        assert not read["avg_accuracy"]["match_success"]  # the rule decides before the model
        assert read["avg_accuracy"].get("chatgpt_response") in ("Correct", "Incorrect")
        return int(read["avg_accuracy"]["rating"])

    return run


def _vitatecs(module: ModuleType, q: str, a: str, p: str) -> int:
    doc = {"caption": a, "counterfactual": "a ship sinks", "src_dataset": "s", "video_name": "v"}
    read = module.vitatecs_process_results({**doc, "aspect": "a"}, [p])["accuracy"]
    assert read["chatgpt_response"] in ("Correct", "Incorrect")
    return int(read["rating"])


def _vitatecs_rows(_: str, a: str, p: str) -> list[tuple[str, str, str]]:
    module = sys.modules["lmms_eval.tasks.vitatecs.utils"]
    doc = {"caption": a, "counterfactual": "a ship sinks"}
    question, answer, _ = module.format_question_and_answer(doc)
    return [(question, answer, p)]


def _cvrr(module: ModuleType, q: str, a: str, p: str) -> tuple[str, int]:
    read = module.cvrr_process_results(_doc(q, a), [p])["gpt_eval_score"]
    return read["correctness"], read["score"]


def _funqa(task: str) -> Run:
    def run(module: ModuleType, _: str, a: str, p: str) -> float:
        before = "[A man sits.][It is funny.]" if task.endswith("4") else ""
        return float(module.get_eval(p, task, f"{before}[{a}]", 1024)[2])

    return run


def _about(question: str) -> Rows:
    """Return the rows of a prompt without a question."""
    return lambda _, a, p: [(question, a, p)]


def _worldqa(module: ModuleType, q: str, a: str, p: str) -> float:
    result = module.worldqa_process_results(_doc(q, a), [p])["gpt_eval"]
    return float(module.worldq_gen_gpt_eval([result], None))


def _nearest(*values: float) -> Callable[[Share], float]:
    return lambda share: min(values, key=lambda value: (abs(value - share), -value))


def _egothink(module: ModuleType, q: str, a: str, p: str) -> float:
    return float(module.egothink_process_results(_doc(q, a), [p])["gpt_eval_score"]["score"])


def _mmvu(module: ModuleType, q: str, a: str, p: str) -> int:
    read = module.mmvu_process_results(_doc(q, a), [p])["accuracy"]
    assert read["eval_method"] == "gpt-based"
    return int(read["correct"])


def _videoevalpro(module: ModuleType, q: str, a: str, p: str) -> int:
    results = module.videoevalpro_process_results(_doc(q, a), [p])
    return int(results["videoevalpro_score"]["judge_result"])


def _llm_judge(output_format: str) -> Run:
    def run(module: ModuleType, q: str, a: str, p: str) -> int:
        server = module.get_server("openai", module.ServerConfig("any", num_retries=1))
        return int(server.evaluate_binary(q, a, p, output_format)["result"])

    return run


def _verifiers(module: ModuleType, q: str, a: str, p: str) -> int:
    read = module.OpenAIVerifier("any", max_retries=1).verify(q, p, a)
    assert "judge_failed" not in read.metadata
    return int(read.is_correct)


_FUNQA = {
    "H2": "Describe what is counterintuitive in the video.",
    "C3": "Explain what is counterintuitive in the video.",
    "H4": "Give the video a title.",
}

CASES = (
    Case("activitynetqa", _activitynetqa, yes_no("no", "yes")),
    Case("moviechat", _moviechat, yes_no("no", "yes")),
    Case("video-tt", _video_tt, yes_no("no", "yes")),
    *(
        Case(f"videochatgpt {aspect}", _videochatgpt(aspect), whole(5))
        for aspect in ("correctness", "detailed_orientation", "context")
    ),
    Case("videochatgpt temporal", _temporal, whole(5)),
    Case(
        "videochatgpt consistency", _consistency, whole(5),
        lambda q, a, p: [("What is seen?", a, OTHER), (q, a, p)],
    ),
    Case("video_detail_description", _detail, whole(5)),
    *(
        Case(f"tempcompass {kind}", _tempcompass(kind), whole(1))
        for kind in ("multi_choice", "yes_no", "caption_matching")
    ),
    Case("vitatecs", _vitatecs, whole(1), _vitatecs_rows),
    Case("cvrr", _cvrr, yes_no("incorrect", "correct")),
    *(
        Case(f"funqa {task}", _funqa(task), whole(100), _about(question))
        for task, question in _FUNQA.items()
    ),
    Case("worldqa gen", _worldqa, _nearest(0, 0.3, 0.5, 1)),
    Case(
        "egothink", _egothink, _nearest(0, 0.5, 1),
        lambda q, a, p: [(q, a.lower().strip().replace(".", ""), p)],
    ),
    Case("mmvu", _mmvu, whole(1)),
    Case("videoevalpro", _videoevalpro, whole(1)),
    Case("llm_judge 0/1", _llm_judge("0/1"), whole(1)),
    Case("llm_judge yes/no", _llm_judge("yes/no"), whole(1)),
    Case("verifiers", _verifiers, whole(1)),
)  # fmt: skip
