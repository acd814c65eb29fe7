"""What engines show of their prompts, and how sure they are of each token that they write."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from chat_faults import (
    Answer,
    Json,
    completion,
    engine_at,
    faulty_server,
    group_of,
    one,
    one_by_one,
    position,
)
from engine_cases import (  # noqa: F401 - fixtures
    VIDEOS,
    ask,
    engine_maker,
    group,
    read,
    tiny_models,
)

from videojudge_bench.engine import (
    ExplainingEngine,
    Explanation,
    Prefix,
    PromptGroup,
    Sampling,
)
from videojudge_bench.judges.engines._plain_model import PlainPrompts
from videojudge_bench.judges.engines._tree_model import SharedPrefix
from videojudge_bench.judges.tiny_qwen import FAMILIES
from videojudge_bench.video import FramePolicy, load_frames

SHOWN = Prefix("Be strict.", "Shared. ", VIDEOS / "mdn_frog.webm")
SMALL = {"max_frames": 4, "max_pixels": 112 * 112}


def explained(engine: ExplainingEngine, asked: PromptGroup) -> Sequence[Explanation]:
    return asyncio.run(engine.explain(asked))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_in_process_shows_what_it_takes(make: Any, family: str) -> None:
    engine, asked = make(family), group()
    found = explained(engine, asked)
    inputs = read(engine, asked)
    frames = engine.load_frames(asked.prefix.video)
    placed = SharedPrefix(engine.source.load(), inputs, scheme=engine._scheme).placed
    for explanation, prompt in zip(found, inputs.prompts, strict=True):
        assert explanation.form == "prompt"
        assert tuple(explanation.token_ids) == prompt
        assert explanation.tokens.count("<|video_pad|>") == inputs.video_tokens
        assert explanation.text.count("<|video_pad|>") == 1
        assert explanation.text.endswith("<|im_start|>assistant\n")
        length = placed.ids.shape[1]
        assert [list(axis[:length]) for axis in explanation.positions] == placed.ids.tolist()
        assert {axis[length] for axis in explanation.positions} == {placed.following}
        assert explanation.video == {
            "as": "video",
            "frames": len(frames.times_seconds),
            "size": "{1}x{0}".format(*frames.frames.shape[1:3]),
            "times_seconds": " ".join(f"{t:.3f}" for t in frames.times_seconds),
            "pixels": frames.facts()["pixels"],
            "step_seconds": pytest.approx(1 / frames.sample_fps, rel=0.02),
        }
    assert found[0].token_ids != found[1].token_ids


def test_a_model_of_text_has_no_such_positions(make: Any) -> None:
    (first, *_) = explained(make("text"), group(video=None))
    assert first.token_ids
    assert (first.positions, first.video) == ([], {})


@pytest.mark.parametrize("share", [True, False])
def test_alternatives_are_those_of_the_model_alone(make: Any, share: bool) -> None:
    engine = make(share_prefix=share)
    asked = group(alternatives=True, sampling=Sampling(max_tokens=4))
    replies = ask(engine, asked)
    inputs = read(engine, asked)
    plain = PlainPrompts(engine.source.load(), inputs, engine._scheme)
    tokenizer = engine.source.tokenizer
    for number, reply in enumerate(replies):
        written: list[int] = []
        for token in reply.written:
            best = plain.logits(number, written).detach().topk(2)
            texts = [tokenizer.decode([n], skip_special_tokens=True) for n in best.indices.tolist()]
            assert [token.text, token.other] == texts
            gap = float(best.values[0] - best.values[1])
            assert token.margin == pytest.approx(gap, abs=1e-3)
            written.append(int(best.indices[0]))
        assert reply.text == "".join(token.text for token in reply.written)
    assert [reply.text for reply in ask(engine, replace(asked, alternatives=False))] == [
        reply.text for reply in replies
    ]


def test_alternatives_stay_where_probabilities_are_read_too(make: Any) -> None:
    """The verdict's place is gone back to, and the reply's tokens keep what was known of them."""
    engine = make()
    sampling = Sampling(temperature=2.0, max_tokens=8)
    asked = group(alternatives=True, choices=("1", "2"), sampling=sampling)
    for reply in ask(engine, asked):
        assert 0 < len(reply.written) <= 8
        assert min(token.margin for token in reply.written) < 0  # drawn, not the best
    assert not any(r.written for r in ask(engine, replace(asked, alternatives=False)))


def test_a_server_shows_its_requests_and_its_tokens() -> None:
    names = ["<|im_start|>", "<|vision_start|>", "<|image_pad|>", "Rate"]
    with faulty_server(one_by_one(completion())) as seen:
        seen.tokens = {"tokens": [5, 6, 7, 8], "token_strs": names, "count": 4}
        engine = engine_at(seen, **SMALL)
        found = explained(engine, group_of("a", "b", prefix=SHOWN))
        engine.close()
    assert seen.requests == []
    assert [(e.form, e.token_ids, e.tokens) for e in found] == [
        ("request", (5, 6, 7, 8), tuple(names))
    ] * 2
    messages = json.loads("{" + found[1].text)["messages"]
    *images, text = messages[1]["content"]
    assert text == {"type": "text", "text": "Shared. Answer b."}
    assert {part["image_url"]["url"] for part in images[1::2]} == {"data:image/png"}
    batch = load_frames(VIDEOS / "mdn_frog.webm", engine._policy)
    assert found[0].video == {"as": "images", **batch.facts()}
    asked = seen.tokenised[0]
    assert asked["return_token_strs"] is True
    assert asked["messages"][1]["content"][1]["image_url"]["url"].startswith(
        "data:image/png;base64,"
    )
    assert asked["messages"][0] == {"role": "system", "content": "Be strict."}


def test_a_server_is_told_the_times_that_its_explanation_names() -> None:
    with faulty_server(one_by_one(completion())) as seen:
        engine = engine_at(seen, send="video", **SMALL)
        (found,) = explained(engine, group_of(prefix=SHOWN))
        one(engine, prefix=SHOWN)
        engine.close()
    told = seen.requests[-1]["media_io_kwargs"]["video"]  # behind the question what it takes
    seconds = told["total_num_frames"] / told["fps"] / len(told["frames_indices"])
    assert found.video["as"] == "video"
    assert found.video["step_seconds"] == pytest.approx(seconds, abs=1e-4)
    assert (found.token_ids, found.tokens) == ((), ())  # a server without /tokenize


def test_lossy_pixels_are_other_pixels() -> None:
    pixels = []
    with faulty_server(one_by_one(completion())) as seen:
        for quality in (None, 90):
            engine = engine_at(seen, jpeg_quality=quality, **SMALL)
            (found,) = explained(engine, group_of(prefix=SHOWN))
            pixels.append(found.video["pixels"])
            engine.close()
    assert pixels[1] == f"jpeg90 of {pixels[0]}"


def test_frames_of_other_pixels_have_other_facts() -> None:
    one, other = (
        load_frames(VIDEOS / name, FramePolicy(max_frames=2)).facts()["pixels"]
        for name in ("mdn_frog.webm", "mdn_pig.webm")
    )
    assert one != other


def _answered(*tokens: Json) -> Answer:
    return completion("<score>4</score>", logprobs=tokens)


def test_a_server_tells_of_alternatives() -> None:
    tokens = (
        position("<score>4", {"<score>4": 0.5, "<score>5": 0.4}),
        position("</score>", {"</score>": 0.9, "<|im_end|>": 0.05}),
        position("<|im_end|>", {"<|im_end|>": 0.8, " ": 0.1}),
        position("alone", {"alone": 1.0}),
    )
    with faulty_server(one_by_one(_answered(*tokens))) as seen:
        engine = engine_at(seen)
        found = one(engine, alternatives=True).written
        assert one(engine).written == ()
        engine.close()
    assert [(token.text, token.other) for token in found] == [
        ("<score>4", "<score>5"),
        ("</score>", ""),
        ("", " "),
        ("alone", ""),
    ]
    margins = [math.log(0.5 / 0.4), math.log(0.9 / 0.05), math.log(8), math.inf]
    assert [token.margin for token in found] == pytest.approx(margins)
    asked, plain = seen.requests
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 2)
    assert "logprobs" not in plain


def test_a_sampled_token_is_behind_the_best() -> None:
    drawn = position("5", {"4": 0.7, "5": 0.2})
    with faulty_server(one_by_one(_answered(drawn)), takes_all=False) as seen:
        engine = engine_at(seen)
        (token,) = one(engine, alternatives=True).written
        engine.close()
    assert (token.text, token.other) == ("5", "4")
    assert token.margin == pytest.approx(math.log(0.2 / 0.7))


def test_a_server_without_probabilities_replies_all_the_same() -> None:
    refusal = Answer({"error": {"message": "logprobs are not supported"}}, 400)
    with faulty_server(
        lambda _, body: refusal if "logprobs" in body else completion(), takes_all=False
    ) as seen:
        engine = engine_at(seen)
        reply = one(engine, alternatives=True)
        engine.close()
    assert (reply.text, reply.written) == ("<score>4</score>", ())
