"""The verb `videojudge describe`."""

from __future__ import annotations

import argparse
from pathlib import Path

from videojudge_bench._util.options import options_of_words
from videojudge_bench._util.terminal import Verbs, say, warn

EXIT_FAILED = 1


def add_describe(verbs: Verbs) -> None:
    """Add `describe` to a parser's verbs."""
    describe = verbs.add_parser(
        "describe",
        help="write dense descriptions of videos, for judges that read text",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Asks a model for a dense description of each video, once, and keeps it as a\n"
        "line of a JSON Lines file. The same command goes on where it was stopped, and asks again\n"
        "for videos that failed. Judges read the file by descriptions=FILE:\n\n"
        "  videojudge describe --set llava -o descriptions.jsonl --engine transformers \\\n"
        "    pretrained=Qwen/Qwen2.5-VL-32B-Instruct\n"
        "  lmms_eval --model videojudge --model_args \\\n"
        "    judge=text_llm,pretrained=Qwen/Qwen3-8B,descriptions=descriptions.jsonl \\\n"
        "    --tasks videojudge_llava",
    )
    describe.add_argument("--set", help="the videos of a gold set", metavar="SET")
    describe.add_argument(
        "--videos", type=Path, metavar="DIR", help="folder of videos: all, or those of the set"
    )
    describe.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the JSON Lines file"
    )
    describe.add_argument(
        "--engine", default="transformers", help="transformers, openai or module:Class; "
        "default: %(default)s",
    )  # fmt: skip
    describe.add_argument("--prompt", type=Path, metavar="FILE", help="a .jinja file of your own")
    describe.add_argument("--max-tokens", type=int, default=2048, help="default: %(default)s")
    describe.add_argument("--temperature", type=float, default=0.0, help="default: %(default)s")
    describe.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    describe.add_argument("--limit", type=int, metavar="N", help="the first N videos")
    describe.add_argument(
        "options", nargs="*", metavar="option=value", help="options of the engine"
    )
    describe.set_defaults(verb=_describe)


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
