"""The engine of chat servers when something goes wrong: servers that fail, budgets, keys."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise

import pytest
from chat_faults import (
    MODEL,
    Answer,
    ask,
    closed_port,
    completion,
    engine_at,
    failure,
    faulty_server,
    group_of,
    one,
    one_by_one,
    reason,
)

from videojudge_bench.engine import EngineError, Reply, complete_all
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._chat_answers import retry_after
from videojudge_bench.judges.engines._chat_client import FAILURES_TO_STOP
from videojudge_bench.judges.engines.openai_engine import OpenAIEngine

pytestmark = pytest.mark.timeout(60)

KEY = "sk-never-to-be-written-down"
CUT = Answer(completion().body, missing_bytes=20)
PAGE = Answer(b"<html>hello</html>", headers={"Content-Type": "text/html; charset=utf-8"})


HIDDEN = [
    Answer({"choices": None, "error": {"message": "slow down", "code": code}})
    for code in (429, "503")
]


@pytest.mark.parametrize("trouble", [*map(failure, (408, 409, 429, 500, 503)), *HIDDEN, CUT])
def test_what_may_work_later_is_tried_again(trouble: Answer) -> None:
    with faulty_server(one_by_one(trouble, completion("fine"))) as seen:
        assert one(engine_at(seen)).text == "fine"
    assert len(seen.requests) == 2
    assert seen.requests[0] == seen.requests[1]


def test_an_error_in_an_answer_of_status_200_that_lasts_is_not_tried_again() -> None:
    hidden = Answer({"choices": None, "error": {"message": "too long", "code": 400}})
    with faulty_server(one_by_one(hidden)) as seen:
        assert "the server answered 400: not a chat completion" in reason(engine_at(seen))
    assert len(seen.requests) == 1


def test_a_server_that_says_when_to_come_back_is_not_asked_earlier() -> None:
    until = datetime.now(timezone.utc) + timedelta(seconds=3)  # the header has whole seconds
    answers = (
        failure(429, Retry_After="1"),
        failure(503, Retry_After=format_datetime(until, usegmt=True)),
        completion(),
    )
    with faulty_server(one_by_one(*answers)) as seen:
        one(engine_at(seen))
    first, second = (b - a for a, b in pairwise(seen.times))
    assert first >= 1
    assert datetime.now(timezone.utc) >= until - timedelta(seconds=1)
    assert second > 0


def test_a_server_that_wants_too_long_a_wait_is_not_waited_for() -> None:
    with faulty_server(one_by_one(failure(429, "slow down", Retry_After="900"))) as seen:
        assert reason(engine_at(seen, timeout_seconds=5)) == (
            "the server answered 429: slow down (it asks to wait 900 s, longer than "
            "timeout_seconds=5)"
        )
    assert len(seen.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", 0), ("7", 7), ("0.5", 0.5), ("-3", 0), ("soon", 0), ("Mon, 01 Jan 2001 00:00:00 GMT", 0)],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float) -> None:
    assert retry_after(header) == seconds


def test_a_date_ahead_is_waited_for() -> None:
    ahead = datetime.now(timezone.utc) + timedelta(hours=1)
    assert 3590 < retry_after(format_datetime(ahead, usegmt=True)) <= 3600
    assert 3590 < retry_after(format_datetime(ahead.replace(tzinfo=None))) <= 3600


def test_it_gives_up_after_the_retries() -> None:
    with faulty_server(one_by_one(failure(500, "out of order"))) as seen:
        found = reason(engine_at(seen, retries=1))
    assert found == "the server answered 500: out of order (2 attempts)"
    assert len(seen.requests) == 2


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (failure(400, "too long"), "the server answered 400: too long"),
        (Answer({"detail": "odd"}, 422), "the server answered 422: odd"),
        (Answer({"message": "big"}, 413), "the server answered 413: big"),
        (Answer(b"plain\n words", 418), "the server answered 418: plain words"),
        (Answer(b"\xff{", 200), "not a chat completion (body: Invalid JSON"),
        (Answer({"choices": []}), "a chat completion without choices: "),
        (Answer({}), "not a chat completion (choices: Field required): {}"),
        (Answer({"choices": [{"message": {"content": 3}}]}), "(choices.0.message.content.str: "),
    ],
)
def test_other_failures_are_not_tried_again(answer: Answer, text: str) -> None:
    with faulty_server(one_by_one(answer)) as seen:
        assert text in reason(engine_at(seen))
    assert len(seen.requests) == 1


def test_a_failure_does_not_sink_its_group() -> None:
    with faulty_server(
        lambda _, body: failure(400) if "b." in body["messages"][1]["content"] else completion()
    ) as seen:
        found = ask(engine_at(seen), "a", "b", "c")
    assert [isinstance(reply, Reply) for reply in found] == [True, False, True]


def test_a_slow_answer_is_a_timeout() -> None:
    slow = Answer(completion().body, delay_seconds=2)
    with faulty_server(one_by_one(slow)) as seen:
        found = reason(engine_at(seen, timeout_seconds=0.2, retries=1))
    assert found == "no answer within timeout_seconds=0.2 (2 attempts)"


def test_what_a_server_says_is_cut_and_has_no_secrets() -> None:
    with faulty_server(one_by_one(failure(400, f"{'x' * 290} {KEY} {'y' * 300}"))) as seen:
        found = reason(engine_at(seen, api_key=KEY))
    assert seen.headers[0]["authorization"] == f"Bearer {KEY}"
    said = found.removeprefix("the server answered 400: ")
    assert len(said) == 300
    assert said.endswith("x … yyyyyy…")


def test_a_server_that_is_not_there_ends_the_run() -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    with pytest.raises(ConfigError) as caught:
        ask(OpenAIEngine(base_url=url, model=MODEL))
    assert str(caught.value).startswith(f"no server at base_url={url}: no connection (")
    assert str(caught.value).endswith(". Start it, or correct the address")


def test_a_host_that_does_not_exist_ends_the_run() -> None:
    with pytest.raises(ConfigError, match=r"no server at base_url=http://nowhere\.invalid/v1: "):
        ask(OpenAIEngine(base_url="http://nowhere.invalid/v1", model=MODEL))


@pytest.mark.parametrize(
    ("status", "key", "text"),
    [
        (401, KEY, "refuses this API key (401: bad …); correct api_key=… or OPENAI_API_KEY"),
        (403, KEY, "refuses this API key (403: bad …); correct api_key=… or OPENAI_API_KEY"),
        (401, "", f"wants an API key (401: bad {KEY}); set OPENAI_API_KEY"),
    ],
)
def test_a_key_that_is_refused_ends_the_run(status: int, key: str, text: str) -> None:
    with faulty_server(one_by_one(failure(status, f"bad {KEY}")), takes_all=False) as seen:
        with pytest.raises(ConfigError) as caught:
            ask(engine_at(seen, api_key=key))
        assert str(caught.value) == f"the server at {seen.base_url} {text}"


def test_a_key_that_is_revoked_ends_the_run_and_a_403_does_not() -> None:
    with faulty_server(one_by_one(completion(), failure(403), failure(401))) as seen:
        engine = engine_at(seen)
        first, second = ask(engine, "a", "b")
        assert isinstance(first, Reply)
        assert second == EngineError("the server answered 403: no luck")
        with pytest.raises(ConfigError, match="wants an API key"):
            ask(engine)


@pytest.mark.parametrize("status", [404, 400])
def test_a_model_unknown_to_the_server_ends_the_run(status: int) -> None:
    with faulty_server(one_by_one(failure(status, "no model 'judge-8b'"))) as seen:
        seen.models = (MODEL, "other")
        with pytest.raises(ConfigError) as caught:
            ask(engine_at(seen, model="judge-8b"))
    assert str(caught.value) == (
        "unknown model 'judge-8b'. Did you mean 'judge-7b'? Known: judge-7b, other. The server at "
        f"{seen.base_url} said ({status}): no model 'judge-8b'"
    )


def test_of_many_models_the_nearest_are_shown() -> None:
    with faulty_server(one_by_one(failure(404))) as seen:
        seen.models = [f"model-{number}" for number in range(300)] + [MODEL]
        with pytest.raises(ConfigError, match="It has 301 models, these are the nearest") as caught:
            ask(engine_at(seen, model="judge-8b"))
    assert "Did you mean 'judge-7b'?" in str(caught.value)
    assert str(caught.value).count("model-") < 20


@pytest.mark.parametrize("models", [None, (MODEL,)])
def test_a_wrong_path_ends_the_run(models: tuple[str, ...] | None) -> None:
    with faulty_server(one_by_one(failure(404, "Not Found"))) as seen:
        seen.models = models
        with pytest.raises(ConfigError) as caught:
            ask(engine_at(seen))
    assert str(caught.value) == (
        f"The server at {seen.base_url} said (404): Not Found. Correct base_url (it mostly ends in "
        f"/v1) or model='{MODEL}'"
    )


def test_a_web_site_is_no_chat_server() -> None:
    with faulty_server(one_by_one(PAGE)) as seen:
        seen.models = None
        with pytest.raises(ConfigError, match=r"<html>hello</html>\. Correct base_url"):
            ask(engine_at(seen))


def test_a_server_that_has_moved_is_named() -> None:
    moved = Answer({}, 307, {"Location": "https://elsewhere.example/v1"})
    with faulty_server(one_by_one(moved)) as seen, pytest.raises(ConfigError) as caught:
        ask(engine_at(seen))
    assert str(caught.value) == (
        f"the server at base_url={seen.base_url} sends us to https://elsewhere.example/v1 (307); "
        "give the address that it means"
    )


def test_a_server_that_never_works_ends_the_run() -> None:
    with faulty_server(one_by_one(failure(500, "out of order"))) as seen:
        engine = engine_at(seen, retries=0)
        for _ in range(FAILURES_TO_STOP - 1):
            reason(engine)
        with pytest.raises(ConfigError) as caught:
            ask(engine)
    assert str(caught.value) == (
        f"{FAILURES_TO_STOP} requests to {seen.base_url} failed one after another, so the run "
        "stops. Judgements so far are kept, and the same command resumes it. The last: the server "
        "answered 500: out of order"
    )


def test_a_server_that_goes_away_fails_items_and_then_ends_the_run() -> None:
    with faulty_server(one_by_one(completion())) as seen:
        engine = engine_at(seen, retries=0)
        one(engine)
    for _ in range(FAILURES_TO_STOP - 1):
        assert reason(engine).startswith("no connection (")
    with pytest.raises(ConfigError, match="failed one after another"):
        ask(engine)


def test_once_the_server_has_worked_failures_are_the_items_own() -> None:
    with faulty_server(one_by_one(completion(), failure(400))) as seen:
        found = ask(engine_at(seen), *map(str, range(3 * FAILURES_TO_STOP)))
    assert isinstance(found[0], Reply)
    assert set(found[1:]) == {EngineError("the server answered 400: no luck")}


def test_no_more_requests_are_sent_than_allowed() -> None:
    with faulty_server(one_by_one(failure(500), completion())) as seen:
        found = ask(engine_at(seen, max_requests=3), "a", "b", "c", "d")
    assert len(seen.requests) == 3  # one of them a second attempt
    assert [isinstance(reply, Reply) for reply in found].count(True) == 2
    assert found[3] == EngineError(
        "budget: max_requests=3 is used up; raise it and run the same command again: what was "
        "judged is kept"
    )


def test_no_more_is_spent_than_allowed() -> None:
    with faulty_server(one_by_one(completion(usage=(50, 64)))) as seen:
        # A reply of 64 tokens may cost 0.64, a prompt less than 0.1; they cost 0.69 together.
        engine = engine_at(seen, max_cost=1.5, price_in=1_000, price_out=10_000)
        found = ask(engine, "a", "b", "c", "d")
    assert len(seen.requests) == 2
    assert engine._client.budget.spent == pytest.approx(2 * 0.69)
    assert [reply.usage.cost for reply in found[:2]] == pytest.approx([0.69, 0.69])  # type: ignore[union-attr]
    assert [isinstance(reply, Reply) for reply in found].count(True) == 2
    assert isinstance(found[3], EngineError)
    assert "would pass max_cost=1.5 (0.6900 spent, 0.7" in found[3].reason


def test_a_request_that_breaks_off_counts_as_spent() -> None:
    with faulty_server(one_by_one(CUT, failure(500), completion(usage=None))) as seen:
        engine = engine_at(seen, price_in=0, price_out=1_000_000)
        cost = one(engine).usage.cost
    assert len(seen.requests) == 3
    # The request that was cut, and the one without a count.
    assert cost == engine._client.budget.spent == pytest.approx(2 * 64)


def test_cancelling_ends_what_is_in_flight() -> None:
    slow = Answer(completion().body, delay_seconds=1)
    with faulty_server(one_by_one(completion(), slow)) as seen:
        engine = engine_at(seen)

        async def leave() -> None:
            await asyncio.wait_for(complete_all(engine, group_of("a", "b", "c")), 0.4)

        with pytest.raises(asyncio.TimeoutError):
            asyncio.run(leave())
        assert len(seen.requests) == 3
        assert one(engine).text == "<score>4</score>"
