"""A judge that any OpenAI-compatible server runs: vLLM, SGLang, a hosted model."""

from __future__ import annotations

from videojudge_bench._util.options import Scalar
from videojudge_bench.prompted import PromptedJudge


class OpenAI(PromptedJudge):
    """Shows the video's frames and the response to a served model, and reads its verdict.

    With `video=description` or `video=none` it judges by text alone, and needs no videos.

    Args:
        score: as `PromptedJudge`; with `expected`, a server without log-probabilities ends the run.
        options: those of `PromptedJudge` and of `OpenAIEngine`: base_url, model, max_frames,
            max_concurrency, max_cost and more.

    Raises:
        ConfigError: an unknown option, or options that cannot work.
    """

    runs_on = "openai"
    requires = frozenset({"video"})

    def __init__(self, *, score: str = "text", **options: Scalar) -> None:
        if score == "expected":
            options.setdefault("logprobs", True)
        super().__init__(score=score, **options)  # type: ignore[arg-type] # checked by name
