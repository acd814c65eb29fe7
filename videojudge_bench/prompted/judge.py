"""A judge that asks a language model: prompt + engine + reply format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import ClassVar, cast

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import (
    Continuation,
    Engine,
    EngineError,
    Prefix,
    PromptGroup,
    Reply,
    Result,
    ServedEngine,
    check_delivered,
)
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Ability, Judge
from videojudge_bench.prompted.config import (
    NO_RUBRIC,
    PREFER,
    SHUFFLED,
    TEXT,
    WEIGHTS,
    PromptedConfig,
)
from videojudge_bench.prompted.forms import FREE, form_of, note_of
from videojudge_bench.prompted.inputs import InputPolicy
from videojudge_bench.prompted.templates import AnyItem, JudgeTemplates, ability_of
from videojudge_bench.replies import READER_VERSION
from videojudge_bench.replies._reading import (
    LOST_MASS,
    choices_for,
    joined,
    mean_of_samples,
    read_reply,
    replies_of,
    text_agrees,
)
from videojudge_bench.replies.criteria import read_criteria
from videojudge_bench.run._batcher import AsyncBatcher, HandOver
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

MAX_VALUES = 20
"""Maximum size of a scale for an expected score: servers give that many probabilities."""

_TAGS: Mapping[Ability, str] = {"rate": "<score>", "prefer": "<answer>"}


class PromptedJudge(Judge):
    """Asks a language model and reads its reply.

    A subclass names its prompts, of which one may be left out; files are looked for beside its
    module, in a folder `prompts` there, then in this package. A subclass that sets `runs_on` has
    the options of that engine.

    Args:
        engine: where the model runs: `transformers` in this process, `openai` behind a server,
            `scripted`, or `module:Class`; or an engine.
        score: `text` reads the verdict that the model writes; `expected` takes the mean of the
            probabilities of all verdicts at that place: another judge, with finer numbers.
        feedback: the model reasons between `<thinking>` tags before its verdict (the paper's
            "w/ FB"); False asks for the verdict at once.
        rubric: `none`; `write`: the model first writes one for the instruction; or a JSON Lines
            file of `{"video_id", "instruction", "rubric"}` to judge by.
        swap_rubrics: every instruction gets the rubric of another, to measure their influence.
        video: what is known of the video: its `frames`; its `description`, a text; `none`; or
            `shuffled`, the frames of another video, as input ablations. None: frames for a judge
            that requires video, else all that is known.
        samples: replies per item, whose mean counts; needs a temperature.
        temperature: 0 is greedy.
        max_tokens: a reply is cut after as many tokens.
        seed: for temperatures above 0.
        prompt: a file to rate with, in place of the class's own.
        pair_prompt: a file to compare with, in place of the class's own.
        pairs: `prefer` asks which response of a pair is better; `rate` asks about each alone, and
            the higher rating wins: for models that were trained to rate and never to compare.
        lost_mass: with `score=expected`, the most probability mass outside the scale; a reply
            with more has no verdict. 1 accepts any.
        structured: guided decoding: `regex`, the tags that the prompt asks for (vLLM, SGLang);
            `json`, an object (OpenAI's `response_format`, vLLM, SGLang); or `none`.
        criteria: a file (YAML, JSON) with a list of {name, question, weight, scale}, each of which
            one reply rates; or rubrics (JSON Lines) with a `checklist`. Pairs are then rated.
        overall: with criteria, the mean by `weights`, or a rating of its own by the `model`.
        concurrency: how many groups are asked for at once.
        engine_options: go to the engine's constructor.

    Raises:
        ConfigError: unknown options, options that do not go together, or a prompt that cannot be
            read.
    """

    prompts: ClassVar[Mapping[Ability, str]] = {"rate": "rate.jinja", "prefer": "prefer.jinja"}
    runs_on: ClassVar[str | None] = None
    # The prompts' hashes are in the settings. So are `pairs`, `lost_mass`, `structured`, `criteria`
    # and `overall`, and `engine` where a class adds it here; a default is not named, as before
    # there was a choice.
    unsigned = frozenset(
        {
            *("concurrency", "prompt", "pair_prompt", "pairs", "lost_mass", "structured"),
            *("criteria", "overall"),
        }
    )
    reader_version = READER_VERSION
    scale: RatingScale = RatingScale(1, 5)
    takes_scale = True  # the prompts name its ends

    def __init__(  # noqa: PLR0913 - the keywords are the options
        self,
        *,
        engine: str | Engine = "",
        score: str = TEXT,
        feedback: bool = True,
        rubric: str = NO_RUBRIC,
        swap_rubrics: bool = False,
        video: str | None = None,
        samples: int = 1,
        temperature: float = 0.0,
        max_tokens: int = 1024,
        seed: int = 0,
        prompt: str | None = None,
        pair_prompt: str | None = None,
        pairs: str = PREFER,
        lost_mass: float = LOST_MASS,
        structured: str = FREE,
        criteria: str | None = None,
        overall: str = WEIGHTS,
        concurrency: int = 16,
        **engine_options: Scalar,
    ) -> None:
        self.config = PromptedConfig(
            score=score,
            feedback=feedback,
            rubric=rubric,
            swap_rubrics=swap_rubrics,
            video=video,
            samples=samples,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            prompt=prompt,
            pair_prompt=pair_prompt,
            pairs=pairs,
            lost_mass=lost_mass,
            structured=str(structured).lower(),
            criteria=criteria,
            overall=overall,
            concurrency=concurrency,
        )
        name, engine = type(self).__name__, self.runs_on or engine
        self._engine_name = engine if isinstance(engine, str) else type(engine).__name__
        self.templates = JudgeTemplates(self.prompts, type(self), PromptedJudge, self.config)
        problems = [*self.config.problems(), *self.templates.problems()]
        if not engine:
            problems.append("option 'engine' is missing: give it as engine=…")
        if problems:
            raise ConfigError.all_of(f"judge {name}", problems)
        self._inputs = InputPolicy(self.config, self.requires)
        self.engine = self._build_engine(engine, engine_options)
        self._inputs.check_engine(name, "video" in self.engine.capabilities)
        if self.config.structured != FREE and "structured" not in self.engine.capabilities:
            raise ConfigError(
                f"structured={self.config.structured} needs a server that guides decoding; give "
                "engine=openai, or structured=none"
            )
        self._check_probabilities()
        self.abilities, self.requires = self.templates.abilities, self._inputs.requires
        self.fits_on_videos = self._inputs.video == SHUFFLED

    def _build_engine(self, engine: str | Engine, options: Mapping[str, Scalar]) -> Engine:
        if not isinstance(engine, str):
            if options:
                raise ConfigError(f"an engine that is made takes no options, got {sorted(options)}")
            return engine
        # What an engine's options change of a reply, it says itself.
        own = registry.options_of(registry.engine_class(engine)).keys()
        self.unsigned = self.unsigned | (own - registry.options_of(PromptedJudge).keys())
        if self.config.expected and "logprobs" in own:  # without them the run ends at once
            options = {"logprobs": True, **options}
        return registry.build_engine(engine, options, also_allowed=registry.options_of(type(self)))

    def _check_probabilities(self) -> None:
        """Called at the start and for every reply: a server shows only then that it gives none."""
        if self.config.expected and "logprobs" not in self.engine.capabilities:
            raise ConfigError(
                "score=expected needs the probabilities of tokens, and the engine gives none here; "
                "give score=text"
            )

    def fit(self, items: Sequence[Item | Pair]) -> None:
        """Find another video for each, and another rubric, where the options ask for it.

        Raises:
            ConfigError: there is no other.
        """
        self._inputs.fit(items)

    @property
    def learns_from_set(self) -> bool:
        """True if other items matter: only where videos or rubrics are swapped between them."""
        return self._inputs.learns_from_set or type(self).fit is not PromptedJudge.fit

    def rate(self, item: Item) -> Rating | Unparsed:
        """Return the rating that the model gives."""
        (judgement,) = self.judge([item])
        return cast("Rating | Unparsed", judgement.verdict)

    def prefer(self, pair: Pair) -> Preference | Unparsed:
        """Return the model's preference, or that of its two ratings without a pair prompt."""
        (judgement,) = self.judge([pair])
        return cast("Preference | Unparsed", judgement.verdict)

    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        """Yield judgements as replies come in, `concurrency` groups at a time."""
        groups = (list(members) for _, members in groupby(items, key=_prefix_key))
        for item, replies in AsyncBatcher(self.ask, groups, self.config.concurrency):
            yield self._judgement(item, iter(replies))

    async def ask(
        self, group: Sequence[Item | Pair], hand_over: HandOver[tuple[AnyItem, Sequence[Result]]]
    ) -> None:
        """Hand over each item of one group with the engine's replies for it, once they are there.

        A pair has two, one per response, when the judge has no prompt for pairs; then there are
        `samples` of each.
        """
        parts = [part for item in group for part in self.templates.parts(item)]
        each = len(parts) // len(group) * self.config.samples
        places = range(len(group) * each)
        missing = self._inputs.missing(parts[0])
        replies: dict[int, Result] = self._early(group, each)
        if missing:
            replies = dict.fromkeys(places, EngineError(missing))
        left = [place for place in places if place not in replies]

        async def finish(item: int) -> None:
            mine = range(item * each, (item + 1) * each)
            if all(place in replies for place in mine):
                await hand_over((group[item], [replies[place] for place in mine]))

        async def deliver(number: int, result: Result) -> None:
            self._check_probabilities()
            item, place = divmod(left[number], each)
            replies[left[number]] = result
            if each > 1 and isinstance(result, Reply):
                part = parts[left[number] // self.config.samples]
                self._keep(group[item].id, place, self._read_one(part, result))
            await finish(item)

        for item in range(len(group)):
            await finish(item)
        if left:
            prompts = self._prompt_group(parts)
            asked = tuple(prompts.continuations[place] for place in left)
            await self.engine.complete(replace(prompts, continuations=asked), deliver)
            check_delivered(replies, prompts)

    def _keep(self, item_id: str, place: int, judgement: Judgement) -> None:
        if self.early_replies is not None:
            self.early_replies.keep(item_id, place, judgement)

    def _early(self, group: Sequence[AnyItem], each: int) -> dict[int, Result]:
        """Return the replies that an earlier run got, by their place in the group."""
        if self.early_replies is None or each == 1:
            return {}
        return {
            number * each + place: reply
            for number, item in enumerate(group)
            for place, judgement in self.early_replies.of(item.id).items()
            if place < each
            for reply in replies_of(judgement)
        }

    def _prompt_group(self, parts: Sequence[AnyItem]) -> PromptGroup:
        visible = [self.visible(part) for part in parts]
        first = visible[0]
        slots, rubric = self._inputs.slots(first, self.scale), self._inputs.rubric(first)
        rendered = self.templates.render(visible, self.scale, rubric, slots)
        structured, options = self.config.structured, self.config.prompt_options(criteria=slots)
        note = note_of(structured, first, options)
        tails = tuple(
            # Each sample has an id of its own, from which engines draw their random numbers.
            Continuation(f"{part.id}~{number}" if number else part.id, prompt.response + note)
            for part, prompt in zip(visible, rendered, strict=True)
            for number in range(self.config.samples)
        )
        prefix = Prefix(rendered[0].system, rendered[0].shared, first.video)
        slots = slots if self.config.expected else ()
        choices = self._choices(first) if self.config.expected else ()
        if slots:
            choices = tuple(dict.fromkeys(c for slot in slots for c in slot.choices))
        start = _TAGS[ability_of(first)] if self.config.verdict_first else ""
        form = form_of(structured, first, options, choices_for(first, self.scale))
        sampling = self.config.sampling
        return PromptGroup(prefix, tails, start, choices, sampling, form=form, slots=slots)

    def _choices(self, part: AnyItem) -> tuple[str, ...]:
        choices = choices_for(part, self.scale)
        if len(choices) > MAX_VALUES:
            raise ConfigError(
                f"score=expected is for scales of up to {MAX_VALUES} values, and {self.scale} "
                f"has {len(choices)}; give score=text"
            )
        return choices

    def visible(self, item: AnyItem) -> AnyItem:
        """Return an item with what the model may know of its video."""
        return self._inputs.visible(item, takes_video="video" in self.engine.capabilities)

    def sources(self) -> tuple[type, ...]:
        """Return the classes of the judge and of its engine."""
        return (type(self), type(self.engine))

    def reread(self, item: AnyItem, judgement: Judgement) -> Judgement | None:
        """Return a judgement with its replies read anew; None: it has to be asked for again.

        That is so with `score=expected`, where the reader finds the verdict at another place of a
        reply than where the probabilities were taken.
        """
        replies = replies_of(judgement)
        parts = [p for p in self.templates.parts(item) for _ in range(self.config.samples)]
        if len(parts) != len(replies):
            return None
        if self.config.expected and not self.config.verdict_first:
            if self.config.criteria is not None:
                return None
            each = zip(parts, replies, strict=True)
            if not all(text_agrees(part, reply, self.scale) for part, reply in each):
                return None
        return self._judgement(item, iter(replies))

    def _judgement(self, item: AnyItem, replies: Iterator[Result]) -> Judgement:
        judgements = [self._read(part, replies) for part in self.templates.parts(item)]
        return judgements[0] if len(judgements) == 1 else joined(cast("Pair", item), *judgements)

    def _read(self, part: AnyItem, replies: Iterator[Result]) -> Judgement:
        samples = [self._read_one(part, next(replies)) for _ in range(self.config.samples)]
        return mean_of_samples(part.id, samples)

    def _read_one(self, part: AnyItem, reply: Result) -> Judgement:
        lost = float(self.config.lost_mass) if self.config.expected else None
        if slots := self._inputs.slots(part, self.scale):
            return read_criteria(part.id, reply, slots, self.scale, lost)
        return read_reply(part, reply, self.scale, lost)

    def settings(self) -> Mapping[str, Scalar]:
        """Return the prompts' hashes, what is shown, and what the engine says of itself."""
        # Presets are not among the arguments: what they stand for must be said.
        own: dict[str, Scalar] = {"max_tokens": self.config.sampling.max_tokens}
        if "engine" in self.unsigned and self._engine_name != registry.engine_name(type(self)):
            own["engine"] = self._engine_name
        if self.config.lost_mass != LOST_MASS:
            own["lost_mass"] = float(self.config.lost_mass)
        if self.config.structured != FREE:
            own["structured"] = self.config.structured
        return {
            **self.templates.settings(),
            **self._inputs.settings(),
            **own,
            **self.engine.settings(),
        }

    def server_statements(self) -> Sequence[Mapping[str, str]]:
        """Return all that the engine's server said of itself."""
        return self.engine.statements if isinstance(self.engine, ServedEngine) else ()

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()


def _prefix_key(item: AnyItem) -> tuple[object, ...]:
    """Return what must be equal for items to share a prompt prefix."""
    return (
        type(item), item.group, item.references, item.description, item.subtitles, item.video,
    )  # fmt: skip
