"""Rubrics extracted from a judge's replies, and how specific they are to their instruction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np

from videojudge_bench import goldsets
from videojudge_bench._util.hashing import content_hash
from videojudge_bench.analysis.autoeval_video import is_autoeval, read_autoeval
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.items import Example, OptionGold, Pair, PreferenceGold, RatingGold
from videojudge_bench.leaderboard.importing import FoundRun
from videojudge_bench.metrics import Metric
from videojudge_bench.metrics.asked import asked
from videojudge_bench.metrics.bootstrap import Floats, Ints, Resampling
from videojudge_bench.metrics.card import SHARES, measure_means
from videojudge_bench.prompts.rubric_book import Group, RubricBook, RubricRow

Against = Literal["responses", "instruction"]

ONE_FOR_ALL = (
    "5: says everything that was asked for, and all of it is right. 4: right but for a detail. "
    "3: half of it is right or something that matters is missing. 2: most of it is wrong. "
    "1: wrong, or about something else."
)
"""A rubric that fits any instruction, beside which those for one instruction are measured."""

_RUBRIC = re.compile(
    r"<\s?rubric\s?>((?:(?!<\s?rubric\s?>).)*?)<\s?\\?/\s?rubric\s?>", re.IGNORECASE | re.DOTALL
)
_DECIMALS = 12  # similarities that differ beyond it differ by rounding errors


@dataclass(frozen=True)
class Extracted:
    """The rubrics that a judge wrote, and how many instructions have none."""

    rows: tuple[RubricRow, ...]
    n_without: int


@dataclass(frozen=True)
class Specificity:
    """Accuracy with which rubrics find the instruction that they were written for.

    Attributes:
        accuracy: share that ranks its own instance first; n candidates that tie share the credit.
        mrr: mean reciprocal rank, over all orders of candidates that tie.
        among: candidates of each rubric: its own instance and those of `among - 1` other videos.
        n: rubrics, about `n_videos` videos.
        n_tied: rubrics that are as similar to another candidate as to their own.
        n_unknown: rubrics about instructions that the set does not have, left out.
    """

    accuracy: Metric
    mrr: Metric
    among: int
    n: int
    n_videos: int
    n_tied: int
    n_unknown: int

    def rows(self, rubrics: str) -> list[dict[str, str | float]]:
        """Return a row for each measure of these rubrics, beside what chance gives."""
        accuracy = {**self.accuracy.cells(), "chance": self.chance_accuracy}
        rank = {**self.mrr.cells(), "chance": self.chance_mrr}
        return [
            {"rubrics": rubrics, "specificity": "accuracy at 1", **accuracy},
            {"rubrics": rubrics, "specificity": "mean reciprocal rank", **rank},
        ]

    def notes(self, asked: int) -> list[str]:
        """Return what to know of the numbers, where `asked` candidates were asked for."""
        notes = [f"{self.n} rubrics on {self.n_videos} videos, each among {self.among}"]
        if self.among < asked:
            notes.append(f"among {self.among}, not {asked}: the set has no more videos")
        if self.n_tied:
            notes.append(f"{self.n_tied} rubrics tie with another candidate; ties share the credit")
        if self.n_unknown:
            notes.append(f"{self.n_unknown} rubrics left out: the set lacks their instructions")
        return notes

    @property
    def chance_accuracy(self) -> float:
        """Accuracy of a rubric that is not about its instance: 1/n."""
        return 1 / self.among

    @property
    def chance_mrr(self) -> float:
        """The same of the mean reciprocal rank: (1 + 1/2 + … + 1/n) / n."""
        return _mean_reciprocal(1, self.among)


def extract(run: FoundRun) -> Extracted:
    """Return the rubric of each instruction: that of its first response, by id, that has one.

    Raises ConfigError where no reply has one.
    """
    gold_set = goldsets.load(run.gold_set, run.data)
    written: dict[Group, str] = {}
    for example, _ in asked(gold_set, run.judgements).answers:
        group = example.item.group
        if not written.get(group):
            written[group] = rubric_in(run.judgements[example.item.id].reply)
    rows = [
        RubricRow(video_id=video_id, instruction=instruction, rubric=rubric)
        for (video_id, instruction), rubric in sorted(written.items())
        if rubric
    ]
    if not rows:
        raise ConfigError(
            f"none of the {len(run.judgements)} replies of {run.name} on {run.gold_set} holds a "
            f"complete <rubric> block (its option rubric: {run.judge.get('rubric', 'none')}); "
            "run a judge with rubric=write"
        )
    return Extracted(tuple(rows), len(written) - len(rows))


def rubric_in(reply: str) -> str:
    """Return the last complete rubric in a reply as it was written, empty if there is none.

    Halves of characters, which a file cannot hold, become question marks.
    """
    text = reply.encode("utf-8", "replace").decode()
    blocks = [block.strip() for block in _RUBRIC.findall(text)]
    return next((block for block in reversed(blocks) if block), "")


def compare(
    files: Sequence[Path],
    gold_set: str | None,
    *,
    against: Against,
    among: int,
    resampling: Resampling,
) -> tuple[str, dict[str, Specificity]]:
    """Return what stands for an instance, and how specific each file and one for all are.

    Without a gold set, one of the files is AutoEval-Video's, whose descriptions are the instances.

    Raises:
        ConfigError: neither is given, or as `specificity`.
        DataError: a file is malformed.
    """
    if not files:
        raise ConfigError("expected a file of rubrics, got none")
    people = {path: read_autoeval(path) for path in files if is_autoeval(path)}
    described = next((each.descriptions for each in people.values()), None)
    if gold_set is not None:
        instances = goldsets.load(gold_set)
        texts = instances_of(instances, against)
        about = f"{instances.info.task} ({instances.info.data}); instances by {against}"
    elif described is not None:
        texts, about = described, "AutoEval-Video; instances by descriptions of people"
        if against == "instruction":
            texts, about = {g: g[1] for g in described}, "AutoEval-Video; instances by instruction"
    else:
        raise ConfigError("expected --gold-set NAME, or the file of AutoEval-Video, got neither")
    rubrics: dict[str, Mapping[Group, str]] = {
        str(path): people[path].rubrics if path in people else RubricBook(path).rubrics
        for path in files
    }
    rubrics["one for all"] = dict.fromkeys(texts, ONE_FOR_ALL)
    return about, {
        name: specificity(written, texts, among=among, resampling=resampling)
        for name, written in rubrics.items()
    }


def specificity(
    rubrics: Mapping[Group, str], texts: Mapping[Group, str], *, among: int, resampling: Resampling
) -> Specificity:
    """Return how well each rubric retrieves its own instance among those of other videos.

    An instance is a video with an instruction, represented by a text. Candidates are ranked by
    their similarity to the rubric, the cosine of TF-IDF vectors fitted on the instances. The other
    videos are drawn for each rubric by a hash of its instance, and of each one instance.

    Args:
        rubrics: by video and instruction.
        texts: what represents each instance, as `instances_of` a gold set.
        among: candidates; the number of videos where the set has fewer.
        resampling: the seed is also that of the draw.

    Raises:
        ConfigError: a seed below 0, fewer than 2 candidates or videos, texts without words, or no
            rubric about an instruction of this set.
    """
    known = {group: rubric for group, rubric in rubrics.items() if group in texts}
    if not known:
        raise ConfigError(
            f"none of the {len(rubrics)} rubrics is about one of these instructions; give the set "
            "that they were written for by --gold-set"
        )
    if among < 2:
        raise ConfigError(f"among={among}: a rubric's own instance and others are at least 2")
    if resampling.seed < 0:
        raise ConfigError(f"seed={resampling.seed}: a seed is a number from 0 up")
    draw = _Draw.of(list(texts), among, resampling.seed)
    similar = _similarities(texts, list(known.values()))
    ranks = []
    for group, row in zip(known, similar, strict=True):
        own, *others = row[draw.candidates(group)]
        ranks.append((1 + sum(other > own for other in others), 1 + others.count(own)))
    values = {
        "accuracy": np.array([float(rank == 1) / tied for rank, tied in ranks]),
        "mrr": np.array([_mean_reciprocal(rank, tied) for rank, tied in ranks]),
    }
    videos = np.array([video_id for video_id, _ in known])
    # A mean reciprocal rank of 1 is an accuracy of 1, so its interval is that of the share.
    shares = SHARES | {"mrr"}
    measured = measure_means(values, videos, lambda _: "", resampling, shares=shares)
    return Specificity(
        accuracy=measured["accuracy"],
        mrr=measured["mrr"],
        among=draw.n,
        n=len(known),
        n_videos=np.unique(videos).size,
        n_tied=sum(tied > 1 for _, tied in ranks),
        n_unknown=len(rubrics) - len(known),
    )


def _mean_reciprocal(rank: int, tied: int) -> float:
    """The mean of 1 / rank over all orders of the `tied` candidates that begin at `rank`."""
    return sum(1 / place for place in range(rank, rank + tied)) / tied


def instances_of(gold_set: GoldSet, against: Against) -> dict[Group, str]:
    """Return what represents each video and instruction of a gold set.

    `responses`: its references or, without any, the best responses by gold; `instruction`: the
    instruction alone, which the writer of a rubric has seen.
    """
    examples: dict[Group, list[Example]] = {}
    for example in gold_set.examples:
        examples.setdefault(example.item.group, []).append(example)
    if against == "instruction":
        return {group: group[1] for group in sorted(examples)}
    return {group: "\n".join(_known_answers(examples[group])) for group in sorted(examples)}


def _known_answers(examples: Sequence[Example]) -> list[str]:
    references = {text for example in examples for text in example.item.references}
    if references:
        return sorted(references)
    worth: dict[str, float] = {}
    for response, value in (valued for example in examples for valued in _valued(example)):
        worth[response] = max(value, worth.get(response, value))
    return sorted(response for response, value in worth.items() if value == max(worth.values()))


def _valued(example: Example) -> Iterator[tuple[str, float]]:
    """Yield the responses of an example with their gold value; higher is better."""
    item, gold = example.item, example.gold
    if isinstance(item, Pair):
        p_first = cast(PreferenceGold, gold).p_first
        yield from ((item.first, p_first), (item.second, 1 - p_first))
    elif isinstance(gold, OptionGold):
        yield item.response, float(gold.correct)
    else:
        yield item.response, cast(RatingGold, gold).mean


def _similarities(texts: Mapping[Group, str], rubrics: Sequence[str]) -> Iterator[Floats]:
    """For each rubric its similarity to every instance, shape (instances,), 0..1."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer()
    try:
        instances = vectorizer.fit_transform(texts.values())
    except ValueError as error:
        raise ConfigError(
            f"no words to compare in the texts of {len(texts)} instances ({error}); try "
            "--against instruction, or responses"
        ) from error
    for rubric in vectorizer.transform(rubrics):
        yield np.round((instances @ rubric.T).toarray()[:, 0], _DECIMALS)


@dataclass(frozen=True)
class _Draw:
    """Draws the instances among which a rubric is ranked; `place` is that among all instances."""

    place: Mapping[Group, int]
    by_video: Mapping[str, Sequence[int]]
    n: int
    seed: int

    @classmethod
    def of(cls, groups: Sequence[Group], among: int, seed: int) -> _Draw:
        by_video: dict[str, list[int]] = {}
        for place, (video_id, _) in enumerate(groups):
            by_video.setdefault(video_id, []).append(place)
        if len(by_video) < 2:
            raise ConfigError("the set has one video, and a rubric is sought among those of others")
        places = {group: place for place, group in enumerate(groups)}
        return cls(places, by_video, min(among, len(by_video)), seed)

    def candidates(self, group: Group) -> Ints:
        """Return the places of its own instance, which comes first, and of the others drawn.

        One instance a video, so that every rubric has as many candidates.
        """
        rng = np.random.default_rng(int(content_hash([self.seed, *group])[:16], 16))
        others = [video_id for video_id in self.by_video if video_id != group[0]]
        drawn = rng.choice(len(others), size=self.n - 1, replace=False)
        places = [int(rng.choice(self.by_video[others[k]])) for k in drawn]
        return np.array([self.place[group], *places], dtype=np.int64)
