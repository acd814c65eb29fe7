"""Score a model's answers: `videojudge judge`, and `judge_answers` from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from videojudge_bench.answers.judging import Judged
    from videojudge_bench.run.runner import RunOptions


def judge_answers(
    answers: Union[str, Path, Sequence[Mapping[str, object]], pd.DataFrame],
    judge: str,
    *,
    output: Union[str, Path, None] = None,
    videos: Union[str, Path, None] = None,
    versus: str | None = None,
    gold_subset: Union[str, Path, None] = None,
    limit: int | None = None,
    run: RunOptions | None = None,
) -> Judged:
    """Return the verdicts of a judge on answers: `print` them, or take `to_df()` and `plot()`.

    Judged answers are in a journal: the same call resumes one that was stopped.

    Args:
        answers: a JSON Lines file, a list of such objects or a DataFrame: `video_id` (or `video`),
            `instruction`, `response`, optional `id`, `system`, `references`, `description`.
        judge: `NAME[,option=value…]`, such as `qwen2_5_vl,size=7b` or `module:Class`.
        output: where the verdicts are written too, one line an answer.
        videos: folder with the video files.
        versus: compare every other system with this one, pair by pair; `all`: all of them.
        gold_subset: a JSON Lines file with human `ratings` of some of the answers.
        limit: the first so many answers.
        run: references shown, the journal's folder, descriptions.

    Raises:
        VideoJudgeError: an option, a row or a judge cannot work; the message says why.
    """
    from dataclasses import replace

    from videojudge_bench.answers.judging import Judging, JudgingOptions
    from videojudge_bench.answers.verdict_lines import check_output, write_lines
    from videojudge_bench.run.runner import RunOptions

    run = run or RunOptions()
    run = run if videos is None else replace(run, videos=Path(videos))
    human = None if gold_subset is None else Path(gold_subset)
    judging = Judging(answers, judge, JudgingOptions(versus, limit, human, run=run))
    try:
        if output is not None:
            check_output(Path(output), judging.answers.path)
        judged = judging.judge()
    finally:
        judging.close()
    if output is not None:
        write_lines(judged.lines, Path(output))
    return judged
