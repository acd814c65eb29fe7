"""Question and short answer made into one text that is long enough for five grades.

NExT-QA's answers average 2.8 words. Where the form of the question allows it, both become one
sentence; where it does not (most questions of why, how, before and after), the question is put in
front of its answer.
"""

from __future__ import annotations

import re
from typing import Literal

Form = Literal["sentence", "question+answer"]

_NUMBER = re.compile("two|three|four|five|six|seven|eight|nine|ten|eleven|twelve")
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
_NOT_A_VERB = re.compile("(?:no|some|any|every)thing|morning|evening|ring|swing")


def answer_text(question: str, answer: str) -> tuple[str, Form]:
    """Return a text with the content of a question and its answer, and its form.

    It is one declarative sentence, or the question followed by its answer; both begin with a
    capital and end with a mark.
    """
    asked = " ".join(question.split()).rstrip("? ")
    reply = " ".join(answer.split()).rstrip(". ")
    sentence = _sentence(asked[:1].lower() + asked[1:], reply)
    if sentence:
        return f"{_capital(sentence)}.", "sentence"
    return f"{_capital(asked)}? {_capital(reply)}.", "question+answer"


def _sentence(asked: str, reply: str) -> str:
    first = reply.lower().split(" ")[0]
    is_verb = first.endswith("ing") and not _NOT_A_VERB.fullmatch(first)
    if (m := _DOING.fullmatch(asked)) and is_verb:
        return f"{m['who']} {m['be']} {reply}{m['rest']}"
    if (m := _THERE.fullmatch(asked)) and _NUMBER.fullmatch(reply):
        return f"there {m['be']} {reply} {m['what']}{m['rest']}"
    if (m := _MANY.fullmatch(asked)) and _NUMBER.fullmatch(reply):
        return f"{reply} {m['what']} {m['rest']}"
    if m := _WHAT_OF.fullmatch(asked):
        return f"{m['what']} {m['be']} {reply}"
    if (m := _WHERE.fullmatch(asked)) and _PLACE.fullmatch(reply):
        return f"{m['who']} {m['be']} {m['rest']} {reply}"
    return ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
