"""A judge that asks a language model: prompt + engine + reply format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Union, cast

from videojudge_bench import registry
from videojudge_bench._util.derangement import others_by_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import (
    Continuation,
    Engine,
    EngineError,
    Prefix,
    PromptGroup,
    Reply,
    Sampling,
)
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Ability, Judge, Need
from videojudge_bench.prompts import RenderedPrompt, Wanted, find_prompt, load_prompt
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
from videojudge_bench.run._batcher import AsyncBatcher
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

if TYPE_CHECKING:
    from videojudge_bench.prompts.rubric_book import RubricBook

Group = Sequence[Union[Item, Pair]]
Shown = Literal["all", "frames", "description", "none", "shuffled"]

SCORES = ("text", "expected")
VIDEO = ("frames", "description", "none", "shuffled")
WRITE, NO_RUBRIC = "write", "none"
PAIRS = (PREFER, RATE) = ("prefer", "rate")

MOST_VALUES = 20
"""Of a scale, for an expected score: a server gives the probabilities of so many tokens."""

_TAGS: Mapping[Ability, str] = {"rate": "<score>", "prefer": "<answer>"}


class PromptedJudge(Judge):
    """Asks a language model and reads its reply.

    A subclass names its prompts; files are looked for beside the class's module and in a folder
    `prompts` there, then among the prompts of this package. Any of the two may be left out. One
    that sets `runs_on` has chosen its engine, whose options are then its own.

    Args:
        engine: where the model runs: the name of an engine or `module:Class`.
        score: `text` reads the verdict that the model writes; `expected` takes the mean of the
            probabilities of all verdicts at that place: another judge, with finer numbers.
        feedback: the model reasons between `<thinking>` tags before its verdict (the paper's
            "w/ FB"); False asks for the verdict at once.
        rubric: `none`; `write`: the model first writes one for the instruction; or a JSON Lines
            file of `{"video_id", "instruction", "rubric"}` to judge by.
        swap_rubrics: every instruction gets the rubric of another: does the judge heed them?
        video: what is known of the video: its `frames`; its `description`, a text; `none`; or
            `shuffled`, the frames of another video. All with the same prompt and model, so that
            they tell what seeing is worth. None: frames for a judge that requires video, else all
            that is known.
        samples: replies per item, whose mean counts; needs a temperature.
        temperature: 0 is greedy.
        max_tokens: a reply is cut after as many tokens.
        seed: for temperatures above 0.
        prompt: a file to rate with, in place of the class's own.
        pair_prompt: a file to compare with, in place of the class's own.
        pairs: `prefer` asks which response of a pair is better; `rate` asks about each alone, and
            the higher rating wins: for models that were trained to rate and never to compare.
        lost_mass: with `score=expected`, more probability than this beside the verdicts is no
            verdict; 1 reads a model that was never taught to give one.
        concurrency: how many groups are asked for at once.
        engine_options: go to the engine's constructor.

    Raises:
        ConfigError: unknown options, options that do not go together, or a prompt that cannot be
            read.
    """

    prompts: ClassVar[Mapping[Ability, str]] = {"rate": "rate.jinja", "prefer": "prefer.jinja"}
    runs_on: ClassVar[str | None] = None
    # The prompts' hashes are in the settings.
    # So are `pairs` and `lost_mass`; a default is not named, as before there was a choice.
    unsigned = frozenset({"concurrency", "prompt", "pair_prompt", "pairs", "lost_mass"})
    reader_version = READER_VERSION
    scale: RatingScale = RatingScale(1, 5)
    takes_scale = True  # the prompts name its ends

    def __init__(  # noqa: PLR0913 - the keywords are the options
        self,
        *,
        engine: str = "",
        score: str = "text",
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
        concurrency: int = 16,
        **engine_options: Scalar,
    ) -> None:
        engine = self.runs_on or engine
        if not engine:
            raise ConfigError(
                f"judge {type(self).__name__}: option 'engine' is missing: give it as engine=…"
            )
        own = {"rate": prompt, "prefer": pair_prompt}
        self._templates = {
            ability: load_prompt(Path(own[ability] or find_prompt(type(self), name, PromptedJudge)))
            for ability, name in self.prompts.items()
            if (ability, pairs) != ("prefer", RATE)
        }
        # Whoever rates can also prefer: the higher of two ratings wins.
        self.abilities = frozenset(self.prompts) | (
            {"prefer"} if "rate" in self.prompts else frozenset()
        )
        self._expected, self._samples = score == "expected", samples
        self._lost_mass = float(lost_mass)
        self._sampling = Sampling(float(temperature), int(max_tokens), int(seed))
        self._concurrency = concurrency
        self._wanted = Wanted(bool(feedback), rubric == WRITE)
        self._book = _rubrics(rubric)
        self._swap_rubrics, self._swapped = swap_rubrics, dict[tuple[str, str], str]()
        problems = self._problems(score) + self._prompt_problems(video)
        if pairs not in PAIRS or (pairs == RATE and "rate" not in self.prompts):
            problems.append(f"pairs={pairs!r}: it is prefer, or rate for a judge that can rate")
        problems += [
            f"{file}: the judge has no prompt to {ability} with that it could replace"
            for ability, file in own.items()
            if file is not None and ability not in self._templates
        ]
        if problems:
            raise ConfigError.all_of(f"judge {type(self).__name__}", problems)
        self.engine = self._make_engine(engine, engine_options)
        self._video, self._others = self._look(video), dict[str, Path]()
        self.fits_on_videos = self._video == "shuffled"
        self._check_probabilities()

    def _make_engine(self, name: str, options: Mapping[str, Scalar]) -> Engine:
        # What an engine's options change of a reply, it says itself.
        own = registry.options_of(registry.engine_class(name)).keys()
        self.unsigned = self.unsigned | (own - registry.options_of(PromptedJudge).keys())
        return registry.build_engine(name, options, also_allowed=registry.options_of(type(self)))

    def _problems(self, score: str) -> list[str]:
        samples, sampling, lost = self._samples, self._sampling, self._lost_mass
        hot, at_once = sampling.temperature > 0, self._verdict_at_once
        checks = {
            f"score={score!r}: it is one of {', '.join(SCORES)}": score not in SCORES,
            f"temperature={sampling.temperature}: it is a number from 0 up": not (
                0 <= sampling.temperature < math.inf
            ),
            f"concurrency must be at least 1, got {self._concurrency}": self._concurrency < 1,
            f"max_tokens must be at least 1, got {sampling.max_tokens}": sampling.max_tokens < 1,
            f"samples must be at least 1, got {samples}": samples < 1,
            f"samples={samples} with temperature=0 would be the same reply again and again; give "
            "temperature=0.7, say": samples > 1 and not hot and not at_once,
            "with score=expected and feedback=false nothing is sampled; give samples=1 and "
            "temperature=0": at_once and (samples > 1 or hot),
            f"lost_mass={lost:g}: it is a share, from 0 to 1": not 0 <= lost <= 1,
            "lost_mass is for score=expected alone": lost != LOST_MASS and not self._expected,
            "swap_rubrics=true needs rubrics to swap; give rubric=FILE": (
                self._swap_rubrics and self._book is None
            ),
        }
        return [problem for problem, found in checks.items() if found]

    def _prompt_problems(self, video: str | None) -> list[str]:
        """Options that a prompt of one's own takes no notice of would be a quiet lie."""
        needed = {
            "rubric": ("rubric=FILE", self._book is not None),
            "write_rubric": ("rubric=write", self._wanted.write_rubric),
            "feedback": ("feedback=false", not self._wanted.feedback and not self._expected),
            "description": ("video=description", video == "description"),
        }
        return [
            f"prompt {template.name} does not use {name!r}, so {option} would change nothing"
            for template in self._templates.values()
            for name, (option, asked) in needed.items()
            if asked and name not in template.uses
        ]

    def _check_probabilities(self) -> None:
        """At the start, and behind every reply: a server tells only then that it gives none."""
        if self._expected and "logprobs" not in self.engine.capabilities:
            raise ConfigError(
                "score=expected needs the probabilities of tokens, and the engine gives none here; "
                "give score=text"
            )

    @property
    def _verdict_at_once(self) -> bool:
        """Whether the reply begins with the verdict, and the probabilities there are all of it."""
        wanted = self._wanted
        return self._expected and not wanted.feedback and not wanted.write_rubric

    def _look(self, video: str | None) -> Shown:
        """Return what is shown of the video, and require it where the user asked for it."""
        sees, name = "video" in self.engine.capabilities, type(self).__name__
        if video is not None and video not in VIDEO:
            raise UnknownNameError("video", str(video), VIDEO)
        looks = "video" in self.requires if video is None else video in ("frames", "shuffled")
        if looks and not sees:
            raise ConfigError(
                f"judge {name} looks at videos, but its engine takes text alone here; choose a "
                "model that takes videos, or give video=description or video=none"
            )
        if video is None:
            return "frames" if looks else "all"
        needs: dict[str, set[Need]] = {"description": {"description"}, "none": set()}
        self.requires = (self.requires - {"video", "description"}) | needs.get(video, {"video"})
        return cast("Shown", video)

    def fit(self, items: Sequence[Item | Pair]) -> None:
        """Find another video for each, and another rubric, where the options ask for it.

        Raises:
            ConfigError: there is no other.
        """
        if self._video == "shuffled":
            files = {item.video_id: item.video for item in items if item.video is not None}
            # Of several ids of one file, one counts: each would else be "another video".
            id_of = {files[video_id]: video_id for video_id in sorted(files)}
            other = others_by_hash(list(id_of.values()), what="video=shuffled", of="videos")
            self._others = {i: files[other[id_of[path]]] for i, path in files.items()}
        if self._book is not None and self._swap_rubrics:
            self._swapped = self._book.swapped([item.group for item in items])

    @property
    def learns_from_set(self) -> bool:
        """Whether other items matter: only where videos or rubrics are swapped between them."""
        return self.fits_on_videos or self._swap_rubrics or type(self).fit is not PromptedJudge.fit

    def rate(self, item: Item) -> Rating | Unparsed:
        """Return the rating that the model gives."""
        return cast("Rating | Unparsed", self._only(item).verdict)

    def prefer(self, pair: Pair) -> Preference | Unparsed:
        """Return the model's preference, or that of its two ratings without a pair prompt."""
        return cast("Preference | Unparsed", self._only(pair).verdict)

    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        """Yield judgements as replies come in, `concurrency` groups at a time."""
        groups = (list(members) for _, members in groupby(items, key=_prefix_key))
        for group, replies in AsyncBatcher(self.ask, groups, self._concurrency):
            answers = iter(replies)
            for item in group:
                yield self._judgement(item, answers)

    async def ask(self, group: Group) -> Sequence[Reply | EngineError]:
        """Return the engine's replies for the items of one group, in order.

        A pair counts twice, once per response, when the judge has no prompt for pairs; then each
        counts `samples` times.
        """
        parts = [part for item in group for part in self._parts(item)]
        if missing := self._missing(parts[0]):
            return [EngineError(missing)] * (len(parts) * self._samples)
        parts = [self.visible(part) for part in parts]
        rendered = self._rendered(parts)
        tails = tuple(
            Continuation(_sample_id(part.id, number), prompt.response)
            for part, prompt in zip(parts, rendered, strict=True)
            for number in range(self._samples)
        )
        prefix = Prefix(rendered[0].system, rendered[0].shared, parts[0].video)
        replies = await self.engine.complete(self._prompt_group(prefix, tails, parts[0]))
        if len(replies) != len(tails):
            raise ValueError(f"the engine gave {len(replies)} replies to {len(tails)} prompts")
        self._check_probabilities()
        return replies

    def _missing(self, item: Item | Pair) -> str:
        """What a group lacks that the options ask for, "" when it has everything."""
        if self._video == "shuffled" and item.video_id not in self._others:
            return f"video=shuffled: `fit` was shown no file of video {item.video_id!r}"
        if self._book is not None and self._rubric(item) is None:
            return f"no rubric for its instruction in {self._book.path.name}"
        return ""

    def _rubric(self, item: Item | Pair) -> str | None:
        if self._book is None:
            return ""
        if self._swap_rubrics:
            return self._swapped.get(item.group)
        return self._book.rubric(item.group)

    def _rendered(self, parts: Group) -> list[RenderedPrompt]:
        template = self._templates[_ability(parts[0])]
        wanted = replace(self._wanted, rubric=self._rubric(parts[0]) or "")
        found = [template.render(part, self.scale, wanted) for part in parts]
        if len({(prompt.system, prompt.shared) for prompt in found}) > 1:
            raise ConfigError(
                f"prompt {template.name}: its blocks 'system' and 'shared' differ between the "
                "responses to one instruction; what differs belongs into the block 'response'"
            )
        return found

    def _prompt_group(
        self, prefix: Prefix, tails: tuple[Continuation, ...], part: Item | Pair
    ) -> PromptGroup:
        if not self._expected:
            return PromptGroup(prefix, tails, sampling=self._sampling)
        choices = choices_for(part, self.scale)
        if len(choices) > MOST_VALUES:
            raise ConfigError(
                f"score=expected is for scales of up to {MOST_VALUES} values, and {self.scale} "
                f"has {len(choices)}; give score=text"
            )
        start = _TAGS[_ability(part)] if self._verdict_at_once else ""
        return PromptGroup(prefix, tails, start, choices, self._sampling)

    def settings(self) -> Mapping[str, Scalar]:
        """Return the prompts' hashes, what is shown, and what the engine says of itself."""
        shas = {f"prompt_{a}": self._templates[a].sha for a in sorted(self._templates)}
        # Presets are not among the arguments: what they stand for must be said.
        rubric = WRITE if self._wanted.write_rubric else NO_RUBRIC
        if self._book is not None:
            rubric = f"sha256:{self._book.sha}"
        own: dict[str, Scalar] = {"rubric": rubric, "max_tokens": self._sampling.max_tokens}
        if self.prompts.keys() - self._templates.keys():
            own["pairs"] = RATE
        if self._lost_mass != LOST_MASS:
            own["lost_mass"] = self._lost_mass
        return {**shas, **own, "video": self._video, **self.engine.settings()}

    def visible(self, item: Item | Pair) -> Item | Pair:
        """Return an item with what the model may know of its video."""
        if self._video == "shuffled":
            item = replace(item, video=self._others.get(item.video_id, item.video))
        if self._video in ("description", "none") or "video" not in self.engine.capabilities:
            item = replace(item, video=None)
        return item if self._video in ("all", "description") else replace(item, description=None)

    def sources(self) -> tuple[type, ...]:
        """Return the classes of the judge and of its engine."""
        return (type(self), type(self.engine))

    def reread(self, item: Item | Pair, judgement: Judgement) -> Judgement | None:
        """Return a judgement with its replies read anew; None: it has to be asked for again.

        That is so with `score=expected`, where the reader finds the verdict at another place of a
        reply than where the probabilities were taken.
        """
        replies = replies_of(judgement)
        parts = [part for part in self._parts(item) for _ in range(self._samples)]
        if len(parts) != len(replies):
            return None
        if self._expected and not self._verdict_at_once:
            each = zip(parts, replies, strict=True)
            if not all(text_agrees(part, reply, self.scale) for part, reply in each):
                return None
        return self._judgement(item, iter(replies))

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()

    def _only(self, item: Item | Pair) -> Judgement:
        (judgement,) = self.judge([item])
        return judgement

    def _parts(self, item: Item | Pair) -> Sequence[Item | Pair]:
        if isinstance(item, Pair) and "prefer" not in self._templates:
            return item.sides()
        return (item,)

    def _judgement(self, item: Item | Pair, replies: Iterator[Reply | EngineError]) -> Judgement:
        found = [self._read(part, replies) for part in self._parts(item)]
        return found[0] if len(found) == 1 else joined(cast("Pair", item), *found)

    def _read(self, part: Item | Pair, replies: Iterator[Reply | EngineError]) -> Judgement:
        most = self._lost_mass if self._expected else None
        samples = [read_reply(part, next(replies), self.scale, most) for _ in range(self._samples)]
        return mean_of_samples(part.id, samples)


def _rubrics(rubric: str) -> RubricBook | None:
    if rubric in (WRITE, NO_RUBRIC):
        return None
    if not Path(rubric).is_file():
        raise ConfigError(
            f"rubric={rubric!r}: it is none, write, or a file of rubrics, and there is no such file"
        )
    from videojudge_bench.prompts.rubric_book import RubricBook

    return RubricBook(Path(rubric))


def _ability(item: Item | Pair) -> Ability:
    return "rate" if isinstance(item, Item) else "prefer"


def _sample_id(item_id: str, number: int) -> str:
    """Of its own per sample: engines draw their random numbers by it."""
    return f"{item_id}~{number}" if number else item_id


def _prefix_key(item: Item | Pair) -> tuple[object, ...]:
    """What must be equal for items to share a prompt prefix."""
    return (
        type(item), item.group, item.references, item.description, item.subtitles, item.video,
    )  # fmt: skip
