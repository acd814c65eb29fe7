"""The best of several answers to a question, and pairs of a better and a worse one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from videojudge_bench._util.hashing import Json, content_hash, unit_interval
from videojudge_bench.answers.judging import Judging, JudgingOptions, build
from videojudge_bench.answers.reading import (
    AnswerRow,
    Answers,
    Source,
    Unit,
    pair_of,
    read_answers,
    units_of,
)
from videojudge_bench.answers.verdict_lines import verdict_of
from videojudge_bench.errors import ConfigError, DataError
from videojudge_bench.run.runner import RunOptions
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

NO_VERDICT = "no answer has a verdict"
ALONE = "one answer alone, nothing to compare it with"
CLOSE = "a smaller lead than the margin"
EQUAL = "equal scores"


@dataclass(frozen=True)
class Candidate:
    """An answer with its score.

    Attributes:
        id: of the answer.
        response: its text.
        score: higher is better; None without a verdict.
        reason: of no verdict.
        row: the answer as it was given.
    """

    id: str
    response: str
    score: float | None
    reason: str = ""
    row: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """An instruction about a video, with the answers that were given to it.

    Attributes:
        video_id: of the video.
        video: its file inside the folder of videos, where it is not `<video_id>.<extension>`.
        instruction: the question.
        candidates: the answers.
    """

    video_id: str
    video: str | None
    instruction: str
    candidates: tuple[Candidate, ...]

    @property
    def id(self) -> str:
        """The video, and a hash of the instruction."""
        return f"{self.video_id}/{content_hash(self.instruction)[:10]}"

    def ranked(self) -> list[tuple[float, Candidate]]:
        """Return the answers with a verdict, the best first; equal ones by a hash of their ids."""
        scored = [(c.score, c) for c in self.candidates if c.score is not None]
        return sorted(scored, key=lambda s: (-s[0], unit_interval("select", s[1].id), s[1].id))


@dataclass(frozen=True)
class Best:
    """The best answer to a question.

    Attributes:
        question: that it answers.
        candidate: the answer.
        score: of the answer.
        lead: over the next best; None where there is none.
        tied: further answers with the same score, among which it was drawn.
    """

    question: Question
    candidate: Candidate
    score: float
    lead: float | None
    tied: int

    def to_json(self) -> dict[str, Json]:
        """Return the row as it was given, with score, lead, and counts of the candidates."""
        candidates = self.question.candidates
        return {
            **self.candidate.row,
            "score": self.score,
            "lead": self.lead,
            "tied": self.tied,
            "candidates": len(candidates),
            "unparsed": sum(c.score is None for c in candidates),
        }


@dataclass(frozen=True)
class PreferencePair:
    """Two answers to a question, the better one first."""

    question: Question
    chosen: Candidate
    rejected: Candidate
    margin: float

    @property
    def id(self) -> str:
        """The ids of both answers."""
        return f"{self.chosen.id}>{self.rejected.id}"


@dataclass(frozen=True)
class Selection:
    """Selected answers, with counts of what was left out.

    Attributes:
        questions: all.
        best: one per question that has one, in their order.
        pairs: of each question, the widest first.
        without_best: questions without a best answer, by reason.
        without_pair: questions without a pair, by reason.
    """

    questions: tuple[Question, ...]
    best: tuple[Best, ...]
    pairs: tuple[PreferencePair, ...]
    without_best: Counter[str]
    without_pair: Counter[str]

    def to_json(self) -> dict[str, Json]:
        """Return all counts."""
        candidates = [c for question in self.questions for c in question.candidates]
        unread = Counter(c.reason.partition(":")[0] for c in candidates if c.score is None)
        return {
            "questions": len(self.questions),
            "answers": len(candidates),
            "answers without a verdict": dict(unread.most_common()),
            "best answers": len(self.best),
            "drawn among equal scores": sum(best.tied > 0 for best in self.best),
            "questions without a best answer": dict(self.without_best.most_common()),
            "pairs": len(self.pairs),
            "questions without a pair": dict(self.without_pair.most_common()),
        }


def select(
    questions: Sequence[Question], *, margin: float = 0.0, every_pair: bool = False
) -> Selection:
    """Return the best answer to each question, and pairs of a better and a worse one.

    Args:
        questions: with scored answers.
        margin: the least lead of a best answer over the next best, and of the chosen answer of a
            pair over the rejected one; answers with equal scores are never a pair.
        every_pair: every two answers that are far enough apart; by default the best and the worst.

    Raises:
        ConfigError: the margin is no number from 0 up.
    """
    if not 0 <= margin < math.inf:
        raise ConfigError(f"--margin {margin:g}: expected a number from 0 up")
    best, pairs = list[Best](), list[PreferencePair]()
    without_best, without_pair = Counter[str](), Counter[str]()
    for question in questions:
        ranked = question.ranked()
        scores = [score for score, _ in ranked]
        lead = _difference(scores[0], scores[1]) if len(scores) > 1 else None
        if not scores:
            without_best[NO_VERDICT] += 1
        elif margin and (lead is None or lead < margin):
            without_best[ALONE if lead is None else CLOSE] += 1
        else:
            tied = scores.count(scores[0]) - 1
            best.append(Best(question, ranked[0][1], scores[0], lead, tied))
        apart = [*_pairs(question, ranked, margin, every_pair=every_pair)]
        pairs += apart
        if not apart:
            without_pair[_no_pair(scores)] += 1
    return Selection(tuple(questions), tuple(best), tuple(pairs), without_best, without_pair)


def _no_pair(scores: Sequence[float]) -> str:
    if len(scores) < 2:
        return ALONE if scores else NO_VERDICT
    return EQUAL if scores[0] == scores[-1] else CLOSE


def _pairs(
    question: Question,
    ranked: Sequence[tuple[float, Candidate]],
    margin: float,
    *,
    every_pair: bool,
) -> Iterator[PreferencePair]:
    outer = ranked if every_pair else [*ranked[:1], *ranked[1:][-1:]]
    for (high, chosen), (low, rejected) in combinations(outer, 2):
        apart = _difference(high, low)
        if apart > 0 and apart >= margin and chosen.response != rejected.response:
            yield PreferencePair(question, chosen, rejected, apart)


def _difference(high: float, low: float) -> float:
    """The difference of two scores, without the last digits: 0.4 - 0.3 is 0.1."""
    return round(high - low, 12)


class Choosing:
    """Candidates and a judge, checked and ready.

    Args:
        source: of the candidates, rows as of `videojudge judge`; of equal answers to one question
            the first is judged.
        judge: `NAME[,option=value…]`.
        pairwise: compare every two answers to a question; a score is then the mean probability of
            being better than another. So it is for a judge that only compares.
        run: options of the run.

    Raises:
        ConfigError: the judge does not suit the candidates.
        DataError: a row is not what it should be, or is a pair.
    """

    def __init__(
        self, source: Source, judge: str, *, pairwise: bool = False, run: RunOptions | None = None
    ) -> None:
        answers, self.repeated = _distinct(read_answers(source, repeats=True))
        built = build(judge)
        abilities = built.judge.abilities
        self.pairwise = pairwise or "rate" not in abilities
        if self.pairwise and "prefer" not in abilities:
            raise ConfigError(
                f"judge {built.name} compares no answers; leave --pairwise out, and they are rated"
            )
        self._units = units_of(answers, None)
        paired = _every_pair(self._units) if self.pairwise else None
        self.judging = Judging(answers, built, JudgingOptions(run=run or RunOptions()), paired)

    def questions(self, judgements: Mapping[str, Judgement]) -> list[Question]:
        """Return the questions with their answers scored.

        Args:
            judgements: of `judging`, by item id.
        """
        if self.pairwise:
            scores = _win_rates(self.judging.units, judgements)
        else:
            scores = {unit.id: _rated(unit, judgements) for unit in self._units}
        asked: dict[tuple[str, str], list[Candidate]] = {}
        videos: dict[str, str | None] = {}
        for row, unit in zip(self.judging.answers.rows, self._units, strict=True):
            score, reason = scores.get(unit.id, (None, ALONE))
            given = row.model_dump(mode="json", exclude_defaults=True)
            candidate = Candidate(unit.id, row.texts[0], score, reason, {"id": unit.id, **given})
            asked.setdefault(unit.item.group, []).append(candidate)
            videos[row.video_id] = videos.get(row.video_id) or row.video
        return [
            Question(video_id, videos[video_id], instruction, tuple(candidates))
            for (video_id, instruction), candidates in asked.items()
        ]


def _distinct(answers: Answers) -> tuple[Answers, int]:
    """The answers without those that repeat another, and the number of these."""
    kept: dict[str, AnswerRow] = {}
    names: set[str] = set()
    for row in answers.rows:
        if row.is_pair:
            problem = "expected response: candidates are single answers, and pairs are made of them"
            raise DataError(problem, path=answers.name, field="response_a")
        shared: list[Json] = [*row.references, row.description]
        content = content_hash([row.video_id, row.instruction, *row.texts, *shared])
        if kept.setdefault(content, row) is not row:
            continue
        if row.name in names:
            problem = f"{row.name!r} is the id of another answer too; give each its own"
            raise DataError(problem, path=answers.name, field="id")
        names.add(row.name)
    rows = tuple(kept.values())
    return Answers(answers.name, rows, answers.path), len(answers.rows) - len(rows)


def _every_pair(units: Sequence[Unit]) -> list[Unit]:
    asked: dict[tuple[str, str], list[Unit]] = {}
    for unit in units:
        asked.setdefault(unit.item.group, []).append(unit)
    pairs = [pair_of(*two) for group in asked.values() for two in combinations(group, 2)]
    if not pairs:
        raise ConfigError("expected two answers or more to some question, got one to each")
    return pairs


def _rated(unit: Unit, judgements: Mapping[str, Judgement]) -> tuple[float | None, str]:
    verdict = verdict_of(unit, judgements)
    if isinstance(verdict, Rating):
        return verdict.value, ""
    return None, verdict.reason if isinstance(verdict, Unparsed) else ""


def _win_rates(
    pairs: Sequence[Unit], judgements: Mapping[str, Judgement]
) -> dict[str, tuple[float | None, str]]:
    """Each answer's mean probability of being better than another, over pairs with a verdict."""
    won: dict[str, list[float]] = {}
    reasons: dict[str, str] = {}
    for pair in pairs:
        verdict = verdict_of(pair, judgements)
        for answer, is_first in zip(pair.answers, (True, False), strict=True):
            won.setdefault(answer, [])
            if isinstance(verdict, Preference):
                won[answer].append(verdict.p_first if is_first else 1 - verdict.p_first)
            elif isinstance(verdict, Unparsed):
                reasons[answer] = verdict.reason
    return {
        # Rounded, so that answers that are equally good are equal.
        answer: (round(math.fsum(shares) / len(shares), 12), "")
        if shares
        else (None, reasons[answer])
        for answer, shares in won.items()
    }
