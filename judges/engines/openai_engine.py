"""An engine that asks a server of OpenAI's chat completions: vLLM, SGLang, a hosted model."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

from videojudge_bench._util.hashing import unit_interval
from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import (
    Capability,
    Continuation,
    Deliver,
    EngineError,
    Explanation,
    PromptGroup,
    Reply,
    Result,
)
from videojudge_bench.errors import ConfigError, VideoError
from videojudge_bench.judges.engines._chat_answers import CallFailedError
from videojudge_bench.judges.engines._chat_bodies import BYTES_PER_TOKEN, MOST_BYTES
from videojudge_bench.judges.engines._chat_budget import Budget
from videojudge_bench.judges.engines._chat_client import ChatClient
from videojudge_bench.judges.engines._chat_endpoint import Endpoint
from videojudge_bench.judges.engines._chat_messages import NO_MEDIA, SEND, EncodedMedia, Send
from videojudge_bench.judges.engines._chat_probe import Refusal, ServerCheck
from videojudge_bench.judges.engines._chat_replies import CUT_OFF, Completion, choice_probabilities
from videojudge_bench.judges.engines._chat_requests import Feature, RequestFormat, Wire
from videojudge_bench.judges.engines._served_model import ServedCheckpoint, ServerRecord
from videojudge_bench.judges.engines._video_input import frame_policy
from videojudge_bench.verdicts import Usage
from videojudge_bench.video import FrameStore, load_frames

logger = logging.getLogger(__name__)

KEY_VARIABLE = "OPENAI_API_KEY"
"""Environment variable of the API key, if none is given."""

FACTOR = 28
"""Divisor of the sides of frames for an unknown model, that of Qwen2.5-VL."""

_FRAME_THREADS = 2
_MEDIA = re.compile(rb'(data:[a-z/]+);base64,[^"]*')


@dataclass(kw_only=True, eq=False, repr=False)
class OpenAIEngine:
    """Asks a server; the candidates of a group share frames, and the server's prefix cache.

    The first candidate of a group is sent before the others, which then find the shared prefix in
    the cache. Frames are those of every engine of ours. With `pretrained`, requests hold what the
    model gets in process: sizes and times of frames, inert special tokens, plain decoding. Before
    the first group, the server is checked for what the run needs.

    Args:
        base_url: where the server's API begins, as `http://localhost:8000/v1`.
        model: by the server's name; None is the one that is `pretrained`.
        pretrained: the checkpoint that is served: a folder, or a name on the Hugging Face hub.
            Its configuration and tokenizer are read here, its weights are not.
        revision: branch, tag or commit on the hub.
        trust_server: `model` is the checkpoint, whatever the server calls what it has loaded.
        api_key: by default what OPENAI_API_KEY says when the engine is made; it is written nowhere.
        timeout_seconds: for one attempt.
        retries: after a lost connection, a timeout, and the statuses 408, 409, 429 and 5xx.
        max_concurrency: requests in flight; a judge's `concurrency` bounds groups.
        max_requests: no more are sent; None is no limit.
        max_cost: no more is spent, in the unit of the prices; None is no limit.
        price_in: of a million tokens of prompts.
        price_out: of a million tokens of replies.
        send: `frames`: images with their times as text; `video`: one video with their times (vLLM
            with --trust-request-mm-kwargs). None is `video` for a Qwen2.5-VL or Qwen3-VL that
            `pretrained` names, else `frames`.
        max_frames: of a video, at most.
        fps: frames per second of video; None spreads `max_frames` evenly.
        min_pixels: per frame; None: as `FramePolicy`.
        max_pixels: per frame; None: as `FramePolicy`.
        total_pixels: of all frames of a video together; None: no limit.
        factor: sides of frames are multiples of it: 28 for Qwen2.5-VL, 32 for Qwen3-VL; None is
            that of `pretrained`, else 28.
        jpeg_quality: 1 to 100, with slightly other pixels; None sends PNG, which is lossless.
        logprobs: whether to ask for probabilities of the verdict: true (a server without them ends
            the run), false, or `auto`: where the server has them.
        prefill: whether replies are begun for the model, which vLLM and SGLang can continue, up to
            the last character: a tokeniser may merge that with the verdict (`>A`). Without it, the
            verdict's probabilities are read behind the last `<score>` or `<answer>`. None is true
            with `pretrained`.
        thinking: true or false for a model whose chat template can do either (Qwen3's
            `enable_thinking`); None leaves it to the server.
        replicas: of a server with data parallelism (vLLM's `--data-parallel-size`, SGLang's
            `--dp-size`): each video goes to one of them, whose cache then has it.

    Raises:
        ConfigError: options that cannot work, all of them in one message.
    """

    base_url: str
    model: str | None = None
    pretrained: str | None = None
    revision: str | None = None
    trust_server: bool = False
    api_key: str | None = None
    timeout_seconds: float = 600.0
    retries: int = 6
    max_concurrency: int = 64
    max_requests: int | None = None
    max_cost: float | None = None
    price_in: float | None = None
    price_out: float | None = None
    send: str | None = None
    max_frames: int = 180
    fps: float | None = 1.0
    min_pixels: int | None = None
    max_pixels: int | None = None
    total_pixels: int | None = None
    factor: int | None = None
    jpeg_quality: int | None = None
    logprobs: bool | str = "auto"
    prefill: bool | None = None
    thinking: bool | None = None
    replicas: int = 1

    def __post_init__(self) -> None:
        # lmms-eval turns a key or a name that looks like a number into one.
        key = os.environ.get(KEY_VARIABLE) if self.api_key is None else str(self.api_key)
        self.api_key = None  # the endpoint alone keeps it
        self._asked_model = "" if self.model is None else str(self.model)
        endpoint = Endpoint(
            str(self.base_url), self._asked_model or self.pretrained or "", key or ""
        )
        budget = Budget(self.max_requests, self.max_cost, self.price_in, self.price_out)
        problems = [*endpoint.problems(), *budget.problems(), *self._problems()]
        if problems:
            raise ConfigError.all_of("engine 'openai'", problems)
        self._client = ChatClient(
            endpoint, budget, self.timeout_seconds, self.retries, self.max_concurrency
        )
        self._served: ServedCheckpoint | None = None
        if self.pretrained is not None:
            self._served = ServedCheckpoint(str(self.pretrained), revision=self.revision)
        self._format = self._request_format(self._served)
        self._policy = frame_policy(
            max_frames=self.max_frames,
            fps=self.fps,
            min_pixels=self.min_pixels,
            max_pixels=self.max_pixels,
            total_pixels=self.total_pixels,
            factor=self.factor or (FACTOR if self._served is None else self._served.frame_factor),
        )
        self._frame_threads: ThreadPoolExecutor | None = None
        self._has_logprobs = False
        self._record = ServerRecord(endpoint.address)
        self._check = ServerCheck(
            client=self._client,
            requests=self._format,
            wire=(Wire() if self.logprobs else Wire().less("logprobs")).less("special_tokens"),
            completed=self._completed,
            find_model=self._find_model,
            images=self.max_frames,
            side_pixels=2 * self._policy.factor,
            needs_logprobs=self.logprobs is True,
        )

    def _request_format(self, served: ServedCheckpoint | None) -> RequestFormat:
        """Return the format of requests; the checkpoint gives the options that were left out."""
        send = cast("Send | None", self.send) or ("frames" if served is None else served.send)
        if served is not None:
            served.warn(send)
        prefill = served is not None if self.prefill is None else self.prefill
        return RequestFormat(send, self.jpeg_quality, self.fps, prefill, self.thinking, served)

    def _problems(self) -> list[str]:
        problems = [
            f"{name}={value:g}: expected a whole number from {least} up"
            for name, value, least in (
                ("retries", self.retries, 0),
                ("max_concurrency", self.max_concurrency, 1),
                ("replicas", self.replicas, 1),
            )
            if value < least or value != int(value)
        ]
        if not self.timeout_seconds > 0:
            problems.append(f"timeout_seconds={self.timeout_seconds:g}: expected a number above 0")
        if self.send not in (None, *SEND):
            problems.append(f"send={self.send!r}: expected one of {', '.join(SEND)}")
        if self.logprobs not in (True, False, "auto"):
            problems.append(f"logprobs={self.logprobs!r}: expected one of true, false, auto")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            problems.append(f"jpeg_quality={self.jpeg_quality}: expected a number from 1 to 100")
        return problems

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Videos unless it is a model of text; `logprobs` until a server turns out to give none."""
        is_text = self._served is not None and self._served.kind == "text"
        video: set[Capability] = {"structured"} if is_text else {"structured", "video"}
        has_logprobs = "logprobs" not in self._check.wire.without
        return frozenset(video | {"logprobs"} if has_logprobs else video)

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        """Deliver one result per continuation as it comes, that of the first before the others.

        A request keeps its place among `max_concurrency` until its result is taken.

        Raises:
            ConfigError: no server, model or key, or a server without what is asked of it.
        """
        if not self._check.is_done(group):
            async with self._client.slots, self._client.starting:
                await self._check.run(group)
        numbers = range(len(group.continuations))
        try:
            media = await self._media(group.prefix.video)
        except VideoError as error:
            for number in numbers:
                await deliver(number, EngineError(str(error)))
            return

        async def answer(number: int) -> None:
            async with self._client.slots:
                tail = group.continuations[number]
                await deliver(number, await self._result(group, tail, media))

        await answer(0)
        tasks = [asyncio.create_task(answer(number)) for number in numbers[1:]]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:  # when one has ended the run, the others are of no use
                task.cancel()

    async def explain(self, group: PromptGroup) -> Sequence[Explanation]:
        """Return each request without its images, with the tokens that a vLLM makes of it."""
        media = await self._media(group.prefix.video)
        return [await self._explanation(group, tail, media) for tail in group.continuations]

    async def _explanation(
        self, group: PromptGroup, tail: Continuation, media: EncodedMedia
    ) -> Explanation:
        model, more = self._client.endpoint.model, {"return_token_strs": True}
        body = self._format.body(model, group, tail, media=media, wire=self._check.wire, more=more)
        tokenised = await self._client.tokenised(body)
        request = _MEDIA.sub(rb"\1", b"".join(body.pieces))
        return Explanation(
            "request",
            request[request.index(b'"messages":') :].decode(),
            token_ids=tuple(tokenised.tokens) if tokenised else (),
            tokens=tuple(tokenised.token_strs) if tokenised else (),
            video=media.facts,
        )

    async def models(self) -> list[str]:
        """Return the models that the server lists; empty where there is no list."""
        return list(await self._client.models())

    async def refusals(self, features: Iterable[Feature], group: PromptGroup) -> list[Refusal]:
        """Return what the server refuses of some features, asked in short requests."""
        async with self._client.slots:
            return await self._check.refusals(features, group)

    @property
    def statements(self) -> Sequence[Mapping[str, str]]:
        """All statements of the server about itself, in the order heard: two are a change."""
        return self._record.statements

    @property
    def address(self) -> str:
        """Address of the server, without secrets."""
        return self._client.endpoint.address

    def settings(self) -> Mapping[str, Scalar]:
        """Return the model, and what it is shown: not where it runs, nor how fast it is asked."""
        served = self._served
        return {
            **({"model": self._asked_model} if served is None else served.settings()),
            "send": self._format.send,
            **self._policy.settings(),
            "image": "png" if self.jpeg_quality is None else f"jpeg{self.jpeg_quality}",
            "prefill": self._format.prefill,
            "thinking": self.thinking,
        }

    def close(self) -> None:
        """Close the connections and the threads; the engine may be used again."""
        self._client.close()
        if self._frame_threads is not None:
            self._frame_threads.shutdown()
            self._frame_threads = None
        budget = self._client.budget
        if budget.requests:
            logger.info("%d requests so far, %.4f spent", budget.requests, budget.spent)

    async def _find_model(self) -> None:
        self._record.version = await self._client.version()
        if self._served is not None or self._record.version:  # it is a vLLM or an SGLang
            self._check.wire = self._check.wire.more("special_tokens")
        if self._served is None:
            return
        listed = await self._client.models()
        asked, trusted = self._asked_model, self.trust_server
        name = self._served.name_on(self.address, listed, asked, trusted=trusted)
        self._client.endpoint = replace(self._client.endpoint, model=name)

    async def _media(self, video: Path | None) -> EncodedMedia:
        if video is None:
            return NO_MEDIA
        if self._frame_threads is None:
            self._frame_threads = ThreadPoolExecutor(_FRAME_THREADS, "videojudge-frames")
            self._store = FrameStore()
        return await asyncio.get_running_loop().run_in_executor(
            self._frame_threads, self._encode, video, self._store
        )

    def _encode(self, video: Path, store: FrameStore) -> EncodedMedia:
        batch = load_frames(video, self._policy, store=store)
        if batch.coverage < 1:
            logger.warning("%s: %.0f %% of the frames are left", video, 100 * batch.coverage)
        return self._format.show(batch)

    async def _result(self, group: PromptGroup, tail: Continuation, media: EncodedMedia) -> Result:
        """Ask again while refusals change the form of requests; any other is this request's own."""
        while True:
            wire = self._check.wire
            try:
                result = await self._completed(group, tail, media, wire)
            except CallFailedError as error:
                if error.is_refusal:
                    await self._check.explain_refusal(error, group, wire)
                    if self._check.wire != wire:
                        continue
                return EngineError(str(error))
            self._check.worked(group)
            return result

    async def _completed(
        self, group: PromptGroup, tail: Continuation, media: EncodedMedia, wire: Wire
    ) -> Result:
        model, max_tokens = self._client.endpoint.model, self._format.max_tokens(group)
        has_logprobs = "logprobs" in self._format.features(group) - wire.without
        completion, seconds, cost = await self._client.chat(
            self._format.body(model, group, tail, media=media, wire=wire),
            max_tokens=max_tokens,
            headers=self._routing(group),
            most_bytes=MOST_BYTES + (max_tokens * BYTES_PER_TOKEN if has_logprobs else 0),
        )
        self._record.read(completion)
        return self._read(group, completion, seconds, cost)

    def _routing(self, group: PromptGroup) -> dict[str, str]:
        """Replica to ask, in the header that vLLM and SGLang read."""
        if self.replicas == 1:
            return {}
        shared = str(group.prefix.video or group.prefix.text)
        return {"X-data-parallel-rank": str(int(unit_interval("replica", shared) * self.replicas))}

    def _read(
        self, group: PromptGroup, completion: Completion, seconds: float, cost: float
    ) -> Result:
        tokens_in, tokens_out = completion.tokens or (0, 0)
        stopped_by = completion.stopped_by
        if stopped_by not in ("", CUT_OFF):
            return EngineError(f"the server ended the reply early (finish_reason={stopped_by})")
        return Reply(
            self._format.begun(group).text + completion.text,
            self._probabilities(group, completion),
            Usage(tokens_in, tokens_out, seconds, cost),
            # Where the verdict comes first, it is we who cut what follows.
            finished=not stopped_by or self._format.is_verdict_next(group),
            written=completion.written if group.alternatives else (),
        )

    def _probabilities(self, group: PromptGroup, completion: Completion) -> dict[str, float]:
        if not group.choices or "logprobs" in self._check.wire.without:
            return {}
        positions = completion.positions
        if positions is None:
            # A server may leave them out of a reply without text; one that never gave any has none.
            if completion.text and not self._has_logprobs:
                self._check.lacks_logprobs("it leaves them out without a word")
            return {}
        self._has_logprobs = True
        begins_with = (
            self._format.begun(group).rest if self._format.is_verdict_next(group) else None
        )
        read = partial(choice_probabilities, positions, content=completion.text)
        if group.slots:
            of_slots = ((slot, read(slot.choices, slot=slot)) for slot in group.slots)
            return {slot.key(c): p for slot, given in of_slots for c, p in given.items()}
        return read(group.choices, begins_with=begins_with)
