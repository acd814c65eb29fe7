"""Refusals of a chat server: of one item, or of all that the run asks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from chat_faults import (
    MODEL,
    Answer,
    Json,
    Script,
    ask,
    completion,
    engine_at,
    failure,
    faulty_server,
    is_probe,
    one,
    position,
    reason,
)

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import EngineError, Reply, Sampling
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item
from videojudge_bench.verdicts import Rating, Unparsed

pytestmark = pytest.mark.timeout(60)

ONLY_ONE = (
    "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) "
    "value is supported."
)
DRAWN = Sampling(1.0, 64)


def refusing(refuses: Callable[[Json], bool], said: str, status: int = 400) -> Script:
    """A server that refuses some requests; those that only try what it takes are no exception."""
    sound = completion(), completion(logprobs=[position("<score>"), position("4")])
    return lambda _, body: failure(status, said) if refuses(body) else sound["logprobs" in body]


def items(count: int) -> list[Item]:
    return [Item(f"i{n}", f"v{n}", "What?", "so long" if n == 0 else "short") for n in range(count)]


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("name", ["model", "prompt", "a", MODEL, "org/judge-7b"])
@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 4096 tokens, and {name} got 9000 in the prompt",
        "prompt is too long for {name}: max_tokens or max_completion_tokens, logprobs, temperature",
        "proxy: {name}: 'messages' not found to fit the context of model {name}",
        "model_not_found in the cache of {name}, prompt too long",
    ],
)
def test_a_prompt_that_is_too_long_fails_alone(name: str, said: str, concurrency: int) -> None:
    script = refusing(lambda body: "so long" in json.dumps(body), said.format(name=name))
    with faulty_server(script, takes_all=False) as seen:
        seen.models = (name,)
        options: dict[str, Scalar] = {"base_url": seen.base_url, "model": name, "video": "none"}
        judge = registry.build("openai", {**options, "concurrency": concurrency}).judge
        found = {judgement.item_id: judgement for judgement in judge.judge(items(3))}
    assert found["i1"].verdict == found["i2"].verdict == Rating(4.0)
    verdict = found["i0"].verdict
    assert isinstance(verdict, Unparsed)
    assert found["i0"].failed
    assert said.format(name=name)[:200] in verdict.reason
    assert len(seen.requests) <= 4  # one more finds out that it is this prompt alone


@pytest.mark.parametrize("status", [400, 402, 403, 413, 422])
def test_whatever_its_status_a_refusal_is_of_one_item(status: int) -> None:
    script = refusing(lambda body: "Answer a" in json.dumps(body), "no", status)
    with faulty_server(script, takes_all=False) as seen:
        found = ask(engine_at(seen), "a", "b", "c")
    assert found[0] == EngineError(f"the server answered {status}: no")
    assert all(isinstance(reply, Reply) for reply in found[1:])


def test_forty_refused_at_the_beginning_do_not_end_the_run() -> None:
    script = refusing(lambda body: "so long" in json.dumps(body), "too long")
    with faulty_server(script, takes_all=False) as seen:
        options: dict[str, Scalar] = {"base_url": seen.base_url, "model": MODEL, "video": "none"}
        options["concurrency"] = 1
        judge = registry.build("openai", options).judge
        asked = [Item(f"i{n}", f"v{n}", "What?", "so long" * (n < 40)) for n in range(41)]
        *failed, last = judge.judge(asked)
    assert all(judgement.failed for judgement in failed)
    assert last.verdict == Rating(4.0)


def test_a_refusal_of_one_item_changes_nothing_for_the_others() -> None:
    """FastAPI's validation errors hold the whole request."""
    script = refusing(
        lambda body: "Answer a" in json.dumps(body),
        "max_completion_tokens logprobs repetition_penalty top_p top_k seed temperature",
    )
    with faulty_server(script, takes_all=False) as seen:
        ask(engine_at(seen, logprobs="auto"), "a", "b", choices=("3", "4"))
    (last,) = [body for body in seen.requests if "Answer b" in json.dumps(body)]
    assert last["max_tokens"] == 64
    assert last["logprobs"] is True


@pytest.mark.parametrize(
    ("sampling", "refuses", "said", "fix"),
    [
        (Sampling(), lambda b: b.get("temperature") == 0, ONLY_ONE, "Give temperature=1"),
        (Sampling(), lambda b: b.get("temperature") == 0,
         "invalid temperature: only 0.6 is allowed for this model", "Give temperature=0.6"),
        (Sampling(), lambda b: b.get("temperature") == 0, "temperature must be above 0",
         "Give temperature=1, or another one that it takes"),
        (Sampling(0.3), lambda b: b.get("temperature") not in (None, 1), ONLY_ONE,
         "Give temperature=1"),
    ],
)  # fmt: skip
def test_a_temperature_that_is_refused_is_said_with_what_helps(
    sampling: Sampling, refuses: Callable[[Json], bool], said: str, fix: str
) -> None:
    with faulty_server(refusing(refuses, said), takes_all=False) as seen:
        engine = engine_at(seen)
        for _ in range(2):  # it is not asked again
            with pytest.raises(ConfigError) as caught:
                ask(engine, "a", "b", "c", sampling=sampling)
        assert str(caught.value) == (
            f"the server at {seen.base_url} refuses what this judge sends: the temperature: the "
            f"server answered 400: {said.rstrip('.')}. {fix}"
        )
        items_asked = [body for body in seen.requests if not is_probe(body)]
        assert len(items_asked) == 1
        assert isinstance(one(engine_at(seen), sampling=DRAWN), Reply)


def test_a_temperature_of_one_works_where_none_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    """Some reasoning models refuse the field itself, a seed, and the older name of the limit."""

    def refuses(body: Json) -> bool:
        return bool({"temperature", "seed", "max_tokens"} & body.keys())

    script = refusing(refuses, "Unsupported parameter")
    with faulty_server(script, takes_all=False) as seen:
        found = ask(engine_at(seen), "a", "b", sampling=DRAWN)
    assert all(isinstance(reply, Reply) for reply in found)
    assert seen.requests[-1]["max_completion_tokens"] == 64
    assert "decodes at a temperature of its own" in caplog.text
    assert "the server takes no seed" in caplog.text


def test_what_is_refused_only_together_is_said() -> None:
    def refuses(body: Json) -> bool:
        return "logprobs" in body and "chat_template_kwargs" in body

    script = refusing(refuses, "not both")
    with faulty_server(script, takes_all=False) as seen, pytest.raises(ConfigError) as caught:
        ask(engine_at(seen, logprobs=True, thinking=True), choices=("1", "2"))
    assert str(caught.value).endswith(
        "log-probabilities with the temperature with whether to think (chat_template_kwargs): the "
        "server answered 400: not both. Give score=text; or: Give temperature=1, or another one "
        "that it takes; or: Leave thinking out"
    )


@pytest.mark.parametrize("known", [None, (MODEL,)])
def test_a_server_that_refuses_everything_is_said_at_once(known: tuple[str, ...] | None) -> None:
    with faulty_server(lambda *_: failure(402, "no credit"), takes_all=False) as seen:
        seen.models = known
        with pytest.raises(ConfigError) as caught:
            ask(engine_at(seen), *map(str, range(30)))
    assert str(caught.value) == (
        f"the server at {seen.base_url} refuses a short question without any option as well: the "
        f"server answered 402: no credit. Do what it says, or ask another of its models "
        f"(model='{MODEL}')"
    )
    assert len(seen.requests) <= 5


@pytest.mark.parametrize("status", [400, 404, 422])
def test_an_unknown_model_is_found_among_those_listed(status: int) -> None:
    script = refusing(lambda _: True, "bad request", status)
    with faulty_server(script, takes_all=False) as seen, pytest.raises(ConfigError) as caught:
        ask(engine_at(seen, model="judge-8b"))
    assert "unknown model 'judge-8b'. Did you mean 'judge-7b'?" in str(caught.value)


def test_a_busy_server_is_not_said_to_refuse_what_it_refuses_once() -> None:
    def script(_: int, body: Json) -> Answer:
        if is_probe(body):
            return failure(503)
        return failure(400, "too long") if "Answer a" in json.dumps(body) else completion()

    with faulty_server(script, takes_all=False) as seen:
        engine = engine_at(seen, retries=0)
        assert reason(engine) == "the server answered 400: too long"
        (reply,) = ask(engine, "b")
    assert isinstance(reply, Reply)


HARMONY = (
    "<|channel|>analysis<|message|>Score: 3.<|end|><|start|>assistant<|channel|>final<|message|>"
    "<score>4</score><|return|>"
)


@pytest.mark.parametrize("version", ["0.32.0", ""])
def test_a_vllm_is_asked_for_special_tokens(version: str) -> None:
    with faulty_server(lambda n, body: completion(HARMONY)) as seen:
        seen.version = version
        options: dict[str, Scalar] = {"base_url": seen.base_url, "model": MODEL, "video": "none"}
        judge = registry.build("openai", options).judge
        assert judge.rate(Item("a", "v", "What?", "x")) == Rating(4.0)
    asked = [body.get("skip_special_tokens") for body in seen.requests]
    assert asked == ([False] if version else [None])


def test_a_server_that_refuses_to_leave_special_tokens_goes_on_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refuses = refusing(lambda body: "skip_special_tokens" in body, "extra fields not permitted")
    with faulty_server(refuses, takes_all=False) as seen:
        seen.version = "0.1"
        replies = ask(engine_at(seen), "a", "b", "c")
    assert all(isinstance(reply, Reply) for reply in replies)
    said = [r.message for r in caplog.records if "takes special tokens off" in r.message]
    assert len(said) == 1


@pytest.mark.parametrize("end", ["<|im_end|>", "</s>\n", "<|eot_id|>", "<end_of_turn>", "<turn|>"])
def test_tokens_that_end_a_turn_are_no_part_of_a_reply(end: str) -> None:
    with faulty_server(lambda n, body: completion(f"<score>4</score>{end}")) as seen:
        (reply,) = ask(engine_at(seen), "a")
    assert isinstance(reply, Reply)
    assert reply.text == "<score>4</score>"


PARTS: Json = {
    "logprobs": {"choices": ("3", "4")},
    "skip_special_tokens": {},
    "continue_final_message": {"reply_start": "<thinking>"},
    "response_format": {"form": {"type": "object"}},
}
"""Fields of requests, each with the parts of a group that has them."""


def replaced_server(refused: set[str], said: str = "extra fields not permitted") -> Script:
    """A server that refuses the fields `refused`, to which a test adds when it has been asked."""
    sound = refusing(lambda body: bool(refused & body.keys()), said)

    def script(number: int, body: Json) -> Answer:
        answer = sound(number, body)
        is_held = is_probe(body) and "response_format" in body and answer.status == 200
        return completion('{"checked": true}') if is_held else answer

    return script


@pytest.mark.parametrize(
    ("field", "warning"),
    [
        ("logprobs", "the server gives no token log-probabilities (the server answered 400: extra"),
        ("skip_special_tokens", "the server takes special tokens off replies"),
    ],
)
def test_a_server_that_is_replaced_by_one_without_what_can_be_missed(
    field: str, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    refused: set[str] = set()
    with faulty_server(replaced_server(refused), takes_all=False) as seen:
        seen.version = "0.32.0"
        engine = engine_at(seen, logprobs="auto")
        assert isinstance(one(engine, **PARTS[field]), Reply)
        assert field in seen.requests[-1]
        refused.add(field)
        replies = ask(engine, *map(str, range(8)), **PARTS[field])
    assert all(isinstance(reply, Reply) for reply in replies)
    assert [warning in record.message for record in caplog.records].count(True) == 1


@pytest.mark.parametrize(
    ("field", "options", "fix"),
    [
        ("logprobs", {"logprobs": True}, "Give score=text"),
        ("continue_final_message", {"prefill": True}, "Give prefill=false"),
        ("response_format", {}, "Give structured=regex, which vLLM and SGLang take"),
    ],
)
def test_a_server_that_is_replaced_by_one_without_what_is_needed_ends_the_run(
    field: str, options: dict[str, Scalar], fix: str
) -> None:
    refused: set[str] = set()
    with faulty_server(replaced_server(refused), takes_all=False) as seen:
        engine = engine_at(seen, **options)
        assert isinstance(one(engine, **PARTS[field]), Reply)
        refused.add(field)
        with pytest.raises(ConfigError, match="refuses what this judge sends") as caught:
            ask(engine, "b", "c", **PARTS[field])
    assert fix in str(caught.value)


def test_a_server_that_is_replaced_by_one_that_refuses_everything_ends_the_run() -> None:
    refused: set[str] = set()
    with faulty_server(replaced_server(refused, "no credit"), takes_all=False) as seen:
        engine = engine_at(seen)
        assert isinstance(one(engine), Reply)
        refused.add("messages")
        with pytest.raises(ConfigError, match=r"refuses a short question .*: no credit"):
            ask(engine, "b")


def test_prompts_that_are_refused_at_once_are_examined_at_once() -> None:
    """While the short question of the first waits for its reply, the others are refused."""
    refuses = refusing(lambda body: "Answer long" in json.dumps(body), "too long")

    def script(number: int, body: Json) -> Answer:
        while is_probe(body) and seen.in_flight > 1:
            time.sleep(0.01)
        return refuses(number, body)

    with faulty_server(script, takes_all=False) as seen:
        engine = engine_at(seen)
        replies = ask(engine, "short", *(f"long{n}" for n in range(8)))
        (after,) = ask(engine, "short")
    assert [isinstance(reply, Reply) for reply in (*replies, after)] == [True, *[False] * 8, True]
    assert 1 <= len(list(filter(is_probe, seen.requests))) < 8
