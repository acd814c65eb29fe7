"""Which addresses need a token, and the course of a server from its start to a signal."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from urllib.request import urlopen

import pytest

from videojudge_bench.errors import ConfigError
from videojudge_bench.serving.address import TOKEN_VARIABLE, is_loopback
from videojudge_bench.serving.serve import ServeOptions, serve, token_for


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.7", False),
        ("judge.example.org", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_only_this_machine_needs_no_token(
    host: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_loopback(host) == expected
    monkeypatch.setenv(TOKEN_VARIABLE, "secret")
    assert token_for(host) == "secret"
    monkeypatch.delenv(TOKEN_VARIABLE)
    if expected:
        assert token_for(host) == ""
    else:
        with pytest.raises(ConfigError, match=f"set the environment variable {TOKEN_VARIABLE}"):
            token_for(host)


def test_a_server_ends_with_a_signal_and_leaves_the_handlers_of_signals(tmp_path: Path) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    answers: list[dict[str, str]] = []
    states: list[str] = []

    def ask(url: str) -> None:
        try:
            with urlopen(f"{url}/health", timeout=60) as response:
                answers.append(json.load(response))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def started(url: str, chat: str) -> None:
        states.append(chat)
        threading.Thread(target=ask, args=(url,), daemon=True).start()

    serve("longest", ServeOptions(port=0, journal=tmp_path), started)
    assert answers == [{"status": "ok"}]
    assert len(states) == 1
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert list(tmp_path.rglob("*.lock"))
