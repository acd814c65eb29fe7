"""A judge that asks a language model: prompt + engine + reply format."""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import ClassVar, Union, cast

from videojudge_bench import registry
from videojudge_bench.engine import (
    Continuation,
    Engine,
    EngineError,
    Prefix,
    PromptGroup,
    Reply,
    Sampling,
)
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Ability, Judge, preference_from_ratings
from videojudge_bench.prompts import PROMPTS_FOLDER, PromptTemplate, load_prompt
from videojudge_bench.reply_format import parse_preference, parse_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.signature import Scalar
from videojudge_bench.verdicts import Judgement, Preference, Rating, Unparsed

Group = Sequence[Union[Item, Pair]]


class PromptedJudge(Judge):
    """Asks a language model and reads its reply.

    A subclass names its prompts; files are looked for beside the class's module and in a folder
    `prompts` there, then among the prompts of this package. Any of the two may be left out.

    Args:
        engine: where the model runs: the name of an engine or `module:Class`.
        temperature: 0 is greedy.
        max_tokens: a reply is cut after as many tokens.
        seed: for temperatures above 0.
        concurrency: how many groups are asked for at once.
        engine_options: go to the engine's constructor.

    Raises:
        ConfigError: an unknown engine or option, or a prompt that cannot be read.
    """

    prompts: ClassVar[Mapping[Ability, str]] = {"rate": "rate.jinja", "prefer": "prefer.jinja"}
    unsigned: ClassVar[frozenset[str]] = frozenset({"concurrency"})
    scale = RatingScale(1, 5)
    takes_scale = True  # the prompts name its ends

    def __init__(
        self,
        *,
        engine: str,
        temperature: float = 0.0,
        max_tokens: int = 1024,
        seed: int = 0,
        concurrency: int = 16,
        **engine_options: Scalar,
    ) -> None:
        if concurrency < 1:
            raise ConfigError(f"concurrency must be at least 1, got {concurrency}")
        # Whoever rates can also prefer: the higher of two ratings wins.
        self.abilities = frozenset(self.prompts) | (
            {"prefer"} if "rate" in self.prompts else frozenset()
        )
        self._templates = {
            ability: load_prompt(_find_prompt(type(self), name))
            for ability, name in self.prompts.items()
        }
        self._sampling = Sampling(float(temperature), int(max_tokens), int(seed))
        self._concurrency = concurrency
        self.engine: Engine = registry.build_engine(
            engine, engine_options, also_allowed=registry.options_of(type(self))
        )
        if "video" in self.requires and "video" not in self.engine.capabilities:
            raise ConfigError(
                f"judge {type(self).__name__} looks at videos, but the engine {engine!r} takes "
                "text alone; choose an engine with the capability video"
            )

    def rate(self, item: Item) -> Rating | Unparsed:
        """Return the rating that the model gives."""
        return cast("Rating | Unparsed", self._only(item).verdict)

    def prefer(self, pair: Pair) -> Preference | Unparsed:
        """Return the model's preference, or that of its two ratings without a pair prompt."""
        return cast("Preference | Unparsed", self._only(pair).verdict)

    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        """Yield judgements as replies come in, `concurrency` groups at a time."""
        groups = (list(members) for _, members in groupby(items, key=_prefix_key))
        for group, replies in _Pump(self.ask, groups, self._concurrency):
            answers = iter(replies)
            for item in group:
                found = [self._read(part, next(answers)) for part in self._parts(item)]
                yield found[0] if len(found) == 1 else _joined(item, *found)

    async def ask(self, group: Group) -> Sequence[Reply | EngineError]:
        """Return the engine's replies for the items of one group, in order.

        A pair counts twice, once per response, when the judge has no prompt for pairs.
        """
        parts = [part for item in group for part in self._parts(item)]
        if "video" not in self.engine.capabilities:
            parts = [replace(part, video=None) for part in parts]
        rendered = [self._template(part).render(part, self.scale) for part in parts]
        prefix = Prefix(rendered[0].system, rendered[0].shared, parts[0].video)
        tails = tuple(
            Continuation(part.id, prompt.response)
            for part, prompt in zip(parts, rendered, strict=True)
        )
        replies = await self.engine.complete(PromptGroup(prefix, tails, sampling=self._sampling))
        if len(replies) != len(tails):
            raise ValueError(f"the engine gave {len(replies)} replies to {len(tails)} prompts")
        return replies

    def settings(self) -> Mapping[str, Scalar]:
        """Return the prompts' hashes and what the engine says of itself."""
        shas = {f"prompt_{a}": self._templates[a].sha for a in sorted(self._templates)}
        return {**shas, **self.engine.settings()}

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()

    def _only(self, item: Item | Pair) -> Judgement:
        (judgement,) = self.judge([item])
        return judgement

    def _parts(self, item: Item | Pair) -> Sequence[Item | Pair]:
        if isinstance(item, Pair) and "prefer" not in self.prompts:
            return item.sides()
        return (item,)

    def _template(self, item: Item | Pair) -> PromptTemplate:
        return self._templates["rate" if isinstance(item, Item) else "prefer"]

    def _read(self, item: Item | Pair, reply: Reply | EngineError) -> Judgement:
        if isinstance(reply, EngineError):
            return Judgement(item.id, Unparsed(f"engine: {reply.reason}"), failed=True)
        verdict = (
            parse_rating(reply.text, self.scale)
            if isinstance(item, Item)
            else parse_preference(reply.text)
        )
        return Judgement(
            item.id,
            verdict,
            reply=reply.text,
            probabilities=reply.probabilities,
            usage=reply.usage,
        )


def _prefix_key(item: Item | Pair) -> tuple[object, ...]:
    """What must be equal for items to share a prompt prefix."""
    return (type(item), item.group, item.references, item.description, item.subtitles)


def _joined(pair: Item | Pair, first: Judgement, second: Judgement) -> Judgement:
    one, two = (cast("Rating | Unparsed", j.verdict) for j in (first, second))
    return Judgement(
        pair.id,
        preference_from_ratings(one, two),
        reply=f"{first.reply}\n\n{second.reply}",
        usage=first.usage + second.usage,
        failed=first.failed or second.failed,
    )


_Result = tuple[Group, Sequence[Union[Reply, EngineError]]]
_Ask = Callable[[Group], Awaitable[Sequence[Union[Reply, EngineError]]]]


class _Pump:
    """Asks for many groups at once and hands the replies over as they come.

    The event loop has a thread of its own, so that replies keep arriving while the caller writes
    its journal, and so that it works inside a notebook, whose own loop is already running. An
    exception of `ask` reaches the caller; leaving the iteration (Ctrl-C) cancels what is in
    flight.
    """

    def __init__(self, ask: _Ask, groups: Iterator[Group], limit: int) -> None:
        self._ask, self._groups, self._limit = ask, groups, limit
        self._out: queue.Queue[_Result | None] = queue.Queue()
        self._stop = threading.Event()

    def __iter__(self) -> Iterator[_Result]:
        with ThreadPoolExecutor(1, "videojudge-engine") as thread:
            try:
                work = thread.submit(self._work)
                while (result := self._out.get()) is not None:
                    yield result
                work.result()
            finally:
                self._stop.set()

    def _work(self) -> None:
        try:
            asyncio.run(self._run())
        finally:
            self._out.put(None)

    async def _run(self) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            for group in self._groups:
                running.add(asyncio.create_task(self._one(group)))
                while len(running) >= self._limit and not self._stop.is_set():
                    running = await _settle(running)
                if self._stop.is_set():
                    break
            while running and not self._stop.is_set():
                running = await _settle(running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _one(self, group: Group) -> None:
        self._out.put((group, await self._ask(group)))


async def _settle(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Wait for some tasks to end; return the others. Looks up at least five times a second."""
    done, waiting = await asyncio.wait(running, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return waiting


def _find_prompt(cls: type, name: str) -> Path:
    tried: list[Path] = []
    for owner in cls.__mro__:
        if owner is PromptedJudge:
            break
        try:
            folder = Path(inspect.getfile(owner)).parent
        except (OSError, TypeError):  # made in a notebook, or by `python -c`
            continue
        tried += [folder / name, folder / "prompts" / name]
    tried.append(PROMPTS_FOLDER / name)
    for path in tried:
        if path.is_file():
            return path
    raise ConfigError(
        f"judge {cls.__name__}: no prompt file {name!r}; looked at "
        + ", ".join(str(path) for path in tried)
    )
