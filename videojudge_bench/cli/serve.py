"""The verb `videojudge serve`."""

from __future__ import annotations

import argparse

from videojudge_bench._util.terminal import Verbs, add_verb, say

_DESCRIPTION = """\
Answers POST /v1/score and /v1/prefer: rows as in the file of `videojudge judge`, verdicts as it
writes them. The page of all routes is /docs. Clients: judge=remote,url=URL, and the reward
functions of videojudge_bench.serving.rewards. Videos are read from DIR alone.

The environment variable VIDEOJUDGE_TOKEN holds the token that clients must give; it is required
when HOST is reached by other machines. Ctrl-C or SIGTERM answers what was taken, and stops."""


def add_serve(verbs: Verbs) -> None:
    """Add `serve` to a parser's verbs."""
    serve = add_verb(verbs, "serve", _serve, "answer requests with a judge", _DESCRIPTION)
    serve.add_argument("judge", metavar="NAME[,option=value…]", help="as in judge=NAME")
    serve.path("--videos", "DIR", "folder with the video files")
    serve.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    serve.number("--port", "0 takes a free one", default=8080)
    serve.path("--journal", "DIR", "keep verdicts there; a row that is there is not judged again")


def _serve(arguments: argparse.Namespace) -> int:
    from videojudge_bench.serving.serve import ServeOptions, serve

    options = ServeOptions(arguments.videos, arguments.host, arguments.port, arguments.journal)
    serve(arguments.judge, options, lambda url: say([f"serving {arguments.judge} at {url}"]))
    return 0
