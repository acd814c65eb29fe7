"""Running counts of a bootstrap's outcomes: memory does not grow with their number."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from videojudge_bench._util.hashing import Json
from videojudge_bench.training.bootstrap.contracts import Outcome, Rated
from videojudge_bench.training.bootstrap.loop import rounds_of
from videojudge_bench.training.bootstrap.rows import responses_of

UNRATED = "unrated"
LENGTHS = (5, 10, 20, 40, 80)
"""Upper ends, in words, of the groups of gold answers by length; the last group is open."""

Cell = tuple[int, str]


@dataclass
class Moments:
    """Number, mean and spread of numbers that are not kept (Welford's method)."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Take one number in."""
        self.n += 1
        apart = value - self.mean
        self.mean += apart / self.n
        self.squares += apart * (value - self.mean)

    @property
    def deviation(self) -> float:
        """Standard deviation of the sample; 0 for fewer than two numbers."""
        return math.sqrt(self.squares / (self.n - 1)) if self.n > 1 else 0.0


@dataclass
class Share:
    """A count and the total it is out of."""

    part: int = 0
    whole: int = 0

    def add(self, counts: bool) -> None:
        """Count one."""
        self.whole += 1
        self.part += counts

    @property
    def value(self) -> float:
        """The share, 0 to 1; 0 of none."""
        return self.part / self.whole if self.whole else 0.0


@dataclass
class Tallies:
    """Counts of outcomes.

    Attributes:
        by_source: kept of all seeds, by source.
        by_length: kept of all seeds, by the upper end of the length of the gold answer.
        by_target: accepted of all, by target rating.
        by_round: accepted in a round of all that entered it, by target and round (from 1).
        first_round: drafts of the first round, by target and the evaluator's rating.
        all_rounds: drafts of all rounds, likewise.
        truth: accepted drafts whose truth is known, by target and truth.
        error: drafts of all rounds whose truth is known, by truth and the evaluator's rating.
        words: of responses that are exported, by rating.
        repeated: responses whose text was exported before, of all exported.
        unread: drafts without a response, asked for again without a round.
        rubrics: written, of all that a writer was asked for.
    """

    seeds: Share = field(default_factory=Share)
    by_source: dict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    by_length: dict[int | None, Share] = field(default_factory=lambda: defaultdict(Share))
    by_target: dict[int, Share] = field(default_factory=lambda: defaultdict(Share))
    by_round: dict[tuple[int, int], Share] = field(default_factory=lambda: defaultdict(Share))
    first_round: Counter[Cell] = field(default_factory=Counter)
    all_rounds: Counter[Cell] = field(default_factory=Counter)
    truth: Counter[Cell] = field(default_factory=Counter)
    error: Counter[Cell] = field(default_factory=Counter)
    words: dict[int, Moments] = field(default_factory=lambda: defaultdict(Moments))
    problems: Counter[str] = field(default_factory=Counter)
    repeated: Share = field(default_factory=Share)
    unread: int = 0
    rubrics: Share = field(default_factory=Share)
    rubric_problems: Counter[str] = field(default_factory=Counter)
    _seen: set[bytes] = field(default_factory=set)

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        seed = outcome.seed
        words = len(seed.gold.split())
        length = next((end for end in LENGTHS if words <= end), None)
        for share in (self.seeds, self.by_source[seed.source], self.by_length[length]):
            share.add(outcome.kept)
        for rated in outcome.rated:
            self._add_rated(rated)
        if not outcome.kept:
            self.problems[_kind_of(outcome.problem)] += 1
            return
        if outcome.rubric or outcome.rubric_problem:
            self.rubrics.add(bool(outcome.rubric))
        if outcome.rubric_problem:
            self.rubric_problems[outcome.rubric_problem] += 1
        for response in responses_of(outcome):
            self.words[response.rating].add(len(response.text.split()))
            # Eight bytes each: at a hundred thousand responses, one in 10^9 is taken for another.
            digest = hashlib.blake2b(response.text.encode(), digest_size=8).digest()
            self.repeated.add(digest in self._seen)
            self._seen.add(digest)

    def _add_rated(self, rated: Rated) -> None:
        self.by_target[rated.target].add(rated.accepted)
        rounds = list(rounds_of(rated.attempts))
        self.unread += len(rated.attempts) - len(rounds)
        for number, attempt in enumerate(rounds, start=1):
            rating = _label(attempt.evaluation.rating)
            passed = rated.accepted and number == len(rounds)
            self.by_round[rated.target, number].add(passed)
            self.all_rounds[rated.target, rating] += 1
            if number == 1:
                self.first_round[rated.target, rating] += 1
            truth = attempt.draft.truth
            if truth is not None:
                self.error[truth, rating] += 1
                if passed:
                    self.truth[rated.target, _label(truth)] += 1

    def to_json(self) -> dict[str, Json]:
        """Return what was counted; a share is [part, whole], a confusion one object a cell."""
        return {
            "seeds": _pair(self.seeds),
            "by_source": {name: _pair(share) for name, share in self.by_source.items()},
            "by_gold_words": {str(end): _pair(share) for end, share in self.by_length.items()},
            "by_target": {str(target): _pair(share) for target, share in self.by_target.items()},
            "by_round": [
                {"target": target, "round": number, "accepted": share.part, "entered": share.whole}
                for (target, number), share in sorted(self.by_round.items())
            ],
            "first_round": _cells(self.first_round, ("target", "rated")),
            "all_rounds": _cells(self.all_rounds, ("target", "rated")),
            "accepted_truth": _cells(self.truth, ("target", "truth")),
            "evaluator_error": _cells(self.error, ("truth", "rated")),
            "label_noise": _pair(self.label_noise),
            "words": {
                str(rating): {"n": m.n, "mean": m.mean, "deviation": m.deviation}
                for rating, m in sorted(self.words.items())
            },
            "problems": dict(self.problems),
            "repeated": _pair(self.repeated),
        }

    @property
    def label_noise(self) -> Share:
        """Accepted drafts whose truth is not their target, of those whose truth is known."""
        wrong = sum(n for (target, truth), n in self.truth.items() if truth != str(target))
        return Share(wrong, self.truth.total())


def _pair(share: Share) -> list[Json]:
    return [share.part, share.whole]


def _cells(cells: Mapping[Cell, int], names: tuple[str, str]) -> list[Json]:
    return [{names[0]: row, names[1]: column, "n": n} for (row, column), n in sorted(cells.items())]


def _label(rating: float | None) -> str:
    return UNRATED if rating is None else f"{rating:g}"


def _kind_of(problem: str) -> str:
    """A problem without what differs from seed to seed: its first words, digits replaced."""
    words = problem.partition(": ")[2] or problem
    return "".join("#" if c.isdigit() else c for c in words)[:80]
