"""The file of verdicts: one JSON object per answer or pair, in the order of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from videojudge_bench._util import files
from videojudge_bench._util.hashing import Json
from videojudge_bench.answers.reading import Unit
from videojudge_bench.errors import ConfigError, RunStoppedError
from videojudge_bench.verdicts import (
    FIRST,
    TIE,
    Judgement,
    Preference,
    Rating,
    Unparsed,
    Usage,
    Verdict,
)

IDENTICAL = "the two answers are the same text"


def verdict_of(unit: Unit, judgements: Mapping[str, Judgement]) -> Verdict | None:
    """Return the verdict on a unit; None when not all of it has been judged yet.

    A pair is judged in both orders: p(a) = (P(first | a, b) + P(second | b, a)) / 2. One order
    without a verdict leaves the pair without one.
    """
    if unit.refused:
        return Unparsed(unit.refused)
    if unit.identical:
        return Preference(0.5)
    verdicts = [judgements[item_id].verdict for item_id in unit.item_ids if item_id in judgements]
    if len(verdicts) < len(unit.examples):
        return None
    for verdict in verdicts:
        if isinstance(verdict, Unparsed):
            return verdict
    if len(verdicts) == 1:
        return verdicts[0]
    there, back = (v.p_first for v in verdicts if isinstance(v, Preference))
    # Not (there + 1 - back) / 2, which rounding can turn from a tie into a win.
    return Preference(0.5 + (there - back) / 2)


def line_of(unit: Unit, judgements: Mapping[str, Judgement]) -> dict[str, Json] | None:
    """Return the line of a unit; None when not all of it has been judged yet."""
    verdict = verdict_of(unit, judgements)
    if verdict is None:
        return None
    line: dict[str, Json] = {"id": unit.id, "video_id": unit.item.video_id}
    judged = [judgements[item_id] for item_id in unit.item_ids]
    if len(unit.systems) == 2:
        return {**line, **_pair_fields(unit, verdict, judged)}
    if unit.systems[0]:
        line["system"] = unit.systems[0]
    line["score"] = verdict.value if isinstance(verdict, Rating) else None
    if judged and judged[0].criteria:
        line["criteria"] = dict(judged[0].criteria)
    return {**line, **_reason(verdict), **(_reply_fields(judged[0]) if judged else {})}


def check_output(output: Path, answers: Path | None) -> None:
    """Raise ConfigError if verdicts cannot be written, or would replace the answers."""
    files.check_output(output)
    if answers is not None and output.resolve() == answers.resolve():
        raise ConfigError(f"--output {output}: expected a new file, got the file of answers")


def write_lines(lines: Iterable[Mapping[str, Json]], output: Path) -> None:
    """Write a file atomically, replacing an older one; raises RunStoppedError if it cannot."""
    try:
        files.write_whole(output, b"".join(map(_encoded, lines)))
    except OSError as error:
        raise RunStoppedError(
            f"{files.system_error(error)}. {output} was not written. Nothing is lost: the journal "
            "has all judgements, and the same command writes them"
        ) from error


def _pair_fields(unit: Unit, verdict: Verdict, judged: list[Judgement]) -> dict[str, Json]:
    fields: dict[str, Json] = {"system_a": unit.systems[0], "system_b": unit.systems[1]}
    if unit.answers:
        fields |= {"id_a": unit.answers[0], "id_b": unit.answers[1]}
    preference = verdict if isinstance(verdict, Preference) else None
    names = {FIRST: "a", TIE: "tie"}
    fields["preference"] = names.get(preference.choice, "b") if preference else None
    fields["p_a"] = preference.p_first if preference else None
    fields |= _reason(verdict)
    if unit.identical:
        fields["note"] = IDENTICAL
    orders: list[Json] = []
    for first, judgement in zip("ab", judged, strict=False):
        order = judgement.verdict
        p_first = order.p_first if isinstance(order, Preference) else None
        order_fields: dict[str, Json] = {"first": first, "p_first": p_first}
        orders.append({**order_fields, **_reason(order), **_reply_fields(judgement)})
    return {**fields, "orders": orders} if orders else fields


def _reason(verdict: Verdict) -> dict[str, Json]:
    return {"unparsed": verdict.reason} if isinstance(verdict, Unparsed) else {}


def _reply_fields(judgement: Judgement) -> dict[str, Json]:
    fields: dict[str, Json] = {}
    if judgement.reply:
        fields["reply"] = judgement.reply
    if judgement.probabilities:
        fields["probabilities"] = dict(judgement.probabilities)
    used = judgement.usage
    if used != Usage():
        fields |= {"input_tokens": used.input_tokens, "output_tokens": used.output_tokens}
        fields |= {"cost": used.cost} if used.cost else {}
    return fields


def _encoded(line: Mapping[str, Json]) -> bytes:
    try:
        return f"{json.dumps(line, ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape and UTF-8 cannot
        return f"{json.dumps(line)}\n".encode()
