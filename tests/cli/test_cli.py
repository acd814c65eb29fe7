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
from videojudge_bench._util.options import parse_named
from videojudge_bench.analysis.judge_help import help_of
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


def verbs_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, list[str]]:
    """Return the verbs that a `--help` names, by their group."""
    assert main([*arguments, "--help"]) == 0
    panels = re.split(r"^╭─ ([\w ]+) ─+╮$", capsys.readouterr().out, flags=re.M)
    return {
        title: re.findall(r"^│ ([a-z][\w-]*)  ", panel, re.M)
        for title, panel in zip(panels[1::2], panels[2::2], strict=True)
    }


def test_help_names_the_verbs_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    verbs = verbs_of(capsys)
    assert list(verbs)[-5:] == ["Score", "Measure", "Inspect", "Train", "Set up"]
    assert {name: found for name, found in verbs.items() if found} == {
        "Score": ["describe", "judge", "select", "serve"],
        "Measure": [
            *("attack", "calibrate", "compare", "jury", "label", "leaderboard", "parity"),
            *("rank-systems", "rubrics", "sweep"),
        ],
        "Inspect": ["data", "judges", "report"],
        "Train": ["bootstrap", "experiments", "recipes", "train"],
        "Set up": ["doctor", "tasks-path"],
    }
    data = ["add", "ids", "list", "prepare", "remove", "verify"]
    assert verbs_of(capsys, "data")["Commands"] == data
    assert verbs_of(capsys, "leaderboard")["Commands"] == ["add", "by"]
    for group in ("judges", "data", "recipes", "experiments"):
        assert "list" in verbs_of(capsys, group)["Commands"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"videojudge-bench {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["jugdes"], 'Unknown command "jugdes". Did you mean "judges"?'),
        (["data", "verfy"], 'Unknown command "verfy". Did you mean "verify"?'),
        (["leaderboard", "ad"], 'Unknown command "ad". Did you mean "add"?'),
        (["judges", "list", "--jsn"], "Unknown option: --jsn. Did you mean --json?"),
        (["leaderboard", "add"], 'Command "leaderboard add" parameter RUN requires an argument'),
        (["judge", "x", "y", "--judge", "random", "-o", "z"], "no more arguments, got 'y'"),
        (["parity", "a", "b", "--gold-set", "vcg", "--limit", "x"],
         "--limit: expected a whole number, got 'x'"),
        (["judge", "x", "--judge", "random", "-o", "y", "--max-failures", "x"],
         "--max-failures: expected a number, got 'x'"),
        (["calibrate", "x", "--method", "affin"], 'Did you mean "affine"?'),
        (["data", "verify", "vatx"], "unknown gold set 'vatx'. Did you mean 'vatex'"),
        (["judges", "rouge"], "unknown judge 'rouge'. Did you mean 'rouge_l'"),
        (["data", "ids"], "parameter NAME requires an argument"),
        (["experiments", "run", "refin", "-o", "x"], "Did you mean 'refine'?"),
    ],
)  # fmt: skip
def test_what_is_misspelt_or_missing_is_one_sentence(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = error_of(capsys, *arguments)
    assert text in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["data"], ["recipes"]])
def test_a_command_without_a_verb_shows_its_help_and_is_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().out.startswith("Usage: videojudge")


@pytest.mark.parametrize("columns", ["60", "80"])
def test_help_fits_the_columns(columns: str) -> None:
    for verb in (["judge"], ["sweep"], ["data", "add"], ["experiments", "order"], ["doctor"]):
        printed = subprocess.run(
            [sys.executable, "-m", "videojudge_bench.cli", *verb, "--help"],
            env={**os.environ, "COLUMNS": columns, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        assert max(map(len, printed)) <= int(columns)
        assert any(line.startswith("╭─ Parameters") for line in printed)


def test_a_piped_table_is_as_wide_as_columns_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert max(map(len, output_of(capsys, "judges", "list").splitlines())) > 80
    monkeypatch.setenv("COLUMNS", "60")
    table = output_of(capsys, "judges", "list", "--quiet")
    assert max(map(len, table.splitlines())) == 60


def test_quiet_leaves_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    loud = output_of(capsys, "judges", "list")
    assert "videojudge judges NAME" in loud
    quiet = output_of(capsys, "--quiet", "judges", "list")
    assert quiet == output_of(capsys, "judges", "list", "--quiet")
    assert loud.startswith(quiet)
    assert "show NAME" not in quiet


def test_judges_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output_of(capsys, "judges", "list").splitlines()[2:]
    rows = {name: cells for name, *cells in (re.split(r"\s{2,}", line.strip()) for line in lines)}
    assert set(registry.names()) <= set(rows)
    assert rows["random"] == ["nothing", "1-5", "seed=0"]
    assert rows["longest"][:2] == ["nothing", "ordinal"]
    assert rows["rouge_l"][:2] == ["references", "ordinal"]
    assert rows["scripted"][2] == "replies=required"
    assert "max_frames" not in rows["qwen2_5_vl"][2]


def test_a_judge_is_explained_with_the_options_of_all_that_it_is_built_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = output_of(capsys, "judges", "qwen2_5_vl", "--advanced").splitlines()
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
    options = help_of(name).options
    assert [option.name for option in options if not option.meaning] == []
    assert sum(not option.advanced for option in options) <= 15


def test_the_first_help_of_a_judge_leaves_out_what_few_need(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = output_of(capsys, "judges", "qwen2_5_vl")
    assert "max_frames" in first
    assert "verify_prefix" not in first
    assert re.search(r"^\d+ more: videojudge judges qwen2_5_vl --advanced$", first, re.M)
    every = json.loads(output_of(capsys, "judges", "qwen2_5_vl", "--json"))["options"]
    assert {o["name"] for o in every if o["advanced"]} >= {"verify_prefix", "batch_tokens"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "expected a file of Python, got './mine.py', which does not exist"),
        ("import no_such_module\n", "cannot be imported (ModuleNotFoundError: No module named"),
        ("def f(:\n", "cannot be imported (SyntaxError: invalid syntax (mine.py, line 1)"),
        ("1 / 0\n", "cannot be imported (ZeroDivisionError: division by zero)"),
        (
            OWN_JUDGE,
            "expected one judge in the file, got Fine and Moody. Name the class: ./",
        ),
        ("x = 1\n", "expected one judge in the file, got none"),
    ],
)
def test_a_file_that_has_no_judge_to_run_is_said(
    content: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "mine.py").write_text(content, encoding="utf-8")
    assert said in error_of(capsys, "judges", "./mine.py")


def test_a_judge_in_the_current_folder_is_found(tmp_path: Path) -> None:
    own, _, _ = OWN_JUDGE.partition("\n\n\nclass Moody")
    (tmp_path / "mine.py").write_text(own, encoding="utf-8")
    row = {"video_id": "v", "instruction": "What?", "response": "A dog.", "system": "s"}
    command = [sys.executable, "-m", "videojudge_bench.cli", "judge", "-", "-o", "-", "--judge"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for name in ("./mine.py", "./mine.py:Fine", "mine:Fine,steps=3"):
        ended = subprocess.run(
            [*command, name], input=json.dumps(row), cwd=tmp_path, capture_output=True, text=True,
            check=False, env=environment,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["score"] is not None


@pytest.mark.parametrize(
    "words",
    [
        ["judges", "list"], ["judges", "random"], ["judges", "--check", "random"],
        ["data", "list"], ["data", "verify", "vcg"], ["recipes", "list"], ["experiments", "list"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_verbs_that_read_print_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(output_of(capsys, *words, "--json"))


def test_check_passes_a_good_judge(own_judge: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed = output_of(capsys, "judges", "--check", f"{own_judge}:Fine,steps=3")
    assert "FAILED" not in printed
    assert "two instances agree" in printed


def test_check_fails_a_bad_judge(own_judge: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judges", "--check", f"{own_judge}:Moody"]) == 1
    assert re.search(r"FAILED\s+two instances agree", capsys.readouterr().out)


def test_check_fails_an_unknown_option(own_judge: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judges", "--check", f"{own_judge}:Fine,stesp=3"]) == 1
    assert "unknown option 'stesp'. Did you mean 'steps'?" in capsys.readouterr().out


def test_an_option_to_check_has_a_value(own_judge: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(capsys, "judges", "--check", f"{own_judge}:Fine,steps")
    assert "'steps' has no value; an option is written steps=value" in error


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("3", 3), ("0.5", 0.5), ("a=b", "a=b"), ("", "")],
)
def test_options_are_read_as_lmms_eval_reads_them(text: str, value: object) -> None:
    read = parse_named("engine", f"name,option={text}")[1]["option"]
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
        "from videojudge_bench.cli.main import main\n"
        "from videojudge_bench.harness import plugin\n"
        "def wait():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
        "plugin.task_folders = wait\n"
        "sys.exit(main(['tasks-path']))\n"
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
