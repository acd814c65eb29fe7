"""Our judges as LLM judges of lmms-eval: a task's `get_server("videojudge")`.

lmms-eval's tasks ask a paid API through `lmms_eval.llm_judge`. With `API_TYPE=videojudge` one of
our judges replaces it in tasks that pass question, answer and prediction. The variable
`VIDEOJUDGE_JUDGE`, or the model's name in the task's `ServerConfig`, names the judge.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lmms_eval.llm_judge.base import ServerInterface
from lmms_eval.llm_judge.protocol import Request, Response, ServerConfig
from loguru import logger

from videojudge_bench._util.hashing import content_hash
from videojudge_bench.answers.judging import build
from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.jsonl import VIDEO_EXTENSIONS
from videojudge_bench.items import Item
from videojudge_bench.judge import Need
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.runner import answers_of
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

NAME = "videojudge"
JUDGE_VARIABLE = "VIDEOJUDGE_JUDGE"
"""Names the judge: `NAME[,option=value…]`."""

_PREFIX = "judge="
_RANGE = (1, 10)  # lmms-eval's own for comparisons
_NO_SCORES = (-1.0, -1.0)  # what lmms-eval gives when it can read no scores


@dataclass(frozen=True)
class _Shared:
    """A judge that all tasks of a process share: its weights are loaded once."""

    built: BuiltJudge
    lock: threading.Lock = field(default_factory=threading.Lock)

    def judge(self, item: Item) -> Judgement:
        """Return the judgement of one item; lmms-eval asks from several threads."""
        with self.lock:
            (judgement,) = answers_of(self.built, [item])
        return judgement


class VideoJudgeProvider(ServerInterface):  # type: ignore[misc]
    """Answers requests of lmms-eval's tasks with a judge of ours.

    Args:
        config: the task's; its model name says which judge, as `judge=NAME,option=value`, where the
            variable `VIDEOJUDGE_JUDGE` does not.

    Raises:
        ConfigError: no judge is named, its options cannot work, or it learns from a whole set.
    """

    def __init__(self, config: ServerConfig | None = None) -> None:
        self._name = _judge_named(config)
        super().__init__(config or ServerConfig(model_name=self._name))
        self._shared = _judge_of(self._name)

    def is_available(self) -> bool:
        """Return True: the constructor has refused what cannot work."""
        return True

    def evaluate(self, request: Request) -> Response:
        """Return the score of a prediction, as `{"score": 4.0}` and as `parsed_result`.

        The request needs `question` and `prediction`, and where the judge requires them `answer` (a
        reference), `context` (a description) and the path of a video among `images`. `messages` are
        ignored: a judge has prompts of its own. Scores are mapped linearly from the judge's scale
        to the configuration's `score_range`, if it has one.
        """
        item, problem = _item_of(request)
        if item is None:
            return self._failed(problem)
        config = request.config or self.config
        score, problem = self._score(item, config.score_range)
        if score is None:
            return self._failed(problem)
        return Response(
            content=f'{{"score": {score:g}}}', model_used=self._name, parsed_result=score
        )

    def evaluate_binary(
        self,
        question: str,
        answer: str,
        prediction: str,
        output_format: str = "0/1",
        custom_prompt: str | None = None,
        **kwargs: object,
    ) -> dict[str, object]:
        """Return whether a prediction is right: rated above the middle of the judge's scale.

        Without a verdict the result is 0 (or False), as lmms-eval has it, and `success` is False.
        """
        # On the judge's own scale, whatever range the task asks for.
        config = replace(self.config, score_range=None)
        response = self.evaluate(
            Request(
                messages=[],
                images=kwargs.get("images"),
                config=config,
                question=question,
                answer=answer,
                prediction=prediction,
            )
        )
        scale = self._shared.built.judge.scale
        if response.success and scale is None:
            response = self._failed(
                f"judge {self._name} has no scale, so its scores cannot say what is right"
            )
        right = scale is not None and response.success and response.parsed_result > scale.middle
        result = int(right) if output_format in ("0/1", "1/0") else right
        return {"result": result, **_common_fields(response)}

    def evaluate_comparative(  # noqa: PLR0917 - lmms-eval's signature
        self,
        question: str,
        response1: str,
        response2: str,
        context: str | None = None,
        score_range: tuple[int, int] = _RANGE,
        custom_prompt: str | None = None,
        images: list[str | bytes] | None = None,
        **kwargs: object,
    ) -> dict[str, object]:
        """Return a score for each of two responses, in `score_range` where the judge has a scale.

        Without a verdict both are -1, as lmms-eval has it, and `success` is False.
        """
        in_range = score_range if self._shared.built.judge.scale is not None else None
        config = replace(self.config, score_range=in_range)
        both = [
            self.evaluate(
                Request([], images, config, question=question, prediction=text, context=context)
            )
            for text in (response1, response2)
        ]
        failed = [response for response in both if not response.success]
        if failed:
            return {"scores": _NO_SCORES, **_common_fields(failed[0])}
        scores = tuple(float(response.parsed_result) for response in both)
        joint = replace(both[0], content=" ".join(f"{score:g}" for score in scores))
        return {"scores": scores, **_common_fields(joint)}

    def _score(
        self, item: Item, score_range: tuple[float, float] | None
    ) -> tuple[float | None, str]:
        """Return the score, or None and why there is none."""
        judge = self._shared.built.judge
        lacks = [need for need in sorted(judge.requires) if not getattr(item, need)]
        if lacks:
            return None, f"judge {self._name} requires {_WHERE[lacks[0]]}"
        if score_range is not None and judge.scale is None:
            return None, f"judge {self._name} has no scale to move to {score_range}"
        verdict = self._shared.judge(item).verdict
        if not isinstance(verdict, Rating):
            return None, verdict.reason if isinstance(verdict, Unparsed) else str(verdict)
        if score_range is None or judge.scale is None:
            return verdict.value, ""
        low, high = score_range
        share = (verdict.value - judge.scale.low) / (judge.scale.high - judge.scale.low)
        return low + share * (high - low), ""

    def _failed(self, problem: str) -> Response:
        logger.warning("llm_judge provider videojudge: {}", problem)
        return Response(content="", model_used=self._name, success=False, error_message=problem)


def register() -> None:
    """Put the provider into lmms-eval's registry, as our plug-in does by itself."""
    from lmms_eval.llm_judge.factory import ProviderFactory

    ProviderFactory.register_provider(NAME, VideoJudgeProvider)


@functools.cache
def _judge_of(name: str) -> _Shared:
    built = build(name)
    if built.judge.learns_from_set:
        raise ConfigError(
            f"judge {built.name} learns from a whole set before it judges, and a task of lmms-eval "
            "shows it one answer at a time; choose another judge"
        )
    return _Shared(built)


def _judge_named(config: ServerConfig | None) -> str:
    name = os.environ.get(JUDGE_VARIABLE, "")
    given = "" if config is None else str(config.model_name)
    if not name and given.startswith(_PREFIX):
        name = given
    if not name:
        raise ConfigError(
            f"llm_judge provider videojudge: which judge? Set {JUDGE_VARIABLE}=NAME,option=value, "
            f"or name it in the model's name as judge=NAME,option=value; found {given!r}"
        )
    return name.removeprefix(_PREFIX)


_WHERE: dict[Need, str] = {
    "video": "a video: the path of its file belongs among the request's images",
    "references": "a reference: the request's answer",
    "description": "a description of the video: the request's context",
}


def _item_of(request: Request) -> tuple[Item | None, str]:
    """Return the item that a request is about, or None and why there is none."""
    if request.question is None or request.prediction is None:
        return None, (
            "the task sent a prompt of its own and no question and prediction; a judge has its own "
            "prompts, so it needs these fields of the request"
        )
    video = _video_of(request.images or ())
    answers = request.answer if isinstance(request.answer, (list, tuple)) else [request.answer]
    references = tuple(str(answer) for answer in answers if answer not in (None, ""))
    texts = [request.question, request.prediction, *references]
    return Item(
        id=content_hash([str(video), *texts])[:16],
        video_id=video.stem if video is not None else "none",
        instruction=request.question,
        response=request.prediction,
        references=references,
        description=request.context,
        video=video,
    ), ""


def _video_of(images: Sequence[object]) -> Path | None:
    for image in images:
        if isinstance(image, (str, Path)):
            path = Path(image)
            if path.suffix.lower().lstrip(".") in VIDEO_EXTENSIONS and path.is_file():
                return path
    return None


def _common_fields(response: Response) -> dict[str, object]:
    """Return the fields of every answer of lmms-eval's interface beside its result."""
    fields = {"raw_response": response.content, "model": response.model_used, "prompt": ""}
    return {**fields, "success": response.success}
