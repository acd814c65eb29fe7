"""The verb `videojudge judge`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.terminal import Verbs, add_verb, say, table, warn
from videojudge_bench.cli._run_options import add_run_options, run_options
from videojudge_bench.run.failures import MAX_FAILURES

if TYPE_CHECKING:
    from videojudge_bench.answers.estimating import Estimate
    from videojudge_bench.answers.judging import Judged, Judging

EXIT_NOT_ALL = 1

_DESCRIPTION = """\
Scores answers about videos with any judge, and prints a table of the systems that gave them.
A line of ANSWERS is one answer:

  {"video_id": "garden", "instruction": "What happens?", "response": "A dog digs.", "system": "x"}

Optional: id, video (a path inside DIR, where the file is not <video_id>.<extension>), references
(a list of good answers), description, subtitles, labels. Lines with response_a and response_b (and
system_a, system_b) in place of response are two answers against each other.

  videojudge judge answers.jsonl --judge rouge_l -o verdicts.jsonl
  videojudge judge answers.jsonl --judge qwen2_5_vl,size=7b --videos DIR -o verdicts.jsonl
  videojudge judge answers.jsonl --judge openai,base_url=URL,model=NAME --videos DIR \\
    --versus my-model -o wins.jsonl
  videojudge judge answers.jsonl --judge rouge_l --gold-subset human.jsonl -o verdicts.jsonl

Every judgement is on disk before the next is asked for: the same command goes on where it was
stopped, and asks only for answers that were added since. Ctrl-C writes what there is so far.

exit status: 0 the answers were judged (replies that could not be read and missing videos lower what
there is, and are counted); 1 the judge failed on more than --max-failures of them, or none has a
verdict: the file says why, and the same command tries them again; 2 used wrongly, nothing was
judged; 130 interrupted"""


def add_judge(verbs: Verbs) -> None:
    """Add `judge` to a parser's verbs."""
    what = "score the answers of one or several models, with any judge"
    judge = add_verb(verbs, "judge", _judge, what, _DESCRIPTION)
    judge.add_argument("answers", type=Path, metavar="ANSWERS", help="JSON Lines, or .jsonl.gz")
    judge.add_argument(
        "--judge",
        required=True,
        metavar="NAME[,option=value…]",
        help="as in --model_args judge=NAME,option=value; videojudge judges lists them",
    )
    what = "the verdicts: a JSON line for each answer, in the order of the answers"
    judge.path("-o --output", "FILE", what, required=True)
    what = "how many references of an answer the judge sees: 0, 1, … or all; default: all"
    add_run_options(judge, references=what)
    judge.add_argument(
        "--versus",
        metavar="SYSTEM",
        help="compare the answers of every other system with this one's, pair by pair and in both "
        "orders; all: every two systems",
    )
    judge.path(
        "--gold-subset",
        "FILE",
        "human ratings of some answers, chosen at random (best: all answers about some "
        'videos): lines {"id", "ratings": [4, 5]}, or with video_id, instruction, response and '
        "system in place of the id; corrects the means for what the judge gets wrong",
    )
    judge.add_argument(
        "--gold-scale", metavar="LOW-HIGH", help="of these ratings; default: the judge's, or 1-5"
    )
    judge.number("--limit", "the first N answers or pairs")
    judge.add_argument(
        "--max-failures",
        type=float,
        default=MAX_FAILURES,
        metavar="SHARE",
        help="exit status 1 when the judge, or its model, failed on more than this share of the "
        "answers; default: %(default)s",
    )
    judge.flag("--dry-run", "print what would be asked, and judge nothing")


def _judge(arguments: argparse.Namespace) -> int:
    from videojudge_bench.answers.verdict_lines import check_output, write_lines
    from videojudge_bench.errors import JudgeFailedError
    from videojudge_bench.run.failures import Failures, checked_limit

    check_output(arguments.output, arguments.answers)
    limit = checked_limit(arguments.max_failures)
    judging = _judging(arguments)
    if arguments.dry_run:
        _print_plan(judging)
        return 0
    output: Path = arguments.output
    try:
        judged = judging.judge()
    except KeyboardInterrupt:
        so_far = judging.so_far().lines
        write_lines(so_far, output)
        warn(f"{output} has {len(so_far)} of {len(judging.units)}; the same command goes on")
        raise
    except JudgeFailedError as error:
        write_lines(judging.so_far().lines, output)
        warn(f"{error}; {output} has every reason")
        return EXIT_NOT_ALL
    finally:
        judging.close()
    write_lines(judged.lines, output)
    _print_results(judging, judged)
    say([f"wrote {output}", f"the journal is in {judging.run.folder}"])
    failures = Failures.of(judged.judgements.values())
    if failures.n:
        warn(f"{failures}; the same command asks for them again")
    return EXIT_NOT_ALL if failures.exceed(limit) or not judged.n_parsed else 0


def _judging(arguments: argparse.Namespace) -> Judging:
    from videojudge_bench.answers.judging import Judging, JudgingOptions
    from videojudge_bench.goldsets.adding import read_scale

    scale = arguments.gold_scale
    options = JudgingOptions(
        arguments.versus,
        arguments.limit,
        arguments.gold_subset,
        None if scale is None else read_scale(scale),
        run_options(arguments),
    )
    return Judging(arguments.answers, arguments.judge, options)


def _print_results(judging: Judging, judged: Judged) -> None:
    for sheet in judged.sheets():
        say([sheet.title])  # not as the table's: it would be folded to its width
        table(sheet.head, sheet.rows)
        say([*sheet.notes, ""])
    used = judged.usage
    if used.input_tokens or used.output_tokens:
        cost = f", cost {used.cost:.4f}" if used.cost else ""
        say([f"{used.input_tokens:,} tokens in, {used.output_tokens:,} tokens out{cost}"])
    for reason, count in judged.reasons.items():
        warn(f"{count} of {len(judged.units)} have no verdict: {reason}")
    if judging.human is not None and judging.human.unmatched:
        warn(f"{judging.human.unmatched} rows of the gold subset are about no answer here")


def _print_plan(judging: Judging) -> None:
    from videojudge_bench.answers.estimating import estimate

    run, missing = judging.run, judging.videos_missing
    waiting = [run.view.item(i) for i in run.waiting(judging.item_ids)]
    pairs = len(judging.units[0].systems) == 2
    videos = {unit.item.video_id for unit in judging.units}
    facts: dict[str, str] = {
        "judge": run.built.name,
        "pairs, each in both orders" if pairs else "answers": f"{len(judging.units):,}",
        "systems": ", ".join(judging.answers.systems) or "not named",
        "groups (a video and an instruction)": f"{len({u.item.group for u in judging.units}):,}",
        "videos": f"{len(videos):,}",
        "videos without a file": _some(missing),
        "refused": f"{sum(bool(unit.refused) for unit in judging.units):,}",
        "judgements to make (the journal has the others)": f"{len(waiting):,}",
    }
    if judging.human is not None:
        facts["answers with human ratings"] = f"{len(judging.human.means):,}"
    found = estimate(run.built, sorted(waiting, key=lambda item: item.group))
    table(("", ""), [*facts.items(), *_estimated(found).items()], title=judging.answers.name)
    say(_notes(found))
    judging.check_videos()


def _estimated(found: Estimate | None) -> Mapping[str, str]:
    if found is None:
        return {"model calls": "none"}
    shown = {
        "model calls": f"{found.calls:,}",
        "tokens of text in, about": f"{found.text_tokens:,}",
        "tokens of frames in, at most": f"{found.frame_tokens:,}",
        "tokens out, at most": f"{found.reply_tokens:,}",
    }
    money = "no prices" if found.cost is None else f"{found.cost:,.2f}"
    return {**shown, "money, at most": money}


def _notes(found: Estimate | None) -> Iterable[str]:
    if found is None:
        return
    if found.frame_tokens:
        yield "Frames: all that the options allow, at 28 x 28 pixels a token; models differ."
    if found.cost is None:
        yield "For money: price_in=…,price_out=… of a million tokens, options of judge openai."


def _some(names: list[str]) -> str:
    if not names:
        return "0"
    return f"{len(names):,}: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
