"""Closed word lists for slots: function words, people, verbs, colours, opposites.

They are written by hand, for English as in captions and answers. Other words are content words;
nouns need no list, since they stand between function words and verbs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = _set(
    "a an the his her their its my our your this that these those some another each both all "
    "several many few other every any no multiple various"
)
NUMBERS = _set("two three four five six seven eight nine ten")
PREPOSITIONS = _set(
    "in on at with by from into onto over under through around near behind beside beneath across "
    "along against between off down up out for during inside outside toward towards after before "
    "upon above below among without within about past underneath alongside amongst throughout "
    "atop via"
)
MULTIWORD = tuple(
    tuple(phrase.split(" "))
    for phrase in (
        "in front of",
        "on top of",
        "in the middle of",
        "on the side of",
        "next to",
        "out of",
        "off of",
        "on to",
        "in to",
        "close to",
        "because of",
        "instead of",
        "inside of",
        "outside of",
        "along with",
        "from behind",
    )
)
"""Prepositions of several words: the longest comes first where two begin alike."""

FREQUENT_PREPOSITIONS = _set(
    "in on at with by from into onto over through around near behind across against down up for to"
) | {"in front of", "on top of", "next to", "out of"}
"""Those with a type of their own."""

LINKS = _set("and or but then while as when because so where than if though who which that")
"""Words that begin a clause or a coordinated part."""

BE = _set("is are was were be been being am")
AUXILIARIES = BE | _set("has have had does did do can could will would may must should")
MALE = {"he": "she", "him": "her", "his": "her", "himself": "herself"}
FEMALE = {"she": "he", "her": "his", "hers": "his", "herself": "himself"}
PRONOUNS = _set(
    "he she they it him her them himself herself themselves itself i we you us me "
    "there what how why something everything nothing it's one who's"
)
ADVERBS = _set(
    "then very not also just again together away back well too now still only really quite almost "
    "so more most much there here first next finally later once twice already even"
)
PARTICLES = _set("up down out off away back around over along together")

PLURALS = _set("people men women children guys kids ladies boys girls")
SINGULAR = _set("a an each another every this")
COLLECTIVE = _set("group groups couple pair bunch lot lots crowd number team")

# What names a person without saying which: it can be right of any video with a person in it.
ANYBODY = _set(
    "person persons people someone somebody individual individuals adult adults human humans "
    "everyone others one ones guys group groups crowd couple pair lot bunch team members member "
    "friend friends video camera clip scene footage image screen shown show shows showing seen "
    "thing things way type kind piece pieces part parts side top end front middle use uses using "
    "try tries trying start starts begin begins starting while different"
)

PEOPLE = {
    **dict.fromkeys(_set("man men guy male males gentleman gentlemen father dad"), "man"),
    **dict.fromkeys(_set("boy boys son"), "boy"),
    **dict.fromkeys(_set("woman women lady ladies female females mother mom womens gal"), "woman"),
    **dict.fromkeys(_set("girl girls daughter"), "girl"),
    **dict.fromkeys(
        _set(
            "child children kid kids baby toddler babies toddlers infant youth teen teenager teens "
            "teenagers youngster"
        ),
        "child",
    ),
}
"""Words for the same kind of person: a man is no `guy`'s opposite."""

OVERLAPPING = {"child": ("boy", "girl"), "boy": ("child",), "girl": ("child",)}
"""Groups of people that may be the same person."""

GENDER = {"man": "m", "boy": "m", "woman": "f", "girl": "f"}

COLOURS = _set("red blue green yellow white black brown orange pink purple grey silver gold blonde")
OPPOSITES = (
    ("left", "right"),
    ("inside", "outside"),
    ("indoors", "outdoors"),
    ("indoor", "outdoor"),
    ("slowly", "quickly"),
    ("big", "small"),
    ("large", "little"),
    ("tall", "short"),
    ("young", "old"),
    ("happy", "sad"),
    ("open", "closed"),
)

_OPPOSITE = {word: "-".join(pair) for pair in OPPOSITES for word in pair}

# Not verbs, although they end like one.
NOT_ING = _set(
    "ring king string wing spring thing something nothing anything everything ceiling building "
    "clothing wedding evening morning swing sing bring during wring fling sling being railing "
    "earring painting icing ping sibling duckling stuffing interesting amazing opening"
)

_VERBS = """
play sit use talk stand do hold show wear demonstrate dance ride try walk make put lay watch have
laugh get explain perform give eat run throw look drive sing jump speak work practice blow move cut
push take go swim hit pull apply ski describe wash climb attempt cook listen lift film drink prepare
record brush smile feed teach help kick place pour shave clap clean open fold cry smoke cheer spin
hang paint turn set draw read massage pick discuss shake remove juggle race pet wave build crawl
learn roll slide write shoot tell enjoy stretch compete carry wrap narrate chew fly peel balance dig
rub suck roast count flip mix kneel cross lean dribble carve twirl sleep create skate bounce fall
yell point kiss exercise operate crack say hug tap surf weave snowboard instruct spray weld wrestle
participate catch stir touch trim comment add skateboard pretend install display iron act change
lick polish giggle bend happen sail guide braid fix fill pack groom sharpen sew grab stick shuffle
toss float adjust fight check skip shovel ask wait whistle step spread shout celebrate stare press
land let skydive poke squeeze yawn grill hide curl slice scream bang start measure grind wink stomp
wade mow form collect fry come dive empty converse type pass train strike glide assemble taste
follow tickle comb decorate vacuum march jog pop sort trace dump rotate close beat unwrap chop strum
stack clip observe punch chase smooth review arrange rip spit clear paddle burn snap chant sift
scrub twist break interact attach manipulate pierce scratch rest knit lead dip straighten unload
insert handle separate complete slap jam chat lower parachute sign examine practise conduct mold
burp wiggle knead test propose travel smash mop struggle crouch rinse load steer tear socialize nod
drag encourage plow explore provide bite slow sip shove finish find produce present receive win
inhale rappel sway report applaud bark blink munch warm sweep begin continue tie lie saw see appear
keep bring reach raise stop leave return enter proceed fasten like seem need want love
"""
VERBS = frozenset(_VERBS.split())
"""Verbs by their base form, for `throws` and `throw`; an -ing form needs no list."""

FUNCTION_WORDS = (
    DETERMINERS | PREPOSITIONS | LINKS | AUXILIARIES | PRONOUNS | ADVERBS | {"of", "to", "s", "t"}
)

_ES = re.compile(r"(?:s|x|z|ch|sh|o)es$")


def base_of_third(word: str) -> str | None:
    """Return the verb that a word is the third person of (`throws`: `throw`), None if of none."""
    if not word.endswith("s"):
        return None
    candidates = [word[:-1]]
    if word.endswith("ies"):
        candidates.append(word[:-3] + "y")
    if _ES.search(word):
        candidates.append(word[:-2])
    return next((base for base in candidates if base in VERBS), None)


def is_ing(word: str) -> bool:
    """Return whether a word looks like the -ing form of a verb."""
    return len(word) > 4 and word.endswith("ing") and word not in NOT_ING


def stem(word: str) -> str:
    """Return the common part of a word's forms, roughly."""
    if word in PEOPLE:
        return PEOPLE[word]
    if is_ing(word):
        return _undoubled(word[:-3])
    if len(word) > 4 and word.endswith(("ies", "ied")):
        return word[:-3] + "y"
    if len(word) > 4 and (word.endswith("ed") or _ES.search(word)):
        return _undoubled(word[:-2])
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return _undoubled(word[:-1])
    return _undoubled(word)


def _undoubled(word: str) -> str:
    if word.endswith("e") and len(word) > 3:
        word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word


def is_plural(noun: str) -> bool:
    """Return whether a noun is in the plural, by its form."""
    return noun in PLURALS or (noun.endswith("s") and not noun.endswith("ss"))


def exchangeable(word: str) -> tuple[Literal["attribute", "count", "opposite"], str] | None:
    """Return the kind and the form of a word that is exchanged by itself, None for any other."""
    if word in NUMBERS:
        return "count", "number"
    if word in COLOURS:
        return "attribute", "colour"
    return ("opposite", _OPPOSITE[word]) if word in _OPPOSITE else None


def is_content(word: str) -> bool:
    """Return whether a word says something of the video that may be wrong."""
    return word not in FUNCTION_WORDS and word not in ANYBODY and any(c.isalnum() for c in word)


def turned(text: str, gender: str) -> str:
    """Return a text in which the pronouns of one gender (`m` or `f`) are those of the other."""
    pronouns = MALE if gender == "m" else FEMALE
    return _PRONOUN.sub(lambda match: _turned(match, pronouns), text)


def _turned(match: re.Match[str], pronouns: Mapping[str, str]) -> str:
    word, after = match[0], match["after"]
    lower = word.lower()
    if lower not in pronouns:
        return word
    # `her` is `his` before a noun and `him` elsewhere.
    other = "him" if lower == "her" and not is_content(after.lower()) else pronouns[lower]
    return other.capitalize() if word[0].isupper() else other


_PRONOUN = re.compile(r"\b(?:he|she|him|her|hers|his|himself|herself)\b(?=\W*(?P<after>\w*))", re.I)
