"""The command `videojudge`: every verb that it names works, every mistake is one sentence."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from videojudge_bench import __version__, registry
from videojudge_bench._util.options import options_of_words
from videojudge_bench.cli._judge_help import help_of
from videojudge_bench.cli.main import main

OWN_JUDGE = '''\
from videojudge_bench import Judge, Rating


class Fine(Judge):
    """Likes long answers."""

    def __init__(self, *, steps: int = 4) -> None:
        self.steps = steps

    def rate(self, item):
        return Rating(1 + len(item.response) % (self.steps + 1))


class Moody(Judge):
    """Likes whatever it is asked about at the right moment."""

    calls = 0

    def rate(self, item):
        Moody.calls += 1
        return Rating(1 + Moody.calls % 7 // 2)
'''


@pytest.fixture
def own_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an importable module with two judges."""
    (tmp_path / "judges_of_the_cli_tests.py").write_text(OWN_JUDGE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "judges_of_the_cli_tests"


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a verb that succeeds and return what it prints."""
    assert main(arguments) == 0
    written = capsys.readouterr()
    assert written.err == ""
    return written.out


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a verb that is used wrongly and return the sentence."""
    assert main(arguments) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("videojudge: error: ")
    return written.err


def usage_error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that cannot be parsed and return what it says."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def verbs_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Return the verbs that a `--help` names."""
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--help"])
    assert caught.value.code == 0
    _, _, listed = capsys.readouterr().out.partition("\nverbs:\n")
    return re.findall(r"^    (\S+)", listed, re.M)


def test_help_names_the_verbs_that_these_tests_run(capsys: pytest.CaptureFixture[str]) -> None:
    """None of the verbs to come is named before it works."""
    assert verbs_of(capsys) == [
        "judge",
        "doctor",
        "judges",
        "data",
        "describe",
        "rubrics",
        "calibrate",
        "sweep",
        "parity",
        "bootstrap",
        "bootstrap-experiment",
        "train",
        "leaderboard",
        "compare",
        "report",
        "tasks-path",
    ]
    assert verbs_of(capsys, "data") == ["list", "verify", "ids", "add", "remove", "prepare"]
    assert verbs_of(capsys, "leaderboard") == ["add", "by"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"videojudge-bench {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["judgs"], "unknown verb 'judgs'. Did you mean 'judges' or 'judge'?"),
        (["data", "verfy"], "unknown verb 'verfy'. Did you mean 'verify'?"),
        (["leaderboard", "ad"], "unknown verb 'ad'. Did you mean 'add'?"),
        (["leaderboard", "add"], "the following arguments are required: RUN"),
        ([], "the following arguments are required: VERB"),
    ],
)
def test_a_misspelt_verb_is_explained(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text in usage_error_of(capsys, *arguments)


def test_judges_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output_of(capsys, "judges").splitlines()[2:]
    rows = {name: cells for name, *cells in (re.split(r"\s{2,}", line.strip()) for line in lines)}
    assert set(registry.names()) <= set(rows)
    assert rows["random"] == ["nothing", "1-5", "seed=0"]
    assert rows["longest"][:2] == ["nothing", "only rank"]
    assert rows["rouge_l"][:2] == ["references", "only rank"]
    assert rows["scripted"][2] == "replies=required"
    assert "max_frames" not in rows["qwen2_5_vl"][2]


def test_a_judge_is_explained_with_the_options_of_all_that_it_is_built_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = output_of(capsys, "judges", "qwen2_5_vl").splitlines()
    assert lines[0].startswith("qwen2_5_vl: Qwen2.5-VL: 3b, 7b")
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines[3:]]
    meanings = {name: rest for name, *rest in cells if rest}
    assert set(meanings) == set(registry.options_of(registry.judge_class("qwen2_5_vl")))
    assert list(meanings)[:2] == ["size", "pretrained"]
    assert [name for name, rest in meanings.items() if len(rest) < 2] == []
    assert meanings["samples"] == ["1", "replies per item, whose mean counts; needs a temperature."]
    assert meanings["max_frames"][0] == "180"


@pytest.mark.parametrize("name", sorted(registry.names()))
def test_every_option_of_every_judge_has_a_meaning(name: str) -> None:
    assert [option.name for option in help_of(name).options if not option.meaning] == []


def test_check_passes_a_good_judge(own_judge: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = output_of(capsys, "judges", "--check", f"{own_judge}:Fine", "steps=3")
    assert "FAILED" not in printed
    assert "two instances agree" in printed


def test_check_fails_a_bad_judge(own_judge: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judges", "--check", f"{own_judge}:Moody"]) == 1
    assert re.search(r"FAILED\s+two instances agree", capsys.readouterr().out)


def test_check_fails_an_unknown_option(own_judge: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judges", "--check", f"{own_judge}:Fine", "stesp=3"]) == 1
    assert "unknown option 'stesp'. Did you mean 'steps'?" in capsys.readouterr().out


def test_an_option_to_check_has_a_value(own_judge: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(capsys, "judges", "--check", f"{own_judge}:Fine", "steps")
    assert "'steps' has no value; an option is written steps=value" in error


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("3", 3), ("0.5", 0.5), ("a=b", "a=b"), ("", "")],
)
def test_options_are_read_as_lmms_eval_reads_them(text: str, value: object) -> None:
    read = options_of_words([f"option={text}"])["option"]
    assert read == value
    assert type(read) is type(value)


def test_tasks_path_is_the_folder_of_our_task_files(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(output_of(capsys, "tasks-path").strip())
    assert {"videojudge.yaml", "videojudge_vatex.yaml"} <= {path.name for path in folder.iterdir()}


def test_leaderboard_without_runs_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = error_of(capsys, "leaderboard", "--results", str(tmp_path))
    assert f"{tmp_path / 'runs'} has no runs; add one: videojudge leaderboard add RUN" in error


def test_leaderboard_add_of_what_is_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = error_of(capsys, "leaderboard", "add", str(tmp_path / "nowhere"))
    assert "no folder" in error
    error = error_of(capsys, "leaderboard", "add", str(tmp_path))
    assert "holds no run: neither a journal" in error


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """As in `videojudge data ids vatex | head -1`."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "videojudge_bench.cli", "data", "ids", "vatex"]
    with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, text=True) as process:
        os.close(writer)
        os.read(reader, 10)
        os.close(reader)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


def test_ctrl_c_prints_no_traceback(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, time\n"
        "from videojudge_bench.cli import main as command\n"
        "def wait(_):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
        "command._tasks_path = wait\n"
        "sys.exit(command.main(['tasks-path']))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 128 + signal.SIGINT
    assert ended.stderr == "videojudge: interrupted\n"


def test_a_full_disk_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.jsonl"
    row = {"video_id": "v", "instruction": "Do.", "ratings": [3]}
    lines = (json.dumps({**row, "response": os.urandom(40).hex()}) for _ in range(200))
    rows.write_text("\n".join(lines), encoding="utf-8")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        status = main(["data", "add", str(rows), "--name", "mine"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 1
    assert capsys.readouterr().err == (
        "videojudge: error: a file cannot be written (File too large). Make room, and run the same "
        "command again: what was recorded is kept, and is not asked for again\n"
    )
    assert main(["data", "add", str(rows), "--name", "mine"]) == 0
