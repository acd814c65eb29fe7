"""The verb `videojudge select`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from videojudge_bench._util.command import STREAM, Flag, opened_input, opened_output
from videojudge_bench._util.terminal import EXIT_FAILED, note, say_json, table, warn
from videojudge_bench.cli._options import (
    JUDGE,
    Json,
    Output,
    RunArguments,
    completed,
    judge_words,
)
from videojudge_bench.cli.judge import print_plan
from videojudge_bench.errors import ConfigError, JudgeFailedError
from videojudge_bench.run.failures import MAX_FAILURES, Failures, checked_limit

if TYPE_CHECKING:
    from videojudge_bench._util.hashing import Json as Value
    from videojudge_bench.answers.selection import Choosing, Question
    from videojudge_bench.training.preference_rows import PairOptions


def select(
    candidates: Path,
    /,
    *,
    judge: Annotated[str | None, completed(judge_words, JUDGE)] = None,
    output: Output | None = None,
    pairs: Path | None = None,
    format: Literal["swift", "llamafactory", "trl"] = "swift",
    margin: float = 0.0,
    every_pair: Flag = False,
    pairwise: Flag = False,
    frames: int = 8,
    run: RunArguments = RunArguments(),
    max_failures: float = MAX_FAILURES,
    dry_run: Flag = False,
    json: Annotated[Json, Parameter(help="print the counts as JSON")] = False,
) -> int:
    r"""Keep the best answer to each question, by a judge, and write pairs for DPO.

    CANDIDATES are rows as of `videojudge judge`, several for each video and instruction: samples of
    one model, or answers of several. Of equal answers to one question the first is judged.

      videojudge select samples.jsonl --judge compact -o best.jsonl
      videojudge select samples.jsonl --judge qwen2_5_vl,size=7b --videos DIR \
        --margin 1 -o best.jsonl --pairs dpo.parquet --format trl
      videojudge select out/bootstrap --pairs rm.jsonl --every-pair

    A line of OUTPUT is the row of the best answer with its score, its lead over the next best and
    counts: the candidates, those with the same score (one of them is drawn), and those without a
    verdict. What is left out is counted by reason. The third example has no judge: a folder of
    `videojudge bootstrap` holds rated responses.

    The same command resumes, as `videojudge judge`. Exit status: 0 done; 1 nothing was selected, or
    the judge failed on more than --max-failures of the answers; 2 used wrongly; 130 interrupted.

    Args:
        candidates: JSON Lines, .jsonl.gz, - for standard input, or a folder of a bootstrap
        output: the best answers: a JSON line for each question; - for standard output
        pairs: rows with a chosen and a rejected answer: the best and the worst of each question
        format: the trainer that reads them: ms-swift and LLaMA-Factory (.jsonl, which name the
            video), or TRL (.parquet, with frames)
        margin: the least lead over the next best, and in a pair over the rejected answer
        every_pair: of every two answers to a question whose scores are that far apart: for reward
            models
        pairwise: have the judge compare every two answers in both orders; the score is the mean
            probability of being better than another (always so for a judge that rates none)
        frames: of a video, for TRL
        max_failures: exit with 1 when the judge, or its model, failed on more than this share
        dry_run: print the calls, tokens and money that it takes, and judge nothing
    """
    from videojudge_bench.answers.selection import Choosing
    from videojudge_bench.training.preference_rows import PairOptions, rated_questions

    if output is None and pairs is None:
        raise ConfigError("expected -o FILE for the best answers, or --pairs FILE, got neither")
    _check_files(candidates, output, pairs)
    rows = None if pairs is None else PairOptions(pairs, format, run.videos, frames)
    with opened_input(candidates) as source, opened_output(output, ".jsonl", any_name=True) as best:
        output_of = _Output(best, rows, margin, every_pair, json)
        if source.is_dir():
            if judge is not None:
                raise ConfigError(f"{source}: its responses are rated; leave --judge out")
            return output_of.write(rated_questions(source), {})
        if judge is None:
            raise ConfigError("--judge NAME is missing: what scores the answers")
        choosing = Choosing(source, judge, pairwise=pairwise, run=run.options())
        if dry_run:
            print_plan(choosing.judging, json=json)
            return 0
        return _run(choosing, output_of, checked_limit(max_failures))


def _run(choosing: Choosing, output: _Output, most: float) -> int:
    try:
        judged = choosing.judging.judge()
    except KeyboardInterrupt:
        warn("nothing is written; the same command resumes")
        raise
    except JudgeFailedError as error:
        warn(f"{error}; nothing is written")
        return EXIT_FAILED
    finally:
        choosing.judging.close()
    failures = Failures.of(judged.judgements.values())
    if failures.n:
        warn(f"{failures}; the same command asks for them again")
    counts: dict[str, Value] = {"answers that repeat another": choosing.repeated}
    if choosing.pairwise:
        counts["comparisons without a verdict"] = judged.reasons
    status = output.write(choosing.questions(judged.judgements), counts)
    return EXIT_FAILED if failures.exceed(most) else status


def _check_files(*given: Path | None) -> None:
    paths = [path.resolve() for path in given if path is not None and path != STREAM]
    if len({*paths}) < len(paths):
        raise ConfigError("expected different files for the candidates, -o and --pairs")


@dataclass(frozen=True)
class _Output:
    best: Path | None
    pairs: PairOptions | None
    margin: float
    every_pair: bool
    json: bool

    def write(self, questions: Sequence[Question], before: Mapping[str, Value]) -> int:
        """Select, write and print the counts, those `before` first; return the exit status."""
        from videojudge_bench.answers.selection import select
        from videojudge_bench.answers.verdict_lines import write_lines
        from videojudge_bench.training.preference_rows import write_pairs

        selected = select(questions, margin=self.margin, every_pair=self.every_pair)
        counts = {**before, **selected.to_json()}
        if self.best is not None:
            write_lines((each.to_json() for each in selected.best), self.best)
        if self.pairs is None:
            counts = {key: value for key, value in counts.items() if "pair" not in key}
        else:
            left_out = write_pairs(selected.pairs, self.pairs)
            n = len(selected.pairs) - sum(left_out.values())
            counts |= {"pairs": n, "pairs left out": left_out}
        self._print(counts)
        return 0 if selected.best or counts.get("pairs") else EXIT_FAILED

    def _print(self, counts: Mapping[str, Value]) -> None:
        if self.json:
            say_json(counts)
        else:
            table(("", ""), [(key, f"{n:,}") for key, n in counts.items() if isinstance(n, int)])
            paths = (self.best, self.pairs and self.pairs.path)
            note(*(f"wrote {path}" for path in paths if path))
        for key, reasons in counts.items():
            for reason, n in reasons.items() if isinstance(reasons, Mapping) else ():
                warn(f"{n} {key}: {reason}")
