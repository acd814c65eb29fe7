"""The verb `videojudge serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from videojudge_bench._util.terminal import say
from videojudge_bench.cli._options import JUDGE, completed, judge_words
from videojudge_bench.errors import ConfigError, MissingPackageError


def serve(
    judge: Annotated[str, completed(judge_words, JUDGE)],
    /,
    *,
    videos: Path | None = None,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(help="0 takes a free one")] = 8080,
    journal: Path | None = None,
    executor: Literal["local", "ray"] = "local",
    replicas: int | None = None,
    gpus: float | None = None,
    calibration: Path | None = None,
) -> None:
    """Serve a judge over HTTP, as a grader or as a reward.

    Answers POST /v1/score and /v1/prefer: rows as in the file of `videojudge judge`,
    verdicts as it writes them. The page of all routes is /docs. Clients:
    judge=remote,url=URL, and the reward functions of videojudge_bench.serving.rewards.

      videojudge serve compact --journal verdicts

    Answers POST /v1/chat/completions in the place of a paid model, where lmms-eval's own
    tasks ask one to judge: set OPENAI_API_URL to that address.

    The environment variable VIDEOJUDGE_TOKEN holds the token that clients must give;
    it is required when HOST is reached by other machines. Ctrl-C or SIGTERM answers
    the requests that were taken, and stops.

    Args:
        videos: folder with the video files; no other file is read
        host: address to listen on
        journal: keep verdicts there; a row that is there is not judged again
        executor: local: this process; ray: replicas of Ray Serve, here or where
            RAY_ADDRESS says, all rows of a video at one of them
        replicas: of the judge, with --executor ray; 1 by default
        gpus: of each replica; 0 by default
        calibration: map of `videojudge calibrate`, from the judge's scores to the scale of
            those tasks
    """
    from videojudge_bench.serving.serve import ServeOptions
    from videojudge_bench.serving.serve import serve as serve_judge

    def started(url: str, chat: str) -> None:
        say([f"serving {judge} at {url}", f"judging prompts: {chat}"])

    options = ServeOptions(videos, host, port, journal, calibration=calibration)
    if executor == "local":
        if (replicas, gpus) != (None, None):
            raise ConfigError("--replicas and --gpus are for --executor ray")
        serve_judge(judge, options, started)
        return
    try:
        from videojudge_bench.serving.ray_serve import serve_on_ray
    except ImportError as error:
        install = 'pip install "videojudge-bench[serve,ray]"'
        raise MissingPackageError("--executor ray", str(error.name), install) from error
    count = 1 if replicas is None else replicas
    serve_on_ray(judge, options, count, started, gpus=gpus or 0)
