"""One trained judge in this process and behind a real vLLM: the same tokens, the same verdicts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

import pytest
from engine_bench import ITEMS, Bench
from tiny_judges import VIDEOS

from videojudge_bench.analysis.parity import compare_judges
from videojudge_bench.engine import Continuation, Prefix, PromptGroup, Reply, Sampling, complete_all
from videojudge_bench.items import Item
from videojudge_bench.judges.engines.openai_engine import OpenAIEngine
from videojudge_bench.judges.engines.transformers_engine import TransformersEngine
from videojudge_bench.judges.tiny_qwen import SPECIAL_TOKENS, Family
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.verdicts import Rating

pytest_plugins = ("engine_bench",)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

LARGEST: Mapping[Family, float] = {"qwen2_5_vl": 0.01, "qwen3_vl": 0.02}
"""How far expected scores may be apart."""

IN_FLIGHT = 64

RESTRICTED: Mapping[str, str | None] = {
    "--trust-request-mm-kwargs": "",
    "--max-logprobs": "0",
    "--limit-mm-per-prompt": '{"image": 2, "video": 1}',
}
"""A vLLM that takes neither times of frames, nor log-probabilities, nor more than two images."""

REFUSED = {
    "times of frames": ("score=text", "--trust-request-mm-kwargs"),
    "log-probabilities": ("send=frames,max_frames=2,score=expected", "--max-logprobs"),
    "eight images": ("send=frames,score=text", "--limit-mm-per-prompt"),
}
"""Options that such a server cannot serve, and the flag that helps."""


@pytest.mark.parametrize("options", ["score=text", "score=expected", "feedback=false,lost_mass=1"])
def test_a_served_judge_gives_the_verdicts_of_the_model(bench: Bench, options: str) -> None:
    """It sends the video as one; with `feedback=false`, the reply is begun for it."""
    found, row = bench.compare((None, bench.vllm()), options)
    assert row["prompts_equal"] == ITEMS, found.first_difference()
    assert found.is_same, found.problems()
    assert row["verdicts"] == [ITEMS, ITEMS]
    if options != "score=text":
        assert max(found.differences.values()) <= LARGEST[bench.family]


def test_the_sides_of_pairs_are_rated_alike(bench: Bench) -> None:
    found, row = bench.compare(
        (None, bench.vllm()), "pairs=rate,score=expected", gold_set="pairwise"
    )
    assert row["prompts_equal"] == 2 * ITEMS, found.first_difference()
    assert found.is_same, found.problems()


def test_pairs_are_compared_alike(bench: Bench) -> None:
    """In one prompt, for which the judge was not trained: replies, whatever they say."""
    found, row = bench.compare((None, bench.vllm()), "score=text", gold_set="pairwise")
    assert row["prompts_equal"] == ITEMS, found.first_difference()
    assert found.is_same, found.problems()


def test_two_servers_agree_on_images(bench: Bench) -> None:
    """`send=frames`, which every server takes."""
    found, row = bench.compare((bench.vllm(), bench.transformers()), "send=frames,score=text")
    assert row["token_counts_equal"] == ITEMS
    assert found.is_same, found.problems()


def test_many_requests_at_once_get_the_replies_of_one_after_another(bench: Bench) -> None:
    served = bench.vllm()
    before = served.metrics()
    at_once, one_by_one = (
        bench.asked(served, f"score=text,concurrency={n},max_concurrency={n}")
        for n in (IN_FLIGHT, 1)
    )
    found = compare_judges(at_once, one_by_one, "vcg")
    programs = [f"{served.program}, {n} at once" for n in (IN_FLIGHT, 1)]
    bench.keep(found, programs, "score=text")
    hits, queries = (
        served.metrics()[name] - before[name]
        for name in ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total")
    )
    share = hits / queries
    what = f"{bench.family}: share of prompt tokens from the prefix cache"
    bench.figures.answers[what] = round(share, 3)
    assert found.is_same, found.problems()
    assert share > 0.5


def test_special_tokens_in_an_answer_stay_text(bench: Bench) -> None:
    """A response full of them has the special tokens of one without any."""
    tails = ("A pig.", f"A pig.{''.join(SPECIAL_TOKENS)}<image><video>")
    group = PromptGroup(
        Prefix("Be strict.", "Rate the answer: ", VIDEOS / "mdn_pig.webm"),
        tuple(Continuation(str(n), text) for n, text in enumerate(tails)),
    )
    engine = _engine(bench)
    plain, hostile = asyncio.run(engine.explain(group))
    engine.close()
    assert len(hostile.tokens) > len(plain.tokens) > 20
    for token in SPECIAL_TOKENS:
        assert hostile.tokens.count(token) == plain.tokens.count(token), token


def test_a_reply_can_be_begun(bench: Bench) -> None:
    engine = _engine(bench)
    group = PromptGroup(
        Prefix("", "Rate: ", VIDEOS / "mdn_pig.webm"),
        (Continuation("a", "a pig"),),
        reply_start="<thinking>So it",
        sampling=Sampling(max_tokens=32),
    )
    here = TransformersEngine(
        pretrained=str(bench.judge), device="cpu", dtype="float32", max_frames=8
    )
    (there,), (expected,) = (asyncio.run(complete_all(e, group)) for e in (engine, here))
    engine.close()
    here.close()
    assert isinstance(there, Reply), there
    assert isinstance(expected, Reply), expected
    assert there.text == expected.text
    assert there.text.startswith(group.reply_start)


@pytest.mark.parametrize("lacking", REFUSED)
def test_what_a_server_refuses_is_said_before_the_first_item(bench: Bench, lacking: str) -> None:
    options, flag = REFUSED[lacking]
    served = bench.vllm("restricted", RESTRICTED)
    what = f"a vLLM without {lacking}"
    assert flag in bench.refusal(served, bench.asked(served, options), what)


def test_a_restricted_server_gives_what_it_has(bench: Bench) -> None:
    served = bench.vllm("restricted", RESTRICTED)
    asked = bench.asked(served, "send=frames,max_frames=2,score=text")
    found = compare_judges(asked, asked, "vcg", limit=4)
    assert found.is_same, found.problems()
    assert [bool(prompt.tokens[0]) for prompt in found.prompts] == [True] * 4


def _engine(bench: Bench) -> OpenAIEngine:
    served = bench.vllm()
    return OpenAIEngine(
        pretrained=str(bench.judge), base_url=served.base_url, model=served.model, max_frames=8
    )


def test_a_reply_is_held_to_a_form(bench: Bench) -> None:
    """Without it, this judge writes its thinking whatever it is asked for."""
    engine = _engine(bench)
    judge = PromptedJudge(engine=engine, structured="regex", feedback=False, video="none")
    (judgement,) = judge.judge([Item("a", "v", "What is it?", "a pig")])
    engine.close()
    assert re.fullmatch("<score>[1-5]</score>", judgement.reply)
    assert isinstance(judgement.verdict, Rating)
    assert judge.server_statements()[0].keys() == {"model", "system_fingerprint", "version"}
