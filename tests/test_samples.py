"""The samples are what the two passes over them make, and what their README says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import cast

import av
import pytest
import samples
from sklearn.metrics import cohen_kappa_score

from videojudge_bench import goldsets
from videojudge_bench.goldsets.longvideobench import ORDER_CATEGORIES, LvbQuestion
from videojudge_bench.goldsets.view import view_of
from videojudge_bench.items import Item, Pair, RatingGold, part_of

RATED = ("llava", "vcg")
NAMES = (*RATED, "longvideobench", "pairwise", "pairwise_h")
REPORT = samples.ROOT / "results" / "benchmarks" / "sample_quality.json"
VIDEOS = sorted((samples.SAMPLE / "videos").iterdir())


@pytest.mark.parametrize("file_name", samples.files())
def test_samples_follow_from_the_passes(file_name: str) -> None:
    packaged = (samples.SAMPLE / file_name).read_text(encoding="utf-8")
    assert packaged == samples.files()[file_name]


def test_questions_of_the_sample_are_those_that_both_passes_answer_alike() -> None:
    questions = json.loads((samples.SAMPLE / "longvideobench.json").read_text(encoding="utf-8"))
    assert samples.longvideobench(questions) == questions
    assert len(questions) == sum(
        row["first"] == row["second"] and bool(row["sure"])
        for row in samples.passes("longvideobench")
    )


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_marked_as_such_and_stay_off_the_dev_part(name: str) -> None:
    gold_set = goldsets.load(name)
    count = len(gold_set.examples if name in RATED else {e.unit for e in gold_set.examples})
    assert gold_set.info.data == f"sample-{count}"
    assert gold_set.info.kind == "model"
    assert not gold_set.info.has_dev
    # They have videos of what would be the dev part, so there is something to leave out.
    assert {part_of(e.item.video_id) for e in gold_set.examples} == {"dev", "test"}


@pytest.mark.parametrize("name", NAMES)
def test_every_item_has_its_video(name: str) -> None:
    gold_set = goldsets.load(name)
    view = view_of(gold_set, 0, None)
    shown = [view.item(example.item.id).video for example in gold_set.examples]
    # An editable install links to the files of the checkout.
    assert {path.resolve() for path in shown if path} == set(VIDEOS)
    assert None not in shown


@pytest.mark.parametrize("path", VIDEOS, ids=lambda path: path.stem)
def test_the_videos_decode_to_their_last_frame(path: Path) -> None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [frame.time for frame in container.decode(stream)]
        assert container.duration is not None
        seconds = container.duration / av.time_base
    assert len(times) > 100
    assert times[-1] == pytest.approx(seconds, abs=0.15)


def test_there_are_enough_of_them() -> None:
    rated = [e for name in RATED for e in goldsets.load(name).examples]
    assert len(rated) >= 140
    instructions = {e.item.group for e in rated}
    assert len(instructions) >= 28
    assert Counter(len(cast(RatingGold, e.gold).ratings) for e in rated) == {2: len(rated)}


def test_half_of_the_questions_need_the_order_of_events() -> None:
    questions = [
        LvbQuestion.model_validate_json(json.dumps(question))
        for question in json.loads((samples.SAMPLE / "longvideobench.json").read_text("utf-8"))
    ]
    ordered = [q for q in questions if q.question_category in ORDER_CATEGORIES]
    assert len(questions) >= 20
    assert len(ordered) >= len(questions) / 2
    assert {q.level for q in ordered} == {"L2-Relation"}


@pytest.mark.parametrize("name", NAMES)
def test_no_response_tells_its_rating_by_its_length(name: str) -> None:
    """Answers to one instruction are alike in length: the longest is at most a third longer."""
    lengths: dict[tuple[str, str], list[int]] = {}
    for example in goldsets.load(name).examples:
        item = example.item
        texts = (item.response,) if isinstance(item, Item) else (item.first, item.second)
        lengths.setdefault(item.group, []).extend(len(text.split()) for text in texts)
    longest = max(max(n) - 1.34 * min(n) for n in lengths.values())
    assert longest <= (3 if name == "longvideobench" else 0)


def test_pairs_of_2_against_3_carry_the_pipelines_label_apart() -> None:
    gold_set = goldsets.load("pairwise_h")
    assert all(isinstance(example.item, Pair) for example in gold_set.examples)
    assert {example.labels["pipeline"] for example in gold_set.examples} == {"a", "b"}


def test_the_report_says_what_the_passes_say() -> None:
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    agreement = report["agreement before anything is dropped"]
    for name in RATED:
        first, second = (
            [int(str(row[which])) for row in samples.passes(name)] for which in ("first", "second")
        )
        kappa = cohen_kappa_score(first, second, weights="quadratic")
        assert agreement[name]["quadratic kappa"] == pytest.approx(kappa, abs=5e-4)
    kept = sum(len(goldsets.load(name).examples) for name in RATED)
    assert report["responses kept"] == kept
    readme = (samples.SAMPLE / "README.md").read_text(encoding="utf-8")
    assert f"{agreement['both']['quadratic kappa']}" in readme
    assert f"{report['text-only classifier']['accuracy']}" in readme
