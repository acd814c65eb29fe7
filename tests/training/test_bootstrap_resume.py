"""Runs that are cut short, on full disks and against servers that die: what is kept, and paid."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from server import talk_server
from talk import TalkEngine, options_for, outputs, talk

from videojudge_bench.engine import EngineError
from videojudge_bench.errors import ConfigError, JournalBusyError, RunStoppedError
from videojudge_bench.training.bootstrap.contracts import Outcome
from videojudge_bench.training.bootstrap.executors import is_failed
from videojudge_bench.training.bootstrap.options import BootstrapOptions
from videojudge_bench.training.bootstrap.prompted import PromptedEvaluator, PromptedGenerator
from videojudge_bench.training.bootstrap.roles import Roles
from videojudge_bench.training.bootstrap.run import run_bootstrap
from videojudge_bench.training.bootstrap.run_folder import RunFolder
from videojudge_bench.verdicts import Usage

pytestmark = pytest.mark.timeout(180)

SEEDS = 300  # a whole shard and a part of one
KILLS = 20


@contextmanager
def _in_a_process(work: Callable[[Connection], None]) -> Iterator[tuple[int, Connection]]:
    """Run something in a fork of this process; give its id, and the other end of its pipe."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=work, args=(there,))
    process.start()
    there.close()
    assert process.pid is not None
    try:
        yield process.pid, here
    finally:
        process.kill()
        process.join()
        here.close()


def _calls(folder: Path) -> Counter[tuple[str, int, int, str]]:
    """How often each reply is recorded."""
    found: Counter[tuple[str, int, int, str]] = Counter()
    for path in (folder / "journal").iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            data = json.loads(line)
            found[data["seed"], data["target"], data["round"], data["role"]] += 1
    return found


def _asked(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    result = run_bootstrap(options_for(folder, SEEDS, "concurrency=1"), folder / "out")
    assert result.tally.seeds == result.seeds == SEEDS
    assert 0.5 < result.tally.kept / SEEDS < 1
    return folder / "out"


@pytest.mark.parametrize("concurrency", [7, 256])
def test_the_output_does_not_depend_on_concurrency(
    concurrency: int, whole: Path, tmp_path: Path
) -> None:
    options = options_for(
        tmp_path,
        SEEDS,
        f"concurrency={concurrency}",
        "generator.delay_seconds=0.003",
        "evaluator.delay_seconds=0.003",
    )
    run_bootstrap(options, tmp_path / "out")
    # The path of the seeds' file is of no account for what is made of them.
    assert outputs(tmp_path / "out") == outputs(whole)


def test_killed_at_20_random_points_it_ends_with_the_same_files(
    whole: Path, tmp_path: Path
) -> None:
    output, log, concurrency = tmp_path / "out", tmp_path / "log", 16
    options = options_for(
        tmp_path,
        SEEDS,
        f"concurrency={concurrency}",
        f"generator.log={log}",
        f"evaluator.log={log}",
        "generator.delay_seconds=0.001",
        "evaluator.delay_seconds=0.001",
    )
    draw, every = random.Random(5), sum(_calls(whole).values())
    kills = 0
    for _ in range(KILLS):
        with _in_a_process(lambda _: _quietly(options, output)) as (pid, _):
            until = _asked(log) + draw.randrange(1, every // KILLS)
            while _asked(log) < until and _is_alive(pid):
                time.sleep(0.001)
            if _is_alive(pid):
                os.kill(pid, signal.SIGKILL)
                kills += 1
    assert kills == KILLS
    result = run_bootstrap(options, output)
    assert outputs(output) == outputs(whole)
    recorded = _calls(output)
    assert recorded == _calls(whole)  # each of them once
    paid = sum(n for (*_, role), n in recorded.items() if role != "check")
    assert result.tally.requests == paid
    # What was in flight at a kill is all that was asked for again.
    assert _asked(log) <= paid + KILLS * concurrency


def _quietly(options: BootstrapOptions, output: Path) -> None:
    run_bootstrap(options, output)


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_damaged_lines_are_asked_for_again(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "log"
    roles = (f"generator.log={log}", f"evaluator.log={log}", "concurrency=1")
    options = options_for(tmp_path, SEEDS, *roles, "max_requests=500")
    assert run_bootstrap(options, tmp_path / "out").budget
    journal = tmp_path / "out" / "journal" / "00000.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[10] = lines[10].replace(b"{", b"[", 1)
    # A draft is lost, and the evaluation in the next line was said of it.
    place = next(n for n in range(20, 99) if b'"evaluator"' in lines[n + 1])
    lines[place] = lines[place].replace(b'"text": ', b'"tex": ')
    journal.write_bytes(b"".join(lines) + b'{"seed": "torn')
    run_bootstrap(options_for(tmp_path, SEEDS, *roles), tmp_path / "out")
    assert outputs(tmp_path / "out") == outputs(whole)
    assert f"left out: {journal}, line 11: JSONDecodeError" in caplog.text
    missing = f"left out: {journal}, line {place + 1}, field 'text': the field is missing"
    assert missing in caplog.text
    assert "cut 14 bytes" in caplog.text


def test_a_full_disk_ends_the_run_and_loses_nothing(whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    options = options_for(tmp_path, SEEDS, "concurrency=16")
    run_bootstrap_once = replace_budget(options, 1)
    run_bootstrap(run_bootstrap_once, output)  # the seeds are drawn, and fit on the disk

    def work(pipe: Connection) -> None:
        size = (output / "seeds.jsonl").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10_000, size + 10_000))
        try:
            run_bootstrap(options, output)
        except RunStoppedError as error:
            pipe.send(str(error))

    with _in_a_process(work) as (_, pipe):
        said = pipe.recv()
    assert said.startswith(
        f"{output / 'journal' / '00000.jsonl'} cannot be written (File too large"
    )
    assert "Make room, and run the same command again" in said
    before = _calls(output)  # every line is whole
    assert 50 < sum(before.values()) < sum(_calls(whole).values())
    run_bootstrap(options, output)
    assert outputs(output) == outputs(whole)
    assert _calls(output) == _calls(whole)


def test_two_runs_on_one_folder_are_refused(tmp_path: Path) -> None:
    output = tmp_path / "out"
    slow = options_for(tmp_path, 4, "generator.delay_seconds=60", "concurrency=4")

    def work(pipe: Connection) -> None:
        run_bootstrap(slow, output, on_progress=lambda *_: pipe.send("begun"))

    with _in_a_process(work) as (_, pipe):
        assert pipe.recv() == "begun"
        with pytest.raises(JournalBusyError, match=r"another run is writing .*out"):
            run_bootstrap(slow, output)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("alpha=1", "rules: alpha was 0.0 and is 1.0"),
        ("seeds.n=3", "seeds: n was None and is 3"),
        ("generator.temperature=0.1", "generator: temperature was 0.7 and is 0.1"),
        ("evaluator.max_tokens=7", "evaluator: max_tokens was 1024 and is 7"),
    ],
)
def test_a_folder_takes_one_way_of_making_data(change: str, said: str, tmp_path: Path) -> None:
    run_bootstrap(options_for(tmp_path, 4), tmp_path / "out")
    before = outputs(tmp_path / "out")
    with pytest.raises(ConfigError) as caught:
        run_bootstrap(options_for(tmp_path, 4, change), tmp_path / "out")
    assert said in str(caught.value)
    assert outputs(tmp_path / "out") == before


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    options = options_for(tmp_path / "made", 4)
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds made, thesis.tex and no bootstrap.json"):
        run_bootstrap(options, tmp_path)


def test_what_does_not_matter_for_the_data_may_change(tmp_path: Path) -> None:
    run_bootstrap(options_for(tmp_path, 4, "max_requests=9"), tmp_path / "out")
    changed = ("concurrency=3", "generator.delay_seconds=0.001", "export.kinds=[pairwise]")
    result = run_bootstrap(options_for(tmp_path, 4, *changed), tmp_path / "out")
    assert result.tally.seeds == 4


def test_a_budget_of_requests_is_kept_and_can_be_raised(whole: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    roles = (f"generator.log={log}", f"evaluator.log={log}", "concurrency=16")
    for most in (400, 1000):
        options = options_for(tmp_path, SEEDS, *roles, f"max_requests={most}")
        result = run_bootstrap(options, tmp_path / "out")
        assert result.budget == f"max_requests={most} is used up"
        assert result.tally.requests == _asked(log) == most
    result = run_bootstrap(options_for(tmp_path, SEEDS, *roles), tmp_path / "out")
    assert outputs(tmp_path / "out") == outputs(whole)
    assert result.tally.requests == _asked(log)  # nothing was asked for twice


def test_a_budget_of_money_is_not_passed(tmp_path: Path) -> None:
    engine = TalkEngine()  # each call costs 0.01
    limited = replace_budget(options_for(tmp_path, SEEDS, "concurrency=16"), max_cost=2.0)
    result = run_bootstrap(limited, tmp_path / "out", roles=_roles(engine))
    assert result.budget.startswith("max_cost=2 would be passed")
    assert 1.8 < result.tally.cost <= 2.0
    assert result.tally.requests == len(engine.prompts)


def _roles(engine: TalkEngine) -> Roles:
    return Roles(PromptedGenerator(engine=engine), PromptedEvaluator(engine=engine))


def replace_budget(
    options: BootstrapOptions, max_requests: int | None = None, max_cost: float | None = None
) -> BootstrapOptions:
    return options.model_copy(update={"max_requests": max_requests, "max_cost": max_cost})


def test_a_seed_whose_call_failed_is_tried_again(whole: Path, tmp_path: Path) -> None:
    engine, options = TalkEngine(), options_for(tmp_path, SEEDS, "concurrency=16")
    engine.answer = lambda prompt: EngineError("429") if "pond house 9?" in prompt else talk(prompt)
    first = run_bootstrap(options, tmp_path / "out", roles=_roles(engine))
    assert first.tally.failed == 1
    (failed,) = filter(is_failed, RunFolder(tmp_path / "out").outcomes())
    assert failed.problem == "call failed: generator, target 1: 429"
    asked, engine.answer = len(engine.prompts), talk
    second = run_bootstrap(options, tmp_path / "out", roles=_roles(engine))
    assert second.tally.failed == 0
    again = engine.prompts[asked:]
    assert again
    assert all("pond house 9?" in prompt for prompt in again)
    assert outputs(tmp_path / "out") == outputs(whole)


def test_a_server_that_dies_half_way_ends_the_run(whole: Path, tmp_path: Path) -> None:
    output, lives = tmp_path / "out", 1000
    with talk_server(lives=lives) as server:
        options = options_for(
            tmp_path,
            SEEDS,
            *(
                f"{role}.{option}"
                for role in ("generator", "evaluator")
                for option in (
                    f"base_url=http://127.0.0.1:{server.port}/v1",
                    "model=m",
                    "retries=0",
                )
            ),
            "concurrency=16",
            "max_failures=8",
            engine="openai",
        )
        with pytest.raises(RunStoppedError) as caught:
            run_bootstrap(options, output)
    assert str(caught.value).startswith("8 calls failed one after another; the last: ")
    assert "connection" in str(caught.value)
    assert "The same command resumes" in str(caught.value)
    with talk_server(server.port) as again:
        result = run_bootstrap(options, output)
    assert result.tally.seeds == SEEDS
    assert server.answered + again.answered == result.tally.requests
    assert [*map(_without_usage, RunFolder(output).outcomes())] == [
        *map(_without_usage, RunFolder(whole).outcomes())
    ]


def _without_usage(outcome: Outcome) -> Outcome:
    """Without what calls cost, which a server says in its own way, and how long they took."""
    rated = tuple(
        replace(
            rated,
            attempts=tuple(
                replace(
                    attempt,
                    draft=replace(attempt.draft, usage=Usage()),
                    evaluation=replace(attempt.evaluation, usage=Usage()),
                )
                for attempt in rated.attempts
            ),
        )
        for rated in outcome.rated
    )
    return replace(outcome, rated=rated)
