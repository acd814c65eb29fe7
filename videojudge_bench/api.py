"""The Python interface for notebooks and scripts: load a run, compare two, list the judges.

Everything here is offered by `videojudge_bench` itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Union

from videojudge_bench import metrics, registry
from videojudge_bench._util.charts import Plot
from videojudge_bench._util.html import table_html
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.items import Example, Gold, Item, OptionGold, PreferenceGold, RatingGold
from videojudge_bench.leaderboard.comparing import Compared, compare_runs
from videojudge_bench.leaderboard.opening import OpenRun, open_run
from videojudge_bench.leaderboard.shown import number_text
from videojudge_bench.leaderboard.stored import Number, interval_of, number_of
from videojudge_bench.report.figures import figures_of
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

if TYPE_CHECKING:
    import pandas as pd

AnyPath = Union[str, Path]


@dataclass(frozen=True, repr=False)
class LoadedRun(OpenRun):
    """One judge on one gold set, with its table, its numbers and its plots."""

    @cached_property
    def numbers(self) -> Mapping[str, Number]:
        """Metrics by key, with `<key>_low` and `<key>_high`; text says why one is undefined.

        A run of a leaderboard has them stored. Those of a journal are computed once, with 10,000
        resamples: up to half a minute for 18,000 items.
        """
        if self.kept is not None:
            return self.kept.numbers
        numbers = self.measurement.card(self.judgements).numbers()
        return numbers | metrics.criterion_numbers(self.measurement, self.judgements)

    def by_label(self, label: str) -> dict[str, metrics.ScoreCard]:
        """Return a score card for each value of a label; see `metrics.by_label`."""
        return metrics.by_label(self.measurement, self.judgements, label)

    def by_criterion(self) -> dict[str, metrics.ScoreCard]:
        """Return a score card for each criterion; see `metrics.by_criterion`."""
        return metrics.by_criterion(self.measurement, self.judgements)

    def to_df(self) -> pd.DataFrame:
        """Return a row for each judged item, in the order of the gold set.

        Columns: `id`, `video_id`, `instruction`, `response` (of pairs `response_a` and
        `response_b`), `system`, the labels, `gold` (mean rating, whether the option is correct, or
        the probability that the first is better), `score` (of pairs `p_first`), `unparsed` (why
        there is no verdict) and `reply`.
        """
        import pandas as pd

        rows = [
            _row(example, judgement)
            for item_id, example in self.gold_set.by_id.items()
            if (judgement := self.judgements.get(item_id)) is not None
        ]
        return pd.DataFrame(rows)

    def plot(self, title: str = "") -> Plot:
        """Return a plot of the run; a notebook shows it, `save` writes it as SVG.

        Args:
            title: of the plot, such as `bias by length`; by default the scores against gold.

        Raises:
            UnknownNameError: there is no such plot of this run.
            ConfigError: too few verdicts could be read for any plot.
        """
        return _plot([self], title)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.title}; {len(self.judgements):,} judgements>"

    def _repr_html_(self) -> str:
        key = metrics.primary_key(self.info)
        rows = [("judgements", f"{len(self.judgements):,}")]
        # Numbers of a journal take long, and what a notebook displays must come at once.
        if self.kept is not None or "numbers" in vars(self):
            keys = dict.fromkeys((key, *metrics.metric_keys(self.info)))
            rows += [(k, _number_text(self.numbers, k)) for k in keys if k in self.numbers]
            rows.append(("coverage", _number_text(self.numbers, "coverage")))
        return table_html(self.title, ("", ""), rows)


@dataclass(frozen=True, repr=False)
class RunComparison(Compared):
    """Two judges on what both judged and parsed."""

    def to_df(self) -> pd.DataFrame:
        """Return a row for each item on which the judges are not equally far from gold.

        Columns: `id`, `distance_a`, `distance_b` (from gold, see `metrics.disagreement`), the
        largest difference first.
        """
        import pandas as pd

        rows = [(flip.item_id, flip.a, flip.b) for flip in self.flips]
        return pd.DataFrame(rows, columns=["id", "distance_a", "distance_b"])

    def plot(self, title: str = "") -> Plot:
        """Return a plot of both runs; as `LoadedRun.plot`."""
        return _plot([self.a, self.b], title)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._headline}>"

    def _repr_html_(self) -> str:
        test, key = self.test, self.test.statistic
        rows = [
            (f"{key} of {self.a.name}", number_text(test.a)),
            (f"{key} of {self.b.name}", number_text(test.b)),
            ("items, videos", f"{test.n:,}, {test.n_videos:,}"),
        ]
        return table_html(self._headline, ("", ""), rows)

    @property
    def _headline(self) -> str:
        test = self.test
        ends = "" if self.interval is None else " [{:+.3f}, {:+.3f}]".format(*self.interval)
        names = f"{self.a.name} minus {self.b.name} on {self.a.info.task}"
        return f"{names}: {test.statistic} {test.difference:+.3f}{ends}, p = {test.p_value:.4f}"


@dataclass(frozen=True)
class JudgeInfo:
    """A judge that can be asked for by name.

    Attributes:
        name: as `judge=` takes it.
        summary: first sentence of its documentation; why it cannot be loaded where it cannot.
        requires: of `video`, `references` and `description`.
        scale: of its ratings, such as `1-5`; empty for scores that are ordinal only.
    """

    name: str
    summary: str
    requires: tuple[str, ...] = ()
    scale: str = ""


def load_run(path: AnyPath) -> LoadedRun:
    """Return the run in a folder: a journal, a folder of `results/runs/`, or lmms-eval's samples.

    Raises:
        ConfigError: the folder holds no run, or more than one.
        NoDataError: the data of the gold set are not on this machine.
        DataError: a file is damaged, or the judgements are about another version of the set.
    """
    run = open_run(Path(path))
    return LoadedRun(run.record, run.gold_set, run.kept)


def compare(a: OpenRun | AnyPath, b: OpenRun | AnyPath, *, statistic: str = "") -> RunComparison:
    """Return the paired comparison of two runs of one gold set, with 10,000 permutations.

    Args:
        a: a run, or its folder.
        b: another of the same measurement.
        statistic: a metric key; by default the one that ranks judges on this set.

    Raises:
        ConfigError: the runs were measured differently; else as `load_run`.
        UnknownNameError: the gold set has no such statistic.
    """
    one, two = (run if isinstance(run, OpenRun) else load_run(run) for run in (a, b))
    return RunComparison(**vars(compare_runs(one, two, statistic=statistic or None)))


def list_judges() -> list[JudgeInfo]:
    """Return all judges that can be asked for by name: built-in ones and those of plug-ins."""
    return [_judge_info(name) for name in registry.names()]


def _judge_info(name: str) -> JudgeInfo:
    try:
        cls = registry.judge_class(name)
    except ConfigError as error:
        return JudgeInfo(name, f"cannot be loaded: {error}")
    summary = (inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " ")
    return JudgeInfo(name, summary, tuple(sorted(cls.requires)), str(cls.scale or ""))


def _row(example: Example, judgement: Judgement) -> dict[str, object]:
    item, verdict = example.item, judgement.verdict
    row: dict[str, object] = {
        "id": item.id,
        "video_id": item.video_id,
        "instruction": item.instruction,
    }
    if isinstance(item, Item):
        row |= {"response": item.response, "system": example.system}
        result = {"score": verdict.value if isinstance(verdict, Rating) else None}
    else:
        row |= {"response_a": item.first, "response_b": item.second}
        result = {"p_first": verdict.p_first if isinstance(verdict, Preference) else None}
    reason = verdict.reason if isinstance(verdict, Unparsed) else None
    row |= {"gold": _gold(example.gold), **result, "unparsed": reason, "reply": judgement.reply}
    # A user's label may have the name of a column, which wins.
    return {**row, **example.labels, **row}


def _gold(gold: Gold) -> float | bool | None:
    if isinstance(gold, RatingGold):
        return gold.mean
    if isinstance(gold, PreferenceGold):
        return gold.p_first
    return gold.correct if isinstance(gold, OptionGold) else None


def _plot(runs: Sequence[OpenRun], title: str) -> Plot:
    figures = {figure.title.lower(): figure for figure in reversed(figures_of(runs))}
    if not figures:
        raise ConfigError(
            f"expected at least two verdicts that could be read, got none to plot in "
            f"{' and '.join(run.title for run in runs)}; `to_df()` shows the replies"
        )
    key = title.lower() or list(figures)[-1]
    if key not in figures:
        raise UnknownNameError("plot", title, list(figures))
    figure = figures[key]
    return Plot(figure.title, figure.caption, figure.svg)


def _number_text(numbers: Mapping[str, Number], key: str) -> str:
    value, ends = number_of(numbers, key), interval_of(numbers, key)
    if value is None:
        return str(numbers[key])
    return f"{value:.3f}" + ("" if ends is None else " [{:.3f}, {:.3f}]".format(*ends))
