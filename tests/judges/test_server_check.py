"""What a server turns out to be able to do; what it cannot, in one sentence."""

from __future__ import annotations

import pytest
from chat_faults import (
    MODEL,
    Answer,
    Script,
    closed_port,
    completion,
    failure,
    faulty_server,
    position,
)

from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines.server_check import ServerFacts, check_server

KEY = "sk-never-to-be-written-down"


def facts_of(script: Script, model: str | None = None) -> ServerFacts:
    with faulty_server(script, takes_all=False) as seen:
        found = check_server(seen.base_url, model)
        assert [request["model"] for request in seen.requests] == [found.model] * len(seen.requests)
        assert found.address == seen.base_url
    return found


def problem_of(script: Script) -> str:
    with faulty_server(script, takes_all=False) as seen, pytest.raises(ConfigError) as caught:
        check_server(seen.base_url)
    return str(caught.value)


def test_a_server_with_probabilities() -> None:
    tokens = [position(token) for token in ("<score>", "5", "</score>")]
    found = facts_of(lambda *_: completion("<score>5</score>", logprobs=tokens))
    assert (found.models, found.model, found.logprobs) == ((MODEL,), MODEL, True)
    assert found.seconds > 0


def test_a_server_that_leaves_them_out() -> None:
    assert facts_of(lambda *_: completion()).logprobs is False


def test_a_server_that_refuses_them_is_asked_again_without() -> None:
    def script(_: int, request: dict[str, object]) -> Answer:
        if "logprobs" in request:
            return failure(400, "logprobs is not supported")
        return completion()

    assert facts_of(script).logprobs is False


def test_what_it_takes_and_what_not() -> None:
    """A vLLM as it starts by default, with a model of images."""

    def script(_: int, request: dict[str, object]) -> Answer:
        if "media_io_kwargs" in request:
            return failure(400, "Start the server with --trust-request-mm-kwargs only when")
        return completion()

    (refusal,) = facts_of(script).refusals
    assert refusal.features == ("video",)
    assert str(refusal) == (
        "frames as one video with their times: the server answered 400: Start the server with "
        "--trust-request-mm-kwargs only when. Start it with --trust-request-mm-kwargs, or give "
        "send=frames"
    )
    assert facts_of(lambda *_: completion()).refusals == ()


def test_an_empty_reply_says_nothing_about_probabilities() -> None:
    assert facts_of(lambda *_: completion("")).logprobs is None


def test_a_model_of_ones_choice() -> None:
    assert facts_of(lambda *_: completion(), "another").model == "another"


def test_a_server_that_lists_nothing_is_asked_all_the_same() -> None:
    with faulty_server(lambda *_: completion(), takes_all=False) as seen:
        seen.models = None
        found = check_server(seen.base_url)
    assert (found.models, found.model) == ((), "default")


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (lambda *_: failure(401), "wants an API key (401: no luck); set OPENAI_API_KEY"),
        (lambda *_: failure(307, Location="http://else/v1"), "sends us to http://else/v1 (307)"),
        (lambda *_: failure(404, "no such page"), "Correct base_url (it mostly ends in /v1)"),
        (lambda *_: failure(500), "gives no reply: the server answered 500: no luck. Look at its"),
    ],
)
def test_what_does_not_work(script: Script, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert text in problem_of(script)


def test_nobody_listens_and_nothing_secret_is_said() -> None:
    address = f"http://anna:{KEY}@127.0.0.1:{closed_port()}/v1?key={KEY}"
    with pytest.raises(ConfigError) as caught:
        check_server(address)
    assert "no server at base_url=http://…@127.0.0.1:" in str(caught.value)
    assert KEY not in str(caught.value)
    assert "anna" not in str(caught.value)


def test_an_address_that_is_none() -> None:
    with pytest.raises(ConfigError, match="expected an address such as http://localhost:8000/v1"):
        check_server("localhost:8000")
