"""Replies are read as they were meant, or not at all."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videojudge_bench.items import Item, Pair
from videojudge_bench.prompts import PROMPTS_FOLDER, load_prompt
from videojudge_bench.replies.reply_format import (
    format_preference,
    format_rating,
    parse_preference,
    parse_rating,
)
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Preference, Rating, Unparsed, Verdict

HERE = Path(__file__).parents[1]
CORPUS = [json.loads(line) for line in (HERE / "data" / "replies.jsonl").open(encoding="utf-8")]
GPT4O = HERE.parent.parent / "shared/data/videoautobench/gpt4o_judge_outputs.jsonl"


def _parse(kind: object, reply: str) -> Verdict:
    return parse_rating(reply) if kind == "rate" else parse_preference(reply)


# Corpus -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", CORPUS, ids=[f"{e['kind']}-{i}" for i, e in enumerate(CORPUS)])
def test_corpus(entry: dict[str, object]) -> None:
    verdict = _parse(entry["kind"], str(entry["reply"]))
    if "unparsed" in entry:
        assert isinstance(verdict, Unparsed)
        assert str(entry["unparsed"]) in verdict.reason
    elif "rating" in entry:
        assert verdict == Rating(float(str(entry["rating"])))
    else:
        assert verdict == Preference(float(str(entry["p_first"])))


def test_corpus_covers_both_kinds_and_all_outcomes() -> None:
    kinds = Counter((e["kind"], e.get("p_first", "unparsed" in e)) for e in CORPUS)
    assert len(CORPUS) >= 150
    assert set(kinds) == {
        *(("rate", False), ("rate", True)),
        *(("prefer", 1.0), ("prefer", 0.0), ("prefer", 0.5), ("prefer", True)),
    }


@pytest.mark.parametrize(
    ("reply", "scale", "expected"),
    [
        ("Score: 7/10", RatingScale(1, 10), Rating(7)),
        ("Score: 4/5", RatingScale(1, 10), Unparsed("another scale: out of 5, not 1-10")),
        ("<score>0</score>", RatingScale(0, 4), Rating(0)),
        ("<score>-2</score>", RatingScale(-2, 2), Rating(-2)),
        ("Rate it on a scale of 0 to 100. Score: 85", RatingScale(0, 100), Rating(85)),
        ("85%", RatingScale(0, 100), Unparsed("a percentage, not a rating on 0-100: 85%")),
        ("<score>5</score>", RatingScale(1, 3), Unparsed("5 is outside the scale 1-3")),
    ],
)
def test_other_scales(reply: str, scale: RatingScale, expected: Verdict) -> None:
    assert parse_rating(reply, scale) == expected


@pytest.mark.parametrize(
    ("kind", "reply", "reason"),
    [
        ("rate", "", "empty reply"),
        ("rate", "<thinking>It is", "reply ends inside <thinking>"),
        ("rate", "<score>4", "reply ends inside <score>: the rating may be cut off"),
        ("prefer", "<answer>A", "reply ends inside <answer>: the preference may be cut off"),
        ("rate", "<think>4</think>", "nothing after the reasoning"),
        ("rate", "<score>N</score>", "<score> holds 'N', which is no rating"),
        ("rate", "<score>2</score> or <score>4</score>", "2 is no verdict: not given by '… or …'"),
        ("rate", "<score>2</score>\n<score>4</score>", "contradicts itself: 2 and 4"),
        ("rate", "Score: 4\nActually, no.", "takes its rating back: 'Actually, no.'"),
        ("rate", "Score: 4\nHence: 3", "contradicts itself: 3 and 4"),
        ("rate", "Score: 4\nIt is gone, so 3.", "goes on to name another: 'It is gone, so 3.'"),
        ("rate", "It says <score>5</score>.", "5 is no verdict: not given by 'It says ….'"),
        ("rate", "It ends with:\nScore: 5", "no rating found: nothing in a form that states one"),
        ("rate", "It ends with:\n[[5]]", "5 is no verdict: stands below 'It ends with:'"),
        ("rate", "Rating: 5 (10 = best)", "another scale: '(10 = best)', not 1-5"),
        ("rate", "2 to 3", "a range, not one rating: 2 to 3"),
        ("rate", "Score: 6", "6 is outside the scale 1-5"),
        ("rate", "Hello.", "no rating found: nothing in a form that states one"),
        ("rate", "I cannot give it a 4.", "no rating found: nothing in a form that states one"),
        ("prefer", "A or B", "no preference found: nothing in a form that states one"),
        ("prefer", "<answer>A or B</answer>", "<answer> holds 'A or B', which is no preference"),
        ("prefer", "Reply with [[A]].", "A is no verdict: not given by 'Reply with ….'"),
    ],
)
def test_reasons_say_what_was_found(kind: str, reply: str, reason: str) -> None:
    assert _parse(kind, reply) == Unparsed(reason)


def test_long_content_is_shortened_in_the_reason() -> None:
    verdict = parse_rating(f"<score>{'no ' * 1_000}</score>")
    assert verdict == Unparsed(f"<score> holds '{('no ' * 20)[:37]}...', which is no rating")


# Round trip -------------------------------------------------------------------------------------

PARTS = [
    *("<score>", "</score>", "<thinking>", "</thinking>", "<think>", "</think>", "<answer>"),
    *("</answer>", "<rubric>", "</rubric>", "<score>2</score>", "<answer>A</answer>", "[[B>A]]"),
    *("3", "Score: 2", "Answer: A", "A", "\n", "```", "\\boxed{1}", '{"score": 2}', "<", "*"),
    *("<|im_end|>", "</s>", "<｜end▁of▁sentence｜>", "<|begin_of_box|>", "</s"),
]
THOUGHTS = st.one_of(st.text(), st.lists(st.sampled_from(PARTS)).map("".join))
CHATTER = st.sampled_from(
    [
        "",
        "Here is my evaluation:\n",
        "Sure! There are 2 people in the video.\n\n",
        "Score: 2\n",
        "I first thought of 3/5, or that A is better.\n",
        "```\n",
        "<think>\n\n</think>\n\n",
        "1. The first point.\n2. The second point.\n",
    ]
)
WRAPPERS = st.sampled_from(["{}", "**{}**", "`{}`", "```\n{}\n```", "```xml\n{}\n```", "<b>{}</b>"])
ENDINGS = st.sampled_from(["", "\n", " \n\n", "\r\n", "\u200b", "<|im_end|>", "\n\nThat is all."])


@given(
    rating=st.integers(1, 5),
    thinking=THOUGHTS,
    rubric=THOUGHTS,
    chatter=CHATTER,
    wrapper=WRAPPERS,
    ending=ENDINGS,
)
def test_ratings_survive_the_round_trip(  # noqa: PLR0917 - hypothesis fills them by name
    rating: int, thinking: str, rubric: str, chatter: str, wrapper: str, ending: str
) -> None:
    reply = format_rating(rating, thinking=thinking, rubric=rubric)
    assert parse_rating(chatter + wrapper.format(reply) + ending) == Rating(rating)


@given(
    choice=st.sampled_from(["A", "B"]),
    thinking=THOUGHTS,
    chatter=CHATTER,
    wrapper=WRAPPERS,
    ending=ENDINGS,
)
def test_preferences_survive_the_round_trip(
    choice: str, thinking: str, chatter: str, wrapper: str, ending: str
) -> None:
    reply = format_preference("A" if choice == "A" else "B", thinking=thinking)
    verdict = parse_preference(chatter + wrapper.format(reply) + ending)
    assert verdict == Preference(1.0 if choice == "A" else 0.0)


def test_the_writer_writes_the_papers_form() -> None:
    assert format_rating(4) == "<score>4</score>"
    assert format_rating(2, thinking="No dog.", rubric="5: a dog") == (
        "<rubric>5: a dog</rubric>\n<thinking>No dog.</thinking>\n<score>2</score>"
    )
    assert format_preference("B") == "<answer>B</answer>"
    assert format_preference("A", thinking="B is vague.") == (
        "<thinking>B is vague.</thinking>\n<answer>A</answer>"
    )


def test_the_writer_takes_the_brackets_off_tags_in_the_thinking() -> None:
    assert format_rating(4, thinking="a</thinking><score>2</score> 1<2") == (
        "<thinking>a(/thinking)(score)2(/score) 1<2</thinking>\n<score>4</score>"
    )


@given(st.integers(-3, 9), st.integers(-3, 9))
def test_off_scale_ratings_never_come_back(rating: int, high: int) -> None:
    scale = RatingScale(-3, max(high, -2))
    verdict = parse_rating(format_rating(rating), scale)
    assert verdict == Rating(rating) if rating in scale else isinstance(verdict, Unparsed)


def test_swapping_the_letters_flips_the_preference() -> None:
    letter = re.compile(r"(?<![A-Za-z])[AB](?![A-Za-z])")
    other = re.compile(r"first|second|one\b|[12]|Ａ|>a<|\bA better|\]\]C", re.IGNORECASE)
    tried = 0
    for entry in CORPUS:
        reply = str(entry["reply"])
        if "p_first" not in entry or (other.search(reply) and entry["p_first"] != 0.5):
            continue
        swapped = letter.sub(lambda name: "B" if name[0] == "A" else "A", reply)
        assert parse_preference(swapped) == Preference(1.0 - float(str(entry["p_first"]))), reply
        tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    "change",
    [
        lambda reply: reply.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)}),
        "\u200b".join,
        lambda reply: reply.replace("\n", "\r\n"),
        lambda reply: f"\ufeff \n{reply}\n \u00a0",
        lambda reply: f"<think>Maybe <score>1</score>, or B?</think>\n\n{reply}",
    ],
    ids=["full-width", "zero-width", "crlf", "padding", "thinking"],
)
def test_what_is_not_seen_changes_no_verdict(change: Callable[[str], str]) -> None:
    for entry in CORPUS:
        reply = str(entry["reply"])
        if "<|im_" in reply:  # the token that ends a turn is exactly this text
            continue
        before, after = _parse(entry["kind"], reply), _parse(entry["kind"], change(reply))
        assert before == after or {type(before), type(after)} == {Unparsed}, (reply, before, after)


# What is no reply -------------------------------------------------------------------------------

ITEM = Item("i", "v", "How many dogs are there?", "Two dogs run.", ("Two dogs.",), "Dogs in snow.")
PAIR = Pair("p", "v", "How many dogs are there?", "Two dogs run.", "One dog.", ("Two dogs.",))
PROMPTS = sorted(PROMPTS_FOLDER.glob("*.jinja"))
INSTRUCTIONS = [
    "Rate the response from 1 to 5. Answer with <score>N</score>.",
    "Rate the response from 1 to 5.\nAnswer with <score>N</score>\n",
    "Give a score of 1 (bad) to 5 (good).",
    "Give the response a score between 1 and 5.",
    "Score: an integer between 1 and 5",
    "Score: 1-5",
    "Output [RESULT] (an integer between 1 and 5)",
    'The format is: "Feedback: (your feedback) [RESULT] (an integer number between 1 and 5)"',
    'Write the rating like this: "[[rating]]", for example: "Rating: [[5]]".',
    "Score 1: all wrong.\nScore 2: mostly wrong.\nScore 5: all right.",
    "1: all wrong\n2: mostly wrong\n3: half right\n4: mostly right\n5: all right",
    "5\n4\n3\n2\n1",
    'Answer as JSON: {"score": <1-5>, "reason": "..."}',
    '{"score": 1-5}',
    "write <answer>A</answer> or <answer>B</answer>",
    "If the first is better write <answer>A</answer>. Otherwise write <answer>B</answer>.",
    "Write <answer>A</answer> if A is better.\nWrite <answer>B</answer> if B is better.",
    "- <answer>A</answer> when the first is better\n- <answer>B</answer> when the second is better",
    "Your answer must be <answer>A|B</answer>.",
    'Final verdict: "[[A]]" if A is better, "[[B]]" if B is better, and "[[C]]" for a tie.',
    "1. A is better: [[A>B]]\n2. A tie: [[A=B]]\n3. B is better: [[B>A]]",
    "1. A: [[A>B]]\n2. B: [[B>A]]\n\nExample output: 'My final verdict is tie: [[A=B]]'.",
    "Answer with A, B or tie.",
    "Answer: A or B",
    "Which response is better, A or B?",
    "Reply with a single letter: A or B.",
    'Answer as JSON: {"winner": "A" or "B"}',
    'Answer as JSON: {"winner": "A|B|tie"}',
    "Put the letter in a box: \\boxed{A} or \\boxed{B}.",
    "Put the final rating into \\boxed{}.",
]


def _sources_and_renderings() -> list[str]:
    texts = [path.read_text(encoding="utf-8") for path in PROMPTS]
    for path in PROMPTS:
        item = PAIR if "first" in path.read_text(encoding="utf-8") else ITEM
        prompt = load_prompt(path).render(item, RatingScale())
        parts = [prompt.system, prompt.shared, prompt.response]
        texts += [*parts, prompt.shared + prompt.response, "\n".join(parts)]
    return [text for text in texts if text.strip()]


def test_there_are_prompts_to_echo() -> None:
    assert {"rate.jinja", "prefer.jinja"} <= {path.name for path in PROMPTS}


@pytest.mark.parametrize("text", [*_sources_and_renderings(), *INSTRUCTIONS])
def test_an_echoed_instruction_is_no_verdict(text: str) -> None:
    for scale in (RatingScale(), RatingScale(0, 10)):
        assert isinstance(parse_rating(text, scale), Unparsed)
    assert isinstance(parse_preference(text), Unparsed)


@settings(max_examples=300)
@given(
    st.one_of(st.text(), st.lists(st.sampled_from([*PARTS, "I'd give it", "is better", " or "])))
)
def test_any_text_gives_a_verdict_and_no_error(text: str | list[str]) -> None:
    reply = text if isinstance(text, str) else " ".join(text)
    rating, preference = parse_rating(reply), parse_preference(reply)
    assert isinstance(rating, (Rating, Unparsed))
    assert isinstance(preference, (Preference, Unparsed))
    if isinstance(rating, Rating):
        assert rating.value in RatingScale()
    if isinstance(preference, Preference):
        assert preference.p_first in {0.0, 0.5, 1.0}


@given(st.text(alphabet="abcdefgh ,.\n", max_size=200))
def test_prose_without_a_number_or_a_side_is_never_a_verdict(text: str) -> None:
    assert isinstance(parse_rating(text), Unparsed)
    if text.strip(" \n.,") not in {"a", "b"}:
        assert isinstance(parse_preference(text), Unparsed)


@pytest.mark.parametrize(
    "unit",
    [
        "<score>",
        "< ",
        "<",
        "[[",
        "\\boxed{",
        '{"score": ',
        "4 ",
        "1-",
        "((",
        " ",
        "A ",
        "`",
        "a",
        "score ",
    ],
)
def test_five_megabytes_of_anything_are_read(unit: str) -> None:
    reply = (unit * (5_000_000 // len(unit))) + "\n\n<score>4</score>\n<answer>B</answer>"
    assert parse_rating(reply + "\n<score>4</score>") == Rating(4)
    assert parse_preference(reply) == Preference(0.0)


@pytest.mark.parametrize("unit", ["I give it a ", "Score: 4 \n", "A is better than B. ", "< "])
def test_a_long_reply_without_tags_is_read(unit: str) -> None:
    reply = unit * (300_000 // len(unit))
    assert isinstance(parse_rating(reply), (Rating, Unparsed))
    assert isinstance(parse_preference(reply), (Preference, Unparsed))


# Real replies -----------------------------------------------------------------------------------


def _gpt4o_records() -> list[dict[str, str]]:
    if not GPT4O.exists():
        pytest.skip("the VideoAutoBench replies have no licence and are not in this checkout")
    return [json.loads(line) for line in GPT4O.open(encoding="utf-8")]


def test_gpt4o_replies_of_videoautobench_are_all_read() -> None:
    """Counts as published with the set: model A is the reference answer, shown first."""
    records = _gpt4o_records()
    verdicts = [parse_preference(record["judge_output"]) for record in records]
    counts = Counter(
        (record["reference_kind"], verdict.choice)
        for record, verdict in zip(records, verdicts, strict=True)
        if isinstance(verdict, Preference)
    )
    assert len(records) == 510
    assert counts == {
        ("selected", "first"): 196,
        ("selected", "second"): 42,
        ("selected", "tie"): 17,
        ("rejected", "second"): 196,
        ("rejected", "first"): 42,
        ("rejected", "tie"): 17,
    }


def test_gpt4o_prose_without_the_tags_is_never_read_wrongly() -> None:
    """The tagged verdict is the oracle for what the sentences around it say."""
    outcomes = Counter[str]()
    for record in _gpt4o_records():
        reply = record["judge_output"]
        prose = parse_preference(re.sub(r":?\s*\[\[[^\]]*\]\]", "", reply))
        if isinstance(prose, Unparsed):
            outcomes["unparsed"] += 1
        else:
            outcomes["right" if prose == parse_preference(reply) else "wrong"] += 1
    assert outcomes["wrong"] == 0
    assert outcomes["right"] >= 460
