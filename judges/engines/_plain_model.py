"""One prompt after another through the model's own forward and `generate`: the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from videojudge_bench.judges.engines._prompt_inputs import Inputs
from videojudge_bench.judges.engines._replying import Sampler
from videojudge_bench.judges.engines._tree_model import media_types, on_device

if TYPE_CHECKING:
    from videojudge_bench.judges.engines._model_types import Model


class PlainPrompts:
    """The prompts of a group, each on its own.

    Args:
        model: any model of transformers that writes text.
        inputs: of the group.
    """

    def __init__(self, model: Model, inputs: Inputs) -> None:
        self._model, self._inputs = model, inputs

    def logits(self, number: int, more: Sequence[int] = ()) -> Tensor:
        """Return float32 logits, (vocabulary,), behind a prompt and `more` tokens."""
        made = self._model(**self._arguments(number, more), logits_to_keep=1, use_cache=False)
        logits: Tensor = made.logits[0, -1]
        return logits.float()

    def write(
        self, number: int, sampler: Sampler, *, max_tokens: int, stopped: Callable[[], bool]
    ) -> list[int]:
        """Return the tokens that the model writes, the one that ends the reply included.

        Args:
            number: of the prompt.
            sampler: picks the tokens.
            max_tokens: the reply is cut after as many.
            stopped: asked after every token; True breaks off.
        """
        arguments = self._arguments(number, ())

        def broken_off(ids: Tensor, _scores: object, **_options: object) -> Tensor:
            return torch.full((len(ids),), stopped(), device=ids.device)

        made = self._model.generate(
            **arguments,
            max_new_tokens=max_tokens,
            logits_processor=[_Scores(sampler)],
            stopping_criteria=[broken_off],
        )
        return [int(token) for token in made[0, arguments["input_ids"].shape[1] :]]

    def _arguments(self, number: int, more: Sequence[int]) -> dict[str, Tensor]:
        ids = torch.tensor([[*self._inputs.prompts[number], *more]])
        media = {**self._inputs.media, **media_types(self._inputs, ids.shape[1])}
        device = self._model.device
        return {
            "input_ids": ids.to(device),
            "attention_mask": torch.ones_like(ids, device=device),
            **on_device(media, self._model),
        }


class _Scores:
    """`generate` takes the highest of what this makes of the logits."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def __call__(self, _ids: Tensor, scores: Tensor) -> Tensor:
        return self._sampler.scores(scores[0])[None]
