"""videojudge-bench: measure, compare and train judges of video understanding.

The contract for a judge of your own is `Judge`; most judges that ask a language model are a
`PromptedJudge`.
"""

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
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed, Usage

__version__ = "0.1.0.dev0"

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
    "Rating",
    "RatingGold",
    "RatingScale",
    "Reply",
    "Sampling",
    "Unparsed",
    "Usage",
    "VideoJudgeError",
]
