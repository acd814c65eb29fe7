"""A headless Chromium, driven over its own protocol: what a reader would see and press."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)

needs_browser = pytest.mark.skipif(
    PROGRAM is None, reason=f"no browser: none of {', '.join(NAMES)} is installed"
)

SECONDS = 60.0

_Socket: TypeAlias = "aiohttp.ClientWebSocketResponse[Any]"


class Browser:
    """One page in a headless Chromium.

    Attributes:
        events: what the browser told of: dialogs, requests, errors, refusals of the policy.
        process_id: of the browser, whose children render.
    """

    def __init__(self, socket: _Socket, process_id: int) -> None:
        self.events: list[dict[str, Any]] = []
        self.process_id = process_id
        self._socket, self._asked = socket, 0

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._asked += 1
        number = self._asked
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=SECONDS)
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    async def open(self, path: Path) -> None:
        """Open a page and wait until its script has run."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.ask(f"{domain}.enable")
        await self.ask("Page.navigate", url=path.as_uri())
        for _ in range(int(SECONDS * 20)):
            if await self.value("document.documentElement?.dataset.readyMs ?? null"):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{path} was not ready: {self.events[-5:]}")

    async def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        found = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def press(self, key: str) -> None:
        """Press a key, as the keyboard would."""
        code = {
            "Enter": 13,
            "Escape": 27,
            "ArrowDown": 40,
            "ArrowUp": 38,
            "PageDown": 34,
            "End": 35,
        }
        for kind in ("keyDown", "keyUp"):
            await self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code.get(key, 0),
                **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}),
            )

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """Return the events of these kinds."""
        return [event for event in self.events if event.get("method") in methods]


async def each_look(browser: Browser) -> AsyncIterator[int]:
    """Make the browser light and dark, wide and as narrow as a phone; yield the width."""
    for scheme in ("light", "dark"):
        for width in (1400, 390):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            await browser.ask("Emulation.setEmulatedMedia", features=features)
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            await browser.ask("Emulation.setDeviceMetricsOverride", **size)
            yield width


async def violations(browser: Browser) -> list[str]:
    """Return what axe-core, the checker of accessibility, has against the page."""
    script = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    await browser.ask("Page.setBypassCSP", enabled=True)
    await browser.value(f"{script};0")
    listed = (
        "axe.run().then((result) => JSON.stringify(result.violations.map((v) => "
        "`${v.id}: ${v.nodes[0].html}`)))"
    )
    reply = await browser.ask(
        "Runtime.evaluate", expression=listed, awaitPromise=True, returnByValue=True
    )
    texts: list[str] = json.loads(reply["result"]["value"])
    return texts


def drive(work: Callable[[Browser], Awaitable[None]]) -> None:
    """Start a browser, let the work be done in it, and end it."""

    async def session() -> None:
        with _running() as (port, process_id):
            async with aiohttp.ClientSession() as client:
                async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [page for page in await answer.json() if page["type"] == "page"]
                url = pages[0]["webSocketDebuggerUrl"]
                async with client.ws_connect(url, max_msg_size=0) as socket:
                    await work(Browser(socket, process_id))

    asyncio.run(session())


@contextmanager
def _running() -> Iterator[tuple[int, int]]:
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [
            PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-extensions",
            "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0",
            f"--user-data-dir={folder}", "about:blank",
        ]  # fmt: skip
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            yield _port(Path(folder) / "DevToolsActivePort", process), process.pid
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()


def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if file.exists() and (lines := file.read_text(encoding="utf-8").splitlines()):
            return int(lines[0])
        assert process.poll() is None, "the browser ended at once"
        time.sleep(0.05)
    raise AssertionError("the browser did not say where it listens")
