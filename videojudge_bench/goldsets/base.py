"""Gold sets. A set is one module in this folder and one YAML in `tasks/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from videojudge_bench._util.hashing import content_hash
from videojudge_bench.errors import DataError
from videojudge_bench.items import (
    Example,
    Item,
    NoGold,
    OptionGold,
    Pair,
    PreferenceGold,
    RatingGold,
)
from videojudge_bench.scale import RatingScale

GoldKind = Literal["human", "constructed", "options", "model"]
Shape = Literal["ratings", "options", "pairs"]

MADE_BY = "made_by"
"""The label of examples that names generator and evaluator, with + between them."""

_GOLD = {"ratings": RatingGold, "options": OptionGold, "pairs": PreferenceGold}
_ITEM = {"ratings": Item, "options": Item, "pairs": Pair}


@dataclass(frozen=True)
class GoldSetInfo:
    """Facts about a gold set that need none of its data.

    Attributes:
        name: short name; the lmms-eval task is `videojudge_<name>`.
        kind: where the gold comes from. `human`: annotators; `constructed`: written to target a
            rating; `options`: one option is correct; `model`: labels of a model; `none`: no gold,
            the set is a file of answers to judge, and is never stored.
        shape: `ratings` of single responses, `options` of a question, or `pairs`.
        how_to_get: one sentence for a user who lacks the data.
        recipe: `emscore` for the per-rater correlations of VATEX-EVAL.
        data: `full`, or what part of the set it is (`sample-140`, `part-8`); samples have no dev
            part.
        version: changes whenever the examples change.
        systems: whether the examples name the answering system; if so, all of them do.
    """

    name: str
    title: str
    kind: GoldKind | Literal["none"]
    shape: Shape
    licence: str
    source: str
    how_to_get: str
    scale: RatingScale = RatingScale(1, 5)
    recipe: Literal["emscore"] | None = None
    data: str = "full"
    version: str = "1"
    systems: bool = False

    @property
    def task(self) -> str:
        """Name of the lmms-eval task; the title of a file of answers, which is no task."""
        return self.title if self.kind == "none" else f"videojudge_{self.name}"

    @property
    def has_dev(self) -> bool:
        """True if the set is split into a dev and a test part."""
        return self.kind != "none" and not self.data.startswith("sample")


@dataclass(frozen=True)
class GoldSet:
    """A named, versioned, content-hashed set of examples.

    Attributes:
        examples: in the order of the documents; the two orders of a pair are neighbours.
        videos: the folder of its videos, where it has one; a run may name another beside it.
        video_files: by video id the path in that folder of a file that is not simply
            `<video id>.<extension>`.

    Raises:
        DataError: on an empty set, a duplicate id, a gold rating outside the scale, gold of
            another shape, examples with different numbers of raters, or an example without a
            system in a set that names them.
    """

    info: GoldSetInfo
    examples: tuple[Example, ...]
    videos: Path | None = None
    video_files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problem = _first_problem(self.info, self.examples)
        if problem is not None:
            raise DataError(problem, path=self.info.task)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all examples, gold included; the order does not matter."""
        return examples_hash(self.examples)

    @cached_property
    def by_id(self) -> dict[str, Example]:
        """Examples by item id."""
        return {example.item.id: example for example in self.examples}

    @cached_property
    def made_by(self) -> frozenset[str]:
        """The models that made the responses and their gold, by the `made_by` labels."""
        makers = {example.labels.get(MADE_BY, "") for example in self.examples}
        return model_names("+".join(makers))

    @cached_property
    def max_references(self) -> int:
        """The most references that an item has; 0 for a set without any."""
        return max(len(example.item.references) for example in self.examples)


def model_names(text: str) -> frozenset[str]:
    """Return the models of a text that joins them by `+`, without organisation and revision.

    So a model has one name on the hub, in a folder and behind a server.
    """
    names = (name.partition("@")[0].rpartition("/")[2].lower() for name in text.split("+"))
    return frozenset(name for name in names if name)


def examples_hash(examples: Sequence[Example]) -> str:
    """Return a SHA-256 over examples (64 hex digits) that does not depend on their order."""
    return content_hash(sorted(content_hash(example.content()) for example in examples))


def _first_problem(info: GoldSetInfo, examples: Sequence[Example]) -> str | None:
    if not examples:
        return "the set is empty; it needs at least one example"
    gold = examples[0].gold
    raters = len(gold.ratings) if isinstance(gold, RatingGold) else 0
    seen: set[str] = set()
    for example in examples:
        item_id = example.item.id
        if item_id in seen:
            return f"duplicate item id {item_id!r}; ids must be unique in a set"
        seen.add(item_id)
        problem = _problem(info, example, raters)
        if problem is not None:
            return f"item {item_id!r} {problem}"
    return None


def _problem(info: GoldSetInfo, example: Example, raters: int) -> str | None:
    item, gold = example.item, example.gold
    gold_type = NoGold if info.kind == "none" else _GOLD[info.shape]
    for part, expected in ((gold, gold_type), (item, _ITEM[info.shape])):
        if not isinstance(part, expected):
            return f"has {type(part).__name__}; {info.shape} need {expected.__name__}"
    if info.systems and not example.system:
        return "has no system; in a set that names the answering systems, every example needs one"
    if isinstance(gold, PreferenceGold) and not 0 <= gold.p_first <= 1:
        return f"has the gold preference {gold.p_first}, outside 0..1"
    if isinstance(gold, RatingGold):
        return _rating_problem(info.scale, gold, raters)
    return None


def _rating_problem(scale: RatingScale, gold: RatingGold, raters: int) -> str | None:
    if not gold.ratings:
        return "has no rating; at least one rater is needed"
    if len(gold.ratings) != raters:
        return f"has {len(gold.ratings)} ratings, but the first item has {raters}"
    for rating in gold.ratings:
        if rating not in scale:
            return f"has the gold rating {rating}, outside the scale {scale}"
    return None
