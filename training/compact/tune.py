"""Tuning of an encoder on captions of the same thing, with checkpoints every few steps.

Two losses on pairs, each over the batch (InfoNCE, van den Oord et al. 2018,
https://arxiv.org/abs/1807.03748): one on the cosine of the mean vectors, one on the support of one
caption's tokens by the other's. One on ladders: of two steps, the less wrong one should score
higher. Token and position embeddings are frozen. No human rating is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from videojudge_bench._util.hashing import content_hash
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.compact_encoder import (
    CompactEncoder,
    Weights,
    network_of,
    read_tokenizer,
    readable,
)
from videojudge_bench.training.compact.captions import LADDER, Batches, BatchSizes, Group, Ladder
from videojudge_bench.training.compact.weights import weights_hash

if TYPE_CHECKING:
    import torch

CHECKPOINT = "checkpoint.safetensors"
_KEPT_EVERY = 10  # steps
_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")
_NEAR, _FAR = 0, 1  # captions of a group whose mean places it among the others


@dataclass(frozen=True)
class TuneOptions:
    """Settings for tuning an encoder.

    Attributes:
        horizon: steps at which the learning rate reaches 0; `steps` is no more.
        learning_rate: peak, after ten steps or a tenth of the horizon.
        temperature: divisor of the cosines of pairs.
    """

    steps: int = 40
    horizon: int = 100
    sizes: BatchSizes = field(default_factory=BatchSizes)
    learning_rate: float = 1e-4
    temperature: float = 0.07
    ladder_temperature: float = 0.05
    max_tokens: int = 24
    dropout: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """Steps done, and the losses of the last one."""

    step: int
    steps: int
    pairs: float
    ladders: float

    def __str__(self) -> str:
        losses = f"loss {self.pairs:.3f} on pairs, {self.ladders:.3f} on ladders"
        return f"step {self.step} of {self.steps}: {losses}"


def group_vectors(weights: Weights, groups: Sequence[Group]) -> NDArray[np.float32]:
    """Return the mean of two captions' vectors of each group, of length 1, shape (groups, size)."""
    encoded = CompactEncoder(weights, bfloat16=True).encode(
        text for group in groups for text in (group[_NEAR], group[_FAR])
    )
    size = weights.token_weights.new_zeros(int(str(weights.config["hidden_size"]))).numpy()
    of = {text: size if each is None else each.vector for text, each in encoded.items()}
    vectors = np.stack([of[group[_NEAR]] + of[group[_FAR]] for group in groups])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)


def tune(
    start: Weights,
    groups: Sequence[Group],
    ladders: Sequence[Ladder],
    folder: Path,
    options: TuneOptions,
    *,
    keep_some: bool = False,
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, torch.Tensor]:
    """Return the tuned parameters by name; the same call resumes.

    Raises:
        ConfigError: the folder's checkpoint is of another encoder, other options or captions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    batches = Batches(
        groups,
        group_vectors(start, groups),
        ladders,
        sizes=options.sizes,
        keep_some=keep_some,
        seed=options.seed,
    )
    work = _Work(start, options, batches, _made_from(start, groups, ladders, options))
    done = work.resume(folder / CHECKPOINT)
    for step in range(done, options.steps):
        pairs, of_ladders = work.step()
        on_step(Progress(step + 1, options.steps, pairs, of_ladders))
        if (step + 1) % _KEPT_EVERY == 0 or step + 1 == options.steps:
            work.keep(folder / CHECKPOINT, step + 1)
    return work.parameters()


class _Work:
    def __init__(
        self, start: Weights, options: TuneOptions, batches: Batches, made_from: str
    ) -> None:
        import torch

        torch.manual_seed(options.seed)
        self._options, self._batches, self._made_from = options, batches, made_from
        config = {**start.config, **dict.fromkeys(_DROPOUTS, options.dropout)}
        self._network = network_of(replace(start, config=config)).train()
        self._network.embeddings.requires_grad_(False)
        self._tuned = {n: p for n, p in self._network.named_parameters() if p.requires_grad}
        self._optimiser = torch.optim.AdamW(self._tuned.values(), lr=1.0, weight_decay=0.01)
        self._tokenizer = read_tokenizer()
        self._tokenizer.enable_truncation(options.max_tokens)
        self._tokenizer.enable_padding()
        self._token_weights = start.token_weights.float()
        self._done = 0

    def step(self) -> tuple[float, float]:
        import torch

        texts, pairs, ladders = self._batches.draw()
        encoded = self._encode(texts)
        of_pairs = self._pair_loss(encoded, pairs)
        of_ladders = self._ladder_loss(encoded, 2 * pairs, ladders)
        self._optimiser.zero_grad()
        loss: Any = of_pairs + of_ladders
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._tuned.values(), 1.0)
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate(self._done)
        self._optimiser.step()
        self._done += 1
        return of_pairs.item(), of_ladders.item()

    def parameters(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in self._network.named_parameters()}

    def keep(self, path: Path, step: int) -> None:
        import torch
        from safetensors.torch import save_file

        tensors = {f"network/{name}": value.detach() for name, value in self._tuned.items()}
        tensors["torch_rng"] = torch.get_rng_state()
        for name, value in self._tuned.items():
            for key, kept in self._optimiser.state[value].items():
                tensors[f"{key}/{name}"] = kept
        metadata = {
            "step": str(step),
            "draws": json.dumps(self._batches.rng.bit_generator.state),
            "made_from": self._made_from,
        }
        part = path.with_name(path.name + ".part")
        save_file(tensors, part, metadata)
        part.replace(path)

    def resume(self, path: Path) -> int:
        import torch
        from safetensors import safe_open

        if not path.exists():
            return 0
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
            if metadata["made_from"] != self._made_from:
                raise ConfigError(
                    f"{path} was made from other captions or options, or of another encoder; give "
                    "another folder, or delete that file to begin anew"
                )
            kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        torch.set_rng_state(kept.pop("torch_rng"))
        self._batches.rng.bit_generator.state = json.loads(metadata["draws"])
        with torch.no_grad():
            for name, value in self._tuned.items():
                value.copy_(kept.pop(f"network/{name}"))
        for place, value in kept.items():
            key, _, name = place.partition("/")
            self._optimiser.state[self._tuned[name]][key] = value
        self._done = int(metadata["step"])
        return self._done

    def _rate(self, step: int) -> float:
        horizon = self._options.horizon
        rising = (step + 1) / min(10, max(1, horizon // 10))
        return self._options.learning_rate * min(rising, (horizon - step) / horizon)

    def _encode(self, texts: Sequence[str]) -> _Batch:
        import torch

        encodings = self._tokenizer.encode_batch([readable(text) for text in texts])
        ids = torch.tensor([e.ids for e in encodings])
        mask = torch.tensor([e.attention_mask for e in encodings])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states = self._network(input_ids=ids, attention_mask=mask).last_hidden_state
        states, present = states.float(), mask.float()
        means = (states * present[..., None]).sum(dim=1) / present.sum(dim=1, keepdim=True)
        normalize = torch.nn.functional.normalize
        counts = self._token_weights[ids] * present
        return _Batch(normalize(means, dim=-1), normalize(states, dim=-1), counts)

    def _pair_loss(self, batch: _Batch, pairs: int) -> torch.Tensor:
        import torch

        one, other = batch.part(0, pairs), batch.part(pairs, 2 * pairs)
        right = torch.arange(pairs)
        cosines = one.vectors @ other.vectors.T
        scores = [cosines, cosines.T, one.support_by(other), other.support_by(one)]
        losses = [
            torch.nn.functional.cross_entropy(each / self._options.temperature, right)
            for each in scores
        ]
        return torch.stack(losses).sum() / 2

    def _ladder_loss(self, batch: _Batch, start: int, ladders: int) -> torch.Tensor:
        import torch

        total = torch.zeros(())
        higher, lower = torch.triu_indices(LADDER - 1, LADDER - 1, 1)
        for at in range(start, start + ladders * LADDER, LADDER):
            beside, steps = batch.part(at, at + 1), batch.part(at + 1, at + LADDER)
            scores = steps.vectors @ beside.vectors[0] + steps.support_by(beside)[:, 0]
            ahead = (scores[higher] - scores[lower]) / self._options.ladder_temperature
            total = total + torch.nn.functional.softplus(-ahead).mean()
        return total / max(1, ladders)


@dataclass(frozen=True)
class _Batch:
    """Encoded texts: vectors (texts, size), tokens (texts, width, size), counts (texts, width)."""

    vectors: torch.Tensor
    tokens: torch.Tensor
    counts: torch.Tensor

    def part(self, start: int, end: int) -> _Batch:
        return _Batch(self.vectors[start:end], self.tokens[start:end], self.counts[start:end])

    def support_by(self, other: _Batch) -> torch.Tensor:
        """Support of each text here by each text there, shape (here, there)."""
        size = self.tokens.shape[-1]
        flat = self.tokens.reshape(-1, size) @ other.tokens.reshape(-1, size).T
        cosines = flat.view(*self.tokens.shape[:2], *other.tokens.shape[:2])
        best = cosines.masked_fill(other.counts.eq(0), -1.0).amax(dim=-1)
        weighted = (best * self.counts[..., None]).sum(dim=1)
        return weighted / self.counts.sum(dim=1).clamp_min(1e-6)[:, None]


def _made_from(
    start: Weights, groups: Sequence[Group], ladders: Sequence[Ladder], options: TuneOptions
) -> str:
    texts = [list(group) for group in groups] + [list(ladder.steps) for ladder in ladders]
    return content_hash([weights_hash(start), texts, asdict(options)])
