"""Filters of seeds: too short, off topic, or duplicates."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from videojudge_bench.training.bootstrap.contracts import Seed

Tokens = npt.NDArray[np.uint64]

MIN_JACCARD = 0.9
"""Texts whose sets of words share so much (intersection by union) are near-duplicates."""

LONG_GOLD_WORDS = 20
"""Shorter answers may be right of two videos; so long a one is written once."""

MIN_EVIDENCE_STEMS = 16
"""Content words that describe a video well enough for sharing none to be no accident.

On VATEX (a caption, and the eight other captions of its video or of another one; 3,000 each) the
rule finds 70 % of the mismatches, and 0.5 % of the true ones are flagged; see
`tests/training/test_bootstrap_seeds_filters.py`.
"""

_MIN_ANSWER_STEMS, _MIN_GOLD_STEMS, _MIN_ASKED_STEMS = 8, 3, 3

# Words of grammar, words that any question about a video has, and words for people, which most
# videos share.
_COMMON_WORDS = """
a about after again against all along also am an and another any are around as at be because
been before behind being between both but by can could did do does doing done down during each
every few first five for four from had has have having he her here hers him his how i if in
into is it its just many may me might more most much must my near next no nor not of off on
once one only onto or other our out over own same second several shall she should so some such
than that the their them then there these they this those three through to too two under up us
very was we were what when where which while who whom whose why will with would yes you your
according based brief camera clip depict depicted describe description detail detailed details
explain film footage give happen happened happening happens identify main movie please provide
scene see seen sentence show showing shown shows summarize summary tell video videos
adult adults baby boy boys child children female girl girls group guy guys individual kid kids
lady ladies male man men people person somebody someone woman women
"""
_WORD = re.compile(r"[^\W_]+")
_COMMON = frozenset(_WORD.findall(_COMMON_WORDS))
_ENDINGS = ("ing", "ed", "es", "s")


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, without marks."""
    return _WORD.findall(text.lower())


def stems(text: str) -> frozenset[str]:
    """Return the content words of an English text, common endings cut off.

    Words of grammar, of questions about videos and for people are left out.
    """
    return frozenset(_stem(word) for word in words(text) if len(word) > 2 and word not in _COMMON)


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def length_problem(seed: Seed, min_gold_words: int) -> str:
    """Return why a seed's texts are too short, or "" when they are not."""
    if not seed.instruction.strip():
        return "no instruction"
    if not seed.gold.strip():
        return "no answer"
    if len(words(seed.gold)) < min_gold_words:
        return f"answer of fewer than {min_gold_words} words"
    return ""


def relevance_problem(seed: Seed) -> str:
    """Return why a seed's texts cannot be about one video, or "" when nothing speaks against it.

    Content words are compared, where two texts are long enough to share one: a false alarm costs a
    good seed. An answer is held against description and references, an instruction against answer,
    description and references. Texts outside the Latin alphabet are not checked.
    """
    known = " ".join((seed.description or "", *seed.references))
    if not _is_latin(seed.instruction + seed.gold + known):
        return ""
    evidence, gold, asked = stems(known), stems(seed.gold), stems(seed.instruction)
    if _are_apart(gold, _MIN_GOLD_STEMS, evidence, MIN_EVIDENCE_STEMS):
        return "answer shares no content word with description or references"
    if _are_apart(asked, _MIN_ASKED_STEMS, gold | evidence, _MIN_ANSWER_STEMS):
        return "instruction shares no content word with answer or description"
    return ""


def _are_apart(some: frozenset[str], least: int, others: frozenset[str], of: int) -> bool:
    return len(some) >= least and len(others) >= of and some.isdisjoint(others)


def _is_latin(text: str) -> bool:
    if text.isascii():
        return True
    letters = [letter for letter in text if letter.isalpha()]
    return 2 * sum(letter < "\u0250" for letter in letters) >= len(letters)


class NearDuplicates:
    """Finds texts that equal an earlier one, or nearly do.

    Two texts are near-duplicates when their sets of words have a Jaccard similarity of at least
    `MIN_JACCARD`. For sets of up to 8 words that means equal sets, which are looked up; for larger
    ones six bands of four MinHash values (Broder 1997) name texts to compare with: of pairs just at
    0.9, one in six hundred is missed. Time and memory grow with the number of texts.
    """

    def __init__(self) -> None:
        self._texts: list[bytes] = []
        self._first: dict[int, int] = {}

    def seen(self, *texts: tuple[str, str]) -> bool:
        """Return whether one of some texts came before; if none did, remember all of them.

        Each text has a scope; only texts of one scope are compared.
        """
        hashed = [(_tokens(text), scope) for scope, text in texts]
        keyed = [(tokens, _keys(scope, tokens)) for tokens, scope in hashed]
        if any(self._is_known(tokens, keys) for tokens, keys in keyed):
            return True
        for tokens, keys in keyed:
            for key in keys:
                self._first.setdefault(key, len(self._texts))
            self._texts.append(tokens.astype(np.uint32).tobytes())
        return False

    def _is_known(self, tokens: Tokens, keys: Iterable[int]) -> bool:
        for number in {self._first[key] for key in keys if key in self._first}:
            others = np.frombuffer(self._texts[number], np.uint32)
            shared = len(np.intersect1d(tokens, others, assume_unique=True))
            if shared >= MIN_JACCARD * (len(tokens) + len(others) - shared):
                return True
        return False


def _tokens(text: str) -> Tokens:
    """Return the 32-bit hashes of the distinct words of a text, sorted."""
    hashes = {zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words(text)}
    return np.array(sorted(hashes), np.uint64)


def _keys(scope: str, tokens: Tokens) -> list[int]:
    if len(tokens) <= _EQUAL_UP_TO:
        return [_number(scope, tokens.tobytes())]
    # Unsigned numbers wrap round: a multiplication by an odd number puts them in another order.
    smallest = (tokens * _FACTORS + _SHIFTS).min(axis=1)
    bands = smallest.reshape(_BANDS, -1)
    return [_number(f"{scope} {band}", values.tobytes()) for band, values in enumerate(bands)]


def _number(scope: str, data: bytes) -> int:
    name = scope.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(name + b"\0" + data, digest_size=8).digest(), "big")


_EQUAL_UP_TO, _BANDS, _ROWS = 8, 6, 4
_RANDOM = np.random.default_rng(0).integers(1 << 63, size=(2, _BANDS * _ROWS, 1), dtype=np.uint64)
_FACTORS, _SHIFTS = _RANDOM[0] * 2 + 1, _RANDOM[1]
