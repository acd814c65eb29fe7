"""Documents are light and hide gold; prompts for stock models take their settings from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from videojudge_bench.errors import ConfigError
from videojudge_bench.goldsets.base import GoldSet
from videojudge_bench.harness.documents import (
    REFERENCES_VARIABLE,
    VIDEOS_VARIABLE,
    Documents,
    stock_view,
)


@pytest.fixture
def documents(rated_set: GoldSet) -> Documents:
    return Documents(rated_set.info, rated_set)


def test_there_is_one_document_per_item(documents: Documents, rated_set: GoldSet) -> None:
    ids = [example.item.id for example in rated_set.examples]
    assert len(documents) == len(ids) == 8
    assert [document["id"] for document in documents] == ids
    assert [document["index"] for document in documents] == list(range(8))


def test_documents_can_be_sliced(documents: Documents) -> None:
    assert documents[2:4] == [documents[2], documents[3]]
    assert documents[::-1][0] == documents[7]
    assert documents[8:] == []


def test_an_index_counts_from_the_end_as_in_a_list(documents: Documents) -> None:
    assert documents[-1] == documents[7]


def test_an_index_out_of_range_raises(documents: Documents) -> None:
    with pytest.raises(IndexError):
        documents[8]


def test_documents_hold_neither_text_nor_gold(documents: Documents) -> None:
    assert {tuple(document) for document in documents} == {("index", "id")}
    json.dumps(list(documents))


def test_the_host_finds_the_columns(documents: Documents) -> None:
    assert set(documents.features) == set(documents[0])


def test_a_set_without_data_is_one_placeholder(rated_set: GoldSet) -> None:
    documents = Documents(rated_set.info, None, "ask its authors")
    assert list(documents) == [{"index": 0, "id": "no data"}]
    assert (documents.gold_set, documents.problem) == (None, "ask its authors")


def test_stock_models_see_no_references_by_default(
    rated_set: GoldSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REFERENCES_VARIABLE, raising=False)
    monkeypatch.delenv(VIDEOS_VARIABLE, raising=False)
    view = stock_view(rated_set)
    assert (view.references, view.videos) == (0, {})


@pytest.mark.parametrize(("text", "shown"), [("0", 0), ("1", 1), ("9", 2), ("all", 2)])
def test_stock_models_see_the_references_that_the_environment_names(
    text: str,
    shown: int,
    rated_set: GoldSet,
    videos: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(REFERENCES_VARIABLE, text)
    monkeypatch.setenv(VIDEOS_VARIABLE, str(videos))
    view = stock_view(rated_set)
    assert view.references == shown
    first = rated_set.examples[0].item
    assert view.item(first.id).references == first.references[:shown]
    assert view.item(first.id).video == videos / "v0.mp4"


@pytest.mark.parametrize("text", ["maybe", "-1", "1.5", "ALL", "²"])
def test_other_numbers_of_references_are_refused(
    text: str, rated_set: GoldSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REFERENCES_VARIABLE, text)
    with pytest.raises(ConfigError, match=r"allowed are 0, 1, 2, … and all"):
        stock_view(rated_set)


def test_an_empty_variable_is_like_none(
    rated_set: GoldSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REFERENCES_VARIABLE, "")
    monkeypatch.setenv(VIDEOS_VARIABLE, "")
    view = stock_view(rated_set)
    assert (view.references, view.videos) == (0, {})


def test_a_folder_of_videos_that_is_not_there_is_refused(
    rated_set: GoldSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VIDEOS_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="does not exist"):
        stock_view(rated_set)
