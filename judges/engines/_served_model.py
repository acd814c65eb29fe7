"""The model behind a server: its checkpoint, and the server's statements about it."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from videojudge_bench._util.options import Scalar
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._chat_messages import Send
from videojudge_bench.judges.engines._chat_replies import Completion
from videojudge_bench.judges.engines._checkpoint import Checkpoint
from videojudge_bench.judges.engines._hub_format import trained_on
from videojudge_bench.judges.engines._model_types import Tokenizer
from videojudge_bench.judges.engines._mrope import Scheme
from videojudge_bench.judges.engines._text_tokens import shared_token, tokens_of, ways_of
from videojudge_bench.judges.engines.special_tokens import marks_of

logger = logging.getLogger(__name__)

SERVED_SCHEME: Scheme = "qwen"
"""M-RoPE scheme of a Qwen2.5-VL on vLLM."""

_SAID_CHARACTERS, _MOST_STATEMENTS = 200, 20

_COMMON = re.compile(r"(?:model|checkpoint|final|best|last|latest|merged)(?:[-_]?\d+)?")
"""Common names of folders, such as `model` of `videojudge train`, that identify no checkpoint."""

_HUB_CACHE = re.compile(r"models--(?P<owner>[^/]+)--(?P<name>[^/]+)/snapshots/[^/]+/?$")


@dataclass(frozen=True)
class ReplyStart:
    """Text that begins a reply, right before its verdict.

    `rest` is left to the model, which then opens the verdict with it: a token that a choice may
    merge with. `choices` are the first tokens of the choices; empty where others may come first.
    """

    text: str
    rest: str
    choices: tuple[int, ...] = ()


@dataclass(frozen=True)
class ServedCheckpoint(Checkpoint):
    """A checkpoint that a server serves: here, its configuration and tokenizer are enough."""

    def _check_weights(self, folder: Path) -> None:
        pass

    @property
    def is_known(self) -> bool:
        """True if frames of our sizes go into it as they are."""
        return self.kind in ("qwen2_5_vl", "qwen3_vl")

    @property
    def send(self) -> Send:
        """The way to send videos that matches in-process input."""
        return "video" if self.is_known else "frames"

    def warn(self, send: Send) -> None:
        """Warn where a server's results differ from those in process."""
        if self.is_known and send == "frames":
            logger.warning(
                "send=frames shows pretrained=%s images with their times, not a video: another "
                "prompt than in process, and than a judge that saw videos in training knows",
                self.pretrained,
            )
        scheme = self.recorded_scheme
        if self.kind == "qwen2_5_vl" and scheme not in (None, SERVED_SCHEME):
            logger.warning(
                "pretrained=%s was trained with mrope=%s, and servers give its videos the "
                "positions of mrope=%s: its scores will differ from those in process",
                self.pretrained, scheme, SERVED_SCHEME,
            )  # fmt: skip

    @cached_property
    def tokenizer(self) -> Tokenizer:
        auto = importlib.import_module("transformers").AutoTokenizer
        name = str(self.folder or self.pretrained)
        tokenizer: Tokenizer = auto.from_pretrained(name, revision=self.revision)
        return tokenizer

    @cached_property
    def marks(self) -> re.Pattern[str]:
        """A pattern of its special tokens, as in process."""
        return marks_of(self.tokenizer)

    @cached_property
    def reply_start(self) -> Callable[[str, tuple[str, ...]], ReplyStart]:
        """The function that says how replies are begun before choices."""
        return cache(self._reply_start)

    def _reply_start(self, text: str, choices: tuple[str, ...]) -> ReplyStart:
        last = tokens_of(self.tokenizer, text)[-1]
        rest = shared_token(self.tokenizer, choices, last)
        if rest and text.endswith(rest):
            return ReplyStart(text.removesuffix(rest), rest)
        ways = (way for choice in choices for way in ways_of(self.tokenizer, choice, ""))
        return ReplyStart(text, "", tuple(sorted({way[0] for way in ways})))

    def settings(self) -> dict[str, Scalar]:
        """Return the name and hash of its content, and which gold sets it was trained on."""
        return {"model": self.identity(), **trained_on(self.folder)}

    def name_on(self, server: str, listed: Mapping[str, str], asked: str, *, trusted: bool) -> str:
        """Return the name by which a server serves the checkpoint.

        `listed` has the names of the server's models, each with the folder or hub name that it was
        loaded from, or "". A `trusted` name that the user `asked` for is taken as it is.

        Raises:
            ConfigError: the server lists no model, or several, that could be the checkpoint.
        """
        if asked and (trusted or not listed):
            return asked
        fits = {name for name, root in listed.items() if self._is_called(root or name)}
        if asked in listed and (asked in fits or not listed[asked]):
            return asked
        if not asked and len(fits) == 1:
            return fits.pop()
        served = [f"{name} ({root})" if root else name for name, root in listed.items()]
        expected = (
            f"model {asked!r}, which is pretrained={self.pretrained}"
            if asked
            else f"one model that is pretrained={self.pretrained}"
        )
        fix = "add trust_server=true" if asked in listed else "give model=NAME"
        raise ConfigError(
            f"the server at {server}: expected {expected}, got {', '.join(served) or 'nothing'}. "
            f"Start it with that model, or {fix} if it serves the checkpoint under another name"
        )

    def _is_called(self, name: str) -> bool:
        """Return whether a name is this checkpoint's: equal, or its folder on another machine."""
        own = self.pretrained if self.folder is None else str(self.folder.resolve())
        return _short(name) == _short(own)


def _short(path: str) -> list[str]:
    """Return the parts of a path that name a checkpoint: the last, and the one before if common."""
    parts = _HUB_CACHE.sub(r"\g<owner>/\g<name>", path).lower().strip("/").split("/")
    return parts[-2:] if _COMMON.fullmatch(parts[-1]) else parts[-1:]


@dataclass
class ServerRecord:
    """Statements of a server about itself in its answers.

    `statements` begins with the model, the fingerprint and the version of the first answer, by
    field; the others differ from all before them.
    """

    address: str
    version: str = ""
    statements: list[Mapping[str, str]] = field(default_factory=list)

    def read(self, completion: Completion) -> None:
        """Remember what an answer says; warn when it is not what the first one said."""
        facts = {
            "model": completion.model,
            "system_fingerprint": completion.system_fingerprint,
            "version": self.version or None,
        }
        now = {n: str(value)[:_SAID_CHARACTERS] for n, value in facts.items() if value is not None}
        if now in self.statements or len(self.statements) == _MOST_STATEMENTS:
            return
        self.statements.append(now)
        if len(self.statements) == 1:
            logger.info("the server at %s says: %s", self.address, _as_text(now))
            return
        logger.warning(
            "the server at %s changed while it was asked: expected %s, got %s. Judgements before "
            "and after may differ; judge the set again with one model",
            self.address, _as_text(self.statements[0]), _as_text(now),
        )  # fmt: skip


def _as_text(statement: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in statement.items()) or "nothing of itself"
