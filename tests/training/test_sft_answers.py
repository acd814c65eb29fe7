"""The right answer is learnt in the places of responses that have as many tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sft_cases import VIDEOS, base_of, tiny_model

from videojudge_bench.training.sft.base_model import BaseModel
from videojudge_bench.training.sft.dataset import BundleDataset, collate
from videojudge_bench.training.sft.encode import RowEncoder
from videojudge_bench.training.sft.loss import score_batch
from videojudge_bench.training.sft.model import load_model
from videojudge_bench.training.sft.options import DataOptions
from videojudge_bench.training.sft.packing import IGNORED
from videojudge_bench.training.sft.plan import make_plan
from videojudge_bench.training.training_row import Response, TrainingRow

GOLD = "a dog"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return base_of(tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


def row(response: str, rating: int, gold: str | None = GOLD) -> TrainingRow:
    return TrainingRow.model_validate(
        {
            "id": f"{response}/{rating}",
            "kind": "pointwise",
            "video_id": "mdn_pig",
            "user": f"What is it?\n{response}\nRate it.",
            "reply": f"<score>{rating}</score>",
            "verdict": str(rating),
            "instruction": "What is it?",
            "gold": gold,
            "responses": ({"text": response, "rating": rating},),
        }
    )


def words(base: BaseModel, text: str) -> list[int]:
    found: list[int] = base.reader.tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def test_a_response_learns_the_right_answer_in_its_places(base: BaseModel) -> None:
    assert len(words(base, "\na cat\n")) == len(words(base, "\na dog\n"))  # or nothing is learnt
    encoder = RowEncoder(base.reader, answer_weight=0.5)
    wrong, right = encoder.encode(row("a cat", 1)), encoder.encode(row(GOLD, 5))
    assert sorted(wrong.answer) == sorted(right.answer)
    at = sorted(wrong.answer)
    assert [right.prompt[place] for place in at] == list(right.answer.values())
    assert wrong.answer == right.answer
    text = base.reader.tokenizer.decode([wrong.prompt[place] for place in at])
    assert text.strip() == "a cat"
    assert wrong.answer_weight == 0.5


@pytest.mark.parametrize("shown", [("a cat", GOLD), (GOLD, "a cat"), ("a cat", "a man")])
def test_each_response_of_a_pair_learns_it(base: BaseModel, shown: tuple[str, str]) -> None:
    first, second = shown
    pair = row(first, 1).model_copy(
        update={
            "kind": "pairwise",
            "user": f"Is it a dog?\nA: {first}\nB: {second}\nWhich is better?",
            "reply": "<answer>A</answer>",
            "verdict": "A",
            "responses": tuple(Response(text=text, rating=3) for text in shown),
        }
    )
    encoded = RowEncoder(base.reader, answer_weight=1.0).encode(pair)
    at = sorted(encoded.answer)
    said = base.reader.tokenizer.decode([encoded.prompt[place] for place in at])
    told = base.reader.tokenizer.decode([encoded.answer[place] for place in at])
    assert said.split() == f"{first} {second}".split()
    assert told.split() == [*GOLD.split(), *GOLD.split()]


def test_of_a_pair_a_longer_response_is_only_read(base: BaseModel) -> None:
    long = "a cat that sleeps on a sofa"
    pair = row("a cat", 1).model_copy(
        update={
            "user": f"What is it?\nA: {long}\nB: a cat\nWhich is better?",
            "responses": (Response(text=long, rating=3), Response(text="a cat", rating=3)),
        }
    )
    encoded = RowEncoder(base.reader, answer_weight=1.0).encode(pair)
    place = base.reader.tokenizer.decode(encoded.prompt[: min(encoded.answer)])
    assert place.rstrip().endswith("B:")
    assert len(encoded.answer) == len(words(base, " a cat"))


def test_what_is_said_is_read_before_the_right_answer_is_told(base: BaseModel) -> None:
    """A model learns a label from all before it: here from the token that the response has."""
    options = DataOptions.model_validate(
        {"rows": (), "videos": str(VIDEOS), "answer_weight": 0.5, "packing": "none"}
    )
    packed = BundleDataset(make_plan([row("a cat", 1)], base, options).bundles, base)[0]
    answer = RowEncoder(base.reader, answer_weight=0.5).encode(row("a cat", 1)).answer
    tokens, labels = packed["input_ids"].tolist(), packed["labels"].tolist()
    learnt = [at for at, label in enumerate(labels) if label != IGNORED][: len(answer)]
    assert [labels[at] for at in learnt] == list(answer.values())
    said = base.reader.tokenizer.decode([tokens[at - 1] for at in learnt])
    assert said.strip() == "a cat"
    assert [float(packed["weights"][at]) for at in learnt] == [0.5] * len(answer)


@pytest.mark.parametrize(
    ("response", "gold"),
    [("a cat that sleeps on a sofa", GOLD), ("a cat", None)],
)
def test_others_are_only_read(base: BaseModel, response: str, gold: str | None) -> None:
    assert not RowEncoder(base.reader, answer_weight=1.0).encode(row(response, 1, gold)).answer
    assert not RowEncoder(base.reader).encode(row("a cat", 1)).answer


def test_a_tree_learns_the_same_answers_as_rows_apart(base: BaseModel) -> None:
    rows = [row("a cat", 1), row(GOLD, 5), row("a man", 2)]
    model = load_model(base)
    losses = {}
    for packing in ("tree", "none"):
        options = DataOptions.model_validate(
            {"rows": (), "videos": str(VIDEOS), "packing": packing, "answer_weight": 0.5}
        )
        dataset = BundleDataset(make_plan(rows, base, options).bundles, base)
        batches = [collate([dataset[n]]) for n in range(len(dataset))]
        assert len(batches) == (1 if packing == "tree" else 3)
        with torch.no_grad():
            found = [score_batch(model, batch, tree=packing == "tree") for batch in batches]
        losses[packing] = float(sum(scored.loss for scored in found))
        learnt = sum(int((batch["labels"] != IGNORED).sum()) for batch in batches)
        encoder = RowEncoder(base.reader, answer_weight=0.5)
        encoded = [encoder.encode(each) for each in rows]
        assert learnt == sum(len(e.reply) + len(e.answer) for e in encoded)
    assert losses["tree"] == pytest.approx(losses["none"], rel=1e-5)


def test_a_note_of_how_to_ask_is_heeded_by_the_judge(tmp_path: Path) -> None:
    """`videojudge.json` says how a judge was trained to be asked."""
    from videojudge_bench.judges.videojudge import VideoJudge

    model = tiny_model(tmp_path / "tiny")
    (model / "own.jinja").write_text(
        "{% block system %}{% endblock %}{% block shared %}{{ instruction }}{% endblock %}"
        "{% block response %}{{ response }}{% if feedback %}!{% endif %}{% endblock %}",
        encoding="utf-8",
    )
    note = (
        '{"overlap": ["vatex"], "judge": {"feedback": false, "score": "expected", '
        '"rubric": "none", "prompt": "own.jinja", "pair_prompt": "own.jinja", "max_frames": 7}}'
    )
    (model / "videojudge.json").write_text(note, encoding="utf-8")
    settings = VideoJudge(pretrained=str(model)).settings()
    assert settings["feedback"] is False
    assert settings["score"] == "expected"
    assert settings["frames"] == 7
    assert settings["overlap"] == "vatex"
    other = VideoJudge(pretrained=str(model), max_frames=9, score="text").settings()
    assert (other["frames"], other["score"]) == (9, "text")
    assert other["prompt_rate"] == settings["prompt_rate"]
    apart = VideoJudge(pretrained=str(model), pairs="rate").settings()
    assert apart["pairs"] == "rate"
