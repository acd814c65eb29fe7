"""The contract of a judge: the one class to subclass to plug in a new one."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

from videojudge_bench._util.options import Scalar
from videojudge_bench.items import Item, Pair
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

Need = Literal["video", "references", "description"]
Ability = Literal["rate", "prefer"]


class ReplyStore(Protocol):
    """Keeps single replies of items that wait for more of them, for a run that goes on."""

    def of(self, item_id: str) -> Mapping[int, Judgement]:
        """Return what is there of an item, each at its place among the item's replies."""

    def keep(self, item_id: str, place: int, judgement: Judgement) -> None:
        """Keep what one reply amounts to."""


class Judge(ABC):  # noqa: B024 - which of rate, prefer and judge to write is the author's choice
    """Turns items into judgements.

    Write `rate`, and everything else works. The constructor's keyword arguments are the options of
    the judge: `Overlap(lower=False)` is `--model_args judge=my_pkg:Overlap,lower=false`.

    Attributes:
        name: in tables, journals and the signature, in place of the one it was asked for by: of a
            judge that stands for another.
        requires: what an item must have; a gold set that cannot give it is `not applicable`.
        scale: the scale of the ratings, or None when the numbers only rank.
        abilities: `rate` for single responses, `prefer` for pairs.
        fits_on_dev: whether `fit_dev` wants the gold ratings of the dev part; every number is then
            reported on the test part.
        fits_on_videos: whether what `fit` learns depends on which video files were found; they are
            then in the signature.
        takes_scale: whether the judge rates on whatever scale the gold set has; the runner then
            sets `scale` before it asks.
        unsigned: constructor arguments that cannot change a verdict (concurrency, a device): they
            stay out of the signature.
        reader_version: of what reads verdicts out of replies; 0 for a judge that reads none.
        early_replies: where a judge that asks several times for an item finds and keeps the replies
            of a run that was killed; None outside of runs.
    """

    name: str = ""
    requires: frozenset[Need] = frozenset()
    scale: RatingScale | None = RatingScale(1, 5)
    abilities: frozenset[Ability] = frozenset({"rate", "prefer"})
    fits_on_dev: bool = False
    fits_on_videos: bool = False
    takes_scale: bool = False
    unsigned: frozenset[str] = frozenset()
    reader_version: int = 0
    early_replies: ReplyStore | None = None

    def fit(self, items: Sequence[Item | Pair]) -> None:  # noqa: B027 - optional
        """Look at the whole gold set, gold left out, before judging (document frequencies).

        Called once per gold set with all its items, whatever `--limit` or the number of processes.
        """

    @property
    def learns_from_set(self) -> bool:
        """True if a verdict can depend on what else is in the set, which `fit` is given."""
        return type(self).fit is not Judge.fit or self.fits_on_dev

    def fit_dev(self, dev: Sequence[tuple[Item, float]]) -> None:  # noqa: B027 - optional
        """Learn from the dev part: items with their mean gold rating. See `fits_on_dev`."""

    def rate(self, item: Item) -> Rating | Unparsed:
        """Return how good the response is."""
        raise NotImplementedError(
            f"{type(self).__name__} rates no single response; it needs a method `rate`"
        )

    def prefer(self, pair: Pair) -> Preference | Unparsed:
        """Return which of two responses is better, as shown.

        By default both are rated: the higher rating wins, equal ratings are a tie.
        """
        first, second = (self.rate(side) for side in pair.sides())
        return preference_from_ratings(first, second)

    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        """Yield one judgement per item, in any order. Override it to work in batches.

        Items of one group come one after another. An exception ends the stream: the runner then
        judges the items that were taken and not answered one by one, and goes on with the rest.
        """
        for item in items:
            verdict = self.rate(item) if isinstance(item, Item) else self.prefer(item)
            yield Judgement(item.id, verdict)

    def visible(self, item: Item | Pair) -> Item | Pair:
        """Return an item with what this judge uses of it: nothing else can change its verdict.

        By default the video is left out, unless the judge requires it. A judge that uses a video
        where there is one returns the item as it is.
        """
        return item if "video" in self.requires else replace(item, video=None)

    def reread(self, item: Item | Pair, judgement: Judgement) -> Judgement | None:
        """Return a judgement that another version of the reader made, with its replies read anew.

        None: it cannot be had from the replies, and the judge has to be asked again.
        """
        del item
        return judgement

    def sources(self) -> tuple[type, ...]:
        """Return the classes that make the verdicts: where they are a user's, their code counts."""
        return (type(self),)

    def files(self) -> Iterable[Path]:
        """Return files that verdicts depend on and that `settings` does not name by their hash."""
        return ()

    def settings(self) -> Mapping[str, Scalar]:
        """Return what the signature must say beyond the constructor's arguments.

        A key that is also an argument replaces it: a file is better named by its content hash.
        """
        return {}

    def server_statements(self) -> Sequence[Mapping[str, str]]:
        """Return all that a server said of itself: name of the model, fingerprint, version.

        In the order heard; two statements are a change. They are recorded with the run, and are no
        part of its identity.
        """
        return ()

    def close(self) -> None:  # noqa: B027 - optional
        """Give back what the judge holds (a model, a connection)."""


def preference_from_ratings(
    first: Rating | Unparsed, second: Rating | Unparsed
) -> Preference | Unparsed:
    """Return the preference that two ratings amount to: the higher wins, equal ones are a tie."""
    if isinstance(first, Unparsed):
        return Unparsed(f"first response: {first.reason}")
    if isinstance(second, Unparsed):
        return Unparsed(f"second response: {second.reason}")
    if first.value == second.value:
        return Preference(0.5)
    return Preference(1.0 if first.value > second.value else 0.0)
