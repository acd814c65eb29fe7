"""The verb `videojudge judge`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from videojudge_bench._util.command import Flag, opened_input, opened_output
from videojudge_bench._util.terminal import EXIT_FAILED, note, say, say_json, table, warn
from videojudge_bench.cli._options import Json, JudgeText, Output, RunArguments
from videojudge_bench.run.failures import MAX_FAILURES

if TYPE_CHECKING:
    from videojudge_bench.answers.judging import Judged, Judging


def judge(
    answers: Path,
    /,
    *,
    judge: JudgeText,
    output: Output,
    run: RunArguments = RunArguments(),
    versus: str | None = None,
    gold_subset: Path | None = None,
    gold_scale: str | None = None,
    limit: int | None = None,
    max_failures: float = MAX_FAILURES,
    dry_run: Flag = False,
    json: Annotated[Json, Parameter(help="of --dry-run: print JSON")] = False,
) -> int:
    r"""Score the answers of one or several models, with any judge.

    Prints a table of the systems that gave the answers. A line of ANSWERS is one:

      {"video_id": "garden", "instruction": "What happens?",
       "response": "A dog digs.", "system": "x"}

    Optional: id, video (a path inside the folder of videos, where the file is not
    <video_id>.<extension>), references (a list of good answers), description, subtitles, labels.
    Lines with response_a and response_b (and system_a, system_b) in place of response are two
    answers against each other.

      videojudge judge answers.jsonl --judge rouge_l -o verdicts.jsonl
      videojudge judge answers.jsonl --judge qwen2_5_vl,size=7b --videos DIR \
        -o verdicts.jsonl
      videojudge judge answers.jsonl --judge openai,base_url=URL,model=NAME \
        --videos DIR --versus my-model -o wins.jsonl
      videojudge judge answers.jsonl --judge rouge_l --gold-subset human.jsonl \
        -o verdicts.jsonl

    Every judgement is on disk before the next is asked for: the same command resumes, and asks only
    for answers that were added since. Ctrl-C writes what there is so far.

    Exit status: 0 the answers were judged (replies that could not be read and missing videos are
    counted); 1 the judge failed on more than --max-failures of them, or none has a verdict: the
    file says why, and the same command tries them again; 2 used wrongly, nothing was judged; 130
    interrupted.

    Args:
        answers: JSON Lines, .jsonl.gz, or - for standard input
        output: the verdicts: a JSON line for each answer, in their order; - for standard output
        versus: compare the answers of every other system with this one's, pair by pair and in both
            orders; all: every two systems
        gold_subset: human ratings of some answers, chosen at random (best: all answers about some
            videos), to correct the means: lines {"id", "ratings": [4, 5]}, or with video_id,
            instruction, response and system in place of the id; or what `videojudge label` made
        gold_scale: LOW-HIGH of these ratings; default: the judge's, or 1-5
        limit: the first N answers or pairs
        max_failures: exit with 1 when the judge, or its model, failed on more than this share
        dry_run: print the calls, tokens and money that it takes, and judge nothing
    """
    from videojudge_bench.answers.judging import Judging, JudgingOptions
    from videojudge_bench.answers.verdict_lines import check_output
    from videojudge_bench.run.failures import checked_limit
    from videojudge_bench.scale import read_scale

    scale = None if gold_scale is None else read_scale(gold_scale)
    options = JudgingOptions(versus, limit, gold_subset, scale, run.options())
    opened = opened_output(output, ".jsonl", any_name=True)
    with opened_input(answers) as source, opened as target:
        check_output(target, source)
        most = checked_limit(max_failures)
        judging = Judging(source, judge, options)
        if dry_run:
            print_plan(judging, json=json)
            return 0
        return _run(judging, target, most)


def print_plan(judging: Judging, *, json: bool) -> None:
    """Print the calls, tokens and money that judging takes; raises as `check_videos`."""
    from videojudge_bench.answers.planning import plan_of

    facts, notes = plan_of(judging)
    if json:
        say_json(facts)
    else:
        table(("", ""), [*facts.items()], title=judging.answers.name)
        say(notes)
    judging.check_videos()


def _run(judging: Judging, output: Path, most: float) -> int:
    from videojudge_bench.answers.verdict_lines import write_lines
    from videojudge_bench.errors import JudgeFailedError
    from videojudge_bench.run.failures import Failures

    try:
        judged = judging.judge()
    except KeyboardInterrupt:
        so_far = judging.so_far().lines
        write_lines(so_far, output)
        warn(f"{output} has {len(so_far)} of {len(judging.units)}; the same command resumes")
        raise
    except JudgeFailedError as error:
        write_lines(judging.so_far().lines, output)
        warn(f"{error}; {output} has every reason")
        return EXIT_FAILED
    finally:
        judging.close()
    write_lines(judged.lines, output)
    _print_results(judging, judged)
    note(f"wrote {output}", f"the journal is in {judging.run.folder}")
    failures = Failures.of(judged.judgements.values())
    if failures.n:
        warn(f"{failures}; the same command asks for them again")
    return EXIT_FAILED if failures.exceed(most) or not judged.n_parsed else 0


def _print_results(judging: Judging, judged: Judged) -> None:
    for sheet in judged.sheets():
        say([sheet.title])  # not as the table's: it would be folded to its width
        table(sheet.head, sheet.rows)
        say([*sheet.notes, ""])
    used = judged.usage
    if used.input_tokens or used.output_tokens:
        cost = f", cost {used.cost:.4f}" if used.cost else ""
        note(f"{used.input_tokens:,} tokens in, {used.output_tokens:,} tokens out{cost}")
    for reason, count in judged.reasons.items():
        warn(f"{count} of {len(judged.units)} have no verdict: {reason}")
    if judging.human is not None and judging.human.unmatched:
        warn(f"{judging.human.unmatched} rows of the gold subset are about no answer here")
    if judging.human is not None and judging.human.replaced:
        warn(f"{judging.human.replaced} ratings are replaced by a later one of the same annotator")
