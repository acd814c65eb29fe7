"""The verbs of `videojudge data`."""

from __future__ import annotations

import argparse
from pathlib import Path

from videojudge_bench._util.terminal import Verbs, add_group, add_verb, say, table

EXIT_FAILED = 1

_PREPARED = {
    "llava": "VideoJudgeLLaVA, from a file in our schema (ratings)",
    "vcg": "VideoJudgeVCG, from a file in our schema (ratings)",
    "longvideobench": "from lvb_val.json",
    "videoautoarena": "from videoautobench.latest.json",
    "pairwise": "VideoJudge-Pairwise, from a file in our schema (pairs)",
    "pairwise_h": "VideoJudge-Pairwise-H, from a file in our schema (pairs)",
}

_ADD = """\
Checks a JSON Lines file and makes the task videojudge_NAME of it. One row, one thing with gold:

  ratings      {"video_id": "v", "instruction": "…", "response": "…", "ratings": [4, 5]}
  options      {"video_id": "v", "instruction": "…", "options": ["…", "…"], "correct": 0}
  preferences  {"video_id": "v", "instruction": "…", "response_a": "…", "response_b": "…",
                "preferences": ["a", "tie"]}

Optional in every row: id, video (path inside the folder of videos), references, description,
subtitles, labels; in ratings also system (who answered)."""


def add_data(verbs: Verbs) -> None:
    """Add `data` and its verbs to a parser's verbs."""
    parts = add_group(
        verbs,
        "data",
        "list, verify, prepare and add gold sets",
        "Gold sets: what there is, what is on this machine, how to get the rest, and how to bring "
        "your own.",
    )
    add_verb(parts, "list", _list, "list the gold sets", "")
    verify = add_verb(parts, "verify", _verify, "count and hash a gold set, and compare", "")
    verify.add_argument("name", nargs="?", help="a gold set; all of them by default")
    ids = add_verb(
        parts,
        "ids",
        _ids,
        "print item ids beside the public keys of a set, as CSV",
        "Joins your own scores to our item ids: the file that judge=precomputed reads has a column "
        "`id`.",
    )
    ids.add_argument("name", help="a gold set")
    _add_add(parts)
    remove = add_verb(parts, "remove", _remove, "remove a set that was added or prepared", "")
    remove.add_argument("name", help="the set; its videos stay where they are")
    _add_prepare(parts)


def _add_add(parts: Verbs) -> None:
    add = add_verb(
        parts, "add", _add, "make a task of your own ratings, options or preferences", _ADD
    )
    add.add_argument("file", type=Path, metavar="FILE", help="JSON Lines; .gz is read too")
    add.add_argument("--name", required=True, help="of the set; the task is videojudge_NAME")
    add.path("--videos", "DIR", "folder of the videos")
    add.add_argument(
        "--scale",
        default="1-5",
        metavar="LOW-HIGH",
        help="of the ratings; default: %(default)s. Below 0 with an equals sign: --scale=-2-2",
    )
    add.add_argument(
        "--kind",
        choices=("human", "model", "constructed", "options"),
        help="where the gold comes from; default: human, and options for options. Judges are not "
        "ranked by labels of a model",
    )
    add.add_argument("--title", help="one line for tables; default: the file's name")
    add.add_argument("--licence", default="not stated", help="of the data; default: %(default)s")
    add.flag("--replace", "replace a set of that name")


def _add_prepare(parts: Verbs) -> None:
    prepare = parts.add_parser(
        "prepare",
        help="make a set of ours from its public release",
        description="The task then serves the full set in the place of the sample.",
    )
    sets = prepare.add_subparsers(title="gold sets", required=True, metavar="SET")
    for name, what in _PREPARED.items():
        one = add_verb(sets, name, _prepare, what, "")
        one.path("--release", "FILE", "its file", required=True)
        one.path("--videos", "DIR", "folder of the videos")
        one.set_defaults(name=name, subtitles=None)
        if name == "longvideobench":
            group = one.add_mutually_exclusive_group(required=True)
            group.add_argument(
                "--subtitles", type=Path, metavar="DIR", help="folder of the subtitle files"
            )
            group.add_argument(
                "--no-subtitles",
                action="store_true",
                help="leave them out, though a third of the questions quote them",
            )


def _list(_: argparse.Namespace) -> int:
    from videojudge_bench.goldsets.verify import list_sets

    rows = list_sets()
    table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from videojudge_bench.goldsets.verify import verify, verify_all

    if arguments.name:
        say(verify(arguments.name))
        return 0
    lines, broken = verify_all()
    say(lines)
    return EXIT_FAILED if broken else 0


def _ids(arguments: argparse.Namespace) -> int:
    from videojudge_bench.goldsets.verify import ids

    say(ids(arguments.name))
    return 0


def _add(arguments: argparse.Namespace) -> int:
    from videojudge_bench.goldsets.adding import Request, add, read_scale

    request = Request(
        file=arguments.file,
        name=arguments.name,
        videos=arguments.videos,
        scale=read_scale(arguments.scale),
        kind=arguments.kind,
        title=arguments.title,
        licence=arguments.licence,
        replace=arguments.replace,
    )
    say(add(request).lines())
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from videojudge_bench.goldsets.adding import remove

    say([remove(arguments.name)])
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
    from videojudge_bench.goldsets.verify import prepare_released

    say(prepare_released(arguments.name, arguments.release, arguments.videos, arguments.subtitles))
    return 0
