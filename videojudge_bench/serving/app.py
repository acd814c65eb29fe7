"""The HTTP interface of a judge: routes, their limits, and what they answer."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from videojudge_bench._util.hashing import Json
from videojudge_bench.answers.reading import AnswerRow
from videojudge_bench.errors import ConfigError, DataError, VideoJudgeError
from videojudge_bench.goldsets import jsonl
from videojudge_bench.serving.chat import ChatJudge, ChatRequest, chat_error
from videojudge_bench.serving.chat_tasks import PromptRefusedError
from videojudge_bench.serving.figures import Figures
from videojudge_bench.serving.queue import QueueFullError
from videojudge_bench.serving.service import Answering, JudgeService, Line
from videojudge_bench.version import __version__

GONE = 499
"""Status, in the figures alone, of a request whose client disconnected."""

HANG_UP_SECONDS = 0.5
"""After which a client that has hung up is noticed."""

CHAT = "/v1/chat/completions"

_DISCARDED = 4
"""Times the limit up to which a body is read: a client that is cut off earlier sees no error."""

_REF = "#/components/schemas/{model}"
_DESCRIPTION = """Scores answers about videos. A row is a line of the file that `videojudge judge`
takes, and a result is a line of the file that it writes."""


class ScoreRequest(BaseModel):
    """Single answers."""

    model_config = jsonl.STRICT

    rows: tuple[AnswerRow, ...]


class PreferRequest(BaseModel):
    """Pairs of answers; by default each is judged in both orders."""

    model_config = jsonl.STRICT

    rows: tuple[AnswerRow, ...]
    both_orders: bool = True


class Results(BaseModel):
    """One object per row, in their order, and the identity of the judge."""

    identity: str
    results: list[dict[str, object]]


class ErrorBody(BaseModel):
    """The reason of a refusal."""

    error: str


_Asked = TypeVar("_Asked", ScoreRequest, PreferRequest, ChatRequest)
_Begin = Callable[[Sequence[AnswerRow]], Answering]


class _RefusedError(Exception):
    def __init__(self, status: int, problem: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.headers = status, headers
        super().__init__(problem)


def application(
    service: JudgeService, figures: Figures, token: str = "", chat: ChatJudge | None = None
) -> FastAPI:
    """Return the application; the caller enters and leaves `service`.

    With a token, clients must send it as `Authorization: Bearer TOKEN`.
    """
    app = FastAPI(title="videojudge", version=__version__, description=_DESCRIPTION, redoc_url=None)
    routes = _Routes(service, figures, token, chat or ChatJudge(service))
    refusals: dict[int | str, dict[str, Any]] = {
        n: {"model": ErrorBody} for n in (400, 401, 413, 415, 422, 429, 503)
    }
    completion: dict[int | str, dict[str, Any]] = {200: {"description": "A chat completion"}}
    answered = {200: {"model": Results}, **refusals}
    for path, model, run, responses in (
        ("/v1/score", ScoreRequest, routes.score, answered),
        ("/v1/prefer", PreferRequest, routes.prefer, answered),
        (CHAT, ChatRequest, routes.chat, completion),
        # Clients that take the address as a base, and are given that of the route, ask here.
        (f"{CHAT}/chat/completions", ChatRequest, routes.chat, completion),
    ):
        schema = {"$ref": _REF.format(model=model.__name__)}
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        app.add_api_route(
            path, run, methods=["POST"], openapi_extra={"requestBody": body},
            responses=responses,
        )  # fmt: skip
    app.add_api_route("/v1/judge", routes.judge, methods=["GET"])
    app.add_api_route("/health", routes.health, methods=["GET"])
    app.add_api_route("/metrics", routes.metrics, methods=["GET"])
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


class _Routes:
    def __init__(
        self, service: JudgeService, figures: Figures, token: str, chat: ChatJudge
    ) -> None:
        self._service, self._figures, self._chat = service, figures, chat
        self._authorization = f"Bearer {token}".encode() if token else b""

    async def score(self, request: Request) -> Response:
        """Rate answers: `score`, `probabilities`, and `unparsed` with the reason of no score."""
        return await self._answered(
            request,
            ScoreRequest,
            lambda asked: self._results(request, asked.rows, self._service.score),
        )

    async def prefer(self, request: Request) -> Response:
        """Compare pairs: `preference` (a, b or tie), and `p_a`, the probability of a."""
        return await self._answered(
            request,
            PreferRequest,
            lambda asked: self._results(
                request,
                asked.rows,
                partial(self._service.prefer, both_orders=asked.both_orders),
            ),
        )

    async def chat(self, request: Request) -> Response:
        """Answer the judging prompt of a known task of lmms-eval, in the form that it reads."""
        return await self._answered(
            request, ChatRequest, lambda asked: self._completion(request, asked), chat_error
        )

    async def judge(self, request: Request) -> Response:
        """Describe the judge: its identity and settings, what it requires, the limits."""
        return self._unless_refused(
            request, lambda: {**self._service.about(), "chat": self._chat.state}
        )

    async def health(self) -> Response:
        """Return 200 while rows are judged, else 503."""
        alive = self._service.queue.is_alive
        return _response({"status": "ok" if alive else "stopped"}, 200 if alive else 503)

    async def metrics(self, request: Request) -> Response:
        """Return the figures of the server for Prometheus."""
        refused = self._unless_refused(request, dict)
        if refused.status_code != 200:
            return refused
        text = self._figures.text(self._service.queue.waiting)
        return Response(text, media_type=self._figures.media_type)

    def _unless_refused(self, request: Request, answer: Callable[[], dict[str, Json]]) -> Response:
        try:
            self._check_token(request)
            return _response(answer())
        except _RefusedError as error:
            return _response({"error": str(error)}, error.status)

    async def _answered(
        self,
        request: Request,
        kind: type[_Asked],
        answer: Callable[[_Asked], Awaitable[dict[str, Json]]],
        error_body: Callable[[str, int], dict[str, Json]] = lambda problem, _: {"error": problem},
    ) -> Response:
        started = time.monotonic()
        try:
            self._check_token(request)
            response = _response(await answer(_parsed(kind, await self._body(request))))
        except ClientDisconnect:
            response = Response(status_code=GONE)
        except _RefusedError as error:
            body = error_body(str(error), error.status)
            response = _response(body, error.status, error.headers)
        self._figures.count_request(
            request.url.path, response.status_code, time.monotonic() - started
        )
        return response

    async def _results(
        self, request: Request, rows: Sequence[AnswerRow], begin: _Begin
    ) -> dict[str, Json]:
        lines = await self._judged(request, rows, begin)
        return {"identity": self._service.run.identity.hash, "results": lines}

    async def _completion(self, request: Request, asked: ChatRequest) -> dict[str, Json]:
        try:
            prompt = self._chat.prompt(asked)
        except PromptRefusedError as error:
            raise _RefusedError(422, str(error)) from error
        lines = await self._judged(request, prompt.rows, self._service.score)
        for line in lines:
            if "unparsed" in line:
                raise _RefusedError(500 if line.get("failed") else 422, f"{line['unparsed']}")
        return self._chat.completion(prompt, lines)

    def _check_token(self, request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if not given and (key := request.headers.get("api-key")):  # so clients of Azure give it
            given = f"Bearer {key}".encode()
        if self._authorization and not hmac.compare_digest(given, self._authorization):
            raise _RefusedError(
                401,
                "expected the token of this server as Authorization: Bearer TOKEN, got "
                f"{'another' if given else 'none'}",
                {"www-authenticate": "Bearer"},
            )

    async def _body(self, request: Request) -> bytearray:
        # A page in a browser may post anything but JSON to a server of this machine unasked.
        kind = request.headers.get("content-type", "none").partition(";")[0].strip()
        if kind != "application/json":
            raise _RefusedError(415, f"expected content-type application/json, got {kind}")
        most, body, size = self._service.limits.body_bytes, bytearray(), 0
        async for part in request.stream():
            size += len(part)
            if size <= most:
                body += part
            elif size > _DISCARDED * most:
                break
        if size > most:
            raise _RefusedError(413, f"expected a body of up to {most} bytes; send fewer rows")
        return body

    async def _judged(
        self, request: Request, rows: Sequence[AnswerRow], begin: _Begin
    ) -> list[Line]:
        n, most = len(rows), self._service.limits.rows
        if n > most:
            raise _RefusedError(413, f"expected up to {most} rows, got {n}; send several requests")
        try:
            answering = begin(rows)
            await _while_connected(request, answering)
            lines = answering.lines()
        except QueueFullError as error:
            headers = {"retry-after": str(error.retry_seconds)}
            raise _RefusedError(429, str(error), headers) from error
        except (DataError, ConfigError) as error:
            raise _RefusedError(422, str(error)) from error
        except VideoJudgeError as error:
            raise _RefusedError(503, str(error), {"retry-after": "5"}) from error
        self._figures.count_lines(lines)
        return lines


async def _while_connected(request: Request, answering: Answering) -> None:
    """Wait for the judgements; give up the rows that wait if the client disconnects."""
    judged = asyncio.wrap_future(answering.future)
    try:
        # A task of its own that waits for the end of the connection would cost more than this.
        while not judged.done():
            await asyncio.wait({judged}, timeout=HANG_UP_SECONDS)
            if not judged.done() and await request.is_disconnected():
                raise ClientDisconnect
    finally:
        judged.cancel()
    judged.exception()  # `lines` raises it; asyncio would report it as never retrieved


def _parsed(kind: type[_Asked], body: bytearray) -> _Asked:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        is_json = error.errors(include_url=False, include_input=False)[0]["type"] != "json_invalid"
        problem = str(jsonl.data_error(error, Path("request"), None))
        problem = problem.replace(" more in this file)", " more in this request)")
        raise _RefusedError(422 if is_json else 400, problem) from error


def _response(
    body: Mapping[str, Json], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    content = json.dumps(body).encode()  # escaped: half a surrogate pair has no UTF-8
    return Response(content, status, dict(headers or {}), "application/json")


def _described(app: FastAPI) -> dict[str, object]:
    """The OpenAPI page, with the bodies that the routes read themselves."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        for model in (ScoreRequest, PreferRequest, ChatRequest):
            own = model.model_json_schema(ref_template=_REF)
            components.update(own.pop("$defs", {}))
            components[model.__name__] = own
        app.openapi_schema = schema
    return app.openapi_schema
