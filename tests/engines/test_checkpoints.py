"""Checkpoints that are not what a server serves, or say nothing of themselves, on a real vLLM."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from engine_bench import Bench
from real_servers import Served, switching
from test_vllm import RESTRICTED

from videojudge_bench.analysis.parity import compare_judges
from videojudge_bench.errors import ConfigError

pytest_plugins = ("engine_bench",)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

FEW = 6
FRAMES = "max_frames=8,min_pixels=3136,max_pixels=25088"
NOTE = "videojudge.json"


def _copied(bench: Bench, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return a copy of the judge without its note, and the note."""
    shutil.copytree(bench.judge, folder)
    note: dict[str, Any] = json.loads((folder / NOTE).read_bytes())
    (folder / NOTE).unlink()
    return folder, note


def _pair(folder: Path, served: Served, *options: str) -> tuple[str, str]:
    """Return the judge in this process and behind a server that has it under another name."""
    judge = ",".join((f"videojudge,pretrained={folder},max_tokens=64", *options))
    server = f"engine=openai,base_url={served.base_url},model={served.model},trust_server=true"
    return f"{judge},device=cpu,dtype=float32", f"{judge},{server}"


def test_a_judge_without_its_note_is_asked_as_the_options_say(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = _copied(bench, tmp_path / "unnoted")
    judges = _pair(folder, bench.vllm(), FRAMES, "score=expected")
    found = compare_judges(*judges, "vcg", limit=FEW)
    bench.keep(found, ["in process", f"{bench.vllm().program}, no {NOTE}"], "score=expected")
    assert found.is_same, found.problems()
    assert all(p.is_known and not p.difference for p in found.prompts), found.first_difference()
    warned = "records no M-RoPE scheme" in caplog.text
    assert warned == (bench.family == "qwen2_5_vl")  # of the other, all schemes are the same one


def test_a_note_of_another_version_counts_as_far_as_it_is_known(
    bench: Bench, tmp_path: Path
) -> None:
    folder, note = _copied(bench, tmp_path / "noted")
    note["videojudge_bench"] = "9.0"
    (folder / NOTE).write_text(json.dumps({**note, "new": 1}), encoding="utf-8")
    found = compare_judges(*_pair(folder, bench.vllm()), "vcg", limit=FEW)
    assert found.is_same, found.problems()
    assert found.a.signature["score"] == note["judge"]["score"] == "expected"
    note["judge"]["from_the_future"] = 1
    (folder / NOTE).write_text(json.dumps(note), encoding="utf-8")
    for judge in _pair(folder, bench.vllm()):
        with pytest.raises(ConfigError, match=r"is of another version .*from_the_future"):
            compare_judges(judge, judge, "vcg", limit=FEW)


@pytest.mark.parametrize("name", ["", "model=tiny"])
def test_a_server_with_another_model_is_refused(bench: Bench, tmp_path: Path, name: str) -> None:
    folder, _ = _copied(bench, tmp_path / "another")
    served = bench.vllm()
    options = ",".join(part for part in (f"base_url={served.base_url}", name) if part)
    judge = f"videojudge,pretrained={folder},engine=openai,{options}"
    said = bench.refusal(served, judge, f"a vLLM with another model, {name or 'no name'}")
    assert f"({bench.judge})" in said
    assert "Start it with that model" in said


def test_a_server_that_is_replaced_in_the_middle_is_warned_about(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Under one address, two vLLMs that were started with other flags."""
    first, second = bench.vllm(), bench.vllm("restricted", RESTRICTED)
    with switching(first, second, after=4) as served, caplog.at_level(logging.WARNING):
        asked = bench.asked(served, "send=frames,max_frames=2,score=text,max_concurrency=1")
        compare_judges(asked, asked, "vcg", limit=FEW)
    assert "changed while it was asked" in caplog.text
