"""Probes of a server: the features of a run's requests that it refuses, and the fixes."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from videojudge_bench.engine import Continuation, Prefix, PromptGroup, Reply, Sampling
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._chat_answers import CallFailedError
from videojudge_bench.judges.engines._chat_messages import NO_MEDIA, EncodedMedia
from videojudge_bench.judges.engines._chat_requests import (
    DISPENSABLE,
    FEATURES,
    TO_PROBE,
    Feature,
    Length,
    RequestFormat,
    Wire,
)
from videojudge_bench.video import FrameBatch

if TYPE_CHECKING:
    from videojudge_bench.engine import ReplyForm, Result
    from videojudge_bench.judges.engines._chat_client import ChatClient

logger = logging.getLogger(__name__)

Completed = Callable[[PromptGroup, Continuation, EncodedMedia, Wire], Awaitable["Result"]]

PROBE = PromptGroup(
    Prefix("You judge answers to questions.", "Question: what is one and one? "),
    (Continuation("probe", "Answer: two. Reply with <score>5</score> and nothing else."),),
    sampling=Sampling(max_tokens=64),
)
"""A short question, for a low cost."""

_PROBE_REGEX = "checked-[0-9]{3}"
_PROBE_SCHEMA: ReplyForm = {
    "type": "object",
    "properties": {"checked": {"type": "boolean"}},
    "required": ["checked"],
    "additionalProperties": False,
}
"""Forms that no reply to the probe has unless the server guides decoding."""

_API_TEMPERATURE = 1.0  # of OpenAI's API where a request says none
_OTHER_LENGTH: Mapping[Length, Length] = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}
_COUNT = re.compile(r"at most (\d+) (image|video)", re.IGNORECASE)
_ONLY = re.compile(r"(?:only|default)\D{0,30}?(\d+(?:\.\d+)?)", re.IGNORECASE)
_THOUGHT_TOO_LONG = re.compile(r"could not finish the message", re.IGNORECASE)


class NoLogprobsError(ConfigError):
    """A server gives no log-probabilities, where replies are of no use without them."""


@dataclass(frozen=True)
class Refusal:
    features: tuple[Feature, ...]
    message: str
    fix: str

    def __str__(self) -> str:
        names = " with ".join(FEATURES[feature] for feature in self.features)
        return f"{names}: {self.message.rstrip('.')}. {self.fix}"


@dataclass(kw_only=True, eq=False)
class ServerCheck:
    """Asks a server, before the first group, for all that the run's requests have.

    What only some servers take is tried before the first group. Of the rest, and of what a server
    took before, a request that is refused is the occasion: a short question tells whether every one
    would be.

    Attributes:
        wire: the form of requests that the server takes, as far as known.
        completed: sends one; raises CallFailedError.
        find_model: comes first, once.
        images: how many a prompt may hold.
        side_pixels: of the images that are sent.
        needs_logprobs: whether replies without log-probabilities are of no use.
    """

    client: ChatClient
    requests: RequestFormat
    wire: Wire
    completed: Completed
    find_model: Callable[[], Awaitable[None]]
    images: int
    side_pixels: int
    needs_logprobs: bool
    _has_model: bool = field(default=False, init=False)
    _known: set[Feature] = field(default_factory=set, init=False)
    _examined: Counter[frozenset[Feature]] = field(default_factory=Counter, init=False)
    _problem: ConfigError | None = field(default=None, init=False)

    def is_done(self, group: PromptGroup) -> bool:
        """Return whether the features of such a group have been checked."""
        needed = self._features(group) & TO_PROBE
        if not self.needs_logprobs:
            needed -= {"logprobs"}
        return needed <= self._known and self._has_model and self._problem is None

    def worked(self, group: PromptGroup) -> None:
        """Record that a request of such a group was accepted: its features are supported."""
        self._known |= self._features(group)

    async def run(self, group: PromptGroup) -> None:
        """Check what is to be tried before groups like this one; one call at a time."""
        if self._problem is not None:
            raise self._problem
        try:
            if not self._has_model:
                await self.find_model()
                self._has_model = True
            if not self.is_done(group):
                await self._examine(group)
        except ConfigError as error:
            self._problem = error
            raise

    async def explain_refusal(
        self, refused: CallFailedError, group: PromptGroup, sent: Wire
    ) -> None:
        """Find out whether a request was refused for what all of them have.

        Where the server takes them in another form than the one `sent`, `wire` is that form
        afterwards. What it took before may be refused since: it was started anew with other flags.
        """
        features = frozenset(self._features(group))
        before = self._examined[features]
        async with self.client.starting:
            if self._problem is not None:
                raise self._problem
            if self.wire != sent or self._examined[features] > before:
                return  # another request, refused at the same time, was the occasion
            try:
                is_new = not features <= self._known
                if is_new and (problem := await self.client.no_such_model(refused)) is not None:
                    raise problem
                await self._examine(group)
            except ConfigError as error:
                self._problem = error
                raise

    async def _examine(self, group: PromptGroup) -> None:
        features = self._features(group)
        self._examined[frozenset(features)] += 1
        if refusals := await self.refusals(features, group):
            title = f"the server at {self.client.endpoint.address} refuses what this judge sends"
            raise ConfigError.all_of(title, list(map(str, refusals)))
        self._known |= features

    def _features(self, group: PromptGroup) -> set[Feature]:
        return self.requests.features(group) - self.wire.without

    async def refusals(self, features: Iterable[Feature], group: PromptGroup) -> list[Refusal]:
        """Return the features that the server refuses.

        All are tried in one request; only if that is refused, each is tried alone. An error of a
        busy server is no refusal. Features that requests can do without are left out from now on,
        with a warning.

        Raises:
            ConfigError: it refuses a short question without any of them as well.
        """
        tried = frozenset(features)
        if not tried or not await self._refusal(tried, group):
            return []
        to_try, usual = tried & TO_PROBE, tried - TO_PROBE
        if await self._refusal(usual, group):
            await self._find_length(group)
            to_try = tried
        reasons = {each: await self._refusal(frozenset({each}), group) for each in sorted(to_try)}
        refusals = []
        for feature, reason in reasons.items():
            if reason and self._can_do_without(feature, group):
                self._leave_out(feature, reason)
            elif reason:
                fix = fix_for(feature, reason, images=self.images, form=group.form)
                refusals.append(Refusal((feature,), reason, fix))
        left = tried - self.wire.without
        if not refusals and (reason := await self._refusal(left, group)):
            fixes = {fix_for(f, "", images=self.images, form=group.form) for f in left} - {""}
            refusals.append(Refusal(tuple(sorted(left)), reason, "; or: ".join(sorted(fixes))))
        return refusals

    async def _find_length(self, group: PromptGroup) -> None:
        """Find the name under which the server takes the limit of a reply."""
        refused = await self._failure(frozenset(), group)
        if refused is None or not refused.is_refusal:
            return
        length = self.wire.length
        self.wire = replace(self.wire, length=_OTHER_LENGTH[length])
        if await self._failure(frozenset(), group) is not None:
            self.wire = replace(self.wire, length=length)
            raise await self.client.refuses_all(refused)

    def _can_do_without(self, feature: Feature, group: PromptGroup) -> bool:
        if feature == "temperature":
            return group.sampling.temperature == _API_TEMPERATURE
        return feature in DISPENSABLE or (feature == "logprobs" and not self.needs_logprobs)

    def lacks_logprobs(self, why: str) -> None:
        """Ask for no log-probabilities from now on.

        Raises:
            NoLogprobsError: replies without them are of no use.
        """
        if self.needs_logprobs:
            raise NoLogprobsError(
                f"the server at {self.client.endpoint.address} gives no token log-probabilities "
                f"({why}); give score=text, or logprobs=auto to go on without them"
            )
        self._leave_out("logprobs", why)

    def _leave_out(self, feature: Feature, reason: str) -> None:
        logger.warning("%s (%s)", _WITHOUT[feature], reason)
        self.wire = self.wire.less(feature)

    async def _refusal(self, features: frozenset[Feature], group: PromptGroup) -> str:
        """Return why a short request with these features is refused; "" when it is taken."""
        failure = await self._failure(features, group)
        return str(failure) if failure is not None and failure.is_refusal else ""

    async def _failure(
        self, features: frozenset[Feature], group: PromptGroup
    ) -> CallFailedError | None:
        """Send a short request with these features; return its failure, None after a reply."""
        media = NO_MEDIA
        if features & {"frames", "video"}:
            count = self.images if "frames" in features else 2
            media = self.requests.show(_grey_frames(count, self.side_pixels))
        with_probabilities = "logprobs" in features
        probe = replace(
            PROBE,
            reply_start=group.reply_start if "prefill" in features else "",
            choices=group.choices if with_probabilities else (),
            alternatives=group.alternatives and with_probabilities,
            sampling=replace(PROBE.sampling, temperature=group.sampling.temperature),
            form=_probe_form(group.form) if "structured" in features else None,
        )
        wire = replace(self.wire, without=self.wire.without | (FEATURES.keys() - features))
        try:
            reply = await self.completed(probe, probe.continuations[0], media, wire)
        except CallFailedError as error:
            return None if _THOUGHT_TOO_LONG.search(error.message) else error
        except NoLogprobsError:
            return CallFailedError("its replies have none", 400)
        if isinstance(reply, Reply) and probe.form is not None and not _has(probe.form, reply):
            return CallFailedError(f"it is ignored, the reply was {reply.text[:60]!r}", 400)
        return None


def _probe_form(form: ReplyForm | None) -> ReplyForm:
    return _PROBE_REGEX if isinstance(form, str) else _PROBE_SCHEMA


def _has(form: ReplyForm, reply: Reply) -> bool:
    """Return whether a reply to the probe, which may be cut off, has the form."""
    text = reply.text.strip()
    if not reply.finished:  # long reasoning before it, or white space in it
        return not text or text[0] == ("c" if isinstance(form, str) else "{")
    if isinstance(form, str):
        return re.fullmatch(form, text) is not None
    try:
        return isinstance(json.loads(text)["checked"], bool)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _grey_frames(count: int, side_pixels: int) -> FrameBatch:
    import numpy as np

    pixels = np.full((count, side_pixels, side_pixels, 3), 128, np.uint8)
    times = tuple(map(float, range(count)))
    return FrameBatch(times, count, 1.0, float(count), "none", frames=pixels)


def fix_for(feature: Feature, message: str, *, images: int, form: ReplyForm | None = None) -> str:
    """Return which flag of the server or option of the judge helps where a feature is refused."""
    fix = _FIXES.get(feature, "")
    counted = _COUNT.search(message)
    if feature == "frames" and counted and counted[1] != "0":
        fix = (
            f"""Start it with --limit-mm-per-prompt '{{"image": {images}}}', or give """
            f"max_frames={counted[1]}"
        )
    elif feature == "video" and counted:
        fix = """Start it with --limit-mm-per-prompt '{"video": 1}', or give send=frames"""
    elif feature == "video" and "--trust-request-mm-kwargs" in message:
        fix = "Start it with --trust-request-mm-kwargs, or give send=frames"
    elif feature == "logprobs" and "max allowed" in message:
        fix = "Start it with --max-logprobs 20, or give score=text"
    elif feature == "temperature" and (only := _ONLY.search(message)):
        fix = f"Give temperature={only[1]}"
    elif feature == "structured" and isinstance(form, str):
        fix = "Give structured=json, which more servers take, or structured=none"
    return fix


_FIXES: Mapping[Feature, str] = {
    "frames": "Serve a model that takes images, or give video=description or video=none",
    "video": "Serve a model that takes videos with vLLM, or give send=frames",
    "logprobs": "Give score=text",
    "prefill": "Give prefill=false",
    "structured": "Give structured=regex, which vLLM and SGLang take, or structured=none",
    "temperature": "Give temperature=1, or another one that it takes",
    "thinking": "Leave thinking out",
}
_WITHOUT: Mapping[Feature, str] = {
    "logprobs": "the server gives no token log-probabilities",
    "seed": "the server takes no seed, so that another run draws other replies",
    "decoding": "the server decodes by its own defaults",
    "special_tokens": "the server takes special tokens off replies: reasoning may be read as reply",
    "temperature": "the server decodes at a temperature of its own",
}
