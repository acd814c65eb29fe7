"""The package that CONTRIBUTING shows, installed as it stands there, runs through lmms_eval."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from repository import ROOT, pip
from running import OUTPUT, Ran, assert_leaderboard_has, evaluation, once, run

from videojudge_bench import goldsets

TASK = "videojudge_vatex"
LIMIT = 12  # two videos
FILE = re.compile(r"^`(?P<name>[\w./]+)`[^`\n]*:\n\n```\w+\n(?P<text>.*?)^```$", re.M | re.S)
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
HAIKU = "videojudge_haiku"
COMMANDS = re.compile(r"^```\n(?P<text>videojudge judges --check.*?)^```$", re.M | re.S)


@pytest.fixture(scope="session")
def contributing() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def shown(contributing: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """The commands that the text shows, run with its package and its gold set installed."""

    def make(here: Path) -> dict[str, Ran]:
        source, site = here / "source", here / "site"
        for found in FILE.finditer(contributing):
            path = source / found["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(found["text"], encoding="utf-8")
        _add_gold_set(contributing, source)
        pip(["install", "--no-deps", "--no-build-isolation", "--target", site, source], here)
        made = {str(n): _run_line(here / str(n), line, site) for n, line in enumerate(_lines())}
        for name, command in {
            "list": ["videojudge", "data", "list"],
            "haiku": evaluation("judge=longest", tasks=HAIKU),
            "wildcard": evaluation("judge=longest", tasks="videojudge_*", limit=2),
        }.items():
            (here / name).mkdir()
            made[name] = run(command, here / name, variables={"PYTHONPATH": str(site)})
        return made

    def _lines() -> list[str]:
        (found,) = COMMANDS.finditer(contributing)
        return found["text"].splitlines()

    return once(tmp_path_factory, "contributing", make)


def test_all_files_of_the_package_are_shown(contributing: str) -> None:
    assert [found["name"] for found in FILE.finditer(contributing)] == [
        "my_pkg/__init__.py",
        "my_pkg/strict.jinja",
        "my_pkg/strict_pair.jinja",
        "pyproject.toml",
    ]


def test_the_judges_keep_the_contract(shown: dict[str, Ran]) -> None:
    ran = shown["0"]
    assert ran.code == 0, ran.output
    assert "every item is answered once" in ran.output
    assert "FAILED" not in ran.output


def test_a_judge_has_a_name_by_its_entry_point(shown: dict[str, Ran]) -> None:
    ran = shown["1"]
    assert ran.code == 0, ran.output
    examples = goldsets.load("vatex").examples[:LIMIT]
    expected = [
        len(_words(e.item.response) & _words(e.item.references[0]))  # type: ignore[union-attr]
        for e in examples
    ]
    verdicts = [record["verdict"] for record in ran.judgements(TASK)]
    assert [v["rating"] for v in verdicts if isinstance(v, dict)] == expected
    assert {record["references"] for record in ran.judgements(TASK)} == {1}
    assert ran.numbers(TASK)["rmse"] == "undefined (not on the rating scale)"


def test_a_prompted_judge_reads_replies_and_needs_videos(shown: dict[str, Ran]) -> None:
    ran = shown["2"]
    assert ran.code == 0, ran.output
    numbers = ran.numbers(TASK)
    assert (numbers["n"], numbers["n_missing_video"], numbers["n_parsed"]) == (LIMIT, 6, 6)
    assert numbers["coverage"] == 1.0
    assert numbers["spearman"] == "undefined (constant judge)"
    assert f"{TASK}: 6 items had no video to look at" in ran.output
    reasons = [str(record["verdict"]) for record in ran.judgements(TASK)]
    assert sum("video missing: no file" in reason for reason in reasons) == 6


def test_the_leaderboard_counts_missing_videos_too(shown: dict[str, Ran], tmp_path: Path) -> None:
    ran = shown["2"]
    command = ["videojudge", "leaderboard", "add", f"{ran.folder}/cache"]
    added = run([*command, "--results", "results"], tmp_path)
    assert added.code == 0, added.output
    (kept,) = (tmp_path / "results" / "runs" / "vatex").iterdir()
    assert_leaderboard_has(kept, ran.numbers(TASK))


def test_a_gold_set_is_a_task_by_its_entry_point(shown: dict[str, Ran]) -> None:
    ran = shown["haiku"]
    assert ran.code == 0, ran.output
    (record,) = ran.judgements(HAIKU)
    assert (record["id"], record["gold"]) == ("pond/1", "4 5")
    assert record["verdict"] == {"id": "pond/1", "rating": 4.0}, "An old silent pond"
    assert ran.numbers(HAIKU)["n"] == 1


def test_the_list_shows_the_gold_set_of_the_package(shown: dict[str, Ran]) -> None:
    ran = shown["list"]
    assert ran.code == 0, ran.output
    (row,) = [line.split() for line in ran.output.splitlines() if line.split()[:1] == ["haiku"]]
    assert row[:8] == ["haiku", "full", "human", "ratings", "1", "1", HAIKU, "CC0-1.0"]


def test_the_wildcard_sees_it_once(shown: dict[str, Ran]) -> None:
    ran = shown["wildcard"]
    assert ran.code == 0, ran.output
    results = ran.results["results"]
    assert isinstance(results, dict)
    assert set(results) == {f"videojudge_{name}" for name in (*goldsets.names(), "haiku")}
    assert ran.numbers(HAIKU) == shown["haiku"].numbers(HAIKU)
    assert len(ran.samples(HAIKU)) == 1


def _add_gold_set(contributing: str, source: Path) -> None:
    """Put the gold set of the text, and the entry point that names it, into the package."""
    blocks = [(found["language"], found["text"]) for found in BLOCK.finditer(contributing)]
    (module,) = [text for language, text in blocks if language == "python" and "INFO = " in text]
    (entry,) = [text for language, text in blocks if language == "toml" and "haiku" in text]
    assert entry.splitlines() == [
        '[project.entry-points."videojudge_bench.goldsets"]',
        'haiku = "my_pkg.haiku"',
    ]
    (source / "my_pkg" / "haiku.py").write_text(module, encoding="utf-8")
    with (source / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{entry}")


def _run_line(here: Path, line: str, site: Path) -> Ran:
    """Run a command where its file of replies and its folder of videos are, on a few items."""
    videos = here / "DIR"
    videos.mkdir(parents=True)
    first = goldsets.load("vatex").examples[0].item
    (videos / f"{first.video_id}.mp4").touch()
    reply = {"id": "*", "reply": "<score>4</score>"}
    (here / "replies.jsonl").write_text(json.dumps(reply) + "\n", encoding="utf-8")
    command = shlex.split(line)
    if command[0] == "lmms_eval":
        command += ["--limit", str(LIMIT), "--log_samples", "--output_path", OUTPUT]
    return run(command, here, variables={"PYTHONPATH": str(site)})


def _words(text: str) -> set[str]:
    return set(text.lower().split())
