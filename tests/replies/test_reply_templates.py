"""Templates of replies and nasty replies are read as people read them, or not at all."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path.append(str(TESTS / "torture"))

from reply_templates import Filled, fillings, templates  # noqa: E402 - found by the line above

from videojudge_bench.replies import READER_VERSION  # noqa: E402
from videojudge_bench.replies.reply_format import parse_preference, parse_rating  # noqa: E402
from videojudge_bench.verdicts import Preference, Rating, Unparsed, Verdict  # noqa: E402

LABELS = {1.0: "A", 0.0: "B", 0.5: "tie"}
pytestmark = pytest.mark.timeout(300)

ALL = templates()
KINDS = sorted({(template.wants, template.kind) for template in ALL})
NASTY = [json.loads(line) for line in (TESTS / "data/nasty_replies.jsonl").open(encoding="utf-8")]
# Of the verdicts on the first filling of every template: whoever changes them raises the version.
DIGESTS = {5: "06d0229e3820"}


def _read(filled: Filled) -> Verdict:
    if filled.scale is None:
        return parse_preference(filled.text)
    return parse_rating(filled.text, filled.scale)


def _digit(verdict: Verdict) -> str:
    if isinstance(verdict, Preference):
        return LABELS[verdict.p_first]
    return f"{verdict.value:g}" if isinstance(verdict, Rating) else "?"


@pytest.mark.parametrize(("wants", "kind"), KINDS)
def test_a_template_is_read_as_it_says(wants: str, kind: str) -> None:
    missed: list[str] = []
    stated = 0
    for template in ALL:
        if (template.wants, template.kind) != (wants, kind):
            continue
        for filled in fillings(template):
            found = _read(filled)
            stated += filled.truth is not None and not filled.may_be_unread
            if isinstance(found, Unparsed):
                if filled.truth is not None and not filled.may_be_unread:
                    missed.append(filled.text)
            else:
                assert found == filled.truth, (template.text, filled.text)
    assert len(missed) <= 0.02 * stated, missed


def test_there_are_templates_of_every_kind() -> None:
    assert len(ALL) >= 600
    assert len(KINDS) >= 15


@pytest.mark.parametrize("kind", ["rate", "prefer"])
def test_a_nasty_reply_is_read_as_a_person_reads_it_or_not_at_all(kind: str) -> None:
    unread, stated = 0, 0
    for entry in NASTY:
        if entry["kind"] != kind:
            continue
        is_rating, says = kind == "rate", entry["says"]
        found = parse_rating(entry["reply"]) if is_rating else parse_preference(entry["reply"])
        stated += says is not None
        if isinstance(found, Unparsed):
            unread += says is not None
        else:
            assert says is not None, (entry["reply"], found)
            assert found == (Rating(says) if is_rating else Preference(says)), entry["reply"]
    assert stated > 100
    assert unread <= 0.55 * stated


def test_a_reader_that_reads_otherwise_has_another_version() -> None:
    read = [_read(next(fillings(template))) for template in ALL]
    digits = "".join(_digit(verdict) for verdict in read)
    assert hashlib.sha256(digits.encode()).hexdigest()[:12] == DIGESTS[READER_VERSION]
