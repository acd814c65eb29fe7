"""Names of the metrics of a gold set, their order, and their properties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from videojudge_bench.errors import UnknownNameError
from videojudge_bench.goldsets.base import GoldSetInfo

UNDEFINED_GROUPS = "tau_b_within_undefined_groups"
SYSTEM_ACCURACY = "system_accuracy"
COUNTS = ("n", "n_parsed", "n_missing_video", "n_left_out", "coverage")

_BETTER_COUNTS = frozenset({"n", "n_parsed", "coverage"})
_SUFFIXES = ("_low", "_high", "_all")


@dataclass(frozen=True)
class Key:
    """One number of a score card.

    Attributes:
        better: in which direction it is better; None where it has no better direction.
        on_scale: it needs predictions on the gold set's rating scale.
        fitted: it is fitted on dev, and so always reported on the test part.
        imputed: it has a `_all` twin, in which Unparsed counts against the judge.
        interval: it has `_low` and `_high`.
        share: it is a share of something, 0..1; at 0 and 1 its interval is Wilson's.
    """

    name: str
    better: Literal["high", "low", None] = "high"
    on_scale: bool = False
    fitted: bool = False
    imputed: bool = True
    interval: bool = True
    share: bool = False


_EMSCORE = (
    Key("emscore_tau_b"),
    Key("emscore_rho"),
    Key("emscore_tau_b_without_0"),
    Key("emscore_rho_without_0"),
)
_RATINGS = (
    Key("pearson"),
    Key("spearman"),
    Key("kendall_tau_b"),
    Key("tau_b_within"),
    Key(UNDEFINED_GROUPS, "low", imputed=False, interval=False),
    Key("rmse", "low", on_scale=True),
    Key("mae", "low", on_scale=True),
    Key("skill", on_scale=True, fitted=True),
    Key("calibration_error", "low", on_scale=True),
    Key("qwk", on_scale=True),
    Key("bias", None, on_scale=True, imputed=False),
    Key("over2", "low", on_scale=True, share=True),
    Key("under2", "low", on_scale=True, share=True),
    Key("acc_eq", share=True),
    Key("acc_eq_cal", fitted=True, share=True),
    # a share of pairs of systems, not of videos: at 0 and 1 resamples of videos still vary
    Key(SYSTEM_ACCURACY),
    Key("tie_rate_gold", None, imputed=False, share=True),
    Key("tie_rate_judge", None, imputed=False, share=True),
)
_OPTIONS = (
    Key("psup", share=True),
    Key("psup_strict", share=True),
    Key("delta", on_scale=True, imputed=False),
    Key("top1", share=True),
    Key("tie_rate", None, imputed=False, share=True),
)
_PAIRS = (
    Key("accuracy", share=True),
    Key("both_orders_correct", share=True),
    Key("order_consistency", share=True),
    Key("first_position_rate", None, imputed=False, share=True),
)
_BY_SHAPE = {"ratings": _RATINGS, "options": _OPTIONS, "pairs": _PAIRS}
_PRIMARY = {"ratings": "spearman", "options": "psup", "pairs": "accuracy"}

KEYS = {key.name: key for key in (*_EMSCORE, *_RATINGS, *_OPTIONS, *_PAIRS)}


def keys_of(info: GoldSetInfo) -> tuple[Key, ...]:
    """Return the value keys of a gold set in display order, by its shape, recipe and systems."""
    keys = (_EMSCORE if info.recipe == "emscore" else ()) + _BY_SHAPE[info.shape]
    return tuple(key for key in keys if info.systems or key.name != SYSTEM_ACCURACY)


def metric_keys(info: GoldSetInfo) -> tuple[str, ...]:
    """Return the names of a gold set's values in display order; no intervals, no counts."""
    return tuple(key.name for key in keys_of(info))


def all_keys(info: GoldSetInfo) -> tuple[str, ...]:
    """Return all names of a flat score card: values with `_low`, `_high`, `_all`, then counts."""
    return (*(name for key in keys_of(info) for name in _with_twins(key)), *COUNTS)


def primary_key(info: GoldSetInfo) -> str:
    """Return the name of the value by which judges are ranked on a gold set."""
    return "emscore_tau_b" if info.recipe == "emscore" else _PRIMARY[info.shape]


def higher_is_better(key: str) -> bool:
    """Return whether a higher value is better, for any name of `all_keys` (`rmse_low` as `rmse`).

    False where no direction is better; raises UnknownNameError for other names.
    """
    if key in COUNTS:
        return key in _BETTER_COUNTS
    if _base(key) not in KEYS:
        raise UnknownNameError("metric", key, (*KEYS, *COUNTS))
    return KEYS[_base(key)].better == "high"


def label_of(key: str, info: GoldSetInfo) -> str:
    """Return a key as a label, which marks metrics fitted on dev as those of the test half."""
    fitted = _base(key) in KEYS and KEYS[_base(key)].fitted
    return f"{key} (test half)" if fitted and info.has_dev else key


def _base(key: str) -> str:
    return next((key.removesuffix(s) for s in _SUFFIXES if key.endswith(s)), key)


def _with_twins(key: Key) -> Sequence[str]:
    interval = (f"{key.name}_low", f"{key.name}_high") if key.interval else ()
    return (key.name, *interval, *((f"{key.name}_all",) if key.imputed else ()))
