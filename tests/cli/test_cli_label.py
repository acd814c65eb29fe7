"""`videojudge label`: a page, labels put together, a second round, and the corrected means."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from videojudge_bench.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "answers"))
sys.path.insert(0, str(Path(__file__).parents[1] / "labelling"))
from answer_rows import read, write
from label_cases import answers, content, export, files, verdicts


def run(folder: Path, *words: object) -> int:
    source, judged = folder / "answers.jsonl", folder / "v.jsonl"
    return main(["label", str(source), "--verdicts", str(judged), *map(str, words)])


def test_from_a_page_to_corrected_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, _ = files(tmp_path, videos=40)
    page, human = tmp_path / "r1.html", tmp_path / "human.jsonl"
    assert run(tmp_path, "--labels", 60, "--page", page) == 0
    printed = capsys.readouterr()
    assert "round 1: 60 answers about 30 videos" in printed.out
    assert "no file of 30 of 30 videos, such as v" in printed.err
    ann = export(page, "ann", tmp_path / "ann.jsonl")
    bob = export(page, "bob", tmp_path / "bob.jsonl", skipped=[0])
    words = ("--labels-so-far", ann, "--labels-so-far", bob, "-o", human, "--width", "0.01")
    assert run(tmp_path, *words, "--apart", "x", "y") == 0
    printed = capsys.readouterr()
    assert "annotators: 2; Krippendorff's alpha: 1.000" in printed.out
    assert "all 40 give" in printed.out
    assert "x - y" in printed.out
    assert "answers have 1 to 2 ratings: --gold-subset takes them" in printed.err
    assert run(tmp_path, *words, "--json") == 0
    numbers = json.loads(capsys.readouterr().out.partition("\n")[2])  # the first line is a note
    assert numbers["estimates"][0]["labels"] == 30
    later = ("--labels-so-far", human, "--labels", 10, "--page", tmp_path / "r2.html")
    assert run(tmp_path, *later) == 0
    rows = content((tmp_path / "r2.html").read_text(encoding="utf-8"))["rows"]
    assert {each["row"]["labels"]["pick_round"] for each in rows} == {"2"}
    capsys.readouterr()
    judged = ["judge", str(source), "--judge", "longest", "--journal", str(tmp_path / "j")]
    assert main([*judged, "-o", str(tmp_path / "o.jsonl"), "--gold-subset", str(human)]) == 0
    assert "Ratings are weighted by the probabilities with which" in capsys.readouterr().out


def test_labels_of_other_answers_and_unparsed_verdicts_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = answers(3)
    write(tmp_path / "answers.jsonl", rows)
    write(tmp_path / "v.jsonl", [*verdicts(rows[:4]), {"id": "other", "score": 1.0}])
    twice = [{"id": "x00.0", "ratings": [n], "labels": {"annotators": "ann"}} for n in (1, 2)]
    human = write(tmp_path / "h.jsonl", [*twice, {"id": "gone", "ratings": [3]}])
    assert run(tmp_path, "--labels-so-far", human) == 0
    printed = capsys.readouterr().err
    assert "2 of 6 answers have no score; they are picked as often as others" in printed
    assert "1 verdicts are about no answer here" in printed
    assert "1 labels are about no answer here" in printed
    assert "1 ratings are replaced by a later one of the same annotator" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected --page FILE.html or --serve to ask for labels, or --labels-so-far"),
        (["--serve"], "--serve writes labels as they are given; name their file: -o FILE"),
        (["--page", "p.txt"], "--page p.txt: the name must end in .html"),
        (["--page", "p.html", "-o", "-"], "-o -: expected a file, which later rounds take up"),
        (["--labels-so-far", "h.jsonl", "-o", "h.jsonl"], "-o h.jsonl: also in --labels-so-far;"),
        (["--labels-so-far", "no.jsonl"], "no file 'no.jsonl'; give a JSON Lines file of human"),
        (["--page", "p.html", "--scale", "0-100"], "--scale 0-100: expected a scale within 0-9"),
        (["--page", "p.html", "--apart", "x", "z"], "unknown system 'z'"),
        (["--page", "p.html", "--videos", "no"], "the video folder 'no' does not exist"),
    ],
)
def test_used_wrongly(
    tmp_path: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files(tmp_path, videos=3)
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, *words) == 2
    assert message in capsys.readouterr().err
    assert not [*tmp_path.glob("p.*")]


def test_served_until_interrupted(tmp_path: Path) -> None:
    source, judged = files(tmp_path, videos=25)
    output = tmp_path / "human.jsonl"
    verb = [sys.executable, "-m", "videojudge_bench.cli", "label"]
    command = [*verb, str(source), "--verdicts", str(judged)]
    process = subprocess.Popen(
        [*command, "--labels", "4", "--serve", "-o", str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        address = next(line for line in process.stdout if line.startswith("http")).split()[0]
        body = json.dumps({"annotator": "ann", "row": 1, "rating": 5}).encode()
        request = urllib.request.Request(f"{address}labels", body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as reply:
            assert reply.status == 200
        assert [row["ratings"] for row in read(output)] == [[5]]
        with urllib.request.urlopen(f"{address}progress", timeout=60) as reply:
            assert "1 answers with labels, annotators: 1" in reply.read().decode()
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=60)[0]
    finally:
        process.kill()
    assert process.returncode == 0
    assert f"labels are in {output}" in printed
