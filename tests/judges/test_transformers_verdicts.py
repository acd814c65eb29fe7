"""Probabilities where the model writes its verdict: behind a given start, or in a free reply."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_cases import (  # noqa: F401 - fixtures
    ANSWERS,
    ask,
    engine_maker,
    group,
    read,
    text_model,
    texts,
    tiny_models,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken
from torch import Tensor

from videojudge_bench.criteria import OVERALL, YES_NO, Criterion
from videojudge_bench.engine import PromptGroup, Sampling
from videojudge_bench.judges.engines import _group_work
from videojudge_bench.judges.engines._plain_model import PlainPrompts
from videojudge_bench.judges.engines._replying import Choices, verdict_place
from videojudge_bench.judges.engines._text_tokens import Way, shared_token
from videojudge_bench.judges.engines._tree_model import SharedPrefix
from videojudge_bench.judges.tiny_qwen import FAMILIES, build
from videojudge_bench.replies.reply_format import parse_rating
from videojudge_bench.verdicts import Rating, Unparsed

SCORES, LETTERS = ("1", "2", "3", "4", "5"), ("A", "B")

MERGING = ["answer>A or answer>B and score>\n4"] * 50 + ["A, B, A or B"] * 9
"""Brings a small tokenizer to do what Qwen's own was seen to do with the tags of verdicts."""


@pytest.fixture(scope="module", name="merged")
def merging_models(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Models like Qwen's: `<answer>A` is `<`, `answer`, `>A`."""
    root = tmp_path_factory.mktemp("merged")
    prompts = [group(kind).prefix.text.replace("<", "") for kind in ("rate", "prefer")]
    made = {f: build(root / f, family=f, texts=[*MERGING, *prompts]) for f in FAMILIES}
    return {**made, "text": text_model(root / "text", made["qwen2_5_vl"])}


@pytest.fixture(scope="module")
def tokenizer(merged: dict[str, Path]) -> Any:
    from transformers import AutoTokenizer

    auto: Any = AutoTokenizer
    return auto.from_pretrained(merged["text"])


def test_a_tag_and_a_letter_share_a_token_and_a_digit_shares_none(tokenizer: Any) -> None:
    assert _pieces(tokenizer, "<answer>A") == ["<", "answer", ">A"]
    assert _pieces(tokenizer, "<score>4") == ["<", "score", ">", "4"]
    assert shared_token(tokenizer, LETTERS, _ids(tokenizer, ">")[0]) == ">"
    assert shared_token(tokenizer, SCORES, _ids(tokenizer, ">")[0]) == ""


# All ways to write a choice count.


@given(seed=st.integers(0, 10**6), rest=st.sampled_from(["", ">", "er>"]))
@settings(max_examples=25)
def test_probabilities_are_sums_over_all_paths_of_tokens(
    tokenizer: Any, seed: int, rest: str
) -> None:
    names = [tokenizer.decode([n]) for n in range(len(tokenizer))]
    choices = Choices(tokenizer, LETTERS, rest)
    logits = {way: _logits(seed, way, len(names)) for way in ((), *choices.contexts)}
    found = choices.probabilities(logits)
    begun = _mass(logits, names, lambda text: text.startswith(rest)) if rest else 1.0
    for letter in LETTERS:
        ends = {f"{rest}{letter}", f"{rest} {letter}"}
        assert found[letter] == pytest.approx(_mass(logits, names, ends.__contains__) / begun)
    assert 0 < sum(found.values()) < 1


def _logits(seed: int, way: Way, size: int) -> Tensor:
    digest = sum(token * 7919**n for n, token in enumerate(way, 1))
    generator = torch.Generator().manual_seed(seed + digest)
    return 3 * torch.randn(size, generator=generator)


def _mass(logits: dict[Way, Tensor], names: list[str], done: Any) -> float:
    """Follow every token wherever its context is known; sum up where the text is as wanted."""
    total, waiting = 0.0, [((), "", 1.0)]
    while waiting:
        way, text, before = waiting.pop()
        for token, p in enumerate(torch.softmax(logits[way].double(), -1).tolist()):
            if done(text + names[token]):
                total += before * p
            elif (*way, token) in logits:
                waiting.append(((*way, token), text + names[token], before * p))  # type: ignore[arg-type]
    return total


@pytest.mark.parametrize("model", [*FAMILIES, "text"])
def test_what_a_start_and_a_choice_share_is_left_to_the_model(
    make: Any, merged: dict[str, Path], tokenizer: Any, model: str
) -> None:
    video = None if model == "text" else "mdn_pig.webm"
    asked = group("prefer", video, reply_start="<answer>", choices=LETTERS)
    engine = make(merged[model])
    shared = ask(engine, asked)
    for one, other in zip(shared, ask(make(merged[model], share_prefix=False), asked), strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, rel=1e-4)
        assert one.text == other.text
        assert one.text.startswith("<answer>")
        assert ">>" not in one.text
    inputs = read(engine, group("prefer", video))
    plain = PlainPrompts(engine.source.load(), inputs, None if model == "text" else "qwen")
    start = [*_ids(tokenizer, "<"), *_ids(tokenizer, "answer")]
    (bracket,) = _ids(tokenizer, ">")
    with torch.inference_mode():
        first = torch.softmax(plain.logits(0, start), -1)
        then = torch.softmax(plain.logits(0, [*start, bracket]), -1)
    begun = [n for n in range(len(tokenizer)) if tokenizer.decode([n]).startswith(">")]
    (merged_one,), (own,), (blank,) = (_ids(tokenizer, text) for text in (">A", "A", " A"))
    apart = first[bracket] * (then[own] + then[blank])
    assert shared[0].probabilities["A"] == pytest.approx(
        float((first[merged_one] + apart) / first[begun].sum()), rel=1e-4
    )


# In a free reply.


@pytest.mark.parametrize(
    ("reply", "before", "rest"),
    [
        ("Hm.<score>4</score> <SCORE>4</SCORE>", "Hm.<score>4</score> <SCORE>", ""),
        ("<score>2</score>, no: <SCORE>4</SCORE>", None, ""),
        ("<score>\n 4</score>", "<score>\n ", ""),
        ("<score>4</score>\nThe response adds <score>4</score>", "<score>", ""),
        ("Good answer <score>4</score>", "Good answer <score>", ""),
        ("<answer>A</answer>", "<answer", ">"),
        ("<answer> B</answer>", "<answer", ">"),
        ("<answer> B", None, ""),
        ("é.<answer>\nA</answer>", "é.<answer>\n", ""),
        ("<thinking>a</thinking>", None, ""),
        ("", None, ""),
    ],
)
def test_where_the_verdict_begins(
    tokenizer: Any, reply: str, before: str | None, rest: str
) -> None:
    written = _ids(tokenizer, reply)
    choices = SCORES if "score" in reply.lower() else LETTERS
    place = verdict_place(tokenizer, choices, written, ())
    if before is None:
        assert place is None
    else:
        assert place is not None
        assert (tokenizer.decode(written[: place[0]]), place[1]) == (before, rest)


REPLIES = {
    "prefer": (
        "<thinking>A rains</thinking>\n<answer>A</answer>",
        "<answer>\nB</answer>",
        "no verdict",
        "<answer> A</answer><answer>B</answer>",
    ),
    "rate": ("<score>4</score>", "ten", "a.<score>\n2</score>", "<score>1</score> or <score>5"),
}
VERDICTS = {"prefer": {0, 1}, "rate": {0, 2}}  # that are stated once, and in a tag


@pytest.mark.parametrize("model", [*FAMILIES, "text"])
@pytest.mark.parametrize("kind", ["prefer", "rate"])
def test_a_free_reply_has_the_probabilities_at_its_verdict(
    make: Any, merged: dict[str, Path], monkeypatch: pytest.MonkeyPatch, model: str, kind: str
) -> None:
    tokenizer = make(merged[model]).source.tokenizer
    asked = _free(kind, None if model == "text" else "mdn_pig.webm")
    script = _script(monkeypatch, tokenizer, asked, REPLIES[kind])
    shared, alone, apart = (
        ask(make(merged[model], **options), asked)
        for options in ({}, {"share_prefix": False}, {"batch_tokens": 1})
    )
    for n, (one, other, single) in enumerate(zip(shared, alone, apart, strict=True)):
        assert one.text == other.text == REPLIES[kind][n]
        assert one.usage.output_tokens == other.usage.output_tokens == len(script[n])
        assert one.finished == other.finished == (len(script[n]) < 40)
        assert one.probabilities == pytest.approx(other.probabilities, rel=1e-4, abs=1e-9)
        assert one.probabilities == pytest.approx(single.probabilities, rel=1e-4, abs=1e-9)
        assert bool(one.probabilities) == (n in VERDICTS[kind])
        assert 0 <= sum(one.probabilities.values()) < 1


SLOTS = (
    Criterion("right", "?"),
    Criterion("polite", "?", 1, YES_NO),
    Criterion(OVERALL, "?"),
)
BY_CRITERIA = (
    '<score name="right">4</score><score name="polite">yes</score><score name="overall">2</score>',
    '<score name="overall">5</score><score name="right">3</score>',
    "<score>4</score>",
    '<score name="polite">no</score> <score name="right">1</score><score name="right">2</score>',
)


@pytest.mark.parametrize("model", ["qwen2_5_vl", "text"])
def test_a_reply_by_criteria_has_the_probabilities_in_each_slot(
    make: Any, merged: dict[str, Path], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    tokenizer = make(merged[model]).source.tokenizer
    asked = _free("rate", None if model == "text" else "mdn_pig.webm")
    asked = replace(asked, slots=SLOTS, choices=(*SCORES, "yes", "no"), sampling=Sampling(0, 300))
    script = _script(monkeypatch, tokenizer, asked, BY_CRITERIA)
    shared, alone = (
        ask(make(merged[model], **options), asked) for options in ({}, {"share_prefix": False})
    )
    _Scripted.seen.clear()
    (one, *_), tokens = ask(make(merged[model]), asked), script[0]
    expected = (SLOTS, SLOTS[::2], (), SLOTS[1:2])
    for n, (reply, other, slots) in enumerate(zip(shared, alone, expected, strict=True)):
        assert reply.text == BY_CRITERIA[n]
        assert reply.probabilities == pytest.approx(other.probabilities, rel=1e-4, abs=1e-9)
        assert reply.probabilities.keys() == {slot.key(c) for slot in slots for c in slot.choices}
    for key, number in (("right=4", "4"), ("overall=2", "2")):
        at = tokens.index(_ids(tokenizer, number)[0])
        then = torch.softmax(_Scripted.seen[0][at].double(), -1)
        assert one.probabilities[key] == pytest.approx(float(then[tokens[at]]), rel=1e-4)


REASONING_TOKENS = ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<think>", "</think>")
FINAL = "<|end|><|start|>assistant<|channel|>final<|message|>"
REASONED = (
    f"<|channel|>analysis<|message|>So <score>1</score>?{FINAL}<score>4</score>",
    "<think>So <score>1</score></think><score>4</score>",
    "<think>So <score>1</score>",
    "<|channel|>analysis<|message|><score>1</score><|end|>",
)


@pytest.fixture(scope="module")
def thinker(merged: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of text whose tokenizer marks reasoning with special tokens."""
    from transformers import AutoTokenizer

    auto: Any = AutoTokenizer
    tokenizer = auto.from_pretrained(merged["text"])
    tokenizer.add_tokens([AddedToken(mark, special=True) for mark in REASONING_TOKENS])
    folder = tmp_path_factory.mktemp("thinker") / "model"
    text_model(folder, merged["qwen2_5_vl"], vocab_size=len(tokenizer))
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("share", [True, False])
def test_reasoning_between_special_tokens_is_no_verdict(
    make: Any, thinker: Path, monkeypatch: pytest.MonkeyPatch, share: bool
) -> None:
    engine = make(thinker, share_prefix=share)
    tokenizer = engine.source.tokenizer
    assert not tokenizer.decode(
        _ids(tokenizer, "".join(REASONING_TOKENS)), skip_special_tokens=True
    )
    asked = replace(_free("rate", None), sampling=Sampling(max_tokens=200))
    script = _script(monkeypatch, tokenizer, asked, REASONED)
    script[0][-1:-1] = [tokenizer.pad_token_id]
    _Scripted.tokens[asked.continuations[0].id] = script[0]
    replies = ask(engine, asked)
    assert texts(replies) == list(REASONED)
    assert [parse_rating(reply.text) for reply in replies[:2]] == [Rating(4)] * 2
    assert all(isinstance(parse_rating(reply.text), Unparsed) for reply in replies[2:])
    assert [bool(reply.probabilities) for reply in replies] == [True, True, False, False]
    at = script[1].index(_ids(tokenizer, "4")[0])
    if share:
        then = torch.softmax(_Scripted.seen[1][at].double(), -1)
        assert replies[1].probabilities["4"] == pytest.approx(float(then[script[1][at]]), rel=1e-4)


def test_a_reply_about_a_long_video_is_that_of_the_model_alone(
    make: Any, merged: dict[str, Path], tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With more positions than the text behind it has tokens, a reply after the last position would
    # stand elsewhere than one after the text.
    asked = _free("prefer", "mdn_pig.webm")
    options = {"fps": None, "mrope": "transformers5"}  # the only scheme of which that is so
    made = [make(merged["qwen2_5_vl"], share_prefix=share, **options) for share in (True, False)]
    for engine in made:
        batch = engine.load_frames(asked.prefix.video)
        times = tuple(150 * time for time in batch.times_seconds)
        stretched = replace(batch, times_seconds=times, duration_seconds=150.0 * times[-1])
        monkeypatch.setattr(engine, "load_frames", lambda _path, found=stretched: found)
    inputs = read(made[0], asked)
    placed = SharedPrefix(made[0].source.load(), inputs, scheme="transformers5").placed
    assert int(placed.ids.max()) > placed.following + 100
    written = [
        texts(ask(engine, replace(asked, choices=(), sampling=Sampling(max_tokens=8))))
        for engine in made
    ]
    assert written[0] == written[1]
    _script(monkeypatch, tokenizer, asked, REPLIES["prefer"])
    shared, alone = (ask(engine, asked) for engine in made)
    for one, other in zip(shared, alone, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, rel=1e-4)


def test_probabilities_in_a_free_reply_are_those_that_the_model_wrote_by(
    make: Any, merged: dict[str, Path], tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _free("rate", "mdn_pig.webm")
    (number,) = _ids(tokenizer, "4")
    script = _script(monkeypatch, tokenizer, asked, REPLIES["rate"])
    at = script[0].index(number)
    (found, *_) = ask(make(merged["qwen2_5_vl"]), asked)
    then = torch.softmax(_Scripted.seen[0][at].double(), -1)
    assert found.probabilities["4"] == pytest.approx(float(then[number]), rel=1e-4)
    assert math.isclose(float(then.sum()), 1.0)


def test_a_verdict_needs_no_second_prefill(
    make: Any, merged: dict[str, Path], tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _free("prefer", "mdn_pig.webm")
    _script(monkeypatch, tokenizer, asked, REPLIES["prefer"])
    engine = make(merged["qwen2_5_vl"])
    rows: list[int] = []
    model: Any = engine._loaded()._model
    visual, layer = model.model.visual, model.model.language_model.layers[0]
    visual.register_forward_hook(lambda *_: rows.append(-1))
    layer.register_forward_hook(lambda _m, given, _o: rows.append(given[0].shape[1]))
    ask(engine, asked)
    assert rows.count(-1) == 1
    longest = max(map(len, read(engine, asked).prompts))
    assert rows[1] > 0.5 * longest  # the prefix
    assert sum(rows[3:]) < 4 * 40  # behind the answers: their replies' tokens, no prompt again


def _free(kind: str, video: str | None) -> PromptGroup:
    choices = LETTERS if kind == "prefer" else SCORES
    return group(kind, video, choices=choices, sampling=Sampling(max_tokens=40))


def _script(
    monkeypatch: pytest.MonkeyPatch, tokenizer: Any, asked: PromptGroup, replies: tuple[str, ...]
) -> list[list[int]]:
    """Let the model write these replies: a random one writes no tags. Its numbers stay its own."""
    assert len(replies) == len(ANSWERS)
    script = [[*_ids(tokenizer, reply), tokenizer.eos_token_id] for reply in replies]
    _Scripted.tokens = {c.id: s for c, s in zip(asked.continuations, script, strict=True)}
    _Scripted.seen = []
    monkeypatch.setattr(_group_work, "Sampler", _Scripted)
    return script


class _Scripted:
    tokens: dict[str, list[int]]
    seen: list[list[Tensor]]
    alternatives: tuple[tuple[int, float], ...] = ()

    def __init__(self, _sampling: Sampling, item_id: str, **_options: bool) -> None:
        self._left, self._seen = list(self.tokens[item_id]), list[Tensor]()
        self.seen.append(self._seen)

    def scores(self, logits: Tensor) -> Tensor:
        scores = torch.full_like(logits, -torch.inf)
        scores[self.pick(logits)] = 0.0
        return scores

    def pick(self, logits: Tensor) -> int:
        self._seen.append(logits)
        return self._left.pop(0)


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _pieces(tokenizer: Any, text: str) -> list[str]:
    return [tokenizer.decode([token]) for token in _ids(tokenizer, text)]
