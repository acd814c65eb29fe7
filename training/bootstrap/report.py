"""`report.md` and its plots: yield, acceptance, errors, similarity and cost of a bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from pathlib import Path

from videojudge_bench._util import charts
from videojudge_bench._util.charts import Axis, Mark
from videojudge_bench._util.files import write_whole
from videojudge_bench._util.hashing import unit_interval
from videojudge_bench._util.markdown import inert, table
from videojudge_bench.training.bootstrap.calls import Role, Spent
from videojudge_bench.training.bootstrap.contracts import Outcome
from videojudge_bench.training.bootstrap.rows import responses_of
from videojudge_bench.training.bootstrap.similarity import falls, similarities
from videojudge_bench.training.bootstrap.tallies import (
    LENGTHS,
    UNRATED,
    Cell,
    Moments,
    Share,
    Tallies,
)
from videojudge_bench.training.bootstrap.text_only import TextOnly, text_only_accuracy

REPORT_FILE = "report.md"
PLOTS_FOLDER = "plots"
COMPARED = 300  # seeds whose responses are compared with the gold answer: MiniLM is slow
CLASSIFIED = 4_000
"""Seeds whose responses a text classifier learns from: five times as many rows."""

_BRIEF = (
    "Plots, the similarity to the gold answers and what the text alone gives away cost more than a "
    "small run itself. `--override report=full` adds them: the same command asks for no reply "
    "again."
)
_RATED_BY = ("1", "2", "3", "4", "5", UNRATED)


@dataclass(frozen=True)
class ReportFacts:
    """Facts of the run for the report, beside its own counts.

    Attributes:
        full: with plots, similarities and the text-only baseline.
        independent: neither generator nor evaluator uses the measures of similarity.
    """

    title: str
    full: bool = True
    independent: bool = True
    spent: Mapping[Role, Spent] = field(default_factory=dict)
    unit: str = "USD"


@dataclass
class _Page:
    plots: bool = True
    lines: list[str] = field(default_factory=list)

    def say(self, *lines: str) -> None:
        self.lines += [*lines, ""]

    def heading(self, title: str, plot: str, file: str) -> None:
        picture = [f"![{plot}]({PLOTS_FOLDER}/{file}.svg)"] if self.plots else []
        self.say(f"## {title}", *picture)

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        self.say(*table(head, ([inert(cell) for cell in row] for row in rows)))


def write_report(
    outcomes: Callable[[], Iterable[Outcome]], folder: Path, facts: ReportFacts
) -> Path:
    """Write `report.md` and `plots/*.svg` into a folder; return the report's path."""
    tallies = Tallies()
    for outcome in outcomes():
        tallies.add(outcome)
    drawn: list[Outcome] = []
    if facts.full:
        drawn = nsmallest(CLASSIFIED, outcomes(), key=lambda o: unit_interval("report", o.seed.id))
    page = _Page(plots=facts.full)
    page.say(f"# {inert(facts.title)}")
    _yield(page, tallies)
    _rubrics(page, tallies)
    _rounds(page, tallies)
    _confusions(page, tallies)
    near = similarities(drawn[:COMPARED]) if facts.full else {}
    if facts.full:
        _similarity(page, near, independent=facts.independent)
    _lengths(page, tallies)
    if facts.full:
        _gives_away(page, _text_only(drawn))
        (folder / PLOTS_FOLDER).mkdir(parents=True, exist_ok=True)
        for name, plot in _plots(tallies, near).items():
            write_whole(folder / PLOTS_FOLDER / f"{name}.svg", plot)
    _cost(page, facts)
    if not facts.full:
        page.say(_BRIEF)
    path = folder / REPORT_FILE
    write_whole(path, "\n".join(page.lines))
    return path


def _yield(page: _Page, tallies: Tallies) -> None:
    page.say("## Yield")
    rows = [("all", tallies.seeds), *sorted(tallies.by_source.items())]
    for end in (*LENGTHS, None):
        if end in tallies.by_length:
            name = f"gold answers of up to {end} words" if end else "longer ones"
            rows.append((name, tallies.by_length[end]))
    page.table(("seeds", "all", "kept", "share"), [_share_row(n, s) for n, s in rows])
    targets = [(f"rating {t}", s) for t, s in sorted(tallies.by_target.items())]
    page.table(("aimed at", "all", "accepted", "share"), [_share_row(n, s) for n, s in targets])
    if tallies.problems:
        page.say("Why seeds were kept aside (numbers are written #):")
        common = tallies.problems.most_common(10)
        page.table(("reason", "seeds"), [(reason, str(n)) for reason, n in common])


def _rubrics(page: _Page, tallies: Tallies) -> None:
    if not tallies.rubrics.whole:
        return
    page.say("## Rubrics", f"Written for {_words_of(tallies.rubrics)} instructions that need one.")
    if tallies.rubric_problems:
        page.say("The others have no rows with a rubric:")
        common = tallies.rubric_problems.most_common(10)
        page.table(("reason", "instructions"), [(reason, str(n)) for reason, n in common])


def _rounds(page: _Page, tallies: Tallies) -> None:
    page.heading("Acceptance by round", "acceptance by round", "acceptance")
    numbers = sorted({number for _, number in tallies.by_round})
    rows = []
    for target in sorted(tallies.by_target):
        shares = [tallies.by_round.get((target, n), Share()) for n in numbers]
        rows.append([str(target), *(f"{s.part} of {s.whole}" for s in shares)])
    page.table(("rating aimed at", *(f"round {n}" for n in numbers)), rows)
    if tallies.unread:
        page.say(
            f"{tallies.unread:,} replies of the generator held no answer between its tags, and "
            "were asked for again."
        )


def _confusions(page: _Page, tallies: Tallies) -> None:
    page.heading("What was aimed at, and what the evaluator said", "first round", "confusion")
    page.say("Drafts of the first round:")
    _confusion(page, tallies.first_round, ("aimed at", "rated"))
    page.say("Drafts of all rounds:")
    _confusion(page, tallies.all_rounds, ("aimed at", "rated"))
    if not tallies.error:
        page.say("Nobody knows what the drafts truly deserve, so label noise cannot be measured.")
        return
    noise = tallies.label_noise
    page.say(
        f"Label noise: {noise.part} of {noise.whole} accepted responses "
        f"({100 * noise.value:.2f} %) truly deserve another rating than they were accepted for."
    )
    _confusion(page, tallies.truth, ("aimed at", "deserved"))
    page.say("The evaluator's errors (all rounds):")
    _confusion(page, tallies.error, ("deserved", "rated"))


def _confusion(page: _Page, cells: Mapping[Cell, int], names: tuple[str, str]) -> None:
    rows = sorted({row for row, _ in cells})
    columns = [c for c in _columns(cells) if any(cells.get((row, c)) for row in rows)]
    head = (f"{names[0]} \\ {names[1]}", *columns)
    page.table(head, [[str(row), *(str(cells.get((row, c), 0)) for c in columns)] for row in rows])


def _columns(cells: Mapping[Cell, int]) -> list[str]:
    """Ratings in their order, fractions of an expected score among them, and the unrated last."""
    columns = {column for _, column in cells}
    rated = sorted(columns - {UNRATED} | set(_RATED_BY[:-1]), key=float)
    return [*rated, UNRATED]


def _similarity(
    page: _Page, near: Mapping[str, Mapping[int, Moments]], *, independent: bool
) -> None:
    page.heading("Similarity to the gold answer", "similarity", "similarity")
    ratings = sorted({rating for by_rating in near.values() for rating in by_rating}, reverse=True)
    rows = [
        [
            name,
            *(_spread(by_rating.get(rating)) for rating in ratings),
            "yes" if falls(by_rating) else "no",
        ]
        for name, by_rating in near.items()
    ]
    page.table(("measure", *map(str, ratings), "falls with the rating"), rows)
    page.say(
        "Neither generator nor evaluator uses these measures."
        if independent
        else "The generator makes responses by changing the gold answer, so that this is a check "
        "of the machinery and no evidence."
    )


def _lengths(page: _Page, tallies: Tallies) -> None:
    page.say("## Length by rating")
    page.table(
        ("rating", "responses", "words"),
        [(str(r), str(m.n), _spread(m)) for r, m in sorted(tallies.words.items())],
    )
    page.say(f"Texts that stand in the data more than once: {_words_of(tallies.repeated)}.")


def _gives_away(page: _Page, result: TextOnly | None) -> None:
    page.say("## What the text alone gives away")
    if result is None:
        page.say("Too few seeds were kept to tell.")
        return
    page.say(
        f"A text classifier that sees neither video nor gold answer, cross-validated by video on "
        f"{result.rows} responses, finds the rating of {result.accuracy:.3f} "
        f"[{result.low:.3f}, {result.high:.3f}] of them; chance is {result.chance:.3f}."
    )


def _text_only(outcomes: Sequence[Outcome]) -> TextOnly | None:
    rows = [
        (response.text, response.rating, outcome.seed.video_id)
        for outcome in outcomes
        if outcome.kept
        for response in responses_of(outcome)
    ]
    return text_only_accuracy(rows)


def _cost(page: _Page, facts: ReportFacts) -> None:
    page.say("## Cost")
    head = ("asked", "calls", "tokens of prompts", "tokens of replies", "engine seconds", "money")
    rows = []
    for role, spent in facts.spent.items():
        used = spent.usage
        numbers = (spent.calls, used.input_tokens, used.output_tokens, round(used.seconds))
        money = f"{used.cost:,.2f} {facts.unit}" if used.cost else "none"
        rows.append([role, *(f"{number:,}" for number in numbers), money])
    page.table(head, rows)


def _plots(tallies: Tallies, near: Mapping[str, Mapping[int, Moments]]) -> dict[str, str]:
    last = max((number for _, number in tallies.by_round), default=1)
    rounds = {
        f"rating {target}": [
            Mark(number, share.value, share.whole)
            for number in range(1, last + 1)
            if (share := tallies.by_round.get((target, number)))
        ]
        for target in sorted(tallies.by_target)
    }
    means = {
        name: [
            Mark(rating, moments.mean, moments.n) for rating, moments in sorted(by_rating.items())
        ]
        for name, by_rating in near.items()
    }
    ratings = [rating for by_rating in near.values() for rating in by_rating]
    cells, aimed = tallies.first_round, sorted({row for row, _ in tallies.first_round})
    rated = [column for column in _columns(cells) if any(cells.get((r, column)) for r in aimed)]
    confusion = charts.heat(
        [[cells.get((row, column), 0) for column in rated] for row in aimed],
        [str(row) for row in aimed],
        rated,
        labels=("aimed at", "rated"),
    )
    return {
        "acceptance": _lines(rounds, Axis.whole("round", 1, last), "accepted of those entered"),
        "similarity": _lines(
            means,
            Axis.whole("rating", min(ratings, default=1), max(ratings, default=5)),
            "mean similarity to the gold answer",
        ),
        "confusion": charts.document(confusion),
    }


def _lines(series: Mapping[str, Sequence[Mark]], x: Axis, label: str) -> str:
    y = Axis.over(label, [0.0, 1.0])
    return charts.document(charts.curves(list(series.values()), x, y, names=list(series)))


def _share_row(name: str, share: Share) -> tuple[str, str, str, str]:
    return (name, f"{share.whole:,}", f"{share.part:,}", f"{100 * share.value:.1f} %")


def _words_of(share: Share) -> str:
    return f"{share.part:,} of {share.whole:,} ({100 * share.value:.1f} %)"


def _spread(moments: Moments | None) -> str:
    return "-" if moments is None else f"{moments.mean:.3f} ± {moments.deviation:.3f}"
