"""Replies become records, records become numbers, and nothing raises on the way."""

from __future__ import annotations

import pytest
from measured_runs import score

from videojudge_bench import metrics, registry
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.harness import scoring
from videojudge_bench.harness.documents import Documents
from videojudge_bench.harness.scoring import seal, seal_refusal
from videojudge_bench.run.runner import Run, RunOptions
from videojudge_bench.verdicts import MISSING_VIDEO, Judgement, Rating, Unparsed


@pytest.fixture
def documents(rated_set: GoldSet) -> Documents:
    return Documents(rated_set.info, rated_set)


def records_of(documents: Documents, rating: float = 4.0) -> list[scoring.Record]:
    return [
        scoring.read_result(documents, str(d["id"]), seal(_rated(str(d["id"]), rating)), 0)
        for d in documents
    ]


def test_a_record_holds_verdict_and_gold(documents: Documents) -> None:
    record = scoring.read_result(documents, "v0/cat", "<score>3</score>", 2)
    assert record == {
        "id": "v0/cat",
        "gold": "5 4",
        "references": 2,
        "verdict": {"id": "v0/cat", "rating": 3.0, "reply": "<score>3</score>"},
    }


def test_a_refusal_leaves_a_record_without_a_verdict(documents: Documents) -> None:
    record = scoring.read_result(documents, "v0/cat", seal_refusal("no videos"), 0)
    assert record == {"id": "v0/cat", "gold": "5 4", "references": 0}


def test_whatever_goes_wrong_becomes_a_recorded_failure(documents: Documents) -> None:
    record = scoring.read_result(documents, "no such item", "<score>3</score>", 0)
    assert record == {
        "id": "no such item",
        "verdict": {
            "id": "no such item",
            "unparsed": "scoring failed: KeyError: 'no such item'",
            "failed": True,
        },
    }


def test_a_forged_judgement_is_a_recorded_failure(documents: Documents) -> None:
    record = scoring.read_result(documents, "v0/cat", '{"videojudge": 1, "id": "v0/cat"}', 0)
    assert "scoring failed: ValueError" in str(record["verdict"])


def test_the_numbers_are_those_of_the_records(documents: Documents, rated_set: GoldSet) -> None:
    records = records_of(documents)
    judgements = {e.item.id: _rated(e.item.id, 4.0) for e in rated_set.examples}
    expected = score(rated_set, judgements, on_scale=True)
    assert scoring.card_of(documents, records).flat() == expected.flat()


def test_under_a_limit_only_what_was_asked_counts(documents: Documents) -> None:
    card = scoring.card_of(documents, records_of(documents)[:2])
    assert (card.n, card.n_parsed) == (2, 2)


def test_a_judge_off_the_scale_has_no_errors_on_the_scale(
    documents: Documents, rated_set: GoldSet
) -> None:
    documents.run = Run(registry.build("longest", {}), rated_set)
    flat = scoring.card_of(documents, records_of(documents, 23.0)).flat()
    assert flat["rmse"] == "undefined (not on the rating scale)"


def test_a_fitted_judge_is_scored_on_the_test_part(
    documents: Documents, rated_set: GoldSet
) -> None:
    documents.run = Run(registry.build("constant", {}), rated_set)
    card = scoring.card_of(documents, records_of(documents))
    # By conftest.py v0 and v1 are test videos, with two responses each.
    assert (card.part, card.n) == ("test", 4)


def test_a_set_that_does_not_suit_says_why(option_set: GoldSet) -> None:
    documents = Documents(option_set.info, option_set)
    documents.run = Run(registry.build("rouge_l", {}), option_set)
    reason = "judge rouge_l requires references; videojudge_tinyoptions has none"
    flat = scoring.card_of(documents, []).flat()
    assert flat["psup"] == f"undefined (not applicable: {reason})"
    card = metrics.undefined_card(option_set.info, "")
    assert scoring.report_lines(documents, card) == [
        f"videojudge_tinyoptions: not applicable: {reason}"
    ]


def test_a_set_without_data_says_how_to_get_them(rated_set: GoldSet) -> None:
    documents = Documents(rated_set.info, None, "ask its authors")
    record = scoring.read_result(documents, "no data", "anything", 0)
    assert record == {"id": "no data"}
    card = scoring.card_of(documents, [record])
    assert set(card.flat()) == set(metrics.all_keys(rated_set.info))
    assert card.flat()["spearman"] == "undefined (no data: ask its authors)"
    assert scoring.report_lines(documents, card) == [
        "videojudge_tinyrated: no data: ask its authors"
    ]


def test_the_report_names_the_number_and_the_journal(
    documents: Documents, rated_set: GoldSet
) -> None:
    documents.run = Run(registry.build("longest", {}), rated_set, RunOptions())
    records = records_of(documents)
    missing = Judgement("v0/cat", Unparsed(f"{MISSING_VIDEO}: no file v0.*"))
    records[0] = scoring.read_result(documents, "v0/cat", seal(missing), 0)
    lines = scoring.report_lines(documents, scoring.card_of(documents, records))
    task = "videojudge_tinyrated"
    assert lines[0].startswith(f"{task}: spearman undefined (constant judge)")
    assert lines[1:] == [
        f"{task}: 1 items had no video to look at",
        f"{task}: judgements are in {documents.run.folder}",
    ]


def test_no_key_is_called_score(documents: Documents) -> None:
    """Lmms-eval would average it and print the result as a standard error."""
    assert "score" not in scoring.read_result(documents, "v0/cat", "<score>3</score>", 0)


def _rated(item_id: str, rating: float) -> Judgement:
    return Judgement(item_id, Rating(rating))
