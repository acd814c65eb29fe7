"""The engine of chat servers at work: what it sends, in which order, what it reads."""

from __future__ import annotations

import base64
import io
import threading
from pathlib import Path

import numpy as np
import pytest
from chat_faults import (
    MODEL,
    Answer,
    Json,
    ask,
    completion,
    engine_at,
    failure,
    faulty_server,
    is_probe,
    one,
    one_by_one,
    reason,
)
from PIL import Image

from videojudge_bench import registry, tasks
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import EngineError, Prefix, Reply, Sampling
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines.openai_engine import OpenAIEngine
from videojudge_bench.verdicts import Usage
from videojudge_bench.video import FrameBatch, FramePolicy, load_frames

pytestmark = pytest.mark.timeout(60)

VIDEO = Path(tasks.__path__[0]) / "sample" / "videos" / "mdn_frog.webm"
SMALL = {"max_frames": 4, "max_pixels": 112 * 112}
SHOWN = Prefix("Be strict.", "Shared. ", VIDEO)
SCALE = ("1", "2", "3", "4", "5")
KEY = "sk-never-to-be-written-down"


def test_a_text_is_asked_as_every_server_takes_it() -> None:
    with faulty_server(one_by_one(completion())) as seen:
        found = one(engine_at(seen))
    assert seen.requests == [
        {
            "model": MODEL,
            "temperature": 0.0,
            "max_tokens": 64,
            "messages": [
                {"role": "system", "content": "Be strict."},
                {"role": "user", "content": "Shared. Answer a."},
            ],
        }
    ]
    assert found.text == "<score>4</score>"
    assert found.finished
    assert (found.usage.input_tokens, found.usage.output_tokens) == (100, 10)
    assert found.usage.seconds > 0


def test_an_empty_system_is_left_out() -> None:
    with faulty_server(one_by_one(completion())) as seen:
        one(engine_at(seen), prefix=Prefix("", "Hello "))
    assert [message["role"] for message in seen.requests[0]["messages"]] == ["user"]


def test_frames_are_images_with_their_times_pixel_by_pixel() -> None:
    with faulty_server(one_by_one(completion())) as seen:
        ask(engine_at(seen, **SMALL), "a", "b", prefix=SHOWN)
    batch = _frames()
    first, second = (request["messages"][1]["content"] for request in seen.requests)
    *shown, text = first
    assert text == {"type": "text", "text": "Shared. Answer a."}
    assert second == [*shown, {"type": "text", "text": "Shared. Answer b."}]
    times = [part["text"] for part in shown[::2]]
    assert times == [f"{seconds:.1f} s:" for seconds in batch.times_seconds]
    for part, frame in zip(shown[1::2], batch.frames, strict=True):
        kind, _, data = part["image_url"]["url"].partition(";base64,")
        assert kind == "data:image/png"
        assert np.array_equal(_picture(data), frame)


def test_a_large_request_goes_out_whole_and_may_be_sent_again() -> None:
    with faulty_server(one_by_one(failure(500), completion())) as seen:
        one(engine_at(seen, max_frames=6), prefix=SHOWN)
    first, second = seen.requests
    assert first == second
    assert len(first["messages"][1]["content"]) == 6 * 2 + 1
    assert int(seen.headers[0]["content-length"]) > 4 * 2**18  # more than a few slices
    assert "transfer-encoding" not in seen.headers[0]


def test_jpeg_frames_are_smaller_and_nearly_the_same() -> None:
    sizes = {}
    for quality in (None, 90):
        with faulty_server(one_by_one(completion())) as seen:
            one(engine_at(seen, jpeg_quality=quality, **SMALL), prefix=SHOWN)
        url = seen.requests[0]["messages"][1]["content"][1]["image_url"]["url"]
        sizes[quality] = len(url)
    assert url.startswith("data:image/jpeg;base64,")
    assert sizes[90] < sizes[None] / 2
    difference = _picture(url.partition(",")[2]).astype(int) - _frames().frames[0]
    assert 0 < np.abs(difference).mean() < 5


def test_frames_as_one_video_keep_their_times() -> None:
    with faulty_server(one_by_one(completion())) as seen:
        one(engine_at(seen, send="video", **SMALL), prefix=SHOWN)
    batch = _frames()
    (request,) = seen.requests
    video, text = request["messages"][1]["content"]
    assert text["text"] == "Shared. Answer a."
    kind, _, data = video["video_url"]["url"].partition(";base64,")
    assert kind == "data:video/jpeg"
    pictures = [_picture(frame) for frame in data.split(",")]
    assert np.array_equal(np.stack(pictures), batch.frames)
    told = request["media_io_kwargs"]["video"]
    assert (told["num_frames"], told["do_sample_frames"]) == (-1, False)
    times = [index / told["fps"] for index in told["frames_indices"]]
    assert times == pytest.approx(batch.times_seconds, abs=0.0005)
    assert "mm_processor_kwargs" not in request, "the model's own sizes are not known"


def test_without_a_video_a_prompt_is_plain_text() -> None:
    with faulty_server(one_by_one(completion())) as seen:
        one(engine_at(seen), prefix=Prefix("s", "t"))
    assert isinstance(seen.requests[0]["messages"][1]["content"], str)


@pytest.mark.parametrize("thinking", [True, False, None])
def test_whether_a_model_thinks_is_told_to_its_chat_template(thinking: bool | None) -> None:
    with faulty_server(one_by_one(completion())) as seen:
        engine = engine_at(seen, thinking=thinking)
        one(engine)
    told = seen.requests[0].get("chat_template_kwargs")
    assert told == (None if thinking is None else {"enable_thinking": thinking})
    assert engine.settings()["thinking"] is thinking


def test_a_video_that_cannot_be_read_fails_its_group_alone(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"nonsense")
    with faulty_server(one_by_one(completion())) as seen:
        engine = engine_at(seen)
        found = ask(engine, "a", "b", prefix=Prefix("s", "t", tmp_path / "broken.mp4"))
        assert one(engine).finished
    assert [isinstance(error, EngineError) for error in found] == [True, True]
    assert str(tmp_path / "broken.mp4") in str(found[0])
    assert len(seen.requests) == 1


def test_the_first_of_a_group_goes_alone_and_the_rest_together() -> None:
    together = threading.Barrier(4, timeout=20)
    alone: list[bool] = []

    def script(number: int, _: Json) -> Answer:
        if number == 0:
            alone.append(seen.in_flight == 1)
            return Answer(completion().body, delay_seconds=0.2)
        together.wait()  # passes when all four are here
        return completion()

    with faulty_server(script) as seen:
        found = ask(engine_at(seen), "a", "b", "c", "d", "e")
    assert all(isinstance(reply, Reply) for reply in found)
    assert alone == [True]
    assert seen.times[1] - seen.times[0] >= 0.2
    assert seen.requests[0]["messages"][1]["content"] == "Shared. Answer a."


def test_replies_come_in_the_order_of_the_continuations() -> None:
    def script(number: int, body: Json) -> Answer:
        said = body["messages"][1]["content"]
        return Answer(completion(said).body, delay_seconds=0.3 / (1 + number))

    with faulty_server(script) as seen:
        found = ask(engine_at(seen), "a", "b", "c", "d")
    texts = [reply.text for reply in found if isinstance(reply, Reply)]
    assert texts == [f"Shared. Answer {name}." for name in "abcd"]


def test_no_more_requests_are_in_flight_than_allowed() -> None:
    slow = Answer(completion().body, delay_seconds=0.05)
    with faulty_server(one_by_one(slow)) as seen:
        ask(engine_at(seen, max_concurrency=3), *map(str, range(13)))
    assert seen.most_in_flight == 3


def test_an_engine_works_on_one_loop_after_another_and_after_close() -> None:
    with faulty_server(one_by_one(completion())) as seen:
        engine = engine_at(seen)
        for _ in range(3):  # a loop each, as `rate` has
            one(engine)
        engine.close()
        one(engine)
    assert len(seen.requests) == 4


@pytest.mark.parametrize(
    ("answer", "text", "finished"),
    [
        (completion("half a rep", finish="length"), "half a rep", False),
        (completion(None, finish="length"), "", False),
        (completion(None), "", True),
        (completion("whole", usage=None), "whole", True),
    ],
)
def test_a_reply_that_was_cut_says_so(answer: Answer, text: str, finished: bool) -> None:
    with faulty_server(one_by_one(answer)) as seen:
        found = one(engine_at(seen))
    assert (found.text, found.finished) == (text, finished)
    if answer.body == completion("whole", usage=None).body:
        assert found.usage == Usage(0, 0, found.usage.seconds)


def test_drawing_is_seeded_by_item() -> None:
    seeds = []
    for _ in range(2):
        with faulty_server(one_by_one(completion())) as seen:
            ask(engine_at(seen), "a", "b", sampling=Sampling(0.7, 64, seed=3))
        seeds.append([request["seed"] for request in seen.requests])
    assert seeds[0] == seeds[1]
    assert seeds[0][0] != seeds[0][1]
    assert {request["temperature"] for request in seen.requests} == {0.7}


def test_a_video_always_goes_to_the_same_replica() -> None:
    with faulty_server(one_by_one(completion())) as seen:
        engine = engine_at(seen, replicas=4)
        for name in "abcdefgh":
            ask(engine, "1", "2", "3", prefix=Prefix("s", f"About {name}: "))
    ranks = [int(headers["x-data-parallel-rank"]) for headers in seen.headers]
    groups = [ranks[start : start + 3] for start in range(0, len(ranks), 3)]
    assert all(len(set(group)) == 1 for group in groups)
    assert 1 < len(set(ranks)) <= 4


def test_probabilities_are_asked_for_only_when_wanted() -> None:
    with faulty_server(one_by_one(completion())) as seen:
        one(engine_at(seen, logprobs=False), choices=SCALE)
        one(engine_at(seen))
    assert not [request for request in seen.requests if "logprobs" in request]


@pytest.mark.parametrize(
    "without", [completion("<score>4"), failure(400, "logprobs is not supported")]
)
def test_a_server_without_probabilities_is_not_asked_again(without: Answer) -> None:
    def script(_: int, body: Json) -> Answer:
        return without if "logprobs" in body else completion("<score>4")

    with faulty_server(script, takes_all=False) as seen:
        engine = engine_at(seen)
        assert "logprobs" in engine.capabilities
        assert one(engine, choices=SCALE).probabilities == {}
        assert one(engine, choices=SCALE).text == "<score>4"
        assert "logprobs" not in engine.capabilities
        assert "logprobs" not in seen.requests[-1]
    with (
        faulty_server(script, takes_all=False) as seen,
        pytest.raises(ConfigError, match=r"log-probabilities.*[Gg]ive score=text"),
    ):
        ask(engine_at(seen, logprobs=True), choices=SCALE)


def test_a_model_that_wants_its_limit_under_another_name_gets_it() -> None:
    def script(_: int, body: Json) -> Answer:
        if "max_tokens" in body:
            return failure(400, "Unsupported: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return completion()

    with faulty_server(script, takes_all=False) as seen:
        assert all(isinstance(reply, Reply) for reply in ask(engine_at(seen), "a", "b", "c"))
    asked = [request for request in seen.requests if not is_probe(request)]
    assert [request.get("max_completion_tokens") for request in asked] == [None, 64, 64, 64]


def test_the_settings_say_what_the_model_saw_and_not_where_it_runs() -> None:
    engine = OpenAIEngine(
        base_url="http://host/v1", model=MODEL, api_key=KEY, max_frames=8, jpeg_quality=90
    )
    assert engine.settings() == {
        "model": MODEL,
        "send": "frames",
        **FramePolicy(max_frames=8).settings(),
        "image": "jpeg90",
        "prefill": False,
        "thinking": None,
    }
    assert KEY not in repr(engine) + str(vars(engine))


def test_the_key_of_the_environment_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with faulty_server(one_by_one(completion())) as seen:
        one(engine_at(seen))
        one(engine_at(seen, api_key=123))
    keys = [headers["authorization"] for headers in seen.headers]
    assert keys == [f"Bearer {KEY}", "Bearer 123"]


def test_a_password_in_the_address_is_used_and_never_shown() -> None:
    with faulty_server(one_by_one(failure(400, "no to tom:hunter2"), failure(401))) as seen:
        engine = engine_at(seen, base_url=seen.base_url.replace("://", "://tom:hunter2@"))
        assert reason(engine) == "the server answered 400: no to …"
        with pytest.raises(ConfigError) as caught:
            ask(engine)
    assert seen.headers[0]["authorization"] == f"Basic {base64.b64encode(b'tom:hunter2').decode()}"
    assert "://…@127.0.0.1" in str(caught.value)


def test_bad_options_are_all_named_and_the_key_is_not() -> None:
    bad: dict[str, Scalar] = {
        "base_url": "localhost:8000",
        "model": "",
        "api_key": f"{KEY}\n",
        "retries": -1,
        "max_concurrency": 0,
        "timeout_seconds": 0,
        "send": "film",
        "logprobs": "maybe",
        "jpeg_quality": 0,
        "max_requests": 0,
        "max_cost": 1.0,
        "price_in": -1,
        "replicas": 0,
    }
    with pytest.raises(ConfigError) as caught:
        registry.build_engine("openai", bad)
    text = str(caught.value)
    assert text.startswith("engine 'openai', 13 problems:")
    for part in (
        "base_url='localhost:8000': expected an address such as http://localhost:8000/v1",
        "option 'model' is missing: give the name that the server knows it by, or pretrained=…",
        "api_key has characters that no key has: copy it again",
        "retries=-1: expected a whole number from 0 up",
        "max_concurrency=0: expected a whole number from 1 up",
        "timeout_seconds=0: expected a number above 0",
        "send='film': expected one of frames, video",
        "logprobs='maybe': expected one of true, false, auto",
        "jpeg_quality=0: expected a number from 1 to 100",
        "max_cost needs price_out=…, the price of a million tokens",
    ):
        assert part in text
    assert KEY not in text


def _frames() -> FrameBatch:
    least = SMALL["max_pixels"]  # the policy's own default is more
    return load_frames(VIDEO, FramePolicy(max_frames=4, min_pixels=least, max_pixels=least))


def _picture(data: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
