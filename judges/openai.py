"""A judge that any OpenAI-compatible server runs: vLLM, SGLang, a hosted model."""

from __future__ import annotations

import logging

from videojudge_bench._util.options import Scalar
from videojudge_bench.prompted import PromptedJudge

logger = logging.getLogger(__name__)


class OpenAI(PromptedJudge):
    """Shows the video's frames and the response to a served model, and reads its verdict.

    With `video=description` or `video=none` it judges by text alone, and needs no videos. A judge
    that was trained on videos is better asked as `videojudge` with `engine=openai`, which asks it
    as it was trained.

    Args:
        options: those of `PromptedJudge` and of `OpenAIEngine`: base_url, model, max_frames,
            max_concurrency, max_cost and more.
    """

    runs_on = "openai"
    requires = frozenset({"video"})

    def __init__(self, **options: Scalar) -> None:
        super().__init__(**options)  # type: ignore[arg-type] # checked by name
        if "video" in self.requires and not {"send", "pretrained"} & options.keys():
            logger.warning(
                "judge=openai shows frames as images with their times (send=frames). For a judge "
                "that was trained on videos that is another prompt: give "
                "judge=videojudge,engine=openai,pretrained=…, or send=video"
            )
