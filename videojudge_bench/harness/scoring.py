"""Numbers of a task from the replies that lmms-eval collected.

A judgement passes through lmms-eval as the text of a reply: our model answers with a JSON object,
which scoring reads; the reply of a stock model is parsed. `<` is escaped, because lmms-eval cuts
`<think>` blocks out of replies.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypedDict

from loguru import logger

from videojudge_bench import metrics
from videojudge_bench._util.hashing import Json
from videojudge_bench.goldsets.base import GoldSetInfo
from videojudge_bench.harness.documents import Documents
from videojudge_bench.items import Item, Pair
from videojudge_bench.replies.reply_format import parse_preference, parse_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Judgement, Unparsed

JUDGEMENT_KEY = "judgement"
COUNT_KEY = "n"


class Record(TypedDict, total=False):
    """Log record of a sample: the judgement as JSON, and its gold.

    There is no key `score`: lmms-eval would average it and print the result as a standard error.
    """

    id: str
    gold: Json
    references: int
    verdict: dict[str, Json]


def read_result(documents: Documents, item_id: str, reply: str, references: int) -> Record:
    """Return the record of one sample; never raises, because that would end the host's run."""
    try:
        return _read_result(documents, item_id, reply, references)
    except Exception as error:  # noqa: BLE001 - the scoring boundary: it becomes a recorded failure
        logger.exception("scoring {} failed", item_id)
        verdict = Unparsed(f"scoring failed: {type(error).__name__}: {error}")
        return {"id": item_id, "verdict": Judgement(item_id, verdict, failed=True).to_json()}


def card_of(documents: Documents, records: Sequence[Record]) -> metrics.ScoreCard:
    """Return all numbers of a task."""
    if documents.gold_set is None:
        return metrics.undefined_card(documents.info, f"no data: {documents.problem}")
    run = documents.run
    if run is not None and run.refusal is not None:
        return metrics.undefined_card(documents.info, f"not applicable: {run.refusal}")
    judgements = {
        record["id"]: Judgement.from_json(record["verdict"])
        for record in records
        if "verdict" in record
    }
    measurement = metrics.Measurement(documents.gold_set) if run is None else run.measurement
    return measurement.card(judgements)


def report_lines(documents: Documents, card: metrics.ScoreCard) -> list[str]:
    """Return the log lines of a task: headline, missing videos, folder of the journal."""
    task, run = documents.info.task, documents.run
    if documents.gold_set is None:
        return [f"{task}: no data: {documents.problem}"]
    if run is not None and run.refusal is not None:
        return [f"{task}: not applicable: {run.refusal}"]
    lines = [f"{task}: {_headline(documents.info, card)}"]
    if card.n_missing_video:
        lines.append(f"{task}: {card.n_missing_video} items had no video to look at")
    if run is not None:
        lines.append(f"{task}: judgements are in {run.folder}")
    return lines


def _headline(info: GoldSetInfo, card: metrics.ScoreCard) -> str:
    """Return the primary statistic with its interval; the host's table is sorted by name."""
    key, covered = metrics.primary_key(info), card.flat()["coverage"]
    share = f"{covered:.3f}" if isinstance(covered, float) else covered
    return f"{key} {card.metrics[key]}, coverage {share}, n {card.n}"


def _read_result(documents: Documents, item_id: str, reply: str, references: int) -> Record:
    if documents.gold_set is None:
        return {"id": item_id}
    example = documents.gold_set.by_id[item_id]
    judgement = open_reply(reply, example.item, documents.info.scale)
    record: Record = {"id": item_id, "gold": str(example.gold), "references": references}
    if judgement is not None:
        record["verdict"] = judgement.to_json()
    return record


MARK = "videojudge"
NOT_APPLICABLE = "not_applicable"


def seal(judgement: Judgement) -> str:
    """Return a judgement as the text of a reply."""
    return _dump({MARK: 1, **judgement.to_json()})


def seal_refusal(reason: str) -> str:
    """Return `not applicable` as the text of a reply."""
    return _dump({MARK: 1, NOT_APPLICABLE: reason})


def open_reply(text: str, item: Item | Pair, scale: RatingScale) -> Judgement | None:
    """Return the judgement in a reply, or None when it says `not applicable`.

    A text that is no sealed judgement was written by a model, and is parsed.
    """
    data = _sealed(text)
    if data is not None:
        if NOT_APPLICABLE in data:
            return None
        if data.get("id") != item.id:
            other = Unparsed(f"the reply holds the judgement of {data.get('id')!r}")
            return Judgement(item.id, other, failed=True)
        return Judgement.from_json(data)
    verdict = parse_rating(text, scale) if isinstance(item, Item) else parse_preference(text)
    return Judgement(item.id, verdict, reply=text)


def _dump(data: dict[str, object]) -> str:
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")


def _sealed(text: str) -> dict[str, object] | None:
    if not text.startswith(f'{{"{MARK}"'):
        return None
    try:
        data = json.loads(text)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
