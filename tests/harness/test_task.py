"""A gold set as a task of lmms-eval: what models are asked, what becomes of their replies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, cast

import pytest
from registered import registered

from videojudge_bench import metrics
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.harness.documents import REFERENCES_VARIABLE, VIDEOS_VARIABLE
from videojudge_bench.harness.task import SPLIT, GoldSetTask
from videojudge_bench.prompts import PROMPTS_FOLDER, load_prompt


class Make(Protocol):
    """Makes a task from a gold set."""

    def __call__(self, gold_set: GoldSet, *, has_data: bool = True) -> GoldSetTask: ...


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a task from a gold set, as the host does from our YAML."""
    for variable in (REFERENCES_VARIABLE, VIDEOS_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    with ExitStack() as stack:

        def make_task(gold_set: GoldSet, *, has_data: bool = True) -> GoldSetTask:
            stack.enter_context(registered(gold_set, has_data=has_data))
            return GoldSetTask({"task": gold_set.info.task, "gold_set": gold_set.info.name})

        yield make_task


def score(task: GoldSetTask, replies: Sequence[str], *, start: int = 0) -> dict[str, object]:
    """Do what the host does with replies, from a first document on; return the metrics."""
    task.build_all_requests(limit=len(replies), offset=start)
    documents = task.dataset[SPLIT][start : start + len(replies)]
    collected: dict[str, list[object]] = {}
    for document, reply in zip(documents, replies, strict=True):
        for key, value in task.process_results(document, [reply]).items():
            collected.setdefault(key, []).append(value)
    return {key: task.aggregation()[key](items) for key, items in collected.items()}


def test_a_rated_item_is_asked_with_our_prompt(make: Make, rated_set: GoldSet) -> None:
    task = make(rated_set)
    system, user = task.doc_to_messages(task.dataset[SPLIT][0])
    item = task._stock_view.item("v0/cat")
    prompt = load_prompt(PROMPTS_FOLDER / "rate.jinja").render(item, rated_set.info.scale)
    assert system == {"role": "system", "content": [{"type": "text", "text": prompt.system}]}
    text = prompt.shared + prompt.response
    assert user == {"role": "user", "content": [{"type": "text", "text": text}]}
    assert task.doc_to_text(task.dataset[SPLIT][0]) == f"{prompt.system}\n\n{text}"
    assert task.doc_to_visual(task.dataset[SPLIT][0]) == []


def test_a_pair_is_asked_with_the_prompt_for_pairs(make: Make, pair_set: GoldSet) -> None:
    task = make(pair_set)
    texts = [task.doc_to_text(document) for document in task.dataset[SPLIT]]
    assert "Answer A:\n\na cat sleeps\n\nAnswer B:\n\na dog" in texts[0]
    assert "Answer A:\n\na dog\n\nAnswer B:\n\na cat sleeps" in texts[1]


def test_prompts_show_no_references_by_default(make: Make, rated_set: GoldSet) -> None:
    text = make(rated_set).doc_to_text({"index": 0, "id": "v0/cat"})
    assert rated_set.examples[0].item.references[0] not in text


def test_prompts_show_references_when_the_environment_says_so(
    make: Make, rated_set: GoldSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REFERENCES_VARIABLE, "1")
    text = make(rated_set).doc_to_text({"index": 0, "id": "v0/cat"})
    shown, hidden = rated_set.examples[0].item.references
    assert shown in text
    assert hidden not in text


def test_prompts_show_the_video_where_there_is_one(
    make: Make, rated_set: GoldSet, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VIDEOS_VARIABLE, str(videos))
    task = make(rated_set)
    seen, unseen = ({"index": i, "id": f"{v}/cat"} for i, v in ((0, "v0"), (2, "v1")))
    content = task.doc_to_messages(seen)[1]["content"]
    assert content[0] == {"type": "video", "url": str(videos / "v0.mp4")}
    assert task.doc_to_visual(seen) == [str(videos / "v0.mp4")]
    assert [part["type"] for part in task.doc_to_messages(unseen)[1]["content"]] == ["text"]
    assert task.doc_to_visual(unseen) == []


def test_no_request_holds_gold(make: Make, rated_set: GoldSet) -> None:
    task = make(rated_set)
    task.build_all_requests()
    assert len(task.instances) == len(rated_set.examples)
    for request, document in zip(task.instances, task.dataset[SPLIT], strict=True):
        gold = task.doc_to_target(document)
        assert gold not in f"{request.args} {task.doc_to_messages(document)}"


def test_a_wrong_environment_is_found_when_the_task_is_made(
    make: Make, rated_set: GoldSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REFERENCES_VARIABLE, "maybe")
    with pytest.raises(ConfigError, match="references='maybe'"):
        make(rated_set)


def test_raw_replies_give_the_numbers_of_their_verdicts(make: Make, rated_set: GoldSet) -> None:
    task = make(rated_set)
    replies = [f"<score>{value}</score>" for value in (5, 1, 4, 2, 5, 1, 3)] + ["no idea"]
    numbers = score(task, replies)
    # Every rating but the last, and each equals the rounded mean of its two gold ratings:
    # 4.5 -> 5 (+.5), 1.5 -> 1 (-.5), 4 -> 4, 2 -> 2, 5 -> 5, 1 -> 1, 3.5 -> 3 (-.5).
    assert numbers.pop("judgement") == 8
    assert (numbers["n"], numbers["n_parsed"]) == (8, 7)
    assert numbers["mae"] == pytest.approx(1.5 / 7)
    assert numbers["bias"] == pytest.approx(-0.5 / 7)
    assert set(numbers) == set(metrics.all_keys(rated_set.info))


def test_all_metrics_appear_whatever_document_comes_first(make: Make, rated_set: GoldSet) -> None:
    """Under `--offset`, and in the second of two processes, it is not document 0."""
    numbers = score(make(rated_set), ["<score>3</score>"] * 2, start=4)
    assert numbers["n"] == 2
    assert {"judgement", *metrics.all_keys(rated_set.info)} == set(numbers)


def test_the_payload_of_a_document_is_small(make: Make, rated_set: GoldSet) -> None:
    task = make(rated_set)
    score(task, ["<score>3</score>"] * 2)
    payload = task.process_results(task.dataset[SPLIT][1], ["<score>3</score>"])
    assert set(payload) == {"judgement", "n"}


def test_the_host_knows_which_way_is_better(make: Make, rated_set: GoldSet) -> None:
    better = make(rated_set).higher_is_better()
    assert (better["spearman"], better["rmse"], better["coverage"]) == (True, False, True)
    assert set(better) == set(metrics.all_keys(rated_set.info))


def test_a_set_without_data_is_one_document_that_says_so(make: Make, rated_set: GoldSet) -> None:
    task = make(rated_set, has_data=False)
    assert len(task.eval_docs) == 1
    told = "videojudge_tinyrated has no data here: ask its authors"
    assert task.doc_to_text(task.eval_docs[0]) == told
    assert task.doc_to_messages(task.eval_docs[0])[0]["content"][0]["text"] == told
    assert task.doc_to_target(task.eval_docs[0]) == ""
    assert task.doc_to_visual(task.eval_docs[0]) == []
    numbers = score(task, ["whatever"])
    assert numbers["spearman"] == "undefined (no data: ask its authors)"
    assert numbers["n"] == 0


def test_a_task_of_no_gold_set_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"gold set 'vatx'\. Did you mean 'vatex'"):
        GoldSetTask({"task": "videojudge_vatx", "gold_set": "vatx"})


def test_a_reply_is_neither_cut_short_nor_sampled(make: Make, rated_set: GoldSet) -> None:
    decoding = cast("dict[str, object]", make(rated_set).config.generation_kwargs)
    assert decoding == {"until": [], "max_new_tokens": 1024, "temperature": 0, "do_sample": False}
