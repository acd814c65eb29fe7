"""Outcome of a request: an answer, or why there is none and whether to retry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videojudge_bench.judges.engines._chat_replies import Completion

_TRY_AGAIN = frozenset({408, 409, 429})
_REFUSED = frozenset({400, 402, 403, 404, 405, 413, 415, 422, 501})


class CallFailedError(Exception):
    """A call that gave no reply; its text is fit to be written down."""

    def __init__(
        self, reason: str, status: int = 0, message: str = "", *, is_page: bool = False
    ) -> None:
        super().__init__(reason)
        self.status, self.message, self.is_page = status, message, is_page

    @property
    def is_refusal(self) -> bool:
        """True if the server refuses to answer this request, or every request."""
        return self.status in _REFUSED or (self.status == 200 and self.is_page)


@dataclass(frozen=True)
class Answer:
    """Outcome of one attempt.

    Attributes:
        status: 0 where the server gave no answer.
        message: what the server wrote, or what went wrong.
        retry_after_seconds: that the server asks to wait.
        location: of a redirection.
        cost: in the unit of the prices.
        is_page: it answered as a web site does.
    """

    status: int
    message: str = ""
    completion: Completion | None = None
    seconds: float = 0.0
    retry_after_seconds: float = 0.0
    location: str = ""
    cost: float = 0.0
    is_page: bool = False
    is_unreachable: bool = False

    @property
    def may_work_later(self) -> bool:
        return self.status in _TRY_AGAIN or self.status >= 500 or self.status == 0

    @property
    def reason(self) -> str:
        """Reason that there is no reply, on one line."""
        return f"the server answered {self.status}: {self.message}" if self.status else self.message


def retry_after(header: str) -> float:
    """Return how many seconds a `Retry-After` header asks to wait, 0 when it says nothing.

    It is a number of seconds or a date (RFC 9110, 10.2.3); one in the past is 0.
    """
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=timezone.utc)
    return max(0.0, (until - datetime.now(timezone.utc)).total_seconds())
