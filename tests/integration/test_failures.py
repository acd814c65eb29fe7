"""What a user sees when something is wrong: a sentence, no traceback, and an exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import OUTPUT, Ran, assert_clean_failure, evaluation, run, write_module

from videojudge_bench import goldsets

VATEX = "videojudge_vatex"
LIMIT = 12

OWN_JUDGES = """\
from videojudge_bench import Judge, Rating

BAD = {bad!r}


class FailsOnOne(Judge):
    def rate(self, item):
        if item.id == BAD:
            raise RuntimeError("no luck with this one")
        return Rating(1 + len(item.response) % 5)


class FailsOnAll(Judge):
    def rate(self, item):
        raise RuntimeError("no luck at all")


class NoJudge:
    pass
"""

EARLY = {
    "unknown judge": (
        evaluation("judge=longst"),
        ("unknown judge 'longst'. Did you mean 'longest'?", "videojudge judges", "module:Class"),
    ),
    "unknown task": (
        evaluation("judge=longest", tasks="videojudge_vatx"),
        ("unknown task 'videojudge_vatx'. Did you mean 'videojudge_vatex' or",),
    ),
    "misspelt wildcard": (
        evaluation("judge=longest", tasks="videojudge-*"),
        ("unknown task 'videojudge-*'. Did you mean",),
    ),
    "several misspelt model arguments": (
        evaluation("judge=random,sed=1,referneces=all"),
        (
            "judge 'random', 2 problems:",
            "unknown option 'sed'. Did you mean 'seed'?",
            "unknown option 'referneces'. Did you mean 'references'?",
        ),
    ),
    "missing model argument": (
        evaluation("judge=scripted"),
        ("judge 'scripted': option 'replies' is missing: give it as replies=…",),
    ),
    "no judge": (
        evaluation("references=1"),
        ("--model videojudge needs --model_args judge=NAME",),
    ),
    "no such module": (
        evaluation("judge=no_such_module:Judge"),
        ("the module 'no_such_module' cannot be imported", "Install the package"),
    ),
    "videos": (
        evaluation("judge=longest,videos=nowhere"),
        ("the video folder 'nowhere' does not exist",),
    ),
    "misspelt model": (
        [*evaluation("judge=longest"), "--model", "videojudg"],
        ("unknown model 'videojudg'. Did you mean 'videojudge'",),
    ),
    "misspelt option": (
        [*evaluation("judge=longest"), "--limt", "2"],
        ("unknown option '--limt'. Did you mean '--limit'",),
    ),
    "an option without a value": (evaluation("judge=random,seed"), ("'seed'",)),
}

LATE = {
    "references": (
        evaluation("judge=longest,references=maybe"),
        ("references='maybe': allowed are 0, 1, 2, … and all",),
    ),
}


@pytest.mark.parametrize("case", EARLY.values(), ids=EARLY)
def test_mistakes_are_found_before_anything_is_loaded(
    case: tuple[list[str], tuple[str, ...]], tmp_path: Path
) -> None:
    command, texts = case
    ran = run(command, tmp_path)
    assert_clean_failure(ran, "lmms_eval: error: ", *texts)
    assert "Verbosity set to" not in ran.output  # the host's first line


@pytest.mark.parametrize("case", LATE.values(), ids=LATE)
def test_other_mistakes_end_the_run_without_a_traceback(
    case: tuple[list[str], tuple[str, ...]], tmp_path: Path
) -> None:
    command, texts = case
    assert_clean_failure(run(command, tmp_path), "lmms_eval: error: ", *texts)


def test_a_class_that_is_no_judge(tmp_path: Path) -> None:
    ran = _with_own_judge("NoJudge", tmp_path)
    assert_clean_failure(ran, "'own_judges:NoJudge': expected a subclass of videojudge_bench.Judge")


def test_a_class_that_is_not_there(tmp_path: Path) -> None:
    ran = _with_own_judge("FailsOnOn", tmp_path)
    assert_clean_failure(
        ran, "unknown class in module own_judges 'FailsOnOn'. Did you mean 'FailsOnOne'"
    )


def test_our_model_refuses_other_tasks(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"q": "1+1?", "a": "2"}) + "\n", "utf-8")
    (tmp_path / "toy.yaml").write_text(
        "task: toy_sums\n"
        "dataset_path: json\n"
        "dataset_kwargs: {data_files: {test: rows.jsonl}}\n"
        "test_split: test\n"
        "output_type: generate_until\n"
        "doc_to_text: '{{q}}'\n"
        "doc_to_target: '{{a}}'\n"
        "metric_list: [{metric: exact_match}]\n",
        "utf-8",
    )
    command = [*evaluation("judge=longest", tasks="toy_sums"), "--include_path", "."]
    ran = run(command, tmp_path)
    reason = "model videojudge judges the tasks videojudge_* alone; toy_sums is none of them"
    assert_clean_failure(ran, reason)


@pytest.mark.parametrize(("more", "code"), [("", 1), (",max_failures=0.1", 0)])
def test_a_judge_that_raises_on_one_item(tmp_path: Path, more: str, code: int) -> None:
    """One of twelve is more than 5 %; the results are there all the same."""
    ran = _with_own_judge(f"FailsOnOne{more}", tmp_path)
    assert ran.code == code, ran.output
    first = "the first: judge failed: RuntimeError: no luck with this one"
    assert f"lmms_eval: {VATEX}: 1 of {LIMIT} items failed; {first}" in ran.output
    said = f"lmms_eval: error: more failures than max_failures allows in {VATEX}"
    assert (said in ran.output) is bool(code)
    numbers = ran.numbers(VATEX)
    assert (numbers["n"], numbers["n_parsed"]) == (LIMIT, LIMIT - 1)
    assert numbers["coverage"] == pytest.approx((LIMIT - 1) / LIMIT)
    assert isinstance(numbers["spearman"], float)
    bad = _bad_item()
    (record,) = [record for record in ran.judgements(VATEX) if record["id"] == bad]
    assert record["verdict"] == {
        "id": bad,
        "unparsed": "judge failed: RuntimeError: no luck with this one",
        "failed": True,
    }


def test_a_judge_that_raises_on_every_item(tmp_path: Path) -> None:
    ran = _with_own_judge("FailsOnAll", tmp_path)
    assert_clean_failure(
        ran,
        f"judge own_judges:FailsOnAll failed on all {LIMIT} items of {VATEX}; the first: ",
        "judge failed: RuntimeError: no luck at all",
    )


def test_a_failure_inside_the_host_is_a_failure(tmp_path: Path) -> None:
    arguments = evaluation("pretrained=nowhere,device_map=cpu", model="qwen2_5_vl")
    ran = run([*arguments, "--device", "cpu"], tmp_path)
    assert ran.code == 1, ran.output
    assert "Error during evaluation" in ran.output


def test_results_that_cannot_be_written_are_a_failure(tmp_path: Path) -> None:
    # The host logs that it could not save, and goes on as if it had.
    (tmp_path / OUTPUT).write_text("in the way", "utf-8")
    assert_clean_failure(run(evaluation("judge=longest"), tmp_path), OUTPUT)


def test_a_run_without_tasks_is_a_failure(tmp_path: Path) -> None:
    ran = run(["lmms_eval", "--model", "videojudge", "--model_args", "judge=longest"], tmp_path)
    assert_clean_failure(ran, "task")


def _with_own_judge(name: str, folder: Path) -> Ran:
    variables = write_module(folder, "own_judges", OWN_JUDGES.format(bad=_bad_item()))
    return run(evaluation(f"judge=own_judges:{name}", limit=LIMIT), folder, variables=variables)


def _bad_item() -> str:
    return goldsets.load("vatex").examples[3].item.id
