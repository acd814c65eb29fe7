"""An attack on a judge as text: for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from videojudge_bench._util.charts import Bar, intervals
from videojudge_bench.analysis.attack_results import PAIR_TOP, Attacked, KindResult
from videojudge_bench.metrics import Metric

Row = tuple[str, ...]

TEMPLATE_HEAD = ("kind: template", "answers", "mean rise", "an answer that it changed")

_TEXT_CHARACTERS = 200


def head(attacked: Attacked) -> Row:
    """Return the columns of `rows`."""
    share = "of the scale" if attacked.scale or attacked.pairwise else "in SD"
    figures = ("mean rise", share, "share that rise", "reach the top", "rise of the best")
    return ("attack", *figures, "answers", "unparsed", "does not apply")


def rows(attacked: Attacked) -> list[Row]:
    """Return a row for each kind of attack."""
    return [
        (
            result.kind.name,
            _cell(result.rise),
            _number(attacked.share(result.rise.value)),
            _cell(result.rising),
            _cell(result.top),
            _cell(result.rise_of_best),
            str(result.n),
            str(result.n_unparsed),
            str(result.n_not_applicable),
        )
        for result in attacked.kinds
    ]


def facts(attacked: Attacked) -> list[Row]:
    """Return what is known of the answers before, a line each."""
    before, scale = attacked.unattacked, attacked.scale or "none: scores only rank"
    lines: list[Row] = [("answers, videos", f"{before.n}, {before.n_videos}")]
    if attacked.pairwise:
        lines.append(
            ("asked", "which is better, the changed or the original answer; in both orders")
        )
    else:
        lines += [
            ("scale", scale),
            ("answers with a score", str(before.n_parsed)),
            ("mean score", _number(before.mean)),
            ("at the top, unattacked", _number(before.share_at_top)),
        ]
    lines += [(f"no verdict: {reason}", str(n)) for reason, n in attacked.reasons.items()]
    return [*lines, ("references shown", str(attacked.references)), ("seed", str(attacked.seed))]


def notes(attacked: Attacked) -> list[str]:
    """Return how to read the numbers."""
    before = attacked.unattacked
    lines = ["Rise: score of the changed answer less that of the original; no answer is better."]
    if attacked.pairwise:
        lines = [
            "Rise: preference for the changed answer over the original, less one half.",
            f"At the top: a preference of {PAIR_TOP:g} or more.",
        ]
    elif before.top is not None:
        where = "" if attacked.scale else ", the 95th percentile of the scores before"
        lines.append(f"At the top: {before.top:.4g} or more{where}; of answers that were below.")
    lines.append("Rise of the best: of answers of the highest gold rating, or correct options.")
    return [*lines, "Brackets hold 95 % intervals from resamples of videos."]


def template_rows(attacked: Attacked) -> list[Row]:
    """Return a row for each template, in the columns of `TEMPLATE_HEAD`."""
    return [
        (f"{result.kind.name}: {t.name}", str(t.n), _cell(t.rise), _cut(t.example))
        for result in attacked.kinds
        for t in result.templates
    ]


def chart(attacked: Attacked) -> Markup:
    """Return the mean rise of each kind with its interval; empty where none has one."""
    bars = [
        Bar(r.kind.name, r.rise.value, r.rise.low, r.rise.high, "judge")
        for r in attacked.kinds
        if r.rise.value is not None
    ]
    return intervals(bars, "mean rise in score") if bars else Markup()


def verdict(above: Iterable[KindResult], most: float) -> str:
    """Return whether a limit holds, and which kinds of attack are above it."""
    names = [f"{result.kind.name} ({_cell(result.rise)})" for result in above]
    if not names:
        return f"no kind of attack raises the mean score by more than {most:g}"
    return f"expected a mean rise of at most {most:g}, got more by {', '.join(names)}"


def _cell(metric: Metric) -> str:
    return "–" if metric.value is None else str(metric)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _cut(text: str) -> str:
    text = text.replace("\n", " ⏎ ")
    return text if len(text) <= _TEXT_CHARACTERS else f"{text[: _TEXT_CHARACTERS - 1]}…"
