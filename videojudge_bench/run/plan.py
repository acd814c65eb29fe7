"""The plan of a run: the items as the judge sees them, their keys, and recorded judgements."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Union

from videojudge_bench._util.hashing import Json, content_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.goldsets.view import References, view_of
from videojudge_bench.items import Item, Pair
from videojudge_bench.metrics import Measurement
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.identity import JudgeIdentity, judgement_key, video_hash
from videojudge_bench.run.journal import Record, read_records
from videojudge_bench.scale import RatingScale
from videojudge_bench.signature import Signature, short_hash
from videojudge_bench.verdicts import MISSING_VIDEO, Judgement, Unparsed
from videojudge_bench.version import __version__

AnyItem = Union[Item, Pair]


@dataclass(frozen=True)
class RunOptions:
    """Content that a run may show, and the folder of its journal.

    Attributes:
        references: how many references an item shows, or `all`; None shows all to a judge that
            requires references and none to any other.
        videos: folder with the video files, `<video id>.<extension>`.
        journal: folder for journals; None is the user's cache folder.
        rank: of this process among several.
        descriptions: a file of descriptions of the videos, in place of the gold set's own.
        scope: what the journal belongs to, in place of the set as it is now: a file of answers that
            grows. A judge that learns from the whole set keeps to the set as it is now.
    """

    references: References | None = None
    videos: Union[str, Path, None] = None
    journal: Union[str, Path, None] = None
    rank: int = 0
    descriptions: Union[str, Path, None] = None
    scope: str = ""


class Plan:
    """One judge on one gold set, before anything is asked.

    Attributes:
        view: the items as the run may show them.
        refusal: why the judge does not suit the set at all (`not applicable`), or None.
        identity: what of the judge can change a verdict.
        folder: the journal.

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
        videos, descriptions, journal = (
            None if path is None else Path(path)
            for path in (self.options.videos, self.options.descriptions, self.options.journal)
        )
        self.view = view_of(gold_set, references, videos, descriptions)
        self.refusal = self._refusal()
        scale = self.scale if built.judge.takes_scale else None
        self.identity = JudgeIdentity.of(built, scale=scale, learned=self._learned())
        root = journal or default_journal_root()
        self.folder = root / gold_set.info.name / f"{self._judge_name}-{self._state_hash()}"

    @property
    def part(self) -> Literal["all", "test"]:
        """The part that numbers are reported on."""
        return "test" if self.built.judge.fits_on_dev and self.gold_set.info.has_dev else "all"

    @property
    def scale(self) -> RatingScale | None:
        """The scale that the judge rates on here; None when its numbers only rank."""
        judge, info = self.built.judge, self.gold_set.info
        return info.scale if judge.takes_scale else judge.scale

    def tell_scale(self) -> None:
        """Tell a judge that takes any scale the set's: a judge may be in several plans."""
        if self.built.judge.takes_scale:
            self.built.judge.scale = self.scale

    @property
    def on_scale(self) -> bool:
        """True if the judge's ratings are on the gold set's scale."""
        return self.scale == self.gold_set.info.scale

    @property
    def measurement(self) -> Measurement:
        """The measurement of the judgements."""
        return Measurement(self.gold_set, self.on_scale, self.part, self.view.references)

    def signature(self, item_ids: Sequence[str]) -> Signature:
        """Return how a number made from these items was made."""
        return Signature(self.measurement.signature(item_ids), self._judge_half())

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
            "signature": self._judge_half(),
        }

    def items(self, item_ids: Sequence[str]) -> dict[str, AnyItem]:
        """Return items by id, as the judge sees them; raises KeyError for an unknown id."""
        return {item_id: self.item(item_id) for item_id in item_ids}

    def item(self, item_id: str) -> AnyItem:
        """Return an item as the judge sees it; raises KeyError for an unknown id."""
        return self.built.judge.visible(self.view.item(item_id))

    def key(self, item: AnyItem) -> str:
        """Return the name of an item's judgement in journals, by its video as it is now."""
        return judgement_key(self.identity.hash, item)

    def unsuited(self, items: Mapping[str, AnyItem]) -> dict[str, Judgement]:
        """Return judgements of the items that lack what the judge requires.

        They count as failed: what is missing may be there next time.
        """
        requires, where = self.built.judge.requires, self._videos_place
        judgements: dict[str, Judgement] = {}
        for item_id, item in items.items():
            reason = ""
            if "video" in requires and item.video is None:
                reason = f"{MISSING_VIDEO}: no file {item.video_id}.* {where}"
            elif "description" in requires and not item.description:
                reason = f"description missing: none of video {item.video_id}"
            if reason:
                judgements[item_id] = Judgement(item_id, Unparsed(reason), failed=True)
        return judgements

    def recorded(
        self, items: Mapping[str, AnyItem], keys: Mapping[str, str], records: Mapping[str, Record]
    ) -> dict[str, Judgement]:
        """Return the judgements that are there already, failures too.

        They are in the journal, or in one of the same judge about another state of the set (gold
        that was corrected). Where the reader of replies has changed since, replies are read anew.
        """
        known = records.keys() >= set(keys.values())
        if not known and (elsewhere := self._records_elsewhere()):
            records = {**elsewhere, **records}
        judgements: dict[str, Judgement] = {}
        for item_id, key in keys.items():
            if key in records:
                judgement = self._as_read_now(items[item_id], records[key])
                if judgement is not None:
                    judgements[item_id] = judgement
        return judgements

    def so_far(self, item_ids: Sequence[str]) -> dict[str, Judgement]:
        """Return the judgements that are there already, failures too."""
        items = self.items(item_ids)
        keys = {item_id: self.key(item) for item_id, item in items.items()}
        return self.recorded(items, keys, read_records(self.folder))

    def waiting(self, item_ids: Sequence[str]) -> list[str]:
        """Return the items that the judge would be asked about."""
        done = {i for i, judgement in self.so_far(item_ids).items() if not judgement.failed}
        items = self.items(item_ids)
        settled = done | self.unsuited(items).keys()
        return [item_id for item_id in items if item_id not in settled]

    def videos_hash(self) -> str:
        """Return a hash over the set's videos as they are now."""
        videos = self.view.videos
        return content_hash({i: video_hash(videos[i]) for i in self._video_ids & videos.keys()})

    @property
    def _videos_place(self) -> str:
        """Return where a missing video was looked for, in words."""
        return f"in {self.options.videos}" if self.options.videos else "(give videos=DIR)"

    @cached_property
    def _video_ids(self) -> frozenset[str]:
        return frozenset(example.item.video_id for example in self.gold_set.examples)

    def _learned(self) -> dict[str, Json]:
        judge, learned = self.built.judge, dict[str, Json]()
        if judge.learns_from_set:
            learned = {
                "set": self.gold_set.content_hash,
                "references": self.view.references,
                "descriptions": content_hash(dict(self.view.descriptions)),
            }
        if judge.fits_on_videos:
            learned["videos"] = self.videos_hash()
        return learned

    @property
    def _judge_name(self) -> str:
        """Name of the judge with the hash of its identity: the beginning of its journals' names."""
        name = self.built.name.replace(":", ".").replace("/", ".").lstrip(".")
        return f"{name}-{self.identity.hash[:12]}"

    def _state_hash(self) -> str:
        """Hash of what a journal belongs to beside its judge: numbers use all of a journal."""
        return short_hash(
            {
                "set": self.options.scope or self.gold_set.content_hash,
                "references": self.view.references,
            }
        )

    def _as_read_now(self, item: AnyItem, record: Record) -> Judgement | None:
        judge, judgement = self.built.judge, record.judgement
        if judgement.failed or record.reader == judge.reader_version:
            return judgement
        self.tell_scale()
        return judge.reread(item, judgement)

    def _records_elsewhere(self) -> dict[str, Record]:
        if self.options.scope:
            return {}
        records: dict[str, Record] = {}
        for folder in sorted(self.folder.parent.glob(f"{glob.escape(self._judge_name)}-*")):
            if folder != self.folder:
                records |= read_records(folder)
        return {key: record for key, record in records.items() if not record.judgement.failed}

    def _judge_half(self) -> dict[str, Scalar]:
        """The judge half of the signature: its identity, and the user's files."""
        files: dict[str, Scalar] = {}
        if self.view.descriptions:
            files["descriptions"] = f"sha256:{content_hash(dict(self.view.descriptions))[:12]}"
        if self.built.judge.fits_on_videos:
            there = sorted(self._video_ids & self.view.videos.keys())
            files["videos"] = f"{len(there)}, sha256:{content_hash(there)[:12]}"
        return {**self.identity.signature, **files}

    def _refusal(self) -> str | None:
        judge, info = self.built.judge, self.gold_set.info
        ability = "prefer" if info.shape == "pairs" else "rate"
        if ability not in judge.abilities:
            return f"judge {self.built.name} cannot {ability}; {info.task} consists of {info.shape}"
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
            file = Path(self.options.descriptions).name
            return f"descriptions of the videos; {file} has none of {self.gold_set.info.task}"
        return (
            f"descriptions of the videos; {self.gold_set.info.task} has none. Write them with "
            "`videojudge describe` and give descriptions=FILE"
        )


def default_journal_root() -> Path:
    """Return the folder for journals under the user's cache folder (`XDG_CACHE_HOME` or ~)."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "videojudge_bench" / "journals"
