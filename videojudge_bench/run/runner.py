"""Examples and a judge in, judgements out: the only caller of a judge.

It shows each item what the run may show (references, the video file), leaves out what the journal
already has, keeps the items of a group together, and turns whatever a judge does wrong with one
item into a recorded failure of that item.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Union

from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, JudgeFailedError
from videojudge_bench.goldsets.base import GoldSet, examples_hash
from videojudge_bench.goldsets.view import References, view_of
from videojudge_bench.items import Item, Pair, RatingGold, part_of
from videojudge_bench.judge import Judge
from videojudge_bench.metrics import METRIC_VERSION
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.journal import Journal, read_journal
from videojudge_bench.run.progress import progress_line
from videojudge_bench.scale import RatingScale
from videojudge_bench.signature import Signature, short_hash
from videojudge_bench.verdicts import (
    MISSING_VIDEO,
    Judgement,
    Preference,
    Rating,
    Unparsed,
    Verdict,
)
from videojudge_bench.version import __version__

logger = logging.getLogger(__name__)

FAILED = "judge failed"

AnyItem = Union[Item, Pair]


@dataclass(frozen=True)
class RunOptions:
    """What a run may show and where it keeps its journal.

    Attributes:
        references: how many references an item shows, or `all`; None shows all to a judge that
            requires references and none to any other.
        videos: folder with the video files, `<video id>.<extension>`.
        journal: folder for journals; None is the user's cache folder.
        rank: of this process among several.
        descriptions: a file of descriptions of the videos, in place of the gold set's own.
    """

    references: References | None = None
    videos: Path | None = None
    journal: Path | None = None
    rank: int = 0
    descriptions: Path | None = None


class Run:
    """One judge on one gold set.

    Attributes:
        refusal: why the judge does not suit the set at all (`not applicable`), or None.
        view: the items as the judge sees them.
        folder: the journal of this run.

    Raises:
        ConfigError: `references` is neither a number from 0 up nor `all`; the folder of videos
            does not exist.
    """

    def __init__(
        self, built: BuiltJudge, gold_set: GoldSet, options: RunOptions | None = None
    ) -> None:
        self.built, self.gold_set = built, gold_set
        self.options = options or RunOptions()
        references = self.options.references
        if references is None:
            references = "all" if "references" in built.judge.requires else 0
        self.view = view_of(gold_set, references, self.options.videos, self.options.descriptions)
        self._told = self._told_by_files()
        self.refusal = self._refusal()
        root = self.options.journal or default_journal_root()
        judge_name = built.name.replace(":", ".").replace("/", ".")
        self.folder = root / gold_set.info.name / f"{judge_name}-{short_hash(self._identity())}"

    @property
    def part(self) -> Literal["all", "test"]:
        """The part that numbers are reported on."""
        return "test" if self.built.judge.fits_on_dev and self.gold_set.info.has_dev else "all"

    @property
    def on_scale(self) -> bool:
        """Whether the judge's ratings are on the gold set's scale."""
        return self._scale == self.gold_set.info.scale

    @property
    def _scale(self) -> RatingScale | None:
        judge, info = self.built.judge, self.gold_set.info
        return info.scale if judge.takes_scale else judge.scale

    def signature(self, item_ids: Sequence[str]) -> Signature:
        """Return how a number made from these items was made."""
        shown = self.gold_set.by_id
        asked = [shown[i] for i in item_ids]
        if self.part == "test":
            asked = [e for e in asked if part_of(e.item.video_id) == "test"]
        measurement = measurement_half(
            self.gold_set,
            references=self.view.references,
            part=self.part,
            items=examples_hash(asked)[:12],
        )
        return Signature(measurement, self._judge_half)

    @property
    def _judge_half(self) -> dict[str, Scalar]:
        """How the judgements were made: the judge, and what it was told by the user's files."""
        return {**self.built.signature(), **self._told}

    def _told_by_files(self) -> dict[str, Scalar]:
        told: dict[str, Scalar] = {}
        if self.view.descriptions:
            told["descriptions"] = f"sha256:{content_hash(dict(self.view.descriptions))[:12]}"
        if self.built.judge.fits_on_videos:
            known = {example.item.video_id for example in self.gold_set.examples}
            there = sorted(known & self.view.videos.keys())
            told["videos"] = f"{len(there)}, sha256:{content_hash(there)[:12]}"
        return told

    def judge(self, item_ids: Sequence[str]) -> dict[str, Judgement]:
        """Return a judgement for each item, from the journal where it has one.

        Raises:
            ConfigError: the judge does not suit the set, or finds that its options cannot work.
            JudgeFailedError: the judge failed on every item it was asked about.
            JournalBusyError: another process writes the same journal.
        """
        if self.refusal is not None:
            raise ConfigError(f"not applicable: {self.refusal}")
        if self.built.judge.takes_scale:
            self.built.judge.scale = self._scale
        items = {item_id: self.view.item(item_id) for item_id in item_ids}
        keys = {item_id: self._key(item) for item_id, item in items.items()}
        with Journal(self.folder, rank=self.options.rank) as journal:
            journal.write_run(self.facts())
            kept = read_journal(self.folder)
            answers = {i: kept[k] for i, k in keys.items() if k in kept and not kept[k].failed}
            unseen = self._without_needs(items)
            answers.update(unseen)
            for item_id, judgement in unseen.items():
                journal.append(keys[item_id], judgement)
            waiting = [item for item_id, item in items.items() if item_id not in answers]
            if waiting:
                self._fit()
            try:
                for judgement in self._ask(_grouped(waiting), done=len(answers)):
                    answers[judgement.item_id] = judgement
                    journal.append(keys[judgement.item_id], judgement)
            except KeyboardInterrupt:
                logger.warning(
                    "interrupted: %d of %d judgements are in %s; the same command goes on there",
                    len(answers) - len(unseen), len(items), self.folder,
                )  # fmt: skip
                raise
        self._complain_if_all_failed([answers[i] for i in items if i not in unseen])
        return {item_id: answers[item_id] for item_id in items}

    def waiting(self, item_ids: Sequence[str]) -> list[str]:
        """Return the items that `judge` would ask the judge about: those not in the journal."""
        items = {item_id: self.view.item(item_id) for item_id in item_ids}
        kept = {key for key, judged in read_journal(self.folder).items() if not judged.failed}
        settled = self._without_needs(items)
        return [i for i, item in items.items() if i not in settled and self._key(item) not in kept]

    def facts(self) -> dict[str, Json]:
        """Return what the journal says of the run: enough to score it later."""
        return {
            "videojudge_bench": __version__,
            "gold_set": self.gold_set.info.name,
            "gold_set_version": self.gold_set.info.version,
            "gold_set_hash": self.gold_set.content_hash,
            "references": self.view.references,
            "part": self.part,
            "on_scale": self.on_scale,
            "judge": self.built.name,
            "signature": dict(self._judge_half),
        }

    def _identity(self) -> dict[str, Scalar]:
        """What the judgements depend on: a judge may have been fitted on the whole set."""
        return {
            **self._judge_half,
            "set": self.gold_set.info.name,
            "set_hash": self.gold_set.content_hash,
            "refs": self.view.references,
            **({"scale": str(self._scale)} if self.built.judge.takes_scale else {}),
        }

    def _key(self, item: AnyItem) -> str:
        return content_hash({"item": item.content(), "video": item.video is not None})[:32]

    def _refusal(self) -> str | None:
        judge, info = self.built.judge, self.gold_set.info
        wanted = "prefer" if info.shape == "pairs" else "rate"
        if wanted not in judge.abilities:
            return f"judge {self.built.name} cannot {wanted}; {info.task} consists of {info.shape}"
        lacks = self._lacks_references() or self._lacks_descriptions()
        return f"judge {self.built.name} requires {lacks}" if lacks else None

    def _lacks_references(self) -> str:
        if "references" not in self.built.judge.requires or self.view.references:
            return ""
        if self.gold_set.max_references:
            return "references, and references=0 shows none"
        return f"references; {self.gold_set.info.task} has none"

    def _lacks_descriptions(self) -> str:
        if "description" not in self.built.judge.requires or self.view.descriptions:
            return ""
        if any(example.item.description for example in self.gold_set.examples):
            return ""
        if self.options.descriptions is not None:
            file = self.options.descriptions.name
            return f"descriptions of the videos; {file} has none of {self.gold_set.info.task}"
        return (
            f"descriptions of the videos; {self.gold_set.info.task} has none. Write them with "
            "`videojudge describe` and give descriptions=FILE"
        )

    def _without_needs(self, items: Mapping[str, AnyItem]) -> dict[str, Judgement]:
        """Judgements of the items that lack what the judge requires; asked again next time."""
        requires = self.built.judge.requires
        where = f"in {self.options.videos}" if self.options.videos else "(give videos=DIR)"
        found: dict[str, Judgement] = {}
        for item_id, item in items.items():
            reason = ""
            if "video" in requires and item.video is None:
                reason = f"{MISSING_VIDEO}: no file {item.video_id}.* {where}"
            elif "description" in requires and not item.description:
                reason = f"description missing: none of video {item.video_id}"
            if reason:
                found[item_id] = Judgement(item_id, Unparsed(reason), failed=True)
        return found

    def _fit(self) -> None:
        judge = self.built.judge
        if type(judge).fit is not Judge.fit:  # do not build 18,000 items for nobody
            judge.fit([self.view.item(item_id) for item_id in self.gold_set.by_id])
        if judge.fits_on_dev:
            judge.fit_dev(self._dev())

    def _dev(self) -> list[tuple[Item, float]]:
        dev: list[tuple[Item, float]] = []
        for example in self.gold_set.examples:
            item = self.view.item(example.item.id)
            if (
                isinstance(item, Item)
                and isinstance(example.gold, RatingGold)
                and part_of(item.video_id) == "dev"
            ):
                dev.append((item, example.gold.mean))
        return dev if self.gold_set.info.has_dev else []

    def _ask(self, items: Sequence[AnyItem], *, done: int) -> Iterator[Judgement]:
        title = f"{self.built.name} on {self.gold_set.info.task}"
        with progress_line(title, total=done + len(items), done=done) as advance:
            for judgement in self._checked(items):
                parsed = not isinstance(judgement.verdict, Unparsed)
                advance(parsed=parsed, cost=judgement.usage.cost)
                yield judgement

    def _checked(self, items: Sequence[AnyItem]) -> Iterator[Judgement]:
        by_id = {item.id: item for item in items}
        for judgement in answers_of(self.built, items):
            yield self._sound(by_id[judgement.item_id], judgement)

    def _sound(self, item: AnyItem, judgement: Judgement) -> Judgement:
        """The judgement as the journal will give it back, or a failure; a reply is kept."""
        try:
            problem = self._problem(item, judgement.verdict)
            if problem is not None:
                verdict = Unparsed(f"{FAILED}: {problem}")
                judgement = replace(judgement, verdict=verdict, failed=True)
            return Judgement.from_json(judgement.to_json())
        except ValueError as error:
            return _failure(item.id, str(error))

    def _problem(self, item: AnyItem, verdict: Verdict) -> str | None:
        expected = Rating if isinstance(item, Item) else Preference
        if not isinstance(verdict, (expected, Unparsed)):
            return f"the judge returned {verdict!r}; it must return {expected.__name__} or Unparsed"
        scale = self.built.judge.scale
        if isinstance(verdict, Rating) and scale is not None and verdict.value not in scale:
            return f"the judge returned {verdict.value}, outside its scale {scale}"
        return None

    def _complain_if_all_failed(self, judgements: Sequence[Judgement]) -> None:
        if not judgements or not all(judgement.failed for judgement in judgements):
            return
        verdict = judgements[0].verdict
        reason = verdict.reason if isinstance(verdict, Unparsed) else str(verdict)
        raise JudgeFailedError(
            f"judge {self.built.name} failed on all {len(judgements)} items of "
            f"{self.gold_set.info.task}; the first: {reason}"
        )


def measurement_half(
    gold_set: GoldSet, *, references: int, part: str, items: str
) -> dict[str, Scalar]:
    """Return the half of a signature that must be equal for two rows to be compared."""
    info = gold_set.info
    return {
        "set": info.name,
        "v": info.version,
        "data": info.data,
        "part": part,
        "items": items,
        "refs": references,
        "metrics": METRIC_VERSION,
    }


def default_journal_root() -> Path:
    """Return the folder for journals under the user's cache folder (`XDG_CACHE_HOME` or ~)."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "videojudge_bench" / "journals"


def answers_of(built: BuiltJudge, items: Sequence[AnyItem]) -> Iterator[Judgement]:
    """Yield exactly one judgement per item: the item boundary.

    When the judge raises, the items that it had taken and not answered are asked for one by one,
    so that the failure is pinned to the item that caused it, and the rest of the stream goes on.
    """
    waiting = {item.id: item for item in items}
    while waiting:
        taken: list[AnyItem] = []
        error = yield from _stream(built, list(waiting.values()), taken, waiting)
        if error is None or not waiting:
            for item_id in waiting:
                yield _failure(item_id, "the judge gave no verdict")
            return
        begun = [item for item in taken if item.id in waiting]
        for item in begun or [next(iter(waiting.values()))]:
            alone = error
            if len(begun) != 1:
                alone = (yield from _stream(built, [item], [], waiting)) or error
            if waiting.pop(item.id, None) is not None:
                yield _failure(item.id, f"{type(alone).__name__}: {alone}")


def _stream(
    built: BuiltJudge, batch: Sequence[AnyItem], taken: list[AnyItem], waiting: dict[str, AnyItem]
) -> Generator[Judgement, None, Exception | None]:
    def feed() -> Iterator[AnyItem]:
        for item in batch:
            taken.append(item)
            yield item

    try:
        for judgement in built.judge.judge(feed()):
            if waiting.pop(judgement.item_id, None) is not None:
                yield judgement
    except ConfigError:
        raise  # the same for every item: no use in going on
    except Exception as error:  # the item boundary: it becomes a recorded failure
        logger.debug("judge %s raised", built.name, exc_info=True)
        return error
    return None


def _failure(item_id: str, reason: str) -> Judgement:
    return Judgement(item_id, Unparsed(f"{FAILED}: {reason}"), failed=True)


def _grouped(items: Sequence[AnyItem]) -> list[AnyItem]:
    """Items of one group one after another, groups in the order of their first item."""
    groups: dict[tuple[str, str], list[AnyItem]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    return [item for group in groups.values() for item in group]
