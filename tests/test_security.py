"""What SECURITY.md promises and no other test shows."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from registered import registered

from videojudge_bench._util.markdown import code, inert
from videojudge_bench._util.terminal import table
from videojudge_bench.cli.main import main
from videojudge_bench.engine import EngineError
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.jsonl import find_videos
from videojudge_bench.goldsets.schema import inside_its_folder
from videojudge_bench.items import Item
from videojudge_bench.judges.engines.openai_engine import OpenAIEngine
from videojudge_bench.leaderboard import rows, tables
from videojudge_bench.prompts import PromptOptions, load_prompt
from videojudge_bench.scale import RatingScale
from videojudge_bench.training.bootstrap.card import write_card
from videojudge_bench.training.bootstrap.report import ReportFacts, write_report
from videojudge_bench.training.bootstrap.rows import RowOptions
from videojudge_bench.training.sft.recipe import load_recipe
from videojudge_bench.training.sft.rows import video_path
from videojudge_bench.training.training_row import TrainingRow

HERE = Path(__file__).parent
for folder in ("answers", "judges", "leaderboard", "training"):
    sys.path.insert(0, str(HERE / folder))
from answer_rows import GOOD, write  # noqa: E402
from boards import board_set, perfect, stored  # noqa: E402
from bootstrap_cases import aside, kept  # noqa: E402
from chat_faults import (  # noqa: E402
    Answer,
    Seen,
    ask,
    completion,
    engine_at,
    failure,
    faulty_server,
    one_by_one,
)
from sft_cases import a_row  # noqa: E402

KEY = "sk-never-to-be-written-down"
HOSTILE = (
    "a|b`c <img src=x onerror=alert(1)> [red]x[/red] [l](http://h) \x1b[31m\x9b2J\u202e\\[bold]"
)
ROOT = HERE.parent
FOLDERS = ("videojudge_bench", "judges", "tasks", "training")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


# --- texts are shown and not obeyed ---------------------------------------------------------------


def test_a_table_on_a_terminal_shows_marks_and_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table((HOSTILE,), [(HOSTILE,)], title=f"{HOSTILE} :smile:")
    printed = capsys.readouterr().out
    assert printed.count("[red]x[/red]") == printed.count("\\[bold]") == 3
    assert printed.count("\\u001b[31m\\u009b2J\\u202e") == 3
    assert ":smile:" in printed
    assert_no_commands(printed)


def test_names_and_reasons_of_judge_are_shown_and_not_obeyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replies = write(tmp_path / "r.jsonl", [{"id": "1", "reply": "<score>4</score>"}])
    answers = write(
        tmp_path / "[red]answers.jsonl",
        [{**GOOD, "id": "1", "system": HOSTILE}, {**GOOD, "id": HOSTILE, "response": HOSTILE}],
    )
    output = tmp_path / "v.jsonl"
    words = ["judge", answers, "--judge", f"scripted,replies={replies}", "-o", output]
    assert main([str(word) for word in words]) == 1
    printed = capsys.readouterr()
    assert "[red]answers.jsonl" in printed.out
    assert "[red]x[/red]" in printed.out
    assert_no_commands(printed.out + printed.err)
    assert json.loads(output.read_text(encoding="utf-8").splitlines()[1])["id"] == HOSTILE


def test_what_a_server_says_moves_no_cursor(tmp_path: Path) -> None:
    with faulty_server(lambda *_: failure(400, "no \x1b[2Jluck\r\x9b1A")) as seen:
        (error,) = ask(engine_at(seen))
    assert isinstance(error, EngineError)
    assert "no \\u001b[2Jluck \\u009b1A" in error.reason


def test_the_leaderboard_in_markdown_is_inert() -> None:
    with registered(board_set()) as gold_set:
        text = tables.markdown(_hostile_board(gold_set))
    assert_inert(text)
    assert len({len(cells(line)) for line in text.splitlines() if line.startswith("|")}) == 1


def _hostile_board(gold_set: GoldSet) -> rows.Board:
    run = replace(stored(gold_set, perfect, name="judge"), name=HOSTILE)
    board = rows.build([run], permutations=10)
    hostile = [
        replace(row, judge=HOSTILE, signature=f"``` {HOSTILE}", unranked=HOSTILE)
        for row in board.rows
    ]
    return replace(board, rows=tuple(hostile))


def test_the_report_of_a_bootstrap_is_inert(tmp_path: Path) -> None:
    outcomes = [kept(0), replace(aside(1), problem=HOSTILE)]
    outcomes = [replace(o, seed=replace(o.seed, source=HOSTILE)) for o in outcomes]
    path = write_report(lambda: outcomes, tmp_path, ReportFacts(f"x\n{HOSTILE}"))
    assert_inert(path.read_text(encoding="utf-8"))


def test_the_card_of_a_data_set_is_inert(tmp_path: Path) -> None:
    source = {"licence": HOSTILE, "read": 1, "drawn": 1}
    counts = {"by_source": {HOSTILE: source}, "dropped": {HOSTILE: 1}}
    (tmp_path / "seeds.json").write_text(json.dumps(counts), encoding="utf-8")
    facts = {"generator": {"model": HOSTILE, HOSTILE: f"x\n\n{HOSTILE}"}}
    (tmp_path / "bootstrap.json").write_text(json.dumps(facts), encoding="utf-8")
    card = write_card(tmp_path, {"pointwise_train": 1}, RowOptions()).read_text(encoding="utf-8")
    assert_inert(card.split("\n---\n", 1)[1])


@pytest.mark.parametrize("text", ["a", "`", "``a`", "a`` ` ```", "a\n\n# b", "|"])
def test_a_span_of_code_ends_where_it_should(text: str) -> None:
    span = code(text)
    fence = re.match("`+", span)
    assert fence is not None
    runs = re.findall("`+", span)
    assert runs.count(fence[0]) == 2
    assert (runs[0], runs[-1]) == (fence[0], fence[0])
    assert span[len(fence[0]) : -len(fence[0])].strip() == " ".join(text.split())


def test_a_text_in_markdown_keeps_its_line() -> None:
    assert inert("a\n\n# <b>*c*</b> & `d` ![e](f) ~g~") == (
        "a # &lt;b&gt;\\*c\\*&lt;/b&gt; &amp; \\`d\\` !\\[e\\](f) \\~g\\~"
    )


def assert_no_commands(text: str) -> None:
    """Nothing that a terminal obeys, but line feeds."""
    assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text) == []


def assert_inert(text: str) -> None:
    """No tag, link or picture of the hostile text, and no end of a cell or of a span of code."""
    assert "onerror" in text
    outside = re.sub(r"(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    assert "<img" not in outside
    assert not re.search(r"(?<!\\)\[(red|l)\]", outside)
    assert "a|b" not in outside
    assert_no_commands(text)


def cells(line: str) -> Sequence[str]:
    return re.split(r"(?<!\\)\|", line)


# --- nothing that is read is run ------------------------------------------------------------------

RUNS_TEXT = {"eval", "exec", "compile"}
UNPICKLES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
}
LOADERS = {
    "torch.load",
    "pandas.read_pickle",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.load_all",
}


def test_no_module_loads_objects_or_runs_text() -> None:
    """Optimiser states of checkpoints are read by transformers, with `weights_only=True`."""
    found = {
        path.relative_to(ROOT).as_posix(): problems
        for path in SOURCES
        if (problems := _problems(path.read_text(encoding="utf-8")))
    }
    assert found == {
        "videojudge_bench/goldsets/map_file.py": ["yaml.load with _Loader"],
        "videojudge_bench/harness/plugin.py": ["yaml.load with Loader"],
    }
    plugin = (ROOT / "videojudge_bench/harness/plugin.py").read_text(encoding="utf-8")
    assert "class Loader(yaml.SafeLoader)" in plugin
    mapping = (ROOT / "videojudge_bench/goldsets/map_file.py").read_text(encoding="utf-8")
    assert "class _Loader(yaml.BaseLoader)" in mapping


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import dill.source", "imports pickle"),
        ("def f():\n    from pickle import load", "imports pickle"),
        ("torch.load(x)", "torch.load"),
        ("np.load(x, allow_pickle=a)", "np.load({'allow_pickle'})"),
        ("yaml.load(x)", "yaml.load with nothing"),
        ("eval(x)", "eval"),
        ("subprocess.run(x, shell=True)", "subprocess.run({'shell'})"),
    ],
)
def test_what_is_looked_for_would_be_found(text: str, problem: str) -> None:
    assert _problems(text) == [problem]


def _problems(text: str) -> list[str]:
    return [problem for node in ast.walk(ast.parse(text)) if (problem := _problem(node))]


def _problem(node: ast.AST) -> str:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        module = getattr(node, "module", None) or ""
        names = {module, *(alias.name for alias in node.names)}
        return "imports pickle" if {n.partition(".")[0] for n in names} & UNPICKLES else ""
    if not isinstance(node, ast.Call):
        return ""
    called = ast.unparse(node.func)
    if called in RUNS_TEXT | LOADERS:
        return called
    if called == "yaml.load":
        return f"yaml.load with {ast.unparse(node.args[1]) if node.args[1:] else 'nothing'}"
    allowed = {"allow_pickle", "trust_remote_code", "shell"}
    given = {k.arg for k in node.keywords if not (_is_false(k.value))}
    return f"{called}({allowed & given})" if allowed & given else ""


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


@pytest.mark.parametrize(
    "reach",
    [
        "{{ response.__class__.__mro__[1].__subclasses__() }}",
        "{{ references.append('x') }}",
        "{{ ''.join.__globals__ }}",
    ],
)
def test_a_prompt_reaches_no_python(reach: str, tmp_path: Path) -> None:
    text = "{% block system %}{% endblock %}{% block shared %}{% endblock %}"
    path = tmp_path / "p.jinja"
    path.write_text(f"{text}{{% block response %}}{reach}{{% endblock %}}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"prompt p\.jinja cannot be rendered: "):
        load_prompt(path).render(Item("1", "v", "q", "a"), RatingScale(), PromptOptions())


# --- paths stay in their folders ------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["../a", "/a", "a/../../b", "a\\b", "C:/a", "C:a", "//host/a", "..", "a\0b", "x" * 256]
)
def test_a_path_of_a_row_that_leaves_its_folder_is_refused(path: str) -> None:
    """The one check that rows of gold sets, answers, seeds and training go through."""
    with pytest.raises(ValueError, match="path"):
        inside_its_folder(path)


@pytest.mark.parametrize("video_id", ["../secret", "/etc/secret", "a/../../secret", "..", "C:\\s"])
def test_the_id_of_a_training_row_leaves_no_folder(video_id: str, tmp_path: Path) -> None:
    row = TrainingRow.model_validate(a_row(video_id=video_id))
    assert video_path(row, tmp_path).resolve().is_relative_to(tmp_path.resolve())


def test_links_are_those_of_the_folders_owner(tmp_path: Path) -> None:
    """A link in one's own folder is followed; a row cannot name what lies behind it."""
    videos, elsewhere = tmp_path / "videos", tmp_path / "elsewhere"
    videos.mkdir()
    elsewhere.mkdir()
    (elsewhere / "v.mp4").touch()
    (videos / "mine.mp4").symlink_to(elsewhere / "v.mp4")
    (videos / "folder").symlink_to(elsewhere)
    assert set(find_videos(videos)) == {"mine"}


# --- keys are written nowhere ---------------------------------------------------------------------


def test_judge_writes_no_key(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    row = {**GOOD, "id": "1", "description": "A woman fries two eggs."}
    answers = write(tmp_path / "a.jsonl", [row])

    def script(number: int, _: object) -> Answer:
        return completion() if number else failure(500, f"I had {KEY} and {KEY}")

    with faulty_server(script) as seen:
        address = seen.base_url.replace("//", f"//anna:{KEY}@")
        for name, options in {
            "key": f"base_url={seen.base_url},model=m,api_key={KEY}",
            "user": f"base_url={address},model=m,retries=0",
        }.items():
            judge = f"text_llm,engine=openai,{options}"
            words = ("judge", answers, "--judge", judge, "-o", tmp_path / name)
            for more in (("--dry-run",), ("--journal", tmp_path / "j" / name)):
                assert main([str(word) for word in (*words, *more)]) == 0
    assert seen.headers[0]["authorization"] == f"Bearer {KEY}"
    assert_no_key(tmp_path, capfd)
    assert list((tmp_path / "j").rglob("judgements-0.jsonl"))


def test_doctor_writes_no_key(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    judge = f"openai,base_url=http://127.0.0.1:9/v1?key={KEY},model=m,api_key={KEY}"
    with faulty_server(lambda *_: failure(401, f"{KEY} is bad"), takes_all=False) as seen:
        for form in (["--json"], []):
            asked = ["--server", seen.base_url, "--judge", judge, *form]
            assert main(["doctor", *asked]) == 1
    assert_no_key(tmp_path, capfd)


def test_train_has_no_place_for_a_key() -> None:
    """`report_to` names a tracker, which finds its key in its own variable or file."""
    with pytest.raises(ConfigError, match="api_key"):
        load_recipe("smoke_cpu", [f"training.api_key={KEY}"])


def assert_no_key(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    printed = capfd.readouterr()
    assert KEY not in printed.out + printed.err
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


# --- requests go to the address that was given ----------------------------------------------------


@contextmanager
def moved(status: int) -> Iterator[tuple[Seen, Seen]]:
    """A server that sends every request to another one, and that other one."""
    with faulty_server(lambda *_: completion()) as other:
        sent = failure(status, "moved", Location=f"{other.base_url}/chat/completions")
        with faulty_server(one_by_one(sent)) as seen:
            yield seen, other


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_of_a_chat_is_followed(status: int) -> None:
    with moved(status) as (seen, other):
        with pytest.raises(ConfigError, match=f"sends us to {other.base_url}"):
            ask(engine_at(seen, api_key=KEY))
        assert (len(seen.requests), other.requests, other.lists) == (1, [], 0)


def test_no_redirect_of_the_list_of_models_is_followed() -> None:
    with moved(307) as (seen, other):
        seen.moved = f"{other.base_url}/models"
        engine = OpenAIEngine(base_url=seen.base_url, model="m", api_key=KEY)
        assert asyncio.run(engine.models()) == []
        assert (seen.lists, other.lists) == (1, 0)
