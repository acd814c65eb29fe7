"""`judge=qwen2_5_vl` over all gold sets and the shipped videos: whole, killed, by two processes.

The model is real and tiny, with random weights: what it says is nonsense, how it is asked is not.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from running import TIMEOUT_SECONDS, Ran, assert_numbers_are_plain, evaluation, once, run, start

from videojudge_bench import goldsets
from videojudge_bench.judges.tiny_qwen import build

SAMPLES = (
    "videojudge_llava",
    "videojudge_vcg",
    "videojudge_longvideobench",
    "videojudge_pairwise",
    "videojudge_pairwise_h",
)
WITHOUT_VIDEOS = ("videojudge_vatex", "videojudge_nextqa")
LIMIT = 6
Row = dict[str, object]
ARGUMENTS = (
    "judge=qwen2_5_vl,pretrained={root}/tiny,device=cpu,score=expected,feedback=false,"
    "max_frames=4,min_pixels=3136,max_pixels=12544,journal=journal"
)
TORCHRUN = ("torchrun", "--standalone", "--nproc-per-node", "2", "-m", "lmms_eval")


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    def make(here: Path) -> dict[str, Ran]:
        build(here / "tiny")
        arguments = ARGUMENTS.format(root=here)
        everything = evaluation(arguments, tasks="videojudge_*", limit=LIMIT)
        folders = {name: here / name for name in ("whole", "killed", "two", "described")}
        for folder in folders.values():
            folder.mkdir()
        whole = run(everything, folders["whole"])
        with start(everything, folders["killed"]) as process:
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while len(_journalled(folders["killed"])) < LIMIT and time.monotonic() < deadline:
                time.sleep(0.05)
            process.kill()
        at_kill = _journalled(folders["killed"])
        (folders["killed"] / "at_kill.json").write_text(json.dumps(at_kill), encoding="utf-8")
        resumed = run(everything, folders["killed"])
        told = f"{arguments},video=description,descriptions={_described(here)}"
        reading = evaluation(told, tasks="videojudge_vcg,videojudge_nextqa", limit=LIMIT)
        some = evaluation(arguments, tasks=",".join(SAMPLES[:3]), limit=LIMIT, program=TORCHRUN)
        return {
            "whole": whole,
            "resumed": resumed,
            "two": run(some, folders["two"]),
            "described": run(reading, folders["described"]),
        }

    return once(tmp_path_factory, "seeing", make)


@pytest.mark.parametrize("task", [*SAMPLES, *WITHOUT_VIDEOS, "videojudge_videoautoarena"])
def test_every_metric_of_every_task_is_a_number_or_says_why_not(
    runs: dict[str, Ran], task: str
) -> None:
    assert runs["whole"].code == 0, runs["whole"].output
    assert_numbers_are_plain(runs["whole"].numbers(task))


@pytest.mark.parametrize("task", SAMPLES)
def test_the_model_was_asked_and_its_distribution_is_kept(runs: dict[str, Ran], task: str) -> None:
    found = _answers(runs["whole"], task)
    assert len(found) == LIMIT
    for judgement in found.values():
        probabilities = judgement["probabilities"]
        assert isinstance(probabilities, dict)
        assert set(probabilities) == (set("AB") if "pairwise" in task else set("12345"))
        # Random weights: nearly all of the mass is lost, which is said and is no verdict.
        assert str(judgement["unparsed"]).startswith("lost mass ")


@pytest.mark.parametrize("task", WITHOUT_VIDEOS)
def test_missing_videos_are_counted(runs: dict[str, Ran], task: str) -> None:
    numbers = runs["whole"].numbers(task)
    assert numbers["n_missing_video"] == numbers["n"]


def test_a_killed_run_asks_for_nothing_twice(runs: dict[str, Ran]) -> None:
    assert runs["resumed"].code == 0, runs["resumed"].output
    folder = runs["resumed"].folder
    before = json.loads((folder / "at_kill.json").read_text(encoding="utf-8"))
    after = _journalled(folder)
    assert LIMIT <= len(before) < len(after)
    assert set(before) <= set(after)
    assert len(set(after)) == len(after)


@pytest.mark.parametrize("task", SAMPLES)
def test_a_killed_run_ends_with_the_same_judgements(runs: dict[str, Ran], task: str) -> None:
    one, other = (_answers(runs[name], task) for name in ("whole", "resumed"))
    assert one == other


@pytest.mark.parametrize("task", SAMPLES[:3])
def test_two_processes_give_the_same_judgements(runs: dict[str, Ran], task: str) -> None:
    assert runs["two"].code == 0, runs["two"].output
    one, other = (_answers(runs[name], task) for name in ("whole", "two"))
    assert one.keys() == other.keys()
    for item_id, judgement in one.items():
        # Another number of threads adds numbers up in another order.
        expected = pytest.approx(judgement["probabilities"], rel=1e-3)
        assert other[item_id]["probabilities"] == expected
    ranks = {p.name for p in (runs["two"].folder / "journal").rglob("judgements-*.jsonl")}
    assert ranks == {"judgements-0.jsonl", "judgements-1.jsonl"}


def test_a_description_takes_the_place_of_the_video(runs: dict[str, Ran]) -> None:
    assert runs["described"].code == 0, runs["described"].output
    found, seen = (_answers(runs[name], "videojudge_vcg") for name in ("described", "whole"))
    assert found.keys() == seen.keys()
    assert [i for i in found if found[i]["probabilities"] == seen[i]["probabilities"]] == []
    assert "not applicable" in str(runs["described"].numbers("videojudge_nextqa"))


def _described(here: Path) -> Path:
    """A file with a description of each video of one gold set's first items."""
    path = here / "descriptions.jsonl"
    videos = {example.item.video_id for example in goldsets.load("vcg").examples[:LIMIT]}
    rows = [{"video_id": video, "description": f"A film, {video}."} for video in videos]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def _journalled(folder: Path) -> list[str]:
    """Items that the model was asked about, in the order of the journals' files."""
    return [f"{row['set']} {row['id']}" for row in _rows(folder) if not row.get("failed")]


def _answers(ran: Ran, task: str) -> dict[str, Row]:
    name = task.removeprefix("videojudge_")
    rows = [row for row in _rows(ran.folder) if row["set"] == name]
    return {str(row["id"]): {k: v for k, v in row.items() if k != "usage"} for row in rows}


def _rows(folder: Path) -> list[Row]:
    """The whole lines of all journals, each with the name of its gold set."""
    found: list[Row] = []
    for path in sorted((folder / "journal").rglob("judgements-*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        name = path.parent.parent.name
        found += [{**json.loads(line), "set": name} for line in lines if line.endswith("\n")]
    return found
