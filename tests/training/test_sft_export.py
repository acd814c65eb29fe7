"""The exported folder: loads in transformers, judges, and says what it was trained on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from sft_cases import (
    VIDEOS,
    base_of,
    criteria_rows,
    recipe_for,
    sample_rows,
    tiny_model,
    written_rows,
)

from videojudge_bench import goldsets
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.judges.tiny_qwen import FAMILIES, Family
from videojudge_bench.leaderboard.importing import find_runs, to_stored
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.prompts.criteria_book import CriteriaBook
from videojudge_bench.registry import build
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.training.sft import export as exporting
from videojudge_bench.training.sft.model import load_model, put_weights
from videojudge_bench.training.sft.model_card import Facts, makers_of, overlaps_of
from videojudge_bench.training.sft.run import train

FACTS = Facts(
    "0123456789ab",
    ("llava", "vatex"),
    {"train": {"rows": 3, "dropped": 1, "steps": 2, "log": [{"step": 2, "eval_spearman": 0.5}]}},
    ("writer-7b",),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[Family, Path]:
    root = tmp_path_factory.mktemp("models")
    return {family: tiny_model(root / family, family) for family in FAMILIES}


def exported(model: Path, weights: Path, folder: Path, facts: Facts = FACTS) -> Path:
    recipe = recipe_for(model, folder / "rows.jsonl")
    return exporting.export(base_of(model), recipe, weights, folder, facts=facts)


def loaded(folder: Path) -> Any:
    from transformers import AutoModelForImageTextToText

    auto: Any = AutoModelForImageTextToText
    return auto.from_pretrained(folder).eval()


def same_logits(one: Any, other: Any) -> bool:
    ids = torch.arange(10, 40)[None]
    with torch.no_grad():
        return torch.equal(one(input_ids=ids).logits, other(input_ids=ids).logits)


def json_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def saved_by_transformers(model: Path, folder: Path) -> Path:
    """The same model as the installed transformers writes it down."""
    from transformers import AutoProcessor

    auto: Any = AutoProcessor
    loaded(model).save_pretrained(folder)
    auto.from_pretrained(model).save_pretrained(folder)
    return folder


def assert_both_forms(folder: Path) -> None:
    """What transformers 4.57 looks for, and 5 writes no more."""
    config = json_of(folder / "config.json")
    text = config["text_config"]
    assert text.get("rope_scaling", config.get("rope_scaling"))["mrope_section"]
    assert text.get("rope_theta", config.get("rope_theta")) == 1_000_000.0
    assert json_of(folder / "tokenizer_config.json")["tokenizer_class"] == "Qwen2Tokenizer"
    for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
        assert (folder / name).is_file()
    assert (folder / "chat_template.jinja").is_file()
    assert not list(folder.glob("*.bin"))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_folder_loads_and_holds_the_files_of_the_hub(
    tmp_path: Path, models: dict[Family, Path], family: Family
) -> None:
    model = models[family]
    folder = exported(model, model, tmp_path / "model")
    assert_both_forms(folder)
    assert same_logits(loaded(folder), loaded(model))
    one, other = (load_file(path / "model.safetensors") for path in (folder, model))
    assert one.keys() == other.keys()  # the hub's names, as the base has them
    names = {path.name for path in model.iterdir()} - {"tiny_qwen.json"}
    assert names <= {path.name for path in folder.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]  # nothing is left beside it
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("family", FAMILIES)
def test_a_base_that_transformers_5_has_saved_is_written_in_both_forms(
    tmp_path: Path, models: dict[Family, Path], family: Family
) -> None:
    base = saved_by_transformers(models[family], tmp_path / "saved")
    folder = exported(base, base, tmp_path / "model")
    assert_both_forms(folder)
    assert same_logits(loaded(folder), loaded(models[family]))
    assert load_file(folder / "model.safetensors").keys() == (
        load_file(models[family] / "model.safetensors").keys()
    )


def test_a_large_model_is_cut_into_files(
    tmp_path: Path, models: dict[Family, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_SHARD", "400KB")
    model = models["qwen2_5_vl"]
    folder = exported(model, model, tmp_path / "model")
    index = json_of(folder / "model.safetensors.index.json")
    files = {path.name for path in folder.glob("*.safetensors")}
    assert len(files) > 2
    assert set(index["weight_map"].values()) == files
    assert same_logits(loaded(folder), loaded(model))
    assert base_of(folder).checkpoint.weights() == base_of(model).checkpoint.weights()


def test_weights_that_are_one_are_written_once(tmp_path: Path, models: dict[Family, Path]) -> None:
    model = tmp_path / "tied"
    shutil.copytree(models["qwen2_5_vl"], model)
    config = json_of(model / "config.json")
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = True
    (model / "config.json").write_text(json.dumps(config))
    weights = load_file(model / "model.safetensors")
    weights.pop("lm_head.weight")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    folder = exported(model, model, tmp_path / "model")
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    assert same_logits(loaded(folder), loaded(model))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("outer", "inner"), [(True, None), (None, True), (True, False)])
def test_weights_are_one_where_the_model_has_them_as_one(
    tmp_path: Path, models: dict[Family, Path], family: Family, outer: object, inner: object
) -> None:
    # The released Qwen2.5-VL-3B says so in the outer part of its configuration alone.
    model = tmp_path / "tied"
    shutil.copytree(models[family], model)
    config = json_of(model / "config.json")
    for section, said in ((config, outer), (config["text_config"], inner)):
        section.pop("tie_word_embeddings", None)
        section.update({} if said is None else {"tie_word_embeddings": said})
    (model / "config.json").write_text(json.dumps(config))
    weights = load_file(model / "model.safetensors")
    (embeddings,) = (tensor for name, tensor in weights.items() if "embed_tokens" in name)
    weights["lm_head.weight"] = embeddings.clone()
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    one = loaded(model)
    tied = one.lm_head.weight is one.get_input_embeddings().weight
    folder = exported(model, model, tmp_path / "model")
    assert ("lm_head.weight" in load_file(folder / "model.safetensors")) is not tied
    made = json_of(folder / "config.json")  # 4.57 looks for it in the inner part, 5 in the outer
    assert made["tie_word_embeddings"] is made["text_config"]["tie_word_embeddings"] is tied
    assert same_logits(loaded(folder), one)
    base = base_of(model)
    resumed: Any = load_model(base)
    for parameter in resumed.parameters():
        torch.nn.init.zeros_(parameter)
    put_weights(resumed, folder, base)
    assert same_logits(resumed.eval(), one)


def test_weights_that_are_not_finite_are_no_model(
    tmp_path: Path, models: dict[Family, Path]
) -> None:
    model = models["qwen2_5_vl"]
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    weights = load_file(broken / "model.safetensors")
    weights["lm_head.weight"][0, 0] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"training has diverged: give a lower training"):
        exported(model, broken, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def test_the_weights_have_the_dtype_that_they_had(
    tmp_path: Path, models: dict[Family, Path]
) -> None:
    model = tmp_path / "half"
    shutil.copytree(models["qwen2_5_vl"], model)
    config = json_of(model / "config.json")
    for section in (config, config["text_config"]):
        section.pop("dtype", None)
        section["torch_dtype"] = "bfloat16"
    (model / "config.json").write_text(json.dumps(config))
    folder = exported(model, models["qwen2_5_vl"], tmp_path / "model")
    assert {t.dtype for t in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}


def test_the_card_says_how_to_ask_what_it_is_made_of_and_what_it_overlaps_with(
    tmp_path: Path, models: dict[Family, Path]
) -> None:
    model = models["qwen2_5_vl"]
    card = (exported(model, model, tmp_path / "model") / "README.md").read_text(encoding="utf-8")
    for text in (
        f"base_model: {model}",
        "judge=videojudge,pretrained=THIS_FOLDER --tasks 'videojudge_*'",
        "- `feedback=False`\n- `rubric=none`\n- `score=expected`\n- `max_tokens=1024`",
        "- `max_tokens=1024`\n- `max_frames=2`\n- `fps=1.0`\n- `min_pixels=3136`\n",
        "- `min_pixels=3136`\n- `max_pixels=6272`\n\n",
        "Hash of all rows: `0123456789ab`",
        "| train | 3 | 1 | 2 |",
        "**`overlap:llava`**",
        "written and rated by `writer-7b`",
        "| train | 2 | spearman 0.500 |",
        "not a measurement of quality",
        '"learning_rate": 0.001',
    ):
        assert text in card
    assert "No gold set is known to overlap" in (
        exported(model, model, tmp_path / "clean", Facts("0")) / "README.md"
    ).read_text(encoding="utf-8")


def test_overlaps_come_from_the_bootstrap(tmp_path: Path) -> None:
    (tmp_path / "seeds.json").write_text(json.dumps({"overlap": {"vatex": 3, "nextqa": 0}}))
    (tmp_path / "data").mkdir()
    rows = written_rows(tmp_path / "data" / "pointwise_train.jsonl", [])
    assert overlaps_of([str(tmp_path)]) == overlaps_of([str(rows)]) == ("vatex",)
    assert overlaps_of([str(tmp_path.parent / "elsewhere.jsonl")]) == ()
    (tmp_path / "seeds.json").write_text("[]")
    with pytest.raises(DataError, match="it is not what a bootstrap writes"):
        overlaps_of([str(tmp_path)])


def test_makers_come_from_the_bootstrap(tmp_path: Path) -> None:
    facts = {"generator": {"kind": "x", "model": "writer@1"}, "evaluator": {"model": "rater"}}
    (tmp_path / "bootstrap.json").write_text(json.dumps(facts))
    assert makers_of([str(tmp_path), str(tmp_path / "data")]) == ("rater", "writer@1")
    (tmp_path / "bootstrap.json").write_text(json.dumps({"generator": {"kind": "rules"}}))
    assert makers_of([str(tmp_path)]) == makers_of([str(tmp_path / "none" / "x" / "y")]) == ()
    (tmp_path / "bootstrap.json").write_text("[]")
    with pytest.raises(DataError, match="it is not what a bootstrap writes"):
        makers_of([str(tmp_path)])


def test_a_trained_model_judges_and_its_overlap_reaches_the_leaderboard(
    tmp_path: Path, models: dict[Family, Path]
) -> None:
    bootstrap = tmp_path / "bootstrap"
    sample_rows(bootstrap / "data" / "pointwise_train.jsonl", feedback=False, validation=0)
    (bootstrap / "seeds.json").write_text(json.dumps({"overlap": {"llava": 5}}))
    (bootstrap / "bootstrap.json").write_text(json.dumps({"generator": {"model": "writer"}}))
    changes = ("training.steps=1", "evaluation.videos=0", "model.mrope=transformers5")
    recipe = recipe_for(models["qwen2_5_vl"], bootstrap, *changes)
    folder = train(recipe, tmp_path / "run")
    note = json_of(folder / "videojudge.json")
    assert (note["overlap"], note["mrope"]) == (["llava"], "transformers5")
    assert base_of(folder).scheme == "transformers5"  # a training that goes on from it
    judge = build("videojudge", options_of(folder))
    gold_set = goldsets.load("llava")
    options = RunOptions(journal=tmp_path / "journal")
    wanted = [example.item.id for example in gold_set.examples][:3]
    judgements = Run(judge, gold_set, options).judge(wanted)
    assert not [judgement for judgement in judgements.values() if judgement.failed]
    (found,) = find_runs(tmp_path / "journal")
    assert (found.judge["overlap"], found.judge["mrope"]) == ("llava", "transformers5")
    assert found.judge["made_by"] == "writer"
    assert to_stored(found, resamples=1).overlap == ("llava",)


@pytest.mark.slow
def test_a_model_is_trained_on_rows_by_criteria_and_judges_by_them(
    tmp_path: Path, models: dict[Family, Path]
) -> None:
    criteria = tmp_path / "own.json"
    criteria.write_text(
        json.dumps(
            [
                {"name": "right", "question": "Is it right?", "weight": 3},
                {"name": "polite", "question": "Is it polite?", "scale": "yes/no"},
            ]
        ),
        encoding="utf-8",
    )
    rows = criteria_rows(sample_rows(tmp_path / "plain.jsonl", feedback=False), criteria)
    changes = (
        *("training.steps=1", "evaluation.every=1", "evaluation.videos=1"),
        *(f"judge.criteria={criteria}", "evaluation.metric=loss", "judge.score=text"),
    )
    folder = train(recipe_for(models["qwen2_5_vl"], rows, *changes), tmp_path / "run")
    assert json_of(folder / "videojudge.json")["judge"]["criteria"] == "criteria.yaml"
    own: dict[str, Scalar] = {"pretrained": str(folder), "device": "cpu", "max_tokens": 8}
    judge = build("videojudge", own).judge
    sha = CriteriaBook(criteria).sha
    assert judge.settings()["criteria"] == f"sha256:{sha}"
    assert isinstance(judge, PromptedJudge)
    example = goldsets.load("llava").examples[0]
    (judgement,) = judge.judge([replace(example.item, video=VIDEOS / "mdn_pig.webm")])
    assert (judgement.failed, set(judgement.criteria)) == (False, {"right", "polite"})
    judge.close()


def options_of(folder: Path) -> Mapping[str, Any]:
    return {
        "pretrained": str(folder),
        "score": "expected",
        "feedback": False,
        "max_frames": 2,
        "min_pixels": 3136,
        "max_pixels": 6272,
        "device": "cpu",
    }
