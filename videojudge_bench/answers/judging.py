"""Verdicts of a judge on answers, made by the runner and kept in its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench import registry
from videojudge_bench._util.charts import Bar, Plot, intervals
from videojudge_bench._util.hashing import Json
from videojudge_bench._util.html import table_html
from videojudge_bench._util.options import parse_judge
from videojudge_bench.answers.human import HumanRatings, read_human
from videojudge_bench.answers.pair_summary import PairSummary, summarise_pairs
from videojudge_bench.answers.reading import (
    Answers,
    Source,
    Unit,
    gold_set_of,
    read_answers,
    units_of,
)
from videojudge_bench.answers.summary import Summary, summarise
from videojudge_bench.answers.tables import Sheet, sheets_of
from videojudge_bench.answers.verdict_lines import line_of, verdict_of
from videojudge_bench.errors import ConfigError
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Unparsed, Usage

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class JudgingOptions:
    """Options for judging answers.

    Attributes:
        versus: a system that all others are compared with, or `all`; None rates single answers.
        limit: the first so many answers or pairs.
        human: a file with human ratings of some of the answers.
        human_scale: of these ratings; by default the judge's, or 1-5 for a judge without one.
        run: what the judge is shown and where the journal is; by default every reference that an
            answer has is shown.
    """

    versus: str | None = None
    limit: int | None = None
    human: Path | None = None
    human_scale: RatingScale | None = None
    run: RunOptions = field(default_factory=RunOptions)


@dataclass(frozen=True, repr=False)
class Judged:
    """Answers with their verdicts; `print` it for the tables."""

    judge: str
    answers: str
    scale: str
    units: tuple[Unit, ...]
    judgements: Mapping[str, Judgement]
    human: HumanRatings | None = None

    @property
    def lines(self) -> list[dict[str, Json]]:
        """One object per answer or pair that is judged, in the order of the answers."""
        lines = (line_of(unit, self.judgements) for unit in self.units)
        return [line for line in lines if line is not None]

    @property
    def usage(self) -> Usage:
        """Usage of all judgements, including those from the journal."""
        return sum((judgement.usage for judgement in self.judgements.values()), Usage())

    @property
    def reasons(self) -> dict[str, int]:
        """Reasons that units have no verdict, with counts, the most frequent first."""
        verdicts = (verdict_of(unit, self.judgements) for unit in self.units)
        reasons = Counter(v.reason.partition(":")[0] for v in verdicts if isinstance(v, Unparsed))
        return dict(reasons.most_common())

    @property
    def n_parsed(self) -> int:
        """Units with a verdict."""
        verdicts = (verdict_of(unit, self.judgements) for unit in self.units)
        return sum(v is not None and not isinstance(v, Unparsed) for v in verdicts)

    def summary(self) -> Summary | PairSummary:
        """Return the numbers of each system, or of each two against each other."""
        if len(self.units[0].systems) == 2:
            return summarise_pairs(self.units, self.judgements)
        return summarise(self.units, self.judgements, self.human)

    def sheets(self) -> list[Sheet]:
        """Return the tables of the results."""
        return sheets_of(self.summary(), judge=self.judge, answers=self.answers, scale=self.scale)

    def to_df(self) -> pd.DataFrame:
        """Return the lines as a table, one row per answer or pair; what has no verdict is NaN."""
        import pandas as pd

        return pd.DataFrame(self.lines)

    def plot(self) -> Plot:
        """Return each system's mean score, or win rate over all its pairs, with its interval."""
        summary = self.summary()
        if isinstance(summary, Summary):
            label, caption = "mean score", f"Scores of {self.judge}. Bars: 95 %, by video."
            metrics = {row.system or "(not named)": row.score for row in summary.systems}
        else:
            label, caption = "win rate", f"Verdicts of {self.judge}. Bars: 95 %, by video."
            metrics = dict(summary.overall) or {row.a: row.win_rate for row in summary.duels}
        bars = [
            Bar(name, metric.value, metric.low, metric.high, "judge")
            for name, metric in metrics.items()
            if metric.value is not None
        ]
        if not bars:
            raise ConfigError("expected at least one verdict, got none; see `reasons`")
        return Plot(label, caption, intervals(bars, label))

    def __repr__(self) -> str:
        units = f"{self.n_parsed:,} of {len(self.units):,}"
        return f"<{type(self).__name__}: {self.judge} on {self.answers}; {units} with a verdict>"

    def _repr_html_(self) -> str:
        return "".join(table_html(sheet.title, sheet.head, sheet.rows) for sheet in self.sheets())

    def __str__(self) -> str:
        return "\n\n".join(str(sheet) for sheet in self.sheets())


class Judging:
    """A judge and answers, checked and ready.

    Args:
        source: of the answers, or what was read from one.
        judge: `NAME[,option=value…]`, or the judge.
        options: of judging.
        units: of the answers, where `options` does not say how they are paired.

    Raises:
        UnknownNameError: no such judge, or no such system.
        ConfigError: options that cannot work, or a judge that does not suit the answers.
        DataError: with file, line and field: a row is invalid.
    """

    def __init__(
        self,
        source: Source | Answers,
        judge: str | BuiltJudge,
        options: JudgingOptions | None = None,
        units: Sequence[Unit] | None = None,
    ) -> None:
        options = options or JudgingOptions()
        if options.limit is not None and options.limit < 1:
            raise ConfigError(f"--limit {options.limit}: at least 1 answer is needed")
        self.answers = source if isinstance(source, Answers) else read_answers(source)
        everything = tuple(units or units_of(self.answers, options.versus))
        self.units = everything[: options.limit]
        run = options.run
        run_options = replace(
            run,
            references="all" if run.references is None else run.references,
            videos=run.videos or self.answers.folder,
            scope="" if self.answers.path is None else str(self.answers.path.resolve()),
        )
        built = build(judge) if isinstance(judge, str) else judge
        scale = options.human_scale or built.judge.scale or RatingScale()
        self.human = None if options.human is None else read_human(options.human, everything, scale)
        self.run = Run(built, gold_set_of(self.answers, everything), run_options)
        if self.run.refusal is not None:
            raise ConfigError(self.run.refusal)

    @property
    def item_ids(self) -> list[str]:
        """Ids of the items that the judge is asked, the journal aside; a pair in both orders."""
        return [item_id for unit in self.units for item_id in unit.item_ids]

    @property
    def videos_missing(self) -> list[str]:
        """The videos of the units of which there is no file, in the order of the answers."""
        known = dict.fromkeys(unit.item.video_id for unit in self.units)
        return [video_id for video_id in known if video_id not in self.run.view.videos]

    def check_videos(self) -> None:
        """Raise ConfigError where a judge that requires video has the file of no video."""
        missing = self.videos_missing
        videos = {unit.item.video_id for unit in self.units}
        if "video" not in self.run.built.judge.requires or len(missing) < len(videos):
            return
        where = f"in {self.run.options.videos}" if self.run.options.videos else "(no --videos DIR)"
        raise ConfigError(
            f"judge {self.run.built.name} requires video, and no file of any of the {len(videos)} "
            f"videos was found {where}; the first would be called {missing[0]}.mp4, or another "
            "extension. Give --videos DIR, or name the files in the field `video`"
        )

    def judge(self) -> Judged:
        """Judge what the journal does not have, and return everything.

        Raises:
            ConfigError: no video was found, or the judge finds that its options cannot work.
            JudgeFailedError: the judge failed on every item.
            JournalBusyError: another process judges the same answers.
        """
        self.check_videos()
        ids = self.item_ids
        return self._judged(self.run.judge(ids) if ids else {})

    def so_far(self) -> Judged:
        """Return the judgements that the journal has of a run that was stopped."""
        return self._judged(self.run.so_far(self.item_ids))

    def close(self) -> None:
        """Give back what the judge holds."""
        self.run.built.judge.close()

    def _judged(self, judgements: Mapping[str, Judgement]) -> Judged:
        built = self.run.built
        scale = "" if built.judge.scale is None else str(built.judge.scale)
        return Judged(built.name, self.answers.name, scale, self.units, judgements, self.human)


def build(judge: str) -> BuiltJudge:
    """Return the judge of a text such as `openai,model=…`; raises as `registry.build`."""
    name, options = parse_judge(judge)
    return registry.build(name, options)
