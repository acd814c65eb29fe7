"""Answers with their verdicts and the labels so far: picks from them, and the lines of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from videojudge_bench._util.hashing import Json
from videojudge_bench.answers.human import (
    ANNOTATORS,
    PROBABILITY,
    ROUND,
    HumanRatings,
    Pick,
    read_human,
)
from videojudge_bench.answers.reading import MOST_LINE_BYTES, Answers, Unit, read_answers, units_of
from videojudge_bench.errors import ConfigError, DataError, UnknownNameError
from videojudge_bench.goldsets import jsonl, schema
from videojudge_bench.labelling.picks import Pool, draw, predicted_sizes
from videojudge_bench.metrics.bootstrap import codes
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

NO_LINE = "no line in the file of verdicts"


class VerdictRow(BaseModel):
    """One line of the file that `videojudge judge` wrote; other fields are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    id: schema.Text
    score: FiniteFloat | None
    unparsed: str = ""
    probabilities: dict[str, FiniteFloat] = Field(default_factory=dict)


class Picked(NamedTuple):
    """An answer that people are asked to rate."""

    unit: Unit
    pick: Pick


@dataclass(frozen=True)
class Session:
    """Single answers, a judgement of each, and the labels so far.

    Attributes:
        n_strange: verdicts about no answer here.
    """

    answers: Answers
    units: tuple[Unit, ...]
    judgements: Mapping[str, Judgement]
    human: HumanRatings
    n_strange: int = 0

    @classmethod
    def of(
        cls, source: Path, verdicts: Path, labels: Sequence[Path], scale: RatingScale
    ) -> Session:
        """Return the session of files; of two labels by one annotator the last one counts.

        Raises:
            ConfigError: a file does not exist, or the answers are pairs.
            DataError: with file, line and field: a row is invalid, or none is about an answer.
        """
        answers = read_answers(source)
        if answers.rows[0].is_pair:
            raise ConfigError(f"{source}: expected single answers, got pairs, which have no rating")
        units = units_of(answers, None)
        if not verdicts.is_file():
            raise ConfigError(f"no file {str(verdicts)!r}; videojudge judge {source} writes it")
        judgements, n_strange = _judgements(verdicts, units)
        human = HumanRatings({}, 0)
        for path in labels:
            human = read_human(path, units, scale, earlier=human)
        return cls(answers, units, judgements, human, n_strange)

    @property
    def n_without_score(self) -> int:
        """Answers without a score."""
        return sum(isinstance(each.verdict, Unparsed) for each in self.judgements.values())

    def pool(self) -> Pool:
        """Return the answers as columns."""
        judged = [self.judgements[unit.id] for unit in self.units]
        scores = [j.verdict.value if isinstance(j.verdict, Rating) else np.nan for j in judged]
        groups = ["\x1f".join(unit.item.group) for unit in self.units]
        return Pool(
            scores=np.array(scores),
            spread=np.array([_spread(each.probabilities) for each in judged]),
            human=np.array([self.human.means.get(unit.id, np.nan) for unit in self.units]),
            systems=codes(np.array([unit.systems[0] for unit in self.units])),
            videos=codes(np.array([unit.item.video_id for unit in self.units])),
            questions=codes(np.array(groups)),
        )

    def picked(
        self, n: int, *, seed: int, equal: bool = False, systems: Sequence[str] = ()
    ) -> list[Picked]:
        """Return `n` answers without a label, in a random order of videos.

        Args:
            n: number of answers; all that are left where they are fewer.
            seed: of the draws; the same labels and seed give the same answers.
            equal: draw all with the same probability.
            systems: whose answers to draw from; empty: all.

        Raises:
            ConfigError: n below 1, no such system, or every answer has a label.
        """
        if n < 1:
            raise ConfigError(f"--labels {n}: expected at least 1")
        for name in systems:
            if name not in self.answers.systems:
                raise UnknownNameError("system", name, self.answers.systems)
        pool = self.pool()
        sizes = np.ones(len(self.units)) if equal else predicted_sizes(pool)
        asked = [not systems or unit.systems[0] in systems for unit in self.units]
        mine = np.flatnonzero(asked)
        pool = Pool(**{field.name: getattr(pool, field.name)[mine] for field in fields(pool)})
        if not np.isnan(pool.human).any():
            raise ConfigError("every answer has a label; there is nothing more to pick")
        number = 1 + max((pick.round for pick in self.human.picks.values()), default=0)
        rng = np.random.default_rng([seed, number])
        places, probabilities = draw(pool, sizes[mine], n, rng)
        videos = rng.random(len(self.units))[pool.videos[places]]
        order = places[np.lexsort((rng.random(len(places)), videos))]
        return [
            Picked(self.units[mine[place]], Pick(number, float(probabilities[place])))
            for place in order.tolist()
        ]

    def label_lines(self, human: HumanRatings) -> list[dict[str, Json]]:
        """Return a line for each answer with a label, as `data add` and `--gold-subset` read it."""
        lines = []
        for unit, row in zip(self.units, self.answers.rows, strict=True):
            if unit.id not in human.means:
                continue
            given = human.ratings.get(unit.id)
            labels = dict(row.labels)
            if given is not None:
                labels[ANNOTATORS] = ", ".join(sorted(given))
            labels |= pick_labels(human.picks.get(unit.id))
            ratings = [given[n] for n in sorted(given)] if given else [human.means[unit.id]]
            content = row.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
            lines.append({**content, "id": unit.id, "ratings": ratings, "labels": labels})
        return lines

    def with_human(self, human: HumanRatings) -> Session:
        """Return the session with other labels."""
        return replace(self, human=human)


def pick_labels(pick: Pick | None) -> dict[str, str]:
    """Return a pick as labels of a row."""
    return {} if pick is None else {ROUND: str(pick.round), PROBABILITY: f"{pick.probability:.12g}"}


def _judgements(path: Path, units: Sequence[Unit]) -> tuple[dict[str, Judgement], int]:
    """Return a judgement for each unit, and the number of lines that are about none of them."""
    judgements = {unit.id: Judgement(unit.id, Unparsed(NO_LINE)) for unit in units}
    n_matched = n_strange = 0
    for _, row in jsonl.numbered_rows(path, VerdictRow, unique=("id",), most_bytes=MOST_LINE_BYTES):
        if row.id not in judgements:
            n_strange += 1
            continue
        n_matched += 1
        verdict = Unparsed(row.unparsed) if row.score is None else Rating(row.score)
        judgements[row.id] = Judgement(row.id, verdict, probabilities=row.probabilities)
    if not n_matched:
        problem = (
            f"none of its {n_strange} verdicts is about one of the {len(units)} answers; expected "
            "the file that `videojudge judge` wrote of these answers"
        )
        raise DataError(problem, path=path)
    return judgements, n_strange


def _spread(probabilities: Mapping[str, float]) -> float:
    """Return the standard deviation of ratings with these probabilities; NaN without numbers."""
    try:
        values = np.array([float(name) for name in probabilities])
    except ValueError:  # probabilities of labels such as yes and no
        return np.nan
    weights = np.array([*probabilities.values()])
    if not weights.sum() > 0:
        return np.nan
    mean = np.average(values, weights=weights)
    return float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
