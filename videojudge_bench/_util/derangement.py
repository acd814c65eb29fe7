"""Every one gets another one: the control of a judge that should heed what it is given."""

from __future__ import annotations

from collections.abc import Sequence

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench.errors import ConfigError


def others_by_hash(names: Sequence[str], *, what: str, of: str) -> dict[str, str]:
    """Return for each name another one: a derangement that is a bijection, by hash of the names.

    Args:
        names: distinct; their order does not matter.
        what: the option that asks for it, for the error.
        of: what the names name, in the plural.

    Raises:
        ConfigError: there are fewer than two.
    """
    if len(names) < 2:
        raise ConfigError(f"{what} needs at least two {of}, and there are {len(names)} here")
    drawn = sorted(names, key=lambda name: (unit_interval("shuffled", name), name))
    return dict(zip(drawn, [*drawn[1:], drawn[0]], strict=True))
