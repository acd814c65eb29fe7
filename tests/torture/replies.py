"""Replies of a known verdict, read: none may be read as another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from reply_writer import Writer, Written

from videojudge_bench.replies.reply_format import parse_preference, parse_rating
from videojudge_bench.scale import RatingScale
from videojudge_bench.verdicts import Unparsed

SHOWN = 20

Read = Callable[[Written], object]


def read(written: Written) -> object:
    """Return what our readers make of a reply."""
    if written.scale is None:
        return parse_preference(written.text)
    return parse_rating(written.text, written.scale)


@dataclass
class ReplyTally:
    """What became of the replies.

    Attributes:
        replies: how many were written.
        right: read as meant, or left unread where they state nothing.
        unread: left unread, as they may be: they were cut off, or people may differ.
        missed: left unread though they state a verdict, by form.
        wrong: read as what they do not say; the first ones, in words.
        n_wrong: how many.
        forms: how many replies of each form.
    """

    replies: int = 0
    right: int = 0
    unread: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    n_wrong: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    missed_shown: list[str] = field(default_factory=list)

    def add(self, written: Written, found: object) -> None:
        """Count one reply."""
        self.replies += 1
        self.forms[written.form] += 1
        unread = isinstance(found, Unparsed)
        if found == written.truth or (unread and written.truth is None):
            self.right += 1
        elif unread and written.may_be_unread:
            self.unread += 1
        elif unread:
            self.missed[written.form] += 1
            if len(self.missed_shown) < SHOWN:
                self.missed_shown.append(f"{written.text!r}: {found}")
        else:
            self.n_wrong += 1
            if len(self.wrong) < SHOWN:
                self.wrong.append(f"{written.form} {written.scale or ''}: {written.text!r} was "
                                  f"read as {found}, and says {written.truth}")  # fmt: skip


def fuzz(count: int, seed: int, reader: Read = read) -> ReplyTally:
    """Write so many replies and read them; an exception of the reader counts as a wrong verdict."""
    write, tally = Writer(seed), ReplyTally()
    for _ in range(count):
        written = write()
        try:
            found = reader(written)
        except (ValueError, TypeError, IndexError, KeyError, RecursionError) as error:
            found = error
        tally.add(written, found)
    return tally


__all__ = ["RatingScale", "ReplyTally", "fuzz", "read"]
