"""Labels by which the examples of a gold set can be grouped.

Any label that an example carries can be named. Beside these there are `system`, `source`, `topic`,
`duration` and `temporal`, which mean the same on every set; a label of that very name comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.goldsets.longvideobench import ORDER_CATEGORIES
from videojudge_bench.items import Example

NO_LABEL = "(none)"
"""The group of examples that lack the label."""

MOST_GROUPS = 100
"""A label with more values names single items rather than groups."""

ORDER, OTHER = "order", "other"

_NEEDS_ORDER: Mapping[str, frozenset[str]] = {
    "question_category": ORDER_CATEGORIES,
    "type": frozenset({"TN", "TP"}),
    "kind": frozenset({"order"}),
}
"""By label, the values of questions that cannot be answered without the order of events:
LongVideoBench's level L2, NExT-QA's "what next" and "what before", and `kind: order`."""


def _temporal(example: Example, _: GoldSetInfo) -> str | None:
    known = {name: example.labels[name] for name in _NEEDS_ORDER if name in example.labels}
    if not known:
        return None
    needs = any(value in _NEEDS_ORDER[name] for name, value in known.items())
    return ORDER if needs else OTHER


_DERIVED: Mapping[str, Callable[[Example, GoldSetInfo], str | None]] = {
    "system": lambda example, _: example.system,
    "source": lambda _, info: info.name,
    "topic": lambda example, _: example.labels.get("topic_category"),
    "duration": lambda example, _: example.labels.get("duration_group"),
    "temporal": _temporal,
}


def label_names(gold_set: GoldSet) -> list[str]:
    """Return everything by which the examples of a set can be grouped, sorted."""
    own = {name for example in gold_set.examples for name in example.labels}
    derived = {
        name
        for name, of in _DERIVED.items()
        if any(of(example, gold_set.info) is not None for example in gold_set.examples)
    }
    return sorted(own | derived)


def label_of(example: Example, label: str, info: GoldSetInfo) -> str | None:
    """Return the value that an example has of a label, None when it has none."""
    if label in example.labels:
        return example.labels[label]
    derived = _DERIVED.get(label)
    return None if derived is None else derived(example, info)


def groups_of(gold_set: GoldSet, label: str) -> dict[str, frozenset[str]]:
    """Return the item ids of each value of a label, values in their natural order.

    Numbers come by size, then texts by the alphabet, and last, under `(none)`, the examples that
    lack the label.

    Raises:
        UnknownNameError: no example has that label.
        ConfigError: it has more than 100 values.
    """
    members: dict[str, set[str]] = {}
    for example in gold_set.examples:
        value = label_of(example, label, gold_set.info)
        members.setdefault(NO_LABEL if value is None else value, set()).add(example.item.id)
    if members.keys() <= {NO_LABEL}:
        raise UnknownNameError(f"label of {gold_set.info.task}", label, label_names(gold_set))
    if len(members) > MOST_GROUPS:
        raise ConfigError(
            f"{gold_set.info.task}: the label {label!r} has {len(members)} values, more than "
            f"{MOST_GROUPS}: it names items, and no groups. Labels here: "
            f"{', '.join(label_names(gold_set))}"
        )
    return {value: frozenset(members[value]) for value in _sorted(members)}


def _sorted(values: Iterable[str]) -> list[str]:
    def key(value: str) -> tuple[int, float, str]:
        if value == NO_LABEL:
            return (2, 0.0, value)
        is_number = value.isascii() and value.isdigit()
        return (0, float(value), value) if is_number else (1, 0.0, value)

    return sorted(values, key=key)
