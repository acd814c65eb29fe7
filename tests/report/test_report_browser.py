"""The page in a headless browser: nothing in a run is executed, and the keyboard is enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Browser, drive, needs_browser
from measured_runs import board_set
from pages import hostile_set, judged, with_replies
from registered import registered

from videojudge_bench.cli.main import main
from videojudge_bench.leaderboard.opening import open_run, open_runs
from videojudge_bench.report import making, page

pytestmark = needs_browser

SELECTED = "document.querySelector('[aria-selected=true]')"
RESPONSES = (
    "[...document.querySelectorAll('.list tbody tr')].map((row) => row.cells[0].textContent)"
)


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two runs of 75 items."""
    folder = tmp_path_factory.mktemp("two")
    with registered(board_set(25)) as gold_set:
        runs = [judged(gold_set, folder, "random", {"seed": seed}) for seed in (0, 1)]
        opened = [open_run(run) for run in runs]
        page.write(making.runs_page(opened, worst=2, resamples=20), folder / "page.html")
    return folder / "page.html"


def test_hostile_texts_are_shown_and_nothing_is_executed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with registered(hostile_set()) as gold_set:
        journal = with_replies(
            gold_set,
            tmp_path / "journal",
            lambda e: f"<thinking>{e.labels['kind']}</thinking>\n<score>3</score>",
        )
        assert main(["report", str(journal), "-o", str(tmp_path / "page.html")]) == 0
    assert f"wrote {tmp_path / 'page.html'}" in capsys.readouterr().out

    async def look(browser: Browser) -> None:
        await browser.open(tmp_path / "page.html")
        texts: set[str] = set()
        for _ in gold_set.examples:
            texts.add(await browser.value("document.querySelector('.detail').textContent"))
            await browser.value(f"{SELECTED}.focus()")
            await browser.press("ArrowDown")
        for example in gold_set.examples:
            assert any(str(example.labels["kind"]) in text for text in texts), example.labels
        assert await browser.value("window.hacked ?? null") is None
        assert (
            await browser.value("document.querySelectorAll('.detail a, .detail img').length") == 0
        )
        assert browser.told("Page.javascriptDialogOpening", "Runtime.exceptionThrown") == []
        assert browser.told("Log.entryAdded") == []  # the policy had nothing to refuse
        urls = {e["params"]["request"]["url"] for e in browser.told("Network.requestWillBeSent")}
        assert {url.partition(":")[0] for url in urls} <= {"file", "data"}
        assert len([url for url in urls if url.startswith("file")]) == 1

    drive(look)


def test_the_policy_stops_what_would_be_smuggled_in(two_runs: Path, tmp_path: Path) -> None:
    # If a text ever became markup, this is what would still stand in its way.
    text = two_runs.read_text(encoding="utf-8")
    smuggled = '<script>window.hacked = 1</script><img src="x" onerror="window.hacked = 2">'
    (tmp_path / "page.html").write_text(text.replace("<main", f"{smuggled}<main"), "utf-8")

    async def look(browser: Browser) -> None:
        await browser.open(tmp_path / "page.html")
        assert await browser.value("window.hacked ?? null") is None
        refused = [e["params"]["entry"]["text"] for e in browser.told("Log.entryAdded")]
        assert sum("Content Security Policy" in text for text in refused) >= 2

    drive(look)


def test_the_keyboard_is_enough(two_runs: Path) -> None:
    async def look(browser: Browser) -> None:
        await browser.open(two_runs)
        place = f"[...{SELECTED}.parentNode.rows].indexOf({SELECTED})"
        active = "document.activeElement.className || document.activeElement.tagName"
        await browser.value(f"{SELECTED}.focus()")
        assert (
            await browser.value("document.querySelectorAll('.list tbody [tabindex=\"0\"]').length")
            == 1
        )
        for key, expected in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1)):
            await browser.press(key)
            assert await browser.value(place) == expected
            assert await browser.value(f"document.activeElement === {SELECTED}")
        await browser.press("Enter")
        assert await browser.value(active) == "detail"
        await browser.press("Escape")
        assert await browser.value(f"document.activeElement === {SELECTED}")
        await browser.press("PageDown")
        status = "document.querySelector('[role=status]').textContent"
        assert await browser.value(status) == "51 to 75 of 75"
        await browser.press("End")
        assert await browser.value(place) == 24

    drive(look)


def test_heads_sort_and_say_so(two_runs: Path) -> None:
    async def look(browser: Browser) -> None:
        await browser.open(two_runs)
        gold = RESPONSES.replace("cells[0]", "cells[1]")
        button = "document.querySelectorAll('.list thead button')[1]"
        sort = "document.querySelectorAll('.list thead th')[1].getAttribute('aria-sort')"
        assert await browser.value(sort) == "none"
        await browser.value(f"{button}.focus()")
        await browser.press("Enter")
        assert await browser.value(sort) == "descending"
        found = [float(text) for text in await browser.value(gold)]
        assert found == sorted(found, reverse=True)
        assert found[0] == 5
        await browser.press("Enter")
        assert await browser.value(sort) == "ascending"
        found = [float(text) for text in await browser.value(gold)]
        assert found == sorted(found)
        assert found[0] == 1

    drive(look)


def test_search_and_flips(two_runs: Path) -> None:
    async def look(browser: Browser) -> None:
        await browser.open(two_runs)
        typed = (
            "(() => {{ const field = document.querySelector({!r}); field.value = {!r};"
            "field.dispatchEvent(new Event({!r}, {{bubbles: true}})); }})()"
        )
        await browser.value(typed.format(".controls input", "HALF of", "input"))
        assert set(await browser.value(RESPONSES)) == {"half of it"}
        await browser.value(typed.format(".controls input", "nowhere to be found", "input"))
        status = "document.querySelector('[role=status]').textContent"
        assert await browser.value(status) == "No item fits."
        assert await browser.value("document.querySelector('.detail').hidden") is True
        await browser.value(typed.format(".controls input", "", "input"))
        await browser.value(
            typed.format(".controls select", "nearer to gold: random, seed=1", "change")
        )
        changes = (
            "[...document.querySelectorAll('.list tbody tr')].map((r) => r.lastChild.textContent)"
        )
        found = [float(text) for text in await browser.value(changes)]
        assert found
        assert all(change > 0 for change in found)

    drive(look)


def test_light_and_dark(two_runs: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = "rgb(252, 252, 250)", "rgb(22, 24, 22)"

    async def look(browser: Browser) -> None:
        for system, first, second in (("light", light, dark), ("dark", dark, light)):
            await browser.ask(
                "Emulation.setEmulatedMedia",
                features=[{"name": "prefers-color-scheme", "value": system}],
            )
            await browser.open(two_runs)
            await browser.value(
                "localStorage.clear(); delete document.documentElement.dataset.theme"
            )
            assert await browser.value(ground) == first
            await browser.value("document.getElementById('theme').focus()")
            await browser.press("Enter")
            assert await browser.value(ground) == second

    drive(look)


def test_the_leaderboard_sorts_and_filters(tmp_path: Path) -> None:
    with registered(board_set(25)) as gold_set:
        for seed in (0, 1):
            judged(gold_set, tmp_path, "random", {"seed": seed})
        judged(gold_set, tmp_path, "longest", {})  # all responses have 3 words: undefined
        page.write(making.many_page(open_runs(tmp_path)), tmp_path / "page.html")

    async def look(browser: Browser) -> None:
        await browser.open(tmp_path / "page.html")
        judges = (
            "[...document.querySelectorAll('.board tbody tr')].filter((row) => !row.hidden)"
            ".map((row) => row.cells[1].firstChild.textContent)"
        )
        first = await browser.value(judges)
        await browser.value("document.querySelectorAll('.board thead button')[3].click()")
        await browser.value("document.querySelectorAll('.board thead button')[3].click()")
        assert first[2] == "longest"
        assert await browser.value(judges) == [first[1], first[0], "longest"]
        filtered = (
            "(() => {{ const field = document.getElementById('filter'); field.value = {!r};"
            "field.dispatchEvent(new Event('input')); }})()"
        )
        await browser.value(filtered.format("LONG"))
        assert await browser.value(judges) == ["longest"]
        await browser.value(filtered.format("tinyboard"))
        assert len(await browser.value(judges)) == 3
        await browser.value(filtered.format("nobody"))
        assert await browser.value(judges) == []
        assert await browser.value("document.getElementById('none').hidden") is False

    drive(look)
