"""Address, model and key of a server, and the errors about them."""

from __future__ import annotations

import base64
import contextlib
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import unquote, urlsplit

from videojudge_bench._util.hashing import Json
from videojudge_bench._util.options import HIDDEN
from videojudge_bench._util.terminal import printable
from videojudge_bench.errors import ConfigError, unknown_name
from videojudge_bench.serving.address import is_loopback

SAID_CHARACTERS = 300
"""Length at which a server's message is cut in an error."""

_MODELS_SHOWN = 20
_SECRET_CHARACTERS = 8
"""Length from which a key is hidden in replies: `EMPTY` and `1` are no secrets, and are words."""

_ASCII_ESCAPE = b"\\u00"
_NOT_JSON = (ValueError, RecursionError)


@dataclass(frozen=True)
class Endpoint:
    """A server, and the model that it is asked for."""

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)

    def problems(self) -> list[str]:
        problems: list[str] = []
        if not self._is_address():
            problems.append(
                f"base_url={self.redacted(self.base_url)!r}: expected an address such as "
                "http://localhost:8000/v1"
            )
        if not self.model:
            problems.append(
                "option 'model' is missing: give the name that the server knows it by, or "
                "pretrained=…"
            )
        if not (self.api_key.isascii() and self.api_key.isprintable()) or " " in self.api_key:
            problems.append("api_key has characters that no key has: copy it again")
        if self.api_key and "@" in urlsplit(self.base_url).netloc:
            problems.append("base_url has a user before its @, and there is an api_key: give one")
        return problems

    def _is_address(self) -> bool:
        try:
            parts = urlsplit(self.base_url)
            return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is no number, brackets that do not close
            return False

    def url(self, path: str) -> str:
        return f"{self.base_url.rstrip('/')}/{path}"

    def beside_api(self, path: str) -> str:
        """Return the address of a resource that stands beside the API, outside of its `v1`."""
        return f"{self.base_url.rstrip('/').removesuffix('/v1')}/{path}"

    @property
    def address(self) -> str:
        """The address without secrets, for messages and logs."""
        return self.redacted(self.base_url)

    @property
    def is_here(self) -> bool:
        """True if the server runs on this machine, where no proxy is needed."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    def headers(self) -> dict[str, str]:
        key = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {"Content-Type": "application/json", **key}

    def redacted(self, text: str) -> str:
        """Return a text without the key, and without the address's user and query (`?key=…`)."""
        return _without(text, self._secrets)

    def clean(self, body: bytes | bytearray) -> bytes:
        """Return what a server sent without the key: nothing behind this needs to look for it.

        All texts of a JSON document are looked at, escapes undone; of any other body, its text.
        Keys of under 8 characters stay: they are no secrets, and a verdict may hold them.
        """
        secrets = [secret for secret in self._secrets if len(secret) >= _SECRET_CHARACTERS]
        written = [secret.encode() for secret in secrets]
        may_hide = _ASCII_ESCAPE in body or any(b"/" in secret for secret in written)
        if not any(secret in body for secret in written) and not (secrets and may_hide):
            return bytes(body)
        try:
            return json.dumps(_cleaned(json.loads(body), secrets)).encode()
        except _NOT_JSON:
            return _without(body.decode("utf-8", "replace"), secrets).encode()

    @cached_property
    def _secrets(self) -> list[str]:
        """All that names the key, the longest first; an address's user goes as a Basic header."""
        address, _, query = self.base_url.partition("?")
        user = address.partition("://")[2].partition("/")[0].rpartition("@")[0]
        plain = unquote(user)
        header = base64.b64encode(plain.encode()).decode() if user else ""
        passwords = {user.partition(":")[2], plain.partition(":")[2]}
        secrets = {self.api_key, user, plain, header, query, *passwords} - {""}
        return sorted(secrets, key=len, reverse=True)

    def message(self, body: bytes) -> str:
        """Return the message in the body of an error, on one line, cut and without secrets."""
        text = body.decode("utf-8", "replace")
        with contextlib.suppress(*_NOT_JSON):  # no JSON: the text itself is the message
            text = _message(json.loads(text)) or text
        text = printable(" ".join(self.redacted(text).split()))
        return text[: SAID_CHARACTERS - 1] + "…" if len(text) > SAID_CHARACTERS else text

    def unreachable(self, why: str) -> ConfigError:
        return ConfigError(
            f"no server at base_url={self.address}: {self.redacted(why)}. Start it, or correct the "
            "address"
        )

    def key_refused(self, status: int, message: str) -> ConfigError:
        fix = "correct api_key=… or OPENAI_API_KEY" if self.api_key else "set OPENAI_API_KEY"
        refusal = "refuses this API key" if self.api_key else "wants an API key"
        return ConfigError(f"the server at {self.address} {refusal} ({status}: {message}); {fix}")

    def moved(self, status: int, where: str) -> ConfigError:
        return ConfigError(
            f"the server at base_url={self.address} sends us to {self.redacted(where)} ({status}); "
            "give the address that it means"
        )

    def no_such_model(self, status: int, message: str, known: Sequence[str]) -> ConfigError:
        """Return the error that says that the server has no such model, or no such page."""
        answer = f"The server at {self.address} said ({status}): {message}"
        if not known or self.model in known:
            return ConfigError(
                f"{answer}. Correct base_url (it mostly ends in /v1) or model={self.model!r}"
            )
        listed = known
        if len(known) > _MODELS_SHOWN:
            near = difflib.get_close_matches(self.model, known, n=_MODELS_SHOWN, cutoff=0.0)
            listed, answer = near, f"It has {len(known)} models, these are the nearest. {answer}"
        return ConfigError(unknown_name("model", self.model, listed, hint=answer))

    def refuses_all(self, reason: str) -> ConfigError:
        return ConfigError(
            f"the server at {self.address} refuses a short question without any option as well: "
            f"{reason}. Do what it says, or ask another of its models (model={self.model!r})"
        )

    def never_works(self, failures: int, reason: str) -> ConfigError:
        return ConfigError(
            f"{failures} requests to {self.address} failed one after another, so the run stops. "
            f"Judgements so far are kept, and the same command resumes it. The last: {reason}"
        )


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def _cleaned(value: Json, secrets: Sequence[str]) -> Json:
    if isinstance(value, str):
        return _without(value, secrets)
    if isinstance(value, Mapping):
        return {_without(k, secrets): _cleaned(v, secrets) for k, v in value.items()}
    return [_cleaned(v, secrets) for v in value] if isinstance(value, Sequence) else value


def _message(value: object) -> str:
    """Return the message of an error in JSON: `{"error": {"message": …}}` and its variants."""
    if isinstance(value, dict):
        for key in ("error", "message", "detail"):
            if message := value.get(key):
                return _message(message) or json.dumps(message)
    return value if isinstance(value, str) else ""
