"""The members of a jury: made from texts or from a file, and named in its signature."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from videojudge_bench import registry
from videojudge_bench._util.hashing import content_hash
from videojudge_bench._util.options import Scalar, parse_judge, parse_list
from videojudge_bench.errors import ConfigError
from videojudge_bench.registry import BuiltJudge
from videojudge_bench.run.identity import JudgeIdentity
from videojudge_bench.version import installed_version

if TYPE_CHECKING:
    from videojudge_bench.analysis.jury_model import Member

logger = logging.getLogger(__name__)


def built_members(text: str, saved: Sequence[Member]) -> list[tuple[BuiltJudge, str]]:
    """Return the judges of `[a;b,option=value]`, or those of a file, each with its own text.

    A text has the options that were given, with hashes in the place of paths, and the hash of the
    member's identity.

    Raises:
        ConfigError: no member, one that cannot be made, or others than those of the file.
    """
    named = [parse_judge(part) for part in parse_list(text)]
    members = [(registry.build(*each), list(each[1])) for each in named]
    members = members or [_from_file(member) for member in saved]
    if not members:
        raise ConfigError("members: expected judges, as in members=[compact;cider], got none")
    if saved:
        _check([member for member, _ in members], saved)
    return [(member, _text(member, given)) for member, given in members]


def marks(members: Sequence[BuiltJudge], **more: str) -> dict[str, Scalar]:
    """Return what members were trained on and by whom, joined; `more` are values of the jury."""
    joined: dict[str, Scalar] = {}
    for key in ("overlap", "made_by"):
        texts = [str(member.signature().get(key) or "") for member in members]
        values = {name for text in (*texts, more.get(key, "")) for name in text.split("+") if name}
        if values:
            joined[key] = "+".join(sorted(values))
    return joined


def _text(member: BuiltJudge, given: Sequence[str]) -> str:
    half = member.signature()
    options = [f"{key}={half[key]}" for key in given if key in half]
    identity = JudgeIdentity.of(member, scale=None, learned={})
    # The reader's version, too: members' replies are not read anew.
    number = content_hash([identity.hash, dict(identity.signature)])[:8]
    return f"{','.join([member.name, *options])}@{number}"


def _from_file(member: Member) -> tuple[BuiltJudge, list[str]]:
    """Make a member from the half of the signature that a file has of it."""
    half, name = member.judge, str(member.judge.get("judge"))
    try:
        plain = registry.build(name, {})
        usual, taken = plain.signature(), registry.options_of(registry.judge_class(name))
        options = {k: v for k, v in half.items() if k in taken and v != usual.get(k)}
        return (registry.build(name, options) if options else plain), list(options)
    except ConfigError as error:
        raise ConfigError(
            f"member {member.name} cannot be made from its name and options in the file ({error}); "
            "give the judges in the order of the file: members=[…;…]"
        ) from error


def _check(members: Sequence[BuiltJudge], saved: Sequence[Member]) -> None:
    names = [str(member.judge.get("judge")) for member in saved]
    given = [member.name for member in members]
    if given != names:
        raise ConfigError(
            f"members: expected those of the file, in its order: {' '.join(names)}; got "
            f"{' '.join(given)}. Fit a rule for these members: videojudge jury RUN RUN -o FILE"
        )
    for member, fitted in zip(members, saved, strict=True):
        now = JudgeIdentity.of(member, scale=None, learned={}).signature
        differing = _differing(now, fitted.judge)
        versions = [key for key in differing if installed_version(key)]
        if len(versions) < len(differing):
            key = next(key for key in differing if key not in versions)
            raise ConfigError(
                f"member {fitted.name}: the file was fitted with {key}={fitted.judge.get(key)}, "
                f"got {key}={now.get(key)}; give that option, or fit a rule for this member"
            )
        for key in versions:
            logger.warning(
                "jury: %s ran with %s %s when the rule was fitted; here it is %s",
                fitted.name, key, fitted.judge.get(key), now.get(key),
            )  # fmt: skip


def _differing(now: Mapping[str, Scalar], then: Mapping[str, Scalar]) -> list[str]:
    return [key for key in dict.fromkeys((*then, *now)) if now.get(key) != then.get(key)]
