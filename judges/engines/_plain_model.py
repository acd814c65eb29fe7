"""Prompts one by one through the model's own forward and `generate`, as the reference."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor

from videojudge_bench.judges.engines._model_types import Model
from videojudge_bench.judges.engines._mrope import Scheme
from videojudge_bench.judges.engines._prompt_inputs import Inputs
from videojudge_bench.judges.engines._replying import Sampler
from videojudge_bench.judges.engines._tree_model import media_types, new_cache, on_device
from videojudge_bench.judges.engines.prefix_tree import Positions, positions


class PlainPrompts:
    """The prompts of a group, each on its own; without a scheme, the model's own positions."""

    def __init__(self, model: Model, inputs: Inputs, scheme: Scheme | None = None) -> None:
        self._model, self._inputs, self._scheme = model, inputs, scheme

    def logits(self, number: int, more: Sequence[int] = ()) -> Tensor:
        """Return float32 logits, (vocabulary,), behind a prompt and `more` tokens."""
        output = self._model(**self._arguments(number, more), logits_to_keep=1, use_cache=False)
        logits: Tensor = output.logits[0, -1]
        return logits.float()

    def write(
        self,
        number: int,
        sampler: Sampler,
        *,
        max_tokens: int,
        ends: Collection[int],
        stopped: Callable[[], bool],
    ) -> list[int]:
        """Return the tokens that the model writes, the one that ends the reply included."""
        arguments = self._arguments(number, ())
        if self._scheme is None:
            return self._generated(arguments, sampler, max_tokens, stopped)
        # `generate` of transformers 4.57 takes no positions.
        name, cache = new_cache(self._model)
        at = arguments["position_ids"].new_tensor(self._placed(number, ()).following)
        tokens: list[int] = []
        while True:
            output = self._model(**arguments, **{name: cache}, logits_to_keep=1, use_cache=True)
            tokens.append(sampler.pick(output.logits[0, -1].float()))
            if tokens[-1] in ends or len(tokens) == max_tokens or stopped():
                return tokens
            arguments = {
                "input_ids": arguments["input_ids"].new_tensor([tokens[-1:]]),
                "position_ids": (at + len(tokens) - 1).expand(3, 1, 1),
            }

    def _generated(
        self,
        arguments: Mapping[str, Tensor],
        sampler: Sampler,
        max_tokens: int,
        stopped: Callable[[], bool],
    ) -> list[int]:

        def broken_off(ids: Tensor, _scores: object, **_options: object) -> Tensor:
            return torch.full((len(ids),), stopped(), device=ids.device)

        output = self._model.generate(
            **arguments,
            max_new_tokens=max_tokens,
            logits_processor=[_Scores(sampler)],
            stopping_criteria=[broken_off],
        )
        return [int(token) for token in output[0, arguments["input_ids"].shape[1] :]]

    def _arguments(self, number: int, more: Sequence[int]) -> dict[str, Tensor]:
        ids = torch.tensor([[*self._inputs.prompts[number], *more]])
        given = {**self._inputs.media, **media_types(self._inputs, ids.shape[1])}
        if self._scheme is not None:
            given["position_ids"] = self._placed(number, more).ids[:, None]
        device = self._model.device
        return {
            "input_ids": ids.to(device),
            "attention_mask": torch.ones_like(ids, device=device),
            **on_device(given, self._model),
        }

    def _placed(self, number: int, more: Sequence[int]) -> Positions:
        assert self._scheme is not None, "asked for where positions are ours"
        length = len(self._inputs.prompts[number]) + len(more)
        rate = getattr(self._model.config.vision_config, "tokens_per_second", 1)
        return positions(length, self._inputs.blocks, scheme=self._scheme, tokens_per_second=rate)


class _Scores:
    """Sampling as a processor of logits: `generate` takes the highest of the returned scores."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def __call__(self, _ids: Tensor, scores: Tensor) -> Tensor:
        return self._sampler.scores(scores[0])[None]
