"""The comparison of two judges as text: for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean

from videojudge_bench.analysis.parity import SCORE_TOLERANCE, Parity, Side
from videojudge_bench.analysis.prompt_difference import NEAR_TIE
from videojudge_bench.verdicts import Preference, Rating, Unparsed, Verdict

Row = tuple[str, ...]

ITEM_HEAD = (
    *("item", "verdict of A", "verdict of B", "difference", "prompt tokens, A / B"),
    *("reply of A", "reply of B", "where the prompts first differ"),
)

NOTES = (
    (
        "Same verdicts: every reply is equal or parts at a near-tie, and every score is within "
        f"{SCORE_TOLERANCE:g}."
    ),
    (
        "A near-tie: where two replies part, both judges hold the two best tokens for equally "
        f"likely (within {NEAR_TIE:g} in log-probability), so that rounding decides."
    ),
    (
        "Prompts are compared as far as engines show them: a model in process and a vLLM show "
        "every token, other servers only how many there are, and no server its positions (M-RoPE)."
    ),
)

SAME = "same verdicts: the two may share a leaderboard row"
DIFFERENT = "different verdicts"

_REPLY_CHARACTERS = 160
_UNKNOWN = "not known"


def facts(parity: Parity) -> list[Row]:
    """Return rows of a name and its values for A and for B."""
    a, b = (
        _facts_of(side, [p.tokens[n] for p in parity.prompts if p.tokens[n]])
        for n, side in enumerate((parity.a, parity.b))
    )
    rows: list[Row] = [(name, a[name], b[name]) for name in a if {a[name], b[name]} != {_UNKNOWN}]
    for name, pair in parity.settings().items():
        rows.append((f"setting {name}", *("" if value is None else str(value) for value in pair)))
    return rows


def findings(parity: Parity) -> list[Row]:
    """Return the findings of the comparison as rows of a subject and a text."""
    rows: list[Row] = [("items", str(len(parity.items)))]
    if parity.prompts:
        rows += [("prompts", _prompts(parity)), ("replies", _replies(parity))]
    rows.append(("scores", _scores(parity)))
    if first := parity.first_difference():
        rows.append(("first difference", first))
    return [*rows, *(("note", note) for note in _notes(parity)), ("result", result(parity))]


def result(parity: Parity) -> str:
    """Return whether the two may share a leaderboard row, and why not."""
    return SAME if parity.is_same else f"{DIFFERENT}: {'; '.join(parity.problems())}"


def item_rows(parity: Parity) -> list[Row]:
    """Return a row for each item, in the columns of `ITEM_HEAD`; differing ones come first."""
    order = sorted(parity.items, key=lambda item: (item.is_same, -(item.difference or 0.0)))
    rows: list[Row] = []
    for item in order:
        tokens = {f"{a} / {b}" for a, b in (p.tokens for p in item.prompts) if a or b}
        rows.append(
            (
                item.id,
                _verdict(item.a.verdict),
                _verdict(item.b.verdict),
                "" if item.difference is None else f"{item.difference:.3g}",
                ", ".join(sorted(tokens)),
                _cut(item.a.reply),
                _cut(item.b.reply),
                next((p.difference for p in item.prompts if p.difference), ""),
            )
        )
    return rows


def _facts_of(side: Side, tokens: Sequence[int]) -> dict[str, str]:
    judgements = side.judgements.values()
    values = [
        verdict.value if isinstance(verdict, Rating) else verdict.p_first
        for verdict in (judgement.verdict for judgement in judgements)
        if not isinstance(verdict, Unparsed)
    ]
    seconds = [judgement.usage.seconds for judgement in judgements]
    return {
        "tokens a prompt": f"{mean(tokens):.0f} ({min(tokens)} to {max(tokens)})"
        if tokens
        else _UNKNOWN,
        "items with a verdict": f"{len(values)} of {len(judgements)}",
        "mean score": f"{mean(values):.3f}" if values else _UNKNOWN,
        "seconds an item": f"{mean(seconds):.2f}" if any(seconds) else _UNKNOWN,
        "references shown": str(side.references),
    }


def _prompts(parity: Parity) -> str:
    prompts = parity.prompts
    known = [prompt for prompt in prompts if prompt.is_known]
    counted = [prompt for prompt in prompts if all(prompt.tokens)]
    if known:
        same = sum(not prompt.difference for prompt in known)
        return f"{same} of {len(known)} are the same: tokens, video, and positions where shown"
    if counted:
        same = sum(a == b for a, b in (prompt.tokens for prompt in counted))
        return f"{same} of {len(counted)} have as many tokens; an engine does not show which"
    return "an engine neither shows nor counts tokens"


def _replies(parity: Parity) -> str:
    prompts = parity.prompts
    equal = sum(prompt.replies_equal for prompt in prompts)
    ties = [p.margin for p in prompts if p.is_near_tie and p.margin is not None]
    text = f"{equal} of {len(prompts)} are equal"
    if ties:
        text += (
            f", {len(ties)} part at a near-tie: the two best tokens are at most {max(ties):.2g} "
            f"apart in log-probability ({NEAR_TIE:g} is allowed)"
        )
    return text


def _scores(parity: Parity) -> str:
    apart = parity.differences
    if not apart:
        return "no item has a score from both"
    worst = max(apart, key=lambda item_id: apart[item_id])
    return (
        f"{len(apart)} compared: mean difference {mean(apart.values()):.3g}, largest "
        f"{apart[worst]:.3g}" + (f" ({worst})" if apart[worst] else "")
    )


def _notes(parity: Parity) -> Iterator[str]:
    if parity.a.references != parity.b.references:
        yield "the judges were shown different numbers of references; give --references"
    if any(side.signature.get("temperature") for side in (parity.a, parity.b)):
        yield "replies above temperature 0 are drawn at random; compare at temperature=0"
    silent = sum(
        isinstance(item.a.verdict, Unparsed) and isinstance(item.b.verdict, Unparsed)
        for item in parity.items
    )
    if silent:
        yield f"{silent} of {len(parity.items)} items have no verdict from either judge"


def _verdict(verdict: Verdict) -> str:
    if isinstance(verdict, Rating):
        return f"{verdict.value:.4g}"
    if isinstance(verdict, Preference):
        return f"first {verdict.p_first:.3g}"
    return verdict.reason


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _REPLY_CHARACTERS else f"{text[: _REPLY_CHARACTERS - 1]}…"
