"""Question and short answer made into one text that says what happens, for five grades of it.

NExT-QA's answers average 2.8 words. Where the form of the question shows how, both become one
sentence; where it does not (most questions of why, how, before and after, whose answers come in
any tense), the question is put in front of its answer.
"""

from __future__ import annotations

import re
from typing import Literal

Form = Literal["sentence", "question+answer"]

_NUMBERS = [
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_OF = "colour|color|relationship|weather|atmosphere|gender|breed|material|purpose|mood"

# what is the man doing in the video? + playing guitar -> the man is playing guitar in the video
_DOING = re.compile(r"what (?P<be>is|are|was|were) (?P<who>.+?) doing\b(?P<rest>.*)")
# how many dogs are there in the video? + three -> there are three dogs in the video
_THERE = re.compile(r"how many (?P<what>.+?) (?P<be>are|were) there\b(?P<rest>.*)")
# how many people are playing? + two -> two people are playing
_MANY = re.compile(r"how many (?P<what>[a-z]+) (?P<rest>(?:are|were) (?!there).+)")
# what is the colour of the balloon? + purple -> the colour of the balloon is purple
_WHAT_OF = re.compile(rf"what (?P<be>is|was) (?P<what>the (?:{_OF}) (?:of|between) .+)")
# where are the dogs fighting? + on barren land -> the dogs are fighting on barren land
_WHERE = re.compile(
    r"where (?P<be>is|are|was|were) (?P<who>(?:the|this|these|they)\b.*?) ?"
    r"(?P<rest>(?<= )(?:\w+ing|taken|filmed|recorded|held)(?: up| out| on)?)"
)
_PLACE = re.compile(
    r"(?:in|on|at|near|by|beside|under|behind|inside|outside|next) .+|outdoors?|indoors?"
)
_NOT_A_VERB = [
    "nothing",
    "something",
    "anything",
    "everything",
    "morning",
    "evening",
    "ring",
    "swing",
]


def answer_text(question: str, answer: str) -> tuple[str, Form]:
    """Return a text that says what a question and its answer say, and which form it has.

    Returns:
        One declarative sentence, or the question followed by its answer; both begin with a capital
        and end with a mark.
    """
    asked = " ".join(question.split()).rstrip("? ")
    reply = " ".join(answer.split()).rstrip(". ")
    sentence = _sentence(asked[:1].lower() + asked[1:], reply)
    if sentence:
        return f"{_capital(sentence)}.", "sentence"
    return f"{_capital(asked)}? {_capital(reply)}.", "question+answer"


def _sentence(asked: str, reply: str) -> str:
    first = reply.lower().split(" ")[0] if reply else ""
    if (m := _DOING.fullmatch(asked)) and first.endswith("ing") and first not in _NOT_A_VERB:
        return f"{m['who']} {m['be']} {reply}{m['rest']}"
    if (m := _THERE.fullmatch(asked)) and reply in _NUMBERS:
        return f"there {m['be']} {reply} {m['what']}{m['rest']}"
    if (m := _MANY.fullmatch(asked)) and reply in _NUMBERS:
        return f"{reply} {m['what']} {m['rest']}"
    if m := _WHAT_OF.fullmatch(asked):
        return f"{m['what']} {m['be']} {reply}"
    if (m := _WHERE.fullmatch(asked)) and _PLACE.fullmatch(reply):
        return f"{m['who']} {m['be']} {m['rest']} {reply}"
    return ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
