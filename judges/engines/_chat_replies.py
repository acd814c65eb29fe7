"""Reads what a server of OpenAI's chat completions answers: reply, usage, probabilities."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence

from pydantic import BaseModel, Field, ValidationError

from videojudge_bench.engine import WrittenToken

# What a verdict stands behind when a judge let the model reason first.
_OPENING = re.compile(rb"<(?:score|answer)>")
_SPECIAL = re.compile(r"<\|.*\|>|</s>|<eos>|<end_of_turn>")  # that end replies


class Token(BaseModel):
    """A token at its place, or one that could have stood there."""

    token: str
    logprob: float
    utf8: list[int] | None = Field(default=None, alias="bytes")

    @property
    def raw(self) -> bytes:
        """The token in UTF-8, of which it may be a fraction of a character."""
        return self.token.encode() if self.utf8 is None else bytes(self.utf8)


class Position(Token):
    """A token that was written, with those that could have been."""

    top_logprobs: list[Token] = []

    def alternatives(self) -> list[Token]:
        """Return the candidates for this place, the written one among them."""
        if any(token.raw == self.raw for token in self.top_logprobs):
            return self.top_logprobs
        return [self, *self.top_logprobs]


class _Logprobs(BaseModel):
    content: list[Position] | None = None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int | None = 0


class Completion(BaseModel):
    """The answer of a server; fields that we do not use are not looked at."""

    choices: list[_Choice]
    usage: _Usage | None = None
    model: object = None
    system_fingerprint: object = None

    @property
    def text(self) -> str:
        """What the model wrote; empty when it wrote nothing (all of it reasoning, say)."""
        message = self.choices[0].message
        return message.content or message.refusal or ""

    @property
    def finished(self) -> bool:
        """Whether the reply ended by itself, not at `max_tokens`."""
        return self.choices[0].finish_reason != "length"

    @property
    def positions(self) -> list[Position] | None:
        """The tokens of the reply with their probabilities, None where the server gave none."""
        found = self.choices[0].logprobs
        return None if found is None else found.content or None

    @property
    def written(self) -> tuple[WrittenToken, ...]:
        """The tokens of the reply, each with the best other one; () where none are known."""
        return tuple(_written_token(p) for p in self.positions or () if p.top_logprobs)

    @property
    def tokens(self) -> tuple[int, int] | None:
        """Tokens of prompt and reply, None where the server does not count."""
        if self.usage is None:
            return None
        return self.usage.prompt_tokens, self.usage.completion_tokens or 0


class Tokenised(BaseModel):
    """The tokens of a prompt, as a server sees them."""

    tokens: list[int]
    token_strs: list[str]


def read_completion(body: bytes) -> Completion:
    """Return the answer in a response's body.

    Raises:
        ValueError: it is none, and why.
    """
    try:
        found = Completion.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"not a chat completion ({where or 'body'}: {first['msg']})") from None
    if not found.choices:
        raise ValueError("a chat completion without choices")
    return found


def choice_probabilities(
    positions: Sequence[Position], choices: Sequence[str], *, begins_with: str | None = None
) -> dict[str, float]:
    """Return the probability of each choice where the reply states its verdict.

    Given the text up to there: where a tokeniser has both `>A` and `>`, the two ways of writing
    `A` behind `<answer` are summed, as shares of all tokens that close the tag. A choice may have
    white space around it. What other tokens would have got is missing in the sum, and so is what a
    server leaves out of its list.

    Args:
        positions: the tokens of the reply.
        choices: what a verdict may be.
        begins_with: the verdict stands behind this text, with which the reply begins, and in its
            first token where that is empty; None is behind the last `<score>` or `<answer>`.

    Returns:
        Every choice with its probability in 0..1, or nothing when no verdict was opened, or when
        one choice may be the beginning of another (`1` of `10`, written in two tokens): one place
        cannot tell them apart.
    """
    written = [position.raw for position in positions]
    start = _opened(b"".join(written), begins_with)
    if start is None:
        return {}
    # Right behind a reply that was begun, the first token is the verdict, blank or not.
    found = (0, b"") if begins_with == "" else _place(written, start)
    if found is None:
        return {}
    index, head = found
    texts = _texts(positions[index], head)
    if not head and start:
        texts = _with_glued(texts, positions, start)
    if _is_torn(choices, texts.keys()):
        return {}
    return {choice: min(texts.get(choice, 0.0), 1.0) for choice in choices}


def _written_token(position: Position) -> WrittenToken:
    others = [token for token in position.top_logprobs if token.raw != position.raw]
    best = max(others, key=lambda token: token.logprob, default=None)
    if best is None:
        return WrittenToken(_text_of(position), "", math.inf)
    return WrittenToken(_text_of(position), _text_of(best), position.logprob - best.logprob)


def _text_of(token: Token) -> str:
    """Its part of the reply: a special token has none."""
    return "" if _SPECIAL.fullmatch(token.token) else token.raw.decode(errors="replace")


def _opened(written: bytes, begins_with: str | None) -> int | None:
    """Where the verdict begins, or None."""
    if begins_with is not None:
        opening = begins_with.encode()
        return len(opening) if written.startswith(opening) else None
    ends = [match.end() for match in _OPENING.finditer(written)]
    return ends[-1] if ends else None


def _place(written: Sequence[bytes], start: int) -> tuple[int, bytes] | None:
    """Which token holds the first character of the verdict, and what of it stands before that."""
    end = 0
    for index, raw in enumerate(written):
        begin, end = end, end + len(raw)
        if end > start and raw[max(0, start - begin) :].strip():
            return index, raw[: max(0, start - begin)]
    return None


def _texts(position: Position, head: bytes) -> dict[str, float]:
    """What may stand behind `head`, with its share of the tokens that begin with `head`.

    A token that is the head alone has its share under the empty text.
    """
    sums: dict[str, float] = {}
    for token in position.alternatives():
        raw = token.raw
        if raw.startswith(head):
            text = raw[len(head) :].decode(errors="replace").strip()
            sums[text] = sums.get(text, 0.0) + math.exp(token.logprob)
    total = sum(sums.values()) if head else 1.0
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
    """Whether a choice may be the beginning of another that no token writes whole."""
    return any(
        longer.startswith(short) and longer not in texts
        for longer in choices
        for short in choices
        if short in texts and short != longer
    )
