"""The verb `videojudge serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from videojudge_bench._util.terminal import say
from videojudge_bench.cli._options import JUDGE, completed, judge_words


def serve(
    judge: Annotated[str, completed(judge_words, JUDGE)],
    /,
    *,
    videos: Path | None = None,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(help="0 takes a free one")] = 8080,
    journal: Path | None = None,
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
        calibration: map of `videojudge calibrate`, from the judge's scores to the scale of
            those tasks
    """
    from videojudge_bench.serving.serve import ServeOptions
    from videojudge_bench.serving.serve import serve as serve_judge

    options = ServeOptions(videos, host, port, journal, calibration=calibration)
    serve_judge(
        judge,
        options,
        lambda url, chat: say([f"serving {judge} at {url}", f"judging prompts: {chat}"]),
    )
