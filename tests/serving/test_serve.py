"""The verb `serve`, with real servers on loopback: what is answered, and what is refused."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from judge_servers import Server, pair, row, scores, serving, serving_here, started

from videojudge_bench.answers import judge_answers
from videojudge_bench.registry import build
from videojudge_bench.run.identity import JudgeIdentity

JUDGES = Path(__file__).with_name("judges_to_serve.py")


@pytest.fixture(scope="module")
def longest() -> Iterator[Server]:
    with serving_here("longest") as server:
        yield server


def _gated(folder: Path) -> str:
    return f"{JUDGES}:Gated,gate={folder}/gate,log={folder}/log"


def _until(path: Path, lines: int) -> list[str]:
    """Wait for lines of a file, which are those of the batches that a judge was given."""
    for _ in range(3000):
        if path.exists() and len(found := path.read_text("utf-8").splitlines()) >= lines:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{path} has no {lines} lines")


def test_scores_are_those_of_the_verb_judge() -> None:
    rows = [row(), row("A cat sleeps.", id="cat"), row("", id="empty")]
    with serving("compact") as server:
        found = server.score(*rows)
        about = server.get("/v1/judge").json
        assert server.stop() == 0
    expected = judge_answers(rows, "compact").lines
    # The last digit of an encoder depends on how many texts are encoded together.
    assert scores(found) == pytest.approx(scores(expected), abs=1e-5)
    assert [{**line, "score": 0} for line in found] == [{**line, "score": 0} for line in expected]
    built = build("compact", {})
    assert about["identity"] == JudgeIdentity.of(built, scale=None, learned={}).hash
    assert about["requires"] == ["references"]


def test_equal_rows_are_answered_each(longest: Server) -> None:
    assert scores(longest.score(row("a b"), row("a b"), row("a"))) == [2, 2, 1]


def test_one_id_for_two_rows_is_no_mistake(longest: Server) -> None:
    assert scores(longest.score(row("a b", id="x"), row("a", id="x"), row("", id="x"))) == [2, 1, 0]


def test_pairs_are_judged_in_both_orders_or_in_one(longest: Server) -> None:
    rows = [pair("a b", "c", id="p"), pair("a", "a", id="same")]
    both = longest.post("/v1/prefer", {"rows": rows}).json["results"]
    assert both == judge_answers(rows, "longest").lines
    one = longest.post("/v1/prefer", {"rows": rows[:1], "both_orders": False}).json["results"]
    assert (one[0]["preference"], one[0]["p_a"]) == ("a", 1.0)
    assert one[0]["orders"] == [{"first": "a", "p_first": 1.0}]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "not a JSON object"),
        (b"\xff", 400, "not a JSON object"),
        ([], 422, "Input should be an object"),
        ({}, 422, "field 'rows': the field is missing"),
        ({"rows": [row(ratings=[1])]}, 422, "field 'rows[0].ratings': the field is unknown"),
        ({"rows": [row(), {"video_id": "x"}]}, 422, "rows[1].instruction"),
        ({"rows": [pair("a", "b")]}, 422, "rows[0]': expected response; pairs go to /v1/prefer"),
        ({"rows": [row()] * 10_000}, 413, "expected up to 1024 rows, got 10000"),
        ({"rows": [row("x" * (17 << 20))]}, 413, "expected a body of up to 16777216 bytes"),
        ({"rows": [row(video="http://x/y.mp4")]}, 422, "got a URL"),
        ({"rows": [row(video="../y.mp4")]}, 422, "a path inside its folder is needed"),
        ({"rows": [row(video="/etc/passwd")]}, 422, "a path inside its folder is needed"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    longest: Server, body: object, status: int, said: str
) -> None:
    answer = longest.post("/v1/score", body)
    assert (answer.status, said in answer.error) == (status, True), answer.error


def test_a_row_that_is_too_long_does_not_refuse_the_others(longest: Server) -> None:
    short, long = longest.score(row("a b"), row("x" * ((1 << 20) + 1)))
    assert short["score"] == 2
    assert long["score"] is None
    assert long["unparsed"].startswith("row too long: 1048601 characters")
    description = longest.score(row("a", description="x" * (1 << 20)))[0]
    assert description["unparsed"].startswith("row too long")


def test_a_body_without_its_length_is_limited_too(longest: Server) -> None:
    parts = urlsplit(longest.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    chunks = (b" " * (1 << 20) for _ in range(20))
    headers = {"content-type": "application/json"}
    connection.request("POST", "/v1/score", chunks, headers, encode_chunked=True)
    assert connection.getresponse().status == 413


def test_other_content_is_refused(longest: Server) -> None:
    answer = longest.post("/v1/score", {"rows": []}, content_type="text/plain")
    assert (answer.status, answer.error) == (
        415,
        "expected content-type application/json, got text/plain",
    )


def test_a_judge_without_its_references_says_so_row_by_row() -> None:
    with serving("rouge_l") as server:
        good, bad = server.score(row(), row(references=[]))
    precision, recall, weight = 3 / 5, 1, 1.2**2
    expected = (1 + weight) * precision * recall / (recall + weight * precision)
    assert good["score"] == pytest.approx(expected)
    assert (bad["score"], bad["unparsed"]) == (None, "no reference with a word in it")


def test_a_judge_that_learns_from_a_set_cannot_be_served() -> None:
    process = started("cider")
    assert process.communicate(timeout=120)[1].startswith(
        "videojudge: error: judge cider learns from a whole gold set"
    )
    assert process.returncode == 2


def test_a_token_is_asked_for_and_required_beyond_this_machine() -> None:
    with serving("longest", token="sesame") as server:
        refused = [
            server.post("/v1/score", {"rows": [row()]}, authorization=given).status
            for given in ("", "Bearer", "Bearer open", "sesame", "bearer sesame\xe9")
        ]
        assert refused == [401] * 5
        assert server.get("/v1/judge").status == server.get("/metrics").status == 401
        assert server.get("/health").status == 200
        given = {"authorization": "Bearer sesame"}
        assert server.post("/v1/score", {"rows": [row()]}, **given).status == 200
    process = started("longest", "--host", "0.0.0.0")
    assert "expected a token, because other machines reach" in process.communicate(timeout=120)[1]
    assert process.returncode == 2


def test_videos_come_from_the_folder_alone(tmp_path: Path) -> None:
    folder, outside = tmp_path / "videos", tmp_path / "secret.mp4"
    (folder / "sub").mkdir(parents=True)
    outside.write_bytes(b"1234567")
    (folder / "garden.mp4").write_bytes(b"123")
    (folder / "sub/other.webm").write_bytes(b"12345")
    (folder / "broken.mp4").touch()
    (folder / "out.mp4").symlink_to(outside)
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "in.mp4").symlink_to("garden.mp4")
    with serving(f"{JUDGES}:Watches", "--videos", str(folder)) as server:
        names = ("garden", "in", "sub/other", "../secret", "out", "loop", "none", "a\0b", "x" * 999)
        found = server.score(*(row(video_id=name) for name in names))
        assert scores(found) == [3, 3, *[None] * 7]
        assert all(line["unparsed"].startswith("video missing: no file") for line in found[2:])
        named = server.score(row(video="sub/other.webm"), row(video_id="b", video="out.mp4"))
        assert scores(named) == [5, None]
        (broken,) = server.score(row(video_id="broken"))
        assert broken["unparsed"] == "judge failed: ValueError: broken.mp4 is broken"
        (folder / "new.mp4").write_bytes(b"1")
        assert scores(server.score(row(video_id="new"))) == [1]


def test_rows_of_a_group_that_wait_together_are_judged_together(tmp_path: Path) -> None:
    with serving(_gated(tmp_path)) as server, ThreadPoolExecutor(9) as clients:
        first = clients.submit(server.score, row(id="first"))
        _until(tmp_path / "log", 1)
        others = [
            clients.submit(server.score, row("x" * n, id=f"{video}{n}", video_id=video))
            for n in range(4)
            for video in ("a", "b")
        ]
        while server.figure("videojudge_rows_waiting") < 8:
            time.sleep(0.01)
        (tmp_path / "gate").touch()
        assert scores(first.result()) == [18]
        assert [scores(each.result()) for each in others] == [[n] for n in range(4) for _ in "ab"]
        assert server.figure("videojudge_batch_groups_total") == 3
    batch = [name[0] for name in _until(tmp_path / "log", 2)[1].split()]
    assert sorted(batch) == list("aaaabbbb")
    assert batch in ([*"aaaabbbb"], [*"bbbbaaaa"])


def test_a_full_queue_says_when_to_come_again(tmp_path: Path) -> None:
    with serving(_gated(tmp_path)) as server, ThreadPoolExecutor(9) as clients:
        taken = [clients.submit(server.score, row(id="first"))]
        _until(tmp_path / "log", 1)
        full = [row(id=str(n)) for n in range(1024)]
        taken += [clients.submit(server.score, *full) for _ in range(8)]
        while server.figure("videojudge_rows_waiting") < 8192:
            time.sleep(0.01)
        answer = server.post("/v1/score", {"rows": [row()]})
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert "8192 rows are waiting, and 8192 is the most" in answer.error
        (tmp_path / "gate").touch()
        assert [len(each.result()) for each in taken] == [1, *[1024] * 8]


def test_rows_of_a_client_that_hangs_up_are_not_judged(tmp_path: Path) -> None:
    with serving(_gated(tmp_path)) as server, ThreadPoolExecutor(1) as clients:
        first = clients.submit(server.score, row(id="first"))
        _until(tmp_path / "log", 1)
        body = json.dumps({"rows": [row(id="gone")]}).encode()
        head = f"POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
        address = urlsplit(server.url)
        with socket.create_connection((str(address.hostname), address.port or 0)) as client:
            client.sendall(f"{head}content-type: application/json\r\n\r\n".encode() + body)
            while server.figure("videojudge_rows_waiting") < 1:
                time.sleep(0.01)
        while server.figure('videojudge_requests_total{path="/v1/score",status="499"}') < 1:
            time.sleep(0.01)
        (tmp_path / "gate").touch()
        assert scores(first.result()) == [18]
        assert scores(server.score(row(id="last"))) == [18]
    assert _until(tmp_path / "log", 2) == ["first", "last"]


def test_what_was_taken_is_answered_before_the_end(tmp_path: Path) -> None:
    with serving(_gated(tmp_path)) as server, ThreadPoolExecutor(2) as clients:
        taken = [clients.submit(server.score, row(id="first"))]
        _until(tmp_path / "log", 1)
        taken.append(clients.submit(server.score, row(id="waits")))
        while server.figure("videojudge_rows_waiting") < 1:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        (tmp_path / "gate").touch()
        assert [scores(each.result()) for each in taken] == [[18], [18]]
        assert server.process.wait(60) == 0


def test_a_row_in_the_journal_is_not_judged_again(tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    options = (_gated(tmp_path), "--journal", str(tmp_path / "journal"))
    with serving(*options) as server:
        first = server.score(row(id="a"), row("b", id="b"))
        second = started(*options, "--port", "0")
        assert "another process is writing" in second.communicate(timeout=120)[1]
        assert second.returncode == 2
        server.process.kill()
    with serving(*options) as server:
        assert server.score(row("b", id="b"), row(id="a"), row("new", id="c"))[:2] == first[::-1]
        assert server.stop() == 0
    assert _until(tmp_path / "log", 2) == ["a b", "c"]


def test_the_openapi_page_knows_the_rows(longest: Server) -> None:
    page = longest.get("/openapi.json").json
    body = page["paths"]["/v1/score"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/ScoreRequest"}
    assert "response" in page["components"]["schemas"]["AnswerRow"]["properties"]
    assert longest.get("/docs").status == 200
