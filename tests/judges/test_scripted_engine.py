"""The engine that replays replies from a file."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from videojudge_bench.engine import (
    Continuation,
    EngineError,
    Prefix,
    PromptGroup,
    Reply,
    complete_all,
)
from videojudge_bench.errors import DataError
from videojudge_bench.judges.engines.scripted import ScriptedEngine


def _complete(engine: ScriptedEngine, *ids: str) -> Sequence[Reply | EngineError]:
    tails = tuple(Continuation(item_id, "text") for item_id in ids)
    return asyncio.run(complete_all(engine, PromptGroup(Prefix("system", "shared"), tails)))


def _file(folder: Path, content: str | bytes) -> Path:
    path = folder / "script.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_replies_come_in_the_order_of_the_continuations(tmp_path: Path) -> None:
    path = _file(tmp_path, '{"id": "a", "reply": "A"}\n{"id": "b", "reply": "B"}\n')
    assert _complete(ScriptedEngine(str(path)), "b", "a", "b") == [
        Reply("B"),
        Reply("A"),
        Reply("B"),
    ]


def test_an_item_without_a_reply_is_an_engine_error(tmp_path: Path) -> None:
    path = _file(tmp_path, '{"id": "a", "reply": ""}\n')
    assert _complete(ScriptedEngine(str(path)), "a", "z") == [
        Reply(""),
        EngineError("no scripted reply for 'z' in script.jsonl"),
    ]


def test_a_star_answers_all_items_without_a_line_of_their_own(replies_file: Path) -> None:
    own, other = _complete(ScriptedEngine(str(replies_file)), "v0/cat", "anything")
    assert isinstance(own, Reply)
    assert isinstance(other, Reply)
    assert "<score>4</score>" in own.text
    assert "<score>2</score>" in other.text


def test_the_settings_name_the_content_and_not_the_path(tmp_path: Path) -> None:
    path = _file(tmp_path, '{"id": "a", "reply": "A"}\n')
    engine = ScriptedEngine(str(path))
    expected = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert engine.settings() == {"replies": f"sha256:{expected}"}
    assert engine.capabilities == {"video"}
    engine.close()


@pytest.mark.parametrize(
    ("content", "line", "text"),
    [
        ("", None, "empty"),
        ('{"id": "a", "reply": "A"}\n\n', 2, "an empty line; remove it"),
        ('{"id": "a", "reply": "A"}\n{"id": 3, "reply": "A"}\n', 2, "field 'id': "),
        ('{"id": "a"}\n', 1, "field 'reply': the field is missing"),
        ('{"id": "a", "reply": null}\n', 1, "field 'reply': "),
        ('{"id": "a", "reply": "A", "x": 1}\n', 1, "field 'x': the field is unknown"),
        ('{"id": "a", "reply": "A"}\n{"id": "a", "reply": "B"}\n', 2, "duplicate of line 1 ('a')"),
        ('{"id": "a", "reply": "A"}\nnonsense\n', 2, "not a JSON object"),
        ("[1]\n", 1, "object"),
        (b"\xff\xfe\xfa\n", 1, "is not UTF-8"),
    ],
)
def test_a_malformed_script_is_refused_with_its_line(
    tmp_path: Path, content: str | bytes, line: int | None, text: str
) -> None:
    path = _file(tmp_path, content)
    with pytest.raises(DataError) as caught:
        ScriptedEngine(str(path))
    assert text in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert caught.value.line == line


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_script_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        ScriptedEngine(str(tmp_path / name))
