"""What the sections say of machines that are not this one, and of this one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from videojudge_bench import goldsets, registry
from videojudge_bench._util.options import parse_judge
from videojudge_bench.doctor import machine as machine_module
from videojudge_bench.doctor.decoders import decoders
from videojudge_bench.doctor.findings import Finding, Section
from videojudge_bench.doctor.goldsets import gold_sets
from videojudge_bench.doctor.host import Gpu, Host, Plugin, Torch, read_lines
from videojudge_bench.doctor.installed import installed, packages
from videojudge_bench.doctor.judges import asked_judges, judges
from videojudge_bench.doctor.machine import machine
from videojudge_bench.goldsets.adding import Request, add

CPU_TORCH = Torch(version="2.9.0", cuda=None, gpus=[], mps=False)
READY = dict.fromkeys(registry.names(), "")


def host_with(*free_gb: float, cuda: str | None = "12.8") -> Host:
    gpus = [Gpu(name="Big", free_bytes=int(gb * 1e9), total_bytes=80 * 10**9) for gb in free_gb]
    torch = Torch(version="2.9.0", cuda=cuda, gpus=gpus, mps=False)
    return Host(torch=torch, plugin=Plugin(model=True, tasks=True), judges=READY)


def named(section: Section, name: str) -> Finding:
    (found,) = [finding for finding in section.findings if finding.name == name]
    return found


# What the probe reports.


def test_what_a_probe_said_before_it_died_counts() -> None:
    lines = ['{"torch": {"version": "2.9.0", "cuda": null, "gpus": [], "mps": false}}']
    found = read_lines(lines, "Segmentation fault")
    assert found == Host(torch=CPU_TORCH, died="Segmentation fault")


def test_a_torch_that_does_not_load() -> None:
    host = Host(died="ImportError: libcudart.so.12")
    found = named(installed(host), "torch")
    assert (found.status, found.found) == (
        "broken",
        "it cannot be imported (ImportError: libcudart.so.12)",
    )
    assert "pytorch.org" in found.fix
    assert named(installed(host), "lmms-eval").status == "broken"
    qwen = named(judges(host), "qwen2_5_vl")
    assert qwen.found == "torch does not run (ImportError: libcudart.so.12)"
    assert named(judges(host), "random").found.startswith("it could not be tried (ImportError")


# Packages and the plug-in.


def test_packages_that_are_missing_or_of_another_version() -> None:
    found = list(
        packages(
            ["numpy", "av<2,>=1", "no-such-thing>=3", "ray; extra == 'r'", "x; python_version<'3'"]
        )
    )
    assert [(f.name, f.status) for f in found] == [
        ("packages", "ok"),
        ("av", "broken"),
        ("no-such-thing", "broken"),
    ]
    assert found[0].found.startswith("1 of 3 needed are here: ")
    assert found[1].found.endswith("is installed, and av<2,>=1 is needed")
    assert found[2].found == "it is not installed, and no-such-thing>=3 is needed"
    assert found[2].fix == 'Install it: pip install "no-such-thing>=3"'


def test_everything_that_this_package_needs_is_here() -> None:
    section = installed(host_with())
    assert section.is_usable, [f for f in section.findings if f.status == "broken"]


@pytest.mark.parametrize(
    ("switch", "status", "text"),
    [("1", "note", "switched off by VIDEOJUDGE_NO_TASK_HOOK"), ("", "broken", "does not find")],
)
def test_a_hook_that_is_not_there(
    switch: str, status: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOJUDGE_NO_TASK_HOOK", switch)
    host = host_with().model_copy(update={"plugin": Plugin(model=False, tasks=False)})
    found = named(installed(host), "tasks videojudge_*")
    assert (found.status, text in found.found) == (status, True)
    model = named(installed(host), "model videojudge")
    assert (model.status, model.fix) == (
        "broken",
        "Install videojudge-bench anew (pip install .): its entry point is missing",
    )


# The machine.


def test_gpus_that_torch_can_use() -> None:
    (found,) = [f for f in machine(host_with(70)).findings if f.name == "gpu"]
    assert (found.status, found.found) == ("ok", "Big, 70.0 GB of 80.0 GB free")
    assert found.values == {"free_bytes": 70 * 10**9, "total_bytes": 80 * 10**9}


@pytest.mark.skipif(sys.platform == "win32", reason="a script with a hash-bang line")
@pytest.mark.parametrize(
    ("script", "host", "text"),
    [
        ("echo 'H100, 81559 MiB'", host_with(cuda=None), "built for the CPU alone"),
        ("echo 'H100, 81559 MiB'", host_with(), "torch (CUDA 12.8) cannot use it"),
        ("echo 'H100, 81559 MiB'", Host(died="x"), "and torch does not run"),
        ("echo 'no driver'; exit 9", host_with(), "nvidia-smi fails (no driver)"),
        ("exit 0", host_with(), "none"),
    ],
)
def test_gpus_that_only_the_driver_sees(
    script: str, host: Host, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = named(machine(host), "gpu")
    assert text in found.found
    assert (found.status, bool(found.fix)) == ("note", True)


def test_folders_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDEOJUDGE_FRAMES", str(tmp_path / "file" / "frames"))
    found = named(machine(host_with()), "frames kept")
    assert found.status == "broken"
    assert found.found.endswith("frames cannot be written to")
    assert found.fix == "Make it writable, or name another (VIDEOJUDGE_FRAMES=DIR)"
    assert named(machine(host_with()), "journals").values.keys() == {"free_bytes"}


def test_a_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "SCARCE_BYTES", 10**18)
    found = named(machine(host_with()), "journals")
    assert (found.status, found.fix) == ("note", "Make room, or name another folder (journal=DIR)")


# Decoders.


def test_the_decoders_that_are_installed_decode_the_samples() -> None:
    section = decoders()
    assert section.is_usable
    assert named(section, "pyav").found.startswith("decoded nasa_13013.mp4 and mdn_frog.webm; av ")
    assert {finding.name for finding in section.findings} == {"pyav", "decord", "torchcodec"}
    assert all(f.found for f in section.findings)


# Judges.


def test_every_judge_has_a_line() -> None:
    assert [f.name for f in judges(host_with(80)).findings] == list(registry.names())


@pytest.mark.parametrize(
    ("free_gb", "fits", "status"),
    [(80, "3b 7b 32b", "ok"), (10, "3b", "ok"), (5, "", "note"), (160, "3b 7b 32b 72b", "ok")],
)
def test_which_sizes_fit_on_the_gpu(free_gb: float, fits: str, status: str) -> None:
    found = named(judges(host_with(free_gb)), "qwen2_5_vl")
    assert (found.values["fits"], found.status) == (fits, status)
    assert f"7b needs 16.6 GB, 32b needs 66.9 GB, 72b needs 146.8 GB, and {free_gb}" in found.found
    assert bool(found.fix) == (status == "note")


def test_a_model_of_the_hub_that_is_here_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    before = named(judges(host_with(80)), "qwen2_5_vl")
    assert before.found.endswith("not here yet, the first run gets them from the hub")
    snapshot = tmp_path / "models--Qwen--Qwen2.5-VL-7B-Instruct" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").touch()
    found = named(judges(host_with(80)), "qwen2_5_vl")
    assert (found.values["kept"], "not here yet" in found.found) == ("7b", False)


def test_a_machine_without_a_gpu() -> None:
    found = named(judges(host_with(cuda=None)), "qwen3_vl")
    assert found.status == "note"
    assert "GB of memory are free" in found.found
    assert "judge=openai,base_url=…,model=…" in found.fix


def test_what_judges_are_waiting_for() -> None:
    section = judges(host_with(80))
    assert named(section, "videojudge").found.startswith("no pretrained was given; 3b needs 7.5 GB")
    assert named(section, "openai").found == "it needs base_url=…"
    assert named(section, "precomputed").found == "it needs scores=…"
    assert named(section, "scripted").fix == "Its options: videojudge judges scripted"
    assert named(section, "text_llm").found == "it needs pretrained=…"
    assert named(section, "rouge_l").found == "ready, on items with references"
    assert section.is_usable


def test_a_judge_that_could_not_be_made() -> None:
    host = host_with().model_copy(update={"judges": {**READY, "minilm": "no weights"}})
    found = named(judges(host), "minilm")
    assert (found.status, found.found) == ("note", "no weights")


def test_judges_that_are_asked_about(tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    scores.write_text("id,score\na,1\n", encoding="utf-8")
    texts = [f"precomputed,scores={scores}", "videojudge", "judge=lngest", "openai,api_key=sk-1"]
    good, bare, unknown, secret = asked_judges([parse_judge(text) for text in texts]).findings
    assert (good.name, good.status) == (f"precomputed,scores={scores}", "ok")
    assert (bare.status, "give pretrained=<folder or hub id>" in bare.found) == ("broken", True)
    assert (unknown.status, "Did you mean 'longest'?" in unknown.found) == ("broken", True)
    assert (secret.name, "sk-1" in secret.found) == ("openai,api_key=…", False)


# Gold sets.


def test_the_samples_have_their_videos() -> None:
    section = gold_sets(None)
    assert [finding.name for finding in section.findings] == goldsets.names()
    assert named(section, "llava").found == "sample-105: 7 of 7 videos found"
    vatex = named(section, "vatex")
    assert (vatex.status, vatex.values["videos"], vatex.values["found"]) == ("note", 3000, 0)
    assert named(section, "videoautoarena").found == "no data here"


def test_sets_of_the_user(tmp_path: Path, cache_home: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    row = '{"video_id": "%s", "instruction": "What?", "response": "A cat.", "ratings": [4]}\n'
    rows.write_text(row % "one" + row % "two", encoding="utf-8")
    for name in ("here", "away", "torn"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "one.mp4").touch()
        add(Request(rows, name, folder))
    (tmp_path / "away" / "one.mp4").unlink()
    (tmp_path / "away").rmdir()
    (tmp_path / "xdg-data" / "videojudge_bench" / "goldsets" / "torn" / "set.json").write_text("{")
    section = gold_sets(None)
    assert named(section, "here").found == "full: 1 of 2 videos found"
    away = named(section, "away")
    assert away.found == f"full: 0 of 2 videos found; its folder, {tmp_path / 'away'}, is gone"
    torn = named(section, "torn")
    assert (torn.status, torn.fix) == ("broken", "Look at it with: videojudge data verify torn")
    (tmp_path / "here" / "two.mp4").touch()
    assert named(gold_sets(tmp_path / "here"), "away").status == "ok"
