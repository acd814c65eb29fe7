"""The pages by axe-core, the checker of accessibility: light and dark, wide and on a phone."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
from browser import Browser, drive, needs_browser
from measured_runs import board_set
from pages import judged
from registered import registered

from videojudge_bench.leaderboard.opening import open_run, open_runs
from videojudge_bench.report import making, page

pytestmark = needs_browser

SCRIPT = files("axe_core_python").joinpath("axe.min.js")
VIOLATIONS = (
    "axe.run().then((found) => JSON.stringify(found.violations.map((v) => "
    "`${v.id}: ${v.nodes[0].html}`)))"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A leaderboard, a page of one run and a page of two."""
    here = tmp_path_factory.mktemp("pages")
    with registered(board_set(25)) as gold_set:
        folders = [judged(gold_set, here / "runs", "random", {"seed": seed}) for seed in (0, 1)]
        runs = [open_run(folder) for folder in folders]
        content = {
            "board": making.many_page(open_runs(here / "runs")),
            "one": making.runs_page(runs[:1], worst=3, resamples=50),
            "two": making.runs_page(runs, worst=3, resamples=50),
        }
    for name, content_of_page in content.items():
        page.write(content_of_page, here / f"{name}.html")
    return {name: here / f"{name}.html" for name in content}


@pytest.mark.parametrize("name", ["board", "one", "two"])
def test_pages_are_accessible_and_fit(name: str, written: dict[str, Path]) -> None:
    async def look(browser: Browser) -> None:
        for scheme in ("light", "dark"):
            for width in (1400, 390):
                await browser.ask(
                    "Emulation.setEmulatedMedia",
                    features=[{"name": "prefers-color-scheme", "value": scheme}],
                )
                await browser.ask(
                    "Emulation.setDeviceMetricsOverride",
                    width=width, height=900, deviceScaleFactor=1, mobile=False,
                )  # fmt: skip
                await browser.open(written[name])
                assert await browser.value("document.documentElement.scrollWidth") <= width
                await browser.ask("Page.setBypassCSP", enabled=True)
                await browser.value(f"{SCRIPT.read_text(encoding='utf-8')};0")
                answer = await browser.ask(
                    "Runtime.evaluate", expression=VIOLATIONS, awaitPromise=True, returnByValue=True
                )
                assert json.loads(answer["result"]["value"]) == []

    drive(look)
