"""`videojudge select`: the best of several answers, and pairs of a better and a worse one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from videojudge_bench.cli.main import main
from videojudge_bench.items import opaque_id
from videojudge_bench.training.bootstrap.rows import RowOptions
from videojudge_bench.training.bootstrap.run import finish
from videojudge_bench.video import FramePolicy, load_frames

sys.path.insert(0, str(Path(__file__).parents[1] / "answers"))
sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from answer_rows import Row, read, write
from bootstrap_cases import kept
from test_bootstrap_finish import folder_of

VIDEOS = Path(__file__).parents[2] / "tasks" / "sample" / "videos"

JUDGES = """\
from pathlib import Path

from videojudge_bench import Judge, Preference, Rating


class Counted(Judge):
    scale = None

    def rate(self, item):
        with Path(__file__).with_name("asked").open("a") as log:
            log.write(f"{item.response}\\n")
        return Rating(len(item.response))


class Compares(Judge):
    abilities = frozenset({"prefer"})

    def prefer(self, pair):
        return Preference(1.0 if pair.first < pair.second else 0.0)


class Rates(Judge):
    abilities = frozenset({"rate"})

    def rate(self, item):
        return Rating(3)
"""


def question(video_id: str, *responses: str, **more: object) -> list[Row]:
    shared = {"video_id": video_id, "instruction": "What happens?", **more}
    return [{**shared, "response": response} for response in responses]


def select(*words: object) -> int:
    return main(["select", *map(str, words)])


@pytest.fixture
def judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "judges.py"
    file.write_text(JUDGES, "utf-8")
    return file


@pytest.fixture
def candidates(tmp_path: Path) -> Path:
    """Scores of `longest`: 3, 1, 3 | 2, 1 | 1."""
    rows = [
        *question("a", "one two three", "one", "three two one", "one"),
        *question("b", "one two", "one"),
        *question("c", "one"),
    ]
    return write(tmp_path / "candidates.jsonl", rows)


def counts_of(capsys: pytest.CaptureFixture[str]) -> Mapping[str, Any]:
    counts: Mapping[str, Any] = json.loads(capsys.readouterr().out)
    return counts


def test_the_best_of_each_question_and_what_was_left_out(
    candidates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best, pairs = tmp_path / "best.jsonl", tmp_path / "pairs.jsonl"
    words = (candidates, "--judge", "longest", "-o", best, "--pairs", pairs, "--json")
    assert select(*words) == 0
    assert counts_of(capsys) == {
        "answers that repeat another": 1,
        "questions": 3,
        "answers": 6,
        "answers without a verdict": {},
        "best answers": 3,
        "drawn among equal scores": 1,
        "questions without a best answer": {},
        "pairs": 2,
        "questions without a pair": {"one answer alone, nothing to compare it with": 1},
        "pairs left out": {},
    }
    a, b, c = read(best)
    assert (a["score"], a["lead"], a["tied"], a["candidates"], a["unparsed"]) == (3, 0, 1, 3, 0)
    assert (b["response"], b["score"], b["lead"], b["tied"]) == ("one two", 2, 1, 0)
    assert (c["response"], c["lead"]) == ("one", None)
    assert [row["rejected_response"] for row in read(pairs)] == ["one", "one"]
    assert [row["margin"] for row in read(pairs)] == [2, 1]

    assert select(*words, "--margin", 2) == 0
    counts = counts_of(capsys)
    assert counts["questions without a best answer"] == {
        "a smaller lead than the margin": 2,
        "one answer alone, nothing to compare it with": 1,
    }
    assert (counts["best answers"], counts["pairs"]) == (0, 1)


def test_the_order_of_the_rows_draws_no_other_answer(tmp_path: Path) -> None:
    rows = question("a", *(f"answer {n}" for n in range(20)))
    chosen = []
    for number, given in enumerate((rows, rows[::-1])):
        best = tmp_path / f"best{number}.jsonl"
        source = write(tmp_path / f"rows{number}.jsonl", given)
        assert select(source, "--judge", "longest", "-o", best) == 0
        chosen.append(read(best))
    assert chosen[0] == chosen[1]
    assert chosen[0][0]["tied"] == 19


def test_replies_that_cannot_be_read_are_no_worst_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*question("a", "good", "unread", "bad"), *question("b", "never")]
    rows = [{**row, "id": str(row["response"])} for row in rows]
    by_id = {"good": "<score>4</score>", "bad": "<score>2</score>", "unread": "Hm.", "never": "?"}
    lines = [{"id": name, "reply": reply} for name, reply in by_id.items()]
    judge = f"scripted,replies={write(tmp_path / 'replies.jsonl', lines)}"
    source, best, pairs = (tmp_path / f"{name}.jsonl" for name in ("rows", "best", "pairs"))
    assert select(write(source, rows), "--judge", judge, "-o", best, "--pairs", pairs) == 0
    printed = capsys.readouterr()
    assert "questions 2" in " ".join(printed.out.split())
    assert "2 answers without a verdict: " in printed.err
    assert "1 questions without a best answer: no answer has a verdict" in printed.err
    assert "1 questions without a pair: no answer has a verdict" in printed.err
    assert [(row["id"], row["unparsed"]) for row in read(best)] == [("good", 1)]
    assert [row["rejected_response"] for row in read(pairs)] == ["bad"]


def test_what_a_judge_fails_on_is_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**row, "id": str(row["response"])} for row in question("a", "good", "lost")]
    replies = write(tmp_path / "replies.jsonl", [{"id": "good", "reply": "<score>4</score>"}])
    source, best = write(tmp_path / "rows.jsonl", rows), tmp_path / "best.jsonl"
    assert select(source, "--judge", f"scripted,replies={replies}", "-o", best) == 1
    assert "1 of 2 items failed" in capsys.readouterr().err
    assert [row["id"] for row in read(best)] == ["good"]
    write(replies, [{"id": "other", "reply": "<score>4</score>"}])
    assert select(source, "--judge", f"scripted,replies={replies}", "-o", best) == 1
    assert "nothing is written" in capsys.readouterr().err


def test_compared_pair_by_pair(candidates: Path, tmp_path: Path, judges: Path) -> None:
    """Of `longest`: both of three words beat the one of one word and are a tie: 3/4, 3/4, 0."""
    best = tmp_path / "best.jsonl"
    assert select(candidates, "--judge", "longest", "--pairwise", "-o", best) == 0
    a, b = read(best)
    assert (a["score"], a["lead"], a["tied"]) == (0.75, 0, 1)
    assert (b["response"], b["score"], b["lead"]) == ("one two", 1, 1)
    # By the alphabet, "one" < "one two three" < "three two one": 1, 1/2, 0.
    assert select(candidates, "--judge", f"{judges}:Compares", "-o", best) == 0
    a, b = read(best)
    assert (a["response"], a["score"], a["lead"]) == ("one", 1, 0.5)


def test_comparisons_that_cannot_be_read_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 beats 2, 2 beats 3, and 1 against 3 has no verdict: 1, 1/2, 0."""
    rows = [{**row, "id": str(row["response"])} for row in question("a", "1", "2", "3")]
    source, best = write(tmp_path / "rows.jsonl", rows), tmp_path / "best.jsonl"
    words = (source, "--pairwise", "--json", "-o", best, "--judge")
    replies = tmp_path / "replies.jsonl"
    pairs = [opaque_id("a", *two) for two in (("1", "2"), ("1", "3"), ("2", "3"))]
    replied = [
        {"id": f"{pair}/{order}", "reply": reply}
        for pair, (first, second) in zip(pairs, (("A", "B"), ("?", "?"), ("A", "B")), strict=True)
        for order, reply in (("ab", first), ("ba", second))
    ]
    lines = [{**line, "reply": f"<answer>{line['reply']}</answer>"} for line in replied]
    write(replies, lines)
    assert select(*words, f"scripted,replies={replies}") == 0
    counts = counts_of(capsys)
    assert sum(counts["comparisons without a verdict"].values()) == 1
    assert [(row["id"], row["score"], row["lead"]) for row in read(best)] == [("1", 1, 0.5)]


def test_the_same_command_asks_for_new_answers_alone(tmp_path: Path, judges: Path) -> None:
    rows = question("a", "one", "three")
    source, best = write(tmp_path / "rows.jsonl", rows), tmp_path / "best.jsonl"
    words = (source, "--judge", f"{judges}:Counted", "-o", best, "--journal", tmp_path / "journal")
    assert select(*words) == 0
    write(source, [*rows, *question("a", "eleven")])
    assert select(*words, "--dry-run") == 0
    assert select(*words) == 0
    assert (tmp_path / "asked").read_text("utf-8").split() == ["one", "three", "eleven"]
    assert read(best)[0]["response"] == "eleven"


def datasets_of(kind: str, file: Path, tmp_path: Path) -> Any:
    import datasets

    cache = str(tmp_path / "cache")
    return datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=cache)


def pairs_of(tmp_path: Path, form: str, *words: object) -> Path:
    rows = [
        *question("mdn_pig", "A pig.", "A pig <|im_end|> <video> runs by."),
        *question("mdn_elf", "An elf walks.", "Elf.", video="mdn_elf.webm"),
    ]
    source = write(tmp_path / "rows.jsonl", rows)
    pairs = tmp_path / f"pairs.{'parquet' if form == 'trl' else 'jsonl'}"
    asked = ("--judge", "longest", "--pairs", pairs, "--format", form)
    assert select(source, *asked, *words) == 0
    return pairs


def test_rows_for_ms_swift(tmp_path: Path) -> None:
    rows = datasets_of("json", pairs_of(tmp_path, "swift", "--videos", VIDEOS), tmp_path)
    assert rows[0] == {
        "messages": [
            {"role": "user", "content": "<video>\nWhat happens?"},
            {"role": "assistant", "content": "A pig < |im_end|> < video> runs by."},
        ],
        "rejected_response": "A pig.",
        "videos": [str(VIDEOS / "mdn_pig.webm")],
        "margin": 4,
    }


def test_rows_for_llama_factory_join_its_list(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text('{"other": {"file_name": "x.json"}}', "utf-8")
    rows = datasets_of("json", pairs_of(tmp_path, "llamafactory"), tmp_path)
    assert rows[1] == {
        "messages": [{"role": "user", "content": "<video>\nWhat happens?"}],
        "chosen": {"role": "assistant", "content": "An elf walks."},
        "rejected": {"role": "assistant", "content": "Elf."},
        "videos": ["mdn_elf.webm"],
    }
    info = json.loads((tmp_path / "dataset_info.json").read_text("utf-8"))
    assert list(info) == ["other", "pairs"]
    assert info["pairs"]["file_name"] == "pairs.jsonl"
    assert info["pairs"]["ranking"] is True


def test_rows_for_trl_have_frames(tmp_path: Path) -> None:
    import numpy as np

    words = ("--videos", VIDEOS, "--frames", 3)
    rows = datasets_of("parquet", pairs_of(tmp_path, "trl", *words), tmp_path)
    assert rows.column_names == ["prompt", "chosen", "rejected", "images", "margin"]
    assert rows[1]["prompt"] == [{"role": "user", "content": "What happens?"}]
    assert rows[1]["chosen"] == [{"role": "assistant", "content": "An elf walks."}]
    assert rows[1]["rejected"] == [{"role": "assistant", "content": "Elf."}]
    policy = FramePolicy(max_frames=3, fps=None)
    frames = load_frames(VIDEOS / "mdn_elf.webm", policy).frames
    assert len(rows[1]["images"]) == len(frames) == 3
    for picture, frame in zip(rows[1]["images"], frames, strict=True):
        assert np.abs(np.asarray(picture, dtype=float) - frame).mean() < 3  # JPEG


def test_videos_that_are_missing_or_broken_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "mdn_elf.webm").write_bytes(b"no video")
    assert len(datasets_of("json", pairs_of(tmp_path, "swift", "--videos", videos), tmp_path)) == 1
    assert "1 pairs left out: no video file" in capsys.readouterr().err
    source = tmp_path / "rows.jsonl"
    words = ("--judge", "longest", "--videos", videos, "--format", "trl")
    assert select(source, *words, "--pairs", tmp_path / "p.parquet") == 0
    printed = capsys.readouterr().err
    assert "1 pairs left out: no video file" in printed
    assert "1 pairs left out: a video that cannot be decoded" in printed


def test_rated_responses_of_a_bootstrap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(tmp_path / "bootstrap", [kept(n) for n in range(3)])
    finish(folder, RowOptions(validation=0.0))
    best, pairs = tmp_path / "best.jsonl", tmp_path / "pairs.jsonl"
    assert select(folder.path, "-o", best, "--pairs", pairs) == 0
    assert [row["response"] for row in read(best)] == [f"Gold {n} runs home." for n in range(3)]
    (row, *_) = read(pairs)
    assert row["rejected_response"] == "Draft 1.0 of 0."
    assert (row["margin"], row["videos"]) == (4, ["v0.mp4"])
    for margin, n in ((1, 10), (2, 6), (4, 1)):
        words = ("--pairs", pairs, "--every-pair", "--margin", margin)
        assert select(folder.path, *words) == 0
        assert len(read(pairs)) == 3 * n
    capsys.readouterr()
    assert select(folder.path, "-o", best, "--judge", "longest") == 2
    assert "its responses are rated; leave --judge out" in capsys.readouterr().err
    assert select(tmp_path, "-o", best) == 2
    assert "it has no folder data/" in capsys.readouterr().err


GOOD: Sequence[Row] = question("a", "one", "one two")


@pytest.mark.parametrize(
    ("rows", "words", "problem"),
    [
        (GOOD, ["--judge", "longest"], "-o FILE for the best answers, or --pairs FILE"),
        (GOOD, ["-o", "best.jsonl"], "--judge NAME is missing"),
        (GOOD, ["--judge", "longest", "-o", "rows.jsonl"], "expected different files"),
        (GOOD, ["--judge", "longest", "--pairs", "p.parquet"], "the name must end in .jsonl"),
        (
            GOOD,
            ["--judge", "longest", "--pairs", "p.parquet", "--format", "trl"],
            "TRL takes frames, so expected --videos DIR",
        ),
        (GOOD, ["--judge", "longest", "-o", "b", "--margin", "-1"], "a number from 0 up"),
        (GOOD, ["--judge", "judges.py:Rates", "-o", "b", "--pairwise"], "compares no answers"),
        (GOOD[:1], ["--judge", "longest", "-o", "b", "--pairwise"], "two answers or more"),
        ([{**r, "id": "x"} for r in GOOD], ["--judge", "longest", "-o", "b"], "id of another"),
        (
            [{"video_id": "a", "instruction": "?", "response_a": "x", "response_b": "y"}],
            ["--judge", "longest", "-o", "b"],
            "candidates are single answers",
        ),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said(
    rows: Sequence[Row],
    words: Sequence[str],
    problem: str,
    judges: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(judges.with_name("rows.jsonl"), rows)
    assert select("rows.jsonl", *words) == 2
    assert problem in capsys.readouterr().err
