"""The page served on this machine: labels are in the file as they are given."""

from __future__ import annotations

import json
import mimetypes
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import fmean
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, Field, ValidationError

from videojudge_bench.answers.human import HumanRatings
from videojudge_bench.answers.verdict_lines import write_lines
from videojudge_bench.errors import ConfigError, DataError, RunStoppedError
from videojudge_bench.goldsets.jsonl import STRICT
from videojudge_bench.labelling.page import Round
from videojudge_bench.labelling.session import Session

HOST = "127.0.0.1"

_MOST_BYTES = 10_000
_BLOCK = 1 << 18


class Given(BaseModel):
    """One label; a rating of None is a skip, which takes an earlier rating back."""

    model_config = STRICT

    annotator: str = Field(pattern=r"^[^,\s][^,]*$", max_length=60)
    row: int = Field(ge=0)
    rating: int | None


class Labels:
    """Labels of the picked answers, written to a file at each change."""

    def __init__(self, session: Session, round: Round, output: Path) -> None:
        self.session, self.round, self.output = session, round, output
        self._lock = threading.Lock()

    def of(self, annotator: str) -> dict[int, float]:
        """Return an annotator's ratings, by the place of the answer among the picked ones."""
        by_id = self.session.human.ratings
        ratings = (
            (k, by_id.get(p.unit.id, {}).get(annotator)) for k, p in enumerate(self.round.picked)
        )
        return {k: rating for k, rating in ratings if rating is not None}

    def give(self, given: Given) -> None:
        """Take a label up and write the file.

        Raises:
            DataError: there is no such row, or the rating is off the scale.
            RunStoppedError: the file cannot be written.
        """
        picked, scale = self.round.picked, self.round.scale
        if given.row >= len(picked) or (given.rating is not None and given.rating not in scale):
            problem = f"expected a row below {len(picked)} and a rating within {scale}"
            raise DataError(problem, path=self.output)
        unit, pick = self.round.picked[given.row]
        with self._lock:
            human = self.session.human
            mine = dict(human.ratings.get(unit.id, {}))
            mine.pop(given.annotator, None)
            if given.rating is not None:
                mine[given.annotator] = float(given.rating)
            others = {key: value for key, value in human.means.items() if key != unit.id}
            session = self.session.with_human(
                HumanRatings(
                    {**others, unit.id: fmean(mine.values())} if mine else others,
                    human.unmatched,
                    {**human.picks, unit.id: pick},
                    {**human.ratings, unit.id: mine},
                )
            )
            write_lines(session.label_lines(session.human), self.output)
            self.session = session


class Server(ThreadingHTTPServer):
    """The page, its videos and its labels, for this machine alone.

    Args:
        labels: where labels go.
        port: 0 takes any that is free.
        progress: returns the text that is shown beside the answers.

    Raises:
        ConfigError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, labels: Labels, port: int, progress: Callable[[Session], str]) -> None:
        self.labels, self.progress = labels, progress
        self.page = labels.round.html(None)
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            problem = f"--port {port}: {error}; give another, or 0 for a free one"
            raise ConfigError(problem) from error
        self.address = f"http://{HOST}:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        head, _, place = url.path.strip("/").partition("/")
        videos = self.server.labels.round.videos
        if not self._is_ours():
            return
        if not head:
            self._reply(self.server.page, "text/html; charset=utf-8")
        elif head == "labels":
            name = parse_qs(url.query).get("annotator", [""])[0]
            self._reply(json.dumps(self.server.labels.of(name)).encode(), "application/json")
        elif head == "progress":
            text = self.server.progress(self.server.labels.session)
            self._reply(text.encode("utf-8", "replace"), "text/plain; charset=utf-8")
        elif head == "video" and place.isdecimal() and int(place) < len(videos):
            self._video(videos[int(place)])
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")

    def do_POST(self) -> None:
        if not self._is_ours():
            return
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > _MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "expected a label of a few bytes")
            return
        body = self.rfile.read(int(size))
        # A form of another site cannot send this type, so it can give no label.
        if self.headers.get_content_type() != "application/json" or self.path != "/labels":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected JSON, sent to /labels")
            return
        try:
            given = Given.model_validate_json(body)
            self.server.labels.give(given)
        except (ValidationError, DataError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"expected a label, got {error}")
        except RunStoppedError as error:
            self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, str(error))
        else:
            self._reply(b"{}", "application/json")

    def _is_ours(self) -> bool:
        """Refuse requests under another host's name, as pages of other sites send them."""
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in (HOST, "localhost"):
            self._refuse(HTTPStatus.FORBIDDEN, "expected the address that the command printed")
            return False
        return True

    def _video(self, path: Path | None) -> None:
        """Send a file, or the part of it that the player asks for."""
        if path is None or not path.is_file():
            self._refuse(HTTPStatus.NOT_FOUND, "there is no file of this video")
            return
        size = path.stat().st_size
        unit, _, span = self.headers.get("Range", "").partition("=")
        low, _, high = span.partition("-")
        is_part = unit == "bytes" and low.isdecimal() and int(low) < size
        first = int(low) if is_part else 0
        last = min(int(high), size - 1) if is_part and high.isdecimal() else size - 1
        self.send_response(HTTPStatus.PARTIAL_CONTENT if is_part else HTTPStatus.OK)
        self.send_header("Content-Type", mimetypes.guess_type(path.name)[0] or "video/mp4")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(max(0, last + 1 - first)))
        if is_part:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        with path.open("rb") as file:
            file.seek(first)
            left = last + 1 - first
            while left > 0 and (block := file.read(min(_BLOCK, left))):
                self.wfile.write(block)
                left -= len(block)

    def _reply(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus, problem: str) -> None:
        self.close_connection = True
        self._reply(problem.encode(), "text/plain; charset=utf-8", status)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # a player that has what it needs hangs up
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal for results."""
