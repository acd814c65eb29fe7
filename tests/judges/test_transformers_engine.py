"""The engine with a shared prefix writes what the model alone writes, on real videos."""

from __future__ import annotations

import asyncio
import json
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_cases import (  # noqa: F401 - fixtures
    ANSWERS,
    VIDEOS,
    Engine,
    ask,
    engine_maker,
    group,
    own_scheme,
    read,
    reasons,
    text_model,
    texts,
    tiny_models,
)

from videojudge_bench.engine import Prefix, PromptGroup, Sampling, complete_all
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item
from videojudge_bench.judges.engines import _tree_model
from videojudge_bench.judges.engines._mrope import SCHEMES
from videojudge_bench.judges.engines._plain_model import PlainPrompts
from videojudge_bench.judges.engines._tree_model import Branches, SharedPrefix
from videojudge_bench.judges.engines.prefix_tree import Positions, common_prefix, positions
from videojudge_bench.judges.tiny_qwen import FAMILIES, Family
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.verdicts import Unparsed
from videojudge_bench.video import default_frame_folder

# The shared prefix gives what the model alone gives.


@pytest.mark.parametrize("model", [*FAMILIES, "text"])
@pytest.mark.parametrize("kind", ["rate", "prefer", "rate+rubric"])
def test_logits_are_those_of_the_model_alone(make: Any, model: str, kind: str) -> None:
    engine = make(model)
    loaded = engine.source.load()
    for video in ("mdn_pig.webm", "nasa_13013.mp4", None):
        inputs = read(engine, group(kind, video if model != "text" else None))
        with torch.inference_mode():
            prefix = SharedPrefix(loaded, inputs, scheme=own_scheme())
            shared = Branches(prefix, range(len(ANSWERS))).first
            alone = PlainPrompts(loaded, inputs)
            expected = torch.stack([alone.logits(n) for n in range(len(ANSWERS))])
        assert prefix.length > 100
        assert float(expected.std()) > 0.1  # logits that could not differ would prove nothing
        assert float((shared - expected).abs().max()) < 1e-4


@pytest.mark.parametrize("model", [*FAMILIES, "text"])
def test_texts_are_those_of_the_model_alone(make: Any, model: str) -> None:
    shared, alone = make(model, verify_prefix=9), make(model, share_prefix=False)
    for kind in ("rate", "prefer", "rate+rubric"):
        for video in ("mdn_pig.webm", "nasa_13013.mp4"):
            for temperature in (0.0, 1.0):
                asked = group(
                    kind,
                    video if model != "text" else None,
                    sampling=Sampling(temperature, 8),
                    reply_start="<thinking>",
                )
                written = texts(ask(shared, asked))
                assert written == texts(ask(alone, asked))
                assert len(set(written)) > 1
                assert all(text.startswith("<thinking>") for text in written)


@pytest.mark.parametrize("model", [*FAMILIES, "text"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_probabilities_are_those_of_the_model_alone(make: Any, model: str, attention: str) -> None:
    asked = group(
        video=None if model == "text" else "mdn_pig.webm",
        reply_start="<score>",
        choices=("1", "2", "10", "25", "5"),
    )
    engine = make(model, attn_implementation=attention)
    shared, alone = ask(engine, asked), ask(make(model, share_prefix=False), asked)
    for one, other in zip(shared, alone, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, rel=1e-4)
        assert 0 < sum(one.probabilities.values()) < 1
        assert one.finished
    assert shared[0].probabilities != shared[1].probabilities


def test_probabilities_are_products_along_the_tokens_of_a_choice(make: Any) -> None:
    asked = group(reply_start="<score>", choices=("1", "10", "2"))
    engine = make()
    inputs, loaded = read(engine, asked), engine.source.load()
    tokenizer = engine.source.processor.tokenizer
    one, two, nought, spaced = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("1", "2", "0", " 2")
    )
    assert tokenizer("10", add_special_tokens=False)["input_ids"] == [*one, *nought]
    assert len(spaced) == 2  # Qwen cuts digits off, so that no token holds the blank as well
    with torch.inference_mode():
        plain = PlainPrompts(loaded, inputs, "qwen")
        first, second = (torch.softmax(plain.logits(0, more), -1) for more in ((), one))
    both = float(first[one[0]] * second[nought[0]])
    assert ask(engine, asked)[0].probabilities == pytest.approx(
        {"1": float(first[one[0]]) - both, "10": both, "2": float(first[two[0]])}, rel=1e-4
    )


def test_letters_count_with_and_without_a_blank_before_them(make: Any) -> None:
    asked = group("prefer", reply_start="<answer>", choices=("A", "B"))
    engine = make()
    inputs, loaded = read(engine, asked), engine.source.load()
    tokenizer = engine.source.processor.tokenizer
    ways = [tokenizer(form, add_special_tokens=False)["input_ids"] for form in ("A", " A")]
    assert [len(way) for way in ways] == [1, 1]
    with torch.inference_mode():
        first = torch.softmax(PlainPrompts(loaded, inputs, "qwen").logits(0), -1)
    found = ask(engine, asked)[0]
    assert found.probabilities["A"] == pytest.approx(float(first[[w[0] for w in ways]].sum()))


def test_the_reply_of_one_item_does_not_depend_on_the_others(make: Any) -> None:
    whole = group(sampling=Sampling(1.0, 8, seed=3))
    engine = make()
    together = texts(ask(engine, whole))
    for n in (2, 0):
        one = PromptGroup(whole.prefix, whole.continuations[n : n + 1], sampling=whole.sampling)
        assert texts(ask(engine, one)) == [together[n]]
    other = group(sampling=Sampling(1.0, 8, seed=4))
    assert texts(ask(engine, other)) != together


def test_batches_of_any_size_give_the_same(make: Any) -> None:
    asked = group(sampling=Sampling(max_tokens=6))
    assert texts(ask(make(batch_tokens=1), asked)) == texts(ask(make(), asked))


def test_several_groups_at_once_do_not_mix(make: Any) -> None:
    groups = [group(video=video) for video in ("mdn_pig.webm", "mdn_frog.webm", "nasa_13013.mp4")]
    groups = [
        PromptGroup(g.prefix, g.continuations, sampling=Sampling(max_tokens=5)) for g in groups
    ]
    engine = make()
    alone = [texts(ask(engine, g)) for g in groups]

    async def together() -> list[Any]:
        return list(await asyncio.gather(*(complete_all(engine, g) for g in groups)))

    assert [texts(replies) for replies in asyncio.run(together())] == alone


@pytest.mark.parametrize("family", FAMILIES)
def test_a_wrong_rule_of_positions_is_found(
    make: Any, monkeypatch: pytest.MonkeyPatch, family: Family
) -> None:
    def shifted(*args: Any, **options: Any) -> Positions:
        right = positions(*args, **options)
        return Positions(right.ids, right.following + 7)

    monkeypatch.setattr(_tree_model, "positions", shifted)
    with pytest.raises(ConfigError, match=r"verify_prefix: behind prompt 1 of 4, .* share_prefix"):
        asyncio.run(complete_all(make(family, verify_prefix=1), group()))


def test_schemes_of_positions_give_different_numbers_on_every_path(make: Any) -> None:
    asked = group(reply_start="<score>", choices=("1", "5"))
    # Steps of 8/3 s, and a video that is longer than its frames are wide.
    options = {"fps": 0.75, "max_frames": 9}
    found = {}
    for scheme in SCHEMES:
        shared = ask(make(mrope=scheme, verify_prefix=1, **options), asked)
        alone = ask(make(mrope=scheme, share_prefix=False, **options), asked)
        found[scheme] = shared[0].probabilities
        assert found[scheme] == pytest.approx(alone[0].probabilities, rel=1e-4)
    for one, other in combinations(SCHEMES, 2):
        assert found[one] != pytest.approx(found[other], rel=1e-3)
    default = ask(make(**options), asked)[0].probabilities
    assert default == pytest.approx(found["qwen"], rel=1e-6)


@pytest.mark.parametrize("model", FAMILIES)
def test_replies_at_given_positions_are_those_that_the_model_writes_itself(
    make: Any, model: str
) -> None:
    engine = make(model, fps=0.75, max_frames=9)
    inputs, loaded = read(engine, group()), engine.source.load()
    written = []
    with torch.inference_mode():
        for scheme in (None, own_scheme(), "qwen"):
            prompts = PlainPrompts(loaded, inputs, scheme)
            replies = [
                prompts.write(n, _greedy(), max_tokens=8, ends=(), stopped=lambda: False)
                for n in range(len(ANSWERS))
            ]
            written.append(replies)
    assert written[0] == written[1]
    assert all(len(reply) == 8 for reply in written[0])


# Memory, length, ends.


@pytest.mark.parametrize("fits", [2, 1])
def test_out_of_memory_halves_the_batch_and_goes_on(make: Any, fits: int) -> None:
    asked = group(sampling=Sampling(max_tokens=4))
    expected = texts(ask(make(), asked))
    engine = make()
    rows = _full_memory(engine, fits=fits)
    assert texts(ask(engine, asked)) == expected
    assert rows[0] == 4
    assert rows[-1] <= fits
    before = list(rows)
    rows.clear()
    assert texts(ask(engine, asked)) == expected
    assert rows == before  # the next group may have room for a whole row


def test_memory_is_given_back_only_where_it_ran_out(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = group(sampling=Sampling(max_tokens=2))
    emptied: list[None] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(None))
    engine = make()
    ask(engine, asked)
    assert not emptied
    _full_memory(engine, fits=1)
    ask(engine, asked)
    assert len(emptied) == 3  # of four, and of two halves


def test_only_the_row_that_does_not_fit_is_halved(make: Any) -> None:
    asked = group(sampling=Sampling(max_tokens=4))
    prompts = read(make(), asked).prompts
    first_two = sum(len(prompt) - common_prefix(prompts) for prompt in prompts[:2])
    engine = make(batch_tokens=first_two)
    rows = _full_memory(engine, fits=1, times=1)
    assert texts(ask(engine, asked)) == texts(ask(make(), asked))
    assert rows == [2, *[1] * 8, *[2] * 4]  # one token is written in each pass


def test_a_prompt_that_does_not_fit_alone_is_an_error_with_the_numbers(make: Any) -> None:
    engine = make()
    _full_memory(engine, fits=0)
    (reason,) = reasons(engine, group(sampling=Sampling(max_tokens=4)))
    inputs = read(engine, group())
    assert reason == (
        f"out of memory with a prompt of {max(map(len, inputs.prompts))} tokens, "
        f"{inputs.video_tokens} of them of the video; give max_frames=… or max_pixels=… below what "
        "they are, quantization=8bit, or a larger device"
    )


def test_a_video_that_does_not_fit_is_an_error_of_its_group_alone(make: Any) -> None:
    engine = make()
    short = group(video=None, sampling=Sampling(max_tokens=2))
    _full_memory(engine, fits=9, prefix=max(map(len, read(engine, short).prompts)))
    (reason,) = reasons(engine, group(sampling=Sampling(max_tokens=2)))
    assert reason.startswith("out of memory with a prompt of ")
    assert len(ask(engine, short)) == 4


def _full_memory(
    engine: Engine, *, fits: int, prefix: int = 10**9, times: int = 10**9
) -> list[int]:
    """Let the second layer run out of memory so many times.

    When more continuations than that stand in a row, or a prefix has more tokens.
    """
    model: Any = engine._loaded()._model
    layer = model.model.language_model.layers[1]
    inside, rows = layer.forward, []

    def forward(hidden: torch.Tensor, *args: Any, **options: Any) -> Any:
        mask = options.get("attention_mask")
        cached = (options.get("cache") or options["past_key_values"]).layers[0].keys.shape[-2]
        if cached == hidden.shape[1] > prefix:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if cached > hidden.shape[1]:  # not the prefix
            rows.append(1 if mask is None else _members(mask[0, 0], hidden.shape[1]))
            if rows[-1] > fits and rows.count(rows[-1]) <= times:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return inside(hidden, *args, **options)

    layer.forward = forward
    return rows


def _members(seen: torch.Tensor, queries: int) -> int:
    """How many continuations stand in a row: so many tokens see nothing before them in it."""
    return int((seen[:, -queries:].sum(1) == 1).sum())


def test_a_prompt_that_is_too_long_is_an_error_with_the_numbers(
    make: Any, models: dict[str, Path], tmp_path: Path
) -> None:
    short = text_model(tmp_path / "short", models["qwen2_5_vl"], max_position_embeddings=300)
    engine = make(short)
    asked = group(video=None, sampling=Sampling(max_tokens=200))
    longest = max(map(len, read(engine, asked).prompts))
    assert reasons(engine, asked) == {
        (
            f"the prompt has {longest} tokens, and with max_tokens=200 that is more than the 300 "
            "that the model takes; give a smaller max_tokens=…"
        )
    }


def test_a_video_that_is_too_long_says_which_options_help(
    make: Any, models: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(models["qwen2_5_vl"], tmp_path / "short")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 200
    (folder / "config.json").write_text(json.dumps(config))
    engine = make(folder)
    # Nothing is written here, so max_tokens takes no room.
    (reason,) = reasons(engine, group(reply_start="<score>", choices=("1", "5")))
    inputs = read(engine, group(reply_start="<score>"))
    assert reason == (
        f"the prompt has {max(map(len, inputs.prompts))} tokens, {inputs.video_tokens} of them of "
        "the video, and that is more than the 200 that the model takes; give a smaller "
        "max_frames=… or max_pixels=…"
    )


@pytest.mark.parametrize("share", [True, False])
def test_half_a_reply_is_none_when_the_engine_is_closed(make: Any, share: bool) -> None:
    engine = make(share_prefix=share)
    model: Any = engine._loaded()._model
    layer = model.model.language_model.layers[0]
    calls: list[None] = []

    def close_soon(*_: object) -> None:
        calls.append(None)
        if len(calls) == 9:
            engine._closing.set()

    layer.register_forward_hook(close_soon)
    asked = group(sampling=Sampling(max_tokens=300))
    assert reasons(engine, asked) == {"the engine was closed"}
    assert len(calls) < 300


def test_a_reply_ends_where_the_model_ends_it(
    make: Any, models: dict[str, Path], tmp_path: Path
) -> None:
    asked = group(sampling=Sampling(max_tokens=6))
    free = ask(make(), asked)
    assert [reply.finished for reply in free] == [False] * 4
    assert [reply.usage.output_tokens for reply in free] == [6] * 4
    # The same weights, with the third token that it writes declared to be its last one.
    engine = make()
    with torch.inference_mode():
        tokens = PlainPrompts(engine.source.load(), read(engine, asked)).write(
            0, _greedy(), max_tokens=6, ends=(), stopped=lambda: False
        )
    folder = shutil.copytree(models["qwen2_5_vl"], tmp_path / "ends")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [tokens[2]]}))
    for share in (True, False):
        reply = ask(make(folder, share_prefix=share), asked)[0]
        assert (reply.finished, reply.usage.output_tokens) == (True, tokens.index(tokens[2]) + 1)


def _greedy() -> Any:
    from videojudge_bench.judges.engines._replying import Sampler

    return Sampler(Sampling(), "x")


def test_a_bad_video_fails_its_group_alone(make: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    engine = make()
    (reason,) = reasons(engine, PromptGroup(Prefix("s", "t", bad), group().continuations))
    assert reason.startswith(f"{bad}: ")
    assert len(ask(engine, group(sampling=Sampling(max_tokens=2)))) == 4


# Other models, and the way from a judge.


def test_another_model_that_sees_runs_one_prompt_after_another(
    make: Any, models: dict[str, Path], tmp_path: Path
) -> None:
    folder = _qwen2_vl(tmp_path / "qwen2_vl", models["qwen2_5_vl"])
    with pytest.raises(ConfigError, match="share_prefix=true: the prefix of a qwen2_vl cannot be"):
        make(folder)
    engine = make(folder, share_prefix=False)
    assert engine.capabilities == {"logprobs", "video"}
    asked = group(sampling=Sampling(max_tokens=3))
    assert len(ask(engine, asked)) == 4
    scored = [
        ask(engine, group(video=video, reply_start="<score>", choices=("1", "5")))[0].probabilities
        for video in ("mdn_pig.webm", "nasa_13013.mp4")
    ]
    assert scored[0] != pytest.approx(scored[1], rel=1e-3)


def _qwen2_vl(folder: Path, source: Path) -> Path:
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    given = json.loads((source / "config.json").read_text())
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "patch_size": 14}
    tokens = {k: v for k, v in given.items() if k.endswith("_token_id")}
    text = {**given["text_config"], "model_type": "qwen2_vl_text"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = Qwen2VLConfig(text_config=text, vision_config=vision, **tokens)
        made: Any = Qwen2VLForConditionalGeneration(config)
    made.save_pretrained(folder)
    for path in source.glob("*"):
        if path.suffix in (".json", ".jinja") and not (folder / path.name).exists():
            content = path.read_text().replace("Qwen2_5_VLProcessor", "Qwen2VLProcessor")
            (folder / path.name).write_text(content)
    return folder


class Looker(PromptedJudge):
    requires = frozenset({"video"})


def test_a_judge_that_sees_refuses_a_text_model(models: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="takes video input, but its engine takes text alone"):
        Looker(engine="transformers", pretrained=str(models["text"]), device="cpu")


def test_a_judge_by_name_looks_at_a_video_and_keeps_its_frames(models: dict[str, Path]) -> None:
    judge = Looker(
        engine="transformers",
        pretrained=str(models["qwen3_vl"]),
        device="cpu",
        max_frames=3,
        max_pixels=96 * 96,
        min_pixels=0,
        max_tokens=5,
    )
    item = Item("a", "pig", "What is it?", "A pig.", video=VIDEOS / "mdn_pig.webm")
    (judgement,) = judge.judge([item])
    judge.close()
    assert judgement.verdict == Unparsed("cut off at max_tokens")
    assert (judgement.usage.output_tokens, judgement.failed) == (5, False)
    assert list(default_frame_folder().rglob("*.npy"))
