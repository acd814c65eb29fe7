"""Gold sets by name: those of this package, of other packages, and those a user added."""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Protocol, cast

from videojudge_bench.errors import ConfigError, NoDataError, UnknownNameError
from videojudge_bench.goldsets import store
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo
from videojudge_bench.goldsets.released import ReleasedSet

logger = logging.getLogger(__name__)

GROUP = "videojudge_bench.goldsets"
"""The entry-point group in which other packages name their gold sets."""

_BUILT_IN = {
    "llava": "videojudge_bench.goldsets.paper:LLAVA",
    "longvideobench": "videojudge_bench.goldsets.longvideobench:SET",
    "nextqa": "videojudge_bench.goldsets.nextqa",
    "pairwise": "videojudge_bench.goldsets.paper:PAIRWISE",
    "pairwise_h": "videojudge_bench.goldsets.paper:PAIRWISE_H",
    "vatex": "videojudge_bench.goldsets.vatex",
    "vcg": "videojudge_bench.goldsets.paper:VCG",
    "videoautoarena": "videojudge_bench.goldsets.videoautoarena:SET",
}


# All that importing a faulty module can raise, but for the interpreter's own exits.
_BROKEN = (
    ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError, LookupError,
    ArithmeticError, OSError, RuntimeError, AssertionError,
)  # fmt: skip


class GoldSetSource(Protocol):
    """A module or an object that offers a gold set: the target of an entry point."""

    INFO: GoldSetInfo

    def load(self) -> GoldSet:
        """Return the set; raises NoDataError without its data, DataError where they are invalid."""


def names() -> list[str]:
    """Return the names of all gold sets, sorted."""
    return sorted({*_BUILT_IN, *extra_names()})


def extra_names() -> list[str]:
    """Return the names of the sets that are not of this package, sorted."""
    return sorted({*_of_packages(), *store.names()} - _BUILT_IN.keys())


def info(name: str) -> GoldSetInfo:
    """Return the facts about a gold set without loading it.

    Of a set that has a sample they are those of the full data; `load(name).info` tells which of the
    two is on this machine.

    Raises UnknownNameError, ConfigError and DataError as `load`.
    """
    source = _source(name)
    return store.read(name).info if source is None else source.INFO


@cache
def load(name: str, data: str | None = None) -> GoldSet:
    """Return a gold set, read once per process.

    `data` chooses one of its forms (`full`, `sample-105`, …); by default the one that the task
    serves.

    Raises:
        UnknownNameError: there is no such set.
        ConfigError: the package that offers it cannot be imported.
        NoDataError: its data, or this form of them, are not on this machine.
        DataError: they are invalid.
    """
    source = _source(name)
    if data is None:
        return store.load(name) if source is None else source.load()
    gold_set = load(name)  # from the cache, if it was read before
    if gold_set.info.data == data:
        return gold_set
    if isinstance(source, ReleasedSet) and source.sample_file and source.sample.info.data == data:
        return source.sample
    raise NoDataError(name, f"the form {data!r} is wanted, and {gold_set.info.data!r} is here")


def released_names() -> list[str]:
    """Return the names of the sets of this package that are prepared from a release, sorted."""
    return [name for name in sorted(_BUILT_IN) if isinstance(_source(name), ReleasedSet)]


def released_set(name: str) -> ReleasedSet:
    """Return a set of this package that is prepared from its release, or raise UnknownNameError."""
    source = _source(name) if name in _BUILT_IN else None
    if not isinstance(source, ReleasedSet):
        raise UnknownNameError("set with a release", name, released_names())
    return source


def _source(name: str) -> GoldSetSource | ReleasedSet | None:
    """Return the module that offers a set; None for one in the store alone."""
    if name in _BUILT_IN:
        return cast(GoldSetSource, resolve_name(_BUILT_IN[name]))
    packages = _of_packages()
    if name in packages:
        return _imported(name, packages[name])
    if store.contains(name):
        return None
    raise UnknownNameError("gold set", name, names(), hint="See `videojudge data list`.")


def _imported(name: str, entry: EntryPoint) -> GoldSetSource:
    package = entry.dist.name if entry.dist else entry.value
    try:
        source = entry.load()
    except _BROKEN as error:
        raise ConfigError(
            f"the gold set {name!r} of the package {package} cannot be imported: {error!r}"
        ) from error
    if not (isinstance(getattr(source, "INFO", None), GoldSetInfo) and hasattr(source, "load")):
        raise ConfigError(
            f"the gold set {name!r} of the package {package} is {entry.value!r}; it must be a "
            "module or an object with INFO (a GoldSetInfo) and load()"
        )
    if source.INFO.name != name:
        raise ConfigError(
            f"the package {package} offers a gold set as {name!r}, and its INFO says "
            f"{source.INFO.name!r}; the two names must be equal"
        )
    return cast(GoldSetSource, source)


@cache
def _of_packages() -> dict[str, EntryPoint]:
    """Return entry points by name; one that cannot be a task is left out with a warning."""
    entries: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        if entry.name in _BUILT_IN or entry.name in entries:
            logger.warning(
                "gold set %r of %s is left out: the name is taken", entry.name, entry.value
            )
        elif not store.NAME.fullmatch(entry.name):
            logger.warning(
                "gold set %r of %s is left out: a name has lower-case letters, digits and _",
                entry.name, entry.value,
            )  # fmt: skip
        else:
            entries[entry.name] = entry
    return entries
