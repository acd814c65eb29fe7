"""The verb `videojudge doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from videojudge_bench._util.options import Scalar, parse_judge
from videojudge_bench._util.terminal import say, say_json, table
from videojudge_bench.cli._options import EXIT_FAILED, JUDGE, Json, completed, judge_words

if TYPE_CHECKING:
    from videojudge_bench.doctor.findings import Section
    from videojudge_bench.doctor.scan import Scan

_SHOWN = {"ok": "ok", "note": "–", "broken": "BROKEN", "damaged": "DAMAGED"}


def doctor(
    *,
    judge: Annotated[list[str] | None, completed(judge_words, help=f"{JUDGE}; repeatable")] = None,
    server: Annotated[list[str] | None, Parameter()] = None,
    model: str | None = None,
    videos: Path | None = None,
    jobs: int | None = None,
    json: Json = False,
) -> int:
    """Report what works on this machine, what does not, and how to fix it.

    Without options: what is installed, which decoders decode sample videos, which
    judges can run here and why the others cannot, GPUs, memory and room, and how many
    videos of each gold set are here. With --judge, --server or --videos: only that.
    Nothing is downloaded but the configuration of a --judge on the hub. Exit status:
    0 all of it is usable; 1 something is broken. A line with – is no fault: it says
    what is not here.

    Args:
        server: ask this server (http://localhost:8000/v1) for its models and short replies, and
            whether it takes images, videos with their times and replies that are begun; the key is
            what OPENAI_API_KEY says; repeatable
        model: of the servers; default: the first that each lists
        videos: decode every video in this folder, as a judge would, list what is broken, and count
            the videos of each gold set
        jobs: videos at once; default: one a CPU core
    """
    from videojudge_bench.doctor.scan import check_scan, scan_folder

    judges = [parse_judge(text) for text in judge or ()]
    check_scan(videos, jobs)
    sections: list[Section] = []
    for section in _sections(judges, server or (), model, videos):
        sections.append(section)
        if not json:
            _show(section)
    scan = None if videos is None else scan_folder(videos, jobs)
    if scan is not None:
        sections.append(scan.section())
    usable = all(section.is_usable for section in sections)
    if json:
        say_json(_as_json(sections, scan, usable=usable))
        return 0 if usable else EXIT_FAILED
    if scan is not None:
        _show(sections[-1])
        _show_problems(scan)
    say(["Nothing is broken." if usable else "Something is BROKEN: see above."])
    return 0 if usable else EXIT_FAILED


def _sections(
    judges: Sequence[tuple[str, Mapping[str, Scalar]]],
    addresses: Sequence[str],
    model: str | None,
    videos: Path | None,
) -> Iterator[Section]:
    """Yield what was asked about, or else everything about this machine."""
    from videojudge_bench.doctor.goldsets import gold_sets
    from videojudge_bench.doctor.judges import asked_judges
    from videojudge_bench.doctor.servers import servers

    if not (judges or addresses or videos):
        yield from _machine_sections()
    if judges:
        yield asked_judges(judges)
    if addresses:
        yield servers(addresses, model)
    if videos:
        yield gold_sets(videos)


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
