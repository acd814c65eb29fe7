"""What a verdict can depend on: every input there is, against keys and signatures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from identity_bench import Bench, Input, checkpoint
from identity_inputs import INPUTS
from identity_options import ENGINES, JUDGES, OPTIONS, known_options
from sentence_model import random_encoder

from videojudge_bench import registry
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines import _checkpoint
from videojudge_bench.judges.tiny_qwen import build
from videojudge_bench.prompts import PROMPTS_FOLDER, load_prompt


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("identity") / "tiny")


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_encoder(tmp_path_factory.mktemp("identity"), ["cat", "dog"])


@pytest.fixture
def bench(tmp_path: Path, tiny: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    folder = tmp_path / "bench"
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "own_module", raising=False)
    monkeypatch.setattr(_checkpoint, "_need", lambda *_: None)  # bitsandbytes is not needed here
    return Bench(folder, tiny, encoder)


@pytest.mark.parametrize("row", [*INPUTS, *OPTIONS], ids=str)
def test_key_and_signature_change_with_what_can_change_a_verdict(row: Input, bench: Bench) -> None:
    if row.start is not None:
        row.start(bench)
    key, signature = bench.identity()
    row.change(bench)
    sys.modules.pop("own_module", None)
    other_key, other_signature = bench.identity()
    assert (other_key != key, other_signature != signature) == (row.key, row.signature)


@pytest.mark.parametrize("judge", [*registry.names(), "videojudge_bench.prompted:PromptedJudge"])
def test_the_table_knows_every_option_of_a_judge(judge: str) -> None:
    """An option that is added needs a row that says whether it can change a verdict."""
    assert registry.options_of(registry.judge_class(judge)).keys() <= known_options(judge)


@pytest.mark.parametrize("engine", registry._ENGINES)
def test_the_table_knows_every_option_of_an_engine(engine: str) -> None:
    assert registry.options_of(registry.engine_class(engine)).keys() == ENGINES[engine].keys()


def test_the_table_has_no_judge_and_no_option_that_is_gone() -> None:
    assert JUDGES.keys() == registry.names().keys()
    for judge, own in JUDGES.items():
        assert own.keys() <= registry.options_of(registry.judge_class(judge)).keys()


def test_a_checkpoint_without_a_note_of_its_training_is_asked_by_its_preset(bench: Bench) -> None:
    checkpoint(bench)
    signature = bench.identity()[1]
    assert f"|prompt_rate:{load_prompt(PROMPTS_FOLDER / 'rate.jinja').sha}|" in signature
    assert "|preset:7b|" in signature
    assert "overlap" not in signature
    bench.write("model/videojudge.json", "[]")
    with pytest.raises(ConfigError, match="is not what `videojudge train` writes"):
        bench.identity()
