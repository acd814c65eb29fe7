"""The journal of a server: every row is found again, and memory holds places alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from videojudge_bench import Item, Judge, Judgement, Pair, Rating, Unparsed
from videojudge_bench.errors import JournalBusyError
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.journal import read_journal
from videojudge_bench.run.live import LiveRun
from videojudge_bench.run.served_journal import ServedJournal


def _key(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()[:32]


def _judgement(number: int) -> Judgement:
    return Judgement("one id", Rating(number), f"reply ü {number}")


def test_every_row_is_found_again_under_one_id(tmp_path: Path) -> None:
    with ServedJournal(tmp_path) as journal:
        for number in range(9000):
            journal.append(_key(number), _judgement(number))
            journal.keep(_key(number), _judgement(number))
        assert len(journal.records) == 9000
        assert all(journal.records[_key(n)].judgement == _judgement(n) for n in range(0, 9000, 7))
        assert _key(9000) not in journal.records
    assert len((tmp_path / "judgements-0.jsonl").read_bytes().splitlines()) == 9000
    with ServedJournal(tmp_path) as journal:
        assert all(journal.records[_key(n)].judgement == _judgement(n) for n in range(0, 9000, 7))
        with pytest.raises(KeyError):
            journal.records[_key(1)[:16] + 16 * "0"]


def test_what_failed_is_judged_again(tmp_path: Path) -> None:
    failed = Judgement("a", Unparsed("it broke"), failed=True)
    with ServedJournal(tmp_path) as journal:
        journal.append(_key(1), failed)
        assert _key(1) not in journal.records
        journal.append(_key(1), _judgement(1))
        journal.append(_key(1), failed)
        assert journal.records[_key(1)].judgement == _judgement(1)
    with ServedJournal(tmp_path) as journal:
        assert journal.records[_key(1)].judgement == _judgement(1)


def test_what_another_reader_read_is_written_again(tmp_path: Path) -> None:
    with ServedJournal(tmp_path, reader=1) as journal:
        journal.append(_key(1), _judgement(1))
    with ServedJournal(tmp_path, reader=2) as journal:
        journal.keep(_key(1), _judgement(2))
        journal.keep(_key(1), _judgement(2))
        assert journal.records[_key(1)].judgement == _judgement(2)
    assert read_journal(tmp_path) == {_key(1): _judgement(2)}


def test_a_line_that_a_kill_left_unfinished_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "judgements-0.jsonl"
    with ServedJournal(tmp_path) as journal:
        for number in range(3):
            journal.append(_key(number), _judgement(number))
    path.write_bytes(path.read_bytes()[:-5])
    with ServedJournal(tmp_path) as journal:
        assert [_key(n) in journal.records for n in range(3)] == [True, True, False]
        journal.append(_key(2), _judgement(2))
        assert journal.records[_key(2)].judgement == _judgement(2)


def test_processes_share_a_folder_by_their_ranks(tmp_path: Path) -> None:
    with ServedJournal(tmp_path) as one, ServedJournal(tmp_path, rank=1) as two:
        one.append(_key(1), _judgement(1))
        two.append(_key(2), _judgement(2))
        with pytest.raises(JournalBusyError):
            ServedJournal(tmp_path, rank=1).__enter__()
    with ServedJournal(tmp_path, rank=2) as third:
        assert [third.records[_key(n)].judgement for n in (1, 2)] == [_judgement(1), _judgement(2)]


class _BehindAServer(Judge):
    scale = None

    def judge(self, items: Iterable[Item | Pair]) -> Iterator[Judgement]:
        return (Judgement(item.id, Rating(1)) for item in items)

    def server_statements(self) -> Sequence[Mapping[str, str]]:
        return [{"model": "m"}]


@pytest.mark.parametrize("journal", [True, False])
def test_what_the_server_of_a_model_says_is_recorded(journal: bool, tmp_path: Path) -> None:
    run = LiveRun(BuiltJudge("j", _BehindAServer(), {}), tmp_path if journal else None)
    item = Item("a", "v", "do", "x")
    with run:
        assert run.judge_batch({"a": item})["a"].verdict == Rating(1)
    said = [*tmp_path.rglob("run.json")]
    assert len(said) == journal
    assert all('"model": "m"' in path.read_text("utf-8") for path in said)
