"""Judging prompts: what is recognised and what is not, without a server."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import cast

import pytest
from chat_prompts import GIVEN, messages, other_prompts, task_named
from lmms_eval.llm_judge.utils import JudgePromptBuilder
from lmms_eval_tasks import share_of

from videojudge_bench import goldsets
from videojudge_bench.analysis.calibration import calibrate, read_map
from videojudge_bench.answers import judge_answers
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Example, Item, OptionGold
from videojudge_bench.leaderboard.opening import open_run
from videojudge_bench.registry import build
from videojudge_bench.serving.chat import ChatJudge
from videojudge_bench.serving.chat_scale import MAPS
from videojudge_bench.serving.chat_tasks import ChatTask, PromptRefusedError, chat_tasks, recognise
from videojudge_bench.serving.service import JudgeService

ROOT = Path(__file__).parents[2]
ANSWERED = [task for task in chat_tasks() if not task.refused]


def pairs(task: ChatTask, **given: str) -> list[tuple[str, str]]:
    """The messages of a prompt, as `recognise` takes them."""
    return [(each["role"], each["content"]) for each in messages(task, given)]


@pytest.mark.parametrize("task", ANSWERED, ids=lambda task: task.name)
def test_known_prompts_are_taken_apart(task: ChatTask) -> None:
    prompt = recognise(pairs(task))
    assert prompt.task == task
    for row in prompt.rows:
        assert row.instruction == (task.question or GIVEN["question"])
        assert row.response == GIVEN["prediction"]
        has_reference = "reference" in task.fields
        assert row.references == ((GIVEN["reference"],) if has_reference else ())


@pytest.mark.parametrize("form", ["yes/no", "0/1"])
def test_the_prompt_of_lmms_evals_correctness_is_known(form: str) -> None:
    build_prompt = JudgePromptBuilder.build_correctness_prompt
    prompt = recognise([("user", build_prompt("What?", "A dog.", "A cat.", form))])
    (row,) = prompt.rows
    assert (row.instruction, row.references, row.response) == ("What?", ("A dog.",), "A cat.")
    replies = [prompt.task.written([share]) for share in (0.4, 0.6)]
    assert replies == (["No", "Yes"] if form == "yes/no" else ["0", "1"])


def test_ten_thousand_other_prompts_are_not_recognised() -> None:
    refused = 0
    for system, user in other_prompts(10_000):
        with pytest.raises(PromptRefusedError, match="expected a judging prompt"):
            recognise([*([("system", system)] if system else []), ("user", user)])
        refused += 1
    assert refused == 10_000


def test_a_prompt_that_nearly_matches_names_the_task() -> None:
    ((_, system), (_, user)) = pairs(task_named("activitynetqa"))
    with pytest.raises(PromptRefusedError, match="that of activitynetqa and moviechat and goes on"):
        recognise([("system", system), ("user", user.replace("Correct Answer", "Right Answer"))])


@pytest.mark.parametrize("task", ANSWERED, ids=lambda task: task.name)
def test_fields_that_hold_all_marks_are_refused(task: ChatTask) -> None:
    marks = "".join(f"{mark}x" for mark in task.fixed[1:-1])
    for field in {*task.fields} - {"context"}:
        with pytest.raises(PromptRefusedError, match="cannot be told apart"):
            recognise(pairs(task, **{field: f"x{marks}"}))


def test_replies_are_the_nearest_value_and_the_verdict_of_its_half() -> None:
    def written(name: str) -> list[str]:
        return [task_named(name).written([share]) for share in (0, 0.29, 0.5, 0.9, 1)]

    assert written("activitynetqa") == [
        "{'pred': 'no', 'score': 0}",
        "{'pred': 'no', 'score': 1}",
        "{'pred': 'yes', 'score': 3}",
        "{'pred': 'yes', 'score': 5}",
        "{'pred': 'yes', 'score': 5}",
    ]
    assert written("worldqa_gen") == [f"Point:\n{n}" for n in ("0", "0.3", "0.5", "1", "1")]
    assert written("funqa H4, C4") == ["[0]", "[29]", "[50]", "[90]", "[100]"]
    assert written("videoevalpro") == ["B", "B", "A", "A", "A"]
    assert task_named("videochatgpt consistency").written([0.9, 0.2]) == "{'score': 1}"


def test_every_declaration_says_its_reply_or_why_there_is_none() -> None:
    for task in chat_tasks():
        assert bool(task.refused) != bool(task.reply and task.scale), task.name
        assert ("{verdict}" in task.reply) == any(task.verdict), task.name


def test_the_map_of_the_package_is_that_of_the_committed_run() -> None:
    fitted = calibrate(open_run(ROOT / "results/runs/vatex/compact-1ref").record, resamples=2)
    saved = read_map(MAPS / "compact.json")
    assert saved.score_map == fitted.score_map
    assert saved.signature == fitted.to_json()["signature"]
    assert saved.scale == (1, 5)


@pytest.mark.slow
def test_the_share_of_wrong_options_that_compact_accepts_is_the_documented_one() -> None:
    units: dict[str, list[Example]] = {}
    for example in goldsets.load("nextqa").examples:
        units.setdefault(example.unit, []).append(example)
    rows = []
    for examples in list(units.values())[:400]:
        items = [cast(Item, example.item) for example in examples]
        is_correct = [cast(OptionGold, example.gold).correct for example in examples]
        reference = items[is_correct.index(True)].response
        rows += [
            {"id": item.id, "video_id": item.video_id, "instruction": item.instruction,
             "response": item.response, "references": [reference]}
            for item, right in zip(items, is_correct, strict=True)
            if not right
        ]  # fmt: skip
    scores = [float(str(line["score"])) for line in judge_answers(rows, "compact").lines]
    accepted = fmean(share_of("compact", score) >= 0.5 for score in scores)
    text = " ".join((ROOT / "docs/lmms-eval-tasks.md").read_text(encoding="utf-8").split())
    says = f"the {len(rows):,} wrong options of 400 questions of NExT-QA, judged against the right"
    assert f"{says} one, {100 * accepted:.0f} % get a yes" in text


@pytest.mark.parametrize(
    ("judge", "text", "says"),
    [
        ("longest", "", "expected a map, as `videojudge calibrate RUN -o FILE` writes it"),
        ("longest", '{"method": "isotonic", "scale": [1, 5], "signature": ""}', "rising scores"),
        ("longest", (MAPS / "compact.json").read_text(), "expected a map for this judge, got one"),
        (
            "compact",
            (MAPS / "compact.json").read_text().replace("refs:1|", "refs:9|"),
            "references=9 in the place of 1",
        ),
    ],
)
def test_maps_that_do_not_fit_are_refused(judge: str, text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        ChatJudge(JudgeService(build(judge, {})), path)
