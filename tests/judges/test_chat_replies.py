"""Probabilities of verdicts, read off the tokens that a server returns."""

from __future__ import annotations

import pytest
from chat_faults import Answer, completion, engine_at, faulty_server, one, one_by_one, position

from videojudge_bench.criteria import YES_NO, Criterion
from videojudge_bench.judges.engines._chat_replies import Position, choice_probabilities

SCALE = ("1", "2", "3", "4", "5")
Written = list[str | tuple[str, dict[str, float]]]


@pytest.mark.parametrize(
    ("written", "choices", "expected"),
    [
        (["<score>", ("4", {"4": 0.5, " 4": 0.25}), "</score>"], "45", {"4": 0.75, "5": 0}),
        (["<score>4</score> <score>", ("4", {"4": 0.5}), "</score>"], "45", {"4": 0.5, "5": 0}),
        (["<score>", "\n", ("4", {"4": 0.5}), "</score>"], "45", {"4": 0.5, "5": 0}),
        (
            ["<score", (">4", {">4": 0.5, ">5": 0.25, "4": 0.25}), "</score>"],
            "45",
            {"4": 2 / 3, "5": 1 / 3},
        ),
        (
            ["<score", (">4", {">4": 0.25, ">": 0.25, "x": 0.5}), "</score>"],
            "45",
            {"4": 0.5, "5": 0},
        ),
        (["<score>", ("4", {"5": 0.5}), "</score>"], "45", {"4": 0.01, "5": 0.5}),
        (
            ["<answer>", (" A", {" A": 0.5, "B": 0.25, "AB": 0.25}), "</answer>"],
            "AB",
            {"A": 0.5, "B": 0.25},
        ),
        (["\udcc3", "\udca4. <score>", ("4", {"4": 0.5}), "</score>"], "45", {"4": 0.5, "5": 0}),
        (["score: ", ("4", {"4": 0.5})], "45", {}),
        (["<score>"], "45", {}),
        (["<score>", ("4", {"4": 0.5})], "45", {}),  # not closed: the text states no verdict
        ([], "45", {}),
        (["<score>4</score> no <score>", ("5", {"5": 0.5}), "</score>"], "45", {}),
        (["<score>", ("4", {"4": 0.5}), "</score>\nIt says <score>5</score>"], "45", {}),
        (
            ["<score>", ("4", {"4": 0.5}), '</score>\nIt says "<score>5</score>".'],
            "45",
            {"4": 0.5, "5": 0},
        ),
        (["<score>", ("1", {"1": 0.5, "2": 0.1}), "</score>"], ("1", "2", "10"), {}),
        (
            ["<score>", ("1", {"1": 0.5, "10": 0.1}), "</score>"],
            ("1", "2", "10"),
            {"1": 0.5, "2": 0, "10": 0.1},
        ),
    ],
)
def test_probabilities_are_read_where_the_verdict_stands(
    written: Written, choices: tuple[str, ...], expected: dict[str, float]
) -> None:
    assert choice_probabilities(_positions(written), tuple(choices)) == pytest.approx(expected)


FOUR = ("4", {"4": 0.5, "5": 0.25})
READ = {"4": 0.5, "5": 0.25}


@pytest.mark.parametrize(
    ("written", "content", "expected"),
    [
        (["<score>", FOUR, "</score>"], "<score>4</score>", READ),
        (["<score>", FOUR, "</score>", "<|im_end|>"], "<score>4</score>", READ),
        (["\n\n", "<score>", FOUR, "</score>", "\n"], "<score>4</score>", READ),
        (["<score>", ("5", {"5": 1.0}), "</score>"], "I cannot tell.", {}),
        (["<score>", ("5", {"5": 1.0}), "</score>"], "", {}),
        (
            ["<score>", ("5", {"5": 1.0}), "</score>", "</think>", "<score>", FOUR, "</score>"],
            "<score>4</score>",
            READ,
        ),
        (["<score>", FOUR, "</score>", " or not"], "<score>4</score>", {}),
    ],
)
def test_only_what_the_reply_itself_is_made_of_counts(
    written: Written, content: str, expected: dict[str, float]
) -> None:
    """A server may list the tokens of hidden reasoning, too."""
    found = choice_probabilities(_positions(written), ("4", "5"), content=content)
    assert found == pytest.approx(expected)


def test_a_probability_that_a_server_leaves_out_costs_no_reply() -> None:
    four = position("4", {"4": 0.5, "5": 0.25})
    for broken in ({"logprob": None}, {"logprob": float("nan")}, {"top_logprobs": None}):
        listed = [position("<score>"), {**four, **broken}, position("</score>")]
        answer = completion("<score>4</score>", logprobs=listed)
        with faulty_server(one_by_one(answer)) as seen:
            found = one(engine_at(seen), choices=("4", "5"))
        assert found.text == "<score>4</score>"
    usage: object
    usages: tuple[object, ...]
    usages = ({"prompt_tokens": None}, {"prompt_tokens": "many"}, "none", [], None)
    for usage in usages:
        answered = completion().body
        assert isinstance(answered, dict)
        body = {**answered, "usage": usage}
        with faulty_server(one_by_one(Answer(body))) as seen:
            assert one(engine_at(seen)).text == "<score>4</score>"


# Qwen2.5's tokenizer has `>A` and `>B`, and writes `<answer>A` as `<`, `answer`, `>A`; a model may
# as well write `>` and then `A`. P(A) is then P(>A) + P(>) P(A | >), among what closes the tag.
GLUED = (">A", {">A": 0.6, ">B": 0.2, ">": 0.1, " to": 0.1})
CLOSED = (">", {">": 0.5, ">A": 0.2, ">B": 0.1, " to": 0.2})
BEHIND = ("B", {"B": 0.5, "A": 0.25, "C": 0.25})


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ([GLUED], {"A": 0.6 / 0.9, "B": 0.2 / 0.9}),
        ([CLOSED, BEHIND], {"A": (0.2 + 0.5 * 0.25) / 0.8, "B": (0.1 + 0.5 * 0.5) / 0.8}),
        ([CLOSED, "\n", BEHIND], {"A": (0.2 + 0.5 * 0.25) / 0.8, "B": (0.1 + 0.5 * 0.5) / 0.8}),
        ([(">", {">": 1.0}), BEHIND], {"A": 0.25, "B": 0.5}),
        ([CLOSED], {}),
    ],
)
def test_both_ways_to_write_a_verdict_behind_its_tag_count(
    tail: Written, expected: dict[str, float]
) -> None:
    """Written freely, and as the rest of a reply that was begun with `<answer`."""
    free = _positions(["<thinking>", "</", "thinking", "><", "answer", *tail, "</", "answer", ">"])
    if len(tail) == 1 and tail[0] == CLOSED:  # the reply was cut here
        free = free[:-3]
    found = choice_probabilities(free, ("A", "B"))
    assert found == pytest.approx(expected)
    begun = choice_probabilities(_positions(tail), ("A", "B"), begins_with=">")
    assert begun == pytest.approx(expected)


def test_a_begun_tag_that_is_not_closed_has_no_verdict() -> None:
    positions = _positions(["s", GLUED])
    assert choice_probabilities(positions, ("A", "B"), begins_with=">") == {}


def test_a_begun_reply_is_continued() -> None:
    verdict = [position(">", {">": 1.0}), position("4", {"4": 0.75, " 5": 0.125, "x": 0.125})]
    answer = completion(">4</sc", logprobs=[*verdict, position("</sc")], finish="length")
    with faulty_server(one_by_one(answer)) as seen:
        engine = engine_at(seen, prefill=True)
        found = one(engine, reply_start="<score>", choices=SCALE)
    (request,) = seen.requests
    assert request["messages"][2] == {"role": "assistant", "content": "<score"}
    assert (request["continue_final_message"], request["add_generation_prompt"]) == (True, False)
    assert (request["logprobs"], request["top_logprobs"]) == (True, 20)
    assert request["max_tokens"] == 8
    assert found.text == "<score>4</sc"
    assert found.finished  # the verdict is there
    assert found.probabilities == pytest.approx({"1": 0, "2": 0, "3": 0, "4": 0.75, "5": 0.125})


def test_a_begun_reply_may_go_on_with_a_token_that_holds_tag_and_verdict() -> None:
    """As Qwen2.5 writes `<answer>A`."""
    answer = completion(
        ">A</answer>", logprobs=[position(">A", {">A": 0.75, ">B": 0.25}), position("</answer>")]
    )
    with faulty_server(one_by_one(answer)) as seen:
        found = one(engine_at(seen, prefill=True), reply_start="<answer>", choices=("A", "B"))
    assert seen.requests[0]["messages"][2] == {"role": "assistant", "content": "<answer"}
    assert found.text == "<answer>A</answer>"
    assert found.probabilities == pytest.approx({"A": 0.75, "B": 0.25})


def test_a_begun_reply_that_goes_on_otherwise_has_no_verdict() -> None:
    answer = completion("s are: A", logprobs=[position("s"), position(" A")], finish="length")
    with faulty_server(one_by_one(answer)) as seen:
        found = one(engine_at(seen, prefill=True), reply_start="<answer>", choices=("A", "B"))
    assert (found.text, found.probabilities) == ("<answers are: A", {})


@pytest.mark.parametrize("prefill", [True, False])
def test_a_model_that_reasons_first_is_not_begun_for(prefill: bool) -> None:
    written = [*map(position, ("Fine", ".", "<", "answer")), position(">B", {">B": 0.5, ">A": 0.5})]
    answer = completion("Fine.<answer>B</answer>", logprobs=[*written, position("</answer>")])
    with faulty_server(one_by_one(answer, completion("Hm.", logprobs=[position("Hm.")]))) as seen:
        engine = engine_at(seen, prefill=prefill)
        found, none = one(engine, choices=("A", "B")), one(engine, choices=("A", "B"))
    assert [message["role"] for message in seen.requests[0]["messages"]] == ["system", "user"]
    assert seen.requests[0]["max_tokens"] == 64
    assert found.probabilities == pytest.approx({"A": 0.5, "B": 0.5})
    assert (none.text, none.probabilities) == ("Hm.", {})


def test_without_prefill_the_verdict_is_read_behind_its_tag() -> None:
    written = [*map(position, ("Fine", ".", "<score", ">")), position("4", {"4": 0.5, "3": 0.25})]
    answer = completion("Fine.<score>4</score>", logprobs=[*written, position("</score>")])
    with faulty_server(one_by_one(answer)) as seen:
        found = one(engine_at(seen), reply_start="<score>", choices=SCALE)
    (request,) = seen.requests
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert request["max_tokens"] == 64
    assert found.text == "Fine.<score>4</score>"
    assert found.probabilities == pytest.approx({"1": 0, "2": 0, "3": 0.25, "4": 0.5, "5": 0})


def test_probabilities_are_read_in_the_slot_of_a_criterion() -> None:
    written: Written = [
        '<score name="right">', ("4", {"4": 0.5, "2": 0.25}), '</score>\n<score name="polite">',
        ("yes", {"yes": 0.75, "no": 0.25}), "</score>",
    ]  # fmt: skip
    right, polite = Criterion("right", "?"), Criterion("polite", "?", 1, YES_NO)
    positions = _positions(written)
    numbers = choice_probabilities(positions, right.choices, slot=right)
    assert numbers == pytest.approx({"1": 0, "2": 0.25, "3": 0, "4": 0.5, "5": 0})
    words = choice_probabilities(positions, polite.choices, slot=polite)
    assert words == pytest.approx({"no": 0.25, "yes": 0.75})
    assert choice_probabilities(positions, right.choices, slot=Criterion("other", "?")) == {}


def _positions(written: Written) -> list[Position]:
    made = [position(w) if isinstance(w, str) else position(*w) for w in written]
    return [Position.model_validate(position) for position in made]
