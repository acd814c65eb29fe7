"""What servers say of themselves, in the journal of a run and in the leaderboard's copy of it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import cast

import pytest
from registered import registered

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.leaderboard.importing import find_runs, to_stored
from videojudge_bench.leaderboard.stored import read_run, write_run
from videojudge_bench.run.journal import RUN_FILE
from videojudge_bench.run.runner import Run, RunOptions

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "judges"))
from chat_faults import MODEL, Answer, Json, Script, Seen, completion, faulty_server  # noqa: E402


def run_of(seen: Seen, gold_set: GoldSet, root: Path) -> Run:
    options: dict[str, Scalar] = {"base_url": seen.base_url, "model": MODEL, "video": "none"}
    options["concurrency"] = 1
    return Run(registry.build("openai", options), gold_set, RunOptions(journal=root))


def saying(*fingerprints: str, each: int = 3) -> Script:
    def script(number: int, _: Json) -> Answer:
        named = fingerprints[min(number // each, len(fingerprints) - 1)]
        body = cast("Json", completion().body)
        return Answer({**body, "model": MODEL, "system_fingerprint": named})

    return script


def served(run: Run) -> list[dict[str, str]]:
    return cast("list[dict[str, str]]", json.loads((run.folder / RUN_FILE).read_text())["served"])


def test_a_run_says_what_its_server_said(rated_set: GoldSet, tmp_path: Path) -> None:
    with faulty_server(saying("v0")) as seen:
        seen.version = "0.32.0"
        run = run_of(seen, rated_set, tmp_path)
        run.judge(list(rated_set.by_id))
    assert served(run) == [{"model": MODEL, "system_fingerprint": "v0", "version": "0.32.0"}]


def test_a_change_in_the_middle_is_in_the_stored_run(
    rated_set: GoldSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with faulty_server(saying("v0", "v1")) as seen:
        run = run_of(seen, rated_set, tmp_path / "journals")
        run.judge(list(rated_set.by_id))
    assert [each["system_fingerprint"] for each in served(run)] == ["v0", "v1"]
    assert "changed while it was asked" in caplog.text
    with registered(rated_set):
        (found,) = find_runs(tmp_path / "journals")
        kept = read_run(write_run(to_stored(found, resamples=10), tmp_path / "runs"))
    assert [each["system_fingerprint"] for each in kept.served] == ["v0", "v1"]


def test_another_server_is_told_when_a_run_goes_on(
    rated_set: GoldSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ids = list(rated_set.by_id)
    for name, asked in (("v0", ids[:3]), ("v1", ids)):
        caplog.clear()
        with faulty_server(saying(name)) as seen:
            run = run_of(seen, rated_set, tmp_path)
            assert len(run.judge(asked)) == len(asked)
    assert len(seen.requests) == len(ids) - 3, "what was paid for is not asked again"
    assert [each["system_fingerprint"] for each in served(run)] == ["v0", "v1"]
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert any("earlier judgements of this run were made by another server" in w for w in warnings)
