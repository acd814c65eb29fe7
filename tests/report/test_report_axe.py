"""The pages by axe-core, the checker of accessibility: light and dark, wide and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Browser, drive, each_look, needs_browser, violations
from measured_runs import board_set
from pages import judged
from registered import registered

from videojudge_bench.leaderboard.opening import open_run, open_runs
from videojudge_bench.report import making, page

pytestmark = needs_browser


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
        async for width in each_look(browser):
            await browser.open(written[name])
            assert await browser.value("document.documentElement.scrollWidth") <= width
            assert await violations(browser) == []

    drive(look)
