"""Classic text metrics as judges: overlap of the response with the references.

All of them need references and only rank: their numbers lie on no rating scale. A response without
a word scores 0; an item without a reference that has words is `Unparsed`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.judge import Judge
from videojudge_bench.judges.tokenise import TOKENIZER, tokenise
from videojudge_bench.verdicts import Rating, Unparsed

NO_REFERENCE = "no reference with a word in it"
"""Reason of the `Unparsed` that an item without usable references gets."""


class _OverlapMetric(Judge):
    """A score of one response against its references."""

    requires = frozenset({"references"})
    scale = None

    @abstractmethod
    def _score(self, response: str, references: list[str]) -> float:
        """Return the score of texts that `_prepare` returned, none of them empty."""

    def _prepare(self, text: str) -> str:
        return " ".join(tokenise(text))

    def rate(self, item: Item) -> Rating | Unparsed:
        references = [text for text in map(self._prepare, item.references) if text]
        if not references:
            return Unparsed(NO_REFERENCE)
        response = self._prepare(item.response)
        return Rating(self._score(response, references) if response else 0.0)

    def settings(self) -> Mapping[str, Scalar]:
        """Return the tokeniser and the version of pycocoevalcap."""
        return {"tokenizer": TOKENIZER, "pycocoevalcap": version("pycocoevalcap")}


class Bleu1(_OverlapMetric):
    """BLEU-1 of one sentence, 0 to 1: pycocoevalcap's score per segment, unsmoothed.

    The brevity penalty takes the reference that is nearest in length (Papineni et al. 2002,
    https://aclanthology.org/P02-1040).
    """

    _order = 1

    def _score(self, response: str, references: list[str]) -> float:
        from pycocoevalcap.bleu.bleu_scorer import BleuScorer

        scorer = BleuScorer(test=response, refs=references, n=self._order)
        _, by_order = scorer.compute_score(option="closest", verbose=0)
        return float(by_order[self._order - 1][0])


class Bleu4(Bleu1):
    """BLEU-4 of one sentence, 0 to 1: pycocoevalcap's score per segment, unsmoothed.

    Without a common 4-gram it lies below 0.0002 (below 0.04 when the response has under four words)
    and still ranks by the shorter n-grams: a recipe that rounds, as EMScore's does, makes these
    ties.
    """

    _order = 4


class RougeL(_OverlapMetric):
    """ROUGE-L, 0 to 1: F with beta 1.2 over the longest common subsequence.

    The best precision and the best recall over the references are taken apart, as in the COCO
    evaluation (Lin 2004, https://aclanthology.org/W04-1013).
    """

    def _score(self, response: str, references: list[str]) -> float:
        from pycocoevalcap.rouge.rouge import Rouge

        return float(Rouge().calc_score([response], references))


class Cider(_OverlapMetric):
    """CIDEr, 0 to 10: similarity of 1- to 4-grams weighted by how rare they are in the gold set.

    The variant with clipping and a length penalty (CIDEr-D, sigma 6) of pycocoevalcap (Vedantam et
    al. 2015, https://arxiv.org/abs/1411.5726). Document frequencies come from the references of the
    whole gold set, one document per item as in EMScore: six candidates of one video are six
    documents. With a single document every weight, and so every score, is 0.
    """

    def __init__(self) -> None:
        self._documents = 0
        self._frequencies: Counter[tuple[str, ...]] = Counter()

    def fit(self, items: Sequence[Item | Pair]) -> None:
        """Count in how many items' references each n-gram occurs."""
        from pycocoevalcap.cider.cider_scorer import cook_refs

        self._documents, self._frequencies = 0, Counter()
        # Items of a group share their references: cooking each set of references once is 6 x faster
        for references, count in Counter(item.references for item in items).items():
            cooked = cook_refs([text for text in map(self._prepare, references) if text])
            if cooked:
                self._documents += count
            for ngram in set().union(*cooked):
                self._frequencies[ngram] += count

    def _score(self, response: str, references: list[str]) -> float:
        from pycocoevalcap.cider.cider_scorer import CiderScorer

        if not self._documents:
            raise ConfigError(
                "judge cider has no document frequencies: call fit(items) with all items of the "
                "gold set, references included, before judging"
            )
        scorer = CiderScorer(test=response, refs=references)
        scorer.document_frequency = self._frequencies
        # The scorer takes the number of documents from the length of `crefs`, of which it scores
        # as many as there are responses: empty documents make that number the gold set's.
        scorer.crefs += [[]] * (self._documents - 1)
        return float(scorer.compute_cider()[0])


class Chrf(_OverlapMetric):
    """chrF, 0 to 100: F with beta 2 over character 1- to 6-grams, by sacrebleu.

    Case and punctuation count, spaces do not, and the best reference does (Popović 2015,
    https://aclanthology.org/W15-3049).
    """

    def __init__(self) -> None:
        from sacrebleu.metrics.chrf import CHRF

        self._metric = CHRF()

    def _prepare(self, text: str) -> str:
        return text if tokenise(text) else ""

    def _score(self, response: str, references: list[str]) -> float:
        return float(self._metric.sentence_score(response, references).score)

    def settings(self) -> Mapping[str, Scalar]:
        """Return the parameters and the version of sacrebleu; the text is not tokenised."""
        metric = self._metric
        parameters = f"nc{metric.char_order} nw{metric.word_order} beta{metric.beta}"
        return {"tokenizer": "none", "chrf": parameters, "sacrebleu": version("sacrebleu")}
