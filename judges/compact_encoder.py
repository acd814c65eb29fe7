"""The encoder behind `compact`: a BERT of MiniLM size whose weights are kept in eight bits.

A file of weights is safetensors: matrices as int8 with one scale a row, all else in float32, and in
its metadata the configuration and the form of the score. It is turned back to float32 when loaded,
so nothing but torch and transformers is needed to run it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from videojudge_bench._util.hashing import Json
from videojudge_bench.errors import ConfigError

if TYPE_CHECKING:
    import torch

PACKAGED = "compact.safetensors"
"""The weights that travel with the package, in `judges/weights/`."""

TOKENIZER = "tokenizer.json"

MAX_TOKENS = 256
"""Longer texts are cut."""

_SCALE, _WORDS, _LEVELS = ".scale", "token_weights", 127


@dataclass(frozen=True)
class Weights:
    """Contents of a file of weights.

    Attributes:
        config: of `transformers.BertConfig`.
        form: of the score.
        network: parameters by name, float32.
        token_weights: how much each entry of the vocabulary counts; shape (vocabulary,).
        about: where they come from.
    """

    config: Mapping[str, Json]
    form: Form
    network: Mapping[str, torch.Tensor]
    token_weights: torch.Tensor
    about: Mapping[str, Json]


def packaged_weights() -> Path:
    """Return the path of the weights that travel with the package."""
    return Path(str(files("videojudge_bench.judges") / "weights" / PACKAGED))


def write_weights(weights: Weights, path: Path) -> None:
    """Write a file of weights: each matrix rounded to 255 steps a row, in its place whole or not.

    A value differs from the original by at most half a step: its row's largest / 254.
    """
    from safetensors.torch import save_file

    tensors = {_WORDS: weights.token_weights.float()}
    for name, values in weights.network.items():
        if values.ndim == 2:
            scale = values.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / _LEVELS
            tensors[name] = (values / scale).round().char()
            tensors[name + _SCALE] = scale
        else:
            tensors[name] = values.float()
    parts = {"config": weights.config, "form": asdict(weights.form), "about": weights.about}
    metadata = {key: json.dumps(value, sort_keys=True) for key, value in parts.items()}
    part = path.with_name(path.name + ".part")
    save_file({k: v.contiguous() for k, v in tensors.items()}, part, metadata)
    part.chmod(0o644)  # safetensors writes files that only their owner reads
    part.replace(path)


def read_weights(path: Path) -> Weights:
    """Return what a file of weights holds, matrices back in float32; raises as `read_form`."""
    with _opened(path, "pt") as file:
        parts = _parts(file)
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network = {
            name: values.float() * stored[name + _SCALE] if values.ndim == 2 else values
            for name, values in stored.items()
            if name != _WORDS and not name.endswith(_SCALE)
        }
        form = Form(**parts["form"])
        return Weights(parts["config"], form, network, stored[_WORDS], parts["about"])


def read_form(path: Path) -> tuple[Form, Mapping[str, Json]]:
    """Return form and origin of a file of weights; needs no torch.

    Raises:
        ConfigError: there is no such file, or it is none that `write_weights` wrote.
    """
    with _opened(path, "np") as file:
        parts = _parts(file)
        return Form(**parts["form"]), parts["about"]


@contextmanager
def _opened(path: Path, framework: str) -> Iterator[Any]:
    """Open a file of weights; what is wrong with it is a ConfigError."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ConfigError(f"judge compact: weights={str(path)!r}: there is no such file")
    try:
        with safe_open(path, framework) as file:
            yield file
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"judge compact: weights={str(path)!r} is no file of weights for it ({error!r}); "
            "`python -m videojudge_bench.training.compact` writes such files"
        ) from error


def _parts(file: Any) -> dict[str, Any]:  # noqa: ANN401 - safetensors has no types
    return {key: json.loads(value) for key, value in (file.metadata() or {}).items()}


class TextEncoder:
    """Turns texts into `EncodedText`s.

    The tokenizer puts a mark before a text and one behind it, and does not pad. `token_weights`,
    (vocabulary,), says how much each entry of the vocabulary counts; with `bfloat16`, matrices are
    multiplied in that dtype.
    """

    def __init__(
        self,
        tokenizer: Any,  # noqa: ANN401 - tokenizers has no types
        network: Any,  # noqa: ANN401 - transformers has no types
        token_weights: Floats,
        *,
        batch_size: int = 64,
        bfloat16: bool = False,
    ) -> None:
        self._tokenizer, self._network = tokenizer, network
        self._token_weights = token_weights
        self._batch_size, self._bfloat16 = batch_size, bfloat16

    def encode(self, texts: Iterable[str]) -> dict[str, EncodedText | None]:
        """Return each text encoded; None for one without a token."""
        # Texts of one length make a batch: nothing is padded, so that a text's numbers do not
        # depend on what else there is to encode.
        encoded: dict[str, EncodedText | None] = {}
        by_length: dict[int, list[tuple[str, list[int]]]] = {}
        for text in dict.fromkeys(texts):
            ids = self._tokenizer.encode(readable(text)).ids
            encoded[text] = None
            if len(ids) > 2:  # more than the marks of beginning and end
                by_length.setdefault(len(ids), []).append((text, ids))
        for same in by_length.values():
            for start in range(0, len(same), self._batch_size):
                encoded.update(self._batch(same[start : start + self._batch_size]))
        return encoded

    def _batch(self, texts: list[tuple[str, list[int]]]) -> dict[str, EncodedText]:
        import torch

        ids = torch.tensor([ids for _, ids in texts])
        quick = torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._bfloat16)
        with torch.inference_mode(), quick:
            states = self._network(input_ids=ids).last_hidden_state.float()
        vectors = torch.nn.functional.normalize(states.mean(dim=1), dim=-1).numpy()
        tokens = torch.nn.functional.normalize(states[:, 1:-1], dim=-1).numpy()
        weights = self._token_weights[ids[:, 1:-1].numpy()]
        return {
            text: EncodedText(vectors[at], tokens[at], weights[at])
            for at, (text, _) in enumerate(texts)
        }


class CompactEncoder(TextEncoder):
    """The encoder of a file of weights."""

    def __init__(self, weights: Weights, *, batch_size: int = 64, bfloat16: bool = False) -> None:
        super().__init__(
            read_tokenizer(),
            network_of(weights),
            weights.token_weights.float().numpy(),
            batch_size=batch_size,
            bfloat16=bfloat16,
        )


def readable(text: str) -> str:
    """Return a text with what is no character (half of a surrogate pair) replaced."""
    return text.encode("utf-8", "replace").decode()


def read_tokenizer() -> Any:  # noqa: ANN401 - tokenizers has no types
    """Return the tokenizer that all weights share, texts cut at `MAX_TOKENS`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(packaged_weights().with_name(TOKENIZER)))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def network_of(weights: Weights) -> Any:  # noqa: ANN401 - transformers has no types
    """Return the network with the given weights, ready to run."""
    transformers: Any = importlib.import_module("transformers")  # typed in part, by version
    config = transformers.BertConfig(**weights.config)
    network = transformers.BertModel(config, add_pooling_layer=False)
    network.load_state_dict(dict(weights.network))
    return network.eval()


Floats = NDArray[np.float32]

LEAVE_ONE_OUT = 0.25
"""Share of the references' agreement among themselves that is taken off."""

NEAREST = 2
"""References whose cosines count, the nearest ones."""

WORST = -1.0
"""Closeness and support of a response without a word: the least that there can be."""


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text as the encoder sees it.

    Attributes:
        vector: mean of the token states, of length 1; shape (hidden size,).
        tokens: each token's state, of length 1; shape (tokens, hidden size).
        weights: how much each token counts, 0 or more; shape (tokens,).
    """

    vector: Floats
    tokens: Floats
    weights: Floats


@dataclass(frozen=True, slots=True)
class Form:
    """Weights of closeness and support.

    Attributes:
        closeness_of_one: share of closeness, 0 to 1, where there is one reference.
        closeness_of_many: the same where there are several.
    """

    closeness_of_one: float
    closeness_of_many: float


class References:
    """The references of one group, compared with each other once."""

    def __init__(self, texts: Sequence[EncodedText], form: Form) -> None:
        self._many = len(texts) > 1
        self._share = form.closeness_of_many if self._many else form.closeness_of_one
        self._vectors = np.stack([text.vector for text in texts])
        self._tokens = np.concatenate([text.tokens for text in texts])
        self._agreement = self._mixed(*_among(texts)) if self._many else 0.0

    def score(self, response: EncodedText | None) -> float:
        """Return the score of a response, higher is better; None is one without a word."""
        taken = LEAVE_ONE_OUT * self._agreement
        if response is None:
            return WORST - taken
        cosines = np.sort(self._vectors @ response.vector)[-NEAREST:]
        support = _support(response, response.tokens @ self._tokens.T)
        return self._mixed(float(cosines.mean()), support) - taken

    def _mixed(self, closeness: float, support: float) -> float:
        return self._share * closeness + (1 - self._share) * support


def _among(texts: Sequence[EncodedText]) -> tuple[float, float]:
    """Closeness to the nearest other reference, and support by all others, averaged."""
    vectors = np.stack([text.vector for text in texts])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    tokens = np.concatenate([text.tokens for text in texts])
    owner = np.repeat(np.arange(len(texts)), [len(text.tokens) for text in texts])
    supports = [
        _support(text, text.tokens @ tokens[owner != number].T) for number, text in enumerate(texts)
    ]
    return float(cosines.max(axis=1).mean()), float(np.mean(supports))


def _support(text: EncodedText, cosines: Floats) -> float:
    """Weighted mean over a text's tokens (rows) of the best cosine in each row."""
    best = cosines.max(axis=1)
    if not text.weights.any():  # nothing but words that say nothing: all alike
        return float(best.mean())
    return float(best @ text.weights / text.weights.sum())
