"""The served page: labels are on disk as they are given, and only this machine reaches it."""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from label_cases import SCALE, content, files

from videojudge_bench.errors import ConfigError
from videojudge_bench.labelling.page import Round
from videojudge_bench.labelling.server import Labels, Server
from videojudge_bench.labelling.session import Session

sys.path.insert(0, str(Path(__file__).parents[1] / "answers"))
from answer_rows import read


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """A server of 6 answers about 3 videos of 10, one of which has a file."""
    session = Session.of(*files(tmp_path, videos=10), [], SCALE)
    picked = session.picked(6, seed=0)
    (tmp_path / f"{picked[0].unit.item.video_id}.mp4").write_bytes(bytes(range(100)))
    labels = Labels(session, Round.of(session, picked, tmp_path, SCALE), tmp_path / "human.jsonl")
    with Server(labels, 0, lambda s: f"{len(s.human.means)} labels") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    server: Server, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"Content-Type": "application/json", **named}
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    connection.request(method, path, text, given)
    reply = connection.getresponse()
    answer = reply.status, reply.read()
    connection.close()
    return answer


def give(server: Server, annotator: str, row: int, rating: object) -> int:
    body = {"annotator": annotator, "row": row, "rating": rating}
    return ask(server, "POST", "/labels", body)[0]


def test_labels_are_written_as_they_are_given(served: Server) -> None:
    output = served.labels.output
    assert give(served, "ann", 0, 4) == 200
    assert give(served, "bob", 0, 2) == 200
    assert give(served, "ann", 1, 5) == 200
    by_id = {row["id"]: row for row in read(output)}
    first, second = (each.unit.id for each in served.labels.round.picked[:2])
    assert by_id[first]["ratings"] == [4, 2]
    assert by_id[second]["labels"]["annotators"] == "ann"  # type: ignore[index]
    # A skip takes a rating back, and the last rating counts.
    assert give(served, "ann", 1, None) == give(served, "bob", 0, 5) == 200
    (row,) = read(output)
    assert row["ratings"] == [4, 5]
    assert ask(served, "GET", "/labels?annotator=ann") == (200, b'{"0": 4.0}')
    assert ask(served, "GET", "/progress") == (200, b"1 labels")


def test_the_same_command_resumes(served: Server, tmp_path: Path) -> None:
    give(served, "ann", 2, 3)
    source, verdicts = tmp_path / "answers.jsonl", tmp_path / "v.jsonl"
    session = Session.of(source, verdicts, [served.labels.output], SCALE)
    picked = Session.of(source, verdicts, [], SCALE).picked(6, seed=0)
    labels = Labels(session, Round.of(session, picked, None, SCALE), tmp_path / "human.jsonl")
    assert labels.of("ann") == {2: 3}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"annotator": "ann", "row": 6, "rating": 3}, 400),
        ({"annotator": "ann", "row": 0, "rating": 9}, 400),
        ({"annotator": "ann", "row": 0, "rating": 2.5}, 400),
        ({"annotator": "a,b", "row": 0, "rating": 3}, 400),
        ({"annotator": "", "row": 0, "rating": 3}, 400),
        ("no JSON", 400),
        ("x" * 20_000, 413),
    ],
)
def test_bad_labels_are_refused(served: Server, body: object, status: int) -> None:
    assert ask(served, "POST", "/labels", body)[0] == status
    assert not served.labels.output.exists()


def test_other_sites_give_no_labels_and_read_nothing(served: Server) -> None:
    label = {"annotator": "ann", "row": 0, "rating": 3}
    assert ask(served, "POST", "/labels", label, Content_Type="text/plain")[0] == 415
    assert ask(served, "GET", "/", Host="evil.example:80")[0] == 403
    assert ask(served, "POST", "/labels", label, Host="evil.example")[0] == 403
    assert not served.labels.output.exists()
    assert served.server_address[0] == "127.0.0.1"


def test_the_page_and_parts_of_videos(served: Server) -> None:
    status, page = ask(served, "GET", "/")
    data = content(page.decode())
    assert (status, data["served"]) == (200, True)
    url = data["rows"][0]["video"]
    assert {row["video"] for row in data["rows"]} == {url, None}
    assert ask(served, "GET", f"/{url}") == (200, bytes(range(100)))
    assert ask(served, "GET", f"/{url}", Range="bytes=10-19") == (206, bytes(range(10, 20)))
    assert ask(served, "GET", f"/{url}", Range="bytes=90-") == (206, bytes(range(90, 100)))
    assert ask(served, "GET", f"/{url}", Range="bytes=500-") == (200, bytes(range(100)))
    for path in ("/video/99", "/video/../human.jsonl", "/other"):
        assert ask(served, "GET", path)[0] == 404


def test_a_port_that_is_taken(served: Server) -> None:
    port = served.server_address[1]
    with pytest.raises(ConfigError, match=f"--port {port}: .* give another, or 0"):
        Server(served.labels, port, str)
