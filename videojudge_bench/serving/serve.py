"""A judge behind a server, from the command line's options to its end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from videojudge_bench.answers.judging import build
from videojudge_bench.errors import ConfigError, MissingPackageError
from videojudge_bench.serving.address import TOKEN_VARIABLE, is_loopback
from videojudge_bench.serving.service import JudgeService, Limits

GRACE_SECONDS = 30
"""Time after the signal to stop in which accepted requests are still answered."""


@dataclass(frozen=True)
class ServeOptions:
    """Options for serving a judge.

    Attributes:
        port: 0 takes a free one.
        journal: folder for journals; a row that is there is not judged again. None keeps none.
        calibration: a map of `videojudge calibrate`, for judging prompts of other programs.
    """

    videos: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    journal: Path | None = None
    limits: Limits = field(default_factory=Limits)
    calibration: Path | None = None


def serve(judge: str, options: ServeOptions, started: Callable[[str, str], None]) -> None:
    """Serve a judge until SIGINT or SIGTERM; requests that were taken are answered first.

    `started` is called with the address as soon as connections are accepted, and with how judging
    prompts are scored.

    Raises:
        ConfigError: a judge or options that cannot work, or no token for a host that others reach.
        JournalBusyError: another process writes the same journal.
        MissingPackageError: the extra `serve` is not installed.
        OSError: the address cannot be listened on.
    """
    token = token_for(options.host)
    try:
        import uvicorn

        from videojudge_bench.serving.app import application
        from videojudge_bench.serving.chat import ChatJudge
        from videojudge_bench.serving.figures import Figures
    except ImportError as error:
        install = 'pip install "videojudge-bench[serve]"'
        raise MissingPackageError("videojudge serve", str(error.name), install) from error
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.create_server((options.host, options.port), family=family) as listening:
        figures = Figures()
        service = JudgeService(
            build(judge),
            videos=options.videos,
            journal=options.journal,
            limits=options.limits,
            on_batch=figures.count_batch,
        )
        chat = ChatJudge(service, options.calibration)
        with service:
            config = uvicorn.Config(
                application(service, figures, token, chat),
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
            host = f"[{options.host}]" if ":" in options.host else options.host
            started(f"http://{host}:{listening.getsockname()[1]}", chat.state)
            with _returning_on_signals():
                uvicorn.Server(config).run(sockets=[listening])


def token_for(host: str) -> str:
    """Return the token of the environment that clients must give; "" asks for none.

    Raises:
        ConfigError: there is none, and other machines reach the host.
    """
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token and not is_loopback(host):
        raise ConfigError(
            f"--host {host}: expected a token, because other machines reach this address; "
            f"set the environment variable {TOKEN_VARIABLE} here and for the clients"
        )
    return token


@contextmanager
def _returning_on_signals() -> Iterator[None]:
    """Let uvicorn return after a signal, so that the journal is closed; it would re-raise it."""
    stops = (signal.SIGINT, signal.SIGTERM)
    earlier = {stop: signal.signal(stop, lambda *_: None) for stop in stops}
    try:
        yield
    finally:
        for stop, handler in earlier.items():
            signal.signal(stop, handler)
