"""The verb `videojudge describe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from videojudge_bench._util.options import parse_named
from videojudge_bench._util.terminal import EXIT_FAILED, note, warn
from videojudge_bench.cli._options import GoldSetName, Output


def describe(
    *,
    output: Output,
    gold_set: GoldSetName | None = None,
    videos: Path | None = None,
    engine: Annotated[
        str, Parameter(help="NAME[,option=value…], or module:Class")
    ] = "transformers",
    prompt: Path | None = None,
    max_tokens: int = 2048,
    temperature: float = 0.0,
    seed: int = 0,
    limit: int | None = None,
) -> int:
    r"""Write dense descriptions of videos, for judges that read text.

    Asks a model for a description of each video, once, and keeps it as a line of a JSON Lines file.
    The same command resumes, and asks again for videos that failed. Judges read the file by
    descriptions=FILE:

      videojudge describe --gold-set llava -o descriptions.jsonl \
        --engine transformers,pretrained=Qwen/Qwen2.5-VL-32B-Instruct
      lmms_eval --model videojudge --model_args \
        judge=text_llm,pretrained=Qwen/Qwen3-8B,descriptions=descriptions.jsonl \
        --tasks videojudge_llava

    Args:
        output: the JSON Lines file
        gold_set: the videos of a gold set
        videos: folder of videos: all, or those of the gold set
        prompt: a .jinja file of your own
        max_tokens: of a description
        temperature: of the sampling
        seed: of the sampling
        limit: the first N videos
    """
    from videojudge_bench.engine import Sampling
    from videojudge_bench.run.describe import DescribeOptions, Describer, videos_to_describe
    from videojudge_bench.run.progress import progress_line

    chosen = videos_to_describe(gold_set, videos, limit)
    name, options = parse_named("engine", engine)
    sampling = Sampling(temperature, max_tokens, seed)
    describer = Describer(DescribeOptions(name, options, prompt, sampling))
    failed = 0
    try:
        waiting = describer.waiting(chosen, output)
        done = len(chosen) - len(waiting)
        with progress_line("describing", total=len(chosen), done=done) as advance:
            for video_id, problem in describer.write(waiting, output):
                advance(parsed=not problem)
                if problem:
                    failed += 1
                    warn(f"{video_id}: {problem}")
    finally:
        describer.close()
    note(f"{output} describes {len(chosen) - failed} of {len(chosen)} videos")
    return EXIT_FAILED if failed else 0
