"""A judge behind Ray Serve: the same application, and all rows of a video at one replica."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import ray
from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import HTTPOptions, RequestRouterConfig
from ray.serve.deployment import Application
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from videojudge_bench.answers.judging import build
from videojudge_bench.errors import ConfigError, VideoJudgeError
from videojudge_bench.serving.app import application
from videojudge_bench.serving.chat import ChatJudge
from videojudge_bench.serving.figures import Figures
from videojudge_bench.serving.queue import AnyItem, QueueFullError, RowQueue, StoppedError
from videojudge_bench.serving.serve import GRACE_SECONDS, ServeOptions, token_for
from videojudge_bench.serving.service import JudgeService
from videojudge_bench.verdicts import Judgement

NAME = "videojudge"
ROUTER = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
RETRY_SECONDS = 5


def serve_on_ray(
    judge: str,
    options: ServeOptions,
    replicas: int,
    started: Callable[[str, str], None],
    *,
    gpus: float = 0,
) -> None:
    """Serve a judge by Ray Serve until SIGINT or SIGTERM.

    Ray is started here, or joined where RAY_ADDRESS says. Videos and journals are in folders that
    have the same path on all nodes.

    Args:
        judge: `NAME[,option=value…]`.
        options: where and how.
        replicas: of the judge.
        started: as of `serve`.
        gpus: of each replica.

    Raises:
        ConfigError: a judge or options that cannot work, or no token for a host that others reach.
    """
    if replicas < 1:
        raise ConfigError(f"--replicas {replicas}: expected a number from 1 up")
    token = token_for(options.host)
    # What cannot work is said here, not in the log of a replica.
    service = JudgeService(build(judge), videos=options.videos, limits=options.limits)
    chat = ChatJudge(service, options.calibration).state
    service.run.built.judge.close()
    stop = threading.Event()
    ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        port = options.port or _free_port(options.host)
        serve.start(http_options=HTTPOptions(host=options.host, port=port))
        ingress = serve.deployment(
            serve.ingress()(Ingress),
            max_ongoing_requests=options.limits.waiting_rows,
            ray_actor_options={"num_cpus": 0},
            graceful_shutdown_timeout_s=GRACE_SECONDS,
        ).bind(judge, options, token, replicas, _judges(judge, options, replicas, gpus))
        serve.run(ingress, name=NAME, route_prefix="/")
        host = f"[{options.host}]" if ":" in options.host else options.host
        started(f"http://{host}:{port}", chat)
        stop.wait()
        serve.delete(NAME)
    finally:
        ray.shutdown()


def _judges(judge: str, options: ServeOptions, replicas: int, gpus: float) -> Application:
    return serve.deployment(
        Replica,
        num_replicas=replicas,
        max_ongoing_requests=options.limits.waiting_rows,
        # Without a fallback, a video is judged by one replica for as long as they all live.
        request_router_config=RequestRouterConfig(
            request_router_class=ROUTER, request_router_kwargs={"num_fallback_replicas": 0}
        ),
        ray_actor_options={"num_cpus": 1, "num_gpus": gpus},
        graceful_shutdown_timeout_s=GRACE_SECONDS,
    ).bind(judge, options)


class Replica:
    """Judges rows in a process of its own, with a queue and a journal file of its own."""

    def __init__(self, judge: str, options: ServeOptions) -> None:
        self._service = JudgeService(
            build(judge),
            journal=options.journal,
            limits=options.limits,
            rank=serve.get_replica_context().rank.rank,
        )
        self._service.__enter__()

    async def judge(self, items: Sequence[AnyItem]) -> list[Judgement]:
        """Return the judgements of rows, in their order."""
        return await asyncio.wrap_future(self._service.queue.submit(items))

    def check_health(self) -> None:
        """Raise where nothing is judged any more: Ray then starts another replica."""
        if not self._service.queue.is_alive:
            raise StoppedError("the judge has stopped")

    def __del__(self) -> None:
        self._service.__exit__(None, None, None)


class Ingress:
    """The application; its rows are judged by replicas."""

    def __init__(
        self,
        judge: str,
        options: ServeOptions,
        token: str,
        replicas: int,
        judges: DeploymentHandle,
    ) -> None:
        queue = ReplicaQueue(judges, room=replicas * options.limits.waiting_rows)
        self._service = JudgeService(
            build(judge), videos=options.videos, limits=options.limits, queue=queue
        )
        self._token, self._chat = token, ChatJudge(self._service, options.calibration)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return application(self._service, Figures(), self._token, self._chat)


class ReplicaQueue(RowQueue):
    """Rows that wait at replicas; the router of Ray Serve chooses one by the video's name.

    Args:
        judges: the replicas.
        room: rows that may wait.
    """

    def __init__(self, judges: DeploymentHandle, *, room: int) -> None:
        self._judges, self._room = judges, room

    def __exit__(self, *_: object) -> None:
        """Leave what waits: Ray Serve ends it."""

    @property
    def is_alive(self) -> bool:
        """True: Ray Serve starts a replica that has ended anew."""
        return True

    def submit(self, items: Sequence[AnyItem]) -> Future[list[Judgement]]:
        """Return the judgements of items, as that of any queue of rows."""
        if self.waiting + len(items) > self._room:
            raise QueueFullError(self.waiting, self._room, RETRY_SECONDS)
        self.waiting += len(items)
        future = asyncio.run_coroutine_threadsafe(self._judged(items), asyncio.get_running_loop())
        future.add_done_callback(lambda _: self._leave(len(items)))
        return future

    def _leave(self, n: int) -> None:
        self.waiting -= n

    async def _judged(self, items: Sequence[AnyItem]) -> list[Judgement]:
        places: dict[str, list[int]] = {}
        for place, item in enumerate(items):
            places.setdefault(item.video_id, []).append(place)
        parts = await asyncio.gather(
            *(self._asked(video, [items[p] for p in of_it]) for video, of_it in places.items())
        )
        by_place = {
            place: judgement
            for of_it, part in zip(places.values(), parts, strict=True)
            for place, judgement in zip(of_it, part, strict=True)
        }
        return [by_place[place] for place in range(len(items))]

    async def _asked(self, video_id: str, items: list[AnyItem]) -> list[Judgement]:
        response = self._judges.options(session_id=video_id).judge.remote(items)
        try:
            judgements: list[Judgement] = await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except (RayError, RayServeException) as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, VideoJudgeError):
                raise cause from error
            raise StoppedError(f"a replica has ended: {str(error).splitlines()[0]}") from error
        return judgements


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as probe:
        return int(probe.getsockname()[1])
