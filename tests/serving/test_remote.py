"""`judge=remote`: a served judge gives the same verdicts under the same identity."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest
from judge_servers import pair, row, serving

from videojudge_bench import Item, Pair, Rating, RunOptions, goldsets
from videojudge_bench.answers import judge_answers
from videojudge_bench.cli.main import main
from videojudge_bench.errors import ConfigError
from videojudge_bench.registry import build
from videojudge_bench.run.runner import Run

JUDGES = Path(__file__).with_name("judges_to_serve.py")


@pytest.mark.parametrize("name", ["vcg", "pairwise"])
def test_a_set_judged_here_needs_no_asking_there(name: str, tmp_path: Path) -> None:
    """Keys, folder and signature of a journal are those of the served judge."""
    gold_set = goldsets.load(name)
    ids = list(gold_set.by_id)
    options = RunOptions(journal=tmp_path, references="all")
    with serving("longest") as server:
        remote = build("remote", {"url": server.url, "rows": 7})
        elsewhere = Run(remote, gold_set, RunOptions(journal=tmp_path / "other"))
        answered = elsewhere.judge(ids)
        n_rows = server.figure("videojudge_rows_total")
        here = Run(build("longest", {}), gold_set, options)
        assert here.judge(ids) == answered
        there = Run(remote, gold_set, options)
        assert (there.folder, there.signature(ids)) == (here.folder, here.signature(ids))
        assert there.judge(ids) == answered
        assert server.figure("videojudge_rows_total") == n_rows == len(ids)


def test_a_judge_of_a_user_is_named_with_its_source(tmp_path: Path) -> None:
    (tmp_path / "garden.mp4").write_bytes(b"123")
    judge = f"{JUDGES}:Watches"
    with serving(judge, "--videos", str(tmp_path)) as server:
        remote = build("remote", {"url": server.url})
        item = Item("a", "garden", "What happens?", "A dog digs.")
        assert remote.judge.rate(item) == Rating(3)  # the video is the server's
    signature = remote.signature()
    assert signature.pop("class_source", "") != ""
    assert signature == build(judge, {}).signature()
    assert remote.judge.requires == frozenset()


def test_the_verb_judge_asks_a_server(tmp_path: Path) -> None:
    rows = [row(id="a"), row("A cat.", id="b"), row(id="c", references=[])]
    answers, output = tmp_path / "answers.jsonl", tmp_path / "verdicts.jsonl"
    answers.write_text("".join(f"{json.dumps(each)}\n" for each in rows), "utf-8")
    with serving("rouge_l") as server:
        judge = f"remote,url={server.url}"
        assert main(["judge", str(answers), "--judge", judge, "-o", str(output)]) == 0
        pairs = judge_answers([pair("A dog digs.", "A cat.")], judge).lines
    lines = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert lines == judge_answers(rows, "rouge_l").lines
    assert pairs == judge_answers([pair("A dog digs.", "A cat.")], "rouge_l").lines


def test_a_server_that_comes_back_is_asked_again() -> None:
    with serving("longest") as server:
        remote = build("remote", {"url": server.url, "patience": 120})
        port = server.url.rsplit(":", 1)[1]
        server.stop(signal.SIGKILL)
    found = list[object]()
    asking = threading.Thread(
        target=lambda: found.extend(remote.judge.judge([Item("a", "v", "do", "a b c")]))
    )
    asking.start()
    with serving("longest", "--port", port):
        asking.join(120)
    assert [getattr(each, "verdict", None) for each in found] == [Rating(3)]


def test_another_judge_at_the_same_address_is_found_out() -> None:
    with serving("longest") as server:
        remote = build("remote", {"url": server.url})
        port = server.url.rsplit(":", 1)[1]
    with (
        serving("random", "--port", port),
        pytest.raises(ConfigError, match="now serves another judge"),
    ):
        remote.judge.rate(Item("a", "v", "do", "a b c"))


def test_a_server_that_stays_away_fails_the_items() -> None:
    with serving("longest") as server:
        remote = build("remote", {"url": server.url, "patience": 0, "rows": 1})
    items: list[Item | Pair] = [Item("a", "v", "do", "x"), Pair("b", "v", "do", "x", "y")]
    found = list(remote.judge.judge(items))
    assert {each.item_id for each in found if each.failed} == {"a", "b"}
    assert "Cannot connect" in str(found[0].verdict)


def test_options_that_cannot_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving("longest", token="sesame") as server:
        with pytest.raises(ConfigError, match=r"expected the token of this server as .* got none"):
            build("remote", {"url": server.url})
        with pytest.raises(ConfigError, match="got another"):
            build("remote", {"url": server.url, "token": "wrong"})
        monkeypatch.setenv("VIDEOJUDGE_TOKEN", "sesame")
        assert build("remote", {"url": server.url}).name == "longest"
        with pytest.raises(ConfigError, match="expected numbers from 1 up"):
            build("remote", {"url": server.url, "rows": 0})
    with pytest.raises(ConfigError, match="no judge server answers"):
        build("remote", {"url": server.url})
    with pytest.raises(ConfigError, match="expected an address such as"):
        build("remote", {"url": "localhost:8080"})
