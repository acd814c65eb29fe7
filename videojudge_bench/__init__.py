"""videojudge-bench: measure, compare and train judges of video understanding.

The contract for a judge of your own is `Judge`; most judges that ask a language model are a
`PromptedJudge`.
"""

from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import TYPE_CHECKING as _TYPE_CHECKING

from videojudge_bench.answers import judge_answers
from videojudge_bench.engine import (
    Continuation,
    Engine,
    EngineError,
    Prefix,
    PromptGroup,
    Reply,
    Sampling,
)
from videojudge_bench.errors import VideoJudgeError
from videojudge_bench.items import Example, Item, OptionGold, Pair, PreferenceGold, RatingGold
from videojudge_bench.judge import Judge
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Usage
from videojudge_bench.version import __version__ as __version__

if _TYPE_CHECKING:
    from videojudge_bench.api import (
        JudgeInfo,
        LoadedRun,
        RunComparison,
        compare,
        list_judges,
        load_run,
    )
    from videojudge_bench.goldsets.base import GoldSet
    from videojudge_bench.replies.reply_format import parse_preference, parse_rating
    from videojudge_bench.run.plan import RunOptions

# Imported when they are first used: they need numpy, scipy and pydantic.
_LAZY = {
    "GoldSet": "goldsets.base",
    "JudgeInfo": "api",
    "LoadedRun": "api",
    "RunComparison": "api",
    "RunOptions": "run.plan",
    "compare": "api",
    "list_judges": "api",
    "load_run": "api",
    "parse_preference": "replies.reply_format",
    "parse_rating": "replies.reply_format",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(_import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# In a checkout `judges/` and `tasks/` stand beside this folder; installed, they are inside of it.
# `python -m` puts the current folder first, so in a checkout this one wins over an installed one.
_beside = _Path(__file__).parents[1]
if (_beside / "judges" / "engines").is_dir() and not (_Path(__file__).parent / "judges").exists():
    __path__.append(str(_beside))

__all__ = [
    "Continuation",
    "Engine",
    "EngineError",
    "Example",
    "GoldSet",
    "Item",
    "Judge",
    "JudgeInfo",
    "Judgement",
    "LoadedRun",
    "OptionGold",
    "Pair",
    "Preference",
    "PreferenceGold",
    "Prefix",
    "PromptGroup",
    "PromptedJudge",
    "Rating",
    "RatingGold",
    "RatingScale",
    "Reply",
    "RunComparison",
    "RunOptions",
    "Sampling",
    "Unparsed",
    "Usage",
    "VideoJudgeError",
    "compare",
    "judge_answers",
    "list_judges",
    "load_run",
    "parse_preference",
    "parse_rating",
]
