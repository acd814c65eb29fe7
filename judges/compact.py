"""Support of a response by its references, measured by a small sentence encoder on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.hashing import file_hash
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError, UnknownNameError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge
from videojudge_bench.verdicts import Judgement, Rating, Unparsed

if TYPE_CHECKING:
    from videojudge_bench.judges.compact_encoder import CompactEncoder, EncodedText, References

DTYPES = ("float32", "bfloat16")
_CHUNK_ITEMS = 512


class Compact(Judge):
    """Support of a response by its references, about -0.3 to 1; trained on no rating.

    Compares the response with one or more references by a sentence encoder of 23 million weights
    that travels with the package in eight bits: no download, no GPU. The more references, the
    better it judges. The score of an item depends on that item alone.

    Args:
        weights: a file of other weights, of `python -m videojudge_bench.training.compact`.
        dtype: `float32`, or `bfloat16`, faster on processors that have it and less exact.
        batch_size: texts that are encoded at once.

    Raises:
        ConfigError: the file of weights cannot be read, or `dtype` is unknown.
    """

    requires = frozenset({"references"})
    scale = None
    unsigned = frozenset({"batch_size"})

    def __init__(
        self, *, weights: str | None = None, dtype: str = "float32", batch_size: int = 64
    ) -> None:
        from videojudge_bench.judges import compact_encoder as encoder  # needs numpy

        if dtype not in DTYPES:
            raise UnknownNameError("dtype", dtype, DTYPES)
        if batch_size < 1:
            raise ConfigError(f"batch_size={batch_size}: at least one text has to be encoded")
        self._path = encoder.packaged_weights() if weights is None else Path(weights).expanduser()
        self._form, about = encoder.read_form(self._path)
        self._overlap = str(about.get("overlap") or "")
        self._batch_size, self._bfloat16 = batch_size, dtype == "bfloat16"
        self._texts: dict[str, EncodedText | None] = {}
        self._last: tuple[tuple[str, ...], References | None] = ((), None)

    def rate(self, item: Item) -> Rating | Unparsed:
        """Return the score, to 6 decimals; an empty response gets less than any other.

        Without a reference that is not blank: `Unparsed`.
        """
        self._encode([item.response, *item.references])
        references = self._references(item.references)
        if references is None:
            return Unparsed("no reference to compare the response with")
        # From the 7th digit on, machines differ: nothing there is information.
        return Rating(round(references.score(self._texts[item.response]), 6))

    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        """Yield one judgement per item, in their order; 512 items are encoded together."""
        stream = iter(items)
        while chunk := list(islice(stream, _CHUNK_ITEMS)):
            sides = [side for i in chunk for side in ((i,) if isinstance(i, Item) else i.sides())]
            texts = [text for side in sides for text in (side.response, *side.references)]
            self._encode(texts)
            yield from super().judge(chunk)

    def settings(self) -> Mapping[str, Scalar]:
        """Return the hash of the weights, the form of the score, and the library."""
        from videojudge_bench.judges.compact_encoder import LEAVE_ONE_OUT, MAX_TOKENS, NEAREST

        return {
            "weights": self._path.name,
            "revision": f"sha256:{file_hash(self._path)[:12]}",
            "form": f"top{NEAREST} loo{LEAVE_ONE_OUT} one{self._form.closeness_of_one:.3f} "
            f"many{self._form.closeness_of_many:.3f}",
            "max_tokens": MAX_TOKENS,
            "transformers": version("transformers"),
            **({"overlap": self._overlap} if self._overlap else {}),
        }

    @cached_property
    def _encoder(self) -> CompactEncoder:
        """Made for the first text: a run with nothing left to judge does not load torch."""
        from videojudge_bench.judges.compact_encoder import CompactEncoder, read_weights

        return CompactEncoder(
            read_weights(self._path), batch_size=self._batch_size, bfloat16=self._bfloat16
        )

    def close(self) -> None:
        """Forget the texts seen so far."""
        self._texts.clear()
        self._last = ((), None)

    def _encode(self, texts: Sequence[str]) -> None:
        new = [text for text in texts if text not in self._texts]
        if new:
            # Token states are large: of earlier texts only those that are asked again are kept.
            self._texts = {t: self._texts[t] for t in texts if t in self._texts}
            self._texts.update(self._encoder.encode(new))

    def _references(self, texts: tuple[str, ...]) -> References | None:
        from videojudge_bench.judges.compact_encoder import References

        # Items of a group come one after another and share their references.
        if self._last[0] != texts:
            encoded = [each for text in texts if (each := self._texts[text]) is not None]
            self._last = (texts, References(encoded, self._form) if encoded else None)
        return self._last[1]
