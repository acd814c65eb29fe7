"""A training before it begins: what cannot work is told, what does not fit is left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from measured_runs import score
from sft_cases import (
    SMALL,
    VIDEOS,
    a_row,
    base_of,
    criteria_rows,
    recipe_for,
    rows_of,
    sample_rows,
    tiny_model,
    written_rows,
)

from videojudge_bench.errors import ConfigError, JournalBusyError, VideoError
from videojudge_bench.items import RatingGold
from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.dataset import BundleDataset
from videojudge_bench.training.sft.evaluation import check_prompts, validation_of
from videojudge_bench.training.sft.options import DataOptions, JudgeOptions, ModelOptions
from videojudge_bench.training.sft.plan import make_plan
from videojudge_bench.training.sft.recipe import Recipe
from videojudge_bench.training.sft.run import prepare, train
from videojudge_bench.training.training_row import TrainingRow
from videojudge_bench.verdicts import Judgement, Preference


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", feedback=False)


def prepared(recipe: Recipe) -> Any:
    return prepare(recipe, recipe.stages[0], BaseModel(recipe.model, recipe.frames))


def refused(recipe: Recipe, output: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        train(recipe, output)
    return str(caught.value)


def data(**options: object) -> DataOptions:
    return DataOptions.model_validate({"rows": (), "videos": str(VIDEOS), **options})


def own_rows(*changes: dict[str, object]) -> list[TrainingRow]:
    return [TrainingRow.model_validate(a_row(n, **change)) for n, change in enumerate(changes)]


# The model.


def test_a_model_of_text_is_refused(tmp_path: Path, model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    folder = tmp_path / "text"
    shutil.copytree(model, folder)
    for path in folder.glob("*processor_config.json"):
        path.unlink()
    text = {**config["text_config"], "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(text))
    with pytest.raises(
        ConfigError, match=r"expected a Qwen2\.5-VL or a Qwen3-VL, got a qwen3, a model of text"
    ):
        base_of(folder).check()


def test_another_architecture_is_refused(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(model, folder)
    (folder / "config.json").write_text(
        json.dumps({"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"]})
    )
    with pytest.raises(ConfigError, match=r"got a qwen2_vl, not known here"):
        base_of(folder).check()


def test_a_model_without_its_processor_is_refused(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "blind"
    shutil.copytree(model, folder)
    for path in folder.glob("*processor_config.json"):
        path.unlink()
    with pytest.raises(ConfigError, match=r"model\.pretrained=.*blind|pretrained=.*blind"):
        base_of(folder).check()


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none: no such folder; give the folder of a model"):
        BaseModel(ModelOptions(pretrained=str(tmp_path / "none")), SMALL).check()


# The rows.


def test_missing_videos_and_long_rows_are_left_out_and_listed(model: Path) -> None:
    rows = own_rows({}, {"video_id": "gone"}, {"user": "long " * 300}, {"video": "no.mp4"})
    plan = make_plan(rows, base_of(model), data(context=300))
    assert plan.rows == 1
    gone, long, no = sorted(plan.dropped, key=lambda dropped: dropped.row)
    assert (gone.row, long.row, no.row) == ("r1", "r2", "r3")
    assert "gone" in gone.reason
    assert "no.mp4" in no.reason
    assert long.reason.endswith(" tokens, and data.context allows 300")
    assert all(bundle.tokens <= 300 for bundle in plan.bundles)


def test_a_row_longer_than_the_model_takes_is_left_out(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "short"
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    for section in (config, config["text_config"]):
        if "max_position_embeddings" in section:
            section["max_position_embeddings"] = 128
    (folder / "config.json").write_text(json.dumps(config))
    plan = make_plan(own_rows({}, {"user": "word " * 200}), base_of(folder), data())
    (dropped,) = plan.dropped
    assert dropped.reason.endswith(" tokens, and the model takes 128")


def test_no_row_that_is_left_is_told_with_reasons(model: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"none of 2 rows can be trained on; the first: r0: .*gone"
    ):
        make_plan(own_rows({"video_id": "gone"}, {"video_id": "gone"}), base_of(model), data())


def test_a_video_that_is_broken_only_when_it_is_decoded_is_noted(
    tmp_path: Path, model: Path
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("mdn_pig", "mdn_crystal"):
        shutil.copy(VIDEOS / f"{name}.webm", videos)
    rows = own_rows({}, {"video_id": "mdn_crystal"})
    base = base_of(model)
    plan = make_plan(rows, base, data(videos=str(videos)))
    problems = tmp_path / "problems.jsonl"
    dataset = BundleDataset(plan.bundles, base, problems=problems)
    first, second = dataset[0], dataset[1]
    (videos / "mdn_pig.webm").write_bytes(b"no video any more")
    assert dataset[0]["input_ids"].tolist() == second["input_ids"].tolist()
    assert first["input_ids"].tolist() != second["input_ids"].tolist()
    (noted,) = [json.loads(line) for line in problems.read_text().splitlines()]
    assert noted["video"] == "mdn_pig.webm"
    assert noted["reason"]
    (videos / "mdn_crystal.webm").unlink()
    with pytest.raises(VideoError, match="neither it nor any other video can be decoded"):
        dataset[1]


def test_rows_of_other_prompts_are_refused(rows_file: Path) -> None:
    rows = rows_of(rows_file, "mdn_crystal")
    check_prompts(rows, JudgeOptions(feedback=False))
    with pytest.raises(ConfigError) as caught:
        check_prompts(rows, JudgeOptions(feedback=True))
    told = str(caught.value)
    assert told.startswith(f"row {rows[0].id} was written with another prompt than the judge will")
    assert "feedback=True, rubric=none): the user message of the judge has " in told
    changed = [row.model_copy(update={"system": "You judge."}) for row in rows]
    with pytest.raises(ConfigError, match="the system message of the judge has"):
        check_prompts(changed, JudgeOptions(feedback=False))


def test_the_prompt_of_every_row_is_checked(rows_file: Path, tmp_path: Path) -> None:
    options = JudgeOptions(feedback=False)
    rows = rows_of(rows_file, "mdn_crystal")
    last = rows[0].model_copy(update={"id": "last", "system": "You judge."})
    with pytest.raises(ConfigError, match="row last was written with another prompt"):
        check_prompts([*rows * 10, last], options)
    # The other kind's prompt is exported too: that it is missing must not be found after training.
    missing = JudgeOptions(feedback=False, pair_prompt=str(tmp_path / "none.jinja"))
    with pytest.raises(ConfigError, match=r"prompt file .*none\.jinja"):
        check_prompts(rows, missing)


def test_rows_by_criteria_fill_in_every_slot(rows_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "criteria.yaml"
    file.write_text(
        "- {name: right, question: q}\n- {name: polite, question: r, scale: yes/no}\n", "utf-8"
    )
    options = JudgeOptions(feedback=False, criteria=str(file))
    rows = rows_of(criteria_rows(rows_file, file), "mdn_crystal")
    assert rows[0].reply.startswith('<score name="right">')
    check_prompts(rows, options)
    validation = validation_of(rows, VIDEOS)
    assert validation is not None
    gold = validation.gold_set.examples[0].gold
    assert isinstance(gold, RatingGold)
    polite = float(rows[0].criteria["polite"] == "yes")
    assert gold.criteria == {"right": gold.ratings, "polite": (polite,)}
    with pytest.raises(ConfigError, match=r"no verdict on judge\.criteria's 'overall'"):
        check_prompts(rows, options.model_copy(update={"overall": "model"}))
    less = rows[0].model_copy(update={"reply": '<score name="right">4</score>'})
    with pytest.raises(ConfigError, match=r"no verdict on judge\.criteria's 'polite'"):
        check_prompts([less], options)
    two = [{"text": "A pig.", "rating": 5}, {"text": "A dog.", "rating": 1}]
    pair = own_rows({"kind": "pairwise", "responses": two, "verdict": "A"})
    with pytest.raises(ConfigError, match=r"expected rated rows with judge\.criteria, got a pair"):
        check_prompts(pair, options)
    with pytest.raises(ConfigError, match="was written with another prompt"):
        check_prompts(rows, JudgeOptions(feedback=False))
    with pytest.raises(ValueError, match="got a file of checklists"):
        JudgeOptions(criteria="rubrics.jsonl")


def test_rows_of_kinds_of_one_s_own_have_no_prompt_to_check() -> None:
    check_prompts(own_rows({"kind": "describe"}, {"responses": []}), JudgeOptions())


def test_what_a_validation_measures_follows_from_its_rows(rows_file: Path) -> None:
    rated = rows_of(rows_file, "mdn_crystal")
    found = validation_of(rated, VIDEOS)
    assert found is not None
    assert (found.metric, len(found.gold_set.examples)) == ("spearman", len(rated))
    two = [{"text": "A pig.", "rating": 5}, {"text": "A dog.", "rating": 1}]
    pairs = own_rows({"kind": "pairwise", "responses": two, "verdict": "A"})
    found = validation_of(pairs, VIDEOS)
    assert found is not None
    assert found.metric == "accuracy"
    golds = [example.gold.p_first for example in found.gold_set.examples]  # type: ignore[union-attr]
    assert golds == [1.0, 0.0]  # both orders
    assert validation_of(own_rows({"responses": []}), VIDEOS) is None


def test_several_pairs_of_one_video_are_measured() -> None:
    two = [{"text": "A pig.", "rating": 5}, {"text": "A dog.", "rating": 1}]
    pair: dict[str, object] = {"kind": "pairwise", "responses": two, "verdict": "A"}
    found = validation_of(own_rows(pair, {**pair, "instruction": "What else?"}), VIDEOS)
    assert found is not None
    examples = found.gold_set.examples
    assert len({example.item.video_id for example in examples}) == 1
    # A judge that always prefers the first is right in one order of each.
    said = {e.item.id: Judgement(e.item.id, Preference(1.0)) for e in examples}
    assert score(found.gold_set, said, on_scale=True).metrics["accuracy"].value == 0.5


def test_a_metric_that_the_rows_do_not_have_is_refused(model: Path, rows_file: Path) -> None:
    recipe = recipe_for(model, rows_file, "evaluation.metric=accuracy")
    with pytest.raises(
        ConfigError, match=r"stage train: evaluation\.metric=accuracy cannot be .*ra"
    ):
        prepared(recipe)
    prepared(recipe_for(model, rows_file, "evaluation.metric=spearman"))


def test_rows_without_a_validation_part_are_told(tmp_path: Path, model: Path) -> None:
    path = written_rows(tmp_path / "rows.jsonl", [a_row(n, kind="own") for n in range(3)])
    recipe = recipe_for(model, path, "data.kinds=[own]")
    with pytest.raises(
        ConfigError, match=r"there are no rows to evaluate on .*evaluation\.videos=0"
    ):
        prepared(recipe)
    made = prepared(recipe_for(model, path, "data.kinds=[own]", "evaluation.videos=0"))
    assert (made.validation, made.judged, made.train.rows) == (None, None, 3)
    assert made.warnings == ()


def test_rows_of_some_verdicts_alone_can_be_asked_for(model: Path, rows_file: Path) -> None:
    made = prepared(recipe_for(model, rows_file, "data.verdicts=['1','5']"))
    rows = [row.row.verdict for bundle in made.train.bundles for row in bundle.rows]
    assert set(rows) == {"1", "5"}
    with pytest.raises(ConfigError, match="rows have the verdict 1: a judge would learn"):
        prepared(recipe_for(model, rows_file, "data.verdicts=['1']"))


# The stages.


def two_stages(recipe: Recipe, **sections: object) -> Recipe:
    """The same stage twice, but for options of the second, by section."""
    (stage,) = recipe.stages
    changed = {
        name: getattr(stage, name).model_copy(update=options) for name, options in sections.items()
    }
    last = stage.model_copy(update={"name": "last", **changed})
    return recipe.model_copy(update={"stages": (stage, last)})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"evaluation": {"metric": "accuracy"}}, r"stage last: evaluation\.metric=accuracy cannot"),
        ({"data": {"rows": ("none",)}}, r"data\.rows: none: it is not there"),
        ({"data": {"verdicts": ("1",)}}, "rows have the verdict 1: a judge would learn"),
        ({"training": {"micro_batch": 900, "batch": 900}}, r"stage last: \d+ packed rows are too"),
    ],
)
def test_what_is_wrong_with_the_last_stage_is_told_before_the_first_trains(
    tmp_path: Path, model: Path, rows_file: Path, changes: dict[str, Any], text: str
) -> None:
    recipe = two_stages(recipe_for(model, rows_file), **changes)
    with pytest.raises(ConfigError, match=text):
        train(recipe, tmp_path / "run")
    assert not [path for path in (tmp_path / "run").iterdir() if path.is_dir()]


# The folder.


def test_two_runs_do_not_share_a_folder(tmp_path: Path, model: Path, rows_file: Path) -> None:
    output = tmp_path / "run"
    output.mkdir()
    with (
        FileLock(output / ".lock"),
        pytest.raises(JournalBusyError, match="another run is writing"),
    ):
        train(recipe_for(model, rows_file), output)


def test_a_folder_of_something_else_is_left_alone(
    tmp_path: Path, model: Path, rows_file: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    told = refused(recipe_for(model, rows_file), tmp_path)
    assert "holds thesis.tex and no recipe.json, so it is no training run's" in told


def test_too_few_rows_and_batches_that_cannot_be_dealt_out(
    tmp_path: Path, model: Path, rows_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videojudge_bench.training.sft.trainer import trainer_arguments

    recipe = recipe_for(model, rows_file, "training.batch=6")
    base = BaseModel(recipe.model, recipe.frames)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ConfigError, match="=6: expected a multiple of the 4 rows that 4 processes"):
        trainer_arguments(recipe.stages[0], base, tmp_path, rows=8, seed=0)
    with pytest.raises(ConfigError, match=r"3 packed rows are too few for 4 processes"):
        trainer_arguments(recipe.stages[0], base, tmp_path, rows=3, seed=0)
