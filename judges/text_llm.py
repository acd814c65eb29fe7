"""Models of text as judges, which read a description of the video."""

from __future__ import annotations

from videojudge_bench._util.options import Scalar
from videojudge_bench.prompted import PromptedJudge


class TextLLM(PromptedJudge):
    """Shows a description of the video and the response to a model of text (Qwen3 and others).

    Descriptions come with the gold set, or from a file of `videojudge describe`
    (`descriptions=FILE` beside the judge's options).

    Args:
        engine: `transformers`, with pretrained=…; or `openai`, with base_url=… and model=….
        video: `description`, or `none` for a judge that knows nothing of the video.
        options: those of `PromptedJudge` and of the engine; `thinking=true` or `false` where the
            model's chat template knows it.
    """

    requires = frozenset({"description"})

    def __init__(
        self, *, engine: str = "transformers", video: str = "description", **options: Scalar
    ) -> None:
        super().__init__(engine=engine, video=video, **options)  # type: ignore[arg-type]
