"""Gold sets by name."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Protocol, cast

from videojudge_bench.errors import UnknownNameError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo

_BUILT_IN = {
    "nextqa": "videojudge_bench.goldsets.nextqa",
    "vatex": "videojudge_bench.goldsets.vatex",
}


class GoldSetModule(Protocol):
    """What a module of this folder offers."""

    INFO: GoldSetInfo

    def load(self) -> GoldSet:
        """Return the set.

        Raises:
            NoDataError: when its data are not on this machine.
            DataError: when they are not what they should be.
        """


def names() -> list[str]:
    """Return the names of all gold sets, sorted."""
    return sorted(_BUILT_IN)


def info(name: str) -> GoldSetInfo:
    """Return what is known of a gold set without loading it."""
    return _module(name).INFO


@cache
def load(name: str) -> GoldSet:
    """Return a gold set, read once per process.

    Raises:
        UnknownNameError: when there is no such set.
        NoDataError: when its data are not on this machine.
        DataError: when they are not what they should be.
    """
    return _module(name).load()


def _module(name: str) -> GoldSetModule:
    if name not in _BUILT_IN:
        raise UnknownNameError("gold set", name, names(), hint="See `videojudge data list`.")
    return cast(GoldSetModule, importlib.import_module(_BUILT_IN[name]))
