"""videojudge-bench: measure, compare and train judges of video understanding.

The contract for a judge of your own is `Judge`; most judges that ask a language model are a
`PromptedJudge`.
"""

from pathlib import Path as _Path

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
    "Item",
    "Judge",
    "Judgement",
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
    "Sampling",
    "Unparsed",
    "Usage",
    "VideoJudgeError",
    "judge_answers",
]
