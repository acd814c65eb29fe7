"""The engine that runs a model of transformers in this process."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import (
    Capability,
    Deliver,
    EngineError,
    Explanation,
    PromptGroup,
    Result,
)
from videojudge_bench.errors import ConfigError, VideoJudgeError
from videojudge_bench.judges.engines._checkpoint import Checkpoint
from videojudge_bench.judges.engines._model_source import THINKING, LoadedModel, ModelSource
from videojudge_bench.judges.engines._mrope import Scheme, chosen_scheme
from videojudge_bench.judges.engines._video_input import frame_policy
from videojudge_bench.video import FrameBatch, FrameStore

if TYPE_CHECKING:
    from videojudge_bench.judges.engines._group_work import GroupWorker
    from videojudge_bench.judges.engines._model_types import TextConfig
    from videojudge_bench.judges.engines._prompt_inputs import Inputs, PromptReader

__all__ = ["LoadedModel", "TransformersEngine"]

Replies = list[Result]

BATCH_TOKENS = 8192
"""Tokens of the continuations in one row: five of a thousand fit, with a small mask."""


class TransformersEngine:
    """Runs a model of transformers in this process; a group's prefix is worked out once.

    Qwen2.5-VL, Qwen3-VL and causal models of text share the prefix; other models of video need
    `share_prefix=false`. Weights are loaded at the first group, all else is checked here.

    Args:
        pretrained: a folder, the name of a model on the Hugging Face hub, or a `LoadedModel`, to
            which the options from `revision` to `quantization` do not apply.
        revision: branch, tag or commit on the hub.
        device: `auto` is the GPU where there is one.
        dtype: `auto`, float32, bfloat16 or float16.
        attn_implementation: transformers' name; None is `sdpa`.
        adapter: folder or hub name of a PEFT adapter that changes weights.
        quantization: None, `8bit` or `4bit`, by bitsandbytes.
        share_prefix: False runs every prompt whole through the model's own `generate`.
        verify_prefix: so many groups are checked against the model's own forward.
        thinking: whether the model thinks before it replies, where its chat template has the
            choice (`enable_thinking`, as Qwen3's); None: as the template has it.
        mrope: M-RoPE scheme of Qwen2.5-VL: `qwen` (Qwen's own code and vLLM), `transformers4` or
            `transformers5`; None: the one that the checkpoint was trained with, where it says so,
            else `qwen`.
        max_frames: of a video.
        fps: frames per second of video; None spreads `max_frames` evenly.
        min_pixels: per frame; None: as `FramePolicy`.
        max_pixels: per frame; None: as `FramePolicy`.
        total_pixels: of all frames of a video together; None: no limit.
        batch_tokens: continuations go side by side up to so many tokens.
        keep_frames: keep decoded frames in the user's cache folder.

    Raises:
        ConfigError: no such model, no weights, options that do not go together.
        MissingPackageError: an adapter or a quantisation needs a package.
    """

    def __init__(  # noqa: PLR0913 - the keywords are the options
        self,
        *,
        pretrained: str | LoadedModel,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        attn_implementation: str | None = None,
        adapter: str | None = None,
        quantization: str | None = None,
        share_prefix: bool = True,
        verify_prefix: int = 0,
        thinking: bool | None = None,
        mrope: str | None = None,
        max_frames: int = 180,
        fps: float | None = 1.0,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
        total_pixels: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        keep_frames: bool = True,
    ) -> None:
        named = Checkpoint(
            "" if isinstance(pretrained, LoadedModel) else str(pretrained),
            revision=revision,
            adapter=adapter,
            dtype=dtype,
            attention=attn_implementation or "sdpa",
            quantization=quantization,
            device=device,
        )
        self.source: ModelSource = named
        if isinstance(pretrained, LoadedModel):
            self.source = pretrained
            if named != Checkpoint(""):
                raise ConfigError(
                    "pretrained is a loaded model, which revision, device, dtype, "
                    "attn_implementation, adapter and quantization cannot change; leave them out"
                )
        self._share, self._verify = share_prefix, verify_prefix
        self._thinking = thinking
        self._scheme: Scheme | None = chosen_scheme(mrope, self.source)
        self._batch_tokens = batch_tokens
        self._check()
        if self.source is named:
            named.check_memory()
        self._policy = frame_policy(
            max_frames=max_frames,
            fps=fps,
            min_pixels=min_pixels,
            max_pixels=max_pixels,
            total_pixels=total_pixels,
            factor=self.source.frame_factor,
        )
        self._store = FrameStore() if keep_frames and self.source.sees else None
        self._lock, self._closing = threading.Lock(), threading.Event()
        # Two: while one group is with the model, the next one's frames are made ready.
        self._threads = ThreadPoolExecutor(2, "videojudge-transformers")
        self._reading = threading.Lock()
        self._reader: PromptReader | None = None
        self._worker: GroupWorker | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Probabilities always; videos where the model takes them."""
        return frozenset({"video", "logprobs"} if self.source.sees else {"logprobs"})

    async def complete(self, group: PromptGroup, deliver: Deliver) -> None:
        """Deliver one reply per continuation, those of a group together.

        With `choices` and a `reply_start`, the text is that and one token more. With `choices`
        alone the model writes its reply, and the probabilities are those behind its last
        `<score>` or `<answer>`. A failure of a group (video, length, memory) is its `EngineError`.

        Raises:
            ConfigError: the model cannot be loaded, or `verify_prefix` has found the shared
                prefix to give other numbers than the model alone.
        """
        loop = asyncio.get_running_loop()
        replies = await loop.run_in_executor(self._threads, self._complete, group)
        for number, reply in enumerate(replies):
            await deliver(number, reply)

    async def explain(self, group: PromptGroup) -> Sequence[Explanation]:
        """Return the tokens, positions and frames of each prompt; the model is not asked."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._explain, group)

    def settings(self) -> Mapping[str, Scalar]:
        """Return what the numbers depend on.

        `share_prefix` is not among it, nor the device: both must leave the numbers as they are up
        to rounding.
        """
        source = self.source
        return {
            **source.settings(),
            "transformers": version("transformers"),
            **({} if self._thinking is None else {"thinking": self._thinking}),
            **({} if self._scheme is None else {"mrope": self._scheme}),
            **(self._policy.settings() if source.sees else {}),
        }

    def close(self) -> None:
        """Give back the model; a group in progress is broken off at its next token."""
        self._closing.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._worker = None

    def load_frames(self, path: Path) -> FrameBatch:
        """Return the frames that the model sees of a video.

        Raises:
            VideoError: it cannot be decoded.
        """
        from videojudge_bench.video import load_frames

        return load_frames(path, self._policy, store=self._store)

    def _complete(self, group: PromptGroup) -> Replies:
        try:
            inputs = self._inputs(group)
        except (VideoJudgeError, OSError, ValueError, RuntimeError) as error:
            return _failed(group, error)
        # One group at a time on the model: two would need its memory twice.
        with self._lock:
            worker = self._loaded()
            try:
                return worker.replies(group, inputs)
            except (RuntimeError, ValueError) as error:  # torch's and transformers' own
                return _failed(group, error)

    def _explain(self, group: PromptGroup) -> Sequence[Explanation]:
        frames = self._frames(group)
        with self._reading:
            return self._prompt_reader().explanations(group, frames, self._scheme)

    def _frames(self, group: PromptGroup) -> FrameBatch | None:
        video = group.prefix.video
        return self.load_frames(video) if video is not None and self.source.sees else None

    def _inputs(self, group: PromptGroup) -> Inputs:
        frames = self._frames(group)
        # One at a time: a fast tokenizer refuses a second thread while it changes its settings.
        with self._reading:
            return self._prompt_reader().read(group, frames)

    def _prompt_reader(self) -> PromptReader:
        if self._reader is None:
            from videojudge_bench.judges.engines._prompt_inputs import PromptReader

            self._reader = PromptReader(self.source, fps=self._policy.fps, thinking=self._thinking)
        return self._reader

    def _loaded(self) -> GroupWorker:
        if self._worker is None:
            from videojudge_bench.judges.engines._group_work import GroupWorker, Plan

            plan = Plan(
                self._share, self._verify, self._scheme, self._batch_tokens, self.source.mixed
            )
            model, tokenizer = self.source.load(), self.source.tokenizer
            self._worker = GroupWorker(model, tokenizer, plan, self._closing.is_set)
        return self._worker

    def _check(self) -> None:
        """Refuse what cannot go together, all of it at once."""
        source, template, problems = self.source, self.source.chat_template, list[str]()
        if self._share and (source.kind == "other" or not _sees_all(source.text_config)):
            problems.append(
                f"share_prefix=true: the prefix of a {source.model_type} cannot "
                "be shared (it can be for Qwen2.5-VL, Qwen3-VL and causal models of text whose "
                "layers all see the whole prompt); give share_prefix=false"
            )
        if self._thinking is not None and THINKING not in template:
            problems.append(
                f"thinking={self._thinking}: the model's chat template has no such choice "
                f"({THINKING}); leave the option out"
            )
        if self._verify < 0:
            problems.append(f"verify_prefix={self._verify}: expected a number from 0 up")
        if self._batch_tokens < 1:
            problems.append(f"batch_tokens={self._batch_tokens}: expected a number from 1 up")
        if problems:
            raise ConfigError.all_of("engine 'transformers'", problems)


def _sees_all(text_config: TextConfig) -> bool:
    """Return whether all layers attend to the whole prompt: no sliding window or recurrence."""
    caches = importlib.import_module("transformers.cache_utils")
    layers = caches.DynamicCache(config=text_config).layers
    return all(type(layer) is caches.DynamicLayer for layer in layers)


def _failed(group: PromptGroup, error: Exception) -> Replies:
    reason = (
        str(error) if isinstance(error, VideoJudgeError) else f"{type(error).__name__}: {error}"
    )
    return [EngineError(reason)] * len(group.continuations)
