"""`videojudge describe`: once per video, kept as it comes, gone on with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_engine import FakeEngine, Replies, TextEngine
from filelock import FileLock

from videojudge_bench import goldsets
from videojudge_bench.cli.main import main
from videojudge_bench.engine import EngineError, PromptGroup, Reply, Sampling
from videojudge_bench.errors import ConfigError, DataError, JournalBusyError
from videojudge_bench.goldsets.view import read_descriptions
from videojudge_bench.run.describe import DescribeOptions, Describer

ASKED: list[str] = []
BROKEN: set[str] = set()
UNFINISHED: set[str] = set()
SILENT: set[str] = set()


class Narrator(FakeEngine):
    """Describes every video but those that are said to be broken."""

    async def same(self, group: PromptGroup) -> Replies:
        (tail,) = group.continuations
        ASKED.append(tail.id)
        assert group.prefix.video is not None
        if tail.id in BROKEN:
            return [EngineError("it is broken")]
        if tail.id in SILENT:
            return [Reply(" \n")]
        text = f" {self.reply} in {group.prefix.video.name}\n"
        return [Reply(text, finished=tail.id not in UNFINISHED)]


@pytest.fixture(autouse=True)
def _afresh() -> None:
    for kept in (ASKED, BROKEN, UNFINISHED, SILENT):
        kept.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "videos"
    found.mkdir()
    for name in "cab":
        (found / f"{name}.mp4").touch()
    return found


def describe(
    capsys: pytest.CaptureFixture[str], *arguments: object, engine: str = ""
) -> tuple[int, str, str]:
    """Run the command with an engine, the narrator first; return exit status, stdout, stderr."""
    name = engine if engine and engine[0] != "," else f"{__name__}:Narrator{engine}"
    code = main(["describe", "--engine", name, *map(str, arguments)])
    return code, *capsys.readouterr()


def test_each_video_of_a_folder_is_described_once(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "d.jsonl"
    command = ("--videos", folder, "-o", output)
    code, out, _ = describe(capsys, *command, engine=",reply=A cat")
    assert (code, out) == (0, f"{output} describes 3 of 3 videos\n")
    assert read_descriptions(output) == {name: f"A cat in {name}.mp4" for name in "abc"}
    before = output.read_bytes()
    assert describe(capsys, *command, engine=",reply=A cat")[0] == 0
    assert sorted(ASKED) == ["a", "b", "c"]
    assert output.read_bytes() == before


def test_what_failed_is_said_and_asked_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "d.jsonl"
    (folder / "d.mp4").touch()
    BROKEN.add("b")
    UNFINISHED.add("c")
    SILENT.add("d")
    code, out, err = describe(capsys, "--videos", folder, "-o", output)
    assert (code, out) == (1, f"{output} describes 1 of 4 videos\n")
    assert sorted(err.splitlines()) == [
        "videojudge: b: it is broken",
        "videojudge: c: the description was cut off at max_tokens; give more of them",
        "videojudge: d: the model wrote nothing",
    ]
    for kept in (BROKEN, UNFINISHED, SILENT):
        kept.clear()
    assert describe(capsys, "--videos", folder, "-o", output)[0] == 0
    assert sorted(ASKED) == ["a", "b", "b", "c", "c", "d", "d"]
    assert list(read_descriptions(output)) == ["a", *sorted(read_descriptions(output))[1:]]


def test_a_line_that_a_crash_left_unfinished_is_written_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "d.jsonl"
    describe(capsys, "--videos", folder, "-o", output)
    whole = output.read_bytes()
    output.write_bytes(whole[:-20])
    ASKED.clear()
    assert describe(capsys, "--videos", folder, "-o", output)[0] == 0
    assert len(ASKED) == 1
    assert sorted(output.read_bytes().splitlines()) == sorted(whole.splitlines())


@pytest.mark.parametrize(
    "change", [[], ["--max-tokens", "9"], ["--temperature", "1"], ["--seed", "3"]]
)
def test_descriptions_made_in_two_ways_are_not_mixed(
    folder: Path, tmp_path: Path, change: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "d.jsonl"
    describe(capsys, "--videos", folder, "-o", output)
    engine = "" if change else ",reply=B"
    code, _, err = describe(capsys, "--videos", folder, "-o", output, *change, engine=engine)
    if engine:  # the engine does not say that this changes anything
        assert code == 0
    else:
        assert code == 2
        assert "holds descriptions made in another way" in err
        assert "Give another file, or the options of that one" in err


def test_a_set_and_a_folder_are_the_sets_videos_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("--gold-set", "vcg", "--videos", folder, "-o", tmp_path / "d.jsonl")
    assert describe(capsys, *command)[0] == 0
    assert sorted(ASKED) == sorted({e.item.video_id for e in goldsets.load("vcg").examples})


def test_a_gold_sets_own_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "d.jsonl"
    code, _, _ = describe(capsys, "--gold-set", "vcg", "-o", output, "--limit", "2")
    assert code == 0
    known = {example.item.video_id for example in goldsets.load("vcg").examples}
    assert len(ASKED) == 2
    assert set(ASKED) <= known
    row = json.loads(output.read_text().splitlines()[0])
    assert "model:fake-1" in row["made_by"]
    assert "prompt:" in row["made_by"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "expected videos, got none: give --gold-set NAME, --videos DIR, or both"),
        (["--gold-set", "vatex"], "no video was found in the folder of vatex; give --videos DIR"),
        (["--videos", "nowhere"], "the video folder 'nowhere' does not exist"),
        (["--gold-set", "vcg", "openay"], "unknown engine 'openay'. Did you mean 'openai'"),
        (["--gold-set", "vcg", f"{TextEngine.__module__}:TextEngine"], "takes text alone"),
        (["--gold-set", "vcg", "--prompt", "none.jinja"], "prompt file none.jinja"),
        (["--gold-set", "vcg", ",replay=x"], "unknown option 'replay'. Did you mean 'reply'?"),
    ],
)
def test_what_cannot_work_is_said(
    arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    *options, engine = arguments if len(arguments) % 2 else [*arguments, ""]
    code, _, err = describe(capsys, "-o", tmp_path / "d.jsonl", *options, engine=engine)
    assert code == 2
    assert text in err


def test_a_file_of_another_kind_is_left_alone(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "d.jsonl"
    output.write_text('{"video": "a"}\n')
    describer = Describer(DescribeOptions(f"{__name__}:Narrator"))
    with pytest.raises(DataError, match="line 1"):
        describer.waiting({"a": folder / "a.mp4"}, output)


def test_two_processes_do_not_write_one_file(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "d.jsonl"
    describer = Describer(DescribeOptions(f"{__name__}:Narrator", sampling=Sampling()))
    with FileLock(f"{output}.lock"), pytest.raises(JournalBusyError, match="wait for it"):
        list(describer.write([("a", folder / "a.mp4")], output))


def test_what_another_process_has_described_meanwhile_is_left_out(
    folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "d.jsonl"
    slow, fast = (Describer(DescribeOptions(f"{__name__}:Narrator")) for _ in range(2))
    waiting = slow.waiting({name: folder / f"{name}.mp4" for name in "abc"}, output)
    assert list(fast.write(waiting[:2], output)) == [("a", ""), ("b", "")]
    assert list(slow.write(waiting, output)) == [("c", "")]
    assert ASKED == ["a", "b", "c"]
    assert list(read_descriptions(output)) == ["a", "b", "c"]


def test_an_engine_that_takes_text_alone_cannot_describe() -> None:
    with pytest.raises(ConfigError, match="a description needs a model that takes videos"):
        Describer(DescribeOptions(f"{TextEngine.__module__}:TextEngine"))
