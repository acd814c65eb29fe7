"""Judges that ask a language model: prompt + engine + reply format."""

from videojudge_bench.prompted.config import PromptedConfig
from videojudge_bench.prompted.judge import PromptedJudge

__all__ = ["PromptedConfig", "PromptedJudge"]
