"""Every way to start an evaluation gives the same numbers."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from measured_runs import score
from running import (
    Ran,
    assert_leaderboard_has,
    assert_numbers_are_plain,
    evaluation,
    run,
    run_once,
)

from videojudge_bench import goldsets, registry
from videojudge_bench.items import Item

LIMIT = 30  # five videos of VATEX-EVAL with six candidates each
JUDGE = "judge=longest"
VATEX, NEXTQA = "videojudge_vatex", "videojudge_nextqa"
NO_HOOK = {"VIDEOJUDGE_NO_TASK_HOOK": "1"}


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The run that all others must equal."""
    return run_once(tmp_path_factory, "lmms_eval", evaluation(JUDGE, limit=LIMIT))


@pytest.fixture(scope="session")
def wildcard(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A judge that requires references, on all sets."""
    command = evaluation("judge=rouge_l,references=1", tasks="videojudge_*", limit=LIMIT)
    return run_once(tmp_path_factory, "wildcard", command)


@pytest.fixture(scope="session")
def group(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    command = evaluation(JUDGE, tasks="videojudge", limit=LIMIT)
    return run_once(tmp_path_factory, "group", command)


@pytest.fixture(scope="session")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The run in two processes, its journal in the folder `journal`."""
    torchrun = ("torchrun", "--nproc-per-node", "2", "--master-port", str(_free_port()))
    program = (*torchrun, "-m", "lmms_eval")
    command = evaluation(f"{JUDGE},journal=journal", limit=LIMIT, program=program)
    return run_once(tmp_path_factory, "torchrun", command)


def test_lmms_eval_gives_the_numbers_of_the_judge(reference: Ran) -> None:
    assert reference.code == 0, reference.output
    examples = goldsets.load("vatex").examples[:LIMIT]
    longest = registry.build("longest", {}).judge
    judged = {j.item_id: j for j in longest.judge(example.item for example in examples)}
    card = score(goldsets.load("vatex"), judged, on_scale=False)
    numbers = reference.numbers(VATEX)
    assert numbers.pop("judgement") == LIMIT
    assert numbers == card.flat()
    assert isinstance(numbers["emscore_tau_b"], float)


@pytest.mark.parametrize(
    "program",
    [("lmms-eval",), (sys.executable, "-m", "lmms_eval")],
    ids=["lmms-eval", "python -m lmms_eval"],
)
def test_the_hosts_own_commands_give_the_same(
    program: Sequence[str], reference: Ran, tmp_path: Path
) -> None:
    ran = run(evaluation(JUDGE, limit=LIMIT, program=program), tmp_path)
    assert ran.code == 0, ran.output
    assert ran.numbers(VATEX) == reference.numbers(VATEX)


def test_the_include_path_works_without_the_hook(reference: Ran, tmp_path: Path) -> None:
    arguments = " ".join(evaluation(JUDGE, limit=LIMIT, program=()))
    script = f'lmms-eval --include_path "$(videojudge tasks-path)" {arguments}'
    ran = run(["sh", "-c", script], tmp_path, variables=NO_HOOK)
    assert ran.code == 0, ran.output
    assert ran.numbers(VATEX) == reference.numbers(VATEX)


def test_samples_hold_one_record_each(reference: Ran) -> None:
    samples = reference.samples(VATEX)
    examples = goldsets.load("vatex").examples[:LIMIT]
    assert [sample["doc_id"] for sample in samples] == list(range(LIMIT))
    records = reference.judgements(VATEX)
    assert [record["id"] for record in records] == [e.item.id for e in examples]
    first = examples[0].item
    assert isinstance(first, Item)
    assert records[0] == {
        "id": first.id,
        "gold": "2 2 2",
        "references": 0,
        "verdict": {"id": first.id, "rating": float(len(first.response.split()))},
    }
    # The host would average a key `score` and print the result as a standard error.
    assert not [s for s in samples if "score" in s or "score" in str(s["judgement"])]


def test_no_text_of_the_gold_set_is_in_a_reply(reference: Ran) -> None:
    for sample in reference.samples(VATEX):
        sealed = json.loads(str(sample["filtered_resps"]))
        assert sealed.keys() == {"videojudge", "id", "rating"}


def test_the_journal_is_in_the_cache_folder_and_says_what_it_is_of(reference: Ran) -> None:
    (facts,) = (reference.folder / "cache" / "videojudge_bench" / "journals").rglob("run.json")
    read = json.loads(facts.read_text(encoding="utf-8"))
    assert (read["gold_set"], read["judge"], read["references"]) == ("vatex", "longest", 0)
    assert f"judgements are in {facts.parent}" in reference.output
    assert "||judge:longest" in reference.output  # the signature


def test_the_leaderboard_works_the_same_numbers_out_of_the_journal(
    reference: Ran, tmp_path: Path
) -> None:
    command = ["videojudge", "leaderboard", "add", f"{reference.folder}/cache"]
    added = run([*command, "--results", "results"], tmp_path)
    assert added.code == 0, added.output
    kept = tmp_path / "results" / "runs" / "vatex" / "longest-0ref"
    assert_leaderboard_has(kept, reference.numbers(VATEX))


def test_the_wildcard_runs_every_task_once(wildcard: Ran) -> None:
    assert wildcard.code == 0, wildcard.output
    assert set(_results(wildcard)) == {f"videojudge_{name}" for name in goldsets.names()}
    assert wildcard.numbers(VATEX)["n"] == LIMIT
    assert len(wildcard.samples(VATEX)) == len(wildcard.samples(NEXTQA)) == LIMIT


def test_a_set_that_does_not_suit_the_judge_is_not_applicable(wildcard: Ran) -> None:
    reason = "judge rouge_l requires references; videojudge_nextqa has none"
    assert f"{NEXTQA}: not applicable: {reason}" in wildcard.output
    numbers = wildcard.numbers(NEXTQA)
    assert numbers["psup"] == f"undefined (not applicable: {reason})"
    assert numbers["n"] == 0


def test_the_group_runs_its_members_once(group: Ran, reference: Ran) -> None:
    assert group.code == 0, group.output
    assert set(_results(group)) >= {VATEX, NEXTQA}
    assert group.numbers(VATEX) == reference.numbers(VATEX)
    assert group.numbers(NEXTQA)["n"] == LIMIT
    assert len(group.samples(NEXTQA)) == LIMIT


def test_all_metrics_are_numbers_or_undefined(reference: Ran, wildcard: Ran, group: Ran) -> None:
    for ran in (reference, wildcard, group):
        for task, numbers in _results(ran).items():
            if task.startswith("videojudge_"):
                assert_numbers_are_plain(ran.numbers(task))
            else:  # the group: nothing is averaged across sets
                assert [key for key in numbers if key not in ("alias", " ")] == []


def test_two_processes_give_the_same_numbers(two_processes: Ran, reference: Ran) -> None:
    assert two_processes.code == 0, two_processes.output
    assert two_processes.numbers(VATEX) == reference.numbers(VATEX)
    assert len(two_processes.samples(VATEX)) == LIMIT


def test_every_group_is_judged_by_one_process(two_processes: Ran) -> None:
    (folder,) = (two_processes.folder / "journal" / "vatex").iterdir()
    videos = [_videos(folder / f"judgements-{rank}.jsonl") for rank in (0, 1)]
    assert not videos[0] & videos[1]
    assert all(videos), "five videos fall on both processes"
    assert videos[0] | videos[1] == {
        e.item.video_id for e in goldsets.load("vatex").examples[:LIMIT]
    }


def test_one_process_goes_on_with_the_journal_of_two(
    two_processes: Ran, reference: Ran, tmp_path: Path
) -> None:
    journal = two_processes.folder / "journal"
    before = {path: path.read_bytes() for path in journal.rglob("judgements-*.jsonl")}
    ran = run(evaluation(f"{JUDGE},journal={journal}", limit=LIMIT), tmp_path)
    assert ran.code == 0, ran.output
    assert ran.numbers(VATEX) == reference.numbers(VATEX)
    assert {path: path.read_bytes() for path in journal.rglob("judgements-*.jsonl")} == before


def test_the_hosts_tasks_are_still_listed(tmp_path: Path) -> None:
    ran = run(["lmms_eval", "--tasks", "list"], tmp_path)
    assert ran.code == 0, ran.output
    listed = {line.removeprefix(" - ") for line in ran.output.splitlines()}
    assert {"videojudge", VATEX, NEXTQA, "mme", "videomme"} <= listed
    assert len(listed) > 1000


def _results(ran: Ran) -> dict[str, dict[str, object]]:
    found = ran.results["results"]
    assert isinstance(found, dict)
    return found


def _videos(journal: Path) -> set[str]:
    lines = journal.read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["id"].rpartition("/")[0] for line in lines}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
