"""Probes of a server: which parts of the requests of a run it refuses, and what helps."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from videojudge_bench.engine import Continuation, Prefix, PromptGroup, Sampling
from videojudge_bench.errors import ConfigError
from videojudge_bench.judges.engines._chat_client import CallFailedError
from videojudge_bench.judges.engines._chat_messages import NOTHING, Shown
from videojudge_bench.judges.engines._chat_requests import FEATURES, Feature, RequestFormat
from videojudge_bench.video import FrameBatch

Completed = Callable[[PromptGroup, Continuation, Shown], Awaitable[object]]

PROBE = PromptGroup(
    Prefix("You judge answers to questions.", "Question: what is one and one? "),
    (Continuation("probe", "Answer: two. Reply with <score>5</score> and nothing else."),),
    sampling=Sampling(max_tokens=64),
)
"""A question that costs little."""

_REFUSED = frozenset({400, 403, 404, 405, 413, 415, 422, 501})
_COUNT = re.compile(r"at most (\d+) (image|video)", re.IGNORECASE)


class NoLogprobsError(ConfigError):
    """A server gives no log-probabilities, where replies are of no use without them."""


@dataclass(frozen=True)
class Refusal:
    """A feature that a server refuses.

    Attributes:
        feature: which.
        said: what the server answered.
        fix: the flag of the server or the option that helps.
    """

    feature: Feature
    said: str
    fix: str

    def __str__(self) -> str:
        name = FEATURES.get(self.feature, "log-probabilities")
        return f"{name}: {self.said}. {self.fix}"


class ServerCheck:
    """Asks a server, before the first group, for all that the run's requests have.

    Args:
        requests: how they are written.
        completed: sends one; raises CallFailedError.
        find_model: comes first, once.
        address: of the server, for messages.
        images: how many a prompt may hold.
        side_pixels: of the images that are sent.
        needs_logprobs: whether replies without log-probabilities are of no use.
    """

    def __init__(
        self,
        requests: RequestFormat,
        completed: Completed,
        find_model: Callable[[], Awaitable[None]],
        *,
        address: str,
        images: int,
        side_pixels: int,
        needs_logprobs: bool,
    ) -> None:
        self._requests, self._completed, self._find_model = requests, completed, find_model
        self._address, self._images, self._side = address, images, side_pixels
        self._needs_logprobs = needs_logprobs
        self._has_model, self._known = False, set[Feature]()
        self._problem: ConfigError | None = None

    def is_done(self, group: PromptGroup) -> bool:
        """Return whether groups like this one can be asked about."""
        return self._has_model and self._features(group) <= self._known

    async def run(self, group: PromptGroup) -> None:
        """Check all that groups like this one need; one call at a time.

        Raises:
            ConfigError: the server has another model, or refuses something, with what helps.
        """
        if self._problem is not None:
            raise self._problem
        features = self._features(group)
        try:
            if not self._has_model:
                await self._find_model()
                self._has_model = True
            if found := await self.refusals(features - self._known, group):
                title = f"the server at {self._address} refuses what this judge sends"
                raise ConfigError.all_of(title, list(map(str, found)))
        except ConfigError as error:
            self._problem = error
            raise
        self._known |= features

    def _features(self, group: PromptGroup) -> set[Feature]:
        found = self._requests.features(group)
        return found if self._needs_logprobs else found - {"logprobs"}

    async def refusals(self, features: Iterable[Feature], group: PromptGroup) -> list[Refusal]:
        """Return what the server refuses of some features.

        All of them are tried in one request; only where that is refused, each is tried alone. A
        server that is busy, out of order or refuses a plain text as well is not said to refuse one.
        """
        wanted = frozenset(features)
        if not wanted or not await self._refusal(wanted, group):
            return []
        if await self._refusal(frozenset(), group):
            return []
        said = {each: await self._refusal(frozenset({each}), group) for each in sorted(wanted)}
        return [
            Refusal(feature, reason, fix_for(feature, reason, images=self._images))
            for feature, reason in said.items()
            if reason
        ]

    async def _refusal(self, features: frozenset[Feature], group: PromptGroup) -> str:
        """Return the refusal of a short request with these features; "" when it is taken."""
        shown = NOTHING
        if features & {"frames", "video"}:
            count = self._images if "frames" in features else 2
            shown = self._requests.show(_grey_frames(count, self._side))
        probe = replace(
            PROBE,
            reply_start=group.reply_start if "prefill" in features else "",
            choices=group.choices if "logprobs" in features else (),
            sampling=replace(PROBE.sampling, temperature=group.sampling.temperature),
        )
        try:
            await self._completed(probe, probe.continuations[0], shown)
        except CallFailedError as error:
            return str(error) if error.status in _REFUSED else ""
        except NoLogprobsError:
            return "its replies have none"
        return ""


def _grey_frames(count: int, side_pixels: int) -> FrameBatch:
    import numpy as np

    pixels = np.full((count, side_pixels, side_pixels, 3), 128, np.uint8)
    times = tuple(map(float, range(count)))
    return FrameBatch(times, count, 1.0, float(count), "none", frames=pixels)


def fix_for(feature: Feature, said: str, *, images: int) -> str:
    """Return which flag of the server or option of the judge helps where a feature is refused.

    Args:
        feature: that was refused.
        said: what the server answered.
        images: how many a prompt may hold.
    """
    counted = _COUNT.search(said)
    if feature == "frames" and counted and counted[1] != "0":
        return (
            f"""Start it with --limit-mm-per-prompt '{{"image": {images}}}', or give """
            f"max_frames={counted[1]}"
        )
    if feature == "video" and counted:
        return """Start it with --limit-mm-per-prompt '{"video": 1}', or give send=frames"""
    if feature == "video" and "--trust-request-mm-kwargs" in said:
        return "Start it with --trust-request-mm-kwargs, or give send=frames"
    if feature == "logprobs" and "max allowed" in said:
        return "Start it with --max-logprobs 20, or give score=text"
    return _FIXES[feature]


_FIXES: dict[Feature, str] = {
    "frames": "Serve a model that takes images, or give video=description or video=none",
    "video": "Serve a model that takes videos with vLLM, or give send=frames",
    "logprobs": "Give score=text",
    "prefill": "Give prefill=false",
}
