"""Model inputs of a prompt group: tokens, and the pixels of the video once."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from videojudge_bench._util.options import Scalar
from videojudge_bench.engine import Explanation, PromptGroup
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._model_source import THINKING, ModelSource
from videojudge_bench.judges.engines._mrope import Scheme
from videojudge_bench.judges.engines._video_input import step_seconds, video_clock
from videojudge_bench.judges.engines.prefix_tree import VisionBlock, positions
from videojudge_bench.judges.engines.special_tokens import make_inert, marks_of
from videojudge_bench.video import FrameBatch

_KNOWN = 64
"""Number of texts whose tokens are cached."""


@dataclass(frozen=True)
class Inputs:
    """Model inputs of one group.

    Attributes:
        prompts: the tokens of each continuation's whole prompt, `reply_start` included.
        media: what the processor made of the video, by the model's argument; empty without one.
        blocks: where the video stands in every prompt.
        media_types: of each token up to the video's end, whether text (0) or video (2).
        video_tokens: how many tokens show the video.
    """

    prompts: tuple[tuple[int, ...], ...]
    media: Mapping[str, Tensor] = field(default_factory=dict)
    blocks: tuple[VisionBlock, ...] = ()
    media_types: tuple[int, ...] = ()
    video_tokens: int = 0


class PromptReader:
    """Makes the inputs of groups for one model."""

    def __init__(
        self, source: ModelSource, *, fps: float | None, thinking: bool | None = None
    ) -> None:
        self._template_options = {} if thinking is None else {THINKING: thinking}
        self._kind, self._config = source.kind, source.config
        self._processor, self.tokenizer = source.processor, source.tokenizer
        self._fps = fps
        self._known: dict[str, tuple[int, ...]] = {}
        if self._kind in ("qwen2_5_vl", "qwen3_vl") and source.sees:
            # If unset, transformers 5 warns of a cap on sizes that it does not change.
            self._processor.video_processor.cap_pixels_per_frame = False
        self._marks = marks_of(self.tokenizer)

    def read(self, group: PromptGroup, frames: FrameBatch | None) -> Inputs:
        """Return the inputs of a group.

        Special tokens of the model that stand in the texts are inert; see `special_tokens`.
        """
        texts = [
            self.rendered(group, n, frames is not None) for n in range(len(group.continuations))
        ]
        if frames is None:
            return Inputs(tuple(self._tokens(text) for text in texts))
        if self._kind == "other":
            first = self._processed(texts[0], frames)
            rows = [first, *(self._processed(text, frames) for text in texts[1:])]
            prompts = tuple(tuple(row["input_ids"][0].tolist()) for row in rows)
            return Inputs(prompts, _tensors(first), media_types=_media_types(first))
        seen = self.video_part(texts[0], frames)
        tails = [self.behind_video(text) for text in texts]
        return replace(seen, prompts=tuple((*seen.prompts[0], *tail) for tail in tails))

    def explanations(
        self, group: PromptGroup, frames: FrameBatch | None, scheme: Scheme | None
    ) -> list[Explanation]:
        """Return what the model takes for each continuation; positions where there is a scheme."""
        inputs, facts = self.read(group, frames), dict[str, Scalar]()
        if frames is not None:
            seconds = round(step_seconds(frames, self._fps), 4)
            facts = {"as": "video", **frames.facts(), "step_seconds": seconds}
        vision = getattr(self._config, "vision_config", None)
        rate = getattr(vision, "tokens_per_second", 1)
        explanations = []
        for number, prompt in enumerate(inputs.prompts):
            placed: list[array[int]] = []
            if scheme is not None:
                row = positions(len(prompt), inputs.blocks, scheme=scheme, tokens_per_second=rate)
                placed = [array("i", axis) for axis in row.ids.tolist()]
            explanations.append(
                Explanation(
                    "prompt",
                    self.rendered(group, number, frames is not None),
                    token_ids=array("i", prompt),
                    tokens=tuple(self.tokenizer.convert_ids_to_tokens(list(prompt))),
                    positions=placed,
                    video=facts,
                )
            )
        return explanations

    def rendered(
        self, group: PromptGroup, number: int, sees: bool, reply: str | None = None
    ) -> str:
        """Return a continuation's whole prompt as text, up to `reply_start` or a reply's end."""
        from jinja2 import TemplateError

        user_text = group.prefix.text + group.continuations[number].text
        user, system = (make_inert(text, self._marks) for text in (user_text, group.prefix.system))
        try:
            text = self._templated(system, user, sees, reply)
        except TemplateError:
            # Some templates know no system message.
            try:
                text = self._templated("", f"{system}\n\n{user}".strip(), sees, reply)
            except TemplateError as error:
                raise ConfigError(f"the model's chat template fails: {error}") from error
        return text + group.reply_start

    def _templated(self, system: str, user: str, sees: bool, reply: str | None) -> str:
        # Lists where templates are known to take them: some take nothing else.
        system_parts, parts = self._kind == "other", self._kind != "text"
        messages = [_message("user", user, parts=parts, video=sees)]
        if system:
            messages.insert(0, _message("system", system, parts=system_parts))
        if reply is not None:
            messages.append(_message("assistant", reply, parts=parts))
        return self._processor.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=reply is None,
            **self._template_options,
        )

    def _tokens(self, text: str) -> tuple[int, ...]:
        """Tokens of a text; neighbouring rows of a training share most of their parts."""
        tokens = self._known.get(text)
        if tokens is None:
            if len(self._known) == _KNOWN:
                self._known.clear()
            tokens = tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
            self._known[text] = tokens
        return tokens

    @property
    def _video_end(self) -> str:
        (name,) = self.tokenizer.convert_ids_to_tokens([self._config.vision_end_token_id])
        return name

    def behind_video(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a prompt, as `rendered` gives it, behind its video.

        A special token ends the video, and no token reaches across a special one, so that the
        parts of a text have the tokens of the whole.
        """
        return self._tokens(self.text_behind_video(text))

    def text_behind_video(self, text: str) -> str:
        """Return what of a prompt, as `rendered` gives it, stands behind its video."""
        return text.rpartition(self._video_end)[2]

    def before_video(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a prompt up to the end of its video, those of the video left out."""
        pad = self._config.video_token_id
        tokens = self._tokens("".join(text.rpartition(self._video_end)[:2]))
        return tuple(token for token in tokens if token != pad)

    def reply_tokens(self, group: PromptGroup, prompt: str, reply: str) -> tuple[str, list[int]]:
        """Return what the chat template makes of a reply, as text and as tokens, its end included.

        That is what stands behind the prompt in the conversation with the reply: what a model
        that is trained to write the reply has to write.

        Raises:
            ConfigError: the chat template does not take such a conversation, or writes another
                prompt where a reply follows.
        """
        whole = self.rendered(group, 0, True, reply=make_inert(reply, self._marks))
        if not whole.startswith(prompt):
            raise ConfigError(
                "the model's chat template writes another prompt where a reply follows, so what "
                "is to be trained cannot be told from it; give a template that appends the reply"
            )
        text = whole[len(prompt) :]
        tokens = list(self._tokens(text))
        end = self.tokenizer.eos_token_id
        assert end is not None, "a model that is trained to reply has a token that ends replies"
        return text, tokens[: tokens.index(end) + 1] if end in tokens else [*tokens, end]

    def video_part(self, text: str, frames: FrameBatch) -> Inputs:
        """Return the inputs of a prompt up to its video's end: `prompts` holds one beginning."""
        processed = self._processed(text, frames)
        first = processed["input_ids"][0].tolist()
        cut = len(first) - first[::-1].index(self._config.vision_end_token_id)
        seconds = (
            step_seconds(frames, self._fps) * self._processor.video_processor.temporal_patch_size
        )
        pads = torch.tensor(first[:cut]) == self._config.video_token_id
        media = _tensors(processed)
        if "second_per_grid_ts" in processed:
            media["second_per_grid_ts"] = torch.tensor([seconds])
        return Inputs(
            prompts=(tuple(first[:cut]),),
            media=media,
            blocks=self._blocks(pads, processed["video_grid_thw"], seconds),
            media_types=_media_types(processed),
            video_tokens=int(pads.sum()),
        )

    def _processed(self, text: str, frames: FrameBatch) -> Mapping[str, Tensor]:
        from transformers.video_utils import VideoMetadata

        pixels = torch.from_numpy(np.array(frames.frames)).permute(0, 3, 1, 2)
        clock = video_clock(frames, self._fps)
        metadata = VideoMetadata(
            total_num_frames=clock.total, fps=clock.fps, frames_indices=list(clock.indices)
        )
        options: dict[str, object] = {"do_sample_frames": False, "video_metadata": [metadata]}
        if self._kind != "other":
            options["do_resize"] = False  # the frames have the size that the policy gave them
        return self._processor(text=[text], videos=[pixels], return_tensors="pt", **options)

    def _blocks(self, pads: Tensor, grid: Tensor, seconds: float) -> tuple[VisionBlock, ...]:
        time, height, width = (int(side) for side in grid[0])
        merge = self._config.vision_config.spatial_merge_size
        starts = torch.nonzero(pads & ~torch.cat([pads.new_zeros(1), pads[:-1]]))[:, 0].tolist()
        # Qwen3-VL writes the time before each step, and so shows the steps one by one.
        steps = time if self._kind == "qwen2_5_vl" else 1
        blocks = tuple(
            VisionBlock(start, steps, height // merge, width // merge, seconds) for start in starts
        )
        if sum(block.tokens for block in blocks) != int(pads.sum()):
            raise ConfigError(
                f"the processor shows a video of {time} x {height} x {width} patches in "
                f"{int(pads.sum())} tokens, in a way that this engine does not know; give "
                "share_prefix=false"
            )
        return blocks


def _message(role: str, text: str, *, parts: bool, video: bool = False) -> Mapping[str, object]:
    if not parts:
        return {"role": role, "content": text}
    videos = [{"type": "video"}] if video else []
    return {"role": role, "content": [*videos, {"type": "text", "text": text}]}


def _media_types(processed: Mapping[str, Tensor]) -> tuple[int, ...]:
    """The types of tokens up to the video's end; () where the processor knows none."""
    if "mm_token_type_ids" not in processed:
        return ()
    types = processed["mm_token_type_ids"][0]
    seen = torch.nonzero(types)
    return tuple(types[: int(seen.max()) + 1].tolist()) if len(seen) else ()


def _tensors(processed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the inputs of the video: all but those with one value per token."""
    skip = ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")
    return {k: v for k, v in processed.items() if isinstance(v, Tensor) and k not in skip}
