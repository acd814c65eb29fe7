"""`videojudge doctor` as a user runs it: all well, and all that can be asked about broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from chat_server import chat_server
from repository import ROOT
from running import Ran, once, run

SECRET = "sk-never-to-be-written-down"
USER = "anna-of-the-address"
KEY = {"OPENAI_API_KEY": SECRET}
SAMPLES = ROOT / "tasks" / "sample" / "videos"
MACHINE = ["decoders", "gold_sets", "machine", "installed", "judges"]
STATES = {"ok", "note", "broken"}


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """The machine; things that are well; things that are not."""

    def make(here: Path) -> dict[str, Ran]:
        videos = here / "videos"
        videos.mkdir()
        shutil.copy(SAMPLES / "mdn_frog.webm", videos)
        made = {"machine": run(["videojudge", "doctor", "--json"], here, variables=KEY)}
        with chat_server(lambda _: "<score>5</score>") as server:
            asked = ["--server", server.base_url, "--videos", "videos", "--judge", "longest"]
            made["well"] = run(["videojudge", "doctor", *asked], here, variables=KEY)
            assert set(server.authorizations) == {f"Bearer {SECRET}"}
        (videos / "torn.mp4").write_text("no video", encoding="utf-8")
        address = f"http://{USER}:{SECRET}@127.0.0.1:9/v1?key={SECRET}"
        judge = f"openai,base_url={address},model=m,api_key={SECRET}"
        asked = ["--server", address, "--videos", "videos", "--judge", judge, "--json"]
        made["ill"] = run(["videojudge", "doctor", *asked], here)
        return made

    return once(tmp_path_factory, "doctor", make)


def report_of(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.output)
    return found


def test_this_machine(ran: dict[str, Ran]) -> None:
    assert ran["machine"].code == 0, ran["machine"].output
    report = report_of(ran["machine"])
    assert report["usable"] is True
    assert list(report["sections"]) == MACHINE
    installed = {f["name"]: f for f in report["sections"]["installed"]}
    assert installed["model videojudge"]["found"] == "lmms-eval knows it, by our entry point"
    assert installed["tasks videojudge_*"]["found"] == "lmms-eval finds them, by our hook"
    judges = {f["name"]: f for f in report["sections"]["judges"]}
    assert {judges[name]["status"] for name in ("random", "cider", "constant")} == {"ok"}
    assert judges["videojudge"]["found"].startswith("no pretrained was given; 3b needs 7.5 GB")
    (memory,) = [f for f in report["sections"]["machine"] if f["name"] == "memory"]
    assert 0 < memory["values"]["free_bytes"] <= memory["values"]["total_bytes"]


def test_all_that_was_asked_about_is_well(ran: dict[str, Ran]) -> None:
    printed = ran["well"].output
    assert ran["well"].code == 0, printed
    for text in (
        "it can be made with these options, and its weights fit",
        "default replied in",
        "it lists no models; it gives no log-probabilities; it takes",
        "Take score=text there",
        "set; it goes with every request",
        "1 of 1 videos are sound",
        "Nothing is broken.",
    ):
        assert text in printed
    assert "BROKEN" not in printed


def test_what_is_broken_makes_it_fail(ran: dict[str, Ran]) -> None:
    assert ran["ill"].code == 1
    report = report_of(ran["ill"])
    assert report["usable"] is False
    broken = [
        name
        for name, findings in report["sections"].items()
        for finding in findings
        if finding["status"] == "broken"
    ]
    assert broken == ["asked_judges", "servers", "scan"]
    (torn,) = report["videos"]
    assert torn.pop("found").startswith("no video that can be opened")
    assert torn == {
        "file": "torn.mp4",
        "state": "broken",
        "fix": "Get the file anew from its source, or leave the video out",
        "coverage": 0.0,
        "codec": None,
        "duration_seconds": None,
    }


@pytest.mark.parametrize("which", ["machine", "ill"])
def test_the_form_of_the_json(which: str, ran: dict[str, Ran]) -> None:
    report = report_of(ran[which])
    assert list(report) == ["format", "version", "usable", "sections", "videos"]
    assert report["format"] == 1
    findings = [f for found in report["sections"].values() for f in found]
    for finding in findings:
        assert list(finding) == ["name", "status", "found", "fix", "values"]
        assert finding["status"] in STATES
        assert finding["found"]


@pytest.mark.parametrize("which", ["machine", "well", "ill"])
def test_nothing_secret_is_printed(which: str, ran: dict[str, Ran]) -> None:
    assert SECRET not in ran[which].output
    assert USER not in ran[which].output
