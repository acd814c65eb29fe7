"""`videojudge judge`: what it prints, writes and answers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from videojudge_bench.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "answers"))
from answer_rows import BAD, GOOD, answers_of, read, write

SLOW = """\
import time
from pathlib import Path

from videojudge_bench import Judge, Rating


class Slow(Judge):
    def rate(self, item):
        if item.video_id == "v03" and not Path("reached").exists():
            Path("reached").touch()
            time.sleep(3600)
        return Rating(3)
"""


def judge(*words: object) -> int:
    return main(["judge", *map(str, words)])


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return write(tmp_path / "answers.jsonl", answers_of(24))


def test_a_table_and_a_line_for_each_answer(
    answers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "v.jsonl"
    assert judge(answers, "--judge", "longest", "-o", output) == 0
    printed = capsys.readouterr().out
    assert "longest on answers.jsonl: judge score, not human score" in printed
    assert "--gold-subset FILE corrects for that" in printed
    rows = [line.split() for line in printed.splitlines()]
    assert ["x", "24", "24", "1.000", "2.000", "[1.667,", "2.333]"] in rows
    assert ["x", "y", "24", "24", "-1.000", "<0.0001", "<0.0001"] in rows
    assert f"wrote {output}" in printed
    assert [line["system"] for line in read(output)] == ["x", "y"] * 24


def test_raw_and_corrected_stand_side_by_side(
    answers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    human = write(
        tmp_path / "human.jsonl",
        [
            {**row, "ratings": [len(str(row["response"]).split()) - 1]}
            for row in answers_of(24)
            if row["system"] == "x"
        ]
        + [{"id": "nobody's", "ratings": [3]}],
    )
    output = tmp_path / "v.jsonl"
    words = ("--judge", "longest", "-o", output, "--gold-subset", human)
    assert judge(answers, *words) == 2
    assert "field 'ratings': found 0, outside the scale 1-5" in capsys.readouterr().err
    assert judge(answers, *words, "--gold-scale", "0-5") == 0
    printed = capsys.readouterr()
    assert "judge score (on no scale: it only ranks), and corrected by human" in printed.out
    rows = [line.split() for line in printed.out.splitlines()]
    counted = ["x", "24", "24", "1.000", "2.000", "[1.667,", "2.333]", "24", "1.000"]
    (x,) = [row for row in rows if row[:9] == counted]
    assert x[11] == "1.000"
    (y,) = [row for row in rows if row[:5] == ["y", "24", "24", "1.000", "3.000"]]
    assert " ".join(y[7:]) == "0 undefined (no human rating) undefined (no human rating)"
    assert "1 rows of the gold subset are about no answer here" in printed.err


def test_systems_against_each_other(
    answers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "v.jsonl"
    assert judge(answers, "--judge", "longest", "-o", output, "--versus", "x") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    (row,) = [row for row in rows if row[:2] == ["y", "x"]]
    assert row[2:9] == ["24", "24", "1.000", "24", "0", "0", "1.000"]
    assert {line["preference"] for line in read(output)} == {"a"}


def test_an_answer_that_is_too_long_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "a.jsonl", [GOOD, {**BAD, "response": "x " * (1 << 20)}])
    assert judge(file, "--judge", "longest", "-o", tmp_path / "v.jsonl") == 0
    assert "1 of 2 have no verdict: answer too long" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("failing", "more", "status"),
    [
        (0, [], 0),
        (2, [], 0),  # 2 of 40 are no more than 5 %
        (3, [], 1),
        (3, ["--max-failures", "0.1"], 0),
        (1, ["--max-failures", "0"], 1),
    ],
)
def test_failures_are_said_and_too_many_are_status_1(
    failing: int, more: list[str], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replies that cannot be read are none."""
    rows = [{**row, "id": str(n)} for n, row in enumerate(answers_of(20))]
    said = [{"id": str(n), "reply": "<score>4</score>"} for n in range(failing, 38)]
    said += [{"id": "38", "reply": "I cannot say."}, {"id": "39", "reply": ""}]
    replies = write(tmp_path / "replies.jsonl", said)
    file = write(tmp_path / "a.jsonl", rows)
    words = ("--judge", f"scripted,replies={replies}", "-o", tmp_path / "v.jsonl")
    assert judge(file, *words, *more) == status
    error = capsys.readouterr().err
    first = "the first: engine: no scripted reply for '0' in replies.jsonl"
    assert (f"{failing} of 40 items failed; {first}" in error) is bool(failing)


def test_verdicts_by_criteria_are_written_and_averaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    criteria = tmp_path / "criteria.yaml"
    criteria.write_text("- name: right\n  question: Is it right?\n", encoding="utf-8")
    reply = '<score name="right">4</score>'
    replies = write(tmp_path / "replies.jsonl", [{"id": "1", "reply": reply}])
    rows = [{**GOOD, "id": "1"}, {**BAD, "id": "2"}]
    file, output = write(tmp_path / "a.jsonl", rows), tmp_path / "v.jsonl"
    by = f"engine=scripted,replies={replies},criteria={criteria}"
    named = f"videojudge_bench.prompted:PromptedJudge,{by}"
    assert judge(file, "--judge", named, "-o", output, "--max-failures", "1") == 0
    assert "Mean by criterion" in capsys.readouterr().out
    first, second = read(output)
    assert (first["score"], first["criteria"]) == (4.0, {"right": 4.0})
    assert (second["score"], second["criteria"]) == (None, {"right": None})
    assert judge(file, "--judge", f"longest,criteria={criteria}", "-o", output) == 2
    assert "unknown option 'criteria'" in capsys.readouterr().err


def test_a_share_of_failures_is_a_share(
    answers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--judge", "longest", "-o", tmp_path / "v.jsonl", "--max-failures")
    for value in ("1.5", "-0.1", "nan"):
        assert judge(answers, *words, value) == 2
        assert "expected a share from 0 to 1, such as 0.05" in capsys.readouterr().err


def test_all_that_fail_are_status_1_and_every_reason_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replies = write(tmp_path / "replies.jsonl", [{"id": "other", "reply": "<score>4</score>"}])
    file, output = write(tmp_path / "a.jsonl", [{**GOOD, "id": "1"}]), tmp_path / "v.jsonl"
    assert judge(file, "--judge", f"scripted,replies={replies}", "-o", output) == 1
    assert "judge scripted failed on all 1 items of a.jsonl; the first:" in capsys.readouterr().err
    assert read(output)[0]["unparsed"] == "engine: no scripted reply for '1' in replies.jsonl"


def test_replies_that_nobody_can_read_are_status_1_only_if_all_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [{"id": "1", "reply": "<score>4</score>"}, {"id": "2", "reply": "I cannot say."}]
    replies = write(tmp_path / "replies.jsonl", said)
    rows = [{**GOOD, "id": "1"}, {**BAD, "id": "2"}]
    words = ("--judge", f"scripted,replies={replies}", "-o", tmp_path / "v.jsonl")
    assert judge(write(tmp_path / "a.jsonl", rows), *words) == 0
    printed = capsys.readouterr()
    assert "judge score, not human score (1-5)" in printed.out
    assert "1 of 2 have no verdict: " in printed.err
    assert judge(write(tmp_path / "a.jsonl", rows[1:]), *words) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--judge", "longst"], "unknown judge 'longst'. Did you mean 'longest'?"),
        (["--judge", "longest,deep=1"], "unknown option 'deep'."),
        (["--judge", "longest", "--videos", "nowhere"], "the video folder 'nowhere' does not"),
        (["--judge", "longest", "--versus", "q"], "unknown system 'q'."),
        (["--judge", "longest", "--references", "-1"], "references=-1: allowed are 0, 1, 2, … and"),
    ],
)
def test_used_wrongly_is_status_2_and_writes_nothing(
    words: list[str], message: str, answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = answers.with_name("v.jsonl")
    assert judge(answers, "-o", output, *words) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_a_dry_run_counts_and_asks_nothing(
    tmp_path: Path, answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replies = write(tmp_path / "replies.jsonl", [{"id": "*", "reply": "<score>4</score>"}])
    output = tmp_path / "v.jsonl"
    words = (
        answers, "--judge", f"scripted,replies={replies}", "-o", output, "--limit", "10",
        "--videos", tmp_path,
    )  # fmt: skip
    (tmp_path / "v00.mp4").write_bytes(b"")
    assert judge(*words, "--dry-run") == 0
    shown = facts(capsys.readouterr().out)
    assert shown["answers"] == shown["judgements to make (the journal has the others)"] == "10"
    assert shown["groups (a video and an instruction)"] == shown["videos"] == "5"
    assert shown["videos without a file"] == "4: v01, v02, v03, v04"
    assert shown["model calls"] == "10"
    assert int(shown["tokens out, at most"].replace(",", "")) == 10 * 1024
    assert shown["money, at most"] == "no prices"
    assert not output.exists()
    assert judge(*words) == 0
    capsys.readouterr()
    assert judge(*words, "--dry-run") == 0
    shown = facts(capsys.readouterr().out)
    assert shown["judgements to make (the journal has the others)"] == "0"


def facts(printed: str) -> dict[str, str]:
    """The rows of a table of two columns."""
    lines = (line.strip().split("  ", 1) for line in printed.splitlines())
    return {cells[0]: cells[1].strip() for cells in lines if len(cells) == 2}


def test_ctrl_c_writes_what_there_is_and_the_same_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "slow_judge.py").write_text(SLOW, encoding="utf-8")
    write(tmp_path / "a.jsonl", answers_of(6, systems=("x",)))
    words = ["judge", "a.jsonl", "--judge", "slow_judge:Slow", "-o", "v.jsonl", "--journal", "j"]
    process = subprocess.Popen(
        [sys.executable, "-m", "videojudge_bench.cli", *words],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / "reached").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "v.jsonl has 3 of 6; the same command resumes" in said
    assert [line["video_id"] for line in read(tmp_path / "v.jsonl")] == ["v00", "v01", "v02"]
    (kept,) = (tmp_path / "j").rglob("judgements-0.jsonl")
    assert len(kept.read_text().splitlines()) == 3
    done = subprocess.run(
        [sys.executable, "-m", "videojudge_bench.cli", *words], cwd=tmp_path, check=False
    )
    assert done.returncode == 0
    assert [json.loads(line)["id"] for line in kept.read_text().splitlines()[:3]] == [
        line["id"] for line in read(tmp_path / "v.jsonl")[:3]
    ]
    assert len(kept.read_text().splitlines()) == 6


def test_a_disk_without_room_is_no_wrong_use(tmp_path: Path, answers: Path) -> None:
    program = (
        "import resource, sys; from videojudge_bench.cli.main import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)); sys.exit(main(sys.argv[1:]))"
    )
    words = ("judge", str(answers), "--judge", "longest", "-o", str(tmp_path / "v.jsonl"))
    ended = subprocess.run(
        [sys.executable, "-c", program, *words, "--journal", str(tmp_path / "journal")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, "cannot be written (File too large)" in ended.stderr) == (1, True)
