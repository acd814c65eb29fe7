"""Every error this package raises on purpose.

VideoJudgeError
├── ConfigError            a name, an option or a combination that cannot work
│   ├── UnknownNameError   a name that does not exist, with the nearest ones
│   └── MissingPackageError  an optional package is needed, and how to install it
├── DataError              a file that is not what it should be: file, line, field
├── VideoError             a video that cannot be decoded as asked: file, problem, fix
├── NoDataError            a gold set whose data are not on this machine, and how to get them
├── JournalBusyError       another process writes the same journal, file or set
├── JudgeFailedError       a judge failed on every item of a set
├── RunStoppedError        a long run had to stop; what it has done is kept
└── HostChangedError       lmms-eval is not the version this package was written for

A message says what was asked, what was found, what is allowed and how to fix it; the command line
prints it without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class VideoJudgeError(Exception):
    """Base of all errors of this package."""


class ConfigError(VideoJudgeError):
    """A name, an option or a combination of options that cannot work."""

    @classmethod
    def all_of(cls, title: str, problems: Sequence[str]) -> ConfigError:
        """Return one error that lists every problem, so that one run shows them all."""
        if len(problems) == 1:
            return cls(f"{title}: {problems[0]}")
        return cls(f"{title}, {len(problems)} problems:" + "".join(f"\n  - {p}" for p in problems))


class UnknownNameError(ConfigError):
    """A name that does not exist."""

    def __init__(self, what: str, name: str, allowed: Iterable[str], *, hint: str = "") -> None:
        self.what, self.name = what, name
        super().__init__(unknown_name(what, name, allowed, hint=hint))


class DataError(VideoJudgeError):
    """A file that is not what it should be."""

    def __init__(
        self, problem: str, *, path: Path | str, line: int | None = None, field: str | None = None
    ) -> None:
        where = str(path)
        if line is not None:
            where += f", line {line}"
        if field is not None:
            where += f", field {field!r}"
        self.path, self.line, self.field = Path(path), line, field
        super().__init__(f"{where}: {problem}")


class VideoError(VideoJudgeError):
    """A video that cannot be decoded as asked.

    Attributes:
        path: the file.
        problem: what is wrong with it.
        fix: one sentence that tells the user what to do.
    """

    def __init__(self, path: Path | str, problem: str, *, fix: str) -> None:
        self.path, self.problem, self.fix = Path(path), problem, fix
        super().__init__(f"{path}: {problem}. {fix}")


class NoDataError(VideoJudgeError):
    """A gold set whose data are not on this machine.

    Attributes:
        how_to_get: one sentence that tells the user how to get them.
    """

    def __init__(self, gold_set: str, how_to_get: str) -> None:
        self.gold_set, self.how_to_get = gold_set, how_to_get
        super().__init__(f"gold set {gold_set!r} has no data here: {how_to_get}")


class JournalBusyError(VideoJudgeError):
    """Another process writes the same journal, file or set."""


class JudgeFailedError(VideoJudgeError):
    """A judge failed on every item of a set, so there is nothing to report."""


class RunStoppedError(VideoJudgeError):
    """A long run had to stop; its results are kept, and the same command resumes it."""


class HostChangedError(VideoJudgeError):
    """lmms-eval does not offer what this package builds on."""


class MissingPackageError(ConfigError):
    """An optional package is needed."""

    def __init__(self, feature: str, package: str, install: str) -> None:
        super().__init__(
            f"{feature} needs the package {package!r}, which is not installed. "
            f"Install it with: {install}"
        )


_FEW = 20


def unknown_name(what: str, name: str, allowed: Iterable[str], *, hint: str = "") -> str:
    """Return the message for a name that does not exist, nearest names first.

    Of more than 20 names only the nearest are told, where there are such.
    """
    names = sorted(set(allowed))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    message = f"unknown {what} {name!r}."
    if near:
        message += f" Did you mean {' or '.join(repr(n) for n in near)}?"
    if names and not (near and len(names) > _FEW):
        message += f" Known: {', '.join(names)}."
    return f"{message} {hint}".rstrip()
