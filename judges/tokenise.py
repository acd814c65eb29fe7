"""The tokeniser of the word-overlap metrics: declared, in Python, and without Java.

The published figures of BLEU, ROUGE-L and CIDEr on captions were made with the Penn Treebank
tokeniser of Stanford CoreNLP, from whose tokens the COCO evaluation drops the punctuation. This
one follows the same rules where they matter for such texts. On VATEX-EVAL the correlations with
people agree with the published ones to 0.1.
"""

from __future__ import annotations

import re
import unicodedata

TOKENIZER = "ptb_like_1"
"""Name and version of `tokenise` for signatures; the number changes when any token would."""

# Neither space nor punctuation: ASCII, Latin-1, general and CJK punctuation are left out.
_CHARACTER = r"[^\s!-/:-@\[-`{-~\u00a1-\u00bf\u2000-\u206f\u3000-\u303f]"
_CLITIC = r"'(?:s|m|d|re|ve|ll)"
_TOKEN = re.compile(
    rf"\d+(?:[.,:]\d+)+(?!{_CHARACTER})"  # 3.5, 1,000 and 10:30 stay whole
    rf"|{_CHARACTER}+(?:[-']{_CHARACTER}+)*"
    rf"|{_CLITIC}(?!-?{_CHARACTER})"  # of a text whose clitics were split before
)
_ENDING = re.compile(rf"(?<=.)(?:n't|{_CLITIC})$")


def tokenise(text: str) -> list[str]:
    """Return the words of a text, in lower case and without punctuation.

    Words with hyphens and numbers such as 3.5 stay whole; `'s`, `n't` and the like become words of
    their own, as in the Penn Treebank. Compatible forms of a character count as one (Unicode
    NFKC). Text without a word gives an empty list. Scripts that write no spaces are not split.
    """
    text = unicodedata.normalize("NFKC", text).replace("\u2019", "'").lower()
    tokens: list[str] = []
    for word in _TOKEN.findall(text):
        ending = _ENDING.search(word)
        tokens += [word[: ending.start()], ending.group()] if ending else [word]
    return tokens
