"""A command's surroundings: standard streams, their encoding, the current folder."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from pathlib import Path

from videojudge_bench.errors import ConfigError

_ESCAPE = "videojudge-escape"


class _Closed(io.TextIOBase):
    """Stands for a standard output that was closed (`>&-`): whatever is written fails."""

    def write(self, text: str) -> int:
        """Fail as a write to a closed descriptor does."""
        raise OSError(errno.EBADF, "it is closed", "standard output")

    def flush(self) -> None:
        """Write nothing, as there is nothing to write."""


def prepare_streams() -> None:
    r"""Make any text printable, and give closed streams a defined behaviour.

    Characters that a stream's encoding lacks are written as in JSON (`\u2026`). Writing to a closed
    standard output raises an OSError, writing to a closed standard error does nothing. The
    descriptors of closed streams are occupied: the next file to be opened would get them, and with
    them what libraries print.
    """
    while (taken := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(taken)
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPE)


def settle_streams() -> None:
    """Discard what a full or closed stream did not take; the interpreter would fail on it again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def is_open(stream: object) -> bool:
    """Return whether a standard stream was there when the command was started."""
    return not isinstance(stream, _Closed)


def use_current_folder() -> None:
    """Find modules in the current folder too, after all installed ones.

    Raises:
        ConfigError: the folder was removed; libraries would die of that in many ways.
    """
    try:
        folder = str(Path.cwd())
    except FileNotFoundError as error:
        raise ConfigError(
            "the current folder does not exist any more; change to another one (cd), and run the "
            "command again"
        ) from error
    if folder not in sys.path:
        sys.path.append(folder)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    return "".join(f"\\u{pair}" for pair in pairs), error.end


codecs.register_error(_ESCAPE, _escaped)
