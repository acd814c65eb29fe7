"""The verb `videojudge describe`."""

from __future__ import annotations

import argparse
from pathlib import Path

from videojudge_bench._util.options import options_of_words
from videojudge_bench._util.terminal import Verbs, add_verb, say, warn

EXIT_FAILED = 1

_DESCRIPTION = """\
Asks a model for a dense description of each video, once, and keeps it as a line of a JSON Lines
file. The same command goes on where it was stopped, and asks again for videos that failed. Judges
read the file by descriptions=FILE:

  videojudge describe --set llava -o descriptions.jsonl --engine transformers \\
    pretrained=Qwen/Qwen2.5-VL-32B-Instruct
  lmms_eval --model videojudge --model_args \\
    judge=text_llm,pretrained=Qwen/Qwen3-8B,descriptions=descriptions.jsonl \\
    --tasks videojudge_llava"""


def add_describe(verbs: Verbs) -> None:
    """Add `describe` to a parser's verbs."""
    what = "write dense descriptions of videos, for judges that read text"
    describe = add_verb(verbs, "describe", _describe, what, _DESCRIPTION)
    describe.add_argument("--set", help="the videos of a gold set", metavar="SET")
    describe.path("--videos", "DIR", "folder of videos: all, or those of the set")
    describe.path("-o --output", "FILE", "the JSON Lines file", required=True)
    what = "transformers, openai or module:Class; default: %(default)s"
    describe.add_argument("--engine", default="transformers", help=what)
    describe.path("--prompt", "FILE", "a .jinja file of your own")
    describe.number("--max-tokens", "of a description", default=2048)
    describe.add_argument("--temperature", type=float, default=0.0, help="default: %(default)s")
    describe.number("--seed", "of the sampling", default=0)
    describe.number("--limit", "the first N videos")
    describe.words("option=value", "options of the engine")


def _describe(arguments: argparse.Namespace) -> int:
    from videojudge_bench.engine import Sampling
    from videojudge_bench.run.describe import DescribeOptions, Describer
    from videojudge_bench.run.progress import progress_line

    videos = _videos(arguments)
    describer = Describer(
        DescribeOptions(
            arguments.engine,
            options_of_words(arguments.options),
            arguments.prompt,
            Sampling(arguments.temperature, arguments.max_tokens, arguments.seed),
        )
    )
    output: Path = arguments.output
    failed = 0
    try:
        waiting = describer.waiting(videos, output)
        done = len(videos) - len(waiting)
        with progress_line("describing", total=len(videos), done=done) as advance:
            for video_id, problem in describer.write(waiting, output):
                advance(parsed=not problem)
                if problem:
                    failed += 1
                    warn(f"{video_id}: {problem}")
    finally:
        describer.close()
    say([f"{output} describes {len(videos) - failed} of {len(videos)} videos"])
    return EXIT_FAILED if failed else 0


def _videos(arguments: argparse.Namespace) -> dict[str, Path]:
    from videojudge_bench import goldsets
    from videojudge_bench.errors import ConfigError
    from videojudge_bench.goldsets.jsonl import find_videos
    from videojudge_bench.goldsets.view import view_of

    if arguments.set is not None:
        view = view_of(goldsets.load(arguments.set), 0, arguments.videos)
        wanted = {example.item.video_id for example in view.gold_set.examples}
        videos = {i: path for i, path in sorted(view.videos.items()) if i in wanted}
    elif arguments.videos is not None:
        videos = dict(sorted(find_videos(arguments.videos).items()))
    else:
        raise ConfigError("which videos? Give --set NAME, --videos DIR, or both")
    if not videos:
        where = arguments.videos or f"the folder of {arguments.set}"
        raise ConfigError(f"no video was found in {where}; give --videos DIR")
    return dict(list(videos.items())[: arguments.limit])
