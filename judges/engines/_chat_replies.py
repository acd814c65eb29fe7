"""Answers of a server of OpenAI's chat completions: reply, usage, probabilities."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Annotated, Union

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from videojudge_bench.criteria import Criterion
from videojudge_bench.engine import WrittenToken
from videojudge_bench.judges.engines._verdict_place import verdict_place

# What a server may list behind the reply: the token that ends it.
_END = re.compile(rb"(?:\s|<[|\xef\xbd\x9c][^<>]{1,40}[|\x9c]>|</s>|<eos>|<end_of_turn>)*")
_FINISHED = frozenset({None, "", "stop", "eos", "eos_token", "end_turn", "stop_sequence"})
_SPECIAL = re.compile(r"<\|.*\|>|</s>|<eos>|<end_of_turn>")  # that end replies
_END_OF_TURN = re.compile(
    r"(?:\s*(?:<\|(?:im_end|eot_id|eom_id|eos|end|return|endoftext|end_of_text|end_of_turn"
    r"|END_OF_TURN_TOKEN)\|>|<｜end▁of▁sentence｜>|</s>|<(?:seed:)?eos>|<end_of_turn>|<turn\|>"
    r"|\[EOS\]|\[e~\[))+\s*\Z"
)
"""The tokens by which model families end a turn, at the end of a reply."""

CUT_OFF = "length"


def _or_none(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """None where a value is wrong: what a server writes beside a reply never costs the reply."""
    try:
        return handler(value)
    except ValidationError:
        return None


_OrNone = WrapValidator(_or_none)
_Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Number = Annotated[Union[_Finite, None], _OrNone]
_Byte = Annotated[int, Field(ge=0, le=255)]


class Token(BaseModel):
    """A token at its place, or one that could have stood there."""

    token: str
    logprob: _Number = None
    utf8: list[_Byte] | None = Field(default=None, alias="bytes")

    @property
    def raw(self) -> bytes:
        """The token in UTF-8, of which it may be a fraction of a character."""
        return self.token.encode(errors="replace") if self.utf8 is None else bytes(self.utf8)

    @property
    def probability(self) -> float:
        """In 0..1; 0 where the server tells none."""
        return 0.0 if self.logprob is None else math.exp(min(self.logprob, 0.0))


class Position(Token):
    """A token that was written, with those that could have been."""

    top_logprobs: list[Token] | None = None

    def alternatives(self) -> list[Token]:
        """Return the candidates for this place, the written one among them."""
        top = self.top_logprobs or []
        return top if any(token.raw == self.raw for token in top) else [self, *top]


class _Logprobs(BaseModel):
    content: list[Position] | None = None


class _Part(BaseModel):
    """A part of a reply: its text, or something else such as reasoning."""

    type: str = "text"
    text: str | None = None


class _Message(BaseModel):
    content: Union[str, list[_Part], None] = None
    refusal: str | None = None

    @property
    def text(self) -> str:
        text = self.content or self.refusal or ""
        if isinstance(text, list):
            text = "".join(part.text or "" for part in text if part.type == "text")
        return _END_OF_TURN.sub("", text)


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: Annotated[Union[_Logprobs, None], _OrNone] = None


class _Usage(BaseModel):
    prompt_tokens: _Number = None
    completion_tokens: _Number = None


class _Error(BaseModel):
    code: object = None
    status: object = None


class Completion(BaseModel):
    """The answer of a server; other fields are ignored."""

    choices: list[_Choice]
    usage: Annotated[Union[_Usage, None], _OrNone] = None
    model: object = None
    system_fingerprint: object = None

    @property
    def text(self) -> str:
        """Return the model's text; empty when there is none (all of it reasoning, say)."""
        return self.choices[0].message.text

    @property
    def stopped_by(self) -> str:
        """Return why the reply ended early (`length`, `abort`, …); "" when it did not."""
        reason = self.choices[0].finish_reason
        return "" if reason in _FINISHED or (reason or "").lower() in _FINISHED else str(reason)

    @property
    def positions(self) -> list[Position] | None:
        """The tokens of the reply with their probabilities, None where the server gave none."""
        logprobs = self.choices[0].logprobs
        return None if logprobs is None else logprobs.content or None

    @property
    def written(self) -> tuple[WrittenToken, ...]:
        """The tokens of the reply, each with the best other one; () where none are known."""
        return tuple(_written_token(p) for p in self.positions or () if p.top_logprobs)

    @property
    def tokens(self) -> tuple[int, int] | None:
        """Tokens of prompt and reply, None where the server does not count."""
        if self.usage is None or self.usage.prompt_tokens is None:
            return None
        return int(self.usage.prompt_tokens), int(self.usage.completion_tokens or 0)


class _Failure(BaseModel):
    error: Union[_Error, str, None] = None


class Tokenised(BaseModel):
    """The tokens of a prompt, as a server sees them."""

    tokens: list[int]
    token_strs: list[str]


def read_completion(body: bytes) -> Completion:
    """Return the completion in a response's body; a ValueError says what is wrong with it."""
    try:
        completion = Completion.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"not a chat completion ({where or 'body'}: {first['msg']})") from None
    if not completion.choices:
        raise ValueError("a chat completion without choices")
    return completion


def status_in(body: bytes) -> int | None:
    """Return the status that an error in a body names, as gateways write it with HTTP 200."""
    try:
        error = _Failure.model_validate_json(body).error
    except ValidationError:
        return None
    codes = [error.code, error.status] if isinstance(error, _Error) else []
    statuses = [int(str(code)) for code in codes if re.fullmatch(r"[45]\d\d", str(code))]
    return statuses[0] if statuses else None


def choice_probabilities(
    positions: Sequence[Position],
    choices: Sequence[str],
    *,
    content: str | None = None,
    begins_with: str | None = None,
    slot: Criterion | None = None,
) -> dict[str, float]:
    """Return the probability of each choice where the reply states its verdict, in 0..1.

    Given the text up to there: where a tokeniser has both `>A` and `>`, the two ways of writing `A`
    behind `<answer` are summed, as shares of all tokens that close the tag. White space around a
    choice does not count. Probability of other tokens, and of those that a server does not list, is
    missing from the sum.

    The positions may begin with hidden reasoning; without `content`, all of them are the reply. The
    verdict stands right behind `begins_with`, the beginning of the reply, or where the text verdict
    stands if that is None, in the `slot` where one is given.

    Returns:
        {} when there is no such place or no probability there, or when one choice may be the
        beginning of another (`1` of `10`, written in two tokens): one place cannot tell them apart.
    """
    written = [position.raw for position in positions]
    place: tuple[int, bytes] | None = (0, b"")
    start: int | None = 0
    # Right behind a reply that was begun, the first token is the verdict, blank or not.
    if begins_with != "":
        place_of = partial(verdict_place, choices=choices, slot=slot)
        start = _verdict_start(b"".join(written), place_of, content, begins_with)
        place = None if start is None else _place(written, start)
    if start is None or place is None:
        return {}
    index, head = place
    if any(token.logprob is None for token in positions[index].alternatives()):
        return {}
    texts = _texts(positions[index], head)
    if not head and start:
        texts = _with_glued(texts, positions, start)
    if _is_torn(choices, texts.keys()):
        return {}
    return {choice: min(texts.get(choice, 0.0), 1.0) for choice in choices}


def _written_token(position: Position) -> WrittenToken:
    others = [
        (token.logprob, token)
        for token in position.top_logprobs or ()
        if token.raw != position.raw and token.logprob is not None
    ]
    if not others or position.logprob is None:
        return WrittenToken(_text_of(position), "", math.inf)
    logprob, best = max(others, key=lambda other: other[0])
    return WrittenToken(_text_of(position), _text_of(best), position.logprob - logprob)


def _text_of(token: Token) -> str:
    """Text of a token in the reply; empty for a special token."""
    return "" if _SPECIAL.fullmatch(token.token) else token.raw.decode(errors="replace")


def _verdict_start(
    written: bytes,
    place_of: Callable[[str], int | None],
    content: str | None,
    begins_with: str | None,
) -> int | None:
    """Return the place in all listed tokens at which the content's verdict begins, or None."""
    text = written.decode(errors="replace") if content is None else content
    raw = written if content is None else content.strip().encode()
    before = written.rfind(raw) if raw else -1
    if before < 0 or not _END.fullmatch(written, before + len(raw)):
        return None
    text = text.strip() if content is not None else text
    if begins_with is not None:
        return before + len(begins_with.encode()) if text.startswith(begins_with) else None
    place = place_of(text)
    return None if place is None else before + len(text[:place].rstrip().encode())


def _place(written: Sequence[bytes], start: int) -> tuple[int, bytes] | None:
    """Return the token that holds the first character of the verdict, and its part before that."""
    end = 0
    for index, raw in enumerate(written):
        begin, end = end, end + len(raw)
        if end > start and raw[max(0, start - begin) :].strip():
            return index, raw[: max(0, start - begin)]
    return None


def _texts(position: Position, head: bytes) -> dict[str, float]:
    """Return continuations of `head`, each with its share of the tokens that begin with `head`.

    A token that is the head alone has its share under the empty text.
    """
    sums: dict[str, float] = {}
    for token in position.alternatives():
        raw = token.raw
        if raw.startswith(head):
            text = raw[len(head) :].decode(errors="replace").strip()
            sums[text] = sums.get(text, 0.0) + token.probability
    total = (sum(sums.values()) or 1.0) if head else 1.0
    return {text: p / total for text, p in sums.items()}


def _with_glued(
    texts: Mapping[str, float], positions: Sequence[Position], start: int
) -> dict[str, float]:
    """Add to the verdicts behind a closed tag those that other tokens close it with."""
    end = 0
    for position in positions:
        begin, end = end, end + len(position.raw)
        if end >= start:
            break
    glued = _texts(position, position.raw[: start - begin])
    closed = glued.pop("", 0.0)
    return {t: closed * texts.get(t, 0.0) + glued.get(t, 0.0) for t in {**texts, **glued}}


def _is_torn(choices: Sequence[str], texts: Collection[str]) -> bool:
    """Return whether one choice begins another that is more than one token."""
    return any(
        longer.startswith(short) and longer not in texts
        for longer in choices
        for short in choices
        if short in texts and short != longer
    )
