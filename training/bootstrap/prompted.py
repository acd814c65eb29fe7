"""Generator, evaluator and writer of rubrics that ask a language model, by any engine.

All read the description of the video, the instruction and the gold answer. The evaluator gets a
response without its target.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from videojudge_bench import registry
from videojudge_bench._util.hashing import content_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import (
    Continuation,
    Engine,
    EngineError,
    Prefix,
    PromptGroup,
    Reply,
    Sampling,
    complete_all,
)
from videojudge_bench.errors import ConfigError
from videojudge_bench.prompts import load_prompt
from videojudge_bench.replies.reply_format import parse_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.training.bootstrap.contracts import (
    Attempt,
    Draft,
    DraftReply,
    Evaluation,
    EvaluationReply,
    Seed,
)
from videojudge_bench.verdicts import Rating

PROMPTS_FOLDER = Path(__file__).parent / "prompts"
WRITE_PROMPT, EVALUATE_PROMPT, RUBRIC_PROMPT = "write.jinja", "evaluate.jinja", "rubric.jinja"

CUT_OFF = "the reply was cut off at max_tokens"
NO_FEEDBACK = "the evaluator gave no rating"

_REASONED = re.compile(r"</\s?think(?:ing)?\s?>", re.IGNORECASE)
_FEEDBACK_KEYS = ("feedback", "reason", "reasons", "reasoning", "explanation", "rationale")
_SCALE = RatingScale()


class Prompted:
    """A role played by a language model.

    Args:
        engine: its name, `module:Class`, or an engine.
        prompt: a `.jinja` file in place of ours.
        temperature: of the decoding; None: that of the role (`TEMPERATURE`).
        max_tokens: of a reply, reasoning included.
        seed: for temperatures above 0.
        engine_options: for the engine's constructor.

    Raises:
        ConfigError: unknown engine or option, or a prompt that cannot be read.
    """

    PROMPT = ""
    """The file of ours that the role is asked with."""

    TEMPERATURE = 0.7

    def __init__(
        self,
        *,
        engine: str | Engine,
        prompt: str | None = None,
        temperature: float | None = None,
        max_tokens: int = 1024,
        seed: int = 0,
        **engine_options: Scalar,
    ) -> None:
        temperature = self.TEMPERATURE if temperature is None else temperature
        if max_tokens < 1 or temperature < 0:
            raise ConfigError(
                f"max_tokens={max_tokens} and temperature={temperature:g}: they must be at least "
                "1 and at least 0"
            )
        self._template = load_prompt(Path(prompt) if prompt else PROMPTS_FOLDER / self.PROMPT)
        self._sampling = Sampling(temperature, max_tokens, seed)
        self._name = engine if isinstance(engine, str) else type(engine).__name__
        if isinstance(engine, str):
            own = ("engine", "prompt", "temperature", "max_tokens", "seed")
            engine = registry.build_engine(engine, engine_options, also_allowed=own)
        elif engine_options:
            given = sorted(engine_options)
            raise ConfigError(f"an engine that is made takes no options, given {given}")
        self._engine = engine

    async def _reply(
        self, call_id: str, values: Mapping[str, object], purpose: str
    ) -> Reply | EngineError:
        prompt = self._template.render_with(values, purpose=purpose)
        group = PromptGroup(
            Prefix(prompt.system, prompt.shared),
            (Continuation(call_id, prompt.response),),
            sampling=self._sampling,
        )
        (reply,) = await complete_all(self._engine, group)
        return reply

    def settings(self) -> Mapping[str, Scalar]:
        """Return engine, model, the prompt's hash and the decoding."""
        return {
            "engine": self._name,
            **self._engine.settings(),
            "prompt": self._template.sha,
            "temperature": float(self._sampling.temperature),
            "max_tokens": self._sampling.max_tokens,
            "seed": self._sampling.seed,
        }

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


class PromptedGenerator(Prompted):
    """Asks a model for a response that deserves a rating, and for a better one after a mismatch.

    The response stands between `<answer>` tags; a reply without them is a draft with a `problem`,
    which the next call states.
    """

    PROMPT = WRITE_PROMPT

    async def write(self, seed: Seed, target: int, earlier: Sequence[Attempt]) -> DraftReply:
        """Return what the model wrote between the tags, or a draft with a problem."""
        read = [attempt for attempt in earlier if not attempt.draft.problem]
        last = read[-1] if read else None
        unread = list(takewhile(lambda attempt: attempt.draft.problem, reversed(earlier)))
        values = {
            **_seed_values(seed),
            "target": target,
            "problem": unread[0].draft.problem if unread else "",
            "unread": len(unread),
            "round": len(read) + 1,
            "earlier": last.draft.text if last else None,
            "rating": _number(last.evaluation.rating) if last else None,
            "feedback": last.evaluation.feedback if last else None,
        }
        call_id = f"{seed.id}/{target}/{len(earlier) + 1}"
        reply = await self._reply(call_id, values, "generators")
        return reply if isinstance(reply, EngineError) else draft_of(reply, "answer")


class PromptedEvaluator(Prompted):
    """Asks a model to rate a response against the gold answer, with feedback.

    The model is to write `<feedback>…</feedback><score>n</score>`. A reply that states no rating
    is an `Evaluation` without one, and its feedback says why.
    """

    PROMPT, TEMPERATURE = EVALUATE_PROMPT, 0.0

    async def rate(
        self, seed: Seed, draft: Draft, unread: Sequence[Evaluation] = ()
    ) -> EvaluationReply:
        """Return the rating that the model's reply states, 1 to 5, and its feedback."""
        # Neither target nor round: equal responses are rated alike, and nothing gives them away.
        call_id = f"{seed.id}/rate/{content_hash(draft.text)[:12]}"
        problem = ""
        if unread:
            call_id += f"/{len(unread) + 1}"
            problem = unread[-1].feedback.removeprefix(f"{NO_FEEDBACK}: ")
        values = {"response": draft.text, "problem": problem, "unread": len(unread)}
        reply = await self._reply(call_id, {**_seed_values(seed), **values}, "evaluators")
        return reply if isinstance(reply, EngineError) else evaluation_of(reply)


class PromptedRubrics(Prompted):
    """Asks a model for a rubric: what deserves each rating, for one instruction about one video.

    The model reads no response. The rubric stands between `<rubric>` tags; a reply without them is
    a draft with a `problem`.
    """

    PROMPT = RUBRIC_PROMPT

    async def rubric(self, seed: Seed, number: int, problem: str) -> DraftReply:
        """Return what the model wrote between the tags, or a draft with a problem."""
        values = {**_seed_values(seed), "round": number, "problem": problem}
        reply = await self._reply(f"{seed.id}/rubric/{number}", values, "rubrics")
        return reply if isinstance(reply, EngineError) else draft_of(reply, "rubric")


def draft_of(reply: Reply, tag: str) -> Draft:
    """Return the content of the last complete tags of a reply as a draft, or one with a problem."""
    text = last_tagged(reply.text, tag)
    problem = "" if text else _untagged(reply, tag)
    return Draft(text, usage=reply.usage, problem=problem, raw=reply.text)


def _untagged(reply: Reply, tag: str) -> str:
    text = _REASONED.split(reply.text)[-1].lower()
    if not text.strip():
        problem = "it is empty"
    elif f"<{tag}>" not in text:
        problem = f"it has no <{tag}> tag"
    elif f"</{tag}>" not in text:
        problem = f"its <{tag}> tag is not closed"
    else:
        problem = f"nothing stands between its <{tag}> tags"
    cut = "" if reply.finished else f"; {CUT_OFF}"
    return f"{problem}{cut}. Write the tags: <{tag}>, the {tag}, </{tag}>"


def last_tagged(reply: str, tag: str) -> str:
    """Return the content of the last complete tags of a reply; "" when there are none.

    Reasoning between `<think>` tags is left out.
    """
    matches = _tagged(tag).findall(_REASONED.split(reply)[-1])
    return str(matches[-1]).strip() if matches else ""


def _tagged(tag: str) -> re.Pattern[str]:
    return re.compile(rf"<{tag}>((?:(?!<{tag}>).)*)</{tag}>", re.IGNORECASE | re.DOTALL)


def evaluation_of(reply: Reply) -> Evaluation:
    """Return the evaluation in a reply, with tags or as a JSON object."""
    text = _REASONED.split(reply.text)[-1]
    # Feedback may speak of ratings, so that the verdict is looked for outside of it.
    verdict = parse_rating(_tagged("feedback").sub("\n", text), _SCALE)
    if not isinstance(verdict, Rating):
        why = verdict.reason if reply.finished else CUT_OFF
        return Evaluation(None, f"{NO_FEEDBACK}: {why}", reply.usage, reply.text)
    feedback = last_tagged(text, "feedback") or _feedback_of_json(text)
    return Evaluation(verdict.value, feedback, reply.usage, reply.text)


def _feedback_of_json(text: str) -> str:
    """The first text of a JSON object that is called as feedback is; "" when there is none."""
    start = text.find("{")
    try:
        data, _ = json.JSONDecoder().raw_decode(text, max(start, 0))
    except ValueError:
        return ""
    if not isinstance(data, dict):
        return ""
    named = {str(key).lower(): value for key, value in data.items()}
    texts = (named[key] for key in _FEEDBACK_KEYS if isinstance(named.get(key), str))
    return next(texts, "").strip()


def _seed_values(seed: Seed) -> dict[str, object]:
    return {"description": seed.description, "instruction": seed.instruction, "gold": seed.gold}


def _number(rating: float | None) -> float | int | None:
    """The rating as a grader would write it: 4, not 4.0."""
    return int(rating) if rating is not None and rating == int(rating) else rating
