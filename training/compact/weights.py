"""From an encoder to a file of weights: token weights, and the mix of the two figures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from videojudge_bench._util.hashing import content_hash
from videojudge_bench.judges.compact_encoder import (
    MAX_TOKENS,
    CompactEncoder,
    Form,
    References,
    Weights,
    read_tokenizer,
    readable,
)
from videojudge_bench.judges.minilm import load_minilm
from videojudge_bench.training.compact.captions import Ladder

if TYPE_CHECKING:
    import torch

MOST = 2.0
"""Upper bound of a token's weight: without it, rare words would decide everything."""

FORM = Form(closeness_of_one=2 / 3, closeness_of_many=0.5)
"""Used until `balanced` has measured the spread of the two figures."""

_KEPT = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_hidden_layers",
    "hidden_act",
    "layer_norm_eps",
    "type_vocab_size",
    "vocab_size",
    "max_position_embeddings",
    "pad_token_id",
)


def start_weights(model: str, texts: Sequence[str]) -> Weights:
    """Return an untuned sentence encoder, as for judge `minilm`, with token weights from texts."""
    _, network = load_minilm(model)
    config = {key: getattr(network.config, key) for key in _KEPT}
    places = min(MAX_TOKENS, config["max_position_embeddings"])
    config["max_position_embeddings"] = places
    parameters = {n: p.detach() for n, p in network.named_parameters() if n[:7] != "pooler."}
    by_place = "embeddings.position_embeddings.weight"
    parameters[by_place] = parameters[by_place][:places]
    return Weights(config, FORM, parameters, token_weights(texts), {})


def token_weights(texts: Sequence[str]) -> torch.Tensor:
    """Return the weight of each token: min(ln((n + 1) / (n_with_it + 1)), 2), shape (tokens,).

    Punctuation and marks such as [CLS] weigh nothing.
    """
    import torch

    tokenizer = read_tokenizer()
    n_with_it = np.zeros(tokenizer.get_vocab_size())
    for text in texts:
        n_with_it[list(set(tokenizer.encode(readable(text)).ids))] += 1
    counts = np.minimum(np.log((len(texts) + 1) / (n_with_it + 1)), MOST)
    counts[[at for token, at in tokenizer.get_vocab().items() if _is_mark(token)]] = 0
    return torch.tensor(counts, dtype=torch.float32)


def _is_mark(token: str) -> bool:
    special = token.startswith("[") and token.endswith("]") and len(token) > 2
    return special or not any(character.isalnum() for character in token)


def between(
    one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """Return parameters on the line between two encoders: `share` of the second.

    Wortsman et al. 2022 (https://arxiv.org/abs/2109.01903).
    """
    return {name: (1 - share) * one[name] + share * other[name] for name in one}


def weights_hash(weights: Weights) -> str:
    """Return the SHA-256 (64 hex digits) of everything that an encoder's scores depend on."""
    digest = hashlib.sha256(content_hash([weights.config, asdict(weights.form)]).encode())
    for name, values in sorted({**weights.network, "token_weights": weights.token_weights}.items()):
        digest.update(name.encode())
        digest.update(values.float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def balanced(weights: Weights, ladders: Sequence[Ladder]) -> Weights:
    """Return weights whose form gives both figures the same spread over captions and drafts.

    Each step of a ladder is scored against the other captions of its group.
    """
    texts = {text for ladder in ladders for text in (*ladder.steps, *ladder.others)}
    encoded = CompactEncoder(weights, bfloat16=True).encode(sorted(texts))

    def scores(form: Form) -> float:
        values = []
        for ladder in ladders:
            # Captions have words, so none is missing.
            others = [text for each in ladder.others if (text := encoded[each]) is not None]
            beside = References(others, form)
            values += [beside.score(encoded[text]) for text in ladder.steps]
        return float(np.std(values))

    closeness, support = scores(Form(1.0, 1.0)), scores(Form(0.0, 0.0))
    form = Form(FORM.closeness_of_one, round(support / (closeness + support), 3))
    return replace(weights, form=form)
