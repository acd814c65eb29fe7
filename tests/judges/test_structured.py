"""Replies that a server holds to a form: `structured=`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from chat_faults import (
    MODEL,
    Answer,
    Json,
    Script,
    Seen,
    completion,
    failure,
    faulty_server,
    is_probe,
)

from videojudge_bench import registry
from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.items import Item, Pair
from videojudge_bench.prompted import PromptedJudge
from videojudge_bench.replies.reply_format import format_preference, format_rating
from videojudge_bench.run.identity import JudgeIdentity
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Preference, Rating

pytestmark = pytest.mark.timeout(60)

ITEM, PAIR = Item("a", "v", "What?", "x"), Pair("p", "v", "What?", "x", "y")
LOOSE = "I think it deserves much. <score>5</score>, or rather 4?"


def judge_at(seen: Seen, **options: Scalar) -> PromptedJudge:
    given: dict[str, Scalar] = {"base_url": seen.base_url, "model": MODEL, "video": "none"}
    judge = registry.build("openai", {**given, **options}).judge
    assert isinstance(judge, PromptedJudge)
    return judge


def guided(*, takes: str) -> Script:
    """A server that guides decoding in one way, and writes what it likes without."""

    def script(_: int, body: Json) -> Answer:
        if takes == "regex" and "regex" in body.get("structured_outputs", {}):
            return completion(_matching(body["structured_outputs"]["regex"]))
        if takes == "json" and "response_format" in body:
            return completion(json.dumps(_of(body["response_format"]["json_schema"]["schema"])))
        return completion(LOOSE)

    return script


def _matching(regex: str) -> str:
    """A text of the few forms that we ask for; the last choice."""
    choice = re.sub(r"\(([^)]*)\)", lambda found: found[1].rpartition("|")[2], regex)
    text = choice.replace("[^<]+", "Hm.").replace("\\n", "\n").replace("[0-9]{3}", "123")
    assert re.fullmatch(regex, text)
    return text


def _of(schema: Any) -> Any:
    kinds = {"string": "<score>1</score> Hm.", "boolean": True}
    return {
        name: kind["enum"][-1] if "enum" in kind else kinds[kind["type"]]
        for name, kind in schema["properties"].items()
    }


@pytest.mark.parametrize("form", ["regex", "json"])
@pytest.mark.parametrize("options", [{}, {"feedback": False}, {"rubric": "write"}])
def test_replies_have_the_form(form: str, options: dict[str, Scalar]) -> None:
    with faulty_server(guided(takes=form), takes_all=False) as seen:
        judge = judge_at(seen, structured=form, **options)
        assert judge.rate(ITEM) == Rating(5.0)
        assert judge.prefer(PAIR) == Preference(0.0)
        judge.scale = RatingScale(0, 10)
        assert judge.rate(ITEM) == Rating(10.0)
    probes = [body for body in seen.requests if is_probe(body)]
    assert len(probes) == 1


def test_the_regular_expression_is_the_form_of_our_own_replies() -> None:
    with faulty_server(guided(takes="regex"), takes_all=False) as seen:
        judge = judge_at(seen, structured="regex", rubric="write")
        judge.rate(ITEM)
        judge.prefer(PAIR)
    rating, preference = (b["regex"] for b in seen.requests if not is_probe(b))
    assert re.fullmatch(rating, format_rating(4, thinking="It is\nfine.", rubric="5: all"))
    assert not re.fullmatch(rating, format_rating(4, thinking="Fine."))
    assert not re.fullmatch(rating, "<rubric>r</rubric>\n<thinking>t</thinking>\n<score>6</score>")
    block = "<rubric>r</rubric>\n"
    assert re.fullmatch(preference, block + format_preference("B", thinking="t"))


@pytest.mark.parametrize(
    ("form", "fix"),
    [
        ("regex", "Give structured=json, which more servers take, or structured=none"),
        ("json", "Give structured=regex, which vLLM and SGLang take, or structured=none"),
    ],
)
@pytest.mark.parametrize("refuses", [True, False])
def test_a_server_without_it_is_told_before_the_first_item(
    form: str, fix: str, refuses: bool
) -> None:
    def script(_: int, body: Json) -> Answer:
        if refuses and {"regex", "response_format"} & body.keys():
            return failure(400, "Unrecognized request argument supplied.")
        return completion("<score>5</score>")

    with faulty_server(script, takes_all=False) as seen, pytest.raises(ConfigError) as caught:
        judge_at(seen, structured=form).rate(ITEM)
    said = (
        "the server answered 400: Unrecognized request argument supplied"
        if refuses
        else "it is ignored, the reply was '<score>5</score>'"
    )
    assert str(caught.value) == (
        f"the server at {seen.base_url} refuses what this judge sends: a form for the reply "
        f"(guided decoding): {said}. {fix}"
    )
    assert all(is_probe(body) for body in seen.requests)


def test_a_prompt_says_that_an_object_is_wanted() -> None:
    with faulty_server(guided(takes="json"), takes_all=False) as seen:
        judge_at(seen, structured="json").rate(ITEM)
    asked = seen.requests[-1]["messages"][-1]["content"]
    note = "In place of tags, write one JSON object with thinking and score, in this order."
    assert asked.endswith(f"\n\n{note}")


def test_it_is_in_the_identity_and_its_default_is_not_named() -> None:
    def identity(**options: Scalar) -> JudgeIdentity:
        address: dict[str, Scalar] = {"base_url": "http://127.0.0.1:9/v1", "model": "m"}
        built = registry.build("openai", {**address, **options})
        return JudgeIdentity.of(built, scale=None, learned={})

    free, regex, form = (identity(), identity(structured="regex"), identity(structured="json"))
    assert identity(structured="none").hash == free.hash
    assert len({free.hash, regex.hash, form.hash}) == 3
    assert regex.signature["structured"] == "regex"
    assert "structured" not in free.signature


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"structured": "xml"}, "structured"),
        ({"structured": "regex", "score": "expected", "feedback": False}, "give structured=none"),
        ({"structured": "json", "score": "expected"}, "give structured=regex"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Scalar], text: str) -> None:
    address: dict[str, Scalar] = {"base_url": "http://127.0.0.1:9/v1", "model": "m"}
    with pytest.raises(ConfigError, match=text):
        registry.build("openai", {**address, **options})


def test_an_engine_that_cannot_is_refused(tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    replies.write_text('{"id": "*", "reply": "4"}\n')
    with pytest.raises(ConfigError, match="structured=regex needs a server that guides decoding"):
        PromptedJudge(engine="scripted", structured="regex", replies=str(replies))
