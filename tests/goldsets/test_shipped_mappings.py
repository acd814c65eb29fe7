"""The mappings of the package, each on files of its source's schema that are written here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from videojudge_bench import goldsets
from videojudge_bench._util.files import packaged
from videojudge_bench.goldsets import map_file
from videojudge_bench.goldsets.adding import Added, Request, add
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Item, Pair, PreferenceGold, RatingGold


@pytest.fixture(autouse=True)
def fresh_sets() -> Iterator[None]:
    """Sets are kept in memory by name, and every test has a data folder of its own."""
    goldsets.load.cache_clear()
    yield
    goldsets.load.cache_clear()


def written(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def added(source: Path, mapping: str) -> tuple[Added, GoldSet]:
    result = add(Request(source, "mine", mapping=mapping))
    return result, goldsets.load("mine")


def test_a_mapping_is_short() -> None:
    folder = packaged("goldsets") / "mappings"
    assert map_file.names() == ["autoeval_video", "chai", "chai_pairs", "cvrr_es", "tempcompass"]
    for name in map_file.names():
        lines = (folder / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        assert len([line for line in lines if not line.startswith("#")]) <= 15
        assert {"title", "licence", "kind"} <= yaml.safe_load("\n".join(lines)).keys()


@pytest.fixture
def chai(tmp_path: Path) -> Path:
    rated = {
        "video_id": "clip.0.mp4",
        "pre_caption": "A cat walks left.",
        "pre_caption_prompt": "Describe the motion.",
        "pre_caption_llm": "model-x",
        "pre_caption_mode": "Video",
        "initial_caption_rating_score": 4,
        "user": "Ann Poe",
        "final_feedback": "It walks right.",
        "final_caption": "A cat walks right.",
    }
    perfect = {**rated, "video_id": "clip.1.mp4", "initial_caption_rating_score": 5}
    perfect |= {"final_caption": rated["pre_caption"], "user": "Zoe Doe"}
    for aspect in ("scene", "motion"):
        written(tmp_path / aspect / "clip.0.mp4_feedback.json", rated)
        written(tmp_path / aspect / "clip.1.mp4_feedback.json", perfect)
        written(tmp_path / aspect / "clip.1.mp4_precaption.json", {"video_id": "clip.1.mp4"})
    return tmp_path


def test_chai_captions(chai: Path) -> None:
    _, gold_set = added(chai, "chai")
    assert (gold_set.info.kind, str(gold_set.info.scale)) == ("human", "1-5")
    assert len(gold_set.examples) == 4
    assert gold_set.video_files == {"clip.0": "clip.0.mp4", "clip.1": "clip.1.mp4"}
    example = next(e for e in gold_set.examples if e.item.video_id == "clip.0")
    assert isinstance(example.item, Item)
    assert example.item.response == "A cat walks left."
    assert example.item.instruction == "Describe the motion."
    assert (example.gold, example.system) == (RatingGold((4,)), "model-x")
    assert (example.labels["aspect"], example.labels["input"]) == ("motion", "Video")
    assert len({e.labels["annotator"] for e in gold_set.examples}) == 2
    assert not any("Poe" in str(e) for e in gold_set.examples)


def test_chai_pairs(chai: Path) -> None:
    result, gold_set = added(chai, "chai_pairs")
    assert result.report is not None
    assert result.report.dropped == 2
    assert len(gold_set.examples) == 4
    for example in gold_set.examples:
        assert isinstance(example.item, Pair)
        assert example.gold == PreferenceGold(float("right" in example.item.first))
        assert example.labels["system"] == "model-x"


def test_cvrr_es(tmp_path: Path) -> None:
    asked = {"q": "Does the man fall?", "a": "No.", "pred": "He does not."}
    rows = [
        [{"pred": "correct", "score": 5, "reason": "Alike."}, asked],
        [{"pred": "incorrect", "score": 1, "reason": "Not alike."}, {**asked, "pred": "Yes."}],
        [{"pred": "incorrect", "score": 1, "reason": "Not alike."}, {**asked, "pred": "Yes."}],
        [[{"pred": "incorrect", "score": 0}], asked],
    ]
    for model in ("model-x", "model-y"):
        written(tmp_path / "standard_prompting" / model / "partial_actions.json", rows)
    result, gold_set = added(tmp_path, "cvrr_es")
    assert result.report is not None
    assert (result.report.read, result.report.n_bad) == (8, 2)
    assert (gold_set.info.kind, str(gold_set.info.scale)) == ("model", "0-5")
    assert {e.system for e in gold_set.examples} == {
        "standard_prompting/model-x",
        "standard_prompting/model-y",
    }
    assert len(gold_set.examples) == 6, "what a model answered twice is kept twice"
    example = next(e for e in gold_set.examples if e.gold == RatingGold((5,)))
    assert isinstance(example.item, Item)
    assert (example.item.response, example.item.references) == ("He does not.", ("No.",))
    assert example.labels["category"] == "partial_actions"
    assert example.labels["verdict"] == "correct"


def test_tempcompass(tmp_path: Path) -> None:
    verdict = {
        "chatgpt-reasoning": "It says so.",
        "chatgpt-answer": "B. running",
        "video-llm-prediction": "A dog runs.",
        "gt-answer": "B. running",
        "rating": 1,
    }
    refused = {"question": "?", "gt-answer": "A. slow", "video-llm-prediction": None, "rating": 0}
    content = {
        "v1": {"action": [verdict, {**verdict, "rating": 0}], "speed": [refused]},
        "v2": {"action": [{**verdict, "rating": -1}]},
    }
    for model in ("model-x", "model-y"):
        written(tmp_path / model / "captioning.json", content)
        written(tmp_path / model / "yes_no.json", {"v1": {}})
    result, gold_set = added(tmp_path, "tempcompass")
    assert result.report is not None
    assert (result.report.read, result.report.dropped, result.report.n_bad) == (8, 4, 0)
    assert (gold_set.info.kind, str(gold_set.info.scale)) == ("model", "0-1")
    golds = sorted((e.system, e.gold.ratings) for e in gold_set.examples)  # type: ignore[union-attr]
    assert golds == [("model-x", (0,)), ("model-x", (1,)), ("model-y", (0,)), ("model-y", (1,))]
    item = gold_set.examples[0].item
    assert isinstance(item, Item)
    assert (item.video_id, item.response, item.references) == ("v1", "A dog runs.", ("running",))
    assert gold_set.examples[0].labels["aspect"] == "action"


def test_autoeval_video(tmp_path: Path) -> None:
    rule = (
        "[Video Description]: A man opens\na box.\n\n[Video Question]:What is opened? Please "
        "determine whether the [Answer to be judged] is correct.\n[Answer to be judged]:\n"
    )
    row = {"ID": 7, "prediction": "A box.", "Dimension": "Description", "Rule": rule, "judge": "1"}
    rows = [
        {**row, "reason": "It is.\n1"},
        {**row, "ID": 8, "reason": None},
        {**row, "ID": 9, "judge": "0", "Rule": rule.partition("\n\n")[2], "reason": "No.\n0"},
    ]
    path = tmp_path / "output.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result, gold_set = added(path, "autoeval_video")
    assert result.report is not None
    assert (result.report.dropped, result.report.n_bad) == (1, 0)
    items = {e.item.video_id: (e.item, e.gold) for e in gold_set.examples}
    assert items["7"][0].description == "A man opens\na box."
    assert items["9"][0].description is None
    assert {item.instruction for item, _ in items.values()} == {"What is opened?"}
    assert (items["7"][1], items["9"][1]) == (RatingGold((1,)), RatingGold((0,)))
    assert gold_set.info.kind == "model"
