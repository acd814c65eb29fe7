"""The page in a headless browser: keys rate, the browser keeps labels, and what is exported."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from label_cases import SCALE, files

from videojudge_bench.labelling.page import Round
from videojudge_bench.labelling.session import Session

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from browser import Browser, drive, needs_browser

pytestmark = needs_browser

VIDEO = Path(__file__).parents[2] / "tasks" / "sample" / "videos"
START = """
document.getElementById("name").value = "ann, the first";
document.querySelector("#who button").click();
"""
CAUGHT = """
window.exported = [];
URL.createObjectURL = (blob) => {
  blob.text().then((text) => exported.push(text));
  return "data:,";
};
HTMLAnchorElement.prototype.click = function () { exported.push(this.download); };
document.getElementById("export").click();
"""


def text(name: str) -> str:
    return f"document.getElementById('{name}').textContent"


async def waited(browser: Browser, expression: str) -> Any:
    for _ in range(200):
        if value := await browser.value(expression):
            return value
        await asyncio.sleep(0.05)
    raise AssertionError((expression, browser.events[-5:]))


def test_keys_rate_and_the_browser_keeps_labels(tmp_path: Path) -> None:
    session = Session.of(*files(tmp_path, videos=6), [], SCALE)
    picked = session.picked(4, seed=0)
    (tmp_path / "films").mkdir()
    name = picked[0].unit.item.video_id
    source = next(iter(sorted(VIDEO.glob("*.webm")) or sorted(VIDEO.glob("*.mp4"))))
    (tmp_path / "films" / f"{name}{source.suffix}").write_bytes(source.read_bytes())
    path = tmp_path / "page.html"
    path.write_bytes(Round.of(session, picked, tmp_path / "films", SCALE).html(path))

    async def look(browser: Browser) -> None:
        await browser.open(path)
        await browser.value(START)
        assert await browser.value(text("place")) == "Answer 1 of 4"
        assert await browser.value(text("response")) == picked[0].unit.item.response  # type: ignore[union-attr]
        assert await waited(browser, "document.querySelector('video')?.readyState >= 1")
        for key in ("4", "s", "ArrowLeft", "ArrowRight", "2"):
            await browser.press(key)
        assert await browser.value(text("place")) == "Answer 4 of 4"
        assert await browser.value(text("done")) == "2 rated, 1 skipped"
        await browser.open(path)  # the browser has them under the same name
        await browser.value(START)
        assert await browser.value(text("done")) == "2 rated, 1 skipped"
        assert await browser.value(text("place")) == "Answer 4 of 4"
        await browser.value(CAUGHT)
        assert await waited(browser, "exported.length > 1")
        exported = await browser.value("exported")
        assert "labels-ann-the-first.jsonl" in exported
        lines = next(each for each in exported if each.startswith("{")).splitlines()
        rows = [json.loads(line) for line in lines]
        assert [row["ratings"] for row in rows] == [[4], [2]]
        assert {row["labels"]["annotators"] for row in rows} == {"ann the first"}
        unlabelled = (
            "[...document.querySelectorAll('button, input, video')].filter((e) => "
            "!e.textContent.trim() && !e.labels?.length && !e.ariaLabel).length"
        )
        assert await browser.value(unlabelled) == 0
        assert browser.told("Runtime.exceptionThrown", "Log.entryAdded") == []

    drive(look)
