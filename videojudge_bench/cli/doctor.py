"""The verb `videojudge doctor`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from videojudge_bench._util.terminal import Verbs, say, table

if TYPE_CHECKING:
    from videojudge_bench.doctor.findings import Section
    from videojudge_bench.doctor.scan import Scan

EXIT_BROKEN = 1

_SHOWN = {"ok": "ok", "note": "–", "broken": "BROKEN", "damaged": "DAMAGED"}


def add_doctor(verbs: Verbs) -> None:
    """Add `doctor` to a parser's verbs."""
    doctor = verbs.add_parser(
        "doctor",
        help="say what works on this machine, what does not, and how to mend it",
        description="Without options: what is installed, which decoders decode sample videos, "
        "which judges can run here and why the others cannot, GPUs, memory and room, and how many "
        "videos of each gold set are here. With --judge, --server or --videos: only that. Nothing "
        "is downloaded but the configuration of a --judge on the hub. Exit status: 0, all of it "
        "is usable; 1, something is broken. A line with – is no fault: it says what is not here.",
    )
    doctor.add_argument(
        "--judge",
        action="append",
        default=[],
        metavar="NAME,option=value,…",
        help="make this judge with these options, as for --model_args, and say whether its weights "
        "fit; may be repeated",
    )
    doctor.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="URL",
        help="ask this server (http://localhost:8000/v1) for its models and short replies, and "
        "whether it takes images, videos with their times and replies that are begun; the key is "
        "what OPENAI_API_KEY says; may be repeated",
    )
    doctor.add_argument("--model", help="of the servers; default: the first that each lists")
    doctor.add_argument(
        "--videos",
        type=Path,
        metavar="DIR",
        help="decode every video in this folder, as a judge would, list what is broken, and count "
        "the videos of each gold set",
    )
    doctor.add_argument(
        "--jobs", type=int, metavar="N", help="videos at once; default: one a CPU core"
    )
    doctor.add_argument("--json", action="store_true", help="print JSON, for programs")
    doctor.set_defaults(verb=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from videojudge_bench.doctor.scan import scan_folder

    found: list[Section] = []
    for section in _sections(arguments):
        found.append(section)
        if not arguments.json:
            _show(section)
    scan = None if arguments.videos is None else scan_folder(arguments.videos, arguments.jobs)
    if scan is not None:
        found.append(scan.section())
    usable = all(section.is_usable for section in found)
    if arguments.json:
        say([json.dumps(_as_json(found, scan, usable=usable), indent=1, ensure_ascii=False)])
        return 0 if usable else EXIT_BROKEN
    if scan is not None:
        _show(found[-1])
        _show_problems(scan)
    say(["Nothing is broken." if usable else "Something is BROKEN: see above."])
    return 0 if usable else EXIT_BROKEN


def _sections(arguments: argparse.Namespace) -> Iterator[Section]:
    """Yield what was asked about, or else everything about this machine."""
    from videojudge_bench.doctor.goldsets import gold_sets
    from videojudge_bench.doctor.judges import asked_judges, read_judge
    from videojudge_bench.doctor.scan import check_scan
    from videojudge_bench.doctor.servers import servers

    judges = [read_judge(text) for text in arguments.judge]
    check_scan(arguments.videos, arguments.jobs)
    if not (judges or arguments.server or arguments.videos):
        yield from _machine_sections()
    if judges:
        yield asked_judges(judges)
    if arguments.server:
        yield servers(arguments.server, arguments.model)
    if arguments.videos:
        yield gold_sets(arguments.videos)


def _machine_sections() -> Iterator[Section]:
    from videojudge_bench.doctor.decoders import decoders
    from videojudge_bench.doctor.goldsets import gold_sets
    from videojudge_bench.doctor.host import Probe
    from videojudge_bench.doctor.installed import installed
    from videojudge_bench.doctor.judges import judges
    from videojudge_bench.doctor.machine import machine

    with closing(Probe()) as probe:  # it imports torch in the meantime
        yield decoders()
        yield gold_sets(None)
        host = probe.result()
    yield machine(host)
    yield installed(host)
    yield judges(host)


def _show(section: Section) -> None:
    rows = [(_SHOWN[f.status], f.name, _sentence(f.found, f.fix)) for f in section.findings]
    table(("", "what", "found"), rows, title=section.title)


def _show_problems(scan: Scan) -> None:
    if not scan.problems:
        return
    rows = [
        (
            _SHOWN[video.state],
            video.file,
            f"{video.coverage:.2f}",
            video.codec or "-",
            "-" if video.duration_seconds is None else f"{video.duration_seconds:.1f} s",
            _sentence(video.found, video.fix),
        )
        for video in scan.problems
    ]
    table(("", "file", "coverage", "codec", "duration", "what is wrong"), rows)


def _sentence(found: str, fix: str) -> str:
    return f"{found}. {fix}" if fix else found


def _as_json(found: list[Section], scan: Scan | None, *, usable: bool) -> dict[str, object]:
    """The findings as a program reads them; of a scan, every video that is not sound."""
    from videojudge_bench.version import __version__

    return {
        "format": 1,
        "version": __version__,
        "usable": usable,
        "sections": {
            section.name: [asdict(finding) for finding in section.findings] for section in found
        },
        "videos": [] if scan is None else [asdict(video) for video in scan.problems],
    }
