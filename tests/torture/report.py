"""`results/reliability.md`: what was tried, how often, and what was lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Json = dict[str, Any]

_INTRODUCTION = """\
# Reliability

What was done to videojudge-bench, how often, and what was lost. Made by `make torture`
(`python tests/torture`, seeds fixed); not edited by hand. A short form runs with `make test`.
"""
_KILLS = """\
## kill -9

A command is killed at a random moment, before the n-th change of a file (half a line of a journal
is written first), or by the system in the middle of a write, at byte n; the three in turn, up to
five kills in a row. Then the same command runs to its end, and all that it has written is compared,
byte by byte, with an undisturbed run. Calls of a model that were made again are counted, and must
not be more than were in flight. Unfinished files that are still there at the end are counted; none
is read by anything.
"""
_REPLIES = """\
## Replies

Each reply is written from a verdict that is drawn first, so that the writer is the oracle: tags,
JSON, brackets, sentences, ratings of aspects, reasoning with other verdicts in it, negations,
other scales, cut-offs, other digits, text that follows the end. A verdict that differs from the one
drawn, any verdict where none is stated, and any exception is wrong.
"""
_VIDEOS = """\
## Videos

Broken and odd files through `load_frames`, each in the decoding process: frames, or an error that
says what was found. The expected one of the two is written down for each file.
"""
_SERVER = """\
## A server that fails

A chat server on loopback fails a fifth of all requests, in each of the ways below as often. The
same command runs until it is through; results are compared with those from a sound server. No sound
answer may have been asked for twice.
"""
_HOSTILE = """\
## A hostile server

A server answers some prompts of a run in one of the ways below, all others soundly. All others must
have their verdicts; no prompt and no key may go elsewhere or be written; no answer may take more
than 50 MiB of memory, or hold the run up for a minute. Replies in an odd form that hold a verdict
are read, all else is no verdict.
"""
_STOPS = """\
## SIGTERM

A run of 120 requests to a server, 4 in flight, is stopped by SIGTERM at a random moment. Then the
same command runs to its end: with the verdicts of an undisturbed run, and at most 4 requests more.
"""
_STREAMS = """\
## Streams, locales, folders

Commands with standard output or error closed or full, in locales without most letters, in a folder
that is gone, with a result in a folder that may not be written to: the result is whole where it can
be written, and what could not be is said in a sentence, never by a traceback.
"""
_TROUBLES = """\
## Disks, clocks, two at once

*Writes fail*: no file may grow beyond a drawn size. *Full disk*: a file system in memory with a
drawn amount of room. *Clocks jump*: the time of day by years, the others forward by minutes. *Two
at once*: the same command is started twice on one folder. Each time the command must come through,
or say why it does not without a traceback; then, with nothing in its way, the same command ends
with the results of an undisturbed run.
"""
_SOAK = """\
## A served judge under load

`videojudge serve` with a journal and a judge that costs nothing, clients with the package's own
client, broken rows of seven kinds, and kill -9 of the server on the way. Every row must be answered
with its score or its own error; what was judged again must have been in flight at a kill; the most
memory that the server takes may be a tenth above the most in the first 10,000 rows of its life.
"""


def to_markdown(parts: Json, command: str) -> str:
    """Return the page."""
    writers: dict[str, Callable[[Json], list[str]]] = {
        "kills": _kills,
        "replies": _replies,
        "videos": _videos,
        "server": _server,
        "hostile": _hostile,
        "stops": _stops,
        "streams": _streams,
        "troubles": _troubles,
        "soak": _soak,
    }
    commits = sorted({part["commit"] for part in parts.values()})
    of = f"all parts at commit {commits[0]}" if len(commits) == 1 else "parts at several commits"
    lines = [_INTRODUCTION, f"Command: `{command}`, {of}.", ""]
    lost = [line for part in parts.values() for line in part["lost"]]
    lines += [f"**Lost: {len(lost) or 'nothing'}.**", "", *(f"- {line}" for line in lost)]
    for name, write in writers.items():
        if name in parts:
            lines += ["", *write(parts[name]), "", f"{parts[name]['seconds']:.0f} seconds."]
            lines[-1] += f" Commit {parts[name]['commit']}." * (len(commits) > 1)
    return "\n".join(lines) + "\n"


def _kills(part: Json) -> list[str]:
    rows = [
        (t["what"], t["kills"], t["asked_again"], t["left_behind"], len(t["lost"]))
        for t in part["trials"]
    ]
    total = sum(t["kills"] for t in part["trials"])
    head = ("command", "kills", "calls made again", "unfinished files", "lost")
    return [_KILLS, *_table(head, rows), "", f"{total} kills in all."]


def _replies(part: Json) -> list[str]:
    missed = sum(part["missed"].values())
    rows = [
        ("as meant (or rightly not at all)", part["right"]),
        ("not at all, cut off or debatable", part["unread"]),
        ("not at all, though a verdict is stated", missed),
        ("wrong", part["n_wrong"]),
    ]
    forms = sorted(part["forms"].items(), key=lambda form: -form[1])
    said = ", ".join(f"{name} {count:,}" for name, count in forms)
    lines = [_REPLIES, *_table((f"of {part['replies']:,} replies read", "replies"), rows)]
    return [*lines, "", f"By form: {said}."]


def _videos(part: Json) -> list[str]:
    rows = [(name.replace("|", "/"), said) for name, said in part["said"].items()]
    return [
        _VIDEOS,
        (
            f"{part['tried']} files: {part['frames']} gave frames, {part['errors']} an error, the "
            f"slowest after {part['slowest_seconds']} s."
        ),
        "",
        *_table(("file", "what came"), rows),
    ]


def _server(part: Json) -> list[str]:
    rows = [
        (t["what"], t["tried"], t["refused"], t["asked_again"], len(t["lost"]))
        for t in part["trials"]
    ]
    head = ("command", "requests", "runs that ended early", "answers paid for twice", "lost")
    faults = ", ".join(f"{name} {count}" for name, count in part["faults"].items())
    total = sum(part["faults"].values())
    return [_SERVER, *_table(head, rows), "", f"{total} failures: {faults}."]


def _hostile(part: Json) -> list[str]:
    head = ("answer", "prompts attacked", "MiB more", "seconds")
    return [_HOSTILE, *_table(head, [row.values() for row in part["rows"]])]


def _stops(part: Json) -> list[str]:
    head = ("command", "moments", "of them before its end", "requests more, in all", "lost")
    rows = [
        (t["what"], t["tried"], t["kills"], t["asked_again"], len(t["lost"]))
        for t in part["trials"]
    ]
    return [_STOPS, *_table(head, rows)]


def _streams(part: Json) -> list[str]:
    return [_STREAMS, f"{part['tried']} commands, {part['refused']} of them ended with an error."]


def _troubles(part: Json) -> list[str]:
    rows = [
        (name, t["what"], t["tried"], t["refused"], len(t["lost"]))
        for name, found in part["commands"].items()
        for t in found["trials"]
        if t["tried"]
    ]
    head = ("command", "trouble", "runs", "of them refused", "lost")
    return [_TROUBLES, *_table(head, rows)]


def _soak(part: Json) -> list[str]:
    head = ("life of the server", "rows answered at its kill", "in flight", "MiB warm", "MiB most")
    ends = [*((kill["answered"], kill["in_flight"]) for kill in part["kills"]), ("to the end", 0)]
    lives = zip(ends, part["memory"], strict=True)
    rows = [(n, *end, m["warm_mib"], m["most_mib"]) for n, (end, m) in enumerate(lives, start=1)]
    broken = ", ".join(f"{kind} {n:,}" for kind, n in part["broken"].items())
    said = (
        f"{part['answered']:,} of {part['rows']:,} rows answered, {part['clients']} clients, "
        f"{part['rows_a_request']} rows a request; judged again: {part['judged_again']}. The "
        f"server's CPU: {part['server_cpu_ms_a_row']} ms a row. Broken: {broken}."
    )
    return [_SOAK, said, "", *_table(head, rows)]


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    lines = [_line(head), _line("---" for _ in head)]
    return [*lines, *(_line(row) for row in rows)]


def _line(cells: Iterable[object]) -> str:
    texts = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells)
    return "| " + " | ".join(text.replace("|", "/") for text in texts) + " |"
