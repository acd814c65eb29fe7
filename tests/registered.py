"""Gold sets of a test, known by name as the built-in ones are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from videojudge_bench import goldsets
from videojudge_bench.errors import NoDataError
from videojudge_bench.goldsets.base import GoldSet, GoldSetInfo


class _Module(ModuleType):
    """What a module of `videojudge_bench.goldsets` offers."""

    def __init__(self, info: GoldSetInfo, gold_set: GoldSet | None) -> None:
        super().__init__(f"gold_set_{info.name}")
        self.INFO, self._gold_set = info, gold_set

    def load(self) -> GoldSet:
        if self._gold_set is None:
            raise NoDataError(self.INFO.name, "ask its authors")
        return self._gold_set


@contextmanager
def registered(gold_set: GoldSet, *, has_data: bool = True) -> Iterator[GoldSet]:
    """Make a gold set known by its name until the block ends; without data if wanted."""
    module = _Module(gold_set.info, gold_set if has_data else None)
    sys.modules[module.__name__] = module
    goldsets._BUILT_IN[gold_set.info.name] = module.__name__
    goldsets.load.cache_clear()
    try:
        yield gold_set
    finally:
        del goldsets._BUILT_IN[gold_set.info.name]
        del sys.modules[module.__name__]
        goldsets.load.cache_clear()
