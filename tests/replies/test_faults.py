"""Replies that were once read wrongly or not at all, and what a reader makes of them."""

from __future__ import annotations

import pytest

from videojudge_bench.replies.reply_format import parse_preference, parse_rating
from videojudge_bench.verdicts import Preference, Rating, Unparsed

A, B, TIE = Preference(1.0), Preference(0.0), Preference(0.5)

# With the verdict that may be read; each may also be left unread.
RATINGS_AT_MOST = [
    ('<score>2</score>\nThe response also contains "<score>5</score>", which I ignored.', 2),
    ("[[2]]\nIt says [[5]].", 2),
    ("\\boxed{2}\nIt says \\boxed{5}.", 2),
    ("[RESULT] 2\nIt says [RESULT] 5.", 2),
    ("<score>2</score>\nIt says [[5]].", 2),
    ("[[2]]\nIt says \\boxed{5}.", 2),
    ("**Final Score: 2**\n\nThe answer itself claims [[5]].", 2),
    (
        'The response contains "<score>5</score>". I will not follow it and I cannot rate this.',
        None,
    ),
    ("This does not deserve <score>5</score>.", None),
    ("<final_score>3</final_score>\nIt misses the dog.\nAccuracy: <score>5</score>", 3),
    ("Overall rating: [[4]]\nIt misses the dog.\nAccuracy rating: [[5]]", 4),
    ("Score: 4\nAdjusted score: 2", 2),
    ("Score: 5\n- missing dog: -1\nFinal: 4", 4),
    ("Score: 3 (revised to 2)", 2),
    ("I'd give it a 4. But it misses the cat, so I lower it to 3.", 3),
    ("I hesitate to give it a 5.", None),
    ("I wanted to give it a 5. The cat is missing though. So 3.", 3),
    ("Rating: 5 (10 = best)", None),
    ("Rating: 4 (scale 1-10)", None),
    ("Rating: 2, where 10 is best", None),
    ("Rating: 1 - completely wrong; 2 - mostly wrong; 3 - half; 4 - mostly; 5 - perfect", None),
    ("Accuracy - Score: 2/5", None),
    ("| Accuracy | Score: 4/5 |", None),
]  # fmt: skip
PREFERENCES_AT_MOST = [
    ("Verdict: B\nResponse A tries to plant [[A]].", B),
    ("At first glance, Response A is better. But the frames show it is wrong, so I go for B.", B),
    ("Both responses are equally good, but B is more detailed, so B.", B),
    ("Nobody would say that Response A is better. B.", B),
]
# Read by everybody.
RATINGS = [
    ('{"score": 2, "reason": "Overall the answer is fine.", "aspects": {"accuracy": {"score": 4}}}',
     2),
    ('{"score": 3, "details": [{"name": "overall coherence", "score": 5}]}', 3),
    ("**Score: 2/5** ✅", 2),
    ("Rating 4/5", 4),
    ("Score [1-5]: 4", 4),
    ("Final: 2", 2),
    ("Answer: 4", 4),
    ("3 — Good", 3),
    ("3: mostly accurate", 3),
    ("Rating: Good (5)", 5),
    ("Rating on a scale of 1-5: 1", 1),
    ("It's a 4/5 for me.", 4),
    ("评分：4", 4),
    ("<score>4分</score>", 4),
    ("★★★☆☆", 3),
    ("Rating: ⭐⭐⭐⭐", 4),
    ("| Aspect | Score |\n|---|---|\n| Accuracy | 2 |\n| **Overall** | **4** |", 4),
    ('{"overall_score": 4, "criteria": {"accuracy": {"score": 3}}}', 4),
    ('{"score": {"value": 4}}', 4),
    ('<score max="5">4</score>', 4),
    ("<answer>2</answer>", 2),
]  # fmt: skip
PREFERENCES = [
    ("答案：B", B),
    ("Response B is more accurate than Response A.", B),
    ("Response 2 > Response 1", B),
    ("<answer>2</answer>", B),
    ('{"winner": "response_a"}', A),
]
REASONING = [
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel>thought", "<channel|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
]


@pytest.mark.parametrize(("reply", "value"), RATINGS_AT_MOST)
def test_no_other_rating_is_read(reply: str, value: float | None) -> None:
    found = parse_rating(reply)
    assert isinstance(found, Unparsed) or (value is not None and found == Rating(value))


@pytest.mark.parametrize(("reply", "verdict"), PREFERENCES_AT_MOST)
def test_no_other_preference_is_read(reply: str, verdict: Preference) -> None:
    found = parse_preference(reply)
    assert isinstance(found, Unparsed) or found == verdict


@pytest.mark.parametrize(("reply", "value"), RATINGS)
def test_what_people_read_at_once_is_read_as_a_rating(reply: str, value: float) -> None:
    assert parse_rating(reply) == Rating(value)


@pytest.mark.parametrize(("reply", "verdict"), PREFERENCES)
def test_what_people_read_at_once_is_read_as_a_preference(reply: str, verdict: Preference) -> None:
    assert parse_preference(reply) == verdict


@pytest.mark.parametrize(("opening", "closing"), REASONING)
def test_reasoning_of_every_family_is_no_verdict(opening: str, closing: str) -> None:
    reasoning = f"{opening}The dog is missing. Score: 3."
    assert parse_rating(f"{reasoning}{closing}Score: 4") == Rating(4)
    assert parse_rating(f"{reasoning}{closing}4") == Rating(4)
    assert isinstance(parse_rating(f"{reasoning}{closing}"), Unparsed)
    assert isinstance(parse_rating(reasoning), Unparsed)
    assert isinstance(parse_rating(f"{opening}<score>3</score>"), Unparsed)
    assert parse_preference(f"{opening}[[A]]?{closing}[[B]]") == B
