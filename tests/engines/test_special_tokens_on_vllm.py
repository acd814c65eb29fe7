"""Special tokens that a model writes, on a real vLLM: they come through to the reader."""

from __future__ import annotations

import json
import logging
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from engine_bench import vllm_environment
from real_servers import Served, vllm

from videojudge_bench import registry
from videojudge_bench.items import Item
from videojudge_bench.judges import tiny_qwen
from videojudge_bench.verdicts import Rating

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

CHAIN = ("\n", "[THINK]", "2", "[/THINK]", "4", "<|im_end|>")
"""The tokens that the model writes after one another; the first ends the prompt."""

WIDTH, LOUD = 64, 4.0
OF_TEXT = {"--limit-mm-per-prompt": "", "--mm-processor-cache-gb": ""}


def writer_of_chain(folder: Path) -> Path:
    """Return the folder of a model that writes `CHAIN` after every prompt.

    Its layer adds nothing to what it is given, so a token decides alone on the next one. The marks
    of reasoning are special tokens, as they are in Mistral's models.
    """
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tiny_qwen.build(folder / "tiny"))
    tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    ids = [token for text in CHAIN for token in tokenizer(text)["input_ids"]]
    assert len(ids) == len(CHAIN)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=False,
        eos_token_id=ids[-1],
    )
    model = Qwen2ForCausalLM(config)
    layer, given, written = model.model.layers[0], model.model.embed_tokens, model.lm_head
    with torch.no_grad():
        for zero in (layer.self_attn.o_proj, layer.mlp.down_proj, given, written):
            zero.weight.zero_()
        for place, (token, following) in enumerate(pairwise(ids)):
            given.weight[token, place] = 1.0
            written.weight[following, place] = LOUD
    model.save_pretrained(folder / "writer")
    tokenizer.save_pretrained(folder / "writer")
    return folder / "writer"


def reply_by_default(served: Served) -> str:
    """Return the reply to a request that says nothing of special tokens."""
    asked = {"model": served.model, "messages": [{"role": "user", "content": "Rate it."}]}
    headers = {"Content-Type": "application/json"}
    url = f"{served.base_url}/chat/completions"
    request = urllib.request.Request(url, json.dumps(asked).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return cast("str", json.load(answer)["choices"][0]["message"]["content"])


def test_reasoning_between_special_tokens_is_told_from_the_reply(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment = vllm_environment()
    model = writer_of_chain(tmp_path)
    with vllm(environment, model, tmp_path / "vllm.log", OF_TEXT) as served:
        options = {"base_url": served.base_url, "model": served.model, "video": "none"}
        judge = registry.build("openai", {**options, "score": "text"}).judge
        with caplog.at_level(logging.WARNING):
            (judgement,) = judge.judge([Item("a", "v", "What is it?", "a pig")])
        assert reply_by_default(served) == "24"  # its reasoning runs into its verdict
    assert judgement.reply == "".join(CHAIN[1:-1])
    assert judgement.verdict == Rating(4.0)
    assert "special tokens" not in caplog.text
