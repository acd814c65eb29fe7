"""The work of one group on a loaded model: checks, batches, replies."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Union

import torch
from torch import Tensor

from videojudge_bench.criteria import Criterion
from videojudge_bench.engine import EngineError, PromptGroup, Reply, WrittenToken
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._model_types import Model, Tokenizer
from videojudge_bench.judges.engines._mrope import Scheme
from videojudge_bench.judges.engines._plain_model import PlainPrompts
from videojudge_bench.judges.engines._prompt_inputs import Inputs
from videojudge_bench.judges.engines._replying import Choices, Sampler, verdict_place
from videojudge_bench.judges.engines._text_tokens import Way, reply_text, shared_token
from videojudge_bench.judges.engines._tree_model import MASKED, Branches, SharedPrefix
from videojudge_bench.verdicts import Usage

Replies = list[Union[Reply, EngineError]]

VERIFIED_KINDS = ("qwen2", "qwen3", "llama", "qwen2_5_vl", "qwen3_vl")
"""Model types whose shared prefix our tests compare with the plain path. Of any other, the first
group of a run is verified whatever `verify_prefix` says."""

TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Difference of logits that rounding explains, as a share of the largest one."""


@dataclass(frozen=True)
class Plan:
    """Settings for working on groups."""

    share_prefix: bool
    verify: int
    scheme: Scheme | None
    batch_tokens: int
    mixed: bool = False


@dataclass(frozen=True)
class Written:
    """Tokens of a reply behind `reply_start` without `rest`, and probabilities.

    `alternatives` are those of `Sampler`, where they were asked for.
    """

    tokens: Sequence[int] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    rest: str = ""
    alternatives: Sequence[tuple[int, float]] = ()


class GroupWorker:
    """Works out the replies of groups, one group at a time."""

    def __init__(
        self, model: Model, tokenizer: Tokenizer, plan: Plan, stopped: Callable[[], bool]
    ) -> None:
        self._model, self._tokenizer, self._plan, self._stopped = model, tokenizer, plan, stopped
        ends = model.generation_config.eos_token_id
        listed = ends if isinstance(ends, list) else [ends]
        known_ends = (*listed, tokenizer.eos_token_id)
        self._ends = {token for token in known_ends if token is not None}
        padding = tokenizer.pad_token_id
        self._dropped = self._ends | (set() if padding is None else {padding})
        known = type(model.config).model_type in VERIFIED_KINDS
        self._to_verify = max(plan.verify, 0 if known else 1) if plan.share_prefix else 0
        self._most = 1 << 30 if model.config._attn_implementation in MASKED else 1
        self._known_choices: dict[tuple[tuple[str, ...], str], Choices] = {}
        self._context = getattr(model.config.get_text_config(), "max_position_embeddings", None)

    def replies(self, group: PromptGroup, inputs: Inputs) -> Replies:
        """Return one reply per continuation; what does not fit is an error with the numbers.

        Raises:
            ConfigError: the shared prefix gives other numbers than the model alone.
        """
        started = time.perf_counter()
        too_long = self._too_long(group, inputs)
        if too_long:
            return [EngineError(too_long)] * len(group.continuations)
        choices, asked = self._at_start(group, inputs)
        precision = torch.autocast(
            self._model.device.type, torch.bfloat16, enabled=self._plan.mixed
        )
        with torch.inference_mode(), precision:
            if self._plan.share_prefix:
                results = self._shared(group, asked, choices)
            else:
                results = self._plain(group, asked, choices)
        if self._stopped():  # what there is may be half a reply
            return [EngineError("the engine was closed")] * len(inputs.prompts)
        each = (time.perf_counter() - started) / len(results)
        return [
            self._reply(group, written, len(prompt), each)
            for written, prompt in zip(results, inputs.prompts, strict=True)
        ]

    def _at_start(self, group: PromptGroup, inputs: Inputs) -> tuple[Choices | None, Inputs]:
        """Return the choices behind `reply_start`, and the prompts as far as they are fixed."""
        if not (group.choices and group.reply_start):
            return None, inputs
        rest = shared_token(self._tokenizer, group.choices, inputs.prompts[0][-1])
        if rest:
            inputs = replace(inputs, prompts=tuple(prompt[:-1] for prompt in inputs.prompts))
        return self._choices(group.choices, rest), inputs

    def _choices(self, texts: tuple[str, ...], rest: str) -> Choices:
        key = (texts, rest)
        if key not in self._known_choices:
            self._known_choices[key] = Choices(self._tokenizer, texts, rest)
        return self._known_choices[key]

    def _too_long(self, group: PromptGroup, inputs: Inputs) -> str:
        longest = max(map(len, inputs.prompts))
        new = 0 if group.choices and group.reply_start else group.sampling.max_tokens
        if self._context is None or longest + new <= self._context:
            return ""
        video, options = "", []
        if inputs.video_tokens:
            video = f", {inputs.video_tokens} of them of the video"
            options = ["max_frames=… or max_pixels=…"]
        with_reply = f" with max_tokens={new}" if new else ""
        options += ["max_tokens=…"] if new else []
        helps = f"give a smaller {', or '.join(options)}" if options else "shorten the texts"
        return (
            f"the prompt has {longest} tokens{video}, and{with_reply} that is more than the "
            f"{self._context} that the model takes; {helps}"
        )

    def _shared(
        self, group: PromptGroup, inputs: Inputs, choices: Choices | None
    ) -> list[Written | EngineError]:
        size = _memory_words(inputs)
        try:
            prefix = SharedPrefix(self._model, inputs, scheme=self._plan.scheme or "qwen")
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            _free()
            return [EngineError(f"out of memory with {size}")] * len(inputs.prompts)
        if self._to_verify > 0:
            self._verify(prefix, inputs)
            self._to_verify -= 1
        results: dict[int, Written | EngineError] = {}
        waiting = deque(self._batches(prefix, range(len(prefix.tails))))
        while waiting:
            batch = waiting.popleft()
            try:
                results.update(self._row(prefix, batch, group, choices))
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                _free()
                half = len(batch) // 2
                if half:
                    waiting.extendleft((batch[half:], batch[:half]))
                else:
                    results[batch[0]] = EngineError(f"out of memory with {size}")
            prefix.rewind(0)
        return [results[n] for n in range(len(prefix.tails))]

    def _batches(self, prefix: SharedPrefix, members: Sequence[int]) -> Iterator[Sequence[int]]:
        """Split continuations into rows, each with as many as fit, at least one."""
        start, tokens = 0, 0
        for end, n in enumerate(members):
            tokens += len(prefix.tails[n])
            if end > start and (tokens > self._plan.batch_tokens or end - start >= self._most):
                yield members[start:end]
                start, tokens = end, len(prefix.tails[n])
        yield members[start:]

    def _row(
        self,
        prefix: SharedPrefix,
        batch: Sequence[int],
        group: PromptGroup,
        choices: Choices | None,
    ) -> dict[int, Written]:
        branches = Branches(prefix, batch)
        if choices is not None:
            return _chosen(branches, choices, dict(zip(batch, branches.first, strict=True)))
        texts = self._write(branches, batch, group)
        verdicts = self._verdicts(branches, group, texts) if group.choices else {}
        return {n: replace(text, probabilities=verdicts.get(n, {})) for n, text in texts.items()}

    def _verdicts(
        self, branches: Branches, group: PromptGroup, texts: Mapping[int, Written]
    ) -> dict[int, Mapping[str, float]]:
        """Go back to where each verdict begins, for the probabilities there."""
        places = {n: self._verdict_places(group, text.tokens) for n, text in texts.items()}
        verdicts: dict[int, dict[str, float]] = {n: {} for n in texts}
        # The last slot of each first: what stands behind a place is forgotten.
        for turn in range(max(map(len, places.values()))):
            now = {n: some[turn] for n, some in places.items() if turn < len(some)}
            logits = branches.go_back({n: texts[n].tokens[: p.kept] for n, p in now.items()})
            firsts = dict(zip(now, logits, strict=True))
            for rest, slot in dict.fromkeys((p.rest, p.slot) for p in now.values()):
                behind = {n: firsts[n] for n, p in now.items() if (p.rest, p.slot) == (rest, slot)}
                choices = self._choices(_texts(group, slot), rest)
                for n, written in _chosen(branches, choices, behind).items():
                    verdicts[n] |= _named(slot, written.probabilities)
        return dict(verdicts)

    def _write(
        self, branches: Branches, batch: Sequence[int], group: PromptGroup
    ) -> dict[int, Written]:
        """Write the replies of a row in turns, a token each."""
        samplers = {n: _sampler(group, n) for n in batch}
        written: dict[int, list[int]] = {n: [] for n in batch}
        logits, going = branches.first, list(batch)
        for _ in range(group.sampling.max_tokens):
            for row, n in enumerate(going):
                written[n].append(samplers[n].pick(logits[row]))
            going = [n for n in going if written[n][-1] not in self._ends]
            if not going or self._stopped():
                break
            if len(written[going[0]]) < group.sampling.max_tokens:
                logits = branches.extend({n: written[n][-1:] for n in going})
        return {
            n: Written(tokens, alternatives=samplers[n].alternatives)
            for n, tokens in written.items()
        }

    def _plain(
        self, group: PromptGroup, inputs: Inputs, choices: Choices | None
    ) -> list[Written | EngineError]:
        prompts = PlainPrompts(self._model, inputs, scheme=self._plan.scheme)
        results: list[Written | EngineError] = []
        for n in range(len(group.continuations)):
            if self._stopped():
                break
            try:
                if choices is None:
                    results.append(self._plain_text(prompts, group, n))
                else:
                    ways = ((), *choices.contexts)
                    results.append(_read(choices, {way: prompts.logits(n, way) for way in ways}))
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                results.append(EngineError(f"out of memory with {_memory_words(inputs)}"))
                _free()
        return results

    def _plain_text(self, prompts: PlainPrompts, group: PromptGroup, number: int) -> Written:
        sampler = _sampler(group, number)
        most = group.sampling.max_tokens
        tokens = prompts.write(
            number, sampler, max_tokens=most, stopped=self._stopped, ends=self._ends
        )
        written = Written(tokens, alternatives=sampler.alternatives)
        probabilities: dict[str, float] = {}
        for kept, rest, slot in self._verdict_places(group, tokens) if group.choices else ():
            choices = self._choices(_texts(group, slot), rest)
            ways = ((), *choices.contexts)
            behind = {way: prompts.logits(number, [*tokens[:kept], *way]) for way in ways}
            probabilities |= _named(slot, choices.probabilities(behind))
        return replace(written, probabilities=probabilities)

    def _verdict_places(self, group: PromptGroup, tokens: Sequence[int]) -> list[_Place]:
        """Return where the verdicts begin, the last one first."""
        places = [
            _Place(*place, slot)
            for slot in group.slots or (None,)
            if (
                place := verdict_place(
                    self._tokenizer, _texts(group, slot), tokens, self._dropped, slot
                )
            )
        ]
        return sorted(places, key=lambda place: place.kept, reverse=True)

    def _verify(self, prefix: SharedPrefix, inputs: Inputs) -> None:
        plain = PlainPrompts(self._model, inputs, scheme=self._plan.scheme)
        for n in range(len(prefix.tails)):
            batch = next(self._batches(prefix, range(n, len(prefix.tails))))
            shared = Branches(prefix, batch).first[0]
            prefix.rewind(0)
            alone = plain.logits(n)
            apart, largest = float((shared - alone).abs().max()), float(alone.abs().max())
            allowed = TOLERANCE.get(self._model.dtype, 5e-2) * largest
            if not apart <= allowed:
                raise ConfigError(
                    f"verify_prefix: behind prompt {n + 1} of {len(prefix.tails)}, the logits with "
                    f"the shared prefix are up to {apart:.3g} from those of the model alone; "
                    f"{allowed:.3g} is allowed for {self._model.dtype}, and the largest is "
                    f"{largest:.3g}. Give share_prefix=false, and please report the model and the "
                    "version of transformers"
                )

    def _reply(
        self, group: PromptGroup, written: Written | EngineError, prompt: int, seconds: float
    ) -> Reply | EngineError:
        if isinstance(written, EngineError):
            return written
        tokens = list(written.tokens)
        text = reply_text(self._tokenizer, tokens, self._dropped)
        at_start = bool(group.choices and group.reply_start)
        return Reply(
            group.reply_start + text.removeprefix(written.rest),
            probabilities=written.probabilities,
            usage=Usage(prompt, len(tokens), seconds),
            finished=at_start or (bool(tokens) and tokens[-1] in self._ends),
            written=tuple(
                WrittenToken(self._text(token), self._text(other), margin)
                for token, (other, margin) in zip(tokens, written.alternatives, strict=False)
            ),
        )

    def _text(self, token: int) -> str:
        return reply_text(self._tokenizer, [token], self._dropped)


class _Place(NamedTuple):
    kept: int
    rest: str
    slot: Criterion | None


def _texts(group: PromptGroup, slot: Criterion | None) -> tuple[str, ...]:
    return group.choices if slot is None else slot.choices


def _named(slot: Criterion | None, given: Mapping[str, float]) -> dict[str, float]:
    return {c if slot is None else slot.key(c): p for c, p in given.items()}


def _sampler(group: PromptGroup, number: int) -> Sampler:
    item_id = group.continuations[number].id
    return Sampler(group.sampling, item_id, keep_alternatives=group.alternatives)


def out_of_memory(error: RuntimeError) -> bool:
    """Return whether torch has run out of memory; on a CPU only the message says so."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _chosen(
    branches: Branches, choices: Choices, firsts: Mapping[int, Tensor]
) -> dict[int, Written]:
    """Return the probabilities behind continuations whose first logits are known."""
    following: dict[int, dict[Way, Tensor]] = {n: {(): first} for n, first in firsts.items()}
    for way in choices.contexts:
        peeked = branches.peek(dict.fromkeys(firsts, way))
        for n, logits in zip(firsts, peeked, strict=True):
            following[n][way] = logits
    return {n: _read(choices, behind) for n, behind in following.items()}


def _read(choices: Choices, behind: Mapping[Way, Tensor]) -> Written:
    return Written(
        (choices.likeliest(behind[()]),), choices.probabilities(behind), rest=choices.rest
    )


def _memory_words(inputs: Inputs) -> str:
    video = f", {inputs.video_tokens} of them of the video" if inputs.video_tokens else ""
    return (
        f"a prompt of {max(map(len, inputs.prompts))} tokens{video}; give max_frames=… or "
        "max_pixels=… below what they are, quantization=8bit, or a larger device"
    )


def _free() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
